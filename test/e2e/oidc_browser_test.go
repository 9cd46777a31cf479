package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// elsewhere is a tab of the same browser whose base is another origin.
func (b *tab) elsewhere(base string) *tab {
	b.base = base
	return b
}

// inShop waits until the tab is back in the shop and it says so.
func (b *tab) inShop(x *shop, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`location.origin === %q && document.readyState === "complete" && document.body.innerText.includes(%q)`, x.URL, text))
}

// steps takes both steps as Anna, on the page that an app led to.
func (b *tab) steps(s *live.Server) {
	b.t.Helper()
	b.stepsAs(s, live.AnnaEmail, live.AnnaPassword)
}

func (b *tab) stepsAs(s *live.Server, email, password string) {
	b.t.Helper()
	b.at("/signin")
	n := s.Mail.Len()
	b.enter("email", email)
	b.enter("password", password)
	b.click("Sign in")
	b.at("/signin/verify")
	b.code(s.Code(n))
}

// Somebody comes from an app on another site, with nobody in, is told whose sign-in it is, takes
// both steps and is back in the app: no policy of a page stops the way back, with the answer in
// the address or as a form, with a script or without.
func TestBrowserAppOtherSite(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		for _, mode := range []string{"query", "form_post"} {
			t.Run(l.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				x := openShop(t)
				s := live.Start(t, "", x.at)
				x.connect(s)
				b := browse(t, x.URL, l)
				b.open("/signin?response_mode=" + mode)
				b.sees("Sign in to Example to continue to Corner Shop.")
				b.steps(s)
				if mode == "form_post" && l.noScript {
					b.sees("We're taking you back to the app.")
					b.click("Continue")
				}
				b.inShop(x, "anna@example.com urn:twostep:acr:email pwd email")
				if v := x.last(); v.Mode != map[string]string{"query": "GET", "form_post": "POST"}[mode] || v.Said.Name != "Anna" || time.Since(time.Unix(v.Said.At, 0)) > time.Minute {
					t.Errorf("%+v", v)
				}
				b.open("/signin") // and now she is in already: nothing is asked
				b.inShop(x, "anna@example.com")
			})
		}
	}
}

// foreign tells the story of an app of somebody else, with a script and without.
func foreign(t *testing.T, story func(x *shop, s *live.Server, b *tab)) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			x := openShop(t)
			x.ThirdParty = true
			s := live.Start(t, "", x.at)
			x.connect(s)
			story(x, s, browse(t, x.URL, l))
		})
	}
}

// An app of somebody else learns nothing before the person has said so, and is asked about once.
func TestBrowserAppConsent(t *testing.T) {
	foreign(t, func(x *shop, s *live.Server, b *tab) {
		b.open("/signin")
		b.steps(s)
		b.sees("Don't allow")
		b.sees("Corner Shop wants to sign you in with your Example account, anna@example.com.")
		b.sees("your email address")
		b.click("Don't allow")
		b.inShop(x, "access_denied")
		b.open("/signin")
		b.sees("Corner Shop wants")
		b.click("Allow")
		b.inShop(x, live.AnnaEmail)
		b.open("/signin")
		b.inShop(x, live.AnnaEmail)
		b.open("/signin?prompt=consent")
		b.sees("Corner Shop wants")
	})
}

