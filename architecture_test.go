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

const (
	module  = "twostep.example/twostep"
	chapter = "docs/architecture.md"
)

// forTests are packages that only tests import. They may import what they like, and no other package imports them.
var forTests = []string{"internal/spoken", "internal/store/storetest"}

// importers are who may import what. A folder ending in * stands for all below it.
var importers = map[string][]string{
	module + "/internal/store": {
		"internal/account", "internal/audit", "internal/challenge", "internal/client", "internal/deskcode", "internal/device",
		"internal/directory", "internal/enroll",
		"internal/grant", "internal/odds", "internal/outbox", "internal/ratelimit", "internal/session", "internal/signin", "internal/webhook", "",
	},
	"database/sql": {"internal/store"},
	"github.com/prometheus/client_golang/prometheus": {"internal/metrics", "", "cmd/*"},
	"net/http": {
		"internal/web", "internal/admin", "internal/help", "internal/oidc", "internal/forwardauth", "internal/render", "internal/origin",
		"internal/check", "internal/demo", "internal/metadata", "internal/webhook", "", "cmd/*", "delivery",
	},
	"html/template": {"internal/render", "internal/web", "internal/demo", "internal/mail"},
}

var vague = regexp.MustCompile(`(^|/|_)(util|common|helper|misc|base|manager|service|controller|model|dto|impl|wrapper)s?(/|_|\.go$|$)`)

// pkg is a package as go list describes it.
type pkg struct {
	ImportPath, Name, Dir, Doc string
	Imports, GoFiles           []string
	trees                      map[string]*ast.File // by file name
	set                        *token.FileSet
}

func folderOf(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func (p pkg) folder() string { return folderOf(p.ImportPath) }

// layersOf reads the block below the heading Layers: the layer of each folder, the lowest is 0.
func layersOf(text string) map[string]int {
	_, rest, _ := strings.Cut(text, "## Layers")
	_, rest, _ = strings.Cut(rest, "```\n")
	block, _, _ := strings.Cut(rest, "\n```")
	layers := map[string]int{}
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		for _, folder := range strings.Fields(line) {
			if folder == "twostep" {
				folder = ""
			}
			layers[folder] = len(lines) - 1 - i
		}
	}
	return layers
}

func allowed(folder string, list []string) bool {
	return slices.ContainsFunc(list, func(one string) bool {
		prefix, wild := strings.CutSuffix(one, "*")
		return folder == one || wild && strings.HasPrefix(folder, prefix)
	})
}

// imports says what is wrong with what a package imports.
func (p pkg) imports(layers map[string]int) (wrong []string) {
	if slices.Contains(forTests, p.folder()) {
		return nil
	}
	mine, ok := layers[p.folder()]
	if !ok {
		return []string{p.ImportPath + " has no layer in " + chapter}
	}
	for _, path := range p.Imports {
		if list, restricted := importers[path]; restricted && !allowed(p.folder(), list) {
			wrong = append(wrong, p.ImportPath+" must not import "+path)
		}
		if path == module || strings.HasPrefix(path, module+"/") {
			if theirs, ok := layers[folderOf(path)]; !ok || theirs >= mine {
				wrong = append(wrong, p.ImportPath+" must not import "+path+": it is on no lower layer")
			}
		}
	}
	return wrong
}

// comment says whether the first sentence of the package is in the chapter, so that both stay true.
func (p pkg) comment(text string) (wrong []string) {
	sentence := strings.TrimPrefix(strings.TrimPrefix(p.Doc, "Package "+p.Name+" "), "Command "+filepath.Base(p.ImportPath)+" ")
	switch {
	case p.Doc == "":
		wrong = append(wrong, p.ImportPath+" has no package comment")
	case !strings.Contains(strings.Join(strings.Fields(text), " "), sentence):
		wrong = append(wrong, fmt.Sprintf("%s: %s does not say %q", p.ImportPath, chapter, sentence))
	}
	return wrong
}

// longest is the longest function and file of a tree, for information.
type longest struct {
	function, file           string
	functionLines, fileLines int
}

// code says what is wrong inside the files of a package; l learns what is long.
func (p pkg) code(l *longest) (wrong []string) {
	for name, tree := range p.trees {
		if lines := p.set.File(tree.FileStart).LineCount(); lines > l.fileLines {
			l.file, l.fileLines = p.folder()+"/"+name, lines
		}
		limited := map[ast.Expr]bool{} // the first argument of a call that limits its time
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch {
				case isContext(n.Fun, "WithTimeout", "WithDeadline"), isContext(n.Fun, "WithCancel") && p.folder() == "":
					limited[n.Args[0]] = true // background work ends with the server
				case isContext(n.Fun, "WithoutCancel") && !limited[n]:
					wrong = append(wrong, p.ImportPath+"/"+name+": context.WithoutCancel needs a time limit: its caller waits "+
						"without an end for a database that hangs")
				}
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					wrong = append(wrong, p.ImportPath+"/"+name+": init runs where nobody calls it")
				}
				if lines := p.set.Position(n.End()).Line - p.set.Position(n.Pos()).Line + 1; lines > l.functionLines {
					l.function, l.functionLines = p.folder()+" "+n.Name.Name, lines
				}
			case *ast.SelectorExpr:
				if isContext(n, "WithValue") && p.folder() != "" && p.folder() != "internal/render" {
					wrong = append(wrong, p.ImportPath+"/"+name+": context.WithValue hides a value")
				}
			}
			return true
		})
	}
	return wrong
}

