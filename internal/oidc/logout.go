package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

// farewell is a wish to sign out that an app has sent somebody with (OpenID Connect
// RP-Initiated Logout 2).
type farewell struct {
	app     string // "": nobody knows whose wish it is
	to      string // where to go afterwards; "" if nowhere
	state   string
	session string // which the app means; "" if it does not say
}

// logout signs out at once whom an app can show the ID token of. Everybody else is asked first:
// another site must not sign people out (ASVS 10.6.2).
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	page.Speak(r, values.Get("ui_locales"))
	f, err := p.wish(r, values)
	if err != nil {
		return p.stray(w, r, err)
	}
	who, err := p.who(r)
	if err != nil {
		return err
	}
	if who == nil {
		return p.leave(w, r, f) // nobody is in, or was for long
	}
	if f.session != p.Grants.SID(who.ID, f.app) {
		page.Lead(w, grant.Origin(f.to))
		return p.Pages.Print(w, r, page.Sheet{Of: templates(), Name: "logout", Title: "oidc.logout.title", Page: wishes(values)})
	}
	return p.leave(w, r, f)
}

// postLogout is the same by a form of another site, which brings no cookies: it goes on with
// a GET of ours.
func (p *Provider) postLogout(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	return see(w, r, logoutPath+"?"+wishes(values).Encode())
}

// wishes are the parameters that mean something here.
func wishes(values url.Values) url.Values {
	kept := url.Values{}
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"} {
		if values.Get(name) != "" {
			kept.Set(name, values.Get(name))
		}
	}
	return kept
}

// confirmLogout is the person's own word.
func (p *Provider) confirmLogout(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")
	if err != nil {
		return err
	}
	values := url.Values{}
	for name, text := range form {
		values.Set(name, text)
	}
	f, err := p.wish(r, values)
	if err != nil {
		return p.stray(w, r, err)
	}
	return p.leave(w, r, f)
}

// wish reads what the app wants. An address that is not registered for it is refused, and so
// is a hint that was not made here.
func (p *Provider) wish(r *http.Request, values url.Values) (f farewell, err error) {
	f = farewell{app: values.Get("client_id"), to: values.Get("post_logout_redirect_uri"), state: values.Get("state")}
	if hint := values.Get("id_token_hint"); hint != "" {
		claims, more, err := p.Grants.Known(r.Context(), hint)
		if errors.Is(err, grant.ErrInvalid) || err == nil && (len(claims.Audience) != 1 || f.app != "" && f.app != claims.Audience[0]) {
			return f, &errStray{"oidc.hint", "an id_token_hint at sign-out that was not made here, or for another app"}
		}
		if err != nil {
			return f, err
		}
		f.app = claims.Audience[0]
		f.session, _ = more["sid"].(string)
	}
	if f.to == "" {
		return f, nil
	}
	a, err := p.Grants.App(r.Context(), f.app)
	if errors.Is(err, grant.ErrNoApp) {
		return f, &errStray{"oidc.redirect", "a post_logout_redirect_uri, and neither id_token_hint nor client_id says of which app"}
	}
	if err == nil && !a.AfterSignOut(f.to) {
		return f, &errStray{"oidc.redirect", "app " + a.ID + ": the post_logout_redirect_uri " + strconv.Quote(cut(f.to)) + " is not registered: " + grant.Mismatch(a.SignedOut, f.to)}
	}
	return f, err
}

// leave ends the session of the browser and sends it on.
func (p *Provider) leave(w http.ResponseWriter, r *http.Request, f farewell) error {
	if err := p.signOut(w, r); err != nil {
		return err
	}
	return p.gone(w, r, f)
}

// signOut ends the session of the browser.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request) error {
	token := p.Pages.Cookie(r, page.SessionCookie)
	p.Pages.SignedOut(w)
	if token == "" {
		return nil
	}
	return p.Sessions.SignOut(r.Context(), token, p.Pages.From(r))
}

// gone sends on who is out.
func (p *Provider) gone(w http.ResponseWriter, r *http.Request, f farewell) error {
	if f.to == "" {
		return see(w, r, "/signout/done")
	}
	if f.state == "" {
		return see(w, r, f.to)
	}
	return see(w, r, with(f.to, url.Values{"state": {f.state}}))
}
