package oidc

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// pollErrors are the errors of a device whose person has not allowed it (RFC 8628 3.5). They are no mistake of the app.
var pollErrors = []error{
	grant.ErrAuthorizationPending, grant.ErrPollsEarly, grant.ErrDeviceDenied, grant.ErrDeviceExpired,
}

func checkDeviceGrant(cl client.Client) error {
	if !cl.DeviceGrant {
		return reject(newOAuthError(http.StatusBadRequest, "unauthorized_client",
			"the device authorization grant is not allowed for this app"), "",
			"run `twostep app set "+cl.ID+" --device-grant`")
	}
	return nil
}

// startDeviceAuthorization is the device authorization endpoint (RFC 8628 3.1).
func (p *Provider) startDeviceAuthorization(
	w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values,
) error {
	if err := checkDeviceGrant(cl); err != nil {
		return err
	}
	codes, err := p.Grants.StartDeviceAuthorization(r.Context(), cl, parseScope(values), p.Pages.Origin(r))
	if err != nil {
		return err
	}
	return render.JSON(w, http.StatusOK, map[string]any{
		"device_code":      codes.DeviceCode,
		"user_code":        codes.UserCode,
		"verification_uri": p.absoluteURL(devicePath),
		"verification_uri_complete": p.absoluteURL(devicePath) + "?" +
			url.Values{"user_code": {codes.UserCode}}.Encode(),
		"expires_in": int(grant.DeviceCodeTTL.Seconds()),
		"interval":   int(grant.DevicePollInterval.Seconds()),
	})
}

// deviceCodeGrant answers a poll of a device (RFC 8628 3.4, 3.5).
func (p *Provider) deviceCodeGrant(
	w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values,
) error {
	if err := checkDeviceGrant(cl); err != nil {
		return err
	}
	if values.Get("device_code") == "" {
		return invalidRequest("device_code is missing")
	}
	g, t, err := p.Grants.PollDevice(r.Context(), cl, values.Get("device_code"), p.Pages.Origin(r))
	if err != nil {
		return err
	}
	return p.writeTokenResponse(w, r, cl, issuedTokens{g, t, ""})
}
