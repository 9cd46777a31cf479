package e2e

import (
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/seal"
)

// TestOIDFBasic follows the OpenID Foundation's plan oidcc-basic-certification-test-plan, with response_type=code, a client that
// is registered by hand, and client_secret_basic.
func TestOIDFBasic(t *testing.T) {
	modules(t, []module{
		{"oidcc-server", func(p *play) { p.userinfo(p.signs()) }},
		{"oidcc-response-type-missing", func(p *play) { p.fails(p.request("response_type", ""), "invalid_request", "unsupported_response_type") }},
		{"oidcc-idtoken-signature", func(p *play) { p.signs() }}, // checked wants RS256
		{"oidcc-idtoken-unsigned", unsigned},
		{"oidcc-userinfo-get", func(p *play) { p.userinfo(p.signs()) }},
		{"oidcc-userinfo-post-header", func(p *play) {
			g := p.signs()
			status, body := p.bearer(http.MethodPost, g.access)
			p.holds(g, status, body)
		}},
		{"oidcc-userinfo-post-body", func(p *play) {
			g := p.signs()
			status, body := p.call("/oauth2/userinfo", url.Values{"access_token": {g.access}}, "")
			p.holds(g, status, body)
		}},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func(p *play) {
			if g := p.signs("nonce", ""); g.id["nonce"] != nil {
				p.t.Errorf("a nonce that nobody sent: %v", g.id)
			}
		}},
		{"oidcc-scope-profile", func(p *play) { p.scope("openid profile", "name", "Anna", "family_name", "Adams") }},
		{"oidcc-scope-email", func(p *play) { p.scope("openid email", "email", "anna@example.com", "email_verified", true) }},
		{"oidcc-scope-address", func(p *play) { p.scope("openid address") }}, // nothing is known of it, and nothing is said
		{"oidcc-scope-phone", func(p *play) { p.scope("openid phone") }},     // a number for codes is for codes
		{"oidcc-scope-all", func(p *play) {
			p.scope("openid address email phone profile", "name", "Anna", "family_name", "Adams", "email", "anna@example.com", "email_verified", true,
				"preferred_username", "anna@example.com")
		}},
		{"oidcc-alternate-happy-flow", alternate},
		{"oidcc-display-page", func(p *play) { p.signs("display", "page") }},
		{"oidcc-display-popup", func(p *play) { p.signs("display", "popup") }},
		{"oidcc-prompt-login", func(p *play) { p.again(time.Second, "prompt", "login") }},
		{"oidcc-prompt-none-not-logged-in", func(p *play) {
			p.fails(p.request("prompt", "none"), "login_required", "interaction_required", "account_selection_required", "consent_required")
		}},
		{"oidcc-prompt-none-logged-in", func(p *play) { p.silent(p.signs(), "prompt", "none") }},
		{"oidcc-max-age-1", func(p *play) { p.again(time.Second, "max_age", "1") }},
		{"oidcc-max-age-10000", func(p *play) { p.silent(p.signs("max_age", "15000"), "max_age", "10000") }},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", func(p *play) { p.signs("extra", "foobar") }},
		{"oidcc-id-token-hint", func(p *play) {
			g := p.signs()
			p.silent(g, "prompt", "none", "id_token_hint", g.raw)
		}},
		{"oidcc-login-hint", func(p *play) {
			a := p.shown(p.request("login_hint", "buffy@example.com"))
			if !strings.Contains(a, `value="buffy@example.com"`) {
				p.t.Errorf("the page does not know the hint\n%s", a)
			}
			p.signs("login_hint", "buffy@example.com")
		}},
		{"oidcc-ui-locales", func(p *play) {
			if a := p.shown(p.request("ui_locales", "se de en")); !strings.Contains(a, `<html lang="de"`) {
				p.t.Errorf("the page is in another language than the first one there is\n%s", a)
			}
			p.signs("ui_locales", "se")
		}},
		{"oidcc-claims-locales", func(p *play) { p.signs("claims_locales", "se") }},
		{"oidcc-ensure-request-with-acr-values-succeeds", acrValues},
		{"oidcc-codereuse", func(p *play) { p.reuses(0) }},
		{"oidcc-codereuse-30seconds", func(p *play) { p.reuses(30 * time.Second) }},
		{"oidcc-ensure-registered-redirect-uri", func(p *play) {
			for _, wrong := range []string{p.URL + "/other", p.URL + "/cb?a=b", p.URL + "/cb/", "https://evil.example/cb"} {
				p.stays(p.to(p.s.URL+"/oauth2/authorize?"+p.request("redirect_uri", wrong).Encode()), http.StatusBadRequest)
			}
		}},
		{"oidcc-ensure-post-request-succeeds", func(p *play) {
			v := p.request()
			a := p.send(http.MethodPost, p.s.URL+"/oauth2/authorize", v)
			if a.StatusCode != http.StatusSeeOther {
				p.t.Fatalf("%d %s", a.StatusCode, a.Body)
			}
			p.exchange(v, p.answered(v, p.to(p.s.URL+a.Header.Get("Location"))).Get("code"))
		}},
		{"oidcc-server-client-secret-post", func(p *play) {
			v := p.request()
			form := url.Values{"grant_type": {"authorization_code"}, "code": {p.code(v)}, "redirect_uri": {v.Get("redirect_uri")}, "client_id": {certified}, "client_secret": {p.secret[certified]}}
			status, body := p.call("/oauth2/token", form, "")
			p.userinfo(p.checked(v, status, body))
		}},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(p *play) {
			p.fails(p.request("request_uri", p.URL+"/request.jwt"), "request_uri_not_supported")
		}},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(p *play) {
			p.fails(p.request("request", p.object(p.request())), "request_not_supported")
		}},
		{"oidcc-claims-essential", func(p *play) {
			// It must succeed; that the name is told for it alone is a wish, and scopes are the way here.
			if said := p.userinfo(p.signs("claims", `{"userinfo":{"name":{"essential":true}}}`)); len(said) != 1 {
				p.t.Errorf("%v", said)
			}
		}},
		{"oidcc-ensure-request-object-with-redirect-uri", func(p *play) {
			good := p.request()
			p.stays(p.to(p.s.URL+"/oauth2/authorize?"+p.request("redirect_uri", p.URL+"/other", "request", p.object(good)).Encode()), http.StatusBadRequest)
		}},
		{"oidcc-refresh-token", refreshes},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", func(p *play) {
			verifier := seal.NewToken()
			v := p.request("code_challenge", grant.S256Challenge(verifier), "code_challenge_method", "S256")
			p.exchange(v, p.code(v), "code_verifier", verifier)
		}},
	})
}

