package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/test/e2e/live"
)

func withRecoveryCodes(o *twostep.Options) { o.Methods = append(o.Methods, recovery.New()) }

const byRecoveryCode = "Recovery code\nUse a recovery code"

var recoveryCodeText = regexp.MustCompile(`^[0-9A-Z]{5}-[0-9A-Z]{4}-[0-9A-Z]{4}$`)

// Somebody makes ten codes, downloads them, says so, never sees them again, and comes in with
// one of them, once.
func TestEnrollRecoveryCodes(t *testing.T) {
	t.Parallel()
	for _, l := range []look{dark, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "", withRecoveryCodes)
			b := browse(t, s.URL, l)
			b.signIn(s)
			codes := b.makeCodes()
			b.signOut()
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.at("/signin/verify") // recovery codes are never offered first
			b.click("Use another method")
			b.offers(byMail, byRecoveryCode)
			b.click(byRecoveryCode)
			b.recoveryCode(codes[3])
			b.at("/settings")
			b.sees("9 codes left")
			b.signOut()
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.click("Use another method")
			b.offers(byMail, byRecoveryCode)
			b.click(byRecoveryCode)
			b.recoveryCode(codes[3])
			b.sees("The verification code you have entered does not match our records. Check it and try again.")
			b.recoveryCode(strings.ToLower(strings.ReplaceAll(codes[4], "-", " ")))
			b.at("/settings")
			b.sees("8 codes left")
		})
	}
}

// recoveryCode enters a recovery code.
func (b *tab) recoveryCode(code string) {
	b.t.Helper()
	b.at("/signin/verify")
	b.enter("code", code)
	b.click("Verify")
}

// makeCodes makes recovery codes, as somebody does who keeps them in a file.
func (b *tab) makeCodes() []string {
	b.t.Helper()
	b.open("/settings/2step/recovery")
	if b.look.noScript {
		b.click("Create new codes")
	}
	b.sees("I have saved them")
	b.fits()
	codes := value[[]string](b, `[...document.querySelectorAll("#codes li")].map(li => li.innerText.trim())`)
	if len(codes) != 10 || slices.ContainsFunc(codes, func(code string) bool { return !recoveryCodeText.MatchString(code) }) {
		b.t.Fatalf("the codes: %q", codes)
	}
	status, file := b.fetch(value[string](b, `document.querySelector("a[download]").getAttribute("href")`))
	if status != http.StatusOK || !strings.Contains(file, strings.Join(codes, "\n")) {
		b.t.Errorf("the file: %d %q", status, file)
	}
	b.click("I have saved them")
	b.at("/settings/2step/recovery/done")
	b.click("Continue")
	b.at("/settings")
	b.sees("10 codes left")
	b.open("/settings/2step/recovery")
	b.sees("What you have now keeps working until you confirm the change.") // no new ones by themselves
	if value[bool](b, `Boolean(document.getElementById("codes"))`) {
		b.t.Error("the codes are shown again")
	}
	if status, _ := b.fetch("/settings/2step/recovery/codes.txt"); status == http.StatusOK {
		b.t.Error("the codes can still be downloaded")
	}
	return codes
}

// fetch asks for an address as the browser would, with its cookies.
func (b *tab) fetch(path string) (status int, text string) {
	b.t.Helper()
	var answer struct {
		Status int
		Text   string
	}
	b.do(chromedp.Evaluate(fmt.Sprintf(`fetch(%q, {redirect: "manual"}).then(async a => ({status: a.status, text: await a.text()}))`, path), &answer,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return answer.Status, answer.Text
}

// An old sign-in is confirmed with both steps before anything is changed, and leads to where
// the person wanted to go.
func TestBrowserStepUp(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "", withApp)
			b := browse(t, s.URL, l)
			b.signIn(s)
			s.Turn(11 * time.Minute)
			b.open("/settings/2step/app?return_to=/settings/sessions")
			b.at("/settings/confirm")
			b.sees("Confirm it's you")
			b.enter("password", "not it")
			b.click("Confirm")
			b.sees("isn't correct")
			n := s.Mail.Len()
			b.enter("password", live.AnnaPassword)
			b.click("Confirm")
			b.at("/signin/verify")
			b.code(s.Code(n))
			b.at("/settings/2step/app")
			if b.look.noScript {
				b.click("Set up an app")
			}
			b.code(passcode(t, b.scan(), s.Now()))
			b.at("/settings/2step/app/done")
			b.click("Continue")
			b.at("/settings/sessions")
		})
	}
}
