package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// authorization is an authorization request in progress, by its state.
type authorization struct {
	browser      string // the cookie of the browser that started it: no other browser may complete it
	nonce        string
	codeVerifier string // of PKCE (RFC 7636)
	returnTo     string // the requested page
}

// The cookies. browserCookie stays, so that two tabs can sign in at the same time; sessionCookie is new for each
// session.
const (
	browserCookie = "demo-browser"
	sessionCookie = "demo-session"
)

func (a *App) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     BasePath,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
		Secure:   strings.HasPrefix(a.Issuer, "https:"),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// startAuthorization redirects to the sign-in server, which redirects back to a page of the app.
func (a *App) startAuthorization(
	w http.ResponseWriter,
	r *http.Request,
	returnTo string,
	options ...oauth2.AuthCodeOption,
) {
	p, err := a.provider(r.Context())
	if err != nil {
		a.renderProviderError(w, r, err)
		return
	}
	f := authorization{
		browser:      cookie(r, browserCookie),
		nonce:        rand.Text(),
		codeVerifier: oauth2.GenerateVerifier(),
		returnTo:     returnTo,
	}
	if f.browser == "" {
		f.browser = rand.Text()
		a.setCookie(w, browserCookie, f.browser)
	}
	options = append(options, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.codeVerifier))
	http.Redirect(w, r, p.AuthCodeURL(a.flows.add(f), options...), http.StatusSeeOther)
}

// renderProviderError says that the sign-in server does not answer, or answers with an error.
func (a *App) renderProviderError(w http.ResponseWriter, r *http.Request, err error) {
	a.Log.Error("demo app: the sign-in server failed", "error", err)
	a.render(w, r, pageData{Template: "away", Title: "Please try again", Status: http.StatusServiceUnavailable})
}

// handleCallback is the redirect URI: it completes an authorization request.
func (a *App) handleCallback(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	f, ok := a.flows.getAndDelete(params.Get("state"))
	if browser := cookie(r, browserCookie); !ok || browser == "" || browser != f.browser {
		a.render(w, r, pageData{Template: "lost", Title: "This sign-in is no longer valid", Status: http.StatusBadRequest})
		return
	}
	if params.Get("iss") != a.Issuer { // a response of another server (RFC 9207)
		a.renderProviderError(w, r, errors.New("the answer is from another issuer"))
		return
	}
	switch code := params.Get("error"); {
	case code == "unmet_authentication_requirements" && strings.HasPrefix(f.returnTo, BasePath+"pay/"):
		http.Redirect(w, r, f.returnTo+"/setup", http.StatusSeeOther)
		return
	case code != "":
		a.Log.Info("demo app: sign-in refused", "error", code)
		http.Redirect(w, r, BasePath+"sorry", http.StatusSeeOther)
		return
	}
	newSession, err := a.exchangeCode(r.Context(), f, params.Get("code"))
	if err != nil {
		a.renderProviderError(w, r, err)
		return
	}
	if old, ok := a.sessions.getAndDelete(cookie(r, sessionCookie)); ok && old.Subject == newSession.Subject {
		newSession.paid = old.paid
	}
	a.setCookie(w, sessionCookie, a.sessions.add(newSession))
	http.Redirect(w, r, f.returnTo, http.StatusSeeOther)
}

// exchangeCode exchanges the code for tokens and verifies the ID token.
func (a *App) exchangeCode(ctx context.Context, f authorization, code string) (s session, err error) {
	p, err := a.provider(ctx)
	if err != nil {
		return s, err
	}
	tokens, err := p.Exchange(oidc.ClientContext(ctx, a.client), code, oauth2.VerifierOption(f.codeVerifier))
	if err != nil {
		return s, err
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return s, errors.New("no ID token")
	}
	token, err := p.verifier.Verify(ctx, raw)
	switch {
	case err != nil:
		return s, err
	case token.Nonce != f.nonce:
		return s, errors.New("the ID token was made for another sign-in")
	}
	if err := token.VerifyAccessToken(tokens.AccessToken); err != nil {
		return s, err
	}
	s.rawIDToken = raw
	if err := errors.Join(token.Claims(&s), token.Claims(&s.claims)); err != nil {
		return s, fmt.Errorf("claims: %w", err)
	}
	return s, nil
}

func (a *App) startSignIn(w http.ResponseWriter, r *http.Request) {
	a.startAuthorization(w, r, BasePath)
}

// startEnrollment redirects to the page of the sign-in server that sets up a second step; Continue leads back.
func (a *App) startEnrollment(w http.ResponseWriter, r *http.Request) {
	action, returnTo := r.PathValue("action"), BasePath+"settings"
	if action != "app" && action != "sms" {
		http.NotFound(w, r)
		return
	}
	if i, ok := findInvoice(r.URL.Query().Get("invoice")); ok {
		returnTo = BasePath + "pay/" + i.ID
	}
	a.startAuthorization(w, r, returnTo, oauth2.SetAuthURLParam("twostep_action", action))
}

// handleSignOut ends the session of the app, then that of the sign-in server (OpenID Connect RP-Initiated Logout 1.0).
func (a *App) handleSignOut(w http.ResponseWriter, r *http.Request) {
	s, _ := a.sessions.getAndDelete(cookie(r, sessionCookie))
	a.setCookie(w, sessionCookie, "")
	p, err := a.provider(r.Context())
	if err != nil {
		a.renderProviderError(w, r, err)
		return
	}
	params := url.Values{"client_id": {a.ClientID}, "post_logout_redirect_uri": {a.Issuer + PostLogoutRedirect}}
	if s.rawIDToken != "" {
		params.Set("id_token_hint", s.rawIDToken)
	}
	http.Redirect(w, r, p.endSessionEndpoint+"?"+params.Encode(), http.StatusSeeOther)
}

// handleBackChannelLogout ends the sessions that a logout token names (OpenID Connect Back-Channel Logout 1.0).
func (a *App) handleBackChannelLogout(w http.ResponseWriter, r *http.Request) {
	p, err := a.provider(r.Context())
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	token, err := p.verifier.VerifyLogout(r.Context(), r.PostFormValue("logout_token"))
	if err != nil {
		a.Log.Warn("demo app: invalid logout token", "error", err)
		http.Error(w, "not a logout token", http.StatusBadRequest)
		return
	}
	a.sessions.deleteFunc(func(s session) bool {
		if token.SessionID == "" {
			return s.Subject == token.Subject
		}
		return s.SID == token.SessionID
	})
}
