package attack

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const (
	newsBack       = "https://news.example/cb"
	longestSession = 2 * time.Hour // in the tests of the app news
)

// addNews registers the app news, with these changes, and returns it with its secret.
func (h *server) addNews(change func(*twostep.App)) (news twostep.App, secret string) {
	h.T.Helper()
	secret, hash := twostep.NewAppSecret()
	news = twostep.App{ID: "news", RedirectURIs: []string{newsBack}, SecretHashes: []string{hash}}
	change(&news)
	if err := h.CreateApp(h.T.Context(), news); err != nil {
		h.T.Fatal(err)
	}
	return news, secret
}

// setNews replaces the settings of the app news.
func (h *server) setNews(news twostep.App) {
	h.T.Helper()
	if err := h.UpdateApp(h.T.Context(), news); err != nil {
		h.T.Fatal(err)
	}
}

// withNews runs f on both databases, on a server whose clock the test turns and that has the app news, and with Anna
// signed in.
func withNews(t *testing.T, change func(*twostep.App), f func(h *server, c *clock, news twostep.App, secret string, anna *live.Browser)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set, func(o *twostep.Options) {
			o.Policy.All.Idle, o.Policy.All.Absolute = longestSession, longestSession
		})
		news, secret := h.addNews(change)
		f(h, c, news, secret, h.annaSignedIn())
	})
}

// tokensOf signs in to the app news and returns its tokens.
func (h *server) tokensOf(b *live.Browser, secret string, pairs ...string) appAnswer {
	h.T.Helper()
	s := h.redeem(h.codeFor(b, asking("news", newsBack, pairs...)), "news", secret, newsBack)
	if s.status != http.StatusOK {
		h.T.Fatalf("tokens: %d %v", s.status, s.body)
	}
	return s
}

func (h *server) wantRefused(what string, s appAnswer) {
	h.T.Helper()
	if s.status != http.StatusBadRequest || s.text("error") != "invalid_grant" {
		h.T.Errorf("%s: %d %v", what, s.status, s.body)
	}
}

// lifetime returns for how many seconds an ID token is valid.
func (h *server) lifetime(token string) float64 {
	h.T.Helper()
	claims := h.claims(token)
	return claims["exp"].(float64) - claims["iat"].(float64)
}

// The lifetimes of an app are out of bounds, or its tokens outlive them, their session or their grant.
func TestTokensOfAnAppEndInTime(t *testing.T) {
	t.Parallel()
	lifetimes := func(a *twostep.App) {
		a.IDTokenTTL, a.AccessTokenTTL, a.RefreshTokenTTL, a.RefreshTokenIdle = 3600, 300, 5*3600, 2*3600
	}
	withNews(t, lifetimes, func(h *server, c *clock, news twostep.App, secret string, anna *live.Browser) {
		s := h.tokensOf(anna, secret)
		if s.body["expires_in"] != 300.0 || h.lifetime(s.text("id_token")) != 3600 {
			h.T.Errorf("expires_in is %v, the ID token is valid for %v s", s.body["expires_in"], h.lifetime(s.text("id_token")))
		}
		c.advance(300 * time.Second)
		if a := h.userinfo(s.text("access_token")); a.status != http.StatusOK {
			h.T.Errorf("the access token ends early: %d", a.status)
		}
		c.advance(time.Second)
		if a := h.userinfo(s.text("access_token")); a.status != http.StatusUnauthorized {
			h.T.Errorf("the access token outlives its time: %d", a.status)
		}
		// Each use starts the idle time again, and none of them moves the end.
		for range 2 {
			c.advance(110 * time.Minute)
			if s = h.refresh(s.text("refresh_token"), "news", secret); s.status != http.StatusOK {
				h.T.Fatalf("a refresh: %d %v", s.status, s.body)
			}
		}
		c.advance(5*time.Hour - 301*time.Second - 220*time.Minute - time.Minute) // to one minute before the end
		if s = h.refresh(s.text("refresh_token"), "news", secret); s.status != http.StatusOK || s.body["expires_in"].(float64) > 60 ||
			h.lifetime(s.text("id_token")) > 60 {
			h.T.Errorf("tokens outlive their grant: %d %v", s.status, s.body)
		}
		c.advance(3 * time.Minute)
		h.wantRefused("a refresh after the end", h.refresh(s.text("refresh_token"), "news", secret))

		anna = h.annaSignedIn()
		s = h.tokensOf(anna, secret)
		c.advance(2*time.Hour + time.Second)
		h.wantRefused("a refresh after the idle time", h.refresh(s.text("refresh_token"), "news", secret))

		// A shorter time applies to the tokens that there are.
		anna = h.annaSignedIn()
		s, kept := h.tokensOf(anna, secret), h.tokensOf(anna, secret)
		c.advance(time.Hour + time.Minute)
		news.RefreshTokenIdle = 3600
		h.setNews(news)
		h.wantRefused("a refresh after a shorter idle time", h.refresh(s.text("refresh_token"), "news", secret))
		news.RefreshTokenIdle, news.RefreshTokenTTL = 0, 3600
		h.setNews(news)
		h.wantRefused("a refresh after a shorter time", h.refresh(kept.text("refresh_token"), "news", secret))

		// Without a refresh token the session is the end.
		news.IDTokenTTL, news.AccessTokenTTL, news.RefreshTokenTTL = 24*3600, 24*3600, 0
		h.setNews(news)
		h.checkSessionIsTheEnd(h.annaSignedIn(), secret)

		for field, change := range map[string]func(*twostep.App){
			"id_token_ttl":       func(a *twostep.App) { a.IDTokenTTL = 24*3600 + 1 },
			"access_token_ttl":   func(a *twostep.App) { a.AccessTokenTTL = 59 },
			"refresh_token_ttl":  func(a *twostep.App) { a.RefreshTokenTTL = 1 << 62 },
			"refresh_token_idle": func(a *twostep.App) { a.RefreshTokenIdle = -1 },
		} {
			a := news
			if change(&a); h.UpdateApp(h.T.Context(), a) == nil {
				h.T.Errorf("%s: %+v is accepted", field, a)
			}
		}
	})
}

