package attack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// PKCE with S256 is required of every public app. Where there was no challenge, no verifier is accepted.
func TestPKCEIsRequired(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		for what, wrong := range map[string][]string{
			"no challenge":       {"code_challenge", "", "code_challenge_method", ""},
			"no method":          {"code_challenge_method", ""},
			"plain":              {"code_challenge_method", "plain"},
			"a method of s256":   {"code_challenge_method", "s256"},
			"a short challenge":  {"code_challenge", "x"},
			"the method alone":   {"code_challenge", ""},
			"a long challenge":   {"code_challenge", challengeOf(verifier) + "x"},
			"an empty challenge": {"code_challenge", " "},
		} {
			if to := h.authorize(anna, asking("phone", phoneBack, wrong...)); to.Query().Get("code") != "" || to.Query().Get("error") != "invalid_request" {
				h.T.Errorf("%s: %s", what, to)
			}
		}
		const oldBack = "https://old.example/cb"
		without := asking("old", oldBack, "code_challenge", "", "code_challenge_method", "")
		if s := h.redeem(h.codeFor(anna, without), "old", a.books, oldBack); s.status == http.StatusOK {
			h.T.Error("a verifier is taken where there was no challenge")
		}
		if s := h.redeem(h.codeFor(anna, without), "old", a.books, oldBack, "code_verifier", ""); s.status != http.StatusOK {
			h.T.Errorf("an old app: %d %v", s.status, s.body)
		}
		for _, weak := range []string{"short", strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("ä", 30)} {
			code := h.codeFor(anna, asking("books", booksBack, "code_challenge", challengeOf(weak)))
			if s := h.redeem(code, "books", a.books, booksBack, "code_verifier", weak); s.status == http.StatusOK {
				h.T.Errorf("a verifier of %d bytes is taken", len(weak))
			}
		}
		code := h.codeFor(anna, asking("books", booksBack))
		h.redeem(code, "books", a.books, booksBack, "code_verifier", verifier+"x")
		if s := h.redeem(code, "books", a.books, booksBack); s.status == http.StatusOK {
			h.T.Error("a wrong verifier leaves the code")
		}
	})
}

// An app with a secret may send a nonce instead of a challenge, until it has redeemed a code with a verifier. Then
// somebody who removes the challenge from its requests is refused, and the log names the remedy.
func TestPKCEDowngradeIsRefused(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		without := func(pairs ...string) url.Values {
			return asking("books", booksBack, append([]string{"code_challenge", "", "code_challenge_method", ""}, pairs...)...)
		}
		if to := h.authorize(anna, without("nonce", "")); to.Query().Get("error") != "invalid_request" {
			h.T.Errorf("neither a challenge nor a nonce: %s", to)
		}
		h.codeFor(anna, asking("books", booksBack)) // anybody can send a challenge
		if s := h.redeem(h.codeFor(anna, without()), "books", a.books, booksBack, "code_verifier", ""); s.status != http.StatusOK {
			h.T.Errorf("a nonce and no challenge: %d %v", s.status, s.body)
		}
		h.tokens(a, anna)
		for _, method := range []string{"", "plain"} {
			if to := h.authorize(anna, without("code_challenge_method", method)); to.Query().Get("error") != "invalid_request" {
				h.T.Errorf("after PKCE was used, without it: %s", to)
			}
		}
		if log := h.Log.String(); !strings.Contains(log, "this app has used PKCE before") || !strings.Contains(log, "twostep app set books --pkce off") {
			h.T.Error("the log names no remedy")
		}
	})
}

// A response in the fragment has the same parameters as one in the query.
func TestResponseInTheFragment(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		to := h.authorize(anna, asking("books", booksBack, "response_mode", "fragment"))
		values, err := url.ParseQuery(to.Fragment)
		if err != nil || to.RawQuery != "" || values.Get("state") != "the state" || values.Get("iss") != h.URL {
			h.T.Fatalf("the response is %s", to)
		}
		if s := h.redeem(values.Get("code"), "books", a.books, booksBack); s.status != http.StatusOK {
			h.T.Errorf("the code: %d %v", s.status, s.body)
		}
		wrong := h.authorize(anna, asking("books", booksBack, "response_mode", "fragment", "prompt", "strange"))
		if values, _ = url.ParseQuery(wrong.Fragment); values.Get("error") != "invalid_request" {
			h.T.Errorf("an error: %s", wrong)
		}
	})
}

