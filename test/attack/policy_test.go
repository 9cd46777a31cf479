package attack

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const (
	laxBack = "https://lax.example/cb"
	// laxSession is how long sessions last beside the strict rules of these tests.
	laxSession = 24 * time.Hour
)

// withPolicies runs f on both databases, on a server whose clock the test turns: with a strict app, news, an app without
// rules, lax, and a strict group, finance. It returns a browser at home, in which nobody is signed in.
func withPolicies(t *testing.T, strict twostep.PolicyRule, f func(h *server, c *clock, secret string, b *live.Browser)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set, allMethods(&phone{}), func(o *twostep.Options) {
			o.Policy = twostep.Policy{
				All:    twostep.PolicyRule{Idle: laxSession, Absolute: laxSession},
				Groups: map[string]twostep.PolicyRule{"finance": strict},
				Apps:   map[string]twostep.PolicyRule{"news": strict},
			}
		})
		_, secret := h.addNews(func(*twostep.App) {})
		_, hash := twostep.NewAppSecret()
		h.must(h.CreateApp(t.Context(), twostep.App{ID: "lax", RedirectURIs: []string{laxBack}, SecretHashes: []string{hash}}))
		f(h, c, secret, h.BrowserAt("127.0.0.1"))
	})
}

// wantStopped checks that the strict app gets no code, and the other one does.
func (h *server) wantStopped(what string, b *live.Browser, at string) {
	h.T.Helper()
	h.codeFor(b, asking("lax", laxBack))
	if to := h.authorize(b, asking("news", newsBack)); to.Query().Has("code") || to.Path != at {
		h.T.Errorf("%s: the strict app is answered at %s, want %s", what, to, at)
	}
	if to := h.authorize(b, asking("news", newsBack, "prompt", "none")); to.Query().Has("code") || to.Query().Get("error") == "" {
		h.T.Errorf("%s: silently: %s", what, to)
	}
}

// A person comes to a strict app with the session of another app: without the second step, after a time without a
// request, and after a long time.
func TestStrictAppGetsNoSessionOfAnotherApp(t *testing.T) {
	t.Parallel()
	rule := twostep.PolicyRule{Trust: twostep.TrustOff, Idle: 10 * time.Minute, Absolute: time.Hour}
	withPolicies(t, rule, func(h *server, c *clock, _ string, b *live.Browser) {
		h.signInAndTrust(b, anna)
		h.codeFor(b, asking("news", newsBack))
		c.advance(11 * time.Minute)
		h.wantStatus(b.Get("/settings"), http.StatusOK) // wakes the session
		h.wantStopped("idle, and then used elsewhere", b, "/settings/confirm")
		c.advance(time.Minute) // by now the use is recorded
		h.wantStopped("a minute later", b, "/settings/confirm")

		other := h.annaSignedIn()
		for range 8 {
			c.advance(8 * time.Minute)
			h.wantStatus(other.Get("/settings"), http.StatusOK)
		}
		h.wantStopped("used for an hour", other, "/settings/confirm")

		c.advance(laxSession + time.Minute)
		h.wantTrusted("a trusted browser on the way to no app", b, anna)
		h.wantStopped("without the second step", b, "/settings/confirm")
	})
}

// Somebody whom a desk code has let in, and who has set up a method, comes to apps without having taken both steps.
func TestAppsGetNoSessionOfADeskCode(t *testing.T) {
	t.Parallel()
	withPolicies(t, twostep.PolicyRule{Trust: twostep.TrustOff}, func(h *server, c *clock, _ string, _ *live.Browser) {
		code, _ := h.deskCode()
		b := h.atDesk()
		h.wantRedirect(b.Post("/signin/desk", "code", code), "/settings/setup")
		app := codeAt(h.draftApp(b), c.Now(), 0)
		h.wantRedirect(h.post(b, "/settings/2step/app/verify", "code="+app), "/settings/2step/app/done")
		for _, client := range []struct{ id, back string }{{"news", newsBack}, {"lax", laxBack}} {
			if to := h.authorize(b, asking(client.id, client.back)); to.Path != "/settings/confirm" {
				h.T.Errorf("%s is answered at %s", client.id, to)
			}
			to := h.authorize(b, asking(client.id, client.back, "prompt", "none"))
			if to.Query().Has("code") || to.Query().Get("error") == "" {
				h.T.Errorf("%s, silently: %s", client.id, to)
			}
		}
	})
}

