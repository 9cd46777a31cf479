package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/metadata"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// authorize is the authorization endpoint (RFC 6749 3.1; OpenID Connect Core 3.1.2). A cross-site POST brings
// no cookies, so the request is stored and resumed with a GET.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	values, err := parseParameters(r)
	if err != nil {
		return err
	}
	cl, redirect, err := p.resolveClient(r, values)
	if err != nil {
		return p.showErrorPage(w, r, err)
	}
	authReq, err := p.parseAuthRequest(r, cl, redirect, values)
	if oauthErr, ok := errors.AsType[*oauthError](err); ok {
		p.logRejected(r, cl, oauthErr)
		invalid := grant.AuthRequest{
			RedirectURI:  redirect,
			State:        values.Get("state"),
			ResponseMode: values.Get("response_mode"),
		}
		return p.sendAuthResponse(w, r, invalid, errorParameters(oauthErr.code, oauthErr.description))
	}
	if errors.Is(err, grant.ErrInvalid) {
		return p.showErrorPage(w, r, err)
	}
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		token, err := p.Grants.SaveAuthRequest(r.Context(), authReq, p.Pages.Origin(r))
		if err != nil {
			return err
		}
		return seeOther(w, r, grant.ContinueURL(token))
	}
	return p.advanceRequest(w, r, authReq, "")
}

// pageError is an error in a request whose redirect URI is not known to be good: it is shown to the person,
// never sent to the client.
type pageError struct{ messageKey, logDetail string }

func (e *pageError) Error() string { return e.logDetail }

// resolveClient returns the client and the redirect URI of an authorization request. It returns a *pageError if
// one of them is not registered (RFC 9700 4.11.2). For a pushed request the redirect URI is empty.
func (p *Provider) resolveClient(r *http.Request, values url.Values) (cl client.Client, redirect string, err error) {
	id := values.Get("client_id")
	cl, err = p.Grants.FindClient(r.Context(), id, p.Pages.Origin(r))
	if errors.Is(err, client.ErrNotFound) {
		detail := "there is no app with the client_id " + strconv.Quote(truncate(id))
		if client.IsDocumentID(id) {
			detail += ": to allow apps that are not registered, set client_metadata = true"
		}
		return cl, "", &pageError{"oidc.noapp", detail}
	}
	if refused, ok := errors.AsType[*metadata.Error](err); ok {
		return cl, "", &pageError{"oidc.document",
			fmt.Sprintf("the metadata document %q: %s", truncate(id), refused.Reason)}
	}
	if err != nil || grant.IsPushedRequestURI(values.Get("request_uri")) {
		return cl, "", err
	}
	redirect = values.Get("redirect_uri")
	if redirect == "" && len(cl.RedirectURIs) == 1 && !slices.Contains(strings.Fields(values.Get("scope")), "openid") {
		redirect = cl.RedirectURIs[0] // RFC 6749 3.1.2.3; OpenID Connect requires the parameter
	}
	if !cl.AllowsRedirectURI(redirect) {
		return cl, "", &pageError{"oidc.redirect", fmt.Sprintf("app %s: the redirect_uri %q is not registered: %s",
			cl.ID, truncate(redirect), client.ExplainRedirectMismatch(cl.RedirectURIs, redirect))}
	}
	return cl, redirect, nil
}

func truncate(s string) string { return s[:min(len(s), 200)] }

// showErrorPage tells the person that the app's request is invalid or has expired, and logs the reason for the
// operator. It returns every error that is neither a *pageError nor grant.ErrInvalid.
func (p *Provider) showErrorPage(w http.ResponseWriter, r *http.Request, err error) error {
	title, key := "oidc.over.title", "oidc.over"
	if e, ok := errors.AsType[*pageError](err); ok {
		p.Grants.Log.Warn("authorization request rejected", "reason", e.logDetail)
		title, key = "oidc.stray.title", e.messageKey
	} else if !errors.Is(err, grant.ErrInvalid) {
		return err
	}
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "stray",
		Status:    http.StatusBadRequest,
		Title:     title,
		Data:      key,
	})
}

