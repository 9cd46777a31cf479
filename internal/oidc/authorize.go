package oidc

import (
	"cmp"
	"encoding/json"
	"errors"
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
	values, err := p.parsePageParameters(r)
	if err != nil {
		return err
	}
	cl, redirect, err := p.resolveClient(r, values)
	if err != nil {
		return p.showRejection(w, r, cl, values, err)
	}
	authReq, err := p.parseAuthRequest(r, cl, redirect, values)
	if oauthErr, ok := errors.AsType[*oauthError](err); ok {
		p.logRejected(r, cl.ID, cl, values, err)
		invalid := grant.AuthRequest{
			ClientID:     cl.ID,
			RedirectURI:  redirect,
			State:        values.Get("state"),
			ResponseMode: responseMode(values, redirect),
		}
		return p.refuseRequest(w, r, invalid, "", errorParameters(oauthErr.code, oauthErr.description))
	}
	if errors.Is(err, grant.ErrInvalid) {
		return p.showRejection(w, r, cl, values,
			reject(err, "the request_uri is unknown, used or expired", "let the person start again in the app"))
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

// resolveClient returns the client and the redirect URI of an authorization request. It returns a *pageError if
// one of them is not registered (RFC 9700 4.11.2). For a pushed request the redirect URI is empty.
func (p *Provider) resolveClient(r *http.Request, values url.Values) (cl client.Client, redirect string, err error) {
	id := values.Get("client_id")
	cl, err = p.Grants.FindClient(r.Context(), id, p.Pages.Origin(r))
	if errors.Is(err, client.ErrNotFound) {
		return cl, "", reject(&pageError{"oidc.noapp", "there is no app with this client_id"}, "", remedyForUnknown(id))
	}
	if refused, ok := errors.AsType[*metadata.Error](err); ok {
		return cl, "", reject(&pageError{"oidc.document", "the metadata document of the app is refused: " + refused.Reason},
			"", "correct the document at "+truncate(id))
	}
	if err != nil || grant.IsPushedRequestURI(values.Get("request_uri")) {
		return cl, "", err
	}
	redirect = values.Get("redirect_uri")
	if redirect == "" && len(cl.RedirectURIs) == 1 && !slices.Contains(strings.Fields(values.Get("scope")), "openid") {
		redirect = cl.RedirectURIs[0] // RFC 6749 3.1.2.3; OpenID Connect requires the parameter
	}
	if !cl.AllowsRedirectURI(redirect) {
		return cl, "", reject(&pageError{"oidc.redirect",
			"the redirect_uri is not registered: " + client.ExplainRedirectMismatch(cl.RedirectURIs, redirect)}, "",
			"correct it in the app, or run `twostep app set "+cl.ID+" --redirect URL` with all that the app uses")
	}
	return cl, redirect, nil
}

// truncate returns the start of s, for logs. It ends between characters, because PostgreSQL stores no others.
func truncate(s string) string { return strings.ToValidUTF8(s[:min(len(s), 200)], "") }

// showRejection logs why a request of a client was rejected, and shows it with showErrorPage. It returns every error
// that is neither a *pageError nor grant.ErrInvalid.
func (p *Provider) showRejection(
	w http.ResponseWriter, r *http.Request, cl client.Client, values url.Values, err error,
) error {
	if errors.Is(err, grant.ErrInvalid) || errors.As(err, new(*pageError)) {
		p.logRejected(r, cmp.Or(cl.ID, values.Get("client_id")), cl, values, err)
	}
	return p.showErrorPage(w, r, err)
}

// showErrorPage tells the person that the app's request is invalid or has expired. It returns every error that is
// neither a *pageError nor grant.ErrInvalid.
func (p *Provider) showErrorPage(w http.ResponseWriter, r *http.Request, err error) error {
	title, key := "oidc.over.title", "oidc.over"
	if e, ok := errors.AsType[*pageError](err); ok {
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
		ResponseType:  client.ParseResponseType(values.Get("response_type")),
		ResponseMode:  responseMode(values, redirect),
		Scope:         parseScope(values),
		Prompt:        strings.Fields(values.Get("prompt")),
		LoginHint:     values.Get("login_hint"),
		UILocales:     values.Get("ui_locales"),
		Action:        values.Get("twostep_action"),
		RequestedAt:   p.Grants.Now(),
	}
	if !authReq.WantsCode() { // OpenID Connect Core 11
		authReq.Scope = slices.DeleteFunc(authReq.Scope, func(one string) bool { return one == "offline_access" })
	}
	for _, check := range []func() error{
		func() error { return checkSupportedParameters(values) },
		func() error { return checkResponseType(cl, authReq, values) },
		func() error { return p.checkPKCE(r, cl, authReq, values) },
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

// parseScope returns the known values of the scope parameter, each once. Others are ignored.
func parseScope(values url.Values) (scope []string) {
	for _, one := range strings.Fields(values.Get("scope")) {
		if slices.Contains(supportedScopes, one) && !slices.Contains(scope, one) {
			scope = append(scope, one)
		}
	}
	return scope
}

// checkSupportedParameters rejects parameters and values that this server does not support.
func checkSupportedParameters(values url.Values) error {
	switch {
	case values.Get("request") != "":
		return newOAuthError(0, "request_not_supported",
			"request objects are not supported: send the parameters, or push them")
	case values.Get("request_uri") != "":
		return newOAuthError(0, "request_uri_not_supported",
			"push the request, and send the request_uri of the response")
	case len(values.Get("state")) > 2048 || len(values.Get("nonce")) > 1024 ||
		len(values.Get("login_hint")) > 254 || len(values.Get("ui_locales")) > 100:
		return invalidRequest("state, nonce, login_hint or ui_locales is too long")
	}
	return nil
}

// isFrontChannel reports whether a response_type asks for tokens in the authorization response. Its responses, and its
// errors, are then never sent in the query, which servers and proxies log.
func isFrontChannel(responseType string) bool {
	words := strings.Fields(responseType)
	return slices.Contains(words, "id_token") || slices.Contains(words, "token")
}

// responseMode returns how a request is answered: by the requested mode, or by the default of its response type if that
// is missing or not possible (OAuth 2.0 Multiple Response Type Encoding Practices 2.1).
func responseMode(values url.Values, redirect string) string {
	mode, front := values.Get("response_mode"), isFrontChannel(values.Get("response_type"))
	switch {
	case mode == "fragment", mode == "query" && !front, mode == "form_post" && strings.HasPrefix(redirect, "http"):
		return mode
	case front:
		return "fragment"
	}
	return "query"
}

// checkResponseType checks the response type and mode, and what OpenID Connect Core 3.2.2.1 and 3.3.2.1 require for ID
// tokens in the authorization response.
func checkResponseType(cl client.Client, authReq grant.AuthRequest, values url.Values) error {
	text, mode := values.Get("response_type"), values.Get("response_mode")
	switch {
	case text == "":
		return invalidRequest("response_type is missing")
	case slices.Contains(strings.Fields(text), "token"):
		return newOAuthError(0, "unsupported_response_type",
			"access tokens are never sent through the browser: response_type must be code")
	case authReq.ResponseType == "":
		return newOAuthError(0, "unsupported_response_type", `response_type must be code, "code id_token" or id_token`)
	case !cl.AllowsResponseType(authReq.ResponseType):
		return reject(newOAuthError(0, "unauthorized_client",
			"response_type "+authReq.ResponseType+" is not enabled for this app: use code"), "",
			"set the response type to code in the app, or run `twostep app set "+cl.ID+
				" --response-type \""+authReq.ResponseType+"\"`")
	case mode == "query" && authReq.WantsIDToken():
		return invalidRequest("response_mode must be fragment or form_post, because query would put the ID token into logs")
	case mode == "form_post" && authReq.ResponseMode != mode:
		return invalidRequest("response_mode form_post needs an http or https redirect_uri")
	case mode != "" && !slices.Contains(responseModes, mode):
		return invalidRequest("response_mode must be query, fragment or form_post")
	case authReq.WantsIDToken() && !slices.Contains(authReq.Scope, "openid"):
		return invalidRequest("scope must have openid, because response_type has id_token")
	case authReq.WantsIDToken() && authReq.Nonce == "":
		return invalidRequest("nonce is missing: response_type id_token needs it")
	}
	return nil
}

// checkPKCE requires PKCE with method S256 (RFC 7636) if there is to be a code, as far as the client's PKCE mode does.
func (p *Provider) checkPKCE(r *http.Request, cl client.Client, authReq grant.AuthRequest, values url.Values) error {
	challenge, method := values.Get("code_challenge"), values.Get("code_challenge_method")
	mode := cl.PKCEMode()
	missing := func(text string) error {
		remedy := "turn on PKCE (S256) in the app"
		if !cl.IsPublic() {
			remedy += ", or run `twostep app set " + cl.ID + " --pkce off`"
		}
		return reject(invalidRequest("code_challenge is missing: "+text), "", remedy)
	}
	switch {
	case !authReq.WantsCode():
		return nil
	case challenge == "" && method == "" && mode == client.PKCEOff:
		return nil
	case challenge == "" && method == "" && mode == client.PKCEAuto && values.Get("nonce") != "":
		used, err := p.Grants.UsesPKCE(r.Context(), cl.ID)
		if err == nil && used {
			err = missing("this app has used PKCE before")
		}
		return err
	case challenge == "" && mode == client.PKCEAuto:
		return missing("send it (PKCE with S256), or a nonce")
	case challenge == "":
		return missing("PKCE is required")
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
