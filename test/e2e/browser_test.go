package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep/test/e2e/live"
)

// chromium is the one browser of this test binary. It starts with the first tab.
var chromium struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func TestMain(m *testing.M) {
	code := live.Main(m)
	if chromium.end != nil {
		chromium.end()
	}
	os.Exit(code)
}

func startChromium() error {
	var err error
	chromium.ctx, chromium.end, err = runChromium("")
	return err
}

// runChromium runs a browser with these preferences (JSON; "": its own) and options, and says how it ends.
func runChromium(preferences string, more ...chromedp.ExecAllocatorOption) (ctx context.Context, end func(), err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, errors.New("there is no chromium: run make test, it installs what the tests need")
	}
	profile, err := os.MkdirTemp("", "twostep-browser-")
	if err != nil {
		return nil, nil, err
	}
	if preferences != "" {
		err = errors.Join(os.Mkdir(filepath.Join(profile, "Default"), 0o700), os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(preferences), 0o600))
		if err != nil {
			return nil, nil, err
		}
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		// A test must not depend on a machine's own languages.
		chromedp.Flag("lang", "en-US"), chromedp.Flag("accept-lang", "en-US"),
		// The certificate of a live server, and no other, is taken although nobody known signed it.
		chromedp.Flag("ignore-certificate-errors-spki-list", certificate()),
	}
	for _, quiet := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-default-apps", "disable-extensions", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(quiet, true))
	}
	running, stop := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, closeBrowser := chromedp.NewContext(running)
	end = func() { closeBrowser(); stop(); os.RemoveAll(profile) }
	return ctx, end, chromedp.Run(ctx)
}

// certificate names the key that every httptest server has.
func certificate() string {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	sum := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// look is how somebody's browser shows pages.
type look struct {
	name     string
	dark     bool
	narrow   bool // 320 px: a small phone, or a desktop at 400 %
	noScript bool
}

var (
	light = look{name: "light"}
	dark  = look{name: "dark", dark: true}
	phone = look{name: "phone", narrow: true}
	plain = look{name: "plain", noScript: true} // without JavaScript

	looks = []look{light, dark, phone, plain}
)

const phoneWidth = 320

// put makes a tab look so, also the page that is open in it.
func (l look) put() chromedp.Action {
	width, scheme := int64(1024), "light"
	if l.narrow {
		width = phoneWidth
	}
	if l.dark {
		scheme = "dark"
	}
	return chromedp.Tasks{
		emulation.SetDeviceMetricsOverride(width, 800, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"}, // colours are measured, not half-way to others
		}),
		emulation.SetScriptExecutionDisabled(l.noScript),
		emulation.SetFocusEmulationEnabled(true), // the windows of other tests take nothing away
	}
}

// browse opens a tab in a browser of its own, without any cookie, on the server at base.
func browse(t *testing.T, base string, l look) *tab {
	t.Helper()
	chromium.once.Do(func() { chromium.err = startChromium() })
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	whole := wholeBrowser()
	own, err := target.CreateBrowserContext().Do(whole)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.DisposeBrowserContext(own).Do(whole); err != nil {
			t.Error(err)
		}
	})
	return newTab(&tab{t: t, base: base, look: l, own: own}, true)
}

// beside opens a second tab of the same browser, with the same cookies.
func (b *tab) beside() *tab {
	b.t.Helper()
	return newTab(&tab{t: b.t, base: b.base, look: b.look, own: b.own}, false)
}

func wholeBrowser() context.Context {
	return cdp.WithExecutor(chromium.ctx, chromedp.FromContext(chromium.ctx).Browser)
}

// newTab opens b. The first tab of a browser needs a window, which chromedp would not ask for.
func newTab(b *tab, window bool) *tab {
	b.t.Helper()
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(b.own).WithNewWindow(window).Do(wholeBrowser())
	if err != nil {
		b.t.Fatal(err)
	}
	var closeTab func()
	b.ctx, closeTab = chromedp.NewContext(chromium.ctx, chromedp.WithTargetID(id))
	b.t.Cleanup(closeTab)
	chromedp.ListenTarget(b.ctx, b.listen)
	// The first Run ties the tab to its context, so it has no time limit.
	if err := chromedp.Run(b.ctx, b.look.put()); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		for _, c := range b.complained() {
			b.t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

// listen hears what a browser says about a page: broken security policies, exceptions,
// missing files.
func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// A page that says no has a status that says no; only what a page needs must be there.
		// And a page that is still open may ask a server that has ended with its story.
		if e.Entry.Source == log.SourceNetwork && (!isPart(e.Entry.URL) || strings.Contains(e.Entry.Text, "ERR_CONNECTION_REFUSED")) {
			return
		}
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			b.complain(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		b.complain("console." + string(e.Type))
	case *runtime.EventExceptionThrown:
		b.complain(e.ExceptionDetails.Error())
	}
}
