package attack

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// later are the reasons why a row cannot happen yet. Whoever builds one of these things
// removes its word here, and the test names the rows that then need tests.
var later = map[string]string{
	"admin":    "there are no operator's pages",
	"always":   "the product has no such thing: email is always on, there are no user names, no puzzles and no calls",
	"clock":    "nothing guards against a server whose clock jumps; sim/ is where it will be tried",
	"doors":    "there is no other door: the inventory of routes_test.go is the list",
	"failover": "needs two databases; e2e/ is where it will be tried",
	"mailbox":  "an address counts as it is written: anna+1@ is another account, with limits of its own",
	"load":     "tried under load in sim/ and bench/, not here",
	"notices":  "the owner is told by mail, and not in a second place",
	"number":   "a number does not grow old, and nobody is refused one",
	"oneHost":  "one server has one host",
	"passkey":  "there are no passkeys",
	"policy":   "nobody prescribes a method or a review: every method of an account counts the same",
	"uploads":  "nothing can be uploaded",
}

// numbers of the catalogue: 001 to 329 without these.
var unused = []int{317, 318, 319, 324}

type row struct{ id, wrong, where string }

func catalogue(t *testing.T) (all []row) {
	t.Helper()
	text, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 || parts[1] == "" {
			t.Fatalf("not a row: %q", line)
		}
		all = append(all, row{parts[0], parts[1], parts[2]})
	}
	return all
}

// roomDir is the folder of a package, seen from here.
func roomDir(room string) string {
	if slices.Contains([]string{"attack", "e2e", "sim", "bench"}, room) {
		return filepath.Join("..", room)
	}
	return filepath.Join("../..", room)
}

// tests are the names of the test functions of a room.
func tests(t *testing.T, room string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(roomDir(room), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// Every row of the catalogue stands once, with a test that exists or a reason that still holds.
func TestRows(t *testing.T) {
	var ids, used []string
	reasons, rooms := map[string]bool{}, map[string][]string{}
	for _, r := range catalogue(t) {
		if slices.Contains(ids, r.id) {
			t.Errorf("ATT-%s stands twice", r.id)
		}
		ids = append(ids, r.id)
		if word, ok := strings.CutPrefix(r.where, "later "); ok {
			if reasons[word] = true; later[word] == "" {
				t.Errorf("ATT-%s (%s): the reason %q is gone, so it needs a test now", r.id, r.wrong, word)
			}
			continue
		}
		for where := range strings.SplitSeq(r.where, ", ") {
			room, test, elsewhere := strings.Cut(where, " ")
			if !elsewhere || room == "open" {
				room, test = "attack", strings.TrimPrefix(where, "open ")
				used = append(used, test)
			}
			if rooms[room] == nil {
				rooms[room] = tests(t, room)
			}
			if !slices.Contains(rooms[room], test) {
				t.Errorf("ATT-%s (%s): there is no %s in %s", r.id, r.wrong, test, room)
			}
		}
	}
	for n := 1; n <= 329; n++ {
		if id := fmt.Sprintf("%03d", n); slices.Contains(ids, id) == slices.Contains(unused, n) {
			t.Errorf("ATT-%s: neither tried nor excused, or not a number of the catalogue", id)
		}
	}
	for word := range later {
		if !reasons[word] {
			t.Errorf("the reason %q excuses nothing", word)
		}
	}
	for _, name := range tests(t, "attack") {
		if regexp.MustCompile(`^TestATT\d`).MatchString(name) && !slices.Contains(used, name) {
			t.Errorf("%s is the test of no row", name)
		}
	}
}