// parseAuthRequest reads an authorization request whose redirect URI resolveClient has checked. It returns an
// *oauthError if the request is invalid, and grant.ErrInvalid if a request_uri is.
func (p *Provider) parseAuthRequest(
	r *http.Request, cl client.Client, redirect string, values url.Values,
) (authReq grant.AuthRequest, err error) {
	if requestURI := values.Get("request_uri"); grant.IsPushedRequestURI(requestURI) {
		return p.Grants.ConsumePushedRequest(r.Context(), cl.ID, requestURI)
	}
	authReq = grant.AuthRequest{
		ClientID:      cl.ID,
		RedirectURI:   redirect,
		State:         values.Get("state"),
		Nonce:         values.Get("nonce"),
		CodeChallenge: values.Get("code_challenge"),
		ResponseMode:  values.Get("response_mode"),
		Prompt:        strings.Fields(values.Get("prompt")),
		LoginHint:     values.Get("login_hint"),
		UILocales:     values.Get("ui_locales"),
		Action:        values.Get("twostep_action"),
		RequestedAt:   p.Grants.Now(),
	}
	for _, one := range strings.Fields(values.Get("scope")) {
		if slices.Contains(supportedScopes, one) && !slices.Contains(authReq.Scope, one) {
			authReq.Scope = append(authReq.Scope, one)
		}
	}
	for _, check := range []func() error{
		func() error { return checkSupportedParameters(values) },
		func() error { return p.checkPKCE(r, cl, values) },
		func() error { return checkPrompt(authReq.Prompt) },
		func() error { return p.checkAction(authReq.Action) },
		func() (err error) { authReq.MaxAge, err = parseMaxAge(values); return err },
		func() (err error) { authReq.MinLevel, err = parseACR(values); return err },
		func() (err error) {
			authReq.HintedSubject, err = p.parseIDTokenHint(r, cl, values.Get("id_token_hint"))
			return err
		},
	} {
		if err := check(); err != nil {
			return authReq, err
		}
	}
	return authReq, nil
}

// checkSupportedParameters rejects parameters and values that this server does not support.
func checkSupportedParameters(values url.Values) error {
	switch mode := values.Get("response_mode"); {
	case values.Get("request") != "":
		return newOAuthError(0, "request_not_supported",
			"request objects are not supported: send the parameters, or push them")
	case values.Get("request_uri") != "":
		return newOAuthError(0, "request_uri_not_supported",
			"push the request, and send the request_uri of the response")
	case values.Get("response_type") == "":
		return invalidRequest("response_type is missing")
	case values.Get("response_type") != "code":
		return newOAuthError(0, "unsupported_response_type", "response_type must be code")
	case mode == "form_post" && !strings.HasPrefix(values.Get("redirect_uri"), "http"):
		return invalidRequest("response_mode form_post needs an http or https redirect_uri")
	case mode != "" && !slices.Contains(responseModes, mode):
		return invalidRequest("response_mode must be query, fragment or form_post")
	case len(values.Get("state")) > 2048 || len(values.Get("nonce")) > 1024 ||
		len(values.Get("login_hint")) > 254 || len(values.Get("ui_locales")) > 100:
		return invalidRequest("state, nonce, login_hint or ui_locales is too long")
	}
	return nil
}

