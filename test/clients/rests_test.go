package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A guide says that a test runs it, and in which version, if and only if the list has a client of its name.
func TestGuidesSayWhichAreRun(t *testing.T) {
	pages, err := filepath.Glob("../../docs/guides/apps/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	said := map[string]string{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if _, what, ok := strings.Cut(string(text), "\nRun by a test: "); ok {
			said[strings.TrimSuffix(filepath.Base(page), ".md")] = what
		}
	}
	var pins strings.Builder // the versions that are installed
	for _, name := range []string{
		"../../tools/clients.sh", "node/package.json", "angular/package.json", "python/requirements.txt", "java/pom.xml",
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pins.Write(text)
	}
	for _, r := range list {
		if version := r.version[strings.LastIndex(r.version, " ")+1:]; !strings.Contains(pins.String(), version) {
			t.Errorf("%s: version %s is not the one that is installed", r.name, version)
		}
		if !strings.Contains(said[r.name], r.version) {
			t.Errorf("%s.md must say in its last section: Run by a test: %s", r.name, r.version)
		}
	}
	for name := range said {
		if !slices.ContainsFunc(list, func(r *row) bool { return r.name == name }) {
			t.Errorf("%s.md says that a test runs it, but the list of clients does not have it", name)
		}
	}
}
