package oidc

import (
	"net/http"
	"net/url"
	"slices"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

type consentPage struct {
	App     string
	Host    string // where the answer goes
	Email   string // whose
	Knows   []string
	Request string
	Session string // to whom this was shown
	Meant   bool   // it can be nobody else
}

// showChoice asks somebody who is in whether it is with this account that they go on.
func (p *Provider) showChoice(w http.ResponseWriter, r *http.Request, a asking) error {
	said := consentPage{App: a.standing.App.Title(), Email: a.standing.Who.Account.Email, Request: a.token, Session: p.Grants.SID(a.standing.Who.ID, a.q.App)}
	page.Lead(w, grant.Origin(a.q.Redirect))
	return p.Pages.Print(w, r, page.Sheet{Of: templates(), Name: "choose", Title: "oidc.choose.title", Page: said})
}

// showConsent asks whether somebody else's app may know what it wants to know.
func (p *Provider) showConsent(w http.ResponseWriter, r *http.Request, a asking) error {
	var knows []string
	for _, scope := range []string{"openid", "email", "profile", "groups", "offline_access"} {
		if slices.Contains(a.q.Scope, scope) {
			knows = append(knows, "oidc.scope."+scope)
		}
	}
	u, err := url.Parse(a.q.Redirect)
	if err != nil {
		return err
	}
	host := u.Host
	if host == "" {
		host = u.Scheme
	}
	said := consentPage{a.standing.App.Title(), host, a.standing.Who.Account.Email, knows, a.token, p.Grants.SID(a.standing.Who.ID, a.q.App), a.q.Subject != ""}
	page.Lead(w, grant.Origin(a.q.Redirect))
	return p.Pages.Print(w, r, page.Sheet{Of: templates(), Name: "consent", Titled: p.Pages.Words(r).Say("oidc.consent.title", "App", said.App), Page: said})
}

// consent is what the person says to it; a no, and that it is somebody else, also come from the
// page on which they are to confirm.
func (p *Provider) consent(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "request", "session", "answer")
	if err != nil {
		return err
	}
	if form["answer"] == "other" { // whatever has become of the request or the session
		return p.another(w, r, form["request"])
	}
	who, err := p.who(r)
	if err != nil {
		return err
	}
	if who == nil {
		return session.ErrNoSession
	}
	q, err := p.Grants.Waiting(r.Context(), form["request"])
	if err != nil {
		return p.stray(w, r, err)
	}
	switch answer := form["answer"]; {
	case answer != "allow" && answer != "same":
		if err := p.Grants.Decline(r.Context(), *who, q.App, p.Pages.From(r)); err != nil {
			return err
		}
		return p.end(w, r, q, form["request"], failed("access_denied", ""))
	case form["session"] != p.Grants.SID(who.ID, q.App): // somebody else is in by now, and is asked
	case answer == "same":
		err = p.Grants.Choose(r.Context(), form["request"], who.Account.ID)
	default:
		err = p.Grants.Consent(r.Context(), *who, q, p.Pages.From(r))
	}
	if err != nil {
		return err
	}
	return see(w, r, grant.Continuing(form["request"]))
}

// another signs out whoever is in; the request goes on with somebody else.
func (p *Provider) another(w http.ResponseWriter, r *http.Request, token string) error {
	if err := p.signOut(w, r); err != nil {
		return err
	}
	if err := p.Grants.Choose(r.Context(), token, ""); err != nil {
		return err
	}
	return see(w, r, grant.Continuing(token))
}
