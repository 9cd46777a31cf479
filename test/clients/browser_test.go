package clients

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep/test/e2e/live"
)

// chromium is the one browser of this test binary. It starts with the first tab.
var chromium browser

type browser struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func (c *browser) start() error {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return errors.New("there is no chromium: run make test, it installs what the tests need")
	}
	profile, err := os.MkdirTemp("", "twostep-browser-")
	if err != nil {
		return err
	}
	server := httptest.NewTLSServer(nil)
	server.Close()
	front, err := x509.ParseCertificate(common.front.Certificate[0])
	if err != nil {
		return err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("lang", "en-US"), chromedp.Flag("accept-lang", "en-US"),
		// The certificates of the tests, and no other, are taken although nobody known signed them.
		chromedp.Flag("ignore-certificate-errors-spki-list", keyHash(server.Certificate())+","+keyHash(front)),
	}
	for _, quiet := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-default-apps",
		"disable-extensions", "disable-dev-shm-usage",
	} {
		options = append(options, chromedp.Flag(quiet, true))
	}
	running, stop := chromedp.NewExecAllocator(context.Background(), options...)
	var leave func()
	c.ctx, leave = chromedp.NewContext(running)
	c.end = func() { leave(); stop(); os.RemoveAll(profile) }
	return chromedp.Run(c.ctx)
}

// keyHash names the key of a certificate as Chromium does.
func keyHash(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (c *browser) stop() {
	if c.end != nil {
		c.end()
	}
}

// tab is Anna with a browser that has JavaScript.
type tab struct {
	s   *site
	t   *testing.T
	ctx context.Context
}

// tab opens one in a browser that has no cookies.
func (s *site) tab() *tab {
	s.t.Helper()
	chromium.once.Do(func() { chromium.err = chromium.start() })
	if chromium.err != nil {
		s.t.Fatal(chromium.err)
	}
	whole := cdp.WithExecutor(chromium.ctx, chromedp.FromContext(chromium.ctx).Browser)
	own, err := target.CreateBrowserContext().Do(whole)
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(whole)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &tab{s: s, t: s.t}
	var said sync.Mutex
	var complaints strings.Builder // what the browser says about the page, for a test that fails
	var leave func()
	b.ctx, leave = chromedp.NewContext(chromium.ctx, chromedp.WithTargetID(id))
	chromedp.ListenTarget(b.ctx, func(event any) {
		said.Lock()
		defer said.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			fmt.Fprintln(&complaints, e.Entry.Source, e.Entry.Text, e.Entry.URL)
		case *runtime.EventExceptionThrown:
			fmt.Fprintln(&complaints, e.ExceptionDetails.Error())
		}
	})
	s.t.Cleanup(func() {
		if said.Lock(); s.t.Failed() {
			s.t.Logf("the browser says:\n%s", complaints.String())
		}
		said.Unlock()
		leave()
		if err := target.DisposeBrowserContext(own).Do(whole); err != nil {
			s.t.Error(err)
		}
	})
	if err := chromedp.Run(b.ctx); err != nil { // ties the tab to its context, so it has no time limit
		s.t.Fatal(err)
	}
	return b
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s\n%s", err, b.describe(), b.s.warnings())
	}
}

// open goes to an address.
func (b *tab) open(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

// until waits for a condition in JavaScript, over any number of pages.
func (b *tab) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience) // a page that is on its way does not answer
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
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
			b.t.Fatalf("never came true: %s (%v)\n%s\n%s", condition, err, b.describe(), b.s.warnings())
		}
	}
}

// sees waits until the page contains the text.
func (b *tab) sees(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
}

// value is what an expression is in the page. A promise is awaited.
func (b *tab) value(expression string) (v string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	return v
}

// click clicks on the button or link with this id.
func (b *tab) click(id string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.getElementById(%q)`, id))
	b.do(chromedp.Evaluate(fmt.Sprintf(`document.getElementById(%q).click()`, id), nil))
}

// enter puts text into a field.
func (b *tab) enter(id, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.getElementById(%q) && document.readyState === "complete"`, id))
	b.do(chromedp.Focus("#"+id, chromedp.ByQuery), input.InsertText(text))
}

// signIn takes both steps, from the sign-in page to which the app leads.
func (b *tab) signIn() {
	b.t.Helper()
	b.until(`location.pathname === "/signin"`)
	n := b.s.Mail.Len()
	b.enter("email", live.AnnaEmail)
	b.enter("password", live.AnnaPassword)
	b.do(chromedp.KeyEvent("\r"))
	b.until(`location.pathname === "/signin/verify"`)
	b.enter("code", b.s.Code(n)) // the script sends the form with the 6th digit
}

// popup clicks on the button with this id, which opens a window, and returns the tab of that window.
func (b *tab) popup(id string) *tab {
	b.t.Helper()
	opened := chromedp.WaitNewTarget(b.ctx, func(*target.Info) bool { return true })
	point := fmt.Sprintf(`(r => [r.x + r.width / 2, r.y + r.height / 2])(document.getElementById(%q).getBoundingClientRect())`, id)
	var at []float64
	b.do(chromedp.Evaluate(point, &at))
	b.do(chromedp.MouseClickXY(at[0], at[1])) // a browser blocks a window that no click of a person opens
	other := &tab{s: b.s, t: b.t}
	select {
	case window := <-opened:
		var leave func()
		other.ctx, leave = chromedp.NewContext(b.ctx, chromedp.WithTargetID(window))
		b.t.Cleanup(leave)
	case <-time.After(patience):
		b.t.Fatalf("no window has opened\n%s", b.describe())
	}
	if err := chromedp.Run(other.ctx); err != nil { // ties the tab to its context, so it has no time limit
		b.t.Fatal(err)
	}
	return other
}

// describe is what the person sees now.
func (b *tab) describe() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	var text string
	err := chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + document.title + "\n" + document.body.innerText`, &text))
	if err != nil {
		return err.Error()
	}
	return text
}
