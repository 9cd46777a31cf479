package twostep_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The plan of the house, see docs/design.md. A room imports rooms on lower floors only.
var floors = map[string]int{
	"cmd/twostep":    7,
	"":               6,
	"internal/check": 1,
	"internal/demo":  0,
	"internal/web":   5, "internal/help": 5, "internal/admin": 5, "internal/oidc": 5, "internal/forwardauth": 5,
	"internal/page": 4, "internal/grant": 4, "factor/*": 4,
	"internal/signin": 3, "internal/outbox": 3, "factor/sentcode": 3,
	"internal/device": 2, "internal/ledger": 2,
	"factor": 1, "internal/account": 1,
	"internal/audit": 0, "delivery": 0, "internal/store": -1, "internal/seal": 0, "internal/i18n": 0, "internal/trust": 0, "internal/limit": 0, "manual": 0,
}

// Rooms that only tests enter. They may import what they like, and no other room imports them.
var testRooms = []string{"internal/spoken", "internal/store/storetest"}

// Who may import what. A folder ending in * stands for all below it.
var keepers = map[string][]string{
	"twostep.example/twostep/internal/store": {"internal/audit", "internal/account", "internal/device", "internal/ledger", "internal/signin", "internal/outbox", "internal/grant", ""},
	"database/sql":                           {"internal/store"},
	"net/http":                               {"internal/web", "internal/help", "internal/admin", "internal/oidc", "internal/forwardauth", "internal/page", "internal/check", "internal/demo", "", "cmd/*", "delivery"},
	"html/template":                          {"internal/page", "internal/web", "internal/admin", "internal/demo"},
}

const maxFunction, maxFile, maxRoom, maxParameters, maxMethods = 70, 500, 2700, 5, 5

var forbidden = regexp.MustCompile(`(^|/|_)(util|common|helper|misc|base|manager|service|controller|model|dto|impl|wrapper)s?(/|_|\.go$|$)`)

type room struct {
	ImportPath, Name, Dir, Doc string
	Imports, GoFiles           []string
	trees                      map[string]*ast.File // by file name
	set                        *token.FileSet
}

func (r room) folder() string {
	return strings.TrimPrefix(strings.TrimPrefix(r.ImportPath, "twostep.example/twostep"), "/")
}

func (r room) forTests() bool {
	return slices.ContainsFunc(testRooms, func(dir string) bool { return r.folder() == dir || strings.HasPrefix(r.folder(), dir+"/") })
}

func floor(folder string) (int, bool) {
	n, ok := floors[folder]
	if !ok && filepath.Dir(folder) == "factor" {
		n, ok = floors["factor/*"]
	}
	return n, ok
}

func allowed(folder string, list []string) bool {
	return slices.ContainsFunc(list, func(one string) bool {
		prefix, wild := strings.CutSuffix(one, "*")
		return folder == one || wild && strings.HasPrefix(folder, prefix)
	})
}

// imports says what is wrong with what a room imports.
func (r room) imports() (wrong []string) {
	if r.forTests() {
		return nil
	}
	mine, ok := floor(r.folder())
	if !ok {
		return []string{r.ImportPath + " has no floor: which sentence of docs/design.md is it?"}
	}
	for _, path := range r.Imports {
		if list, kept := keepers[path]; kept && !allowed(r.folder(), list) {
			wrong = append(wrong, r.ImportPath+" must not import "+path)
		}
		if other := (room{ImportPath: path}); path == "twostep.example/twostep" || strings.HasPrefix(path, "twostep.example/twostep/") {
			if theirs, ok := floor(other.folder()); !ok || theirs >= mine {
				wrong = append(wrong, r.ImportPath+" must not import "+path+": it is on no lower floor")
			}
		}
	}
	return wrong
}

// comment says whether the first sentence of the package stands in the plan, so that both stay true.
func (r room) comment(plan string) (wrong []string) {
	sentence := strings.TrimPrefix(strings.TrimPrefix(r.Doc, "Package "+r.Name+" "), "Command "+filepath.Base(r.ImportPath)+" ")
	switch {
	case r.Doc == "":
		wrong = append(wrong, r.ImportPath+" has no package comment")
	case !strings.Contains(strings.Join(strings.Fields(plan), " "), sentence):
		wrong = append(wrong, fmt.Sprintf("%s: docs/design.md does not say %q", r.ImportPath, sentence))
	}
	return wrong
}

