package web

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/page"
)

type inboxPage struct {
	Messages []delivery.Arrived // newest first
	Now      time.Time
	Clock    bool   // the clock may be moved
	Minutes  string // as it was typed
}

// inboxRoutes exist in local mode only, where the inbox is this machine's own.
func (s *Site) inboxRoutes() []page.Route {
	if s.Inbox == nil {
		return nil
	}
	routes := []page.Route{
		s.open("GET /inbox", s.showInbox),
		s.open("GET /inbox/{id}", s.showMessage),
		s.open("GET /inbox/{id}/text", s.showText),
	}
	if s.Turn != nil {
		routes = append(routes, s.open("POST /inbox/clock", s.turnClock))
	}
	return routes
}

func inboxSheet(all []delivery.Arrived, now time.Time, clock bool) page.Sheet {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b delivery.Arrived) int { return b.At.Compare(a.At) })
	return page.Sheet{Name: "inbox", Title: "inbox.title", Wide: true,
		Page: inboxPage{Messages: sorted, Now: now, Clock: clock, Minutes: "16"}}
}

func (s *Site) inboxSheet() (page.Sheet, error) {
	all, err := s.Inbox.List()
	return inboxSheet(all, s.Pages.Clocked(), s.Turn != nil), err
}

func (s *Site) showInbox(w http.ResponseWriter, r *http.Request) error {
	sheet, err := s.inboxSheet()
	if err != nil {
		return err
	}
	return s.print(w, r, sheet)
}

// foreign is the policy for a document that is not ours: it may do nothing at all.
const foreign = "default-src 'none'; sandbox; frame-ancestors 'none'"

// showMessage shows a mail as its own document, the HTML part if it has one.
func (s *Site) showMessage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.message(r)
	if err != nil {
		return err
	}
	kind, body := "text/html; charset=utf-8", m.HTML
	if body == "" {
		kind, body = "text/plain; charset=utf-8", m.Text
	}
	return writeForeign(w, kind, body)
}

// showText shows the message as it would travel, headers and all.
func (s *Site) showText(w http.ResponseWriter, r *http.Request) error {
	m, err := s.message(r)
	if err != nil {
		return err
	}
	return writeForeign(w, "text/plain; charset=utf-8", cmp.Or(m.Raw, m.Text))
}

func writeForeign(w http.ResponseWriter, kind, body string) error {
	w.Header().Set("Content-Security-Policy", foreign)
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write([]byte(body))
	return nil
}

// message looks the id up in the list, so that an id from a request never becomes a
// file name.
func (s *Site) message(r *http.Request) (delivery.Arrived, error) {
	all, err := s.Inbox.List()
	if err != nil {
		return delivery.Arrived{}, err
	}
	i := slices.IndexFunc(all, func(m delivery.Arrived) bool { return m.ID == r.PathValue("id") })
	if i < 0 {
		return delivery.Arrived{}, page.ErrNotFound
	}
	return all[i], nil
}

// maxTurn is the farthest the clock is moved at once: 41 days, more than trust lasts.
const maxTurn = 60000

func (s *Site) turnClock(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "minutes")
	if err != nil {
		return err
	}
	minutes, err := strconv.Atoi(form["minutes"])
	if err != nil || minutes < 1 || minutes > maxTurn {
		return s.clockWrong(w, r, form["minutes"])
	}
	s.Turn(time.Duration(minutes) * time.Minute)
	return redirect(w, r, "/inbox")
}

func (s *Site) clockWrong(w http.ResponseWriter, r *http.Request, typed string) error {
	sheet, err := s.inboxSheet()
	if err != nil {
		return err
	}
	p := sheet.Page.(inboxPage)
	p.Minutes = typed
	sheet.Page = p
	sheet.Status = http.StatusUnprocessableEntity
	sheet.Problems = []page.Problem{{Field: "minutes", Key: "inbox.clock.problem"}}
	return s.print(w, r, sheet)
}