// tokens are those of Anna for books.
func (h *server) tokens(a *apps, anna *live.Browser) appAnswer {
	h.T.Helper()
	s := h.redeem(h.codeFor(anna, asking("books", booksBack)), "books", a.books, booksBack)
	if s.status != http.StatusOK || s.text("refresh_token") == "" {
		h.T.Fatalf("tokens: %d %v", s.status, s.body)
	}
	return s
}

// A refresh token works once, while its account is as it was. Using it again later revokes the grant;
// two requests at the same time count as one.
func TestRefreshTokenWorksOnce(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		first := h.tokens(a, anna)
		second := h.refresh(first.text("refresh_token"), "books", a.books)
		if second.status != http.StatusOK || second.text("refresh_token") == first.text("refresh_token") {
			h.T.Fatalf("a refresh: %d %v", second.status, second.body)
		}
		again := h.refresh(first.text("refresh_token"), "books", a.books)
		if again.status != http.StatusOK || again.text("refresh_token") != second.text("refresh_token") {
			h.T.Errorf("the same request at the same time: %d, another family: %v", again.status, again.text("refresh_token") != second.text("refresh_token"))
		}
		for what, wrong := range map[string]appAnswer{
			"another app's": h.refresh(second.text("refresh_token"), "other", a.other),
			"an access":     h.refresh(second.text("access_token"), "books", a.books),
			"no secret":     h.refresh(second.text("refresh_token"), "books", ""),
		} {
			if wrong.status == http.StatusOK {
				h.T.Errorf("%s token gives new ones", what)
			}
		}
		h.Turn(11 * time.Second)
		if s := h.refresh(first.text("refresh_token"), "books", a.books); s.status == http.StatusOK {
			h.T.Error("a stolen refresh token works later")
		}
		for _, token := range []string{second.text("refresh_token"), first.text("refresh_token")} {
			if s := h.refresh(token, "books", a.books); s.status == http.StatusOK {
				h.T.Error("the family of a stolen refresh token lives on")
			}
		}
		if s := h.userinfo(second.text("access_token")); s.status != http.StatusUnauthorized {
			h.T.Errorf("its access token is worth %d", s.status)
		}
		h.checkRefreshTokenEnds(a)
	})
}

// What an operator requires of an app applies to codes and refresh tokens that were issued before.
func TestTokensFollowAppChanges(t *testing.T) {
	t.Parallel()
	for what, tighten := range map[string]func(*twostep.App){
		"a group":   func(a *twostep.App) { a.RequiredGroups = []string{"members"} },
		"a level":   func(a *twostep.App) { a.RequiredACR = "urn:twostep:acr:2" },
		"a consent": func(a *twostep.App) { a.ThirdParty = true },
	} {
		t.Run(what, func(t *testing.T) {
			h := start(t, "")
			anna := h.annaSignedIn()
			secret, hash := twostep.NewAppSecret()
			news := twostep.App{ID: "news", RedirectURIs: []string{"https://news.example/cb"}, SecretHashes: []string{hash}}
			if err := h.CreateApp(t.Context(), news); err != nil {
				t.Fatal(err)
			}
			code := func() string { return h.codeFor(anna, asking("news", news.RedirectURIs[0])) }
			s := h.redeem(code(), "news", secret, news.RedirectURIs[0])
			s = h.refresh(s.text("refresh_token"), "news", secret)
			if s.status != http.StatusOK {
				t.Fatalf("before: %d %v", s.status, s.body)
			}
			late := code()
			tighten(&news)
			if err := h.UpdateApp(t.Context(), news); err != nil {
				t.Fatal(err)
			}
			for name, s := range map[string]appAnswer{"a code": h.redeem(late, "news", secret, news.RedirectURIs[0]), "a refresh": h.refresh(s.text("refresh_token"), "news", secret)} {
				if s.status != http.StatusBadRequest || s.text("error") != "invalid_grant" {
					t.Errorf("%s without it: %d %v", name, s.status, s.body)
				}
			}
		})
	}
}

