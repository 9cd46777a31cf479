package oidc

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
)

// continueRequest resumes a stored authorization request.
func (p *Provider) continueRequest(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("request")
	authReq, err := p.Grants.GetAuthRequest(r.Context(), token, p.Pages.Browsers(r))
	if err == nil && authReq.Browser == nil { // a POST has stored it, which brings no cookies
		err = p.Grants.BindAuthRequest(r.Context(), token, authReq, p.Pages.Browser(w, r))
	}
	if err != nil {
		return p.showErrorPage(w, r, err)
	}
	return p.advanceRequest(w, r, authReq, token)
}

// currentSession returns the session of the browser, or nil if there is none.
func (p *Provider) currentSession(r *http.Request) (*session.Session, error) {
	found, err := p.Sessions.Get(r.Context(), p.Pages.Cookie(r, render.SessionCookie))
	if errors.Is(err, session.ErrNoSession) {
		return nil, nil
	}
	return &found, err
}

// advanceRequest performs the next step of a request. The token is "" if the request is not stored yet. An error that
// passes is a page for the person, who can reload it. With prompt=none nobody sees a page, so the client gets the error
// (RFC 6749 4.1.2.1).
func (p *Provider) advanceRequest(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string,
) error {
	err := p.nextStep(w, render.WithUILocales(r, authReq.UILocales), authReq, token)
	if fault.Temporary(err) && slices.Contains(authReq.Prompt, "none") {
		p.Pages.LogFault(err)
		return p.refuseRequest(w, r, authReq, "", errorParameters("temporarily_unavailable", ""))
	}
	return err
}

func (p *Provider) nextStep(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string,
) error {
	who, err := p.currentSession(r)
	if err != nil {
		return err
	}
	progress, err := p.Grants.LoadAuthProgress(r.Context(), authReq, who)
	if errors.Is(err, client.ErrNotFound) {
		return p.showErrorPage(w, r, &pageError{"oidc.noapp", "the app was removed after its request"})
	}
	if err != nil {
		return err
	}
	step, code := authReq.NextStep(progress)
	if step == grant.StepError {
		if err := p.denied(r, progress, code); err != nil {
			return err
		}
		if authReq.IsForDevice() {
			return p.refuseDevice(w, r, authReq, *who, code)
		}
		return p.refuseRequest(w, r, authReq, token, errorParameters(code, ""))
	}
	if step == grant.StepIssueCode {
		return p.authorized(w, r, authReq, token, progress)
	}
	if token == "" {
		authReq.Browser = seal.HashToken(p.Pages.Browser(w, r))
		if token, err = p.Grants.SaveAuthRequest(r.Context(), authReq, p.Pages.Origin(r)); err != nil {
			return err
		}
		if step == grant.StepSelectAccount || step == grant.StepConsent { // give the page a URL that can be reloaded
			return seeOther(w, r, grant.ContinueURL(token))
		}
	}
	return p.showStep(w, r, pendingStep{step, authReq, token, progress})
}

// denied records that the person may not use the client, if that is the reason for the error.
func (p *Provider) denied(r *http.Request, progress grant.AuthProgress, code string) error {
	if progress.Session == nil || code != "access_denied" && code != "unmet_authentication_requirements" {
		return nil
	}
	return p.Grants.Deny(r.Context(), *progress.Session, progress.Client.ID, code, p.Pages.Origin(r))
}

// pendingStep is a step that needs a page.
type pendingStep struct {
	step         grant.AuthStep
	request      grant.AuthRequest
	requestToken string // of the stored request
	progress     grant.AuthProgress
}

// showStep shows or redirects to the page of a step. That page leads back to grant.ContinuePath.
func (p *Provider) showStep(w http.ResponseWriter, r *http.Request, s pendingStep) error {
	to := func(page string) error {
		return seeOther(w, r, page+"?"+url.Values{"return_to": {grant.ContinueURL(s.requestToken)}}.Encode())
	}
	switch s.step {
	case grant.StepSignIn:
		return to("/signin")
	case grant.StepReauthenticate:
		return to("/settings/confirm")
	case grant.StepSetUp:
		return to("/settings/required")
	case grant.StepAction:
		if err := p.Grants.MarkActionStarted(r.Context(), s.requestToken); err != nil {
			return err
		}
		return to(p.settingsActions()[s.request.Action])
	case grant.StepSelectAccount:
		return p.showAccountSelection(w, r, s)
	}
	return p.showConsent(w, r, s)
}

// settingsActions maps the values of twostep_action to settings pages. Apps can link to them in their own
// menus, and the page's Continue button leads back to the app.
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
	if actions := p.settingsActions(); action != "" && actions[action] == "" {
		return invalidRequest("twostep_action must be one of " + strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	return nil
}

// authorized sends what the response type asks for to the client: an authorization code, an ID token, or both.
func (p *Provider) authorized(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string, progress grant.AuthProgress,
) error {
	g, code, err := p.Grants.Authorize(r.Context(), authReq, *progress.Session, p.Pages.Origin(r))
	if err != nil {
		return err
	}
	values := url.Values{}
	if authReq.WantsCode() {
		values.Set("code", code)
	}
	if authReq.WantsIDToken() {
		idToken, err := p.signIDToken(r, progress.Client, g, idTokenFor{nonce: authReq.Nonce, code: code})
		if err != nil {
			return err
		}
		values.Set("id_token", idToken)
	}
	return p.completeRequest(w, r, authReq, token, values)
}

// refuseRequest sends an error that the person has not seen. If the client is not registered, the person sees a page
// instead: anybody can write a metadata document, and must not lead people from this site to theirs (RFC 9700 4.11.2).
func (p *Provider) refuseRequest(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string, values url.Values,
) error {
	if client.IsDocumentID(authReq.ClientID) {
		return p.showErrorPage(w, r, &pageError{"oidc.document.refused", values.Get("error")})
	}
	return p.completeRequest(w, r, authReq, token, values)
}

// completeRequest deletes the stored request and sends its response, so that each request is answered once.
func (p *Provider) completeRequest(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, token string, values url.Values,
) error {
	if token != "" {
		if err := p.Grants.ConsumeAuthRequest(r.Context(), token); err != nil {
			return p.showErrorPage(w, r, err)
		}
	}
	return p.sendAuthResponse(w, r, authReq, values)
}

// sendAuthResponse sends an authorization response with state and iss (RFC 6749 4.1.2, RFC 9207).
func (p *Provider) sendAuthResponse(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, values url.Values,
) error {
	values.Set("iss", p.Grants.Issuer)
	if authReq.State != "" {
		values.Set("state", authReq.State)
	}
	if authReq.ResponseMode == "form_post" {
		return p.sendFormPost(w, r, authReq.RedirectURI, values)
	}
	if authReq.ResponseMode == "fragment" {
		return seeOther(w, r, authReq.RedirectURI+"#"+values.Encode())
	}
	return seeOther(w, r, addQuery(authReq.RedirectURI, values))
}

// addQuery appends parameters to the query of a URI without a fragment. The existing query stays unchanged (RFC
// 6749 3.1.2).
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

// sendFormPost sends the response as a form that submits itself (OAuth 2.0 Form Post Response Mode).
func (p *Provider) sendFormPost(w http.ResponseWriter, r *http.Request, to string, values url.Values) error {
	render.AllowFormAction(w, client.CSPOrigin(to))
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "post",
		Title:     "oidc.post.title",
		Data:      formPostPage{to, values},
	})
}
