package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/test/e2e/live"
)

// Somebody opens two apps in two tabs and types the password in both. The code in one tab completes the sign-in of both,
// and each tab ends in its own app, with a script or without.
func TestBrowserTwoTabsTwoApps(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			one, two := openShop(t), openShop(t)
			two.App.ID, two.App.Name = "night", "Night Shop"
			s := live.Start(t, "", one.at, two.at)
			one.connect(s)
			two.connect(s)
			first := browse(t, one.URL, l)
			second := first.beside().elsewhere(two.URL)
			first.open("/signin")
			second.open("/signin")
			second.sees("continue to Night Shop.")
			n := s.Mail.Len()
			for _, b := range []*tab{first, second} {
				b.ready()
				b.at("/signin")
				b.enter("email", live.AnnaEmail)
				b.enter("password", live.AnnaPassword)
				b.click("Sign in")
				b.at("/signin/verify")
			}
			first.sees("You'll continue to Corner Shop.")
			second.sees("You'll continue to Night Shop.")
			code := s.Code(n)
			first.ready()
			first.enter("code", "000000")
			if l.noScript {
				first.click("Verify")
			}
			first.sees("does not match")
			s.Turn(time.Minute)                                                  // a guess may come only so soon after the last one
			first.turn(chromedp.Navigate(value[string](first, "location.href"))) // as a browser restores a tab
			first.sees("You'll continue to Corner Shop.")
			first.ready()
			first.code(code)
			first.inShop(one, live.AnnaEmail)
			second.reload()
			second.inShop(two, live.AnnaEmail)
		})
	}
}

// openPopupApp opens an app without a server part, on another site: its page opens a popup for the sign-in, and gets the
// response from there.
func openPopupApp(t *testing.T) (base string) {
	t.Helper()
	mux := http.NewServeMux()
	page := func(path, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>App</title>`+body)
		})
	}
	page("/{$}", `<button type="button">Sign in</button><script>
const messages = [];
addEventListener("message", (event) => { if (event.origin === location.origin) messages.push(event.data); });
document.querySelector("button").onclick = () => { popup = open(location.hash.slice(1), "", "width=500,height=700"); };
var popup;
</script>`)
	page("/done", `<p>Done</p><script>opener?.postMessage(location.search, location.origin);</script>`)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

// The sign-in runs in a popup of an app on another site. The page that opened it keeps the window through both steps, and
// gets one response.
func TestBrowserPopup(t *testing.T) {
	t.Parallel()
	base := openPopupApp(t)
	s := live.Start(t, "", func(o *twostep.Options) {
		o.Apps = append(o.Apps, twostep.App{ID: "popup", Name: "Popup", RedirectURIs: []string{base + "/done"}})
	})
	ask := s.URL + "/oauth2/authorize?" + url.Values{
		"client_id": {"popup"}, "redirect_uri": {base + "/done"}, "response_type": {"code"}, "scope": {"openid"},
		"state": {"of-the-popup"}, "code_challenge": {grant.S256Challenge(strings.Repeat("v", 43))}, "code_challenge_method": {"S256"},
	}.Encode()
	b := browse(t, base, light)
	b.open("/#" + ask)
	opened := chromedp.WaitNewTarget(b.ctx, func(i *target.Info) bool { return i.OpenerID != "" })
	b.do(b.point("Sign in"))
	p := &tab{t: t, base: s.URL, look: light, own: b.own}
	var closeTab func()
	p.ctx, closeTab = chromedp.NewContext(b.ctx, chromedp.WithTargetID(<-opened))
	t.Cleanup(closeTab)
	if err := chromedp.Run(p.ctx, light.put()); err != nil {
		t.Fatal(err)
	}
	keeps := func() {
		t.Helper()
		if value[bool](b, "popup.closed") {
			t.Fatalf("the page that opened the popup has lost it\n%s", p.describe())
		}
	}
	p.at("/signin")
	keeps()
	n := s.Mail.Len()
	p.enter("email", live.AnnaEmail)
	p.enter("password", live.AnnaPassword)
	p.click("Sign in")
	p.at("/signin/verify")
	keeps()
	p.code(s.Code(n))
	p.at("/done")
	b.until("messages.length > 0")
	response := value[[]string](b, "messages")
	if got, err := url.ParseQuery(strings.TrimPrefix(response[0], "?")); err != nil || len(response) != 1 ||
		got.Get("state") != "of-the-popup" || got.Get("code") == "" {
		t.Errorf("the page got %q", response)
	}
	if !value[bool](p, "opener !== null") {
		t.Error("the popup has no opener")
	}
	// A page that no app has begun is cut off.
	b.open("/?again#" + s.URL + "/signin")
	opened = chromedp.WaitNewTarget(b.ctx, func(i *target.Info) bool { return i.OpenerID != "" })
	b.do(b.point("Sign in"))
	<-opened
	b.until("popup.closed")
}
