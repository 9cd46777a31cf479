package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"

	"twostep.example/twostep/test/e2e/live"
)

// Somebody opens a page of an app behind a proxy, signs in, and is on that page; and once signed
// out, out there too. The browser keeps the host's cookie and follows the way back over both sites.
func TestBrowserBehindProxy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx", "haproxy", "caddy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var at string
			g := guard(t, func(e ends) string { at = proxies[name](e); return at })
			ctx, end, err := runChromium("", chromedp.Flag("host-resolver-rules", "MAP "+wiki+":443 "+at), chromedp.Flag("ignore-certificate-errors", true)) // the wiki's is this test's
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(end)
			b := &tab{t: t, base: "https://" + wiki, look: light, ctx: ctx}
			chromedp.ListenTarget(ctx, b.listen)
			b.do(light.put())
			b.open("/pages/one?edit=1")
			b.sees("Sign in to Example to continue to Wiki.")
			b.steps(g.s)
			b.sees(`"URI":"/pages/one?edit=1"`)
			b.sees(live.AnnaEmail)
			if at := value[string](b, `location.origin`); at != b.base {
				t.Errorf("the page is at %s", at)
			}
			b.open("/other")
			b.sees(`"URI":"/other"`)

			b.base = g.s.URL
			b.open("/settings")
			b.click("Sign out")
			b.at("/signin")
			b.base = "https://" + wiki
			b.open("/other")
			b.at("/signin")
		})
	}
}
