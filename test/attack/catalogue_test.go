package attack

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// later are the reasons why an attack has no test yet. Whoever builds one of these things
// removes its reason here, and TestCatalogue then names the rows that need tests.
var later = map[string]string{
	"admin":    "there is no set-up page: a command makes the first operator",
	"always":   "the product has no such thing: email is always on, there are no user names, no CAPTCHAs and no voice calls",
	"clock":    "a wrong clock is refused, and one that jumps for less than a minute does no harm; sim/ is where the rest will be tried",
	"load":     "it is tried under load in sim/ and bench/",
	"mailbox":  "addresses are not normalised: anna+1@ is another account, with limits of its own",
	"notices":  "the owner is told by email and in no second place",
	"number":   "phone numbers do not expire, and none is refused",
	"oneHost":  "one server has one host name",
	"passkey":  "there are no passkeys",
	"policy":   "no rule requires a method or a review: every method of an account counts the same",
	"protocol": "there is no other protocol: the list of routes in routes_test.go is complete",
	"uploads":  "nothing can be uploaded",
}

// unused are the numbers from 1 to lastRow that no row has.
var unused = slices.Concat([]int{317, 318, 319, 324}, numbers(396, 399), numbers(406, 419), numbers(437, 449), numbers(459, 464), numbers(474, 489), numbers(497, 519),
	numbers(525, 559))

const lastRow = 566

// numbers returns the numbers from first to last.
func numbers(first, last int) (all []int) {
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// folderOf is the folder of a test of the catalogue, seen from here.
func folderOf(t Test) string {
	if slices.Contains([]string{"attack", "e2e", "sim", "bench"}, t.Folder) {
		return filepath.Join("..", t.Folder)
	}
	return filepath.Join("../..", t.Folder)
}

// testsIn are the names of the test functions of a folder.
func testsIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
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

// Every row has a number of its own, and a test that exists or a reason that still holds. Every test
// of this package belongs to a row.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	rows, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	ids, used, reasons, names := map[string]bool{}, map[string]bool{"TestCatalogue": true, "TestMain": true}, map[string]bool{}, map[string][]string{}
	for _, r := range rows {
		if ids[r.ID] {
			t.Errorf("row %s: the number is used twice", r.ID)
		}
		ids[r.ID] = true
		if r.Later != "" {
			if reasons[r.Later] = true; later[r.Later] == "" {
				t.Errorf("row %s (%s): the reason %q is gone, so it needs a test now", r.ID, r.Attack, r.Later)
			}
		}
		for _, test := range r.Tests {
			folder := folderOf(test)
			if names[folder] == nil {
				names[folder] = testsIn(t, folder)
			}
			if !slices.Contains(names[folder], test.Name) {
				t.Errorf("row %s (%s): there is no %s in %s", r.ID, r.Attack, test.Name, test.Folder)
			}
			used[test.Name] = used[test.Name] || test.Folder == "attack"
		}
	}
	for n := 1; n <= lastRow; n++ {
		if id := fmt.Sprintf("%03d", n); ids[id] == slices.Contains(unused, n) {
			t.Errorf("row %s is missing, or its number is said to be unused", id)
		}
	}
	for reason := range later {
		if !reasons[reason] {
			t.Errorf("the reason %q excuses nothing", reason)
		}
	}
	for _, name := range testsIn(t, ".") {
		if !used[name] {
			t.Errorf("%s is the test of no row", name)
		}
	}
}
