package attack

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// The apps of these tests.
const (
	booksBack = "https://books.example/callback"
	phoneBack = "com.example.phone:/callback"
	otherBack = "https://other.example/callback"
	verifier  = "a-verifier-of-forty-three-letters-or-more-0001"
)

// apps holds the secrets of the registered apps.
type apps struct{ books, other, api, hub string }

func (a *apps) set(o *twostep.Options) {
	secret := func() (string, []string) {
		s, hash := twostep.NewAppSecret()
		return s, []string{hash}
	}
	var books, other, api []string
	a.books, books = secret()
	a.other, other = secret()
	a.api, api = secret()
	o.Apps = []twostep.App{
		{ID: "books", Name: "Books", RedirectURIs: []string{booksBack}, PostLogoutRedirectURIs: []string{"https://books.example/"}, SecretHashes: books, IDTokenAlg: "ES256"},
		{ID: "phone", RedirectURIs: []string{phoneBack, "http://127.0.0.1:7000/back"}},
		{ID: "other", RedirectURIs: []string{otherBack}, SecretHashes: other, ThirdParty: true, Pairwise: true, IDTokenAlg: "RS256"},
		{ID: "old", RedirectURIs: []string{"https://old.example/cb"}, SecretHashes: books, PKCE: "off"},
		{ID: "members", RedirectURIs: []string{"https://members.example/cb"}, RequiredGroups: []string{"members"}},
		{ID: "api", SecretHashes: api, CanIntrospect: true},
	}
}

