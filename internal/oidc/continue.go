package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// continueRequest is where somebody comes back to whose request waits.
func (p *Provider) continueRequest(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("request")
	authReq, err := p.Grants.GetAuthRequest(r.Context(), token)
	if err != nil {
		return p.showErrorPage(w, r, err)
	}
	return p.advanceRequest(w, r, authReq, token)
}

// currentSession is the person who is in; nil if nobody is.
func (p *Provider) currentSession(r *http.Request) (*session.Session, error) {
	found, err := p.Sessions.Get(r.Context(), p.Pages.Cookie(r, render.SessionCookie))
	if errors.Is(err, session.ErrNoSession) {
		return nil, nil
	}
	return &found, err
}

// advanceRequest takes a request one step further. The token is that under which it waits; "" if it
// does not yet.
func (p *Provider) advanceRequest(w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string) error {
	r = render.WithUILocales(r, authReq.UILocales)
	who, err := p.currentSession(r)
	if err != nil {
		return err
	}
	progress, err := p.Grants.LoadAuthProgress(r.Context(), authReq, who)
	if errors.Is(err, client.ErrNotFound) {
		return p.showErrorPage(w, r, &pageError{"oidc.noapp", "the app " + authReq.ClientID + " was removed"})
	}
	if err != nil {
		return err
	}
	step, code := authReq.NextStep(progress)
	if step == grant.StepError {
		if err := p.denied(r, progress, code); err != nil {
			return err
		}
		return p.completeRequest(w, r, authReq, token, errorParameters(code, ""))
	}
	if step == grant.StepIssueCode {
		return p.respondWithCode(w, r, authReq, token, *who)
	}
	if token == "" {
		if token, err = p.Grants.SaveAuthRequest(r.Context(), authReq, p.Pages.Origin(r)); err != nil {
			return err
		}
		if step == grant.StepSelectAccount || step == grant.StepConsent { // pages of ours: they get an address that can be loaded again
			return seeOther(w, r, grant.ContinueURL(token))
		}
	}
	return p.showStep(w, r, pendingStep{step, authReq, token, progress})
}

// denied records that somebody who is in may not use the app, if that is why they are sent back.
func (p *Provider) denied(r *http.Request, s grant.AuthProgress, code string) error {
	if s.Session == nil || code != "access_denied" && code != "unmet_authentication_requirements" {
		return nil
	}
	return p.Grants.Deny(r.Context(), *s.Session, s.Client.ID, code, p.Pages.Origin(r))
}

// pendingStep is a request whose person is asked something.
type pendingStep struct {
	step         grant.AuthStep
	request      grant.AuthRequest
	requestToken string // under which it waits
	progress     grant.AuthProgress
}

// showStep sends somebody to what is next, which leads back to grant.Continue.
func (p *Provider) showStep(w http.ResponseWriter, r *http.Request, a pendingStep) error {
	to := func(page string) error {
		return seeOther(w, r, page+"?"+url.Values{"return_to": {grant.ContinueURL(a.requestToken)}}.Encode())
	}
	switch a.step {
	case grant.StepSignIn:
		return to("/signin")
	case grant.StepReauthenticate:
		return to("/settings/confirm")
	case grant.StepAction:
		if err := p.Grants.MarkActionStarted(r.Context(), a.requestToken); err != nil {
			return err
		}
		return to(p.settingsActions()[a.request.Action])
	case grant.StepSelectAccount:
		return p.showAccountSelection(w, r, a)
	}
	return p.showConsent(w, r, a)
}

// settingsActions are the pages of the settings that an app may send somebody to, so that its own menu
// may lead there and Continue back (the seed: "opens in a new window").
func (p *Provider) settingsActions() map[string]string {
	pages := map[string]string{"password": "/settings/password"}
	for _, m := range p.Methods {
		if path := m.Info().Path; path != "" {
			pages[path] = "/settings/2step/" + path
		}
	}
	return pages
}

func (p *Provider) checkAction(action string) error {
	if action != "" && p.settingsActions()[action] == "" {
		return invalidRequest("twostep_action is none of app, sms and password")
	}
	return nil
}

// respondWithCode gives the app its code.
func (p *Provider) respondWithCode(w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string, who session.Session) error {
	code, err := p.Grants.IssueCode(r.Context(), authReq, who, p.Pages.Origin(r))
	if err != nil {
		return err
	}
	return p.completeRequest(w, r, authReq, token, url.Values{"code": {code}})
}

// completeRequest answers a request, once.
func (p *Provider) completeRequest(w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string, values url.Values) error {
	if token != "" {
		if err := p.Grants.ConsumeAuthRequest(r.Context(), token); err != nil {
			return p.showErrorPage(w, r, err)
		}
	}
	return p.sendAuthResponse(w, r, authReq, values)
}

// sendAuthResponse sends the person back to the app, with the answer to what it asked and our own name, so
// that it knows who answers (RFC 9207).
func (p *Provider) sendAuthResponse(w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, values url.Values) error {
	values.Set("iss", p.Grants.Issuer)
	if authReq.State != "" {
		values.Set("state", authReq.State)
	}
	if authReq.ResponseMode == "form_post" {
		return p.sendFormPost(w, r, authReq.RedirectURI, values)
	}
	return seeOther(w, r, addQuery(authReq.RedirectURI, values))
}

// addQuery is an address with more in its query. What stands in it already stays letter for letter (RFC
// 6749 3.1.2); none of the addresses has a fragment.
func addQuery(address string, values url.Values) string {
	if strings.Contains(address, "?") {
		return address + "&" + values.Encode()
	}
	return address + "?" + values.Encode()
}

type formPostPage struct {
	Action string
	Values url.Values
}

// sendFormPost is the answer as a form that sends itself (OAuth 2.0 Form Post Response Mode).
func (p *Provider) sendFormPost(w http.ResponseWriter, r *http.Request, to string, values url.Values) error {
	render.AllowFormAction(w, client.CSPOrigin(to))
	return p.Pages.Render(w, r, render.View{Templates: templates(), Template: "post", Title: "oidc.post.title", Data: formPostPage{to, values}})
}