// unsigned: no app can have ID tokens without a signature, and none is promised.
func unsigned(p *play) {
	var flaw *twostep.AppError
	if err := p.s.CreateApp(p.t.Context(), appWith("none")); !errors.As(err, &flaw) || flaw.Field != "algorithm" {
		p.t.Errorf("an app with ID tokens that nobody signs: %v", err)
	}
	if algorithms := p.discovered()["id_token_signing_alg_values_supported"]; slices.Contains(algorithms.([]any), any("none")) {
		p.t.Errorf("promised: %v", algorithms)
	}
}

// holds wants an answer to be about the person of the ID token.
func (p *play) holds(g got, status int, body map[string]any) {
	p.t.Helper()
	if status != http.StatusOK || body["sub"] != g.text("sub") {
		p.t.Errorf("%d %v", status, body)
	}
}

// scope asks for one, and wants these claims of the userinfo endpoint, and no others.
func (p *play) scope(scope string, pairs ...any) {
	p.t.Helper()
	said := p.userinfo(p.signs("scope", scope))
	delete(said, "sub")
	if at, is := said["updated_at"].(float64); is != strings.Contains(scope, "profile") || is && (at < 1e9 || at > float64(p.s.Now().Unix()) || at != math.Trunc(at)) {
		p.t.Errorf("updated_at is %v", said["updated_at"])
	}
	delete(said, "updated_at")
	for i := 0; i+1 < len(pairs); i += 2 {
		name := pairs[i].(string)
		if said[name] != pairs[i+1] {
			p.t.Errorf("%s is %v", name, said[name])
		}
		delete(said, name)
	}
	if len(said) > 0 {
		p.t.Errorf("more is told than was asked for: %v", said)
	}
}

