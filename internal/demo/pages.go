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

// session is somebody who is in, as the ID token tells of them.
type session struct {
	Subject  string `json:"sub"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	SID      string `json:"sid"`
	ACR      string `json:"acr"`
	AuthTime int64  `json:"auth_time"`

	raw  string         // the ID token itself: at sign-out it says whose
	all  map[string]any // its claims
	paid []string
}

type invoice struct{ ID, Customer, Due, Amount string }

// invoices never change, and are everybody's: this is a demo.
func invoices() []invoice {
	return []invoice{
		{"1", "Bakery Brown", "1 December", "1,240.00"},
		{"2", "Garden Green", "8 December", "310.50"},
		{"3", "Mill & White", "15 December", "2,075.00"},
	}
}

func invoiceOf(id string) (invoice, bool) {
	all := invoices()
	i := slices.IndexFunc(all, func(one invoice) bool { return one.ID == id })
	if i < 0 {
		return invoice{}, false
	}
	return all[i], true
}

// sheet is a page.
type sheet struct {
	Name, Title string
	Status      int
	Who         *session
	At          string // the path, for the menu
	Invoice     invoice
	Ready       bool // a proof that is good enough was given
	Paid        bool
	Invoices    []row
	Claims      []claim
}

type row struct {
	invoice
	Paid bool
}

var templates = sync.OnceValue(func() *template.Template { return template.Must(template.ParseFS(files, "pages/*.html")) })

func (a *App) print(w http.ResponseWriter, r *http.Request, s sheet) {
	if s.Who == nil {
		if who, ok := a.sessions.get(cookie(r, sessionCookie)); ok {
			s.Who = &who
		}
	}
	s.At = r.URL.Path
	var body bytes.Buffer
	t, err := templates().Clone()
	if err == nil {
		t, err = t.AddParseTree("main", t.Lookup(s.Name).Tree)
	}
	if err == nil {
		err = t.ExecuteTemplate(&body, "frame.html", s)
	}
	if err != nil {
		a.Log.Error("demo app: page", "error", err)
		http.Error(w, "This page could not be printed.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(max(s.Status, http.StatusOK))
	_, _ = w.Write(body.Bytes())
}

// in is who is in; whoever is not is sent to sign in, and comes back to the same page.
func (a *App) in(w http.ResponseWriter, r *http.Request) (session, bool) {
	s, ok := a.sessions.get(cookie(r, sessionCookie))
	if !ok {
		a.begin(w, r, r.URL.Path)
	}
	return s, ok
}

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	who, ok := a.sessions.get(cookie(r, sessionCookie))
	if !ok {
		a.print(w, r, sheet{Name: "welcome", Title: "Welcome to Demo Books"})
		return
	}
	s := sheet{Name: "home", Title: "Invoices", Who: &who}
	for _, i := range invoices() {
		s.Invoices = append(s.Invoices, row{i, slices.Contains(who.paid, i.ID)})
	}
	a.print(w, r, s)
}

func (a *App) settings(w http.ResponseWriter, r *http.Request) {
	if who, ok := a.in(w, r); ok {
		a.print(w, r, sheet{Name: "settings", Title: "Settings › Billing & Admin", Who: &who})
	}
}

func (a *App) claims(w http.ResponseWriter, r *http.Request) {
	if who, ok := a.in(w, r); ok {
		a.print(w, r, sheet{Name: "claims", Title: "What this app knows", Who: &who, Claims: explain(who.all)})
	}
}

// What paying needs: a second step that is not a mail, and not long ago. Who asks for such a
// thing must look at the answer too (RFC 9470 6.2).
const (
	payLevel  = "urn:twostep:acr:2"
	payBetter = "urn:twostep:acr:3"
	payAge    = 5 * time.Minute
)

func (a *App) ready(s session) bool {
	return (s.ACR == payLevel || s.ACR == payBetter) && a.Now().Sub(time.Unix(s.AuthTime, 0)) <= payAge
}

// bill is the invoice of a request, and who is in.
func (a *App) bill(w http.ResponseWriter, r *http.Request) (i invoice, who session, ok bool) {
	if i, ok = invoiceOf(r.PathValue("id")); !ok {
		http.NotFound(w, r)
		return i, who, false
	}
	who, ok = a.sessions.get(cookie(r, sessionCookie))
	if !ok {
		a.begin(w, r, Base+"pay/"+i.ID)
	}
	return i, who, ok
}

func (a *App) pay(w http.ResponseWriter, r *http.Request) {
	if i, who, ok := a.bill(w, r); ok {
		a.print(w, r, sheet{Name: "pay", Title: "Pay an invoice", Who: &who, Invoice: i, Ready: a.ready(who), Paid: slices.Contains(who.paid, i.ID)})
	}
}

// confirmPay pays, if the proof is good enough, and else asks for one.
func (a *App) confirmPay(w http.ResponseWriter, r *http.Request) {
	i, who, ok := a.bill(w, r)
	if !ok {
		return
	}
	to := Base + "pay/" + i.ID
	if !a.ready(who) {
		a.begin(w, r, to, oauth2.SetAuthURLParam("acr_values", payLevel), oauth2.SetAuthURLParam("max_age", "300"))
		return
	}
	a.sessions.change(cookie(r, sessionCookie), func(s *session) { s.paid = append(slices.Clone(s.paid), i.ID) })
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// setup says that the account has no second step that paying needs.
func (a *App) setup(w http.ResponseWriter, r *http.Request) {
	if i, who, ok := a.bill(w, r); ok {
		a.print(w, r, sheet{Name: "setup", Title: "One thing is missing", Who: &who, Invoice: i})
	}
}

func (a *App) sorry(w http.ResponseWriter, r *http.Request) {
	a.print(w, r, sheet{Name: "sorry", Title: "The sign-in was not finished"})
}

func (a *App) style(w http.ResponseWriter, _ *http.Request) {
	text, err := files.ReadFile("pages/style.css")
	if err != nil {
		http.Error(w, "no style", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(text)
}
