package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep/test/e2e/live"
)

// The page of a new app opens at its top, in the usual windows and on a phone, in the light and in the dark.
// A picture of what is in view has the whole QR code; on a laptop it has the field and Verify too.
func TestEnrollAppViewport(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", withApp)
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.open("/settings/2step/app")
	b.until(`document.querySelector("svg.qr")`)
	for _, size := range []struct {
		width, height int64
		phone         bool
	}{{1366, 657, false}, {1280, 720, false}, {1440, 789, false}, {390, 844, true}} {
		for _, scheme := range []string{"light", "dark"} {
			where := fmt.Sprintf("%dx%d %s", size.width, size.height, scheme)
			b.do(emulation.SetDeviceMetricsOverride(size.width, size.height, 1, size.phone),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: scheme},
				}))
			b.open("/settings/2step/app")
			b.until(`document.querySelector("svg.qr") && document.readyState === "complete"`)
			if y := value[float64](b, `scrollY`); y != 0 {
				t.Errorf("%s: scrolled by %v", where, y)
			}
			b.inView(where, "h1", ".qr")
			if !size.phone {
				b.inView(where, "#secret", "#code", "#verify")
				if focus := b.focus(); focus != "code" {
					t.Errorf("%s: the focus is on %q", where, focus)
				}
			}
			var png []byte
			b.do(chromedp.CaptureScreenshot(&png))
			picture := filepath.Join(t.TempDir(), "view.png")
			if err := os.WriteFile(picture, png, 0o600); err != nil {
				t.Fatal(err)
			}
			link := value[string](b, `document.querySelector("a[href^='otpauth:']").getAttribute("href")`)
			if read := output(t, "zbarimg", "-q", "--raw", picture); read != link {
				t.Errorf("%s: the picture says %q, want %q", where, read, link)
			}
			if dir := os.Getenv("TWOSTEP_SHOTS"); dir != "" {
				name := fmt.Sprintf("app-view-%dx%d-%s.png", size.width, size.height, scheme)
				if err := os.WriteFile(filepath.Join(dir, name), png, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// inView checks that the whole of some elements is in the viewport.
func (b *tab) inView(where string, selectors ...string) {
	b.t.Helper()
	for _, selector := range selectors {
		if !value[bool](b, fmt.Sprintf(`(r => r.top >= 0 && r.bottom <= innerHeight && r.left >= 0 && r.right <= innerWidth)
			(document.querySelector(%q).getBoundingClientRect())`, selector)) {
			b.t.Errorf("%s: %s is not in view", where, selector)
		}
	}
}

// After a wrong code the right one is checked at its 6th digit, and the wrong one is not sent again.
func TestEnrollAppWrongCode(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", withApp)
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.open("/settings/2step/app")
	code := passcode(t, b.scan(), s.Now())
	b.code(live.Wrong(code))
	b.sees(incorrectApp)
	b.sees("or scan the QR code again.")
	if focus := b.focus(); focus != "code" {
		t.Errorf("the focus is on %q", focus)
	}
	b.retype(code)
	b.at("/settings/2step/app/done")
	if n := posts(s, "/settings/2step/app/verify"); n != 2 {
		t.Errorf("%d codes were sent, want 2", n)
	}
}