// Where somebody else is in, on a machine that people share, one can be oneself: an app that asks for it has
// the person choose, and one that wants a proof or a consent lets them say that they are another. What
// was asked for goes on, and whoever was in is out, of their apps too.
func TestBrowserAppAnotherAccount(t *testing.T) {
	const benEmail, benPassword = "ben@example.com", "another long password"
	foreign(t, func(x *shop, s *live.Server, b *tab) {
		if err := s.CreateAccount(b.t.Context(), twostep.AccountParams{Email: benEmail, Name: "Ben", Password: benPassword}); err != nil {
			b.t.Fatal(err)
		}
		b.open("/signin?prompt=select_account") // nobody is in: who signs in has chosen
		b.steps(s)
		b.sees("Corner Shop wants")
		b.click("Allow")
		b.inShop(x, live.AnnaEmail)
		b.open("/signin?prompt=select_account")
		b.sees("You're signed in to Example as anna@example.com.")
		b.click("Continue as anna@example.com")
		b.inShop(x, live.AnnaEmail)
		anna := x.last().Said.SID
		b.open("/signin?prompt=select_account")
		b.click("Sign out and use another account")
		b.stepsAs(s, benEmail, benPassword)
		x.hears(anna)
		b.sees("with your Example account, ben@example.com.")
		b.click("Sign out and use another account")
		b.steps(s)
		b.inShop(x, live.AnnaEmail)
		b.open("/signin?prompt=login")
		b.at("/settings/confirm")
		b.click("Sign out and use another account")
		b.stepsAs(s, benEmail, benPassword)
		b.click("Allow")
		b.inShop(x, benEmail)
	})
}

// An app that wants more gets it from the same person, or an error, and never less in silence.
func TestBrowserAppStepUp(t *testing.T) {
	t.Parallel()
	x := openShop(t)
	s := live.Start(t, "", x.at, withApp)
	x.connect(s)
	b := browse(t, x.URL, light)
	b.open("/signin")
	b.steps(s)
	b.inShop(x, "urn:twostep:acr:email")
	b.open("/signin?acr_values=urn:twostep:acr:2")
	b.inShop(x, "unmet_authentication_requirements")

	b.open("/signin?twostep_action=app&prompt=select_account")
	b.click("Continue as anna@example.com") // and is not asked again, though the new app ends all other sessions
	b.at("/settings/2step/app")
	key := b.scan()
	b.code(passcode(t, key, s.Now()))
	b.at("/settings/2step/app/done")
	b.click("Continue")
	b.inShop(x, "urn:twostep:acr:email")

	s.Turn(time.Minute)
	b.open("/signin?acr_values=urn:twostep:acr:2")
	b.confirm() // and is offered only what is enough
	b.at("/signin/verify")
	b.code(passcode(t, key, s.Now()))
	b.inShop(x, "urn:twostep:acr:2 pwd otp mfa")
	before := x.last().Said.At
	s.Turn(time.Minute)
	b.open("/signin")
	b.inShop(x, "urn:twostep:acr:2")
	if at := x.last().Said.At; at != before {
		t.Errorf("auth_time is %d, the last full proof was at %d", at, before)
	}
	b.open("/signin?prompt=login")
	b.at("/settings/confirm")
	b.click("Cancel and go back to Corner Shop")
	b.inShop(x, "access_denied")
	b.open("/signin?prompt=login")
	b.confirm()
	b.click(byApp) // any of her ways would do
	b.at("/signin/verify")
	b.code(passcode(t, key, s.Now()))
	b.inShop(x, "urn:twostep:acr:2")
	if at := x.last().Said.At; at <= before {
		t.Errorf("after prompt=login auth_time is %d, before it was %d", at, before)
	}
}

// confirm takes the first step once more, on the page that the shop led to.
func (b *tab) confirm() {
	b.t.Helper()
	b.at("/settings/confirm")
	b.sees("Corner Shop needs to know it's really you.")
	b.enter("password", live.AnnaPassword)
	b.click("Confirm")
}

