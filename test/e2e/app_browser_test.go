package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/test/e2e/live"
)

func withApp(o *twostep.Options) { o.Methods = append(o.Methods, totp.Method{}) }

const (
	byApp  = "Authenticator App\nEnter a code from your authenticator app"
	byMail = "Email\nSend a verification code to a•••@example.com"
)

// Somebody sets up an app by its QR code, in the dark and without JavaScript too, goes on to
// where they came from, and signs in with it. Nothing is mailed before mail is asked for.
func TestEnrollApp(t *testing.T) {
	t.Parallel()
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "", withApp)
			b := browse(t, s.URL, l)
			b.signIn(s)
			key := b.enrollApp(s, "/settings/sessions")
			b.signOut()
			s.Turn(time.Minute) // each code is good once
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.offers(byMail, byApp)
			b.fits()
			b.click(byApp)
			b.at("/signin/verify")
			b.fits()
			b.code(passcode(t, key, s.Now()))
			b.at("/settings")
			b.sees("Last used")
			b.signOut()
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.offers(byApp, byMail) // what this browser used last comes first
			if n := mailedCodes(s); n != 1 {
				t.Errorf("%d codes were mailed, not the one of the first sign-in alone", n)
			}
		})
	}
}

// A phone whose clock is wrong is told so, in minutes; the right code is taken then. At a
// sign-in nothing is said of codes to come, which a guesser could wait for.
func TestEnrollAppClock(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", withApp)
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.open("/settings/2step/app")
	key := b.scan()
	b.code(passcode(t, key, s.Now().Add(4*time.Minute)))
	b.sees("Your phone's clock is about 4 minutes ahead. Set it to automatic, then enter the next code.")
	b.code(passcode(t, key, s.Now()))
	b.at("/settings/2step/app/done")
	b.signOut()
	s.Turn(time.Hour)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.click(byApp)
	b.code(passcode(t, key, s.Now().Add(4*time.Minute)))
	b.sees(incorrectApp)
	b.code(passcode(t, key, s.Now().Add(-4*time.Minute)))
	b.sees("Your phone's clock is about 4 minutes behind. Set it to automatic, then enter the next code.")
	b.code(passcode(t, key, s.Now()))
	b.at("/settings")
}

// A code of the app that was not right is corrected on the same page, with the same QR code;
// only the second device asks for a name, and Remove takes it away again.
func TestEnrollAppAgain(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", withApp)
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.open("/settings/2step/app")
	key := b.scan()
	b.do(b.point("Copy"))
	b.sees("Copied")
	b.code(live.Wrong(passcode(t, key, s.Now())))
	b.sees(incorrectApp)
	b.open("/settings/2step/app")
	if again := b.scan(); again != key {
		t.Error("a wrong code changed the QR code")
	}
	b.code(passcode(t, key, s.Now()))
	b.at("/settings/2step/app/done")
	b.click("Continue")
	b.open("/settings/2step/app")
	b.enter("name", "Tablet")
	b.click("Set up an app")
	b.code(passcode(t, b.scan(), s.Now()))
	b.at("/settings/2step/app/done")
	b.open("/settings/2step/app")
	b.sees("Tablet")
	b.turn(chromedp.Click(`button[aria-label="Remove Tablet"]`, chromedp.ByQuery))
	b.at("/settings")
	b.open("/settings/2step/app")
	b.sees("Authenticator app")
	if value[bool](b, `document.body.innerText.includes("Tablet")`) {
		t.Error("Remove left the tablet")
	}
}

// enrollApp sets up an app and returns its key. back is where Continue is to lead to; "" is
// the settings.
func (b *tab) enrollApp(s *live.Server, back string) (key string) {
	b.t.Helper()
	path := "/settings/2step/app"
	if back != "" {
		path += "?" + url.Values{"return_to": {back}}.Encode()
	}
	b.open(path)
	if b.look.noScript {
		b.click("Set up an app")
	}
	key = b.scan()
	b.fits()
	if value[bool](b, `[...document.querySelectorAll("a, button")].some(b => b.innerText === "Continue")`) {
		b.t.Error("Continue is there before the code is verified")
	}
	b.code(passcode(b.t, key, s.Now()))
	b.at("/settings/2step/app/done")
	b.sees("Verified")
	b.fits()
	if value[bool](b, `document.body.innerHTML.includes("otpauth:")`) {
		b.t.Error("the key is shown although it was verified")
	}
	b.click("Continue")
	if back == "" {
		back = "/settings"
	}
	b.at(back)
	return key
}

// scan reads the QR code on the page as a phone does: from a picture of it.
func (b *tab) scan() (key string) {
	b.t.Helper()
	b.until(`document.querySelector("svg.qr") && document.readyState === "complete"`)
	var png []byte
	b.do(chromedp.Screenshot("svg.qr", &png, chromedp.ByQuery))
	picture := filepath.Join(b.t.TempDir(), "qr.png")
	if err := os.WriteFile(picture, png, 0o600); err != nil {
		b.t.Fatal(err)
	}
	link, err := url.Parse(output(b.t, "zbarimg", "-q", "--raw", picture))
	if err != nil {
		b.t.Fatal(err)
	}
	key = link.Query().Get("secret")
	if link.Scheme != "otpauth" || link.Path != "/Example:"+live.AnnaEmail || link.Query().Get("issuer") != "Example" {
		b.t.Errorf("the QR code says %q", link)
	}
	if typed := value[string](b, `secret.textContent.replace(/\s/g, "")`); typed != key {
		b.t.Errorf("to be typed: %q, to be scanned: %q", typed, key)
	}
	return key
}

// passcode is what an app with this key shows at a time.
func passcode(t testing.TB, key string, at time.Time) string {
	t.Helper()
	return output(t, "oathtool", "--totp", "-b", key, "-N", fmt.Sprintf("@%d", at.Unix()))
}

// output is what a program prints.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("there is no %s: run make test, it installs what the tests need", name)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// offers checks which ways the sign-in offers, in their order.
func (b *tab) offers(want ...string) {
	b.t.Helper()
	b.at("/signin/method")
	got := value[[]string](b, `[...document.querySelectorAll("form.choices button")].map(b => b.innerText.trim())`)
	if strings.Join(got, "|") != strings.Join(want, "|") {
		b.t.Errorf("offered %q, not %q", got, want)
	}
}

func (b *tab) signOut() {
	b.t.Helper()
	b.open("/settings")
	b.click("Sign out")
	b.at("/signin")
}

var codeAlone = regexp.MustCompile(`(?m)^\d{6}\r?$`)

// mailedCodes is how many codes were mailed so far.
func mailedCodes(s *live.Server) (n int) {
	for i := range s.Mail.Len() {
		if codeAlone.MatchString(s.Mail.Next(i)) {
			n++
		}
	}
	return n
}