// checkSessionIsTheEnd gets tokens without offline_access, which could be valid for longer than the session.
func (h *server) checkSessionIsTheEnd(anna *live.Browser, secret string) {
	h.T.Helper()
	s := h.tokensOf(anna, secret, "scope", "openid")
	if most := longestSession.Seconds(); s.body["expires_in"].(float64) > most || h.lifetime(s.text("id_token")) > most {
		h.T.Errorf("the tokens outlive their session: %v, %v s", s.body["expires_in"], h.lifetime(s.text("id_token")))
	}
	anna.Post("/signout")
	if a := h.userinfo(s.text("access_token")); a.status != http.StatusUnauthorized {
		h.T.Errorf("the access token outlives the sign-out: %d", a.status)
	}
}

// A person chooses a name that an app takes for a role, or is in a group that only looks like a mapped one. No claim of an
// app has a name that the protocol uses.
func TestNobodyChoosesAMappedName(t *testing.T) {
	t.Parallel()
	mapped := func(a *twostep.App) {
		a.ClaimNames = map[string]string{"groups": "roles", "preferred_username": "username"}
		a.GroupNames = map[string]string{"wiki editors": "Editors"}
		a.StaticClaims = map[string]string{"tenant": "acme"}
		a.IDTokenClaims = []string{"roles", "tenant"}
	}
	withNews(t, mapped, func(h *server, c *clock, news twostep.App, secret string, anna *live.Browser) {
		h.wantRedirect(anna.Post("/settings/name", "name", "Editors", "given_name", "Editors", "family_name", "acme"), "/settings")
		for _, row := range [][2][]string{
			{{}, {}}, {{"Editors"}, {}}, {{"editors", "EDITORS"}, {}}, {{"wiki editors"}, {"Editors"}},
			{{"wiki editors", "Editors", "staff"}, {"staff", "Editors"}}, {{"Wiki Editors"}, {"Wiki Editors"}},
		} {
			if err := h.SetGroups(h.T.Context(), twostep.By{}, live.AnnaEmail, row[0]); err != nil {
				h.T.Fatal(err)
			}
			s := h.tokensOf(anna, secret, "scope", "openid email profile groups")
			said, front := h.userinfo(s.text("access_token")).body, h.claims(s.text("id_token"))
			for where, claims := range map[string]map[string]any{"userinfo": said, "the ID token": front} {
				if got := fmt.Sprint(claims["roles"]); got != fmt.Sprint(row[1]) || claims["groups"] != nil || claims["tenant"] != "acme" {
					h.T.Errorf("%v: %s says %v", row[0], where, claims)
				}
			}
			if said["username"] != live.AnnaEmail || said["email"] != live.AnnaEmail || said["preferred_username"] != nil {
				h.T.Errorf("userinfo says %v", said)
			}
			if front["email"] != nil || front["name"] != nil || front["aud"] != "news" || front["sub"] == "" {
				h.T.Errorf("the ID token says %v", front)
			}
		}
		if !strings.Contains(h.Log.String(), "other groups are mapped to its name") {
			h.T.Error("no line of the log names the dropped group")
		}
		h.checkClaimNames(news)
	})
}

