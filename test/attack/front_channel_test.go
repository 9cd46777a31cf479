package attack

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

var inForm = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]+)">`)

// answer returns the parameters of an authorization response and where they are: query, fragment or form_post. It fails
// the test if there is an access token.
func (h *server) answer(b *live.Browser, v url.Values) (values url.Values, mode string) {
	h.T.Helper()
	a := b.Get("/oauth2/authorize?" + v.Encode())
	to := h.location(a)
	values, mode = to.Query(), "query"
	if to.Fragment != "" {
		if to.RawQuery != "" {
			h.T.Errorf("%v: parameters in two places: %s", v, to)
		}
		values, mode = url.Values{}, "fragment"
		if all, err := url.ParseQuery(to.EscapedFragment()); err == nil {
			values = all
		}
	}
	if a.StatusCode == http.StatusOK {
		values, mode = url.Values{}, "form_post"
		for _, m := range inForm.FindAllStringSubmatch(a.Body, -1) {
			values.Set(m[1], m[2])
		}
	}
	if values.Get("state") != v.Get("state") || values.Get("iss") != h.URL {
		h.T.Errorf("%v: state and iss are %v", v, values)
	}
	if values.Has("access_token") || strings.Contains(a.Body+to.String(), "access_token") {
		h.T.Errorf("%v: an access token in the front channel: %v", v, values)
	}
	return values, mode
}

// wantError sends an authorization request that must end with an error in this mode, and nothing else.
func (h *server) wantError(b *live.Browser, v url.Values, mode, code string) {
	h.T.Helper()
	values, got := h.answer(b, v)
	if values.Get("error") != code || got != mode || values.Has("code") || values.Has("id_token") {
		h.T.Errorf("%v: got %v by %s, want %s by %s", v, values, got, code, mode)
	}
}

// An app that was not registered for it asks for tokens in the authorization response, in every way to write it. The
// refusal is never in the query, and its line in the log names the remedy.
func TestResponseTypeMustBeEnabled(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		anna := h.annaSignedIn()
		news, _ := h.addNews(func(*twostep.App) {})
		for kind, want := range map[string]string{
			"id_token": "unauthorized_client", "code id_token": "unauthorized_client", "id_token code": "unauthorized_client",
			" id_token ": "unauthorized_client", "token": "unsupported_response_type", "id_token token": "unsupported_response_type",
			"code token": "unsupported_response_type", "code id_token token": "unsupported_response_type",
			"id_token id_token": "unsupported_response_type",
		} {
			for _, mode := range []string{"", "query", "fragment", "form_post", "strange"} {
				by := "fragment"
				if mode == "form_post" {
					by = mode
				}
				h.wantError(anna, asking("news", newsBack, "response_type", kind, "response_mode", mode), by, want)
			}
		}
		for kind, want := range map[string]string{
			"none": "unsupported_response_type", "ID_TOKEN": "unsupported_response_type", "code,id_token": "unsupported_response_type",
			"code code": "unsupported_response_type", "": "invalid_request",
		} {
			h.wantError(anna, asking("news", newsBack, "response_type", kind), "query", want)
		}
		if !strings.Contains(h.Log.String(), "twostep app set news --response-type") {
			h.T.Error("no line of the log names the remedy")
		}
		news.ResponseTypes = []string{"code id_token"}
		h.setNews(news)
		h.wantError(anna, asking("news", newsBack, "response_type", "id_token"), "fragment", "unauthorized_client")

		// What is turned off while a request waits is not answered.
		b := h.Browser()
		to := h.authorize(b, asking("news", newsBack, "response_type", "code id_token"))
		news.ResponseTypes = nil
		h.setNews(news)
		h.signIn(b, live.AnnaEmail, live.AnnaPassword)
		if to = h.location(b.Get(to.Query().Get("return_to"))); !strings.Contains(to.Fragment, "unauthorized_client") {
			h.T.Errorf("a request that waited is answered by %s", to)
		}
		if n := h.count("grants"); n != 0 {
			h.T.Errorf("%d grants", n)
		}
	})
}

