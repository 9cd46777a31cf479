package web

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/render"
)

type inboxPage struct {
	Messages        []delivery.InboxMessage // newest first
	Older           bool                    // there are more
	Now             time.Time
	CanAdvanceClock bool   // the page has the form that moves the clock
	Minutes         string // as typed
}

// inboxRoutes returns the routes of the inbox, which exist in local mode only. All need the key of the inbox: a proxy
// on this machine may forward requests of the whole world, and nothing in them may show it.
func (s *Handlers) inboxRoutes() []render.Route {
	if s.Inbox == nil {
		return nil
	}
	routes := []render.Route{
		s.public("GET /inbox", s.acceptInboxKey),
		s.public("GET /inbox/{id}", s.requireInboxKey(s.serveMessage)),
		s.public("GET /inbox/{id}/text", s.requireInboxKey(s.serveRawMessage)),
	}
	if s.AdvanceClock != nil {
		routes = append(routes, s.public("POST /inbox/clock", s.requireInboxKey(s.handleAdvanceClock)))
	}
	return routes
}

// requireInboxKey returns h for browsers that have the key of the inbox in their cookie. It returns render.ErrInboxKey
// for others.
func (s *Handlers) requireInboxKey(h render.Handler) render.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.isInboxKey(s.Pages.Cookie(r, render.InboxCookie)) {
			return render.ErrInboxKey
		}
		return h(w, r)
	}
}

func (s *Handlers) isInboxKey(key string) bool {
	return s.InboxKey != "" && subtle.ConstantTimeCompare([]byte(key), []byte(s.InboxKey)) == 1
}

// inboxCookieAge is how long a browser stores the key of the inbox: people restart their browser during a demo.
const inboxCookieAge = 30 * 24 * time.Hour

// acceptInboxKey shows the inbox. It moves the key of the printed address into a cookie first, so that it is not in the
// address of the page.
func (s *Handlers) acceptInboxKey(w http.ResponseWriter, r *http.Request) error {
	key := r.URL.Query().Get("key")
	if !s.isInboxKey(key) {
		return s.requireInboxKey(s.showInbox)(w, r)
	}
	s.Pages.SetPersistentCookie(w, render.InboxCookie, key, inboxCookieAge)
	return redirect(w, r, "/inbox")
}

// newestMessages is how many messages the page shows at first.
const newestMessages = 20

// newInboxPage returns the page with at most limit messages; 0: with all that the inbox stores.
func newInboxPage(all []delivery.InboxMessage, now time.Time, canAdvanceClock bool, limit int) inboxPage {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b delivery.InboxMessage) int { return b.At.Compare(a.At) })
	p := inboxPage{Messages: sorted, Now: now, CanAdvanceClock: canAdvanceClock, Minutes: "16"}
	if limit > 0 && len(sorted) > limit {
		p.Messages, p.Older = sorted[:limit], true
	}
	return p
}

func inboxView(p inboxPage) render.View {
	return render.View{Template: "inbox", Title: "inbox.title", Wide: true, Data: p}
}

func (s *Handlers) loadInboxPage(limit int) (inboxPage, error) {
	all, err := s.Inbox.List()
	return newInboxPage(all, s.Pages.CurrentTime(), s.AdvanceClock != nil, limit), err
}

func (s *Handlers) showInbox(w http.ResponseWriter, r *http.Request) error {
	limit := newestMessages
	if r.URL.Query().Has("all") {
		limit = 0
	}
	p, err := s.loadInboxPage(limit)
	if err != nil {
		return err
	}
	return s.render(w, r, inboxView(p))
}

// sandboxPolicy is the Content-Security-Policy of a message: no scripts, no loads, no forms. Mails are styled inline,
// because mail programs read nothing else.
const sandboxPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"

// serveMessage serves a message as a document of its own: the HTML part if there is one, else the text.
func (s *Handlers) serveMessage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.findMessage(r)
	if err != nil {
		return err
	}
	contentType, body := "text/html; charset=utf-8", m.HTML
	for _, f := range m.Inline {
		data := "data:" + f.ContentType + ";base64," + base64.StdEncoding.EncodeToString(f.Data)
		body = strings.ReplaceAll(body, "cid:"+f.ID, data)
	}
	if body == "" {
		contentType, body = "text/plain; charset=utf-8", m.Text
	}
	return writeSandboxed(w, contentType, body)
}

// serveRawMessage serves the message as it would be sent, with headers.
func (s *Handlers) serveRawMessage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.findMessage(r)
	if err != nil {
		return err
	}
	return writeSandboxed(w, "text/plain; charset=utf-8", cmp.Or(m.Raw, m.Text))
}

func writeSandboxed(w http.ResponseWriter, contentType, body string) error {
	w.Header().Set("Content-Security-Policy", sandboxPolicy)
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write([]byte(body))
	return nil
}

// findMessage looks the id up in the list, so that an id from a request never becomes a file name.
func (s *Handlers) findMessage(r *http.Request) (delivery.InboxMessage, error) {
	all, err := s.Inbox.List()
	if err != nil {
		return delivery.InboxMessage{}, err
	}
	i := slices.IndexFunc(all, func(m delivery.InboxMessage) bool { return m.ID == r.PathValue("id") })
	if i < 0 {
		return delivery.InboxMessage{}, render.ErrNotFound
	}
	return all[i], nil
}

// maxAdvanceMinutes is the most by which one request moves the clock: 41 days, longer than trust lasts.
const maxAdvanceMinutes = 60000

func (s *Handlers) handleAdvanceClock(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "minutes", "add")
	if err != nil {
		return err
	}
	// A button with fixed minutes sends the field too.
	minutes, err := strconv.Atoi(cmp.Or(form["add"], form["minutes"]))
	if err != nil || minutes < 1 || minutes > maxAdvanceMinutes {
		return s.renderClockError(w, r, form["minutes"])
	}
	s.AdvanceClock(time.Duration(minutes) * time.Minute)
	return redirect(w, r, "/inbox")
}

func (s *Handlers) renderClockError(w http.ResponseWriter, r *http.Request, typed string) error {
	p, err := s.loadInboxPage(newestMessages)
	if err != nil {
		return err
	}
	p.Minutes = typed
	view := inboxView(p)
	view.Status = http.StatusUnprocessableEntity
	view.Problems = []render.Problem{{Field: "minutes", Key: "inbox.clock.problem"}}
	return s.render(w, r, view)
}
