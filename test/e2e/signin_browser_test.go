package e2e

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"twostep.example/twostep"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// Somebody types address and password, reads the code in a mail and types it: the
// 6th digit signs in. On both databases.
func TestBrowserSignIn(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		s := live.Start(t, url)
		b := browse(t, s.URL, light)
		b.open("/")
		b.at("/signin")
		if f := b.focus(); f != "email" {
			t.Errorf("focus on %q, not on the email field", f)
		}
		b.press(live.AnnaEmail + kb.Tab + live.AnnaPassword)
		b.turn(chromedp.KeyEvent(kb.Enter))
		b.at("/signin/verify")
		b.sees("a•••@example.com")
		if f := b.focus(); f != "code" {
			t.Errorf("focus on %q, not on the code field", f)
		}
		code := s.Code(0)
		b.press(code[:5])
		b.turn(chromedp.KeyEvent(code[5:]))
		b.at("/settings")
		b.sees(live.AnnaEmail)
		if n := s.Mail.Len(); n != 1 {
			t.Errorf("%d mails", n)
		}
	})
}

// The same in the dark, on a small phone and without JavaScript, where Verify is clicked.
func TestBrowserSignInLooks(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	for _, l := range looks[1:] {
		t.Run(l.name, func(t *testing.T) {
			b := browse(t, s.URL, l)
			code := b.password(s)
			b.fits()
			b.code(code)
			b.at("/settings")
			b.fits()
		})
	}
}

// fits checks that nothing has to be scrolled sideways.
func (b *tab) fits() {
	b.t.Helper()
	if over := value[int](b, `document.scrollingElement.scrollWidth - innerWidth`); over > 0 {
		b.t.Errorf("%s is %d px too wide at %d px", b.describe(), over, value[int](b, "innerWidth"))
	}
}

// A code that was copied with a blank in the middle is pasted whole and checked at once.
func TestBrowserPaste(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	code := b.password(s)
	b.clipboard(code[:3] + " " + code[3:])
	b.ready()
	b.turn(input.DispatchKeyEvent(input.KeyRawDown).WithKey("v").WithCommands([]string{"paste"}))
	b.at("/settings")
}

// clipboard copies a text in another program.
func (b *tab) clipboard(text string) {
	b.t.Helper()
	mail := b.beside()
	mail.do(chromedp.Navigate("data:text/html,<textarea autofocus>"+text+"</textarea>"), chromedp.Focus("textarea", chromedp.ByQuery),
		input.DispatchKeyEvent(input.KeyRawDown).WithKey("a").WithCommands([]string{"selectAll"}),
		input.DispatchKeyEvent(input.KeyRawDown).WithKey("c").WithCommands([]string{"copy"}))
}

// A wrong password says nothing about which of the two was wrong, and keeps the address.
func TestBrowserWrongPassword(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.credentials(live.AnnaEmail, "correct horse batteries")
	b.sees("The email or password isn't correct.")
	if title := value[string](b, `document.title`); !strings.HasPrefix(title, "Error: ") {
		t.Errorf("title %q", title)
	}
	if v := value[[]string](b, `[email.value, password.value, document.activeElement.id]`); v[0] != live.AnnaEmail || v[1] != "" || v[2] != "password" {
		t.Errorf("email, password, focus: %q", v)
	}
	b.enter("password", live.AnnaPassword)
	b.click("Sign in")
	b.at("/signin/verify")
}

// slow sends codes by email, and does not answer before somebody has clicked often enough.
type slow struct {
	email.Method
	wait            func() // until the clicks of this page are done
	asked, verified atomic.Int32
}

func (m *slow) Challenge(ctx context.Context, ask factor.Request) (factor.Challenge, error) {
	m.asked.Add(1)
	m.wait()
	return m.Method.Challenge(ctx, ask)
}

func (m *slow) Verify(ctx context.Context, f *factor.Factor, answer factor.Response) error {
	m.verified.Add(1)
	m.wait()
	return m.Method.Verify(ctx, f, answer)
}

// impatient clicks on a button, twice again while the server works, and then tells the server that it is
// done. The clicks come from the page: a debugger has to wait for the answer.
const impatient = `(button => {
	let clicks = 0;
	const again = () => { button.click(); ++clicks < 3 ? setTimeout(again, 100) : fetch("/clicked") };
	again();
})(document.querySelector("button[type=submit]"))`

// Impatient clicks sign in once, with one mail, and cost one try of a wrong code.
func TestBrowserImpatient(t *testing.T) {
	t.Parallel()
	var m slow
	s := live.Start(t, "", func(o *twostep.Options) { o.Methods = []factor.Method{&m} })
	var pages atomic.Int32
	m.wait = func() {
		look, late := time.NewTicker(5*time.Millisecond), time.After(patience)
		defer look.Stop()
		for strings.Count(s.Log.String(), `"path":"/clicked"`) < int(pages.Load()) {
			select {
			case <-look.C:
			case <-late:
				return // and the counts are wrong
			}
		}
	}
	b := browse(t, s.URL, light)
	b.open("/signin")
	b.enter("email", live.AnnaEmail)
	b.enter("password", live.AnnaPassword)
	pages.Store(1)
	b.turn(chromedp.Evaluate(impatient, nil))
	b.at("/signin/verify")
	code := live.Wrong(s.Code(0))
	b.do(chromedp.Evaluate(`code.value = "`+code+`"`, nil)) // the script does not hear that
	pages.Store(2)
	b.turn(chromedp.Evaluate(impatient, nil))
	b.sees(incorrect)
	if asked, verified, mails := m.asked.Load(), m.verified.Load(), s.Mail.Len(); asked != 1 || verified != 1 || mails != 1 {
		t.Errorf("asked %d times, verified %d times, %d mails", asked, verified, mails)
	}
}

// posts is how many forms were sent to a path so far.
func posts(s *live.Server, path string) int {
	return strings.Count(s.Log.String(), `"method":"POST","path":"`+path+`",`)
}

// What was typed can be looked at, and is hidden again before it is sent.
func TestBrowserShowPassword(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.open("/signin")
	b.enter("password", live.AnnaPassword)
	b.do(b.point("Show"))
	b.until(`password.type === "text"`)
	b.do(b.point("Hide"))
	b.until(`password.type === "password"`)
	b.do(b.point("Show"))
	b.until(`password.type === "text"`)
	b.do(chromedp.Evaluate(`document.forms[0].addEventListener("submit", e => { e.preventDefault(); window.sent = password.type; })`, nil))
	b.do(b.point("Sign in"))
	b.until(`window.sent === "password"`)
}

// The harness itself: a page that broke its own policy would fail its test.
func TestBrowserHearsViolations(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.open("/signin")
	b.do(chromedp.Evaluate(`document.body.append(Object.assign(new Image, {src: "https://elsewhere.invalid/"}))`, nil))
	var heard []string
	for deadline := time.Now().Add(patience); len(heard) == 0 && time.Now().Before(deadline); heard = b.complained() {
		b.until(`document.images.length === 1`)
	}
	if len(heard) != 1 || !strings.Contains(heard[0], "Content Security Policy") {
		t.Errorf("heard %q", heard)
	}
}
