package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/emersion/go-smtp"

	"twostep.example/twostep/test/e2e/live"
)

const incorrect = "The verification code you have entered does not match our records. Please try again, or request a new code."

// incorrectApp is the advice where no code is sent.
const incorrectApp = "The verification code you have entered does not match our records. Enter the code that your app shows now."

// A wrong code is explained beside the empty field, which has the focus. The next code is checked at its
// 6th digit too, except for the same digits.
func TestBrowserWrongCode(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	code := b.password(s)
	b.sees("We check the code as soon as you enter the 6th digit.")
	b.code(live.Wrong(code))
	b.sees(incorrect)
	b.sees("We check the code as soon as you enter the 6th digit.")
	for what, expression := range map[string]string{
		"the title begins with Error":   `document.title.startsWith("Error: ")`,
		"the field is empty":            `code.value === ""`,
		"the field has the focus":       `document.activeElement === code`,
		"the field is said to be wrong": `code.getAttribute("aria-invalid") === "true"`,
		"the field says why": fmt.Sprintf(
			`code.getAttribute("aria-describedby").split(" ").some(id => document.getElementById(id).innerText === %q)`, incorrect),
	} {
		if !value[bool](b, expression) {
			t.Errorf("not true: %s", what)
		}
	}
	b.retype(code)
	b.at("/settings")
	if n := posts(s, "/signin/verify"); n != 2 {
		t.Errorf("%d codes were sent, want 2", n)
	}
}

// retype types the digits that were refused once more, which does not submit them, and then the right ones,
// which does.
func (b *tab) retype(code string) {
	b.t.Helper()
	b.press(live.Wrong(code))
	for range 6 {
		b.press(kb.Backspace)
	}
	b.enter("code", live.Wrong(code)[:3]+" "+live.Wrong(code)[3:]) // pasted
	if value[bool](b, `Boolean(code.form.dataset.sent)`) {
		b.t.Error("the digits that were refused are sent again")
	}
	for range 7 {
		b.press(kb.Backspace)
	}
	b.turn(chromedp.KeyEvent(code))
}

// While a code is being checked, nothing that is typed is sent.
func TestBrowserCodeSentOnce(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	code := b.password(s)
	b.do(chromedp.Evaluate(`code.form.addEventListener("submit", (e) => { e.preventDefault(); window.sent = (window.sent ?? 0) + 1 })`, nil))
	b.enter("code", live.Wrong(code))
	b.enter("code", code)
	b.enter("code", live.Wrong(code))
	if n := value[int](b, `window.sent`); n != 1 {
		t.Errorf("sent %d times, want once", n)
	}
}

// A person who comes back late gets a new code with one click, in the same sign-in or in a new one with the
// address filled in.
func TestBrowserLateCode(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "")
			b := browse(t, s.URL, l)
			late := b.password(s)
			s.Turn(16 * time.Minute)
			b.code(late)
			b.sees(incorrect)
			b.click("Send a new code")
			b.at("/signin/verify")
			late = s.Code(1)
			s.Turn(30 * time.Minute)
			b.code(late)
			b.sees("You'll need to enter your password again.")
			b.click("Send a new code")
			b.at("/signin")
			if v := value[string](b, `email.value + " " + document.activeElement.id`); v != live.AnnaEmail+" password" {
				t.Errorf("address and focus: %s", v)
			}
			b.enter("password", live.AnnaPassword)
			b.click("Sign in")
			b.code(s.Code(2))
			b.at("/settings")
		})
	}
}

// Something that is no code is said to be none, and costs no try.
func TestBrowserMalformedCode(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	code := b.password(s)
	for range 6 {
		b.enter("code", "12 34")
		b.click("Verify")
		b.sees("Enter the 6-digit code.")
	}
	b.code(code)
	b.at("/settings")
}

