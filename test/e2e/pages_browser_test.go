package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep/test/e2e/live"
)

// story leads through some pages and shows each of them in each of its situations.
type story struct {
	name string
	tell func(b *tab, show func(situation string))
}

var stories = []story{
	{"sign-in", signInStory}, {"verify", verifyStory}, {"longer", longerStory}, {"delivery", deliveryStory}, {"link", linkStory}, {"undo", undoStory},
	{"settings", settingsStory}, {"local", localStory}, {"fault", faultStory},
	{"app", appStory}, {"number", numberStory}, {"recovery", recoveryStory}, {"address", addressStory}, {"trust", trustStory}, {"operators", operatorsStory}, {"apps", operatorsAppsStory}, {"oidc", shopStory}, {"device", deviceStory}, {"document", documentStory},
}

// Every page in every situation passes axe-core's rules, in the light and in the dark, on
// a desktop and on a small phone; nothing has to be scrolled sideways, and the browser has
// nothing to complain about. With TWOSTEP_SHOTS=DIR, the pictures are in DIR.
func TestBrowserPages(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(filepath.Join("..", "..", "build", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("there is no axe-core: run make test, it installs what the tests need")
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := browse(t, "", light)
			s.tell(b, func(situation string) {
				for _, l := range []look{dark, phone, light} {
					b.do(l.put())
					b.fits()
					b.axe(string(rules), situation+", "+l.name)
					b.shoot(situation, l)
				}
			})
		})
	}
}

// The same pages are all reached and fit without JavaScript.
func TestBrowserPagesPlain(t *testing.T) {
	t.Parallel()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := browse(t, "", plain)
			s.tell(b, func(situation string) {
				b.fits()
				b.shoot(situation, plain)
			})
		})
	}
}

// German words are long. On a phone, no title, button or label breaks inside a word.
func TestBrowserGermanWords(t *testing.T) {
	t.Parallel()
	b := browse(t, "", light)
	everything(b)
	b.speaks("de-DE")
	b.do(emulation.SetDeviceMetricsOverride(390, 844, 1, false))
	for _, path := range []string{
		"/settings", "/settings/devices", "/settings/sessions", "/settings/history", "/settings/history/not-me", "/settings/apps",
		"/settings/email", "/settings/password", "/settings/2step/app", "/settings/2step/sms", "/settings/2step/recovery", "/help",
	} {
		b.open(path)
		b.until(`document.readyState === "complete" && !document.querySelector("[data-auto]")`) // the script sends that form
		b.fits()
		broken := value[[]string](b, `[...document.querySelectorAll("h1, h2, h3, button, label, dt, strong")].filter(e => {
			e.style.display = "block"
			e.style.overflowWrap = "normal"
			return e.scrollWidth > e.clientWidth
		}).map(e => e.innerText)`)
		if len(broken) > 0 {
			t.Errorf("%s: words break in %q", path, broken)
		}
	}
}

// axe runs axe-core. It comes in by the debugger, so the policy of the page stays in force.
func (b *tab) axe(rules, where string) {
	b.t.Helper()
	b.axeBut(rules, where)
}