// withApps runs f on both databases, with a server that knows these apps and with Anna signed in.
func withApps(t *testing.T, f func(h *server, a *apps, anna *live.Browser)) {
	a := &apps{}
	eachDatabase(t, func(h *server) { f(h, a, h.annaSignedIn()) }, a.set)
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// asking returns the parameters of a correct authorization request, changed by pairs of name and value.
// An empty value leaves a parameter out.
func asking(app, back string, pairs ...string) url.Values {
	v := url.Values{"client_id": {app}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid email offline_access"},
		"state": {"the state"}, "nonce": {"the nonce"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// authorize sends an authorization request and returns where the browser is redirected to.
func (h *server) authorize(b *live.Browser, v url.Values) *url.URL {
	h.T.Helper()
	return h.location(b.Get("/oauth2/authorize?" + v.Encode()))
}

func (h *server) location(a live.Answer) *url.URL {
	h.T.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		h.T.Fatal(err)
	}
	return u
}

// codeFor returns an authorization code for the account of the browser.
func (h *server) codeFor(b *live.Browser, v url.Values) string {
	h.T.Helper()
	to := h.authorize(b, v)
	code := to.Query().Get("code")
	if code == "" || !strings.HasPrefix(to.String(), v.Get("redirect_uri")) || to.Query().Get("state") != v.Get("state") || to.Query().Get("iss") != h.URL {
		h.T.Fatalf("no code at %s", to)
	}
	return code
}

// appAnswer is the answer of an endpoint to an app.
type appAnswer struct {
	status int
	header http.Header
	body   map[string]any
}

func (s appAnswer) text(name string) string {
	text, _ := s.body[name].(string)
	return text
}

// call sends a form to an endpoint, as an app does.
func (h *server) call(b *live.Browser, path string, pairs ...string) (s appAnswer) {
	h.T.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	a := b.Do(h.request(http.MethodPost, path, v.Encode(), form))
	s.status, s.header = a.StatusCode, a.Header
	_ = json.Unmarshal([]byte(a.Body), &s.body)
	return s
}

// redeem exchanges a code for tokens.
func (h *server) redeem(code, app, secret, back string, pairs ...string) appAnswer {
	h.T.Helper()
	all := append([]string{"grant_type", "authorization_code", "code", code, "client_id", app, "redirect_uri", back, "code_verifier", verifier}, pairs...)
	if secret != "" {
		all = append(all, "client_secret", secret)
	}
	return h.call(h.Browser(), "/oauth2/token", all...)
}

func (h *server) refresh(token, app, secret string) appAnswer {
	h.T.Helper()
	return h.call(h.Browser(), "/oauth2/token", "grant_type", "refresh_token", "refresh_token", token, "client_id", app, "client_secret", secret)
}

// userinfo asks for the claims of an access token.
func (h *server) userinfo(token string) appAnswer {
	h.T.Helper()
	a := h.Browser().Do(h.request(http.MethodGet, "/oauth2/userinfo", "", "Authorization: Bearer "+token))
	s := appAnswer{status: a.StatusCode, header: a.Header}
	_ = json.Unmarshal([]byte(a.Body), &s.body)
	return s
}

// claims verifies an ID token with the published keys and returns its claims.
func (h *server) claims(token string) (claims map[string]any) {
	h.T.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(h.Browser().Get("/oauth2/jwks").Body), &set); err != nil {
		h.T.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err == nil {
		err = parsed.Claims(set, &claims)
	}
	if err != nil {
		h.T.Fatalf("the ID token: %v", err)
	}
	return claims
}

// statuses makes the same call many times at once and counts the answers by status.
func (h *server) statuses(n int, call func() appAnswer) map[int]int {
	var mu sync.Mutex
	all := map[int]int{}
	atOnce(n, func(int) {
		s := call()
		mu.Lock()
		defer mu.Unlock()
		all[s.status]++
	})
	return all
}

// Somebody who has only given the password gets an authorization code.
func TestPasswordAloneGetsNoAuthorizationCode(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, _ *live.Browser) {
		b := h.Browser()
		h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
		to := h.authorize(b, asking("books", booksBack))
		if to.Path != "/signin" {
			h.T.Fatalf("a half sign-in is sent to %s", to)
		}
		back := to.Query().Get("return_to")
		for range 3 {
			if to := h.location(b.Get(back)); to.Path != "/signin" {
				h.T.Errorf("a half sign-in comes from %s to %s", back, to)
			}
		}
		h.checkNoCode(b)
	})
}

// checkNoCode sends authorization requests of every mode, prompt, age and level for somebody who has only
// taken the first step. Each must lead to the sign-in or be refused.
func (h *server) checkNoCode(b *live.Browser) {
	h.T.Helper()
	n := 0
	for _, app := range [][2]string{{"books", booksBack}, {"other", otherBack}, {"phone", "http://127.0.0.1:7000/back"}} {
		for _, mode := range []string{"", "query", "form_post"} {
			for _, prompt := range []string{"", "none", "login", "consent", "select_account", "login consent"} {
				for _, age := range []string{"", "0", "1", "100000"} {
					for _, level := range []string{"", "urn:twostep:acr:1", "urn:twostep:acr:email", "urn:twostep:acr:2", "urn:twostep:acr:3", "other"} {
						h.wantNoCode(b, asking(app[0], app[1], "response_mode", mode, "prompt", prompt, "max_age", age, "acr_values", level))
						n++
					}
				}
			}
		}
	}
	h.T.Logf("%d ways to ask", n)
	if rows := h.count("grants"); rows != 0 {
		h.T.Errorf("%d grants", rows)
	}
}

func (h *server) wantNoCode(b *live.Browser, v url.Values) {
	h.T.Helper()
	a := b.Get("/oauth2/authorize?" + v.Encode())
	switch silent := v.Get("prompt") == "none"; {
	case strings.Contains(a.Body, "name=\"code\""), h.location(a).Query().Has("code"):
		h.T.Errorf("%v: a code", v)
	case !silent && h.location(a).Path != "/signin":
		h.T.Errorf("%v: %d to %s", v, a.StatusCode, h.location(a))
	case silent && v.Get("response_mode") != "form_post" && h.location(a).Query().Get("error") != "login_required",
		silent && v.Get("response_mode") == "form_post" && !strings.Contains(a.Body, "login_required"):
		h.T.Errorf("%v: %d to %s", v, a.StatusCode, h.location(a))
	}
}

// A redirect URI differs in any way from the registered one, whatever else is wrong with the request.
// Only the port of a loopback address is free.
func TestRedirectURIMustMatchExactly(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		for _, back := range []string{
			"https://books.example/callback/", "https://books.example/callback/../x", "https://books.example/callback?x=1", "https://books.example/callback#x",
			"https://books.example/", "https://books.example", "http://books.example/callback", "https://books.example:443/callback", "https://books.example:8443/callback",
			"https://Books.example/callback", "https://books.example/Callback", "HTTPS://books.example/callback", "https://books.example/callback%2f", "https://books.example/%63allback",
			"https://books.example%2f@evil.example/callback", "https://books.example@evil.example/callback", "https://evil.example/https://books.example/callback",
			"https://books.example.evil.example/callback", "https://evilbooks.example/callback", "https://evil.example\\@books.example/callback", "https://books.example\\.evil.example/callback",
			"//books.example/callback", "/callback", "callback", "", "javascript:alert(1)", "data:text/html,x", "intent://x", otherBack, phoneBack,
			" https://books.example/callback", "https://books.example/callback ", "https://books.example/callback\n", "https://books.example/callback\x00", "https://xn--books.example/callback",
		} {
			for _, wrong := range [][]string{nil, {"request_uri", " "}, {"response_type", "token"}, {"response_type", ""}, {"code_challenge", ""}, {"prompt", "none login"}, {"request", "x.y.z"}, {"max_age", "-1"}, {"id_token_hint", "x"}} {
				a := anna.Get("/oauth2/authorize?" + strings.Replace(asking("books", back, wrong...).Encode(), "request_uri=+", "request_uri=", 1))
				if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
					h.T.Fatalf("%q, %v: %d to %q", back, wrong, a.StatusCode, a.Header.Get("Location"))
				}
			}
		}
		for _, name := range []string{"urn:ietf:params:oauth:request_uri:x", "https://evil.example/request"} { // neither excuses the address
			if a := anna.Get("/oauth2/authorize?" + asking("books", "https://evil.example/", "request_uri", name).Encode()); a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
				h.T.Errorf("%s: %d to %q", name, a.StatusCode, a.Header.Get("Location"))
			}
		}
		odd := twostep.App{ID: "odd", RedirectURIs: []string{"https://odd.example/cb?b=1;c=2&a"}, PKCE: "off", SecretHashes: []string{strings.Repeat("0", 64)}}
		if err := h.CreateApp(h.T.Context(), odd); err != nil {
			h.T.Fatal(err)
		}
		if to := h.authorize(anna, asking("odd", odd.RedirectURIs[0])); !strings.HasPrefix(to.String(), odd.RedirectURIs[0]+"&") || to.Query().Get("code") == "" {
			h.T.Errorf("an address with a query of its own is answered at %s", to)
		}
		if to := h.authorize(anna, asking("nobody", booksBack)); to.String() != "" {
			h.T.Errorf("an unknown app is answered at %s", to)
		}
		for back, good := range map[string]bool{"http://127.0.0.1:7000/back": true, "http://127.0.0.1:51234/back": true, "http://127.0.0.1:51234/other": false,
			"http://127.0.0.1.evil.example:7000/back": false, "http://127.0.0.1:7000@evil.example/back": false, "https://127.0.0.1:51234/back": false, "http://localhost:7000/back": false} {
			if got := h.authorize(anna, asking("phone", back)).Query().Get("code") != ""; got != good {
				h.T.Errorf("%s: a code is %v, want %v", back, got, good)
			}
		}
	})
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]+)">`)