// alternate: neither the order of the scopes nor that of the parameters matters.
func alternate(p *play) {
	v := p.request("scope", "profile email openid")
	var names, query []string
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		query = append(query, name+"="+url.QueryEscape(v.Get(name)))
	}
	got := p.answered(v, p.to(p.s.URL+"/oauth2/authorize?"+strings.Join(query, "&")))
	if said := p.userinfo(p.exchange(v, got.Get("code"))); said["email"] != "anna@example.com" {
		p.t.Errorf("%v", said)
	}
}

// again signs in, and a while later once more in a way that asks for the steps anew.
func (p *play) again(later time.Duration, pairs ...string) {
	p.t.Helper()
	first := p.signs()
	p.s.Turn(later)
	before := p.asked
	second := p.signs(pairs...)
	if p.asked != before+1 || second.text("sub") != first.text("sub") || second.number("auth_time") <= first.number("auth_time") {
		p.t.Errorf("asked %d times; auth_time %d and %d", p.asked-before, first.number("auth_time"), second.number("auth_time"))
	}
}

// silent signs in once more where nobody may be asked: the same person, and the same proof.
func (p *play) silent(first got, pairs ...string) {
	p.t.Helper()
	p.s.Turn(2 * time.Second)
	before := p.asked
	second := p.signs(pairs...)
	if p.asked != before || second.text("sub") != first.text("sub") || second.number("auth_time") != first.number("auth_time") || first.number("auth_time") == 0 {
		p.t.Errorf("asked %d times: %v, and before %v", p.asked-before, second.id, first.id)
	}
}

// shown is the page to sign in on to which a request leads.
func (p *play) shown(v url.Values) string {
	p.t.Helper()
	a := p.send(http.MethodGet, p.s.URL+"/oauth2/authorize?"+v.Encode(), nil)
	a = p.Get(a.Header.Get("Location"))
	if a.StatusCode != http.StatusOK || a.Request.URL.Path != "/signin" {
		p.t.Fatalf("%s: %d", a.Request.URL, a.StatusCode)
	}
	return a.Body
}

// acrValues asks for all that are promised; the ID token has one of them.
func acrValues(p *play) {
	var all []string
	for _, one := range p.discovered()["acr_values_supported"].([]any) {
		all = append(all, one.(string))
	}
	if g := p.signs("acr_values", strings.Join(all, " ")); !slices.Contains(all, g.text("acr")) {
		p.t.Errorf("acr %q is none of %q", g.text("acr"), all)
	}
}

// reuses brings a code a second time: it is refused, and what it gave before is worth nothing more.
func (p *play) reuses(later time.Duration) {
	p.t.Helper()
	v := p.request()
	code := p.code(v)
	g := p.exchange(v, code)
	p.s.Turn(later)
	status, body := p.call("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {v.Get("redirect_uri")}}, certified)
	if status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		p.t.Errorf("a used code: %d %v", status, body)
	}
	if status, body := p.bearer(http.MethodGet, g.access); status != http.StatusUnauthorized {
		p.t.Errorf("the access token after that: %d %v", status, body)
	}
}

// object is a request as a JWT that nobody has signed (OpenID Connect Core 6.1).
func (p *play) object(v url.Values) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	var members []string
	for name := range v {
		members = append(members, `"`+name+`":"`+v.Get(name)+`"`)
	}
	return part(`{"alg":"none"}`) + "." + part("{"+strings.Join(members, ",")+"}") + "."
}

// refreshes: it works, says the same of the same person, and is of no use to another app.
func refreshes(p *play) {
	g := p.signs("scope", "openid offline_access", "prompt", "consent")
	if g.refresh == "" || strings.ContainsFunc(g.refresh, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
		p.t.Fatalf("the refresh token is %q", g.refresh)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.refresh}}
	if status, body := p.call("/oauth2/token", form, another); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		p.t.Errorf("another app brings it: %d %v", status, body)
	}
	p.s.Turn(time.Second)
	v := url.Values{"client_id": {certified}} // without a nonce (OpenID Connect Core 12.2)
	status, body := p.call("/oauth2/token", form, certified)
	fresh := p.checked(v, status, body)
	if fresh.text("sub") != g.text("sub") || fresh.number("auth_time") != g.number("auth_time") || fresh.number("iat") <= g.number("iat") || fresh.access == g.access {
		p.t.Errorf("refreshed: %v, and before %v", fresh.id, g.id)
	}
	p.userinfo(fresh)
}