// checkClaimNames wants no app to have claims with the names of others.
func (h *server) checkClaimNames(news twostep.App) {
	h.T.Helper()
	taken := []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "acr", "amr", "auth_time", "azp", "at_hash",
		"c_hash", "sid", "events", "email", "email_verified", "preferred_username", "groups", "name"}
	for _, name := range taken {
		for what, change := range map[string]func(*twostep.App){
			"a group":   func(a *twostep.App) { a.ClaimNames = map[string]string{"groups": name} },
			"a name":    func(a *twostep.App) { a.ClaimNames = map[string]string{"given_name": name} },
			"an email":  func(a *twostep.App) { a.ClaimNames = map[string]string{"email": name, "preferred_username": "x"} },
			"any value": func(a *twostep.App) { a.StaticClaims = map[string]string{name: "x"} },
		} {
			a := news
			a.ClaimNames, a.StaticClaims, a.IDTokenClaims = nil, nil, nil
			if change(&a); h.UpdateApp(h.T.Context(), a) == nil {
				h.T.Errorf("%s is sent as %s", what, name)
			}
		}
	}
	for _, name := range []string{"roles", "role", "username", "login", "upn", "uid", "is_admin", "https://example.com/role"} {
		a := news
		a.ClaimNames = map[string]string{"name": name}
		if h.UpdateApp(h.T.Context(), a) == nil {
			h.T.Errorf("a person chooses their %s", name)
		}
	}
}

// A token that is signed with one key says that it is signed by another algorithm, and apps that do not use EdDSA get keys
// that their libraries do not know.
func TestEdDSAKeysAreForAppsThatUseThem(t *testing.T) {
	t.Parallel()
	withNews(t, func(*twostep.App) {}, func(h *server, c *clock, news twostep.App, secret string, anna *live.Browser) {
		published := func() string {
			return h.Browser().Get("/oauth2/jwks").Body + h.Browser().Get("/.well-known/openid-configuration").Body
		}
		if text := published(); strings.Contains(text, "OKP") || strings.Contains(text, `"RS256","EdDSA"`) {
			h.T.Errorf("keys that no app uses: %s", text)
		}
		news.IDTokenAlg = "EdDSA"
		h.setNews(news)
		if text := published(); !strings.Contains(text, `"Ed25519"`) || !strings.Contains(text, `"RS256","EdDSA"`) {
			h.T.Errorf("the key of the app is missing: %s", text)
		}
		s := h.tokensOf(anna, secret)
		token := s.text("id_token")
		sum := sha512.Sum512([]byte(s.text("access_token")))
		if claims := h.claims(token); claims["at_hash"] != base64.RawURLEncoding.EncodeToString(sum[:32]) {
			h.T.Errorf("at_hash is %v", claims["at_hash"])
		}
		if to := h.authorize(anna, asking("news", newsBack, "id_token_hint", token)); !to.Query().Has("code") {
			h.T.Errorf("a hint: %s", to)
		}
		parts := strings.Split(token, ".")
		head, _ := base64.RawURLEncoding.DecodeString(parts[0])
		for _, algorithm := range []string{"RS256", "ES256", "HS256", "none", "Ed25519"} {
			forged := strings.Replace(string(head), "EdDSA", algorithm, 1)
			parts[0] = base64.RawURLEncoding.EncodeToString([]byte(forged))
			if to := h.authorize(anna, asking("news", newsBack, "id_token_hint", strings.Join(parts, "."))); to.Query().Has("code") {
				h.T.Errorf("a hint that says %s: %s", algorithm, to)
			}
		}
		first := h.kidOf(token)
		c.advance(91 * 24 * time.Hour)
		anna = h.annaSignedIn()
		if kid := h.kidOf(h.tokensOf(anna, secret).text("id_token")); kid != first || strings.Count(published(), "Ed25519") != 2 {
			h.T.Errorf("a new key signs at once, or is not published: %s", published())
		}
		c.advance(25 * time.Hour)
		anna = h.annaSignedIn()
		if kid := h.kidOf(h.tokensOf(anna, secret).text("id_token")); kid == first {
			h.T.Error("the old key signs")
		}
	})
}

// kidOf returns the ID of the key that has signed a token.
func (h *server) kidOf(token string) string {
	h.T.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		h.T.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}