// checkRefreshTokenEnds are what ends a refresh token that nobody has misused.
func (h *server) checkRefreshTokenEnds(a *apps) {
	h.T.Helper()
	for what, end := range map[string]func(b *live.Browser){
		"signed out everywhere": func(b *live.Browser) { b.Post("/settings/sessions/end") },
		"restored": func(*live.Browser) {
			if err := h.InvalidateAfterRestore(h.T.Context()); err != nil {
				h.T.Error(err)
			}
		},
		"disabled and enabled": func(*live.Browser) {
			for _, change := range []func(context.Context, twostep.By, string) error{h.Disable, h.Enable} {
				if err := change(h.T.Context(), twostep.By{}, live.AnnaEmail); err != nil {
					h.T.Error(err)
				}
			}
		},
		"a month": func(*live.Browser) { h.Turn(30*24*time.Hour + time.Minute) },
	} {
		b := h.annaSignedIn()
		s := h.tokens(a, b)
		end(b)
		if s := h.refresh(s.text("refresh_token"), "books", a.books); s.status != http.StatusBadRequest {
			h.T.Errorf("%s: a refresh token is worth %d", what, s.status)
		}
	}
	b := h.annaSignedIn()
	s := h.tokens(a, b)
	b.Post("/signout")
	if s := h.refresh(s.text("refresh_token"), "books", a.books); s.status != http.StatusOK {
		h.T.Errorf("signed out, an app that may go on while one is away gets %d", s.status)
	}
	if s := h.userinfo(s.text("access_token")); s.status != http.StatusOK {
		h.T.Errorf("and knows %d", s.status)
	}
}

// forged are tokens that look like one and were signed by nobody, or by somebody else.
func forged(t *testing.T, real string) map[string]string {
	t.Helper()
	parts := strings.Split(real, ".")
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(head, &fields); err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) string {
		changed := map[string]any{}
		for k, v := range fields {
			changed[k] = v
		}
		changed[name] = value
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return b64(string(text))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: fields["kid"].(string)}}, &jose.SignerOptions{EmbedJWK: false})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	other, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"no signature": parts[0] + "." + parts[1] + ".", "another key": other, "another payload": parts[0] + "." + b64(`{"iss":"x"}`) + "." + parts[2], "nothing": "x", "dots": ".."}
	for _, alg := range []string{"none", "None", "nOnE", "HS256", "RS256", "ES384", ""} {
		all["alg "+alg] = with("alg", alg) + "." + parts[1] + "." + parts[2]
		all["alg "+alg+", unsigned"] = with("alg", alg) + "." + parts[1] + "."
	}
	for _, name := range []string{"jku", "x5u", "crit"} {
		all[name] = with(name, []string{"https://evil.example/keys"}) + "." + parts[1] + "." + parts[2]
	}
	return all
}

// An ID token hint that was not signed here is refused at both endpoints that accept one.
func TestForgedIDTokenHintIsRefused(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		token := h.tokens(a, anna).text("id_token")
		if to := h.authorize(anna, asking("books", booksBack, "id_token_hint", token, "prompt", "none")); to.Query().Get("code") == "" {
			h.T.Fatalf("a true hint: %s", to)
		}
		bad := forged(t, token)
		bad["huge"] = token + strings.Repeat("A", 3000)
		for what, hint := range bad {
			if to := h.authorize(anna, asking("books", booksBack, "id_token_hint", hint)); to.Query().Get("code") != "" {
				h.T.Errorf("%s: a code", what)
			}
			anna.Get("/oauth2/logout?" + url.Values{"id_token_hint": {hint}}.Encode())
			if _, in := signedIn(anna); !in {
				h.T.Fatalf("%s: signed out", what)
			}
		}
		if to := h.authorize(anna, asking("other", otherBack, "id_token_hint", token)); to.Query().Get("error") != "invalid_request" {
			h.T.Errorf("another app's hint: %s", to)
		}
	})
}

