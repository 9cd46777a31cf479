package help

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/trust"
)

var now = time.Date(2026, 11, 5, 10, 2, 11, 0, time.UTC)

func newTestHandlers(methods ...factor.Method) *Handlers {
	clock := func() time.Time { return now }
	return &Handlers{
		Devices: &device.Devices{
			Now: clock, Policy: trust.Policy{TTL: trust.MaxTTL},
		}, Sessions: &session.Sessions{Now: clock}, Methods: methods,
		Domain: "https://signin.example.com",
		Pages:  &render.Renderer{Site: "Example & Söhne", Now: func() time.Time { return now }},
	}
}

// getPage requests a page with headers like "Cookie: probe=1".
func getPage(t *testing.T, s *Handlers, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	s.Pages.NewMux(s.Routes()...).ServeHTTP(w, r)
	if folder := os.Getenv("TWOSTEP_PAGES"); folder != "" && w.Code == 200 {
		name := strings.NewReplacer("/", "-", "?", "-", "=", "-", "%", "-").Replace(
			strings.TrimPrefix(target, "/"),
		) + ".html"
		if err := os.WriteFile(filepath.Join(folder, name), w.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// The page has the names and figures of this server, is in the language of the reader, and opens the section of their
// browser, before the other browsers.
func TestHelpHasServerNamesAndFigures(t *testing.T) {
	s := newTestHandlers(totp.Method{}, sms.Method{}, email.Method{CodeTTL: 10 * time.Minute})
	s.Devices.Policy.TTL = 7 * 24 * time.Hour
	body := getPage(
		t, s, "/help", "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
	).Body.String()
	for _, want := range []string{"valid for 10 mins", "Trust this device for 7 Days", "https://signin.example.com",
		"Example &amp; Söhne will send", "Table of contents", `<a href="#sms">`, "<details open>\n<summary>Firefox",
		"<ol>\n<li>Download an authenticator app"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Index(body, `id="firefox"`) > strings.Index(body, `id="chrome"`) || strings.Count(body, " open>") != 1 {
		t.Error("the browser of the reader is not the first")
	}
	if german := getPage(t, s, "/help", "Accept-Language: de").Body.String(); !strings.Contains(
		german,
		"ist 10 Minuten gültig",
	) ||
		strings.Contains(german, " open>") {
		t.Error("not in German, or an unknown browser has a section open")
	}
	small := newTestHandlers(email.Method{})
	small.Devices.Policy.TTL = 0
	if body := getPage(t, small, "/help").Body.String(); strings.Contains(body, "SMS") ||
		strings.Contains(body, "Authenticator") ||
		strings.Contains(body, "/help/trust") {
		t.Error("the page describes a method the server does not have")
	}
}

// The steps of a method are one list: a note is a part of the step before it and does not restart the numbers.
func TestStepsAreOneList(t *testing.T) {
	s := newTestHandlers(totp.Method{}, sms.Method{}, email.Method{})
	for _, menu := range []string{"", "Settings -> Billing & Admin"} {
		s.Menu = menu
		body := getPage(t, s, "/help").Body.String()
		_, body, _ = strings.Cut(body, `<h3 id="sms.set">`)
		body, _, _ = strings.Cut(body, "<h2")
		lists := strings.Count(body, "<ol>")
		_, list, _ := strings.Cut(body, "<ol>")
		list, _, _ = strings.Cut(list, "</ol>")
		if steps := strings.Count(list, "<li>"); lists != 1 || steps != 6 {
			t.Errorf("menu %q: %d lists, %d steps in the first, want one list of 6 steps\n%s", menu, lists, steps, body)
		}
		if !strings.Contains(list, `Enter this code in the field provided.<p class="quiet">Note: the code will be`) {
			t.Errorf("menu %q: the note is not below its step\n%s", menu, list)
		}
	}
}

// The page names the menu of the owner's app only where there is one, and leads to the settings of this server
// otherwise.
func TestHelpLeadsToMenuOrSettings(t *testing.T) {
	s := newTestHandlers(totp.Method{}, sms.Method{}, email.Method{})
	own := `Browse to <a href="/settings">Settings</a>`
	menu := "Browse to Settings → Billing &amp; Admin"
	body := getPage(t, s, "/help").Body.String()
	if strings.Count(body, own) != 2 || strings.Contains(body, "Billing") || strings.Contains(body, "new window") {
		t.Error("without a menu: the page does not lead to the settings, or names a menu or a new window")
	}
	s.Menu = "Settings -> Billing & Admin"
	body = getPage(t, s, "/help").Body.String()
	if strings.Count(body, menu) != 2 || strings.Count(body, "which will open in a new window") != 2 ||
		strings.Contains(body, own) {
		t.Error("with a menu: the page does not name it, or leads to the settings of the server")
	}
}

// A link to a browser's section leads to its steps inside the folded section. Browsers open a folded section when the
// target is inside it (HTML, "ancestor revealing algorithm"), but not when the section itself is the target.
func TestBrowserSectionIsLinkTarget(t *testing.T) {
	body := getPage(t, newTestHandlers(email.Method{}), "/help").Body.String()
	for _, id := range []string{"chrome", "edge", "firefox", "safari", "brave", "ios", "android", "private"} {
		before, _, found := strings.Cut(body, `<div id="`+id+`">`)
		if !found || strings.LastIndex(before, "<details>") < strings.LastIndex(before, "</details>") {
			t.Errorf("#%s is not inside a folded section", id)
		}
	}
}

// Each browser gets its own section.
func TestBrowserSectionByUserAgent(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1": "ios",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                            "android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15":                      "safari",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":              "edge",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 OPR/125.0.0.0":              "",
		"curl/8": "",
	} {
		if got := browserSection(trust.ParseBrowser(agent, "")); got != want {
			t.Errorf("%s: got %q, want %q", agent, got, want)
		}
	}
	if got := browserSection(trust.ParseBrowser("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", `"Brave";v="142"`)); got != "brave" {
		t.Errorf("Brave: %q", got)
	}
}

// The check-up distinguishes a browser that stores cookies from one that never did and one that has deleted them.
func TestCheckupDetectsCookieStorage(t *testing.T) {
	s := newTestHandlers(email.Method{})
	first := getPage(t, s, "/help/trust")
	second, err := url.Parse(first.Header().Get("Location"))
	cookie, _, _ := strings.Cut(first.Header().Get("Set-Cookie"), ";")
	if err != nil || first.Code != 303 || !strings.HasPrefix(second.String(), "/help/trust?set=") ||
		!strings.HasPrefix(cookie, "probe=") {
		t.Fatalf("%d %s %s", first.Code, second, cookie)
	}
	if body := getPage(t, s, second.String()).Body.String(); !strings.Contains(body, "isn&#39;t saving data") ||
		!strings.Contains(body, "no data saved") {
		t.Error("a browser without cookies: the page does not say so")
	}
	third := getPage(t, s, second.String(), "Cookie: "+cookie).Header().Get("Location")
	if !strings.HasPrefix(third, "/help/trust?kept=") {
		t.Fatal(third)
	}
	kept := getPage(t, s, third, "Cookie: "+cookie).Body.String()
	if !strings.Contains(kept, "saves data for this site") ||
		!strings.Contains(kept, "saving data since 5 Nov 2026, 10:02 UTC") {
		t.Error("a browser that stores cookies: the page does not say so")
	}
	now = now.Add(24 * time.Hour)
	for says, headers := range map[string][]string{
		"without the cookie": nil, "with a newer one": {"Cookie: probe=1794045000"},
		"with an invalid one": {"Cookie: probe=x"}, "with one from the future": {"Cookie: probe=1999999999"},
		"with two": {"Cookie: " + cookie + "; " + cookie},
	} {
		if body := getPage(t, s, third, headers...).Body.String(); !strings.Contains(
			body,
			"deletes its data when you close it",
		) {
			t.Errorf("%s: the page does not say that the browser deletes its data", says)
		}
	}
	if body := getPage(t, s, third, "Cookie: "+cookie).Body.String(); !strings.Contains(
		body,
		"saves data for this site",
	) {
		t.Error("stored for a day: the page does not say so")
	}
	s.Devices.Policy.TTL = 0
	if body := getPage(t, s, second.String()).Body.String(); !strings.Contains(body, "Block all cookies") {
		t.Error("without trust the steps to allow cookies are missing")
	}
	for _, odd := range []string{"?set=x", "?kept=-1", "?kept=99999999999999999999", "?kept=1099511627775",
		"?kept=", "?set=%00"} {
		if a := getPage(t, s, "/help/trust"+odd); a.Code != 303 {
			t.Errorf("%s: %d", odd, a.Code)
		}
	}
}

// The page has the hours of a site that trusts devices for less than a day.
func TestHelpSaysHours(t *testing.T) {
	s := newTestHandlers(email.Method{})
	rules, err := policy.New(policy.Policy{All: policy.Rule{Trust: 23 * time.Hour}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Devices.Rules = rules
	for language, want := range map[string]string{"en": "Trust this device for 23 Hours", "de": "23 Stunden lang vertrauen"} {
		body := getPage(t, s, "/help", "Accept-Language: "+language).Body.String()
		if !strings.Contains(body, want) || strings.Contains(body, "{Days}") {
			t.Errorf("%s: the page does not say %q", language, want)
		}
	}
}