// checkPKCE requires PKCE with method S256 (RFC 7636), as far as the client's PKCE mode does.
func (p *Provider) checkPKCE(r *http.Request, cl client.Client, values url.Values) error {
	challenge, method := values.Get("code_challenge"), values.Get("code_challenge_method")
	mode := cl.PKCEMode()
	switch {
	case challenge == "" && method == "" && mode == client.PKCEOff:
		return nil
	case challenge == "" && method == "" && mode == client.PKCEAuto && values.Get("nonce") != "":
		used, err := p.Grants.UsesPKCE(r.Context(), cl.ID)
		if err == nil && used {
			err = invalidRequest("code_challenge is missing: this app has used PKCE before")
		}
		return err
	case challenge == "" && mode == client.PKCEAuto:
		return invalidRequest("code_challenge is missing: send it (PKCE with S256), or a nonce")
	case challenge == "":
		return invalidRequest("code_challenge is missing: PKCE is required")
	case method != "S256":
		return invalidRequest("code_challenge_method must be S256")
	case !grant.ValidS256Challenge(challenge):
		return invalidRequest("code_challenge must be a SHA-256 hash in base64url")
	}
	return nil
}

func checkPrompt(prompt []string) error {
	for _, one := range prompt {
		if !slices.Contains(supportedPrompts, one) {
			return invalidRequest("prompt must have values of " + strings.Join(supportedPrompts, ", "))
		}
	}
	if len(prompt) > 4 || len(prompt) > 1 && slices.Contains(prompt, "none") {
		return invalidRequest("prompt has too many values, or none together with others")
	}
	return nil
}

func parseMaxAge(values url.Values) (*int64, error) {
	if values.Get("max_age") == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(values.Get("max_age"), 10, 32)
	if err != nil || seconds < 0 {
		return nil, invalidRequest("max_age must be a number of seconds")
	}
	return &seconds, nil
}

// parseACR returns the lowest level that satisfies acr_values, and the claims parameter's acr of the ID token
// (OpenID Connect Core 5.5.1.1). Of several values any one is enough, so the lowest counts; if both parameters
// name values, both must be satisfied. It returns an *oauthError if acr is essential and none of its values is
// known.
func parseACR(values url.Values) (session.Level, error) {
	fromACRValues := lowestLevel(strings.Fields(values.Get("acr_values")))
	var claims struct {
		IDToken struct {
			ACR *struct {
				Essential bool
				Value     string
				Values    []string
			}
		} `json:"id_token"`
	}
	if text := values.Get("claims"); text != "" {
		if json.Unmarshal([]byte(text), &claims) != nil {
			return 0, invalidRequest("claims must be a JSON object")
		}
	}
	acr := claims.IDToken.ACR
	if acr == nil {
		return fromACRValues, nil
	}
	names := acr.Values
	if acr.Value != "" {
		names = append(names, acr.Value)
	}
	fromClaims := lowestLevel(names)
	if acr.Essential && len(names) > 0 && fromClaims == session.LevelNone {
		return 0, newOAuthError(0, "unmet_authentication_requirements", "none of the essential acr values is supported")
	}
	return max(fromACRValues, fromClaims), nil
}

// lowestLevel returns the lowest level with one of the acr values, or session.LevelNone.
func lowestLevel(names []string) session.Level {
	found := session.LevelNone
	for _, name := range names {
		if l := session.ParseACR(name); l != session.LevelNone && (found == session.LevelNone || l < found) {
			found = l
		}
	}
	return found
}

// parseIDTokenHint returns the subject of an ID token that this server issued to the client.
func (p *Provider) parseIDTokenHint(r *http.Request, cl client.Client, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	claims, _, err := p.Grants.ParseIDToken(r.Context(), token)
	if errors.Is(err, grant.ErrInvalid) || err == nil && !claims.Audience.Contains(cl.ID) {
		return "", invalidRequest("id_token_hint must be an ID token that was issued here to this app")
	}
	return claims.Subject, err
}

// errorParameters returns the parameters of an error response (RFC 6749 4.1.2.1).
func errorParameters(code, text string) url.Values {
	v := url.Values{"error": {code}}
	if text != "" {
		v.Set("error_description", text)
	}
	return v
}

// seeOther redirects with 303, so that the browser follows with a GET.
func seeOther(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
