package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"twostep.example/twostep/test/attack"
)

// mutation is one defence that is taken out, and the test that must notice.
type mutation struct {
	test  string // of attack
	what  string // is wrong without the defence
	edits []edit
	// both says that the test needs both databases: what it looks for is only seen with
	// PostgreSQL, or by comparing the two. The others run with SQLite alone, in half the time.
	both bool
}

// edit puts something else in the place of a piece of a file, which must stand there once:
// if it does not, the file has moved on and the list is out of date.
type edit struct{ file, old, new string }

// subjects are the mutations.
var subjects = [][]mutation{starts, steps, odds, guesses, codes, recoveries, sessions, factors, undos, links, names, sites, texts, inputs, records, places, proxies, apps, devices, documents, registrations, hosts, faults, tabs, operators, webhooks, desks}

// rows are the numbers of the rows of the catalogue that name the test.
func (m mutation) rows() string { return strings.Join(rowsOf()[m.test], " ") }

// rowsOf are the numbers of the rows of the catalogue, by the name of the test in attack.
var rowsOf = sync.OnceValue(func() map[string][]string {
	rows, err := attack.Catalogue()
	if err != nil {
		panic(err) // the tests of attack fail too
	}
	of := map[string][]string{}
	for _, r := range rows {
		for _, t := range r.Tests {
			if t.Folder == "attack" {
				of[t.Name] = append(of[t.Name], r.ID)
			}
		}
	}
	return of
})

// files are the changed files, whole, by their path below root.
func (m mutation) files(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		text, ok := changed[e.file]
		if !ok {
			read, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.what, err)
			}
			text = string(read)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: %s has %d times %q, not once: the list is out of date", m.what, e.file, n, e.old)
		}
		changed[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return changed, nil
}

// overlay writes the changed files into dir, and the list by which the compiler finds them.
func (m mutation) overlay(root, dir string) (list string, err error) {
	files, err := m.files(root)
	if err != nil {
		return "", err
	}
	var replaced struct{ Replace map[string]string }
	replaced.Replace = map[string]string{}
	for name, text := range files {
		path := filepath.Join(dir, strings.ReplaceAll(name, "/", "+"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replaced.Replace[filepath.Join(root, name)] = path
	}
	text, err := json.Marshal(replaced)
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}
