package e2e

import (
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const (
	homeIP   = "127.0.0.2"
	officeIP = "127.0.0.3"
	firefox  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	updated  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
)

// still is a clock that stands still until it is turned.
type still struct {
	mu  sync.Mutex
	now time.Time
}

func (c *still) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *still) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// named says that the proxy of this machine is ours.
func named(o *twostep.Options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// as makes the tab another browser.
func (b *tab) as(agent string) {
	b.t.Helper()
	b.do(emulation.SetUserAgentOverride(agent))
}

// tick takes both steps with a click on the box.
func (b *tab) tick(s *live.Server) {
	b.t.Helper()
	code := b.password(s)
	b.do(chromedp.Click("label[for=trust]", chromedp.ByQuery))
	b.code(code)
	b.at("/settings")
}

// again signs out and gives the password.
func (b *tab) again(word string) {
	b.t.Helper()
	b.open("/settings")
	if !strings.HasSuffix(value[string](b, "location.pathname"), "/signin") {
		b.click("Sign out")
	}
	b.at("/signin")
	b.credentials(live.AnnaEmail, word)
}

// in gives the password and is in at once.
func (b *tab) in(says, word string) {
	b.t.Helper()
	b.again(word)
	if p := value[string](b, "location.pathname"); p != "/settings" {
		b.t.Errorf("%s: a code is wanted\n%s", says, b.describe())
	}
}

// asked gives the password and is asked for a code, for this reason.
func (b *tab) asked(says, word, why string) {
	b.t.Helper()
	b.again(word)
	b.at("/signin/verify")
	if !value[bool](b, `document.body.innerText.includes(`+quoted(why)+`)`) {
		b.t.Errorf("%s: not because %q\n%s", says, why, b.describe())
	}
	b.click("Start again")
}

func quoted(text string) string { return `"` + text + `"` }

// At home and in the office: asked once in each, and not again, for thirty days to the second,
// over a restart; asked with another browser; after a change of password asked everywhere but
// in the browser that did it.
func TestBrowserTrust(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		clock := &still{now: time.Now()}
		keys := filepath.Join(t.TempDir(), "keys")
		setup := func(o *twostep.Options) { named(o); o.Now, o.KeyFile = clock.Now, keys }
		s := live.Start(t, url, setup)
		proxy := s.Proxied()
		proxy.From(homeIP)
		b := browse(t, s.URL, light)
		b.as(firefox)
		began := clock.Now()
		b.tick(s)
		b.in("at home", live.AnnaPassword)
		clock.turn(24 * time.Hour)
		proxy.From(officeIP)
		b.asked("in the office", live.AnnaPassword, "You're on a different network than last time.")
		if value[bool](b, `document.documentElement.innerHTML.includes("127.0.0.")`) {
			t.Error("the page says where the owner has been")
		}
		b.tick(s)
		proxy.From(homeIP)
		b.in("back at home", live.AnnaPassword)
		proxy.From(officeIP)
		b.in("back in the office", live.AnnaPassword)
		b.as(updated)
		b.in("after an update", live.AnnaPassword)
		b.as("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
		b.asked("as another browser", live.AnnaPassword, "You're using a different browser than last time.")
		b.as(updated)
		other := browse(t, s.URL, light)
		other.as(firefox)
		other.asked("in another browser of the same make", live.AnnaPassword, "You haven't trusted this device yet, or your browser has deleted its cookies.")
		proxy.From(homeIP)
		other.tick(s)

		s.End()
		restarted := live.Start(t, url, setup)
		at := restarted.Proxied()
		at.From(homeIP)
		b.base, other.base = restarted.URL, restarted.URL
		b.in("after a restart", live.AnnaPassword)
		clock.turn(began.Add(30 * 24 * time.Hour).Sub(clock.Now()))
		b.in("thirty days to the second", live.AnnaPassword)
		clock.turn(time.Second)
		b.asked("a second later", live.AnnaPassword, "more than 30 days ago.")
		at.From(officeIP)
		b.in("the office has a day of its own left", live.AnnaPassword)
		at.From(homeIP)
		other.in("the other browser", live.AnnaPassword)

		at.From(officeIP)
		b.open("/settings/password")
		b.at("/settings/confirm")
		b.enter("password", live.AnnaPassword)
		n := restarted.Mail.Len()
		b.click("Confirm")
		b.code(restarted.Code(n))
		b.at("/settings/password")
		b.enter("current", live.AnnaPassword)
		b.enter("password", "brand new horse")
		b.click("Change password")
		b.at("/settings/password/done")
		b.in("the browser that changed the password", "brand new horse")
		at.From(homeIP)
		other.asked("the other browser, after the change", "brand new horse", "Your password was changed, so this device is no longer trusted.")
	})
}