// A sign-out in the app is one at the server, and one at the server is told the app. Without a
// word of whose session it is, the person is asked.
func TestBrowserAppSignOut(t *testing.T) {
	t.Parallel()
	x := openShop(t)
	s := live.Start(t, "", x.at)
	x.connect(s)
	b := browse(t, x.URL, light)
	b.open("/signin")
	b.steps(s)
	b.inShop(x, live.AnnaEmail)
	first := x.last().Said.SID
	b.click("Leave the shop")
	b.inShop(x, "Nobody is in.")
	if query := value[string](b, "location.search"); query != "?state=bye" {
		t.Errorf("back in the shop with %s", query)
	}
	x.hears(first)

	b.open("/signin")
	b.steps(s) // she is out at the server too
	b.inShop(x, live.AnnaEmail)
	second := x.last().Said.SID
	b.elsewhere(s.URL).signOut()
	x.hears(second)

	b.elsewhere(x.URL).open("/signin")
	b.steps(s)
	b.inShop(x, live.AnnaEmail)
	b.elsewhere(s.URL).open("/oauth2/logout")
	b.sees("Sign out?")
	b.click("Stay signed in")
	b.at("/settings")
	b.open("/oauth2/logout")
	b.click("Sign out")
	b.at("/signout/done")
	b.click("Sign in")
	b.at("/signin")
}

// hears waits until the shop is told that a session is over.
func (x *shop) hears(sid string) {
	x.t.Helper()
	select {
	case got := <-x.Out:
		if got != sid {
			x.t.Errorf("told of the session %q, not %q", got, sid)
		}
	case <-time.After(patience):
		x.t.Fatal("the shop was not told of the sign-out")
	}
}

// foreignShop is one that somebody else runs, for the pages that people see then.
func foreignShop(o *twostep.Options) {
	x := twostep.App{ID: "shop", Name: "Corner Shop", ThirdParty: true, RedirectURIs: []string{"https://shop.example/callback"}, PKCE: "off"}
	secret := strings.Repeat("0", 64)
	x.SecretHashes = []string{secret}
	o.Apps = slices.Concat(o.Apps, []twostep.App{x})
}

// shopStory shows the pages that somebody sees whom an app sends here.
func shopStory(b *tab, show func(string)) {
	s := b.on(foreignShop, func(o *twostep.Options) { // and one of our own, whose way back stays here
		_, hash := twostep.NewAppSecret()
		o.Apps = append(o.Apps, twostep.App{ID: "notes", Name: "Notes", RedirectURIs: []string{o.PublicURL + "/help"}, SecretHashes: []string{hash}, PKCE: "off"})
	})
	const ask = "/oauth2/authorize?client_id=shop&response_type=code&redirect_uri=https://shop.example/callback&scope=openid+email+profile+groups+offline_access"
	b.open(ask)
	show("oidc-signin")
	b.enter("email", live.AnnaEmail)
	b.enter("password", "wrong")
	b.click("Sign in")
	b.sees("The email or password isn't correct.")
	b.sees("Corner Shop")
	show("oidc-signin-wrong")
	b.steps(s)
	b.sees("Corner Shop")
	show("oidc-consent")
	b.open(ask + "&prompt=login")
	show("oidc-confirm")
	b.click("Confirm")
	b.sees("Corner Shop")
	show("oidc-confirm-empty")
	b.open(ask + "&prompt=select_account")
	show("oidc-choose")
	b.open("/oauth2/authorize?client_id=notes&response_type=code&scope=openid+email+offline_access&redirect_uri=" + url.QueryEscape(s.URL+"/help"))
	b.open("/settings/apps")
	b.sees("also when you're not using the app")
	show("oidc-apps")
	b.click("Remove access")
	b.sees("No apps are connected at the moment.")
	show("oidc-apps-none")
	b.open("/oauth2/logout")
	show("oidc-logout")
	b.open("/oauth2/logout?id_token_hint=nonsense")
	show("oidc-logout-hint")
	b.open("/oauth2/authorize?client_id=nobody")
	show("oidc-stray")
	b.open("/oauth2/authorize?client_id=shop&redirect_uri=https://evil.example/")
	show("oidc-redirect")
	b.open("/oauth2/continue?request=none")
	show("oidc-over")
	b.open("/oauth2/logout")
	b.click("Sign out")
	b.at("/signout/done")
	show("oidc-signed-out")
	if b.look.noScript { // with a script it is gone at once
		b.open(ask + "&prompt=none&response_mode=form_post")
		show("oidc-post")
	}
}
