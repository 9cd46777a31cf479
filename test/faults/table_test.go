package faults

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	page       = "../../docs/explanation/reliability.md"
	tableBegin = "<!-- The table is written by make faults. -->\n"
	tableEnd   = "<!-- End of the table. -->\n"
)

// splitPage returns the page without what is between the marks.
func splitPage(t *testing.T) (before, table, after string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	table, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", page)
	}
	return before, table, after
}

// row returns the start of the row of a fault, up to what was seen.
func (f fault) row() string { return fmt.Sprintf("| %s | %s |", f.name, f.promise) }

// writeTable writes what was seen. The rows of faults that did not run stay as they are.
func writeTable(t *testing.T, texts map[string]string) {
	t.Helper()
	before, table, after := splitPage(t)
	var b strings.Builder
	fmt.Fprintf(&b, "\nRun of %s on %d processors, each fault for %v or as the row says:\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), longPace.fault)
	b.WriteString("| fault | promise | seen |\n|---|---|---|\n")
	for _, f := range faultList {
		text, ran := texts[f.name]
		if !ran {
			_, rest, _ := strings.Cut(table, f.row())
			rest, _, _ = strings.Cut(rest, "|\n")
			text = strings.TrimSpace(rest)
		}
		fmt.Fprintf(&b, "%s %s |\n", f.row(), cmp.Or(text, "**broken**: no sign-in within a minute"))
	}
	b.WriteString("\n")
	if err := os.WriteFile(page, []byte(before+tableBegin+b.String()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The page lists these faults and these promises.
func TestPageListsEveryFault(t *testing.T) {
	_, table, _ := splitPage(t)
	for _, f := range faultList {
		if !strings.Contains(table, f.row()) {
			t.Errorf("%s lacks the row %q: run make faults", page, f.row())
		}
	}
	if rows := strings.Count(table, "\n| ") - 1; rows != len(faultList) {
		t.Errorf("%s has %d rows, want %d: run make faults", page, rows, len(faultList))
	}
}