// The page says by itself that the mail waits, and then that it was handed over.
func TestBrowserDelivery(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	s.Mail.Refuse(busy)
	b := browse(t, s.URL, light)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.sees("Sending…")
	if value[bool](b, `Boolean(document.getElementById("check"))`) {
		t.Error("Check again stands there although the page checks by itself")
	}
	left := b.left
	s.Mail.Refuse(nil)
	b.sees("Sent at ")
	if b.left != left || b.focus() != "code" {
		t.Error("the page was loaded again, or the focus moved")
	}
}

var (
	busy    = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "come back later"}
	unknown = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
)

// A mail server that refuses is said to have refused, with what to do now.
func TestBrowserDeliveryRefused(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	s.Mail.Refuse(busy)
	b := browse(t, s.URL, light)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.sees("Sending…")
	s.Mail.Refuse(unknown)
	b.sees("The mail server refused the message.")
	b.reload()
	b.sees("The mail server refused the message.")
}

// Without JavaScript the page tells how it was when it was opened, and Check again asks anew.
func TestBrowserDeliveryPlain(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	s.Mail.Refuse(busy)
	b := browse(t, s.URL, plain)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.sees("Sending…")
	s.Mail.Refuse(nil)
	code := s.Code(0)
	b.comes("Check again", "Sent at ")
	b.code(code)
	b.at("/settings")
}

// The wait for a new code is counted down for the eye; when it is over the button works.
func TestBrowserNewCode(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.password(s)
	b.until(`document.getElementById("again-button").disabled`)
	first := value[string](b, `again.innerText`)
	if !strings.HasPrefix(first, "You can request a new code in ") {
		t.Errorf("the wait: %q", first)
	}
	b.until(fmt.Sprintf(`again.innerText !== %q`, first))
	s.Turn(31 * time.Second)
	b.reload()
	b.click("Send a new code")
	b.at("/signin/verify")
	code := s.Code(1)
	b.until(`document.getElementById("again-button").disabled`)
	b.code(code)
	b.at("/settings")
}

// The wait ends by itself on a page that stays open.
func TestBrowserNewCodeByItself(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.password(s)
	s.Turn(28 * time.Second)
	b.reload()
	b.sees("You can request a new code now.")
	s.Turn(2 * time.Second)
	b.click("Send a new code")
	s.Mail.Next(1)
}

// Without JavaScript the button can be pressed too early; the answer says the wait.
func TestBrowserNewCodeEarly(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, plain)
	code := b.password(s)
	b.click("Send a new code")
	b.sees("You can request a new code in ")
	if n := s.Mail.Len(); n != 1 {
		t.Errorf("%d mails", n)
	}
	b.code(code)
	b.at("/settings")
}