// axeBut runs axe-core without some of its rules.
func (b *tab) axeBut(rules, where string, without ...string) {
	b.t.Helper()
	off := map[string]map[string]bool{}
	for _, rule := range without {
		off[rule] = map[string]bool{"enabled": false}
	}
	options, err := json.Marshal(map[string]any{"rules": off})
	if err != nil {
		b.t.Fatal(err)
	}
	if !value[bool](b, `"axe" in window`) {
		b.do(chromedp.Evaluate(rules, nil))
	}
	var found []struct{ Rule, Help, Node string }
	b.do(chromedp.Evaluate(`axe.run(`+string(options)+`).then(all => all.violations.flatMap(v => v.nodes.map(n =>
		({rule: v.id, help: v.help, node: n.html + " " + n.failureSummary}))))`, &found,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	for _, f := range found {
		b.t.Errorf("%s: %s (%s): %s", where, f.Help, f.Rule, f.Node)
	}
}

// shoot keeps a picture of the whole page.
func (b *tab) shoot(situation string, l look) {
	b.t.Helper()
	dir := os.Getenv("TWOSTEP_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, situation+"-"+l.name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// on starts a server for a story.
func (b *tab) on(setups ...live.Setup) *live.Server {
	s := live.Start(b.t, "", setups...)
	b.base = s.URL
	return s
}

func signInStory(b *tab, show func(string)) {
	b.on()
	b.open("/signin")
	show("signin")
	b.click("Sign in")
	b.sees("Enter your password.")
	show("signin-empty")
	b.credentials(live.AnnaEmail, "wrong")
	b.sees("The email or password isn't correct.")
	show("signin-wrong")
}

func verifyStory(b *tab, show func(string)) {
	s := b.on()
	code := b.password(s)
	b.open("/signin/verify")
	b.sees("Sent at ")
	show("verify")
	b.enter("code", "12")
	b.click("Verify")
	show("verify-malformed")
	b.code(live.Wrong(code))
	b.sees(incorrect)
	show("verify-wrong")
	// The button is not to be pressed before its time where there is a script.
	b.turn(chromedp.Evaluate(`const f = document.querySelector("form"); f.action = "/signin/code"; f.submit()`, nil))
	b.sees("You can request a new code in ")
	show("verify-early")
	b.open("/signin/verify")
	for range 5 {
		s.Turn(15 * time.Second)
		b.code(live.Wrong(code))
	}
	b.sees("Too many failed attempts")
	show("verify-tries")
}

func longerStory(b *tab, show func(string)) {
	b.guessed(b.on())
	b.sees("need a longer code")
	show("verify-long")
	b.enter("code", "0000000000000")
	b.click("Verify")
	b.sees(incorrect)
	show("verify-long-wrong")
}

func deliveryStory(b *tab, show func(string)) {
	s := b.on()
	s.Mail.Refuse(busy)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.sees("Sending…")
	show("verify-waiting")
	s.Mail.Refuse(unknown)
	if b.look.noScript {
		b.comes("Check again", "The mail server refused the message.")
	}
	b.sees("The mail server refused the message.")
	show("verify-refused")
}

func linkStory(b *tab, show func(string)) {
	s := b.on()
	b.open("/forgot")
	show("forgot")
	b.enter("email", "anna")
	b.click("Send link")
	b.sees("like name@example.com.")
	show("forgot-wrong")
	path, token := b.forget(s)
	show("forgot-sent")
	b.open("/reset")
	show("reset-paste")
	b.enter("token", token+"x")
	b.click("Continue")
	b.sees("This link has expired")
	show("reset-old")
	b.openLink(path, token)
	b.choosing()
	show("reset")
	b.enter("password", "anna")
	b.click("Change password")
	b.sees("Use at least 8 characters.")
	show("reset-short")
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/reset/done")
	show("reset-done")
	joinStory(b, s, show)
}

// openLink opens a mailed link. Without a script its token is pasted.
func (b *tab) openLink(path, token string) {
	b.t.Helper()
	if !b.look.noScript {
		b.open(path)
		return
	}
	path, _, _ = strings.Cut(path, "#")
	b.open(path)
	b.enter("token", token)
	b.click("Continue")
}

func joinStory(b *tab, s *live.Server, show func(string)) {
	b.open("/signup")
	show("signup")
	b.click("Sign up")
	b.sees("Enter your name.")
	show("signup-empty")
	n := s.Mail.Len()
	b.enter("email", "dora@example.com")
	b.enter("name", "Dora")
	b.click("Sign up")
	b.at("/signup/sent")
	show("signup-sent")
	mail := s.Mail.Next(n)
	for i := n + 1; !mailedLink.MatchString(mail); i++ { // the notice of the changed password comes first, or not
		mail = s.Mail.Next(i)
	}
	_, token := link(s, mail)
	b.open("/join")
	show("join-paste")
	b.openLink("/join#"+token, token)
	b.choosing()
	show("join")
	b.click("Create account")
	b.sees("Choose a password.")
	show("join-empty")
	b.enter("password", newPassword)
	b.click("Create account")
	b.at("/signin/verify")
	b.open("/join/done")
	show("join-done")
}

func settingsStory(b *tab, show func(string)) {
	s := b.on()
	b.signIn(s)
	show("settings")
	b.open("/settings/password")
	show("password")
	b.enter("current", "wrong")
	b.enter("password", newPassword)
	b.click("Change password")
	b.sees("The current password isn't correct.")
	show("password-wrong")
	b.enter("current", live.AnnaPassword)
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/settings/password/done")
	show("password-done")
	b.open("/settings/sessions")
	show("sessions")
	b.open("/settings/name")
	show("name")
	b.do(chromedp.Evaluate(`document.getElementById("name").value = ""`, nil))
	b.click("Save")
	b.sees("Enter your name.")
	show("name-empty")
	b.open("/settings/history")
	b.sees("Your password was changed")
	show("history")
	b.click("This wasn't me")
	b.at("/settings/history/not-me")
	show("notme")
}

func localStory(b *tab, show func(string)) {
	var inboxPath string
	b.base, inboxPath = startLocal(b.t)
	b.open("/inbox")
	show("inbox-key")
	b.open(inboxPath)
	show("inbox-empty")
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.open("/inbox")
	b.comes("Reload", "is your Example verification code")
	show("inbox")
	b.enter("minutes", "many")
	b.click("Move clock forward")
	b.sees("Enter a number of minutes from 1 to 60000.")
	show("inbox-wrong")
}

func faultStory(b *tab, show func(string)) {
	s := b.on()
	b.open("/no/such/page")
	b.sees("Page not found")
	show("fault-404")
	b.open("/signout")
	b.sees("This page can't be opened that way.")
	show("fault-405")
	b.foreign("/signin")
	b.sees("This request came from another site")
	show("fault-403")
	for range 30 {
		s.BrowserAt("127.0.0.1").Post("/forgot", "email", "nobody@example.com")
	}
	b.open("/forgot")
	b.enter("email", "nobody@example.com")
	b.click("Send link")
	b.sees("Too many attempts") // and until when, or in the last minute of an hour for how long
	show("fault-429")
	b.signIn(s)
	if _, err := s.Beside().Exec("ALTER TABLE sessions RENAME TO gone"); err != nil {
		b.t.Fatal(err)
	}
	b.open("/settings")
	b.sees("It's our fault, not yours.")
	show("fault-500")
	if err := s.Close(); err != nil { // the database is gone
		b.t.Fatal(err)
	}
	b.open("/settings")
	b.sees("Something on our side isn't working right now.")
	show("fault-503")
}

// foreign sends a form from a page of another site.
func (b *tab) foreign(path string) {
	b.t.Helper()
	action, err := json.Marshal(b.base + path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Navigate("about:blank"))
	b.turn(chromedp.Evaluate(fmt.Sprintf(`const f = document.createElement("form");
		f.method = "post"; f.action = %s; document.body.append(f); f.submit()`, action), nil))
}
