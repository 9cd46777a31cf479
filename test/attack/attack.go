// Package attack runs every attack of a catalogue against a running server.
//
// The catalogue is testdata/catalogue.txt: what could go wrong, and the test that tries it, or
// the reason why it cannot happen yet. A test is named after what must hold; the comment above it
// describes the attack. All of it but the catalogue is tests.
package attack

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed testdata/catalogue.txt
var catalogue string

// Row is a line of the catalogue.
type Row struct {
	ID     string // three digits
	Attack string // what goes wrong
	Tests  []Test // that try it
	Later  string // the key of the reason why there is no test; "" if there is one
}

// Test names a test function.
type Test struct {
	Folder string // below the root of the repository, or "attack", "e2e", "sim"
	Name   string
}

// Catalogue returns all rows. It returns an error that quotes the line that is not one.
func Catalogue() (rows []Row, err error) {
	for line := range strings.Lines(catalogue) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
			return nil, fmt.Errorf("attack: not a row of the catalogue: %q", line)
		}
		r := Row{ID: parts[0], Attack: parts[1]}
		if later, ok := strings.CutPrefix(parts[2], "later "); ok {
			r.Later = later
			rows = append(rows, r)
			continue
		}
		for test := range strings.SplitSeq(parts[2], ", ") {
			folder, name, elsewhere := strings.Cut(test, " ")
			if !elsewhere {
				folder, name = "attack", test
			}
			r.Tests = append(r.Tests, Test{folder, name})
		}
		rows = append(rows, r)
	}
	return rows, nil
}