// A method that the strict app does not allow opens it by way of another app.
func TestStrictAppGetsNoOtherMethod(t *testing.T) {
	t.Parallel()
	withPolicies(t, twostep.PolicyRule{Methods: []string{"totp"}}, func(h *server, c *clock, _ string, b *live.Browser) {
		h.signInAndTrust(b, anna)
		h.wantStopped("by email, with no other method", b, "/settings/required")
		code := codeAt(h.draftApp(b), c.Now(), 0)
		h.wantRedirect(h.post(b, "/settings/2step/app/verify", "code="+code), "/settings/2step/app/done")
		h.wantStopped("by email, with an app that was not used", b, "/settings/confirm")
		c.advance(laxSession + time.Minute)
		h.wantTrusted("by trust that email has given", b, anna)
		h.wantStopped("by trust that email has given", b, "/settings/confirm")
	})
}

// Tokens outlive the rules: those of the app, those of a group that the person has moved to, and those that a server
// with other settings has issued.
func TestTokensFollowThePolicy(t *testing.T) {
	t.Parallel()
	rule := twostep.PolicyRule{Refresh: time.Hour}
	withPolicies(t, rule, func(h *server, c *clock, secret string, _ *live.Browser) {
		long := func(a *twostep.App) { a.AccessTokenTTL, a.RefreshTokenTTL = 24*3600, 30*24*3600 }
		news, err := h.GetApp(h.T.Context(), "news")
		h.must(err)
		long(&news)
		h.setNews(news)
		laxSecret, hash := twostep.NewAppSecret()
		lax := twostep.App{ID: "lax", RedirectURIs: []string{laxBack}, SecretHashes: []string{hash}}
		long(&lax)
		h.must(h.UpdateApp(h.T.Context(), lax))
		b := h.annaSignedIn()
		of := h.tokensOf(b, secret)
		kept := h.redeem(h.codeFor(b, asking("lax", laxBack)), "lax", laxSecret, laxBack)
		c.advance(61 * time.Minute)
		h.wantRefused("after the time of the app", h.refresh(of.text("refresh_token"), "news", secret))
		if a := h.userinfo(of.text("access_token")); a.status != http.StatusUnauthorized {
			h.T.Errorf("an access token after the time of the app: %d", a.status)
		}
		if a := h.userinfo(kept.text("access_token")); a.status != http.StatusOK {
			h.T.Errorf("an access token of the other app: %d", a.status)
		}
		next := h.refresh(kept.text("refresh_token"), "lax", laxSecret)
		if next.status != http.StatusOK {
			h.T.Fatalf("the other app: %d %v", next.status, next.body)
		}
		h.must(h.SetGroups(h.T.Context(), twostep.By{}, "anna@example.com", []string{"finance"}))
		h.wantRefused("moved into the strict group", h.refresh(next.text("refresh_token"), "lax", laxSecret))
		if a := h.userinfo(next.text("access_token")); a.status != http.StatusUnauthorized {
			h.T.Errorf("an access token, moved into the strict group: %d", a.status)
		}
	})
}

// A host behind a proxy stays open for longer than its rules say, because the answers to the proxy are remembered.
func TestHostFollowsThePolicy(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set, behindProxy, func(o *twostep.Options) {
			o.Policy = twostep.Policy{
				All:    twostep.PolicyRule{Idle: laxSession, Absolute: laxSession},
				Apps:   map[string]twostep.PolicyRule{"wiki": {Absolute: time.Hour}},
				Groups: map[string]twostep.PolicyRule{"finance": {Idle: 10 * time.Minute}},
			}
		})
		v := h.proxiedUser(h.annaSignedIn())
		h.wantStatus(v.open(wiki, "/"), http.StatusOK)
		for range 7 {
			c.advance(8 * time.Minute)
			h.wantStatus(v.ask("GET", wiki, "/"), http.StatusOK)
		}
		c.advance(4*time.Minute - time.Second)
		h.wantStatus(v.ask("GET", wiki, "/"), http.StatusOK)
		c.advance(2 * time.Second)
		v.wantRefused("after the hour of the app", v.ask("GET", wiki, "/"), http.StatusUnauthorized)
		h.wantStatus(v.ask("GET", wiki, v.confirmTo(wiki, "/"), navigate), http.StatusFound)
		h.wantStatus(v.ask("GET", wiki, "/"), http.StatusOK)
		c.advance(11 * time.Minute)
		h.wantStatus(v.ask("GET", wiki, "/"), http.StatusOK)
		h.must(h.SetGroups(h.T.Context(), twostep.By{}, "anna@example.com", []string{"finance"}))
		c.advance(11 * time.Minute)
		v.wantRefused("idle for longer than the group may be", v.ask("GET", wiki, "/"), http.StatusUnauthorized)
		if to := h.location(v.person.Get("/settings")); to.Path != "/signin" {
			t.Errorf("the settings of a session that the group's rules have ended: %s", to)
		}
	})
}