// allow gives consent on the page asked, with other values in its form by pairs, and returns the answer
// that this leads to.
func (h *server) allow(b *live.Browser, asked live.Answer, pairs ...string) live.Answer {
	h.T.Helper()
	var form []string
	if !slices.Contains(pairs, "answer") {
		form = append(form, "answer", "allow")
	}
	for _, m := range hidden.FindAllStringSubmatch(asked.Body, -1) {
		if !slices.Contains(pairs, m[1]) && !slices.Contains(form, m[1]) {
			form = append(form, m[1], m[2])
		}
	}
	if len(form)+len(pairs) < 6 {
		h.T.Fatalf("nobody is asked: %s", asked.Body)
	}
	a := b.Post("/oauth2/consent", append(form, pairs...)...)
	return h.followContinue(b, a)
}

// authorizePage sends an authorization request and returns the page on which the person is asked something.
func (h *server) authorizePage(b *live.Browser, v url.Values) live.Answer {
	h.T.Helper()
	return h.followContinue(b, b.Get("/oauth2/authorize?"+v.Encode()))
}

func (h *server) followContinue(b *live.Browser, a live.Answer) live.Answer {
	if to := h.location(a); to.Path == "/oauth2/continue" {
		return b.Get(to.RequestURI())
	}
	return a
}

