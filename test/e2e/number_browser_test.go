package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/test/e2e/kannel"
	"twostep.example/twostep/test/e2e/live"
)

// withTexts sends text messages through a gateway.
func withTexts(k *kannel.Kannel) live.Setup {
	return func(o *twostep.Options) {
		o.Methods = append(o.Methods, sms.Method{})
		o.SMSGateways = []delivery.Gateway{delivery.Kannel(k.URL, k.User, k.Password, "Example")}
	}
}

const byText = "SMS\nSend a text message to •••• 678"

// Somebody in Germany types their number as they always do, reads the code on their phone and
// signs in with a text message from then on. A real gateway carries it, and says when it
// has arrived.
func TestEnrollNumber(t *testing.T) {
	t.Parallel()
	k := kannel.Start(t)
	for i, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			s := live.Start(t, "", withTexts(k))
			b := browse(t, s.URL, l)
			b.speaks("en-DE")
			b.signIn(s)
			b.enrollNumber("0171 2345678", func() string { return texted(t, k, s, 2*i) })
			b.signOut()
			s.Turn(time.Minute)
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			b.offers(byMail, byText)
			b.click(byText)
			code := texted(t, k, s, 2*i+1)
			b.fits()
			b.delivered("/signin/verify")
			b.code(code)
			b.at("/settings")
			if n := mailedCodes(s); n != 1 {
				t.Errorf("%d codes were mailed, not the one of the first sign-in alone", n)
			}
		})
	}
}

// enrollNumber types a number, and the code that comes.
func (b *tab) enrollNumber(number string, code func() string) {
	b.t.Helper()
	b.open("/settings/2step/sms")
	b.fits()
	if at := value[string](b, `country.selectedOptions[0].innerText`); at != "Germany (+49)" {
		b.t.Errorf("the country is %q", at)
	}
	if f := b.focus(); f != "number" {
		b.t.Errorf("focus on %q, not on the number", f)
	}
	b.enter("number", number)
	b.click("Send Code")
	b.sees("+49 171 2345678")
	if n := value[int](b, `document.querySelectorAll("#number, #country").length`); n != 0 {
		b.t.Error("the number can be edited while its code is on the way")
	}
	b.fits()
	b.code(code())
	b.at("/settings/2step/sms/done")
	b.sees("Verified")
	b.click("Continue")
	b.at("/settings")
	b.sees("+49 171 2345678")
}

// A typing error is found before the code comes: Change leads back to the form, and the code
// that was sent to the wrong number is worth nothing.
func TestEnrollNumberChange(t *testing.T) {
	t.Parallel()
	k := kannel.Start(t)
	s := live.Start(t, "", withTexts(k))
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.speaks("de-DE")
	b.open("/settings/2step/sms")
	b.enter("number", "030 123456")
	b.click("Code senden")
	b.sees("Stimmt das? +49 30 123456 sieht wie eine Festnetznummer aus.")
	b.enter("number", "0171 2345679")
	b.click("Code senden")
	b.sees("+49 171 2345679")
	stale := texted(t, k, s, 0)
	b.click("Ändern")
	b.enter("number", "0171 2345678")
	s.Turn(time.Minute)
	b.click("Code senden")
	b.sees("+49 171 2345678")
	code := texted(t, k, s, 1)
	b.code(stale)
	b.until(`document.getElementById("code").hasAttribute("aria-invalid")`)
	b.code(code)
	b.at("/settings/2step/sms/done")
}

// delivered opens the page of a code until it has heard that the message has arrived.
func (b *tab) delivered(path string) {
	b.t.Helper()
	for late := time.Now().Add(patience); !value[bool](b, `delivery.dataset.state === "delivered"`); b.open(path) {
		if time.Now().After(late) {
			b.t.Fatalf("no receipt came\n%s", b.describe())
		}
	}
}

// speaks makes the browser ask for these languages.
func (b *tab) speaks(languages string) {
	b.t.Helper()
	agent := value[string](b, "navigator.userAgent")
	b.do(emulation.SetUserAgentOverride(agent).WithAcceptLanguage(languages))
}

var textedCode = regexp.MustCompile(`^(\d{6}) `)

// texted is the code in the n-th text message. Its last line makes browsers fill it in here and
// nowhere else.
func texted(t *testing.T, k *kannel.Kannel, s *live.Server, n int) (code string) {
	t.Helper()
	text := k.Next(n)
	m := textedCode.FindStringSubmatch(text.Text)
	host, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	if m == nil || !strings.HasSuffix(text.Text, "\n@"+host+" #"+m[1]) || !strings.HasPrefix(text.To, "+49171234567") {
		t.Fatalf("the text message to %s says %q", text.To, text.Text)
	}
	return m[1]
}