// allResponseTypes allows the app news every response type there is.
func allResponseTypes(a *twostep.App) { a.ResponseTypes = []string{"id_token", "code id_token"} }

// ID tokens in the authorization response come without a nonce, or where servers and proxies log them.
func TestIDTokenNeedsANonceAndNoQuery(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		anna := h.annaSignedIn()
		h.addNews(allResponseTypes)
		for _, kind := range []string{"id_token", "code id_token", "id_token code"} {
			for _, mode := range []string{"", "fragment", "form_post"} {
				by := cmp.Or(mode, "fragment")
				for _, wrong := range [][]string{{"nonce", ""}, {"scope", "email"}, {"max_age", "x"}} {
					h.wantError(anna, asking("news", newsBack, append(wrong, "response_type", kind, "response_mode", mode)...), by, "invalid_request")
				}
				h.wantError(h.Browser(), asking("news", newsBack, "response_type", kind, "response_mode", mode, "prompt", "none"), by, "login_required")
				values, got := h.answer(anna, asking("news", newsBack, "response_type", kind, "response_mode", mode))
				if values.Get("id_token") == "" || got != by || values.Has("code") != strings.Contains(kind, "code") {
					h.T.Errorf("%s by %q: %v by %s", kind, mode, values, got)
				}
			}
			for _, mode := range []string{"query", "strange"} {
				h.wantError(anna, asking("news", newsBack, "response_type", kind, "response_mode", mode), "fragment", "invalid_request")
			}
		}
	})
}

// A code, an ID token or an access token is put into the response of another request, or into the front channel.
func TestHybridResponseIsBoundToItsRequest(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		anna := h.annaSignedIn()
		_, secret := h.addNews(allResponseTypes)
		values, _ := h.answer(anna, asking("news", newsBack, "response_type", "code id_token"))
		front := h.claims(values.Get("id_token"))
		sum := sha256.Sum256([]byte(values.Get("code")))
		if front["nonce"] != "the nonce" || front["c_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) || front["at_hash"] != nil ||
			front["aud"] != "news" {
			h.T.Errorf("the ID token is bound to %v", front)
		}
		if s := h.redeem(values.Get("code"), "news", secret, newsBack, "code_verifier", ""); s.status != http.StatusBadRequest {
			h.T.Errorf("the code without the verifier: %d %v", s.status, s.body)
		}
		values, _ = h.answer(anna, asking("news", newsBack, "response_type", "code id_token"))
		s := h.redeem(values.Get("code"), "news", secret, newsBack)
		back := h.claims(s.text("id_token"))
		if back["sub"] != front["sub"] || back["sid"] != front["sid"] || back["nonce"] != front["nonce"] || back["at_hash"] == nil {
			h.T.Errorf("the two ID tokens differ: %v, %v", front, back)
		}
		h.wantError(anna, asking("news", newsBack, "response_type", "code id_token", "code_challenge", "", "code_challenge_method", ""), "fragment", "invalid_request") // pinned
		if s := h.redeem(values.Get("code"), "news", secret, newsBack); s.status != http.StatusBadRequest || h.userinfo(s.text("access_token")).status == http.StatusOK {
			h.T.Errorf("the code works twice: %d", s.status)
		}

		// Without a code nothing outlives the session, and PKCE has nothing to protect.
		h.exec("DELETE FROM grants")
		values, _ = h.answer(anna, asking("news", newsBack, "response_type", "id_token", "code_challenge", "", "code_challenge_method", ""))
		if alone := h.claims(values.Get("id_token")); alone["c_hash"] != nil || alone["at_hash"] != nil || alone["email"] != live.AnnaEmail {
			h.T.Errorf("the ID token alone: %v", alone)
		}
		if rows := h.rows("SELECT COUNT(*) FROM grants WHERE offline OR scope LIKE '%offline%'"); rows[0][0] != "0" {
			h.T.Errorf("a grant without a code outlives its session")
		}
		if rows := h.rows("SELECT COUNT(*) FROM tokens"); rows[0][0] != "0" {
			h.T.Errorf("tokens were issued: %v", rows)
		}
	})
}
