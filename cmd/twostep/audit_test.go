package main

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
)

// No cell starts a formula, whoever wrote it, and the text of a cell is otherwise unchanged.
func TestCSVWithoutFormulas(t *testing.T) {
	var out bytes.Buffer
	p := (&auditCommand{CSV: true}).printer(&out)
	events := []twostep.AuditEvent{{Event: "password.rejected", Browser: "=1+1", Reason: "+1", Target: "-1",
		Client: "@x", ActorID: "\tx", Account: `a,"b`, Count: 1}}
	for range 2 {
		if err := p.print(events); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[0], " ") != strings.Join(twostep.AuditCSVHeader(), " ") {
		t.Fatalf("%q, %v", rows, err)
	}
	cells := strings.Join(rows[1], "|")
	for _, want := range []string{"'=1+1", "'+1", "'-1", "'@x", "'\tx", `a,"b`} {
		if !strings.Contains(cells, "|"+want+"|") {
			t.Errorf("%q does not hold %q", cells, want)
		}
	}
}

// The name of a browser cannot control the terminal or break the table.
func TestTableIsPlain(t *testing.T) {
	var out bytes.Buffer
	err := (&auditCommand{}).printer(&out).print([]twostep.AuditEvent{{Event: "client.rejected",
		Reason: "a\x1b[2J\n\u202eb", Count: 3}})
	if lines := strings.Split(out.String(), "\n"); err != nil || len(lines) != 3 ||
		!strings.Contains(lines[1], "a[2Jb, 3 times") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"24h":                       now.Add(-24 * time.Hour),
		"90m":                       now.Add(-90 * time.Minute),
		"2026-11-25T09:30:00Z":      now.Add(-30 * time.Minute),
		"2026-11-25T10:30:00+01:00": now.Add(-30 * time.Minute),
	} {
		if got, err := moment("since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"-24h", "yesterday", "2026-11-25", "24"} {
		if got, err := moment("since", text, now); err == nil || !strings.Contains(err.Error(), `--since is "`+text+`"`) {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
}
