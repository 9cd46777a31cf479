package oidc

import (
	"errors"
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// logoutRequest is a logout request (OpenID Connect RP-Initiated Logout 2).
type logoutRequest struct {
	clientID              string        // "" if unknown
	client                client.Client // zero if unknown, or if the request needs none
	postLogoutRedirectURI string        // "" if there is none
	state                 string
	sid                   string // of the id_token_hint; "" if there is none
}

// logout is the end session endpoint. It signs out at once if the id_token_hint belongs to the current session.
// Otherwise it asks first, because another site must not be able to sign people out (ASVS 10.6.2).
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) error {
	values, err := p.parsePageParameters(r)
	if err != nil {
		return err
	}
	r = render.WithUILocales(r, values.Get("ui_locales"))
	req, err := p.parseLogoutRequest(r, values)
	if err != nil {
		return p.showRejection(w, r, req.client, values, err)
	}
	who, err := p.currentSession(r)
	if err != nil {
		return err
	}
	if who == nil {
		return p.finishLogout(w, r, req)
	}
	if req.sid != p.Grants.SID(who.ID, req.clientID) {
		render.AllowFormAction(w, client.CSPOrigin(req.postLogoutRedirectURI))
		return p.Pages.Render(w, r, render.View{
			Templates: templates(),
			Template:  "logout",
			Title:     "oidc.logout.title",
			Data:      logoutParameters(values),
		})
	}
	return p.finishLogout(w, r, req)
}

// logoutByPost handles a cross-site POST, which brings no cookies, by redirecting to a GET.
func (p *Provider) logoutByPost(w http.ResponseWriter, r *http.Request) error {
	values, err := p.parsePageParameters(r)
	if err != nil {
		return err
	}
	return seeOther(w, r, logoutPath+"?"+logoutParameters(values).Encode())
}

// logoutParameters returns the known parameters of a logout request.
func logoutParameters(values url.Values) url.Values {
	kept := url.Values{}
	for _, name := range []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"} {
		if values.Get(name) != "" {
			kept.Set(name, values.Get(name))
		}
	}
	return kept
}

// confirmLogout handles the form of the page that asks whether to sign out.
func (p *Provider) confirmLogout(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")
	if err != nil {
		return err
	}
	values := url.Values{}
	for name, text := range form {
		values.Set(name, text)
	}
	req, err := p.parseLogoutRequest(r, values)
	if err != nil {
		return p.showRejection(w, r, req.client, values, err)
	}
	return p.finishLogout(w, r, req)
}

// parseLogoutRequest reads a logout request. It returns a *pageError if the post_logout_redirect_uri is not
// registered, or if the id_token_hint was not issued here or contradicts the client_id.
func (p *Provider) parseLogoutRequest(r *http.Request, values url.Values) (req logoutRequest, err error) {
	req = logoutRequest{
		clientID:              values.Get("client_id"),
		postLogoutRedirectURI: values.Get("post_logout_redirect_uri"),
		state:                 values.Get("state"),
	}
	if hint := values.Get("id_token_hint"); hint != "" {
		claims, extra, err := p.Grants.ParseIDToken(r.Context(), hint)
		if errors.Is(err, grant.ErrInvalid) ||
			err == nil && (len(claims.Audience) != 1 || req.clientID != "" && req.clientID != claims.Audience[0]) {
			if found, err := p.Grants.Clients.Get(r.Context(), req.clientID); err == nil {
				req.client = found
			}
			return req, reject(&pageError{"oidc.hint", "the id_token_hint was not issued here, or to another app"}, "",
				"let the app send the ID token that it got from this server for this person, and its own client_id")
		}
		if err != nil {
			return req, err
		}
		req.clientID = claims.Audience[0]
		req.sid, _ = extra["sid"].(string)
	}
	if req.postLogoutRedirectURI == "" {
		return req, nil
	}
	find := p.Grants.Clients.Get
	key := req.clientID
	if key == "" { // MSAL in a browser names no app
		find, key = p.Grants.Clients.FindByPostLogoutRedirectURI, req.postLogoutRedirectURI
	}
	cl, err := find(r.Context(), key)
	if errors.Is(err, client.ErrNotFound) {
		return req, reject(&pageError{"oidc.redirect",
			"there is no app with this client_id, or not exactly one with this post_logout_redirect_uri"}, "",
			"let the app send id_token_hint or client_id when it signs people out")
	}
	req.client, req.clientID = cl, cl.ID
	if err == nil && !cl.AllowsPostLogoutRedirectURI(req.postLogoutRedirectURI) {
		return req, reject(&pageError{"oidc.redirect", "the post_logout_redirect_uri is not registered: " +
			client.ExplainRedirectMismatch(cl.PostLogoutRedirectURIs, req.postLogoutRedirectURI)}, "",
			"run `twostep app set "+cl.ID+" --signed-out URL` with all that the app uses")
	}
	return req, err
}

// finishLogout signs out and redirects.
func (p *Provider) finishLogout(w http.ResponseWriter, r *http.Request, req logoutRequest) error {
	if err := p.signOut(w, r); err != nil {
		return err
	}
	return p.redirectAfterLogout(w, r, req)
}

// signOut ends the session of the browser and clears its cookies.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request) error {
	token := p.Pages.Cookie(r, render.SessionCookie)
	if token != "" {
		if err := p.Sessions.SignOut(r.Context(), token, p.Pages.Origin(r)); err != nil {
			return err // the browser keeps the cookie, so that it can try again
		}
	}
	p.Pages.ClearSessionCookies(w)
	return nil
}

// redirectAfterLogout redirects to the post_logout_redirect_uri, or else to the page that confirms the
// sign-out.
func (p *Provider) redirectAfterLogout(w http.ResponseWriter, r *http.Request, req logoutRequest) error {
	if req.postLogoutRedirectURI == "" {
		return seeOther(w, r, "/signout/done")
	}
	if req.state == "" {
		return seeOther(w, r, req.postLogoutRedirectURI)
	}
	return seeOther(w, r, addQuery(req.postLogoutRedirectURI, url.Values{"state": {req.state}}))
}
