package demo

import (
	"bytes"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// session is a signed-in person, from the claims of the ID token.
type session struct {
	Subject  string `json:"sub"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	SID      string `json:"sid"`
	ACR      string `json:"acr"`
	AuthTime int64  `json:"auth_time"`

	rawIDToken string         // id_token_hint at sign-out
	claims     map[string]any // the claims of the ID token
	paid       []string
}

type invoice struct{ ID, Customer, Due, Amount string }

// invoices are the same for every account.
func invoices() []invoice {
	return []invoice{
		{"1", "Bakery Brown", "1 December", "1,240.00"},
		{"2", "Garden Green", "8 December", "310.50"},
		{"3", "Mill & White", "15 December", "2,075.00"},
	}
}

func findInvoice(id string) (invoice, bool) {
	all := invoices()
	i := slices.IndexFunc(all, func(one invoice) bool { return one.ID == id })
	if i < 0 {
		return invoice{}, false
	}
	return all[i], true
}

// pageData is the data of a page.
type pageData struct {
	Template, Title string
	Status          int
	Session         *session
	Path            string // of the request, for the menu
	Invoice         invoice
	ProofFresh      bool // the session satisfies hasFreshProof
	Paid            bool
	Invoices        []invoiceRow
	Claims          []claim
}

type invoiceRow struct {
	invoice
	Paid bool
}

var templates = sync.OnceValue(
	func() *template.Template { return template.Must(template.ParseFS(templateFiles, "pages/*.html")) },
)

func (a *App) render(w http.ResponseWriter, r *http.Request, s pageData) {
	if s.Session == nil {
		if who, ok := a.sessions.get(cookie(r, sessionCookie)); ok {
			s.Session = &who
		}
	}
	s.Path = r.URL.Path
	var body bytes.Buffer
	t, err := templates().Clone()
	if err == nil {
		t, err = t.AddParseTree("main", t.Lookup(s.Template).Tree)
	}
	if err == nil {
		err = t.ExecuteTemplate(&body, "frame.html", s)
	}
	if err != nil {
		a.Log.Error("demo app: rendering a page failed", "error", err)
		http.Error(w, "This page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(max(s.Status, http.StatusOK))
	_, _ = w.Write(body.Bytes())
}

// requireSession returns the session of the request. Without one it starts a sign-in that returns to the same page.
func (a *App) requireSession(w http.ResponseWriter, r *http.Request) (session, bool) {
	s, ok := a.sessions.get(cookie(r, sessionCookie))
	if !ok {
		a.startAuthorization(w, r, r.URL.Path)
	}
	return s, ok
}

func (a *App) showHome(w http.ResponseWriter, r *http.Request) {
	who, ok := a.sessions.get(cookie(r, sessionCookie))
	if !ok {
		a.render(w, r, pageData{Template: "welcome", Title: "Welcome to Demo Books"})
		return
	}
	s := pageData{Template: "home", Title: "Invoices", Session: &who}
	for _, i := range invoices() {
		s.Invoices = append(s.Invoices, invoiceRow{i, slices.Contains(who.paid, i.ID)})
	}
	a.render(w, r, s)
}

func (a *App) showSettings(w http.ResponseWriter, r *http.Request) {
	if who, ok := a.requireSession(w, r); ok {
		a.render(w, r, pageData{Template: "settings", Title: "Settings › Billing & Admin", Session: &who})
	}
}

func (a *App) showClaims(w http.ResponseWriter, r *http.Request) {
	if who, ok := a.requireSession(w, r); ok {
		a.render(
			w,
			r,
			pageData{
				Template: "claims", Title: "What this app knows about you", Session: &who, Claims: describeClaims(who.claims),
			},
		)
	}
}

// Paying needs a second step that is not email, in the last five minutes. An app that asks for this must check the
// response as well (RFC 9470 6.2).
const (
	payACR         = "urn:twostep:acr:2"
	payStrongerACR = "urn:twostep:acr:3"
	payMaxAge      = 5 * time.Minute
)

func (a *App) hasFreshProof(s session) bool {
	return (s.ACR == payACR || s.ACR == payStrongerACR) && a.Now().Sub(time.Unix(s.AuthTime, 0)) <= payMaxAge
}

// requireInvoice returns the invoice of the request and the session. Without a session it starts a sign-in.
func (a *App) requireInvoice(w http.ResponseWriter, r *http.Request) (i invoice, who session, ok bool) {
	if i, ok = findInvoice(r.PathValue("id")); !ok {
		http.NotFound(w, r)
		return i, who, false
	}
	who, ok = a.sessions.get(cookie(r, sessionCookie))
	if !ok {
		a.startAuthorization(w, r, BasePath+"pay/"+i.ID)
	}
	return i, who, ok
}

func (a *App) showPay(w http.ResponseWriter, r *http.Request) {
	if i, who, ok := a.requireInvoice(w, r); ok {
		a.render(
			w,
			r,
			pageData{
				Template:   "pay",
				Title:      "Pay an invoice",
				Session:    &who,
				Invoice:    i,
				ProofFresh: a.hasFreshProof(who),
				Paid:       slices.Contains(who.paid, i.ID),
			},
		)
	}
}

// handlePay pays the invoice if the authentication is strong and recent enough, and requests a step-up otherwise.
func (a *App) handlePay(w http.ResponseWriter, r *http.Request) {
	i, who, ok := a.requireInvoice(w, r)
	if !ok {
		return
	}
	returnTo := BasePath + "pay/" + i.ID
	if !a.hasFreshProof(who) {
		a.startAuthorization(
			w, r, returnTo, oauth2.SetAuthURLParam("acr_values", payACR), oauth2.SetAuthURLParam("max_age", "300"),
		)
		return
	}
	a.sessions.update(cookie(r, sessionCookie), func(s *session) { s.paid = append(slices.Clone(s.paid), i.ID) })
	http.Redirect(w, r, returnTo, http.StatusSeeOther)
}

// showSetup says that the account lacks the second step that paying needs.
func (a *App) showSetup(w http.ResponseWriter, r *http.Request) {
	if i, who, ok := a.requireInvoice(w, r); ok {
		a.render(w, r, pageData{Template: "setup", Title: "Set up another method first", Session: &who, Invoice: i})
	}
}

func (a *App) showSignInFailed(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, pageData{Template: "sorry", Title: "You aren't signed in"})
}

func (a *App) serveStyle(w http.ResponseWriter, _ *http.Request) {
	text, err := templateFiles.ReadFile("pages/style.css")
	if err != nil {
		http.Error(w, "no style", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(text)
}