// A client assertion is signed with another key, for another audience, for too long, or used twice.
func TestClientAssertionIsVerifiedAndWorksOnce(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(o *twostep.Options) { o.Apps = []twostep.App{{ID: "signer", JWKSet: set}} }
	eachDatabase(t, func(h *server) {
		n := 0
		assertion := func(change func(*jwt.Claims)) string {
			n++
			now := h.Now()
			c := jwt.Claims{Issuer: "signer", Subject: "signer", Audience: jwt.Audience{h.URL}, ID: strconv.Itoa(n), IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute))}
			change(&c)
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := jwt.Signed(signer).Claims(c).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		ask := func(text string) int {
			return h.call(h.Browser(), "/oauth2/token", "grant_type", "client_credentials", "client_assertion", text,
				"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer").status
		}
		good := assertion(func(*jwt.Claims) {})
		if got := ask(good); got != http.StatusOK {
			t.Fatalf("a true assertion: %d", got)
		}
		if got := ask(good); got == http.StatusOK {
			t.Error("it works twice")
		}
		once := assertion(func(*jwt.Claims) {})
		if got := h.statuses(20, func() appAnswer { return appAnswer{status: ask(once)} }); got[http.StatusOK] != 1 {
			t.Errorf("twenty at once: %v", got)
		}
		for what, change := range map[string]func(*jwt.Claims){
			"another issuer":  func(c *jwt.Claims) { c.Issuer = "other" },
			"another subject": func(c *jwt.Claims) { c.Subject = "other" },
			"for another":     func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://other.example"} },
			"for nobody":      func(c *jwt.Claims) { c.Audience = nil },
			"no id":           func(c *jwt.Claims) { c.ID = "" },
			"no end":          func(c *jwt.Claims) { c.Expiry = nil },
			"a day":           func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(h.Now().Add(24 * time.Hour)) },
			"40 s over":       func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(h.Now().Add(-40 * time.Second)) },
			"40 s early":      func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(h.Now().Add(40 * time.Second)) },
		} {
			if got := ask(assertion(change)); got == http.StatusOK {
				t.Errorf("%s: accepted", what)
			}
		}
		for what, text := range forged(t, assertion(func(*jwt.Claims) {})) {
			if got := ask(text); got == http.StatusOK {
				t.Errorf("%s: accepted", what)
			}
		}
	}, with)
}

// Every token is sent to every endpoint that takes another kind.
func TestTokensWorkForTheirKindOnly(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		s := h.tokens(a, anna)
		own := h.call(h.Browser(), "/oauth2/token", "grant_type", "client_credentials", "client_id", "books", "client_secret", a.books)
		waiting := h.authorize(h.Browser(), asking("books", booksBack)).Query().Get("return_to")
		kinds := map[string]string{
			"session": h.cookie(anna, "session"), "device": h.cookie(anna, "device"), "code": h.codeFor(anna, asking("books", booksBack)),
			"access": s.text("access_token"), "refresh": s.text("refresh_token"), "id": s.text("id_token"), "own": own.text("access_token"),
			"request": strings.TrimPrefix(waiting, "/oauth2/continue?request="), "secret": a.books,
		}
		for kind, token := range kinds {
			if token == "" {
				h.T.Fatalf("there is no %s", kind)
			}
			for place, open := range map[string]func() bool{
				"session": func() bool { _, in := signedIn(h.withCookies("session", token)); return in },
				"access":  func() bool { return h.userinfo(token).status == http.StatusOK },
				"refresh": func() bool { return kind != "refresh" && h.refresh(token, "books", a.books).status == http.StatusOK },
				"code": func() bool {
					return kind != "code" && h.redeem(token, "books", a.books, booksBack).status == http.StatusOK
				},
				"request": func() bool {
					return kind != "request" && h.withCookies("session", kinds["session"]).Get("/oauth2/continue?request="+url.QueryEscape(token)).StatusCode < 400
				},
				"pushed": func() bool {
					v := url.Values{"client_id": {"books"}, "request_uri": {"urn:ietf:params:oauth:request_uri:" + token}}
					return h.authorize(anna, v).Query().Get("code") != ""
				},
			} {
				if open() && kind != place {
					h.T.Errorf("a token of the kind %s works as %s", kind, place)
				}
			}
		}
	})
}

