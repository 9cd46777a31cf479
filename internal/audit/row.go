package audit

import (
	"regexp"
	"strconv"
	"time"
)

// Row is an event as programs read it: JSON, or a line of CSV.
type Row struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	Result    string    `json:"result"`
	ActorType string    `json:"actor_type"`
	ActorID   string    `json:"actor_id"`
	Account   string    `json:"account"`
	Email     string    `json:"email"`
	Target    string    `json:"target"`
	Reason    string    `json:"reason"`
	Client    string    `json:"client"`
	SignIn    string    `json:"sign_in"`
	Address   string    `json:"address"`
	Browser   string    `json:"browser"`
	Trace     string    `json:"trace"`
	Count     int64     `json:"count"`
}

// Row returns the event for programs.
func (e Event) Row() Row {
	return Row{
		ID: e.ID.String(), Time: e.At.UTC(), Event: string(e.Kind), Result: string(e.Result),
		ActorType: e.Actor.Type, ActorID: e.Actor.ID,
		Account: e.Account, Email: e.Owner, Target: e.Target, Reason: e.Reason, Client: e.Client, SignIn: e.SignIn,
		Address: e.Address, Browser: e.Browser, Trace: e.Trace, Count: e.Occurrences,
	}
}

// CSVHeader returns the names of the columns of CSV.
func CSVHeader() []string {
	return []string{
		"time", "event", "result", "actor_type", "actor_id", "account", "email", "target", "reason", "client", "sign_in",
		"address", "browser", "trace", "count", "id",
	}
}

// CSV returns the columns of CSVHeader.
func (r Row) CSV() []string {
	row := []string{
		r.Time.Format(time.RFC3339Nano), r.Event, r.Result, r.ActorType, r.ActorID, r.Account, r.Email, r.Target,
		r.Reason, r.Client, r.SignIn, r.Address, r.Browser, r.Trace, strconv.FormatInt(r.Count, 10), r.ID,
	}
	for i := range row {
		row[i] = Cell(row[i])
	}
	return row
}

// formula matches what begins a formula: at the start of a cell, or after a character that separates cells where a
// spreadsheet splits lines by another one than the comma, as it does in German.
var formula = regexp.MustCompile(`(^|[;,|\t\r\n"']\s*)([=+\-@\t\r\n])`)

// Cell puts an apostrophe before each part of a text that a spreadsheet would evaluate as a formula (OWASP, CSV
// Injection). The client controls the name of the browser and the address, and people their names.
func Cell(text string) string { return formula.ReplaceAllString(text, "$1'$2") }
