package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

// push keeps a request that an app sends before it sends the person (RFC 9126), so that nobody
// on the way can read or change it.
func (p *Provider) push(w http.ResponseWriter, r *http.Request, a grant.App, values url.Values) error {
	if values.Has("request_uri") {
		return invalid("request_uri cannot be pushed")
	}
	if redirect := values.Get("redirect_uri"); !a.Redirect(redirect) {
		return invalid("redirect_uri is not registered: " + grant.Mismatch(a.Redirects, redirect)) // the app may know
	}
	q, err := p.request(r, a, values.Get("redirect_uri"), values)
	if err != nil {
		return pushed(err)
	}
	name, err := p.Grants.Push(r.Context(), a, q, p.Pages.From(r))
	if err != nil {
		return err
	}
	return page.JSON(w, http.StatusCreated, map[string]any{"request_uri": name, "expires_in": int(grant.PushedLife.Seconds())})
}

// pushed is an error of the request as the app itself gets it.
func pushed(err error) error {
	if told, ok := explained(err); ok {
		return refuse(http.StatusBadRequest, told.code, told.text)
	}
	return err
}
