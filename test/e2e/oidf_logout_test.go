package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/test/e2e/live"
)

// TestOIDFConfig follows the OpenID Foundation's plan oidcc-config-certification-test-plan.
func TestOIDFConfig(t *testing.T) {
	modules(t, []module{{"oidcc-discovery-endpoint-verification", discovery}})
}

// TestOIDFLogout follows the OpenID Foundation's plan oidcc-rp-initiated-logout-certification-test-plan.
func TestOIDFLogout(t *testing.T) {
	modules(t, []module{
		{"oidcc-rp-initiated-logout-discovery-endpoint-verification", endSession},
		{"oidcc-rp-initiated-logout", func(p *play) { p.leaves(p.signs(), "the state") }},
		{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", func(p *play) { p.mayNot("post_logout_redirect_uri", p.URL+"/elsewhere") }},
		{"oidcc-rp-initiated-logout-modified-id-token-hint", func(p *play) {
			g := p.signs()
			body := strings.Split(g.raw, ".")[1]
			p.mayNotAs(g, "id_token_hint", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))+"."+body+".")
		}},
		{"oidcc-rp-initiated-logout-no-id-token-hint", func(p *play) { p.mayNot("id_token_hint", "") }},
		{"oidcc-rp-initiated-logout-no-params", func(p *play) { p.isOut("id_token_hint", "", "post_logout_redirect_uri", "", "state", "") }},
		{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", func(p *play) { p.isOut("post_logout_redirect_uri", "") }},
		{"oidcc-rp-initiated-logout-no-state", func(p *play) { p.leaves(p.signs(), "") }},
		{"oidcc-rp-initiated-logout-only-state", func(p *play) { p.isOut("id_token_hint", "", "post_logout_redirect_uri", "") }},
		{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", func(p *play) { p.mayNot("post_logout_redirect_uri", p.URL+"/bye?foo=bar") }},
		{"oidcc-rp-initiated-logout-bad-id-token-hint", func(p *play) {
			g := p.signs()
			p.mayNotAs(g, "id_token_hint", p.forged(g))
		}},
	})
}

// TestOIDFBackChannel follows the OpenID Foundation's plan oidcc-backchannel-rp-initiated-logout-certification-test-plan.
func TestOIDFBackChannel(t *testing.T) {
	modules(t, []module{
		{"oidcc-backchannel-logout-discovery-endpoint-verification", func(p *play) {
			endSession(p)
			if d := p.discovered(); d["backchannel_logout_supported"] != true || d["backchannel_logout_session_supported"] != true {
				p.t.Errorf("%v", d)
			}
		}},
		{"oidcc-backchannel-rp-initiated-logout", backChannel},
	})
}

// appWith is an app with an algorithm for its ID tokens.
func appWith(algorithm string) twostep.App {
	return twostep.App{ID: "unsigned", IDTokenAlg: algorithm, RedirectURIs: []string{"https://unsigned.example/cb"}}
}

// discovered is the discovery document.
func (p *play) discovered() map[string]any {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.s.URL+"/.well-known/openid-configuration", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	status, body := p.told(r)
	if status != http.StatusOK {
		p.t.Fatalf("%d", status)
	}
	return body
}

// strings are those of a list in the discovery document.
func (p *play) list(d map[string]any, name string) (list []string) {
	p.t.Helper()
	all, _ := d[name].([]any)
	for _, one := range all {
		text, ok := one.(string)
		if !ok || slices.Contains(list, text) {
			p.t.Errorf("%s: %v", name, all)
		}
		list = append(list, text)
	}
	return list
}

// discovery wants what OpenID Connect Discovery 3 and RFC 8414 2 want, and keys that fit.
func discovery(p *play) {
	d := p.discovered()
	if d["issuer"] != p.s.URL {
		p.t.Errorf("issuer: %v", d["issuer"])
	}
	for name, value := range d {
		if text, ok := value.(string); ok && (strings.HasSuffix(name, "_endpoint") || name == "jwks_uri") {
			if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
				p.t.Errorf("%s: %s", name, text)
			}
		}
	}
	for name, least := range map[string][]string{
		"response_types_supported": {"code"}, "subject_types_supported": {"public"}, "id_token_signing_alg_values_supported": {"RS256"},
		"grant_types_supported": {"authorization_code"}, "scopes_supported": {"openid"}, "claims_supported": {"sub", "iss", "aud", "exp", "iat"},
		"code_challenge_methods_supported": {"S256"}, "token_endpoint_auth_methods_supported": {"client_secret_basic"}, "ui_locales_supported": {"en"},
	} {
		list := p.list(d, name)
		for _, one := range least {
			if !slices.Contains(list, one) {
				p.t.Errorf("%s: %q has no %s", name, list, one)
			}
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		if d[name] == nil {
			p.t.Errorf("%s is missing", name)
		}
	}
	p.publicKeys()
}

// publicKeys wants keys of their own names, for signatures, and nothing secret in them.
func (p *play) publicKeys() {
	p.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(p.Get("/oauth2/jwks").Body), &set); err != nil {
		p.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range set.Keys {
		if !k.Valid() || !k.IsPublic() || k.KeyID == "" || seen[k.KeyID] || k.Use != "sig" || k.Algorithm == "" {
			p.t.Errorf("a key: %+v", k)
		}
		seen[k.KeyID] = true
	}
	if len(seen) < 2 {
		p.t.Errorf("%d keys: one for each algorithm is promised", len(seen))
	}
}

func endSession(p *play) {
	if at, _ := p.discovered()["end_session_endpoint"].(string); !strings.HasPrefix(at, p.s.URL+"/") {
		p.t.Errorf("end_session_endpoint: %q", at)
	}
}

// logoutURL is where the relying party sends somebody who wants to leave, changed by pairs.
func (p *play) logoutURL(g got, pairs ...string) string {
	v := url.Values{"id_token_hint": {g.raw}, "post_logout_redirect_uri": {p.URL + "/bye"}, "state": {"the state"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return p.s.URL + "/oauth2/logout?" + v.Encode()
}

// leaves goes to the server and comes back to the relying party, and nobody is in.
func (p *play) leaves(g got, state string) {
	p.t.Helper()
	a := p.to(p.logoutURL(g, "state", state))
	p.says(a, p.URL)
	if a.Request.URL.Path != "/bye" || a.Request.URL.Query().Get("state") != state || len(a.Request.URL.Query()) != min(len(state), 1) {
		p.t.Errorf("out at %s", a.Request.URL)
	}
	p.nobody()
}

func (p *play) nobody() {
	p.t.Helper()
	p.fails(p.request("prompt", "none"), "login_required")
}

// mayNot wants an error for somebody who is in: nobody is sent to the relying party.
func (p *play) mayNot(pairs ...string) {
	p.t.Helper()
	p.mayNotAs(p.signs(), pairs...)
}

func (p *play) mayNotAs(g got, pairs ...string) {
	p.t.Helper()
	p.stays(p.to(p.logoutURL(g, pairs...)), http.StatusBadRequest)
	p.silent(g, "prompt", "none")
}

var logoutField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// isOut signs somebody out who has nowhere to go: at once if the ID token says whom the app
// means, or else when the person has said so.
func (p *play) isOut(pairs ...string) {
	p.t.Helper()
	g := p.signs()
	a := p.to(p.logoutURL(g, pairs...))
	if a.Request.URL.Path == "/oauth2/logout" {
		p.stays(a, http.StatusOK)
		a = p.confirmed(a)
	}
	if at := a.Request.URL; at.String() != p.s.URL+"/signout/done" || a.StatusCode != http.StatusOK {
		p.t.Errorf("%s answers %d", at, a.StatusCode)
	}
	p.nobody()
}

// confirmed is the answer to the person's own word.
func (p *play) confirmed(a live.Answer) live.Answer {
	p.t.Helper()
	var pairs []string
	for _, m := range logoutField.FindAllStringSubmatch(a.Body, -1) {
		pairs = append(pairs, m[1], m[2])
	}
	return p.to(p.s.URL + p.Post("/oauth2/logout/confirm", pairs...).Header.Get("Location"))
}

// forged is the ID token, signed with a key of the relying party's own.
func (p *play) forged(g got) string {
	p.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: "certifier"}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(g.id)
	if err != nil {
		p.t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// backChannel: the relying party is told of a sign-out that it asked for, by a logout token for the
// session of its ID token (OpenID Connect Back-Channel Logout 2.4).
func backChannel(p *play) {
	for len(p.Told) > 0 { // those of other modules
		<-p.Told
	}
	g := p.signs()
	p.leaves(g, seal.NewToken())
	p.notified(g)
}

// notified waits for the logout token about the session of an ID token.
func (p *play) notified(g got) {
	p.t.Helper()
	var form url.Values
	select {
	case form = <-p.Told:
	case <-time.After(time.Minute):
		p.t.Fatal("the relying party is told nothing")
	}
	if len(form) != 1 {
		p.t.Errorf("more than a logout token is told: %v", form)
	}
	said := p.verified(form.Get("logout_token"))
	p.stays(p.to(p.logoutURL(got{raw: form.Get("logout_token")})), http.StatusBadRequest) // it is no ID token
	events, _ := said["events"].(map[string]any)
	event, is := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	now, issued := p.s.Now().Unix(), got{id: said}
	switch {
	case issued.text("iss") != p.s.URL, issued.text("aud") != certified, issued.text("jti") == "", !is, len(event) > 0:
		p.t.Errorf("the logout token: %v", said)
	case issued.number("iat") > now+1, issued.number("exp") <= now, issued.number("iat") < now-60:
		p.t.Errorf("its times: %v", said)
	case said["nonce"] != nil, issued.text("sid") != g.text("sid"), said["sub"] != nil && issued.text("sub") != g.text("sub"):
		p.t.Errorf("whom it means: %v, and the ID token %v", said, g.id)
	}
}
