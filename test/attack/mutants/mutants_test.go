package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

// tests are the names of the test functions of attack.
func tests(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// Every mutation fits the program as it is now, is Go, changes something, and stands for a test
// that exists. Whether the test notices is for go run ./attack/mutants to say.
func TestMutationsFit(t *testing.T) {
	known, seen := tests(t), map[string]bool{}
	for _, m := range slices.Concat(subjects...) {
		if !slices.Contains(known, m.test) || m.rows() == "" {
			t.Errorf("%s: there is no test %s of a row", m.what, m.test)
		}
		if seen[m.test+m.what] || m.what == "" || len(m.edits) == 0 {
			t.Errorf("%s: %q stands twice, or says nothing", m.test, m.what)
		}
		seen[m.test+m.what] = true
		files, err := m.files(root)
		if err != nil {
			t.Error(err)
		}
		for name, text := range files {
			if now, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(now) == text {
				t.Errorf("%s: %s is as it was", m.what, name)
			}
			if filepath.Ext(name) != ".go" {
				continue
			}
			if _, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution); err != nil {
				t.Errorf("%s: %v", m.what, err)
			}
		}
	}
}

// A piece that is gone, or stands twice, is an error that says so; pieces of one file add up.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("one two two"), 0o600); err != nil {
		t.Fatal(err)
	}
	for old, want := range map[string]string{"three": `0 times "three"`, "two": `2 times "two"`} {
		_, err := mutation{what: "x", edits: []edit{{"a.go", old, ""}}}.files(dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "out of date") {
			t.Errorf("%s: got %v, want %s", old, err, want)
		}
	}
	got, err := mutation{edits: []edit{{"a.go", "one", "two"}, {"a.go", "two two two", "three"}}}.files(dir)
	if err != nil || got["a.go"] != "three" {
		t.Errorf("two pieces of one file: got %q, %v", got, err)
	}
	if _, err := (mutation{edits: []edit{{"b.go", "", ""}}}).files(dir); err == nil {
		t.Error("a file that is not there is changed")
	}
}

// A test that spoke for itself is told from one that did not come so far.
func TestJudge(t *testing.T) {
	for out, want := range map[string]verdict{
		"=== RUN   TestX\n--- FAIL: TestX (0.10s)\n    --- FAIL: TestX/sqlite (0.10s)\nFAIL\n":                      noticed,
		"=== RUN   TestX\n--- PASS: TestX (0.10s)\nPASS\n":                                                          survived,
		"testing: warning: no tests to run\nPASS\n":                                                                 unheard,
		"--- FAIL: TestX2 (0.10s)\nFAIL\n":                                                                          unheard,
		"=== RUN   TestX\npanic: test timed out after 3m0s\n\trunning tests:\n\t\tTestX (3m0s)\n":                   stuck,
		"=== RUN   TestX\n=== RUN   TestX/sqlite\npanic: runtime error: index out of range [0] with length 0\n\ngo": unheard,
	} {
		if got := judge("TestX", out); got != want {
			t.Errorf("%q: got %q, want %q", out, got, want)
		}
	}
}