// The nonce comes back unchanged, the ID token is bound to its access token, and a refresh makes no
// proof newer.
func TestIDTokenIsBoundToItsRequest(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		for _, nonce := range []string{"", "n", strings.Repeat("n", 1024), "ünïcödé ☃ <&>\"'"} {
			s := h.redeem(h.codeFor(anna, asking("books", booksBack, "nonce", nonce)), "books", a.books, booksBack)
			c := h.claims(s.text("id_token"))
			if got, _ := c["nonce"].(string); got != nonce {
				h.T.Errorf("the nonce %q comes back as %q", nonce, got)
			}
			if sum := challengeHalf(s.text("access_token")); c["at_hash"] != sum || c["iss"] != h.URL || c["aud"] != "books" {
				h.T.Errorf("at_hash %v, want %s; iss %v, aud %v", c["at_hash"], sum, c["iss"], c["aud"])
			}
		}
		first := h.tokens(a, anna)
		before := h.claims(first.text("id_token"))
		h.Turn(5 * time.Minute)
		after := h.claims(h.refresh(first.text("refresh_token"), "books", a.books).text("id_token"))
		for _, same := range []string{"auth_time", "acr", "sub", "sid"} {
			if before[same] != after[same] {
				h.T.Errorf("%s was %v and is %v", same, before[same], after[same])
			}
		}
		if after["iat"].(float64) <= before["iat"].(float64) || after["nonce"] != nil {
			h.T.Errorf("a refreshed token of %v, with the nonce %v", after["iat"], after["nonce"])
		}
	})
}

// challengeHalf is at_hash of a token (OpenID Connect Core 3.1.3.6).
func challengeHalf(token string) string {
	whole, _ := base64.RawURLEncoding.DecodeString(challengeOf(token))
	return base64.RawURLEncoding.EncodeToString(whole[:16])
}

// An app learns about the tokens of another, or about a person without the scope. A token of another
// app looks like none.
func TestIntrospectionTellsOwnTokensOnly(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		s := h.tokens(a, anna)
		look := func(id, secret, token string) appAnswer {
			return h.call(h.Browser(), "/oauth2/introspect", "client_id", id, "client_secret", secret, "token", token)
		}
		if got := look("books", a.books, s.text("access_token")); got.body["active"] != true || got.text("acr") != "urn:twostep:acr:email" {
			h.T.Errorf("its own: %v", got.body)
		}
		if got := look("api", a.api, s.text("access_token")); got.body["active"] != true {
			h.T.Errorf("an API: %v", got.body)
		}
		if got := look("api", a.api, s.text("refresh_token")); got.body["active"] != false {
			h.T.Errorf("an API takes another app's refresh token: %v", got.body)
		}
		strange, none := look("other", a.other, s.text("access_token")), look("other", a.other, "x")
		if len(strange.body) != 1 || strange.body["active"] != false || len(none.body) != 1 || none.body["active"] != false || strange.status != none.status {
			h.T.Errorf("another's: %d %v; none: %d %v", strange.status, strange.body, none.status, none.body)
		}
		for _, proof := range [][]string{{"books", ""}, {"books", "x"}, {"phone", ""}, {"nobody", "x"}, {"", ""}} {
			if got := look(proof[0], proof[1], s.text("access_token")); got.status != http.StatusUnauthorized {
				h.T.Errorf("%v: %d %v", proof, got.status, got.body)
			}
		}
		bare := h.redeem(h.codeFor(anna, asking("books", booksBack, "scope", "openid")), "books", a.books, booksBack)
		if got := h.userinfo(bare.text("access_token")); len(got.body) != 1 || got.text("sub") == "" {
			h.T.Errorf("without a scope it knows %v", got.body)
		}
		none = h.redeem(h.codeFor(anna, asking("books", booksBack, "scope", "email")), "books", a.books, booksBack)
		if got := h.userinfo(none.text("access_token")); got.status != http.StatusForbidden || none.text("id_token") != "" {
			h.T.Errorf("without openid: %d %v", got.status, got.body)
		}
		if got := h.Browser().Get("/oauth2/userinfo?access_token=" + s.text("access_token")); got.StatusCode != http.StatusUnauthorized {
			h.T.Errorf("a token in the address: %d", got.StatusCode)
		}
	})
}