// Consent is given by another account, another session, or for another request.
func TestConsentComesFromTheSessionThatWasAsked(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		h.addBen()
		ben := h.signIn(h.Browser(), benEmail, benPassword)
		asked := h.authorizePage(anna, asking("other", otherBack))
		for what, a := range map[string]live.Answer{
			"Ben": h.allow(h.asSameBrowser(ben, anna), asked), "a session of nobody": h.allow(anna, asked, "session", "nobody"), "nobody who is in": h.allow(h.Browser(), asked), "another request": h.allow(anna, asked, "request", "nothing"),
		} {
			if n := h.count("consents"); n != 0 || h.location(a).Query().Has("code") {
				h.T.Errorf("%s: %d consents, to %q", what, n, a.Header.Get("Location"))
			}
		}
		if to := h.location(h.allow(anna, asked)); h.count("consents") != 1 || !to.Query().Has("code") {
			h.T.Errorf("her own word leads to %s", to)
		}
		asked = h.authorizePage(anna, asking("books", booksBack, "prompt", "select_account"))
		h.asSameBrowser(ben, anna) // where he has signed in since
		if a := h.allow(ben, asked, "answer", "same"); !strings.Contains(a.Body, "Continue as "+benEmail) {
			h.T.Errorf("Ben answers for her: %s", a.Body)
		}
		for what, answer := range map[string]string{"a consent": "allow", "the word of another": "same"} {
			if a := h.allow(anna, asked, "answer", answer, "session", "nobody"); !strings.Contains(a.Body, "Continue as "+live.AnnaEmail) {
				h.T.Errorf("%s is a choice: %s", what, a.Body)
			}
		}
		if to := h.location(h.allow(anna, asked, "answer", "same")); !to.Query().Has("code") {
			h.T.Errorf("her own choice leads to %s", to)
		}
	})
}

// On a shared computer, "use another account" ends the session that is there, whatever has become of
// the request, and the request goes on for the new account alone.
func TestAnotherAccountEndsTheSession(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		h.addBen()
		other := func(b *live.Browser, request string) live.Answer {
			return b.Post("/oauth2/consent", "answer", "other", "request", request)
		}
		request := func(b *live.Browser, v url.Values) string { return h.authorize(b, v).Query().Get("request") }
		hint := h.tokens(a, anna).text("id_token")

		form := []string{"client_secret", a.books}
		for name, texts := range asking("books", booksBack, "prompt", "select_account", "login_hint", live.AnnaEmail) {
			form = append(form, name, texts[0])
		}
		pushed := h.call(h.Browser(), "/oauth2/par", form...)
		waits := request(anna, url.Values{"client_id": {"books"}, "request_uri": {pushed.text("request_uri")}})
		for range 2 { // a page that is loaded again asks again
			if page := anna.Get("/oauth2/continue?request=" + waits); !strings.Contains(page.Body, "Continue as "+live.AnnaEmail) {
				h.T.Fatalf("%d %s", page.StatusCode, page.Body)
			}
		}
		for range 2 { // and a button that is pressed twice does no harm
			h.wantRedirect(other(anna, waits), "/oauth2/continue?request="+waits)
		}
		h.wantRedirect(anna.Get("/settings"), "/signin?return_to=%2Fsettings")
		to := h.location(anna.Get("/oauth2/continue?request=" + waits))
		if page := anna.Get(to.RequestURI()); to.Path != "/signin" || strings.Contains(page.Body, live.AnnaEmail) {
			h.T.Errorf("%s fills in who has left: %s", to, page.Body)
		}
		ben := h.signIn(anna, benEmail, benPassword)
		code := h.location(ben.Get("/oauth2/continue?request=" + waits)).Query().Get("code")
		if who := h.userinfo(h.redeem(code, "books", a.books, booksBack).text("access_token")); who.text("email") != benEmail {
			h.T.Errorf("the app knows %v", who.body)
		}
		if page := ben.Get("/oauth2/continue?request=" + waits); page.StatusCode != http.StatusBadRequest {
			h.T.Errorf("a request goes on twice: %d", page.StatusCode)
		}
		other(ben, waits) // whose request is over by now
		h.wantRedirect(ben.Get("/settings"), "/signin?return_to=%2Fsettings")

		// Where the app says whom it means, nobody else would get there.
		anna = h.annaSignedIn()
		h.Turn(time.Second) // a sign-in in the same millisecond counts as one for the request
		offers := func(v url.Values) bool {
			page := h.authorizePage(anna, v)
			if to := h.location(page); to.Path == "/settings/confirm" {
				page = anna.Get(to.RequestURI())
			}
			return strings.Contains(h.wantStatus(page, http.StatusOK).Body, `value="other"`)
		}
		if !offers(asking("books", booksBack, "prompt", "login")) || offers(asking("books", booksBack, "prompt", "login", "id_token_hint", hint)) {
			h.T.Error("to confirm, another account is offered where it leads nowhere, or is not where it would")
		}
		allowed := h.location(h.allow(anna, h.authorizePage(anna, asking("other", otherBack)))).Query().Get("code")
		hint = h.redeem(allowed, "other", a.other, otherBack).text("id_token")
		if !offers(asking("other", otherBack, "prompt", "consent")) || offers(asking("other", otherBack, "prompt", "consent", "id_token_hint", hint)) {
			h.T.Error("to consent, another account is offered where it leads nowhere, or is not where it would")
		}
	})
}