// An operator opens the operators' pages by a method that the policy does not allow, or without the one that it
// requires, while any second step is enough for them otherwise. Nobody is sent in a circle.
func TestOperatorsFollowThePolicy(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set, allMethods(&phone{}), func(o *twostep.Options) {
			o.OperatorSecondStep = "any"
			o.Policy = twostep.Policy{
				All: twostep.PolicyRule{Idle: laxSession, Absolute: laxSession, Reauthentication: time.Hour},
				Groups: map[string]twostep.PolicyRule{
					"due": {Require: c.Now().AddDate(0, 0, -1)}, "later": {Require: c.Now().AddDate(0, 0, 30)},
					"totp": {Methods: []string{"totp"}}, "email": {Methods: []string{"email"}},
					"quick": {Reauthentication: 5 * time.Minute},
				},
			}
		})
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		inGroups := func(groups ...string) {
			h.T.Helper()
			h.must(h.SetGroups(h.T.Context(), twostep.By{}, live.AnnaEmail, groups))
		}
		b := h.annaSignedIn()
		routes := h.operatorRoutes(map[string]string{"audit/": h.anEvent(), "people/": "nobody", "apps/": "nobody"})
		wantAll := func(what string, status int, to string) {
			h.T.Helper()
			for _, r := range routes {
				a := h.requestRoute(b, r)
				if at, _, _ := strings.Cut(a.Header.Get("Location"), "?"); a.StatusCode != status || at != to {
					h.T.Errorf("%s: %s %s: %d to %q, want %d to %q", what, r.method, r.path, a.StatusCode, at, status, to)
				}
			}
		}
		wantOpen := func(what string) {
			h.T.Helper()
			if a := b.Get("/admin"); a.StatusCode != http.StatusOK {
				h.T.Errorf("%s: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
			}
		}
		wantOpen("in no group")
		c.advance(40 * time.Minute)
		wantOpen("40 minutes, with an hour")
		inGroups("quick")
		wantAll("40 minutes, with five", http.StatusSeeOther, "/settings/confirm")
		b = h.annaSignedIn()
		wantOpen("in the quick group")
		c.advance(7 * time.Minute)
		h.wantRedirect(b.Get("/admin"), "/settings/confirm")
		h.wantStatus(b.Get("/settings/confirm?return_to=%2Fadmin"), http.StatusOK)

		inGroups("later")
		wantOpen("before the day")
		inGroups("due")
		wantAll("from the day on", http.StatusSeeOther, "/settings/required")
		h.wantStatus(b.Get("/settings/required?return_to=%2Fadmin"), http.StatusOK)
		inGroups("totp", "email")
		wantAll("without an allowed method", http.StatusForbidden, "")
		inGroups("totp")
		wantAll("by another method", http.StatusSeeOther, "/settings/required")
		b = h.annaSignedIn()
		code := codeAt(h.draftApp(b), c.Now(), 0)
		h.wantRedirect(h.post(b, "/settings/2step/app/verify", "code="+code), "/settings/2step/app/done")
		wantAll("with an app that was not used", http.StatusSeeOther, "/settings/confirm")
		h.wantStatus(b.Get("/settings/confirm?return_to=%2Fadmin"), http.StatusOK)
		inGroups()
		wantOpen("out of the group")
	})
}
