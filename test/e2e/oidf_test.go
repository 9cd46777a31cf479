package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// certifier is the relying party of the OpenID Foundation's certification plans, written from
// the specifications: each module of a plan is a test of its name. It has two clients that do
// without PKCE, the one exception there is, and take RS256.
type certifier struct {
	URL    string
	Told   chan url.Values // what comes over the back channel
	secret map[string]string
	server *live.Server
}

const certified, another = "certified", "another"

// modules plays a plan, on both databases. Each module has a browser that has never been here,
// and hours of its own, so that no module uses up what the next one needs.
func modules(t *testing.T, plan []module) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		c := openCertifier(t, database)
		for _, m := range plan {
			t.Run(m.name, func(t *testing.T) {
				c.server.Turn(3 * time.Hour)
				m.play(&play{certifier: c, walker: newWalker(t, c.server)})
			})
		}
	})
}

type module struct {
	name string
	play func(*play)
}

// play is one module being played.
type play struct {
	*certifier
	*walker
}

func openCertifier(t *testing.T, database string) *certifier {
	t.Helper()
	c := &certifier{Told: make(chan url.Values, 10), secret: map[string]string{}}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	c.URL = strings.Replace(web.URL, "127.0.0.1", "localhost", 1)
	for _, path := range []string{"/cb", "/bye"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the relying party") })
	}
	mux.HandleFunc("POST /backchannel", func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		c.Told <- r.PostForm
	})
	c.server = live.Start(t, database, func(o *twostep.Options) {
		for _, id := range []string{certified, another} {
			secret, hash := twostep.NewAppSecret()
			c.secret[id] = secret
			o.Apps = append(o.Apps, twostep.App{
				ID: id, ResponseTypes: []string{"id_token", "code id_token"}, SecretHashes: []string{hash}, IDTokenAlg: "RS256", PKCE: "off",
				RedirectURIs: []string{c.URL + "/cb"}, PostLogoutRedirectURIs: []string{c.URL + "/bye"}, BackChannelLogoutURI: c.URL + "/backchannel",
			})
		}
	})
	return c
}