// A code is used by another client, at another redirect URI, with another verifier, after a minute,
// and twice. The second use revokes the tokens of the first.
func TestAuthorizationCodeWorksOnceForItsClient(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, anna *live.Browser) {
		fresh := func() string { return h.codeFor(anna, asking("books", booksBack)) }
		code := fresh()
		if len(code) != 43 || code == fresh() {
			h.T.Errorf("a code of %d letters", len(code))
		}
		for what, try := range map[string]func(code string) appAnswer{
			"another app":     func(c string) appAnswer { return h.redeem(c, "other", a.other, booksBack) },
			"another app's":   func(c string) appAnswer { return h.redeem(c, "phone", "", booksBack) },
			"another address": func(c string) appAnswer { return h.redeem(c, "books", a.books, booksBack+"/") },
			"a wrong secret":  func(c string) appAnswer { return h.redeem(c, "books", "x", booksBack) },
			"no secret":       func(c string) appAnswer { return h.redeem(c, "books", "", booksBack) },
			"a wrong verifier": func(c string) appAnswer {
				return h.redeem(c, "books", a.books, booksBack, "code_verifier", verifier+"x")
			},
			"no verifier":        func(c string) appAnswer { return h.redeem(c, "books", a.books, booksBack, "code_verifier", "") },
			"too late":           func(c string) appAnswer { h.Turn(61 * time.Second); return h.redeem(c, "books", a.books, booksBack) },
			"no code of anybody": func(string) appAnswer { return h.redeem("x", "books", a.books, booksBack) },
		} {
			if s := try(fresh()); s.status == http.StatusOK || s.text("access_token") != "" {
				h.T.Errorf("%s: %d %v", what, s.status, s.body)
			}
		}
		code = fresh()
		s := h.redeem(code, "books", a.books, booksBack)
		if s.status != http.StatusOK || h.userinfo(s.text("access_token")).text("email") != live.AnnaEmail {
			h.T.Fatalf("the code of Anna: %d %v", s.status, s.body)
		}
		if again := h.redeem(code, "books", a.books, booksBack); again.status != http.StatusBadRequest || again.text("error") != "invalid_grant" {
			h.T.Errorf("the second time: %d %v", again.status, again.body)
		}
		if got := h.userinfo(s.text("access_token")).status; got != http.StatusUnauthorized {
			h.T.Errorf("after the second time the first token is worth %d", got)
		}
		if got := h.refresh(s.text("refresh_token"), "books", a.books); got.status != http.StatusBadRequest {
			h.T.Errorf("and its refresh token %d", got.status)
		}
		code = fresh()
		var won appAnswer
		got := h.statuses(50, func() appAnswer {
			s := h.redeem(code, "books", a.books, booksBack)
			if s.status == http.StatusOK {
				won = s // one does
			}
			return s
		})
		if got[http.StatusOK] != 1 || h.userinfo(won.text("access_token")).status != http.StatusUnauthorized {
			h.T.Errorf("fifty at once: %v; the one token is worth %v", got, h.userinfo(won.text("access_token")))
		}
		h.checkDuplicates(a, anna)
	})
}

// A code is used after its session has ended.
func TestAuthorizationCodeEndsWithItsSession(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, a *apps, _ *live.Browser) {
		for what, end := range map[string]func(b *live.Browser){
			"signed out":            func(b *live.Browser) { b.Post("/signout") },
			"signed out everywhere": func(b *live.Browser) { b.Post("/settings/sessions/end") },
			"disabled": func(*live.Browser) {
				if err := h.Disable(h.T.Context(), twostep.By{}, live.AnnaEmail); err != nil {
					h.T.Error(err)
				}
			},
		} {
			b := h.annaSignedIn()
			code := h.codeFor(b, asking("books", booksBack, "scope", "openid email"))
			live := h.redeem(h.codeFor(b, asking("books", booksBack, "scope", "openid email")), "books", a.books, booksBack)
			end(b)
			if s := h.redeem(code, "books", a.books, booksBack); s.status != http.StatusBadRequest {
				h.T.Errorf("%s: the code is worth %d", what, s.status)
			}
			if s := h.userinfo(live.text("access_token")); s.status != http.StatusUnauthorized {
				h.T.Errorf("%s: the token is worth %d", what, s.status)
			}
			_ = h.Enable(h.T.Context(), twostep.By{}, "anna@example.com")
		}
	})
}