// The box stays as it was over a wrong code, a new code, another method and a reload, with
// and without JavaScript, and with a recovery code there is none.
func TestBrowserTick(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", withRecoveryCodes)
	setup := browse(t, s.URL, light)
	setup.signIn(s)
	setup.makeCodes()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			b := browse(t, s.URL, l)
			ticked := func(says string, want bool) {
				t.Helper()
				if got := value[bool](b, `document.getElementById("trust").checked`); got != want {
					t.Errorf("%s: ticked %v", says, got)
				}
			}
			n := s.Mail.Len()
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			code := s.Code(n)
			ticked("at first", false)
			b.do(chromedp.Click("label[for=trust]", chromedp.ByQuery))
			ticked("after a click", true)
			if !l.noScript {
				b.until(`performance.getEntriesByType("resource").some(e => new URL(e.name).pathname === "/signin/trust")`)
				b.reload()
				ticked("after a reload", true)
			}
			b.code(live.Wrong(code))
			b.sees(incorrect)
			ticked("after a wrong code", true)
			s.Turn(31 * time.Second)
			b.open("/signin/verify")
			ticked("after the page was opened anew", true)
			b.click("Send a new code")
			ticked("after a new code", true)
			b.click("Use another method")
			b.at("/signin/method")
			b.click(byRecoveryCode)
			if value[bool](b, `document.getElementById("trust") !== null`) {
				t.Error("a recovery code makes trust")
			}
		})
	}
}

// A browser that keeps no cookies is told so where it matters, with the steps for this very
// browser; one that loses them when it closes is told that from one that never had them.
func TestBrowserStorage(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	t.Run("blocked", func(t *testing.T) {
		ctx, end, err := runChromium(`{"profile": {"default_content_setting_values": {"cookies": 2}}}`)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		b := &tab{t: t, base: s.URL, look: light, ctx: ctx}
		chromedp.ListenTarget(ctx, b.listen)
		b.do(light.put())
		b.credentials(live.AnnaEmail, live.AnnaPassword)
		b.at("/signin")
		b.sees("Your browser isn't saving cookies, so we can't sign you in. Allow cookies for " + s.URL)
		b.click("How to allow cookies")
		b.sees("Your browser isn't saving data for this site.")
		steps := value[[]string](b, `[...document.querySelectorAll("details[open] summary")].map(e => e.innerText.trim())`)
		if len(steps) != 1 || steps[0] != "Chrome Your browser" {
			t.Errorf("the steps that are open: %q", steps)
		}
		b.sees("You don't have Block all cookies enabled")
	})
	t.Run("deleted", func(t *testing.T) {
		b := browse(t, s.URL, light)
		b.open("/help/trust")
		b.sees("Your browser saves data for this site.")
		b.reload()
		b.sees("Your browser saves data for this site.")
		b.do(network.ClearBrowserCookies())
		b.reload()
		b.sees("the record is gone. Either your browser deletes its data when you close it")
		b.click("Check again")
		b.sees("Your browser saves data for this site.")
	})
	t.Run("for one window", func(t *testing.T) {
		b := browse(t, s.URL, light)
		b.password(s)
		if !value[bool](b, `!document.getElementById("trust").disabled`) {
			t.Error("the box is closed")
		}
		b.do(network.DeleteCookies("__Host-probe").WithURL(s.URL))
		b.reload()
		b.sees("Not available: your browser isn't saving cookies for this site.")
		if value[bool](b, `!document.getElementById("trust").disabled`) {
			t.Error("the box is open")
		}
		b.click("Check this browser")
		b.at("/help/trust")
	})
}

// What is trusted stands in the settings, and can be forgotten; the check-up says what the
// next sign-in would do.
func TestBrowserDevices(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "", named)
			proxy := s.Proxied()
			proxy.From(homeIP)
			b := browse(t, s.URL, l)
			b.as(firefox)
			b.tick(s)
			b.open("/help/trust")
			b.sees("you only need your password to sign in with this browser")
			b.sees(homeIP)
			proxy.From(officeIP)
			b.reload()
			b.sees("You need a verification code to sign in with this browser. You're on a different network than last time.")
			b.asked("in the office", live.AnnaPassword, "You're on a different network than last time.")
			b.tick(s)
			b.open("/settings/devices")
			for _, text := range []string{"Firefox on Windows", "This browser", "Network " + homeIP + " · Last used", "Network " + officeIP + " · Last used", " · You're on a different network than last time."} {
				b.sees(text)
			}
			b.fits()
			b.click("Remove")
			b.at("/settings/devices")
			b.sees("You have no trusted devices.")
			b.asked("forgotten", live.AnnaPassword, "This device was removed from your trusted devices.")
			b.tick(s)
			b.open("/settings/devices")
			b.click("Remove all trusted devices")
			b.sees("You have no trusted devices.")
		})
	}
}

// trustStory shows the pages of trust in their situations.
func trustStory(b *tab, show func(string)) {
	s := b.on(named)
	proxy := s.Proxied()
	proxy.From(homeIP)
	b.tick(s)
	b.open("/settings/devices")
	show("devices")
	b.open("/help/trust")
	b.sees("you only need your password to sign in with this browser")
	show("checkup-trusted")
	proxy.From(officeIP)
	b.reload()
	show("checkup-asked")
	b.again(live.AnnaPassword)
	b.at("/signin/verify")
	b.sees("You're on a different network than last time.")
	show("verify-why")
	b.do(network.DeleteCookies("__Host-probe").WithURL(s.URL))
	b.reload()
	b.sees("Not available:")
	show("verify-blocked")
	b.open("/help/trust")
	b.sees("saves data for this site")
	b.do(network.ClearBrowserCookies())
	b.open("/help/trust?kept=1794000000")
	b.sees("the record is gone")
	show("checkup-deleted")
	b.open("/help/trust?set=1794000000")
	b.sees("isn't saving data")
	show("checkup-blocked")
	b.open("/signin?blocked")
	show("signin-blocked")
	b.open("/help")
	show("help")
}
