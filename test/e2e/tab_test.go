package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep/test/e2e/live"
)

// tab is one tab of a real browser.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of the server
	look look
	own  cdp.BrowserContextID // whose cookies it has
	left int                  // pages that were left

	mu         sync.Mutex
	complaints []string
}

// patience is for how long a page may take, on a machine that is busy with other tests.
const patience = 20 * time.Second

func (b *tab) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, what)
}

// complained is what the browser has complained about so far; it is asked for once.
func (b *tab) complained() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.complaints
	b.complaints = nil
	return all
}

// isPart tells whether an address is part of a page rather than a page.
func isPart(address string) bool {
	u, err := url.Parse(address)
	return err != nil || strings.HasPrefix(u.Path, "/assets/") || strings.HasSuffix(u.Path, "/status")
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.describe())
	}
}

// value is what an expression is in the page.
func value[T any](b *tab, expression string) (v T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &v))
	return v
}

// until waits for a condition, over any number of pages.
func (b *tab) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience) // a page that is on its way does not answer
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var is bool
		err := chromedp.Run(ctx, chromedp.Evaluate("Boolean("+condition+")", &is))
		if err == nil && is {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("never came true: %s (%v)\n%s", condition, err, b.describe())
		}
	}
}

// turn does what leads to another page, and waits until that one is there.
func (b *tab) turn(actions ...chromedp.Action) {
	b.t.Helper()
	b.left++
	var ok bool
	b.do(append([]chromedp.Action{chromedp.Evaluate(fmt.Sprintf("window.left = %d, true", b.left), &ok)}, actions...)...)
	b.until(fmt.Sprintf(`window.left !== %d && document.readyState === "complete"`, b.left))
}

// describe is what the person sees now.
func (b *tab) describe() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	var s string
	if err := chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + document.title + "\n" + document.body.innerText`, &s)); err != nil {
		return err.Error()
	}
	return s
}

// open goes to an address of the server.
func (b *tab) open(path string) {
	b.t.Helper()
	b.turn(chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, _, err := page.Navigate(b.base + path).Do(ctx)
		return err
	}))
}

func (b *tab) reload() { b.t.Helper(); b.turn(page.Reload()) }

// back presses the Back button of the browser.
func (b *tab) back() {
	b.t.Helper()
	b.turn(chromedp.ActionFunc(func(ctx context.Context) error {
		at, entries, err := page.GetNavigationHistory().Do(ctx)
		if err != nil {
			return err
		}
		return page.NavigateToHistoryEntry(entries[at-1].ID).Do(ctx)
	}))
}

// at waits until the tab shows this page.
func (b *tab) at(path string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, path))
}

// sees waits until the page says so.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
}

// ready waits until the field that asks for the focus has it: a page is there a moment before.
func (b *tab) ready() {
	b.t.Helper()
	b.do(page.BringToFront())
	b.until(`!document.querySelector("[autofocus]") || document.activeElement !== document.body`)
}

// comes clicks on a link, as one does without JavaScript, until the page says so.
func (b *tab) comes(link, text string) {
	b.t.Helper()
	for late := time.Now().Add(patience); !value[bool](b, fmt.Sprintf(`document.body.innerText.includes(%q)`, text)); b.click(link) {
		if time.Now().After(late) {
			b.t.Fatalf("%q never came\n%s", text, b.describe())
		}
	}
}

// focus is the id or the text of what has the focus.
func (b *tab) focus() string {
	b.t.Helper()
	b.ready()
	return value[string](b, `(e => e === document.body ? "" : e.id || e.name || e.getAttribute("aria-label") || e.innerText)(document.activeElement)`)
}

// point is the middle of the button or link with this text.
func (b *tab) point(text string) chromedp.Action {
	b.t.Helper()
	at := value[[]float64](b, fmt.Sprintf(`(() => {
		const e = [...document.querySelectorAll("button, a")].find(e => e.checkVisibility() && e.innerText.trim() === %q);
		if (!e || e.disabled) return [];
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, text))
	if len(at) != 2 {
		b.t.Fatalf("there is no %q to click on\n%s", text, b.describe())
	}
	return chromedp.MouseClickXY(at[0], at[1])
}

// click clicks on what leads to another page.
func (b *tab) click(text string) { b.t.Helper(); b.turn(b.point(text)) }

// enter puts text into a field at once, as a password manager or a paste does.
func (b *tab) enter(id, text string) {
	b.t.Helper()
	if !value[bool](b, fmt.Sprintf(`(e => e ? (e.focus(), e.select(), true) : false)(document.getElementById(%q))`, id)) {
		b.t.Fatalf("there is no field %q\n%s", id, b.describe())
	}
	b.do(input.InsertText(text))
}

// press presses keys one after the other, wherever the focus is.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.ready()
	b.do(chromedp.KeyEvent(keys))
}

// password takes the first step as Anna and returns the code that was mailed.
func (b *tab) password(s *live.Server) (code string) {
	b.t.Helper()
	n := s.Mail.Len()
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.at("/signin/verify")
	return s.Code(n)
}

func (b *tab) credentials(email, password string) {
	b.t.Helper()
	b.open("/signin")
	b.enter("email", email)
	b.enter("password", password)
	b.click("Sign in")
}

// signIn takes both steps as Anna.
func (b *tab) signIn(s *live.Server) {
	b.t.Helper()
	b.code(b.password(s))
	b.at("/settings")
}

// code enters a code. With a script the 6th digit is enough, unless the same digits were refused just before.
func (b *tab) code(code string) {
	b.t.Helper()
	if b.look.noScript || value[bool](b, fmt.Sprintf(`document.getElementById("code").ariaInvalid && navigation.activation.from.getState() === %q`, code)) {
		b.enter("code", code)
		b.click("Verify")
		return
	}
	b.turn(chromedp.Focus("#code", chromedp.ByQuery), input.InsertText(code))
}