// A second tab, a reload, Back and the sign-in page all lead to the one code page, and
// none of them sends another mail.
func TestBrowserSamePage(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	code := b.password(s)
	b.reload()
	b.at("/signin/verify")
	b.back()
	b.at("/signin/verify")
	second := b.beside()
	for _, path := range []string{"/", "/signin", "/settings", "/signin/verify", "/signin/method"} {
		second.open(path)
		second.at("/signin/verify")
	}
	second.code(code)
	second.at("/settings")
	b.reload()
	b.at("/settings")
	if n := s.Mail.Len(); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// Back from the settings does not show a code page of a sign-in that is over.
func TestBrowserBackFromSettings(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.back()
	b.at("/settings")
}

// After five wrong codes there is nothing left but to start again, also with the right code.
func TestBrowserTooManyTries(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	code := b.password(s)
	for range 5 {
		s.Turn(15 * time.Second) // the waits are another test's
		b.code(live.Wrong(code))
		b.sees(incorrect)
	}
	b.code(code)
	b.sees("Too many failed attempts. Start again.")
	b.click("Start again")
	b.at("/signin")
	if v := value[string](b, `email.value`); v != live.AnnaEmail {
		t.Errorf("the address: %q", v)
	}
	b.signIn(s)
}

// Somebody who finds another person's sign-in on the screen can start their own.
func TestBrowserNotYou(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.password(s)
	b.click("Start again")
	b.at("/signin")
	b.open("/signin/verify")
	b.at("/signin")
	if v := value[string](b, `email.value`); v != "" {
		t.Errorf("the address: %q", v)
	}
}

// With the keyboard alone every control of both pages is reached in reading order and can
// be seen to have the focus; Enter in the code field verifies and sends no new code.
func TestBrowserKeyboard(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.open("/signin")
	b.tabs("email", "password", "Show password", "Forgot your password?", "Sign in", "Sign up", "Help with 2-Step verification")
	code := b.password(s)
	s.Turn(31 * time.Second)
	b.reload()
	b.ready()
	b.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(input.ModifierShift))) // the box stands before the field
	b.tabs("trust", "code", "verify", "again-button", "Check this browser", "Use a code from the help desk",
		"Start again")
	b.do(chromedp.Focus("#code", chromedp.ByQuery))
	b.code(live.Wrong(code))
	b.press(code[:5])
	b.do(input.InsertText("-"))
	b.turn(chromedp.KeyEvent(kb.Enter))
	b.sees("Enter the 6-digit code.")
	b.code(code)
	b.at("/settings")
	if n := s.Mail.Len(); n != 1 {
		t.Errorf("%d mails", n)
	}
	b.reload()
	b.press(kb.Tab)
	b.tabs("Email default\nanna@example.com", "Name\nAnna", "Email\nanna@example.com", "Password\nChange your password", "Trusted devices\nSee where you don't need a code, and why you were asked for one", "Connected apps\nSee which apps you've signed in to", "Sessions\nSee where you're signed in",
		"Security history\nSee sign-ins, failed attempts and changes", "Sign out", "Help with 2-Step verification")
}

// tabs goes through the page with the Tab key from what has the focus.
func (b *tab) tabs(want ...string) {
	b.t.Helper()
	for i, w := range want {
		if i > 0 {
			b.press(kb.Tab)
		}
		if got := b.focus(); got != w {
			b.t.Errorf("%s: stop %d is %q, not %q", value[string](b, "location.pathname"), i+1, got, w)
		}
		if ring := value[string](b, `(s => s.outlineStyle + " " + s.outlineWidth)(getComputedStyle(document.activeElement))`); ring != "solid 2px" {
			b.t.Errorf("%s: the focus on %q shows as %s", value[string](b, "location.pathname"), w, ring)
		}
	}
	if n := value[int](b, `[...document.querySelectorAll("a, button, input, select")].filter(e => e.checkVisibility() && !e.disabled).length`); n != len(want) {
		b.t.Errorf("%s: %d controls, %d stops", value[string](b, "location.pathname"), n, len(want))
	}
}

// An attacker has used up what may be guessed: the code page of a new browser says so and takes the
// longer code, also by opening the link of the mail in this browser.
func TestBrowserLongerCode(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	n := b.guessed(s)
	b.sees("need a longer code")
	var link string
	for ; link == ""; n++ {
		link = regexp.MustCompile(`https://\S+/signin/verify#[0-9A-Z]{13}`).FindString(s.Mail.Next(n))
	}
	_, code, _ := strings.Cut(link, "#")
	b.do(chromedp.Evaluate("location.hash = '"+code+"'", nil)) // the link, where its page is open already
	b.click("Verify")
	b.at("/settings")
}

// guessed takes the first step after attackers have used up what may be guessed, and says
// which mail is the first after that.
func (b *tab) guessed(s *live.Server) (mail int) {
	b.t.Helper()
	for range 4 {
		attacker := s.Browser()
		attacker.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword)
		for range 5 {
			attacker.Post("/signin/verify", "code", "000000")
		}
	}
	mail = s.Mail.Len()
	b.open("/signin")
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.at("/signin/verify")
	return mail
}