// Revoking ends a token of the app's own and no other, and fails if the store does.
func TestRevocationEndsTokens(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		s := h.tokens(a, anna)
		revoke := func(id, secret, token string) int {
			return h.call(h.Browser(), "/oauth2/revoke", "client_id", id, "client_secret", secret, "token", token).status
		}
		if got := revoke("other", a.other, s.text("refresh_token")); got != http.StatusOK || h.userinfo(s.text("access_token")).status != http.StatusOK {
			h.T.Errorf("another app ends it: %d", got)
		}
		if got := revoke("books", "x", s.text("access_token")); got != http.StatusUnauthorized {
			h.T.Errorf("without a proof: %d", got)
		}
		if revoke("books", a.books, s.text("access_token")) != http.StatusOK || h.userinfo(s.text("access_token")).status != http.StatusUnauthorized {
			h.T.Error("an access token that was revoked is good")
		}
		next := h.refresh(s.text("refresh_token"), "books", a.books)
		if next.status != http.StatusOK {
			h.T.Fatalf("the refresh token went with it: %d", next.status)
		}
		h.exec("ALTER TABLE grants RENAME TO hidden")
		if got := revoke("books", a.books, next.text("refresh_token")); got < 500 {
			h.T.Errorf("without a store: %d", got)
		}
		h.exec("ALTER TABLE hidden RENAME TO grants")
		if revoke("books", a.books, next.text("refresh_token")) != http.StatusOK || h.userinfo(next.text("access_token")).status != http.StatusUnauthorized ||
			h.refresh(next.text("refresh_token"), "books", a.books).status == http.StatusOK {
			h.T.Error("a grant whose refresh token was revoked is good")
		}
		if got := revoke("books", a.books, "x"); got != http.StatusOK {
			h.T.Errorf("a token that there is not: %d", got)
		}
	})
}

// An app that asks for more than was proven gets a step-up or an error, never less in silence.
func TestRequestedLevelIsNeverLowered(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		a := &apps{}
		h := start(t, url, allMethods(&phone{}), a.set)
		anna := h.annaSignedIn()
		one := func(b *live.Browser, pairs ...string) (to, err string) {
			u := h.authorize(b, asking("books", booksBack, pairs...))
			if u.Query().Get("code") != "" {
				return "code", ""
			}
			return u.Path, u.Query().Get("error")
		}
		for _, row := range []struct{ name, value, path, err string }{
			{"acr_values", "urn:twostep:acr:1", "code", ""},
			{"acr_values", "urn:twostep:acr:email", "code", ""},
			{"acr_values", "urn:twostep:acr:3 urn:twostep:acr:email", "code", ""},
			{"acr_values", "urn:twostep:acr:2", "/callback", "unmet_authentication_requirements"},
			{"acr_values", "urn:twostep:acr:3", "/callback", "unmet_authentication_requirements"},
			{"acr_values", "1 2", "code", ""}, // a wish, and none of ours
			{"claims", `{"id_token":{"acr":{"essential":true,"values":["urn:mace:incommon:iap:silver"]}}}`, "/callback", "unmet_authentication_requirements"},
			{"claims", `{"id_token":{"acr":{"essential":true,"value":"urn:twostep:acr:2"}}}`, "/callback", "unmet_authentication_requirements"},
			{"prompt", "login", "/settings/confirm", ""},
			{"prompt", "none", "code", ""},
			{"max_age", "10000", "code", ""},
		} {
			if path, err := one(anna, row.name, row.value); path != row.path || err != row.err {
				t.Errorf("%s=%s: %s %s", row.name, row.value, path, err)
			}
		}
		h.Turn(20 * time.Minute)
		for _, row := range []struct{ pairs, path, err string }{
			{"max_age=60", "/settings/confirm", ""}, {"max_age=0", "/settings/confirm", ""}, {"max_age=60&prompt=none", "/callback", "login_required"}, {"max_age=10000", "code", ""},
			{`acr_values=urn:twostep:acr:1&claims={"id_token":{"acr":{"essential":true,"value":"urn:twostep:acr:2"}}}`, "/callback", "unmet_authentication_requirements"},
			{`acr_values=urn:twostep:acr:2&claims={"id_token":{"acr":{"value":"urn:twostep:acr:1"}}}`, "/callback", "unmet_authentication_requirements"},
			{`acr_values=urn:twostep:acr:1&claims={"id_token":{"acr":{"essential":true,"value":"silver"}}}`, "/callback", "unmet_authentication_requirements"},
		} {
			var pairs []string
			for _, pair := range strings.Split(row.pairs, "&") {
				name, value, _ := strings.Cut(pair, "=")
				pairs = append(pairs, name, value)
			}
			if path, err := one(anna, pairs...); path != row.path || err != row.err {
				t.Errorf("%s: %s %s", row.pairs, path, err)
			}
		}
		h.checkStepUp(a)
	})
}

