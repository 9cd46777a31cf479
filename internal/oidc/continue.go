package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// goOn is where somebody comes back to whose request waits.
func (p *Provider) goOn(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("request")
	q, err := p.Grants.Waiting(r.Context(), token)
	if err != nil {
		return p.stray(w, r, err)
	}
	return p.proceed(w, r, q, token)
}

// who is the person who is in; nil if nobody is.
func (p *Provider) who(r *http.Request) (*session.Session, error) {
	found, err := p.Sessions.Get(r.Context(), p.Pages.Cookie(r, page.SessionCookie))
	if errors.Is(err, session.ErrNoSession) {
		return nil, nil
	}
	return &found, err
}

// proceed takes a request one step further. The token is that under which it waits; "" if it
// does not yet.
func (p *Provider) proceed(w http.ResponseWriter, r *http.Request, q grant.Request, token string) error {
	page.Speak(r, q.Locales)
	who, err := p.who(r)
	if err != nil {
		return err
	}
	standing, err := p.Grants.Standing(r.Context(), q, who)
	if errors.Is(err, grant.ErrNoApp) {
		return p.stray(w, r, &errStray{"oidc.noapp", "the app " + q.App + " was removed"})
	}
	if err != nil {
		return err
	}
	step, code := q.Next(standing)
	if step == grant.StepRefused {
		if err := p.denied(r, standing, code); err != nil {
			return err
		}
		return p.end(w, r, q, token, failed(code, ""))
	}
	if step == grant.StepAllowed {
		return p.allow(w, r, q, token, *who)
	}
	if token == "" {
		if token, err = p.Grants.Wait(r.Context(), q, p.Pages.From(r)); err != nil {
			return err
		}
		if step == grant.StepChoose || step == grant.StepConsent { // pages of ours: they get an address that can be loaded again
			return see(w, r, grant.Continuing(token))
		}
	}
	return p.ask(w, r, asking{step, q, token, standing})
}

// denied records that somebody who is in may not use the app, if that is why they are sent back.
func (p *Provider) denied(r *http.Request, s grant.Standing, code string) error {
	if s.Who == nil || code != "access_denied" && code != "unmet_authentication_requirements" {
		return nil
	}
	return p.Grants.Deny(r.Context(), *s.Who, s.App.ID, code, p.Pages.From(r))
}

// asking is a request whose person is asked something.
type asking struct {
	step     grant.Step
	q        grant.Request
	token    string // under which it waits
	standing grant.Standing
}

// ask sends somebody to what is next, which leads back to grant.Continue.
func (p *Provider) ask(w http.ResponseWriter, r *http.Request, a asking) error {
	to := func(page string) error {
		return see(w, r, page+"?"+url.Values{"return_to": {grant.Continuing(a.token)}}.Encode())
	}
	switch a.step {
	case grant.StepSignIn:
		return to("/signin")
	case grant.StepConfirm:
		return to("/settings/confirm")
	case grant.StepAct:
		if err := p.Grants.Act(r.Context(), a.token); err != nil {
			return err
		}
		return to(p.actions()[a.q.Action])
	case grant.StepChoose:
		return p.showChoice(w, r, a)
	}
	return p.showConsent(w, r, a)
}

// actions are the pages of the settings that an app may send somebody to, so that its own menu
// may lead there and Continue back (the seed: "opens in a new window").
func (p *Provider) actions() map[string]string {
	pages := map[string]string{"password": "/settings/password"}
	for _, m := range p.Methods {
		if path := m.About().Path; path != "" {
			pages[path] = "/settings/2step/" + path
		}
	}
	return pages
}

func (p *Provider) acts(action string) error {
	if action != "" && p.actions()[action] == "" {
		return invalid("twostep_action is none of app, sms and password")
	}
	return nil
}

// allow gives the app its code.
func (p *Provider) allow(w http.ResponseWriter, r *http.Request, q grant.Request, token string, who session.Session) error {
	code, err := p.Grants.Issue(r.Context(), q, who, p.Pages.From(r))
	if err != nil {
		return err
	}
	return p.end(w, r, q, token, url.Values{"code": {code}})
}

// end answers a request, once.
func (p *Provider) end(w http.ResponseWriter, r *http.Request, q grant.Request, token string, values url.Values) error {
	if token != "" {
		if err := p.Grants.Answered(r.Context(), token); err != nil {
			return p.stray(w, r, err)
		}
	}
	return p.back(w, r, q, values)
}

// back sends the person back to the app, with the answer to what it asked and our own name, so
// that it knows who answers (RFC 9207).
func (p *Provider) back(w http.ResponseWriter, r *http.Request, q grant.Request, values url.Values) error {
	values.Set("iss", p.Grants.Issuer)
	if q.State != "" {
		values.Set("state", q.State)
	}
	if q.Mode == "form_post" {
		return p.post(w, r, q.Redirect, values)
	}
	return see(w, r, with(q.Redirect, values))
}

// with is an address with more in its query. What stands in it already stays letter for letter (RFC
// 6749 3.1.2); none of the addresses has a fragment.
func with(address string, values url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + values.Encode()
	}
	return address + "?" + values.Encode()
}

type postPage struct {
	Action string
	Values url.Values
}

// post is the answer as a form that sends itself (OAuth 2.0 Form Post Response Mode).
func (p *Provider) post(w http.ResponseWriter, r *http.Request, to string, values url.Values) error {
	page.Lead(w, grant.Origin(to))
	return p.Pages.Print(w, r, page.Sheet{Of: templates(), Name: "post", Title: "oidc.post.title", Page: postPage{to, values}})
}
