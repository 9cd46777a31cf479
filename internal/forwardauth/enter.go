package forwardauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/seal"
)

// away is for how long somebody may take to sign in, as long as a request waits.
const away = time.Hour

// leave sends a browser to sign in. What binds the way back to this browser is PKCE whose
// verifier is in a cookie of the host: a code that somebody else was given opens nothing here,
// and one that was taken from here opens nothing there. Tabs that leave at once share it.
func (s *Site) leave(w http.ResponseWriter, r *http.Request, about asked) error {
	verifier := s.Pages.Cookie(r, page.EnterCookie)
	if len(verifier) != len(seal.Token()) {
		verifier = seal.Token()
	}
	s.Pages.KeepCookie(w, page.EnterCookie, verifier, away)
	query := url.Values{"to": {about.origin + about.back()}, "challenge": {grant.Challenge(verifier)}}
	return redirect(w, s.Grants.Issuer+starting+"?"+query.Encode())
}

// start keeps what a host asks for, on the sign-in server. The way back can only be to a host
// of an app.
func (s *Site) start(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	about, ok := s.wayBack(one(query["to"]))
	challenge := one(query["challenge"])
	if !ok || !grant.GoodChallenge(challenge) {
		return page.ErrForm
	}
	app, err := s.appAt(r.Context(), about.host)
	if errors.Is(err, grant.ErrNoApp) {
		return page.ErrNotFound
	}
	if err != nil {
		return err
	}
	token, err := s.Grants.Wait(r.Context(), grant.Request{
		App: app.ID, Redirect: about.redirect(), Scope: scope(), State: about.back(), Challenge: challenge, Mode: "query", Asked: s.Grants.Now(),
	}, s.Pages.From(r))
	if err != nil {
		return err
	}
	http.Redirect(w, r, grant.Continuing(token), http.StatusSeeOther)
	return nil
}

// wayBack reads the address of a page at a host behind a proxy.
func (s *Site) wayBack(address string) (asked, bool) {
	rest, ok := strings.CutPrefix(address, s.scheme()+"://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 0 {
		return asked{}, false
	}
	a := asked{method: http.MethodGet, host: s.usual(rest[:slash]), uri: rest[slash:]}
	a.origin = s.scheme() + "://" + a.host
	return a, goodHost.MatchString(a.host) && goodURI.MatchString(a.uri)
}

// enter takes a code for the cookie of the host.
func (s *Site) enter(w http.ResponseWriter, r *http.Request, app grant.App, about asked) error {
	query, err := url.ParseQuery(about.query())
	if err != nil || about.method != http.MethodGet {
		return s.say(w, r, http.StatusBadRequest, "forward.enter")
	}
	back := asked{origin: about.origin, uri: one(query["state"])}
	v, err := s.decide(r, app, about)
	switch {
	case err != nil:
		return err
	case v.step == grant.StepAllowed: // another tab was faster
		return redirect(w, back.origin+back.back())
	case v.step != grant.StepRefused && query.Get("error") == "access_denied": // by the person
		return s.say(w, r, http.StatusForbidden, "forward.declined", "App", app.Title())
	case query.Has("error"):
		return s.no(w, r, app, query.Get("error"))
	}
	of, err := s.redeem(r, app, about, one(query["code"]))
	if errors.Is(err, grant.ErrInvalid) {
		return s.say(w, r, http.StatusBadRequest, "forward.enter")
	}
	if err != nil {
		return err
	}
	token, err := s.Grants.Enter(r.Context(), of)
	if err != nil {
		return err
	}
	s.Pages.SetCookie(w, page.AppCookie, token)
	s.Pages.ClearCookie(w, page.EnterCookie)
	return redirect(w, back.origin+back.back())
}

// redeem uses up a code that this browser was sent for. A browser without the cookie keeps
// none, or never asked: it is told, and not sent around in a circle. grant.ErrInvalid.
func (s *Site) redeem(r *http.Request, app grant.App, about asked, code string) (grant.Grant, error) {
	verifier := s.Pages.Cookie(r, page.EnterCookie)
	if verifier == "" || code == "" {
		return grant.Grant{}, grant.ErrInvalid
	}
	return s.Grants.Redeem(r.Context(), grant.Redemption{From: s.Pages.From(r), App: app, Code: code, Redirect: about.redirect(), Verifier: verifier})
}

// redirect sends a browser on. The address is written out in full: Traefik would complete it
// with the address under which it asks us.
func redirect(w http.ResponseWriter, address string) error {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusFound)
	return nil
}

// one is the only value of a parameter.
func one(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
