package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"twostep.example/twostep/internal/seal"
)

// TestOIDFImplicit follows the OpenID Foundation's plan oidcc-implicit-certification-test-plan, with response_type=id_token.
func TestOIDFImplicit(t *testing.T) { modules(t, frontModules("id_token")) }

// TestOIDFHybrid follows the OpenID Foundation's plan oidcc-hybrid-certification-test-plan, with response_type=code id_token.
func TestOIDFHybrid(t *testing.T) {
	modules(t, append(frontModules("code id_token"), []module{
		{"oidcc-server, the code", func(p *play) {
			v := p.request("response_type", "code id_token", "scope", "openid email")
			values, front := p.front(v)
			g := p.exchange(v, values.Get("code"))
			if g.text("sub") != front.text("sub") || g.text("sid") != front.text("sid") || g.text("email") != front.text("email") {
				p.t.Errorf("the two ID tokens differ: %v, %v", front.id, g.id)
			}
			p.userinfo(g)
		}},
		{"oidcc-refresh-token", func(p *play) {
			v := p.request("response_type", "code id_token", "scope", "openid offline_access")
			values, _ := p.front(v)
			if g := p.exchange(v, values.Get("code")); g.refresh == "" {
				p.t.Error("no refresh token")
			}
		}},
	}...))
}

// frontModules are the modules of both plans, with the expectations of OpenID Connect Core 3.2 and 3.3.
func frontModules(kind string) []module {
	asks := func(p *play, pairs ...string) url.Values {
		return p.request(append([]string{"response_type", kind}, pairs...)...)
	}
	fails := func(p *play, v url.Values, errors ...string) {
		p.t.Helper()
		a := p.to(p.s.URL + "/oauth2/authorize?" + v.Encode())
		values, err := url.ParseQuery(a.Request.URL.EscapedFragment())
		if err != nil || !slices.Contains(errors, values.Get("error")) || values.Has("id_token") || values.Has("code") || a.Request.URL.RawQuery != "" {
			p.t.Errorf("got %s, want one of %q", a.Request.URL, errors)
		}
	}
	return []module{
		{"oidcc-server", func(p *play) { p.front(asks(p)) }},
		{"oidcc-discovery-endpoint-verification", func(p *play) {
			d := p.discovered()
			if !slices.Contains(p.list(d, "response_types_supported"), kind) || !slices.Contains(p.list(d, "grant_types_supported"), "implicit") {
				p.t.Errorf("%v, %v", d["response_types_supported"], d["grant_types_supported"])
			}
		}},
		{"oidcc-ensure-request-without-nonce-fails", func(p *play) { fails(p, asks(p, "nonce", ""), "invalid_request") }},
		{"oidcc-scope-email", func(p *play) {
			if _, g := p.front(asks(p, "scope", "openid email")); g.text("email") != "anna@example.com" {
				p.t.Errorf("%v", g.id)
			}
		}},
		{"oidcc-prompt-none-not-logged-in", func(p *play) { fails(p, asks(p, "prompt", "none"), "login_required") }},
		{"oidcc-prompt-none-logged-in", func(p *play) {
			_, first := p.front(asks(p))
			if _, g := p.front(asks(p, "prompt", "none", "id_token_hint", first.raw)); g.text("sub") != first.text("sub") {
				p.t.Errorf("somebody else: %v", g.id)
			}
		}},
		{"oidcc-ensure-registered-redirect-uri", func(p *play) {
			p.stays(p.to(p.s.URL+"/oauth2/authorize?"+asks(p, "redirect_uri", p.URL+"/other").Encode()), http.StatusBadRequest)
		}},
		{"oidcc-response-mode-query", func(p *play) { fails(p, asks(p, "response_mode", "query"), "invalid_request") }},
		{"oidcc-server, form_post", func(p *play) {
			p.front(asks(p)) // signs in
			v := asks(p, "response_mode", "form_post")
			a := p.Get("/oauth2/authorize?" + v.Encode())
			form := url.Values{}
			for _, m := range responseField.FindAllStringSubmatch(a.Body, -1) {
				form.Set(m[1], m[2])
			}
			p.bound(v, form)
		}},
		{"oidcc-backchannel-rp-initiated-logout", func(p *play) { // also if the code is never used
			_, g := p.front(asks(p))
			p.leaves(g, seal.NewToken())
			p.notified(g)
		}},
	}
}

var responseField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]+)">`)

// front signs in and returns the parameters in the fragment, and the ID token among them.
func (p *play) front(v url.Values) (url.Values, got) {
	p.t.Helper()
	a := p.to(p.s.URL + "/oauth2/authorize?" + v.Encode())
	p.says(a, p.URL)
	values, err := url.ParseQuery(a.Request.URL.EscapedFragment())
	if err != nil || a.Request.URL.Path != "/cb" || a.Request.URL.RawQuery != "" {
		p.t.Fatalf("the answer is %s", a.Request.URL)
	}
	return values, p.bound(v, values)
}

// bound is the ID token of an authorization response, after all that OpenID Connect Core 3.2.2.11 and 3.3.2.12 ask for.
func (p *play) bound(v, values url.Values) got {
	p.t.Helper()
	g := got{asked: v, raw: values.Get("id_token")}
	g.id = p.verified(g.raw)
	now := p.s.Now().Unix()
	switch {
	case values.Get("state") != v.Get("state"), values.Get("iss") != p.s.URL, values.Has("access_token"), values.Has("error"):
		p.t.Errorf("the response is %v", values)
	case g.text("iss") != p.s.URL, g.text("aud") != certified, g.text("sub") == "", g.text("nonce") != v.Get("nonce"), g.id["at_hash"] != nil:
		p.t.Errorf("the ID token is for somebody else: %v", g.id)
	case g.number("exp") <= now, g.number("iat") > now+1, g.number("auth_time") > now:
		p.t.Errorf("the times of the ID token: %v", g.id)
	case values.Has("code") != (v.Get("response_type") == "code id_token"):
		p.t.Errorf("a code: %v", values)
	}
	sum := sha256.Sum256([]byte(values.Get("code")))
	if half := base64.RawURLEncoding.EncodeToString(sum[:16]); values.Has("code") && g.text("c_hash") != half {
		p.t.Errorf("c_hash is %v, want %s", g.id["c_hash"], half)
	}
	return g
}
