package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// authorize is where an app sends somebody (OpenID Connect Core 3.1.2). A form from another
// site brings no cookies, so it is kept and goes on with a GET of ours.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	a, redirect, err := p.whose(r, values)
	if err != nil {
		return p.stray(w, r, err)
	}
	q, err := p.request(r, a, redirect, values)
	if told, ok := errors.AsType[*refusal](err); ok {
		mode := values.Get("response_mode")
		return p.back(w, r, grant.Request{Redirect: redirect, State: values.Get("state"), Mode: mode}, failed(told.code, told.text))
	}
	if errors.Is(err, grant.ErrInvalid) {
		return p.stray(w, r, err)
	}
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		token, err := p.Grants.Wait(r.Context(), q, p.Pages.From(r))
		if err != nil {
			return err
		}
		return see(w, r, grant.Continuing(token))
	}
	return p.proceed(w, r, q, "")
}

// errStray says that nobody knows where the person may be sent back to.
type errStray struct{ key, detail string }

func (e *errStray) Error() string { return e.detail }

// whose is the app that asks, and where its answer goes. Until both are known nobody is sent
// anywhere (RFC 9700 4.11.2).
func (p *Provider) whose(r *http.Request, values url.Values) (a grant.App, redirect string, err error) {
	a, err = p.Grants.App(r.Context(), values.Get("client_id"))
	if errors.Is(err, grant.ErrNoApp) {
		return a, "", &errStray{"oidc.noapp", "there is no app with the client_id " + strconv.Quote(cut(values.Get("client_id")))}
	}
	if err != nil || grant.IsPushed(values.Get("request_uri")) {
		return a, "", err
	}
	redirect = values.Get("redirect_uri")
	if redirect == "" && len(a.Redirects) == 1 && !slices.Contains(strings.Fields(values.Get("scope")), "openid") {
		redirect = a.Redirects[0] // RFC 6749 3.1.2.3; OpenID Connect wants it in full
	}
	if !a.Redirect(redirect) {
		return a, "", &errStray{"oidc.redirect", "app " + a.ID + ": the redirect_uri " + strconv.Quote(cut(redirect)) + " is not registered: " + grant.Mismatch(a.Redirects, redirect)}
	}
	return a, redirect, nil
}

func cut(s string) string { return s[:min(len(s), 200)] }

// stray tells the person that the app has sent them here wrongly, and the operator why.
func (p *Provider) stray(w http.ResponseWriter, r *http.Request, err error) error {
	title, key := "oidc.over.title", "oidc.over"
	if e, ok := errors.AsType[*errStray](err); ok {
		p.Grants.Log.Warn("an app asks wrongly", "problem", e.detail)
		title, key = "oidc.stray.title", e.key
	} else if !errors.Is(err, grant.ErrInvalid) {
		return err
	}
	return p.Pages.Print(w, r, page.Sheet{Of: templates(), Name: "stray", Status: http.StatusBadRequest, Title: title, Page: key})
}

// request reads what an app asks for; the redirect address is one that whose has looked at.
// *refusal.
func (p *Provider) request(r *http.Request, a grant.App, redirect string, values url.Values) (q grant.Request, err error) {
	if name := values.Get("request_uri"); grant.IsPushed(name) {
		return p.Grants.Pushed(r.Context(), a.ID, name)
	}
	q = grant.Request{
		App: a.ID, Redirect: redirect, State: values.Get("state"), Nonce: values.Get("nonce"), Mode: values.Get("response_mode"),
		Prompt: strings.Fields(values.Get("prompt")), LoginHint: values.Get("login_hint"), Locales: values.Get("ui_locales"),
		Action: values.Get("twostep_action"), Challenge: values.Get("code_challenge"), Asked: p.Grants.Now(),
	}
	for _, one := range strings.Fields(values.Get("scope")) {
		if slices.Contains(scopes, one) && !slices.Contains(q.Scope, one) {
			q.Scope = append(q.Scope, one)
		}
	}
	for _, check := range []func() error{
		func() error { return plain(values) },
		func() error { return challenged(a, values) },
		func() error { return prompted(q.Prompt) },
		func() error { return p.acts(q.Action) },
		func() (err error) { q.MaxAge, err = age(values); return err },
		func() (err error) { q.Level, err = level(values); return err },
		func() (err error) { q.Subject, err = p.hinted(r, a, values.Get("id_token_hint")); return err },
	} {
		if err := check(); err != nil {
			return q, err
		}
	}
	return q, nil
}