// isContext reports whether an expression is one of these functions of the package context.
func isContext(e ast.Expr, functions ...string) bool {
	f, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := f.X.(*ast.Ident)
	return ok && x.Name == "context" && slices.Contains(functions, f.Sel.Name)
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

func (p *pkg) parse(name string, text any) error {
	tree, err := parser.ParseFile(p.set, name, text, parser.SkipObjectResolution)
	if err == nil {
		p.trees[filepath.Base(name)] = tree
	}
	return err
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	list := exec.Command("go", "list", "-buildvcs=false", "-json=ImportPath,Name,Dir,Doc,Imports,GoFiles", "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := pkg{trees: map[string]*ast.File{}, set: token.NewFileSet()}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		for _, name := range p.GoFiles {
			if err := p.parse(filepath.Join(p.Dir, name), nil); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, p)
	}
}

// The packages are as docs/architecture.md says: sentences, layers, imports, the list of methods.
func TestArchitecture(t *testing.T) {
	text, err := os.ReadFile(chapter)
	if err != nil {
		t.Fatal(err)
	}
	layers := layersOf(string(text))
	var folders []string
	var l longest
	for _, p := range packages(t) {
		folders = append(folders, p.folder())
		for _, wrong := range slices.Concat(p.imports(layers), p.comment(string(text)), p.code(&l)) {
			t.Error(wrong)
		}
	}
	for folder := range layers {
		if !slices.Contains(folders, folder) {
			t.Errorf("%s: %s has a layer and does not exist", chapter, folder)
		}
	}
	t.Logf("the longest function is %s with %d lines, the longest file %s with %d", l.function, l.functionLines, l.file, l.fileLines)
	list, err := parser.ParseFile(token.NewFileSet(), "cmd/twostep/methods.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range unlisted(folders, list) {
		t.Error(wrong)
	}
}

func TestNoVagueNames(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == ".git" || path == "build" || path == "twostep-data"):
			return fs.SkipDir
		case (d.IsDir() || filepath.Ext(path) == ".go") && vague.MatchString(filepath.ToSlash(path)):
			t.Errorf("%s: the name says nothing", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Every rule can say no.
func TestArchitectureRules(t *testing.T) {
	text := "The package x\nseals.\n\n## Layers\n\n```\ntwostep\ninternal/web\ninternal/signin internal/outbox factor/voice\n" +
		"factor/sentcode\nfactor\ndelivery internal/seal\n```\n"
	for _, row := range []struct {
		name, path, imports, doc, text, want string
	}{
		{"fine", "/internal/seal", "crypto/aes", "Package x seals.", "package x\n", ""},
		{"method on a lower layer", "/factor/voice", module + "/factor/sentcode", "Package x seals.", "package x\n", ""},
		{"same layer", "/internal/signin", module + "/internal/outbox", "Package x seals.", "package x\n", "no lower layer"},
		{"upwards", "/delivery", module + "/factor", "Package x seals.", "package x\n", "no lower layer"},
		{"a package for tests", "", module + "/internal/store/storetest", "Package x seals.", "package x\n", "no lower layer"},
		{"no layer", "/internal/extra", "fmt", "Package x seals.", "package x\n", "has no layer"},
		{"store in a page", "/internal/web", module + "/internal/store", "Package x seals.", "package x\n", "must not import " + module + "/internal/store"},
		{"sql", "/internal/signin", "database/sql", "Package x seals.", "package x\n", "must not import database/sql"},
		{"http", "/internal/signin", "net/http", "Package x seals.", "package x\n", "must not import net/http"},
		{"html", "/factor/voice", "html/template", "Package x seals.", "package x\n", "must not import html/template"},
		{"no comment", "/internal/seal", "fmt", "", "package x\n", "no package comment"},
		{"other sentence", "/internal/seal", "fmt", "Package x does it all.", "package x\n", `does not say "does it all."`},
		{"init", "/internal/seal", "fmt", "Package x seals.", "package x\n\nfunc init() {}\n", "init runs"},
		{"context", "/internal/web", "context", "Package x seals.", "package x\n\nvar c = context.WithValue\n", "hides a value"},
		{"no limit", "/internal/web", "context", "Package x seals.", "package x\n\nvar c = context.WithoutCancel(d)\n", "needs a time limit"},
		{"a limit", "/internal/seal", "fmt", "Package x seals.",
			"package x\n\nvar c, s = context.WithTimeout(context.WithoutCancel(d), e)\n", ""},
	} {
		p := pkg{ImportPath: module + row.path, Name: "x", Doc: row.doc, Imports: []string{row.imports}, trees: map[string]*ast.File{}, set: token.NewFileSet()}
		if err := p.parse("x.go", row.text); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(slices.Concat(p.imports(layersOf(text)), p.comment(text), p.code(&longest{})), "\n")
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
	list := pkg{trees: map[string]*ast.File{}, set: token.NewFileSet()}
	if err := list.parse("methods.go", "package main\n\nvar m = []any{email.New()}\n"); err != nil {
		t.Fatal(err)
	}
	got := unlisted([]string{"factor", "factor/email", "factor/sentcode", "factor/voice", "delivery"}, list.trees["methods.go"])
	if len(got) != 1 || !strings.HasPrefix(got[0], "factor/voice ") {
		t.Errorf("unlisted methods: got %q", got)
	}
	for path, bad := range map[string]bool{"internal/util/x.go": true, "cmd/twostep/account_helpers.go": true, "internal/models": true,
		"internal/store/baseline.go": false, "cmd/twostep/serve.go": false, "factor/common": true} {
		if vague.MatchString(path) != bad {
			t.Errorf("%s: forbidden is %v, want %v", path, !bad, bad)
		}
	}
}
