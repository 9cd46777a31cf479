package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

// introspect tells an app what a token of its own is worth now, and an API those of all apps (RFC 7662), with how
// much was proven, so that an API may ask for more (RFC 9470).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request, asks grant.App, values url.Values) error {
	if asks.Public() { // which anybody may say to be
		return errClient
	}
	if values.Get("token") == "" {
		return invalid("token is missing")
	}
	shown, err := p.Grants.Show(r.Context(), values.Get("token"))
	if errors.Is(err, grant.ErrInvalid) || err == nil && shown.App != asks.ID && (shown.Refresh || !asks.Introspects) {
		return page.JSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	if err != nil {
		return err
	}
	a, err := p.Grants.App(r.Context(), shown.App)
	if errors.Is(err, grant.ErrNoApp) {
		return page.JSON(w, http.StatusOK, map[string]bool{"active": false})
	}
	if err != nil {
		return err
	}
	said := map[string]any{
		"active": true, "client_id": shown.App, "aud": shown.App, "iss": p.Grants.Issuer, "scope": strings.Join(shown.Scope, " "),
		"iat": shown.Made.Unix(), "exp": shown.Until.Unix(), "sub": shown.App,
	}
	if !shown.Refresh {
		said["token_type"] = "Bearer"
	}
	if shown.Account != "" {
		if said["sub"], err = p.Grants.Subject(r.Context(), a, shown.Account); err != nil {
			return err
		}
		said["auth_time"], said["acr"], said["amr"] = shown.AuthTime.Unix(), shown.ACR(), shown.AMR
	}
	return page.JSON(w, http.StatusOK, said)
}
