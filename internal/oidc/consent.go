package oidc

import (
	"net/http"
	"net/url"
	"slices"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// consentPage is the data of the pages that ask for the account or for consent.
type consentPage struct {
	ClientName   string
	DocumentURL  string // of an app that is not registered: its metadata document; "": it is registered
	ClaimedName  string // what the document says that the app is called
	RedirectHost string // of the redirect URI; for other schemes the scheme
	Email        string // of the signed-in account
	ScopeKeys    []string
	RequestToken string
	SID          string // of the session that the page was shown to
	SubjectFixed bool   // id_token_hint names the person: another account can't be chosen
}

// showAccountSelection asks whether to continue with the signed-in account.
func (p *Provider) showAccountSelection(w http.ResponseWriter, r *http.Request, s pendingStep) error {
	page := consentPage{
		ClientName:   s.progress.Client.DisplayName(),
		Email:        s.progress.Session.Account.Email,
		RequestToken: s.requestToken,
		SID:          p.Grants.SID(s.progress.Session.ID, s.request.ClientID),
	}
	render.AllowFormAction(w, client.CSPOrigin(s.request.RedirectURI))
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "choose",
		Title:     "oidc.choose.title",
		Data:      page,
	})
}

// showConsent asks whether a third-party client may have the data of the requested scope.
func (p *Provider) showConsent(w http.ResponseWriter, r *http.Request, s pendingStep) error {
	if s.request.IsForDevice() {
		return p.showDeviceConsent(w, r, s)
	}
	u, err := url.Parse(s.request.RedirectURI)
	if err != nil {
		return err
	}
	host := u.Host
	if host == "" {
		host = u.Scheme
	}
	page := consentPage{
		ClientName:   s.progress.Client.DisplayName(),
		RedirectHost: host,
		Email:        s.progress.Session.Account.Email,
		ScopeKeys:    scopeKeys(s.request),
		RequestToken: s.requestToken,
		SID:          p.Grants.SID(s.progress.Session.ID, s.request.ClientID),
		SubjectFixed: s.request.HintedSubject != "",
	}
	if cl := s.progress.Client; cl.IsDocument() {
		page.DocumentURL, page.ClaimedName = cl.ID, cl.Name
	}
	render.AllowFormAction(w, client.CSPOrigin(s.request.RedirectURI))
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "consent",
		TitleText: p.Pages.Localizer(r).Translate("oidc.consent.title", "App", page.ClientName),
		Data:      page,
	})
}

// scopeKeys returns the text keys of what a request asks for.
func scopeKeys(r grant.AuthRequest) (keys []string) {
	for _, scope := range []string{"openid", "email", "profile", "groups", "offline_access"} {
		if slices.Contains(r.Scope, scope) {
			keys = append(keys, "oidc.scope."+scope)
		}
	}
	return keys
}

// submitConsent handles the forms of the consent and account selection pages.
func (p *Provider) submitConsent(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "request", "session", "answer")
	if err != nil {
		return err
	}
	if form["answer"] == "other" { // works even if the request or the session has ended
		return p.switchAccount(w, r, form["request"])
	}
	who, err := p.currentSession(r)
	if err != nil {
		return err
	}
	if who == nil { // sign in, and be asked again
		return seeOther(w, r, "/signin?"+url.Values{"return_to": {grant.ContinueURL(form["request"])}}.Encode())
	}
	authReq, err := p.Grants.GetAuthRequest(r.Context(), form["request"], p.Pages.Browsers(r))
	if err != nil {
		return p.showErrorPage(w, r, err)
	}
	if authReq.IsForDevice() {
		return p.answerDevice(w, r, authReq, *who, form)
	}
	switch answer := form["answer"]; {
	case answer != "allow" && answer != "same":
		if err := p.Grants.Decline(r.Context(), *who, authReq.ClientID, p.Pages.Origin(r)); err != nil {
			return err
		}
		return p.completeRequest(w, r, authReq, form["request"], errorParameters("access_denied", ""))
	case form["session"] != p.Grants.SID(who.ID, authReq.ClientID): // another person has signed in since: ask them
	case answer == "same":
		err = p.Grants.SelectAccount(r.Context(), form["request"], who.Account.ID, p.Pages.Browsers(r))
	default:
		err = p.Grants.SaveConsent(r.Context(), form["request"], *who, authReq, p.Pages.Origin(r))
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, grant.ContinueURL(form["request"]))
}

// switchAccount signs the person out and resumes the request, so that another account can sign in.
func (p *Provider) switchAccount(w http.ResponseWriter, r *http.Request, token string) error {
	if err := p.signOut(w, r); err != nil {
		return err
	}
	if err := p.Grants.SelectAccount(r.Context(), token, "", p.Pages.Browsers(r)); err != nil {
		return err
	}
	return seeOther(w, r, grant.ContinueURL(token))
}
