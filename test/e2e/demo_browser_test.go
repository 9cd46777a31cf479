package e2e

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

var (
	demoAccount = regexp.MustCompile(`^demo account: (\S+) (\S+)$`)
	demoListens = regexp.MustCompile(`^Twostep is listening on (\S+)$`)
	demoInbox   = regexp.MustCompile(`^  http://[^/]+(/inbox\?key=\S+) `)
)

// startDemo builds the program and runs the demo as somebody does who has just got it.
func startDemo(t *testing.T) (url, inboxPath, email, password string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "twostep")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/twostep")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := exec.Command(program, "serve", "--demo", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"))
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if the test dies
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { c.Process.Kill() }) // ends the reading below
	said, listens := bufio.NewScanner(stdout), ""
	for url == "" && said.Scan() {
		if m := demoAccount.FindStringSubmatch(said.Text()); m != nil {
			email, password = m[1], m[2]
		}
		if m := demoListens.FindStringSubmatch(said.Text()); m != nil {
			listens = m[1]
		}
		if m := demoInbox.FindStringSubmatch(said.Text()); m != nil {
			url, inboxPath = listens, m[1] // the last of the three
		}
	}
	late.Stop()
	read := make(chan struct{})
	go func() { io.Copy(io.Discard, stdout); close(read) }()
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		<-read
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	})
	if url == "" || password == "" {
		t.Fatal("the demo did not say where it is and who may come in")
	}
	return url, inboxPath, email, password
}

// From the settings of an app to the 2-Step page in a new window, and by Continue back to the
// settings of the app.
func TestBrowserDemo(t *testing.T) {
	t.Parallel()
	url, inboxPath, email, password := startDemo(t)
	b := browse(t, url, light)
	inbox := b.beside()
	inbox.open(inboxPath)
	b.open("/demo/settings")
	b.at("/signin")
	b.enter("email", email)
	b.enter("password", password)
	b.click("Sign in")
	b.at("/signin/verify")
	inbox.comes("Reload", "verification code")
	b.code(inbox.newest())
	b.at("/demo/settings")
	b.sees("Settings › Billing & Admin")
	b.fits()
	w := b.window("2-Step Auth App")
	w.at("/settings/2step/app")
	w.code(passcode(t, w.scanned(), time.Now()))
	w.at("/settings/2step/app/done")
	w.click("Continue")
	w.at("/demo/settings")
	b.at("/demo/settings")
	b.click("Invoices")
	b.at("/demo/")
	b.sees("Bakery Brown")
	b.sees(email)
	b.demoPages()
	b.open("/demo/")
	b.click("Sign out")
	b.at("/demo/")
	b.sees("Welcome to Demo Books")
}

// demoPages looks at every page of the app as it was signed in to, and at the inbox and the help of the demo, with each
// kind of screen.
func (b *tab) demoPages() {
	b.t.Helper()
	rules, err := os.ReadFile(filepath.Join("..", "..", "build", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.t.Fatal("there is no axe-core: run make test, it installs what the tests need")
	}
	for name, path := range map[string]string{
		"home": "/demo/", "claims": "/demo/claims", "settings": "/demo/settings", "pay": "/demo/pay/1",
		"setup": "/demo/pay/1/setup", "sorry": "/demo/sorry", "lost": "/demo/callback",
		"inbox": "/inbox", "help": "/help#safari",
	} {
		b.open(path)
		b.ready() // another window is in front
		for _, l := range []look{dark, phone, light} {
			b.do(l.put())
			b.fits()
			b.axe(string(rules), path+", "+l.name)
			b.shoot("demo-"+name, l)
		}
	}
}

// scanned is the key of the QR code on the page, whatever the site and the person are called.
func (b *tab) scanned() string {
	b.t.Helper()
	b.until(`document.querySelector("svg.qr") && document.readyState === "complete"`)
	return value[string](b, `secret.textContent.replace(/\s/g, "")`)
}

// window clicks on a link that opens a new window, and is that window.
func (b *tab) window(link string) *tab {
	b.t.Helper()
	opened := chromedp.WaitNewTarget(b.ctx, func(i *target.Info) bool { return i.Type == "page" })
	b.do(b.point(link))
	w := &tab{t: b.t, base: b.base, look: b.look, own: b.own}
	select {
	case id := <-opened:
		var closeTab func()
		w.ctx, closeTab = chromedp.NewContext(chromium.ctx, chromedp.WithTargetID(id))
		b.t.Cleanup(closeTab)
	case <-time.After(patience):
		b.t.Fatalf("%q opened no window\n%s", link, b.describe())
	}
	if err := chromedp.Run(w.ctx, w.look.put()); err != nil {
		b.t.Fatal(err)
	}
	return w
}