// code says what is wrong inside the files of a room; sizes gets what is measured.
func (r room) code(sizes func(format string, args ...any)) (wrong []string) {
	total := 0
	for name, tree := range r.trees {
		lines := r.set.File(tree.FileStart).LineCount()
		total += lines
		over := func(what string, got, most int) {
			if got > most {
				wrong = append(wrong, fmt.Sprintf("%s/%s: %s has %d, at most %d", r.ImportPath, name, what, got, most))
			}
		}
		over("lines: the file", lines, maxFile)
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					wrong = append(wrong, r.ImportPath+"/"+name+": init runs where nobody calls it")
				}
				over("lines: "+n.Name.Name, r.set.Position(n.End()).Line-r.set.Position(n.Pos()).Line+1, maxFunction)
				over("parameters: "+n.Name.Name, n.Type.Params.NumFields(), maxParameters)
			case *ast.InterfaceType:
				over("methods: an interface", n.Methods.NumFields(), maxMethods)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "context" && n.Sel.Name == "WithValue" && r.folder() != "" && r.folder() != "internal/page" {
					wrong = append(wrong, r.ImportPath+"/"+name+": context.WithValue hides a value")
				}
			}
			return true
		})
	}
	sizes("%-32s %5d lines in %2d files", r.ImportPath, total, len(r.trees))
	if total > maxRoom {
		wrong = append(wrong, fmt.Sprintf("%s has %d lines, at most %d", r.ImportPath, total, maxRoom))
	}
	return wrong
}

// unlisted returns the methods (folders of factor) that the list in cmd/twostep does not name.
func unlisted(folders []string, list *ast.File) (missing []string) {
	called := map[string]bool{}
	ast.Inspect(list, func(n ast.Node) bool {
		if f, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := f.X.(*ast.Ident); ok {
				called["factor/"+x.Name] = true
			}
		}
		return true
	})
	for _, folder := range folders {
		if filepath.Dir(folder) == "factor" && folder != "factor/sentcode" && !called[folder] {
			missing = append(missing, folder+" is not in the list of cmd/twostep/methods.go")
		}
	}
	return missing
}

func (r *room) parse(name string, text any) error {
	tree, err := parser.ParseFile(r.set, name, text, parser.SkipObjectResolution)
	if err == nil {
		r.trees[filepath.Base(name)] = tree
	}
	return err
}

func rooms(t *testing.T) (all []room) {
	t.Helper()
	list := exec.Command("go", "list", "-buildvcs=false", "-json=ImportPath,Name,Dir,Doc,Imports,GoFiles", "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		r := room{trees: map[string]*ast.File{}, set: token.NewFileSet()}
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		for _, name := range r.GoFiles {
			if err := r.parse(filepath.Join(r.Dir, name), nil); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, r)
	}
}

func TestHouse(t *testing.T) {
	plan, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, r := range rooms(t) {
		folders = append(folders, r.folder())
		for _, wrong := range slices.Concat(r.imports(), r.comment(string(plan)), r.code(t.Logf)) {
			t.Error(wrong)
		}
	}
	list, err := parser.ParseFile(token.NewFileSet(), "cmd/twostep/methods.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range unlisted(folders, list) {
		t.Error(wrong)
	}
}