// checkStepUp has an app ask for more than was proven, of somebody who can prove it: only what is
// enough is offered, and then the app is told so.
func (h *server) checkStepUp(a *apps) {
	h.T.Helper()
	b := h.annaSignedIn()
	secret := h.draftApp(b)
	h.wantRedirect(b.Post("/settings/2step/app/verify", "code", codeAt(secret, h.Now(), 0)), "/settings/2step/app/done")
	h.Turn(time.Minute)
	v := asking("books", booksBack, "acr_values", "urn:twostep:acr:2")
	to := h.authorize(b, v)
	if to.Path != "/settings/confirm" {
		h.T.Fatalf("asked for more, Anna is sent to %s", to)
	}
	verify := h.wantRedirect(b.Post(to.RequestURI(), "password", live.AnnaPassword), "/signin/verify").Header.Get("Location")
	h.wantStatus(b.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
	back := h.location(b.Post(verify, "code", codeAt(secret, h.Now(), 0)))
	code := h.location(b.Get(back.String())).Query().Get("code")
	c := h.claims(h.redeem(code, "books", a.books, booksBack).text("id_token"))
	if c["acr"] != "urn:twostep:acr:2" || len(c["amr"].([]any)) != 3 {
		h.T.Errorf("after a step up: acr %v, amr %v", c["acr"], c["amr"])
	}
	fresh := h.Browser()
	to = h.authorize(fresh, v)
	h.wantRedirect(fresh.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword, "return_to", to.Query().Get("return_to")), "/signin/verify")
	h.wantStatus(fresh.Post("/signin/method", "method", "email"), http.StatusUnprocessableEntity)
}

