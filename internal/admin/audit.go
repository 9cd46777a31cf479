package admin

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/trust"
)

// eventsPerPage is how many events a page shows.
const eventsPerPage = 15

type auditPage struct {
	frame
	Kinds     []kindOption
	Query     auditQuery
	Events    []eventRow
	Newest    string // the URL of the first page; "": this is it
	Older     string // the URL of the next page; "": there is none
	CSV, JSON string // the URLs of the exports; "": the role may not export
}

// kindOption is a kind of event to filter by.
type kindOption struct{ Kind, Name string }

// kindOptions returns all kinds, by name.
func kindOptions(words i18n.Localizer) (list []kindOption) {
	for _, d := range audit.Describe() {
		list = append(list, kindOption{string(d.Kind), kindName(words, string(d.Kind))})
	}
	slices.SortFunc(list, func(a, b kindOption) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// auditQuery is the form of the page, as it was sent.
type auditQuery struct {
	Person, Kind, Result, Address, Since, Until string
}

// eventRow is an event in a list.
type eventRow struct {
	ID, Kind string
	Name     string // of the kind, for people
	Reason   string
	At       time.Time
	Failed   bool
	Count    int64
	Person   person
	Actor    person // empty: the person
	ActorIs  string // text key of the type of the actor
	Address  string
}

// person is an account that is linked, or only named.
type person struct {
	ID   string // "": there is no such account any more
	Name string // the address, or the id
}

func newPerson(id, email string) person {
	if email == "" {
		return person{Name: id}
	}
	return person{id, email}
}

// auditDate is the format of the fields of a date (HTML, input type=date).
const auditDate = "2006-01-02"

// parseAudit reads the filter of a page from its address.
func (s *Handlers) parseAudit(r *http.Request) (q auditQuery, f audit.Filter, wrong []render.Problem, err error) {
	sent := r.URL.Query()
	get := func(name string) string { return strings.TrimSpace(sent.Get(name)) }
	q = auditQuery{get("person"), get("kind"), get("result"), get("address"), get("since"), get("until")}
	if q.Person != "" {
		f.Account = q.Person
		found, err := s.Accounts.Find(r.Context(), q.Person)
		switch {
		case err == nil:
			f.Account = found.ID
		case errors.Is(err, account.ErrUnknown):
			wrong = append(wrong, render.Problem{Field: "person", Key: "admin.audit.nobody"})
		case !errors.Is(err, account.ErrEmail): // otherwise it is an id
			return q, f, nil, err
		}
	}
	if kind := audit.Kind(q.Kind); kind.Known() {
		f.Kinds = []audit.Kind{kind}
	} else if q.Kind != "" {
		wrong = append(wrong, render.Problem{Field: "kind", Key: "admin.audit.nokind"})
	}
	switch f.Result = audit.Result(q.Result); f.Result {
	case "", audit.Success, audit.Failure:
	default:
		return q, f, nil, render.ErrInvalidForm
	}
	if q.Address != "" {
		address, err := netip.ParseAddr(q.Address)
		if err != nil {
			wrong = append(wrong, render.Problem{Field: "address", Key: "admin.audit.noaddress"})
		}
		f.Address = address.String()
	}
	zone := s.Pages.Location
	if zone == nil {
		zone = time.UTC
	}
	for _, date := range []struct {
		field string
		text  *string
		into  *time.Time
		days  int
	}{{"since", &q.Since, &f.Since, 0}, {"until", &q.Until, &f.Until, 1}} { // until is the last day
		if *date.text == "" {
			continue
		}
		day, err := time.ParseInLocation(auditDate, *date.text, zone)
		if err != nil {
			wrong = append(wrong, render.Problem{Field: date.field, Key: "admin.audit.nodate"})
			*date.text = "" // browsers complain about another value
			continue
		}
		*date.into = day.AddDate(0, 0, date.days)
	}
	return q, f, wrong, nil
}

// Filtered reports whether one of the fields is set that are hidden otherwise, also if its value is wrong.
func (q auditQuery) Filtered() bool {
	q.Person = ""
	return q != auditQuery{}
}

// values returns the query of an address with this filter.
func (q auditQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"person": q.Person, "kind": q.Kind, "result": q.Result, "address": q.Address, "since": q.Since, "until": q.Until,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func address(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// showAudit lists security events, newest first.
func (s *Handlers) showAudit(w http.ResponseWriter, r *http.Request, who operator) error {
	q, filter, wrong, err := s.parseAudit(r)
	if err != nil {
		return err
	}
	p := auditPage{frame: who.frame(r, "audit"), Query: q}
	p.Kinds = kindOptions(s.Pages.Localizer(r))
	view := newView("audit", "admin.audit.title", nil)
	if view.Problems = wrong; len(wrong) > 0 {
		view.Status, view.Data = http.StatusUnprocessableEntity, p
		return s.Pages.Render(w, r, view)
	}
	before, older := audit.ParseEventID(r.URL.Query().Get("before")) // an invalid one starts at the newest event
	filter.Before, filter.Limit = before, eventsPerPage+1
	events, err := s.Accounts.Audit().List(r.Context(), filter)
	if err != nil {
		return err
	}
	if len(events) > eventsPerPage {
		events = events[:eventsPerPage]
		v := q.values()
		v.Set("before", events[eventsPerPage-1].ID.String())
		p.Older = address("/admin/audit", v)
	}
	if older {
		p.Newest = address("/admin/audit", q.values())
	}
	if who.may(exporters) {
		p.CSV, p.JSON = address("/admin/audit.csv", q.values()), address("/admin/audit.json", q.values())
	}
	for _, e := range events {
		p.Events = append(p.Events, newEventRow(s.Pages.Localizer(r), e))
	}
	view.Data = p
	return s.Pages.Render(w, r, view)
}

// kindName returns the name of a kind of event for people.
func kindName(words i18n.Localizer, kind string) string {
	key := "event." + kind
	if name := words.Translate(key); name != key {
		return name
	}
	return kind // of a newer server on the same database
}

func newEventRow(words i18n.Localizer, e audit.Event) eventRow {
	row := eventRow{
		ID: e.ID.String(), Kind: string(e.Kind), Name: kindName(words, string(e.Kind)), Reason: e.Reason, At: e.At, Failed: e.Result == audit.Failure,
		Count: e.Occurrences, ActorIs: "admin.actor." + e.Actor.Type,
	}
	if e.Account != "" {
		row.Person = newPerson(e.Account, e.Owner)
	}
	if e.Actor.ID != "" && e.Actor.ID != e.Account {
		row.Actor = newPerson(e.Actor.ID, e.ActorEmail)
	}
	if e.Address != "" {
		row.Address = origin.DescribeAddress(e.Address, words.Tag())
	}
	return row
}

type eventPage struct {
	frame
	eventRow
	Description string // in English, as in the documentation
	Browser     string
	Facts       []fact
}

// fact is a field of an event, as programs name it.
type fact struct{ Name, Value string }

// showEvent shows everything about one event.
func (s *Handlers) showEvent(w http.ResponseWriter, r *http.Request, who operator) error {
	id, ok := audit.ParseEventID(r.PathValue("id"))
	if !ok {
		return render.ErrNotFound
	}
	e, err := s.Accounts.Audit().Get(r.Context(), id)
	if errors.Is(err, audit.ErrNoEvent) {
		return render.ErrNotFound
	}
	if err != nil {
		return err
	}
	words := s.Pages.Localizer(r)
	p := eventPage{frame: who.frame(r, "audit"), eventRow: newEventRow(words, e)}
	for _, d := range audit.Describe() {
		if d.Kind == e.Kind {
			p.Description = strings.ToUpper(d.When[:1]) + d.When[1:] + "."
		}
	}
	if e.Browser != "" {
		p.Browser = origin.DescribeBrowser(trust.ParseBrowser(e.Browser, ""), words.Tag())
	}
	for _, f := range []fact{
		{"event", p.Kind}, {"target", e.Target}, {"client", e.Client}, {"sign_in", e.SignIn}, {"trace", e.Trace}, {"browser", e.Browser},
		{"account", e.Account}, {"id", p.ID},
	} {
		if f.Value != "" {
			p.Facts = append(p.Facts, f)
		}
	}
	view := newView("event", "", p)
	view.TitleText = p.Name
	return s.Pages.Render(w, r, view)
}

// exportCSV streams the events of a filter as CSV, newest first.
func (s *Handlers) exportCSV(w http.ResponseWriter, r *http.Request, who operator) error {
	out := csv.NewWriter(w)
	return s.exportEvents(w, r, who, "text/csv; charset=utf-8", "audit.csv", func(events []audit.Event, first bool) error {
		if first {
			if err := out.Write(audit.CSVHeader()); err != nil {
				return err
			}
		}
		for _, e := range events {
			if err := out.Write(e.Row().CSV()); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	})
}

// exportJSON streams the events of a filter as JSON, one per line, newest first.
func (s *Handlers) exportJSON(w http.ResponseWriter, r *http.Request, who operator) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return s.exportEvents(w, r, who, "application/x-ndjson", "audit.jsonl", func(events []audit.Event, _ bool) error {
		for _, e := range events {
			if err := out.Encode(e.Row()); err != nil {
				return err
			}
		}
		return nil
	})
}

// exportEvents streams the events of the filter in the address of a request.
func (s *Handlers) exportEvents(
	w http.ResponseWriter, r *http.Request, who operator, kind, file string,
	write func(events []audit.Event, first bool) error,
) error {
	q, filter, wrong, err := s.parseAudit(r)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return render.ErrInvalidForm
	}
	filter.Limit = exportPage
	rows := 0
	return s.stream(w, r, kind, file, func(ctx context.Context, first bool) (func() error, bool, error) {
		events, err := s.Accounts.Audit().List(ctx, filter)
		more := len(events) == exportPage
		if more {
			filter.Before = events[exportPage-1].ID
		}
		return func() error { rows += len(events); return write(events, first) }, more, err
	}, func(ctx context.Context) error {
		return s.Directory.RecordExport(ctx, s.by(r, who), audit.EventsExported, rows,
			filtersOf(q.values(), "person", "address"))
	})
}