// request are the parameters of an authorization request, with others in their place by pairs;
// an empty value leaves one out.
func (p *play) request(pairs ...string) url.Values {
	v := url.Values{"client_id": {certified}, "redirect_uri": {p.URL + "/cb"}, "response_type": {"code"}, "scope": {"openid"}, "state": {seal.NewToken()}, "nonce": {seal.NewToken()}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// callback is what comes back to the relying party for a request. It is for this request, and
// names who answers (RFC 9207).
func (p *play) callback(v url.Values) url.Values {
	p.t.Helper()
	return p.answered(v, p.to(p.s.URL+"/oauth2/authorize?"+v.Encode()))
}

func (p *play) answered(v url.Values, a live.Answer) url.Values {
	p.t.Helper()
	p.says(a, p.URL)
	got := a.Request.URL.Query()
	if a.Request.URL.Path != "/cb" || got.Get("state") != v.Get("state") || got.Get("iss") != p.s.URL || a.Request.URL.Fragment != "" {
		p.t.Fatalf("the answer is %s", a.Request.URL)
	}
	return got
}

// code is the code for a request.
func (p *play) code(v url.Values) string {
	p.t.Helper()
	got := p.callback(v)
	if got.Get("code") == "" || got.Has("error") {
		p.t.Fatalf("no code: %v", got)
	}
	return got.Get("code")
}

// fails wants a request to end with one of these errors.
func (p *play) fails(v url.Values, errors ...string) {
	p.t.Helper()
	if got := p.callback(v); !slices.Contains(errors, got.Get("error")) || got.Has("code") {
		p.t.Errorf("got %v, want one of %q", got, errors)
	}
}

// stays wants a page of the server itself in answer to a request: an error, which says so.
func (p *play) stays(a live.Answer, status int) {
	p.t.Helper()
	if at := a.Request.URL; !strings.HasPrefix(at.String(), p.s.URL+"/oauth2/") || a.StatusCode != status || !strings.Contains(a.Body, "<h1>") {
		p.t.Errorf("%s answers %d, want a page with %d\n%s", at, a.StatusCode, status, a.Body)
	}
}

// got is what a session of the relying party knows.
type got struct {
	asked   url.Values
	raw     string // the ID token
	id      map[string]any
	access  string
	refresh string
}

func (g got) text(name string) string { s, _ := g.id[name].(string); return s }

func (g got) number(name string) int64 { n, _ := g.id[name].(float64); return int64(n) }

// signs signs in, from the request to the ID token.
func (p *play) signs(pairs ...string) got {
	p.t.Helper()
	v := p.request(pairs...)
	return p.exchange(v, p.code(v))
}

// exchange brings a code by client_secret_basic.
func (p *play) exchange(v url.Values, code string, pairs ...string) got {
	p.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {v.Get("redirect_uri")}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	status, body := p.call("/oauth2/token", form, certified)
	return p.checked(v, status, body)
}

// checked is what the token endpoint has given, after all that OpenID Connect Core 3.1.3.7 asks for.
func (p *play) checked(v url.Values, status int, body map[string]any) got {
	p.t.Helper()
	g := got{asked: v}
	g.access, _ = body["access_token"].(string)
	g.refresh, _ = body["refresh_token"].(string)
	g.raw, _ = body["id_token"].(string)
	if kind, _ := body["token_type"].(string); status != http.StatusOK || g.access == "" || !strings.EqualFold(kind, "Bearer") || body["expires_in"] == nil {
		p.t.Fatalf("tokens: %d %v", status, body)
	}
	g.id = p.verified(g.raw)
	sum := sha256.Sum256([]byte(g.access))
	now := p.s.Now()
	switch {
	case g.text("iss") != p.s.URL, g.text("aud") != v.Get("client_id"), g.text("sub") == "", len(g.text("sub")) > 255, g.text("nonce") != v.Get("nonce"):
		p.t.Errorf("the ID token is for somebody else: %v", g.id)
	case g.number("exp") <= now.Unix(), g.number("iat") > now.Unix()+1, g.number("iat") < now.Add(-time.Minute).Unix(), g.number("auth_time") > now.Unix():
		p.t.Errorf("the times of the ID token: %v", g.id)
	case g.text("at_hash") != base64.RawURLEncoding.EncodeToString(sum[:16]):
		p.t.Errorf("at_hash: %v", g.id)
	}
	return g
}

// verified are the claims of a JWT that is signed with RS256, by a key that is published.
func (p *play) verified(token string) (claims map[string]any) {
	p.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(p.Get("/oauth2/jwks").Body), &set); err != nil {
		p.t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err == nil {
		err = parsed.Claims(set, &claims)
	}
	if err != nil {
		p.t.Fatalf("%q: %v", token, err)
	}
	return claims
}

// call sends a form to an endpoint, as an app by client_secret_basic; as "" without a proof.
func (p *play) call(path string, form url.Values, app string) (status int, body map[string]any) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if app != "" {
		r.SetBasicAuth(app, p.secret[app])
	}
	return p.told(r)
}

// told is what is answered in JSON.
func (p *play) told(r *http.Request) (status int, body map[string]any) {
	p.t.Helper()
	res, err := p.s.Client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") || json.Unmarshal(text, &body) != nil {
		p.t.Fatalf("%s answers %d, %s\n%s", r.URL.Path, res.StatusCode, kind, text)
	}
	return res.StatusCode, body
}

// userinfo is what is said of the holder of an access token, who is the one of the ID token.
func (p *play) userinfo(g got) map[string]any {
	p.t.Helper()
	status, body := p.bearer(http.MethodGet, g.access)
	p.holds(g, status, body)
	return body
}

// bearer asks the userinfo endpoint with a token in the header.
func (p *play) bearer(method, token string) (status int, body map[string]any) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.s.URL+"/oauth2/userinfo", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return p.told(r)
}