// Another site signs somebody out, or sends them to an address that no app has registered.
func TestLogoutNeedsProofAndARegisteredRedirect(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		token := h.tokens(a, anna).text("id_token")
		in := func(what string) {
			h.T.Helper()
			if _, in := signedIn(anna); !in {
				h.T.Fatalf("%s: signed out", what)
			}
		}
		for what, v := range map[string]url.Values{
			"nothing": {}, "a name": {"client_id": {"books"}}, "an address": {"client_id": {"books"}, "post_logout_redirect_uri": {"https://books.example/"}},
			"another address": {"id_token_hint": {token}, "post_logout_redirect_uri": {"https://evil.example/"}},
			"a longer one":    {"id_token_hint": {token}, "post_logout_redirect_uri": {"https://books.example/x"}},
			"another app":     {"id_token_hint": {token}, "client_id": {"other"}},
			"no app":          {"post_logout_redirect_uri": {"https://books.example/"}},
		} {
			got := anna.Get("/oauth2/logout?" + v.Encode())
			if got.Header.Get("Location") != "" {
				h.T.Errorf("%s leads to %s", what, got.Header.Get("Location"))
			}
			in(what)
		}
		h.wantStatus(anna.Do(h.request(http.MethodPost, "/oauth2/logout/confirm", "", form, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")), http.StatusForbidden)
		in("a form of another site")
		other := h.annaSignedIn()
		if got := h.wantStatus(other.Get("/oauth2/logout?"+url.Values{"id_token_hint": {token}}.Encode()), http.StatusOK); !strings.Contains(got.Body, "<form") {
			h.T.Error("the token of another session is enough to be signed out")
		}
		got := anna.Get("/oauth2/logout?" + url.Values{"id_token_hint": {token}, "post_logout_redirect_uri": {"https://books.example/"}, "state": {"s"}}.Encode())
		if to := h.location(got); to.String() != "https://books.example/?state=s" {
			h.T.Errorf("signed out, and sent to %s", to)
		}
		if _, in := signedIn(anna); in {
			h.T.Error("an app that may is not listened to")
		}
	})
}

// Anybody registers a client, a client has the id of an account, or a request object is accepted.
func TestNoClientRegistrationOrRequestObjects(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		for _, path := range []string{"/register", "/connect/register"} {
			h.wantStatus(anna.Get(path), http.StatusNotFound)
		}
		if got := h.register(anna, "", registration); got.status != http.StatusUnauthorized {
			h.T.Errorf("a registration without a token: %d %v", got.status, got.body)
		}
		if body := anna.Get("/.well-known/openid-configuration").Body; strings.Contains(body, "registration_endpoint") {
			h.T.Errorf("the discovery document invites to register: %s", body)
		}
		for _, account := range h.column("SELECT id FROM accounts") {
			if err := h.CreateApp(h.T.Context(), twostep.App{ID: account, RedirectURIs: []string{booksBack}}); err == nil {
				h.T.Error("an app has the name of an account")
			}
		}
		for _, name := range []string{"request", "request_uri"} {
			a := anna.Get("/oauth2/authorize?" + asking("books", booksBack, name, "https://evil.example/request").Encode())
			if a.StatusCode == http.StatusSeeOther && h.location(a).Query().Get("error") == "" {
				h.T.Errorf("%s leads to %s", name, a.Header.Get("Location"))
			}
		}
	})
}

// checkDuplicates sends every parameter twice, to both endpoints: neither value is believed.
func (h *server) checkDuplicates(a *apps, anna *live.Browser) {
	h.T.Helper()
	v := asking("books", booksBack)
	for name := range v {
		if a := anna.Get("/oauth2/authorize?" + v.Encode() + "&" + name + "=x"); a.StatusCode != http.StatusBadRequest {
			h.T.Errorf("%s twice: %d", name, a.StatusCode)
		}
	}
	body := "grant_type=client_credentials&grant_type=x&client_id=books&client_secret=" + a.books
	h.wantStatus(h.Browser().Do(h.request(http.MethodPost, "/oauth2/token", body, form)), http.StatusBadRequest)
}

// Signing keys change with an overlap: a new key is published before it signs, and the old one after.
func TestSigningKeysOverlap(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		kid := func(token string) string {
			head, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
			var fields struct{ Kid string }
			_ = json.Unmarshal(head, &fields)
			return fields.Kid
		}
		published := func() string { return h.Browser().Get("/oauth2/jwks").Body }
		first := kid(h.tokens(a, anna).text("id_token"))
		h.Turn(91 * 24 * time.Hour)
		anna = h.annaSignedIn()
		token := h.tokens(a, anna).text("id_token")
		if kid(token) != first || strings.Count(published(), `"ES256"`) != 2 {
			h.T.Errorf("a new key signs at once, or is not told of: %s", published())
		}
		h.Turn(25 * time.Hour)
		anna = h.annaSignedIn()
		if next := kid(h.tokens(a, anna).text("id_token")); next == first || !strings.Contains(published(), first) {
			h.T.Errorf("after a day the key %s signs, and the old one is known: %v", next, strings.Contains(published(), first))
		}
		if to := h.authorize(anna, asking("books", booksBack, "id_token_hint", token)); to.Query().Get("code") == "" {
			h.T.Errorf("a hint signed with the old key: %s", to)
		}
		h.Turn(8 * 24 * time.Hour)
		if strings.Contains(published(), first) {
			h.T.Error("the old key is known for ever")
		}
	})
}
