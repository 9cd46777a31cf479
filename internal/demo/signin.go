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

// flow is somebody on the way to the sign-in server and back, under its state.
type flow struct {
	browser  string // the cookie of the browser that began it: no other may end it
	nonce    string
	verifier string // of PKCE
	to       string // the page that was wanted
}

// The cookies. The first one stays when somebody signs in, so that two windows of a browser
// may be on the way at once; the second one is new each time.
const (
	browserCookie = "demo-browser"
	sessionCookie = "demo-session"
)

func (a *App) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: Base, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(a.Issuer, "https:")}
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

// begin sends somebody to the sign-in server, and from there back to a page of the app.
func (a *App) begin(w http.ResponseWriter, r *http.Request, to string, more ...oauth2.AuthCodeOption) {
	p, err := a.provider(r.Context())
	if err != nil {
		a.away(w, r, err)
		return
	}
	f := flow{browser: cookie(r, browserCookie), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), to: to}
	if f.browser == "" {
		f.browser = rand.Text()
		a.setCookie(w, browserCookie, f.browser)
	}
	more = append(more, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier))
	http.Redirect(w, r, p.AuthCodeURL(a.flows.put(f), more...), http.StatusSeeOther)
}

// away says that the sign-in server does not answer, or not as it should.
func (a *App) away(w http.ResponseWriter, r *http.Request, err error) {
	a.Log.Error("demo app: sign-in server", "error", err)
	a.print(w, r, sheet{Name: "away", Title: "Please try again", Status: http.StatusServiceUnavailable})
}

// callback is where the sign-in server sends people back to.
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	answer := r.URL.Query()
	f, ok := a.flows.take(answer.Get("state"))
	if browser := cookie(r, browserCookie); !ok || browser == "" || browser != f.browser {
		a.print(w, r, sheet{Name: "lost", Title: "This sign-in is over", Status: http.StatusBadRequest})
		return
	}
	if answer.Get("iss") != a.Issuer { // the answer of another server (RFC 9207)
		a.away(w, r, errors.New("the answer is from another issuer"))
		return
	}
	switch code := answer.Get("error"); {
	case code == "unmet_authentication_requirements" && strings.HasPrefix(f.to, Base+"pay/"):
		http.Redirect(w, r, f.to+"/setup", http.StatusSeeOther)
		return
	case code != "":
		a.Log.Info("demo app: nobody was signed in", "error", code)
		http.Redirect(w, r, Base+"sorry", http.StatusSeeOther)
		return
	}
	fresh, err := a.redeem(r.Context(), f, answer.Get("code"))
	if err != nil {
		a.away(w, r, err)
		return
	}
	if old, ok := a.sessions.take(cookie(r, sessionCookie)); ok && old.Subject == fresh.Subject {
		fresh.paid = old.paid
	}
	a.setCookie(w, sessionCookie, a.sessions.put(fresh))
	http.Redirect(w, r, f.to, http.StatusSeeOther)
}

// redeem gets the tokens for a code, and believes no more than what the ID token proves.
func (a *App) redeem(ctx context.Context, f flow, code string) (s session, err error) {
	p, err := a.provider(ctx)
	if err != nil {
		return s, err
	}
	tokens, err := p.Exchange(oidc.ClientContext(ctx, a.client), code, oauth2.VerifierOption(f.verifier))
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
	s.raw = raw
	if err := errors.Join(token.Claims(&s), token.Claims(&s.all)); err != nil {
		return s, fmt.Errorf("claims: %w", err)
	}
	return s, nil
}

func (a *App) signIn(w http.ResponseWriter, r *http.Request) { a.begin(w, r, Base) }

// secondStep leads to a page of the sign-in server where somebody sets up their second step;
// Continue brings them back.
func (a *App) secondStep(w http.ResponseWriter, r *http.Request) {
	action, to := r.PathValue("action"), Base+"settings"
	if action != "app" && action != "sms" {
		http.NotFound(w, r)
		return
	}
	if i, ok := invoiceOf(r.URL.Query().Get("invoice")); ok {
		to = Base + "pay/" + i.ID
	}
	a.begin(w, r, to, oauth2.SetAuthURLParam("twostep_action", action))
}

// signOut ends the session here, and then at the sign-in server (RP-Initiated Logout).
func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	s, _ := a.sessions.take(cookie(r, sessionCookie))
	a.setCookie(w, sessionCookie, "")
	p, err := a.provider(r.Context())
	if err != nil {
		a.away(w, r, err)
		return
	}
	ask := url.Values{"client_id": {a.ID}, "post_logout_redirect_uri": {a.Issuer + SignedOut}}
	if s.raw != "" {
		ask.Set("id_token_hint", s.raw)
	}
	http.Redirect(w, r, p.signOut+"?"+ask.Encode(), http.StatusSeeOther)
}

// backChannel hears from the sign-in server that a session is over, wherever that was done.
func (a *App) backChannel(w http.ResponseWriter, r *http.Request) {
	p, err := a.provider(r.Context())
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	token, err := p.verifier.VerifyLogout(r.Context(), r.PostFormValue("logout_token"))
	if err != nil {
		a.Log.Warn("demo app: not a sign-out", "error", err)
		http.Error(w, "not a logout token", http.StatusBadRequest)
		return
	}
	a.sessions.drop(func(s session) bool {
		if token.SessionID == "" {
			return s.Subject == token.Subject
		}
		return s.SID == token.SessionID
	})
}
