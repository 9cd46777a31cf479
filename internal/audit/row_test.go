package audit

import "testing"

// A cell of CSV begins no formula, also where a spreadsheet splits the line by another character than the comma.
func TestCellsBeginNoFormula(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"Anna Adams":                 "Anna Adams",
		"=1+1":                       "'=1+1",
		"+49 1":                      "'+49 1",
		"@SUM(A1)":                   "'@SUM(A1)",
		"\t=1":                       "'\t=1",
		"Ben;=1+cmd|'/C calc'!A0":    "Ben;'=1+cmd|'/C calc'!A0",
		"Mozilla/5.0 (X11; =1;Linux": "Mozilla/5.0 (X11; '=1;Linux",
		"a\n-2":                      "a\n'-2",
		`a","=1`:                     `a","'=1`,
		"anna-maria@example.com":     "anna-maria@example.com",
		"2026-11-29T10:00:00+01:00":  "2026-11-29T10:00:00+01:00",
	} {
		if got := Cell(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