func TestHouseNames(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == ".git" || path == "build" || path == "twostep-data"):
			return fs.SkipDir
		case (d.IsDir() || filepath.Ext(path) == ".go") && forbidden.MatchString(filepath.ToSlash(path)):
			t.Errorf("%s: the name says nothing", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Every rule can say no.
func TestHouseRulesBite(t *testing.T) {
	long := "package x\n\nfunc long() {" + strings.Repeat("\n", maxFunction) + "}\n"
	for _, row := range []struct {
		name, path, imports, doc, text, want string
	}{
		{"fine", "twostep.example/twostep/internal/seal", "crypto/aes", "Package x seals.", "package x\n", ""},
		{"method on a lower floor", "twostep.example/twostep/factor/voice", "twostep.example/twostep/factor/sentcode", "Package x seals.", "package x\n", ""},
		{"same floor", "twostep.example/twostep/internal/signin", "twostep.example/twostep/internal/outbox", "Package x seals.", "package x\n", "no lower floor"},
		{"upstairs", "twostep.example/twostep/delivery", "twostep.example/twostep/factor", "Package x seals.", "package x\n", "no lower floor"},
		{"test room", "twostep.example/twostep", "twostep.example/twostep/internal/store/storetest", "Package x seals.", "package x\n", "no lower floor"},
		{"no floor", "twostep.example/twostep/internal/attic", "fmt", "Package x seals.", "package x\n", "has no floor"},
		{"store in a page", "twostep.example/twostep/internal/web", "twostep.example/twostep/internal/store", "Package x seals.", "package x\n", "must not import twostep.example/twostep/internal/store"},
		{"sql", "twostep.example/twostep/internal/signin", "database/sql", "Package x seals.", "package x\n", "must not import database/sql"},
		{"http", "twostep.example/twostep/internal/signin", "net/http", "Package x seals.", "package x\n", "must not import net/http"},
		{"html", "twostep.example/twostep/factor/totp", "html/template", "Package x seals.", "package x\n", "must not import html/template"},
		{"no comment", "twostep.example/twostep/internal/seal", "fmt", "", "package x\n", "no package comment"},
		{"other sentence", "twostep.example/twostep/internal/seal", "fmt", "Package x does it all.", "package x\n", `does not say "does it all."`},
		{"init", "twostep.example/twostep/internal/seal", "fmt", "Package x seals.", "package x\n\nfunc init() {}\n", "init runs"},
		{"context", "twostep.example/twostep/internal/web", "context", "Package x seals.", "package x\n\nvar c = context.WithValue\n", "hides a value"},
		{"long function", "twostep.example/twostep/internal/seal", "fmt", "Package x seals.", long, "lines: long has 71"},
		{"long file", "twostep.example/twostep/internal/seal", "fmt", "Package x seals.", "package x\n" + strings.Repeat("\n", maxFile), "the file has 501"},
		{"big room", "twostep.example/twostep/internal/seal", "fmt", "Package x seals.", "package x\n" + strings.Repeat("\n", maxRoom), "has 2701 lines, at most 2700"},
		{"parameters", "twostep.example/twostep/internal/seal", "fmt", "Package x seals.", "package x\n\nfunc f(a, b, c, d, e, f int) {}\n", "parameters: f has 6"},
		{"interface", "twostep.example/twostep/internal/seal", "fmt", "Package x seals.", "package x\n\ntype i interface { a(); b(); c(); d(); e(); f() }\n", "an interface has 6"},
	} {
		r := room{ImportPath: row.path, Name: "x", Doc: row.doc, Imports: []string{row.imports}, trees: map[string]*ast.File{}, set: token.NewFileSet()}
		if err := r.parse("x.go", row.text); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(slices.Concat(r.imports(), r.comment("The room x\nseals."), r.code(func(string, ...any) {})), "\n")
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
	list := room{trees: map[string]*ast.File{}, set: token.NewFileSet()}
	if err := list.parse("methods.go", "package main\n\nvar m = []any{email.New()}\n"); err != nil {
		t.Fatal(err)
	}
	got := unlisted([]string{"factor", "factor/email", "factor/sentcode", "factor/voice", "delivery"}, list.trees["methods.go"])
	if len(got) != 1 || !strings.HasPrefix(got[0], "factor/voice ") {
		t.Errorf("unlisted methods: got %q", got)
	}
	for path, bad := range map[string]bool{"internal/util/x.go": true, "cmd/twostep/account_helpers.go": true, "internal/models": true,
		"internal/store/baseline.go": false, "cmd/twostep/serve.go": false, "factor/common": true} {
		if forbidden.MatchString(path) != bad {
			t.Errorf("%s: forbidden is %v, want %v", path, !bad, bad)
		}
	}
}