// plain refuses what we do not do.
func plain(values url.Values) error {
	switch mode := values.Get("response_mode"); {
	case values.Get("request") != "":
		return refuse(0, "request_not_supported", "send the parameters themselves, or push them")
	case values.Get("request_uri") != "":
		return refuse(0, "request_uri_not_supported", "push the request, and send the request_uri of the answer")
	case values.Get("response_type") == "":
		return invalid("response_type is missing")
	case values.Get("response_type") != "code":
		return refuse(0, "unsupported_response_type", "the only response_type here is code")
	case mode == "form_post" && !strings.HasPrefix(values.Get("redirect_uri"), "http"):
		return invalid("an app on a phone gets no form")
	case mode != "" && mode != "query" && mode != "form_post":
		return invalid("response_mode is neither query nor form_post")
	case len(values.Get("state")) > 2048 || len(values.Get("nonce")) > 1024 || len(values.Get("login_hint")) > 254 || len(values.Get("ui_locales")) > 100:
		return invalid("state, nonce, login_hint or ui_locales is too long")
	}
	return nil
}

// challenged wants PKCE with S256 (RFC 7636), of everybody but an app that is said to be too old.
func challenged(a grant.App, values url.Values) error {
	challenge, method := values.Get("code_challenge"), values.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && a.NoPKCE:
		return nil
	case challenge == "":
		return invalid("code_challenge is missing: PKCE is required")
	case method != "S256":
		return invalid("code_challenge_method must be S256")
	case !grant.GoodChallenge(challenge):
		return invalid("code_challenge is no SHA-256 in base64url")
	}
	return nil
}

func prompted(prompt []string) error {
	for _, one := range prompt {
		if !slices.Contains(prompts, one) {
			return invalid("prompt is none of " + strings.Join(prompts, ", "))
		}
	}
	if len(prompt) > 4 || len(prompt) > 1 && slices.Contains(prompt, "none") {
		return invalid("prompt is none and something else, or too long")
	}
	return nil
}

func age(values url.Values) (*int64, error) {
	if values.Get("max_age") == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(values.Get("max_age"), 10, 32)
	if err != nil || seconds < 0 {
		return nil, invalid("max_age is no number of seconds")
	}
	return &seconds, nil
}

// level is how much an app wants proven, at least: any one of the levels that it names in one place
// will do, so the lowest, and of two places both count. A level that it must have and that is none
// of ours is refused, never left out.
func level(values url.Values) (session.Level, error) {
	wished := lowest(strings.Fields(values.Get("acr_values")))
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
			return 0, invalid("claims is no JSON object")
		}
	}
	acr := claims.IDToken.ACR
	if acr == nil {
		return wished, nil
	}
	names := acr.Values
	if acr.Value != "" {
		names = append(names, acr.Value)
	}
	claimed := lowest(names)
	if acr.Essential && len(names) > 0 && claimed == session.LevelNone {
		return 0, refuse(0, "unmet_authentication_requirements", "no acr of those that must be is one of ours")
	}
	return max(wished, claimed), nil
}

// lowest is the lowest level that has one of the names.
func lowest(names []string) session.Level {
	found := session.LevelNone
	for _, name := range names {
		if l := session.ParseACR(name); l != session.LevelNone && (found == session.LevelNone || l < found) {
			found = l
		}
	}
	return found
}

// hinted is the subject of an ID token of ours, made for the app.
func (p *Provider) hinted(r *http.Request, a grant.App, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	claims, _, err := p.Grants.Known(r.Context(), token)
	if errors.Is(err, grant.ErrInvalid) || err == nil && !claims.Audience.Contains(a.ID) {
		return "", invalid("id_token_hint is no ID token that was made here for this app")
	}
	return claims.Subject, err
}

// failed is an error as the app gets it.
func failed(code, text string) url.Values {
	v := url.Values{"error": {code}}
	if text != "" {
		v.Set("error_description", text)
	}
	return v
}

// see sends a browser on with a GET.
func see(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
