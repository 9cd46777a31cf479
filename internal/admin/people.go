package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/render"
)

const (
	// peoplePerPage is how many accounts a page shows.
	peoplePerPage = 25
	// searchTime is how long a page goes on to search a page full of accounts, of many that few fit.
	searchTime = 200 * time.Millisecond
)

type peoplePage struct {
	frame
	Query   peopleQuery
	People  []personRow
	First   string // the URL of the first page; "": this is it
	Next    string // the URL of the next page; "": there is none
	Partial bool   // the search has not come to its end: Next goes on with it
	CSV     string // the URL of the export; "": the role may not export
	MayMail bool   // may invite people
	States  []string
}

// peopleQuery is the form of the page, as it was sent.
type peopleQuery struct {
	Search, Group, State, Methods, Last, Sort string
}

// personRow is an account in the list.
type personRow struct {
	directory.Entry
	RoleKey string // text key; "": no role
	URL     string
}

// peopleStates are the values of the field state. The last one is that of people who have no account yet.
func peopleStates() []string {
	return []string{
		string(directory.StateActive), string(directory.StateDisabled), string(directory.StateFrozen),
		string(directory.StateInvited),
	}
}

// roleKey returns the text key of a role; "" if it has none.
func roleKey(role string) string {
	if role == "" {
		return ""
	}
	return "role." + role
}

// Values of the field last.
const (
	lastRecent = "30d" // signed in within 30 days
	lastLong   = "90d" // not for 90 days, or never
	recently   = 30 * 24 * time.Hour
	longAgo    = 90 * 24 * time.Hour
)

func (s *Handlers) parsePeople(r *http.Request) (q peopleQuery, d directory.Query, err error) {
	sent := r.URL.Query()
	get := func(name string) string { return strings.TrimSpace(sent.Get(name)) }
	q = peopleQuery{get("q"), get("group"), get("state"), get("methods"), get("last"), get("sort")}
	d = directory.Query{
		Search: q.Search, Group: q.Group, State: directory.State(q.State), Methods: directory.Methods(q.Methods),
		Sort: directory.Sort(q.Sort), After: get("after"),
	}
	switch q.Last {
	case "":
	case lastRecent:
		d.SignedInSince = s.Pages.CurrentTime().Add(-recently)
	case lastLong:
		d.SignedInBefore = s.Pages.CurrentTime().Add(-longAgo)
	default:
		return q, d, render.ErrInvalidForm
	}
	return q, d, nil
}

func (q peopleQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"q": q.Search, "group": q.Group, "state": q.State, "methods": q.Methods, "last": q.Last, "sort": q.Sort,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// Filtered reports whether one of the fields is set that are hidden otherwise.
func (q peopleQuery) Filtered() bool {
	q.Search = ""
	return q != peopleQuery{}
}

// parseFrom returns the query of the list from which the page of a person was opened.
func parseFrom(r *http.Request) url.Values {
	sent, _ := url.ParseQuery(r.URL.Query().Get("from")) // what cannot be parsed is left out
	v := url.Values{}
	for _, name := range []string{"q", "group", "state", "methods", "last", "sort", "after"} {
		if value := sent.Get(name); value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// list reads a page of the list. A value that no form of ours sends is render.ErrInvalidForm.
func (s *Handlers) list(ctx context.Context, d directory.Query) (directory.Page, error) {
	page, err := s.Directory.List(ctx, d)
	if errors.Is(err, directory.ErrQuery) {
		return page, render.ErrInvalidForm
	}
	return page, err
}

// showPeople lists accounts.
func (s *Handlers) showPeople(w http.ResponseWriter, r *http.Request, who operator) error {
	q, d, err := s.parsePeople(r)
	if err != nil {
		return err
	}
	p := peoplePage{frame: who.frame(r, "people"), Query: q, MayMail: who.may(helpers), States: peopleStates()}
	from := url.Values{}
	here := q.values()
	if after := r.URL.Query().Get("after"); after != "" {
		here.Set("after", after)
	}
	if len(here) > 0 {
		from.Set("from", here.Encode())
	}
	// A page of the directory reads a limited number of accounts, and may have less than asked for.
	began := time.Now() // not the clock of the pages: durations need the monotonic clock
	for next := d.After; ; {
		d.After, d.Limit = next, peoplePerPage-len(p.People)
		page, err := s.list(r.Context(), d)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			p.People = append(p.People, personRow{e, roleKey(e.Role), address("/admin/people/"+e.ID, from)})
		}
		next = page.Next
		p.Partial = next != "" && len(p.People) < peoplePerPage
		if !p.Partial || time.Since(began) > searchTime {
			if next != "" {
				v := q.values()
				v.Set("after", next)
				p.Next = address("/admin/people", v)
			}
			break
		}
	}
	if r.URL.Query().Has("after") {
		p.First = address("/admin/people", q.values())
	}
	if who.may(exporters) {
		p.CSV = address("/admin/people.csv", q.values())
	}
	return s.Pages.Render(w, r, newView("people", "admin.people.title", p))
}

// peopleHeader names the columns of the export.
func peopleHeader() []string {
	return []string{
		"id", "email", "name", "state", "role", "groups", "other_methods", "created_at", "last_sign_in_at",
	}
}

// exportPeople streams the accounts of a filter as CSV.
func (s *Handlers) exportPeople(w http.ResponseWriter, r *http.Request, who operator) error {
	q, d, err := s.parsePeople(r)
	if err != nil {
		return err
	}
	rows := 0
	out := csv.NewWriter(w)
	d.Limit = exportPage
	return s.stream(w, r, "text/csv; charset=utf-8", "people.csv", func(ctx context.Context, first bool) (func() error, bool, error) {
		page, err := s.list(ctx, d)
		d.After = page.Next
		return func() error {
			if first {
				if err := out.Write(peopleHeader()); err != nil {
					return err
				}
			}
			for _, e := range page.Entries {
				if err := out.Write(csvPerson(e)); err != nil {
					return err
				}
				rows++
			}
			out.Flush()
			return out.Error()
		}, page.Next != "", err
	}, func(ctx context.Context) error {
		return s.Directory.RecordExport(ctx, s.by(r, who), audit.PeopleExported, rows, filtersOf(q.values(), "q", "group"))
	})
}

// filtersOf names the filters of an export for its event, without the values of those that people enter.
func filtersOf(v url.Values, entered ...string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if slices.Contains(entered, name) {
			list = append(list, name)
		} else {
			list = append(list, name+"="+v.Get(name))
		}
	}
	return list
}

func csvPerson(e directory.Entry) []string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	row := []string{
		e.ID, e.Email, e.Name, string(e.State), e.Role, strings.Join(slices.Clone(e.Groups), ","),
		strconv.FormatInt(e.OtherMethods, 10), at(e.CreatedAt), at(e.LastSignInAt),
	}
	for i := range row {
		row[i] = audit.Cell(row[i])
	}
	return row
}
