package web

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/render"
)

// newTestHandlersAndMux returns handlers without services behind them, for tests of what is refused before a service is
// called. Every request has the key of the inbox.
func newTestHandlersAndMux() (*Handlers, http.Handler) {
	s := newTestHandlers()
	s.Pages.Secure = true
	s.Inbox, s.InboxKey = &delivery.Inbox{}, "key-of-the-inbox"
	s.AdvanceClock = func(time.Duration) {}
	h := s.Pages.Middleware(s.Pages.NewMux(s.Routes()...))
	return s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "__Host-inbox", Value: s.InboxKey})
		h.ServeHTTP(w, r)
	})
}

const urlencoded = "application/x-www-form-urlencoded"

func sendRequest(h http.Handler, method, target, kind, body string, cookies ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("Cookie", strings.Join(cookies, "; "))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every route refuses a request without cookies, and the cookie of an attempt opens no route that requires a session,
// nor the other way round.
func TestRoutesRequireTheirAccess(t *testing.T) {
	s, h := newTestHandlersAndMux()
	for _, route := range s.Routes() {
		method, target, _ := strings.Cut(route.Pattern, " ")
		if route.Access == render.AccessPublic {
			continue
		}
		wrong := "__Host-signin=abc"
		if route.Access == render.AccessAttempt {
			wrong = "__Host-session=abc"
		}
		for _, cookies := range []string{"", wrong, "session=abc; signin=abc",
			"__Host-session=a; __Host-session=b; __Host-signin=a; __Host-signin=b"} {
			w := sendRequest(h, method, target, urlencoded, "", cookies)
			if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/signin") ||
				strings.HasPrefix(w.Header().Get("Location"), "/signin/") {
				t.Errorf("%s with %q: %d %s", route.Pattern, cookies, w.Code, w.Header().Get("Location"))
			}
		}
	}
}

// Every response has the security headers, errors included, and no route answers another method.
func TestEveryRouteSendsHeadersAndRefusesOtherMethods(t *testing.T) {
	s, h := newTestHandlersAndMux()
	methods := map[string][]string{}
	for _, route := range s.Routes() {
		method, target, _ := strings.Cut(route.Pattern, " ")
		target = strings.NewReplacer("{id}", "x", "{path}", "app").Replace(strings.TrimSuffix(target, "{$}"))
		methods[target] = append(methods[target], method)
		w := sendRequest(h, method, target, urlencoded, "")
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options",
			"Referrer-Policy", "Cross-Origin-Opener-Policy",
			"Cross-Origin-Resource-Policy", "Permissions-Policy", "Strict-Transport-Security", "Cache-Control", "Vary"} {
			if len(w.Header()[name]) != 1 {
				t.Errorf("%s: %s = %q", route.Pattern, name, w.Header()[name])
			}
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", route.Pattern)
		}
	}
	for target, known := range methods {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GET", "HEAD", "POST"} {
			allowed := strings.Contains(strings.Join(known, " "), method) ||
				method == "HEAD" && strings.Contains(strings.Join(known, " "), "GET")
			if w := sendRequest(h, method, target, urlencoded, ""); !allowed && target != "/inbox/clock" &&
				(w.Code != 405 || w.Header().Get("Allow") == "") {
				t.Errorf("%s %s: %d, Allow %q", method, target, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

// A form that no page sends is refused before a service is called.
func TestUnexpectedFormsAreRefused(t *testing.T) {
	_, h := newTestHandlersAndMux()
	for _, target := range []string{"/signin", "/signin/cancel", "/forgot", "/reset", "/signup", "/join", "/address",
		"/signout", "/inbox/clock"} {
		for _, c := range []struct {
			kind, body string
			status     int
		}{
			{urlencoded, "code%5B%5D=1", 400},
			{urlencoded, "email=a&email=b", 400},
			{urlencoded, "surprise=1", 400},
			{"application/json", "{}", 415},
			{"text/plain", "email=a", 415},
			{urlencoded, strings.Repeat("a", 1<<20), 413},
		} {
			if w := sendRequest(h, "POST", target, c.kind, c.body); w.Code != c.status {
				t.Errorf("POST %s %.20s: %d, want %d", target, c.body, w.Code, c.status)
			}
		}
	}
}

func TestPublicPagesStatusAndRedirect(t *testing.T) {
	_, h := newTestHandlersAndMux()
	for _, c := range []struct {
		target, location string
		status           int
	}{
		{"/", "/settings", 303},
		{"/.well-known/change-password", "/settings/password", 303},
		{"/robots.txt", "", 200},
		{"/forgot", "", 200},
		{"/forgot/sent", "", 200},
		{"/signout/done", "", 200},
		{"/reset?token=SECRET", "", 200},
		{"/reset/done", "", 200},
		{"/join", "", 200},
		{"/join/done", "", 200},
		{"/address?token=SECRET", "", 200},
		{"/address/done", "", 200},
		{"/signup/sent", "", 200},
		{"/settings", "/signin?return_to=%2Fsettings", 303},
		{"/settings/x.css", "", 404},
		{"/signin/status", "", 200},
		{"/login", "", 404},
	} {
		w := sendRequest(h, "GET", c.target, "", "")
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s: %d %q, want %d %q", c.target, w.Code, w.Header().Get("Location"), c.status, c.location)
		}
		if strings.Contains(w.Body.String(), "SECRET") {
			t.Errorf("%s: the response has the query", c.target)
		}
	}
}

// Signing out without a session works.
func TestSignOutWithoutSession(t *testing.T) {
	_, h := newTestHandlersAndMux()
	w := sendRequest(h, "POST", "/signout", urlencoded, "")
	if w.Code != 303 || w.Header().Get("Location") != "/signin" || w.Header().Get("Clear-Site-Data") != `"cache"` ||
		!strings.Contains(w.Header().Get("Set-Cookie"), "__Host-session=; Path=/; Max-Age=0") {
		t.Error(w.Code, w.Header())
	}
}

func TestEmptyFieldsAreReported(t *testing.T) {
	_, h := newTestHandlersAndMux()
	for target, want := range map[string]string{
		"/forgot":  "Enter your email address.",
		"/reset":   "Open the link in our email again, or paste the code from the email.",
		"/join":    "Open the link in our email again, or paste the code from the email.",
		"/address": "Open the link in our email again, or paste the code from the email.",
	} {
		if w := sendRequest(h, "POST", target, urlencoded, ""); w.Code != 422 ||
			!strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

func TestInboxOnlyInLocalMode(t *testing.T) {
	s := newTestHandlers()
	h := s.Pages.Middleware(s.Pages.NewMux(s.Routes()...))
	for _, target := range []string{"/inbox", "/inbox/one", "/inbox/one/text"} {
		if w := sendRequest(h, "GET", target, "", ""); w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if w := sendRequest(h, "POST", "/inbox/clock", urlencoded, "minutes=1"); w.Code != 404 {
		t.Error(w.Code)
	}
}

func TestReturnTargetRejectsOtherSites(t *testing.T) {
	home := func(sent string, addresses ...string) string {
		r := requestInLanguage("en")
		r.URL.RawQuery = url.Values{"return_to": addresses}.Encode()
		form := render.FormValues{"return_to": sent}
		_, g, err := newTestHandlers().parseReturnTarget(httptest.NewRecorder(), r, form)
		if err != nil {
			t.Fatal(err)
		}
		return g.urlOrSettings()
	}
	for _, good := range []string{home("", "/a"), home("/a"), home("/a", "/a")} {
		if good != "/a" {
			t.Errorf("a local path leads to %q", good)
		}
	}
	long := "/" + strings.Repeat("a", 2000)
	for _, bad := range [][]string{{""}, {"", ""}, {"", "//evil"}, {"", `/\evil`}, {"", "/a", "/b"}, {"", "/a", "/a"},
		{"", "https://evil"}, {"//evil"}, {"/b", "/a"}, {"//evil", "/a"}, {long}, {"", long}} {
		if got := home(bad[0], bad[1:]...); got != "/settings" {
			t.Errorf("%q leads to %q", bad, got)
		}
	}
}

var textKeyInTemplate = regexp.MustCompile(`Translate "([^"]+)"|"((?:field|inbox)\.[a-z.]+)"`)

// Every text key in a template, attributes included, exists in every language.
func TestTemplatesUseKnownTextKeys(t *testing.T) {
	names, _ := fs.Glob(templateFiles, "pages/*.html")
	for _, name := range names {
		text, err := fs.ReadFile(templateFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range textKeyInTemplate.FindAllStringSubmatch(string(text), -1) {
			key := m[1] + m[2]
			for _, lang := range []string{"en", "de"} {
				if i18n.ForTag(lang).Translate(key) == key {
					t.Errorf("%s: no text %s in %s", name, key, lang)
				}
			}
		}
	}
}

func gzipSize(data []byte) int {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Len()
}

// The first page takes three requests and fits into the initial congestion window: 10 packets of 1,460 bytes (RFC 6928).
// The page itself is not compressed, the assets are.
func TestFirstPageFitsSizeBudget(t *testing.T) {
	s, h := newTestHandlersAndMux()
	for _, st := range stories(t, "en") {
		if st.name != "signin" && st.name != "verify" {
			continue
		}
		w := httptest.NewRecorder()
		if err := s.render(w, httptest.NewRequest("GET", "/", nil), st.view); err != nil {
			t.Fatal(err)
		}
		total, requests := w.Body.Len(), 1
		doc, _ := html.Parse(bytes.NewReader(w.Body.Bytes()))
		for n := range doc.Descendants() {
			target := attr(n, "src")
			if n.Data == "link" {
				target = attr(n, "href")
			}
			if target == "" || strings.HasPrefix(target, "data:") {
				continue
			}
			requests++
			asset := sendRequest(h, "GET", target, "", "")
			if asset.Code != 200 {
				t.Errorf("%s: %d", target, asset.Code)
			}
			size := gzipSize(asset.Body.Bytes())
			t.Logf("%s: %d bytes compressed", filepath.Ext(target), size)
			total += size
		}
		t.Logf(
			"%s: %d bytes of HTML (%d if it were compressed), %d in all",
			st.name,
			w.Body.Len(),
			gzipSize(w.Body.Bytes()),
			total,
		)
		if requests > 3 {
			t.Errorf("%s: %d requests, want at most 3", st.name, requests)
		}
		if total > 8<<10 {
			t.Errorf("%s: %d bytes, more than 8 KB", st.name, total)
		}
	}
}

// Text has a contrast of at least 4.5:1 in both themes, and the borders of fields 3:1 (WCAG 1.4.3 and 1.4.11).
func TestTextColoursMeetContrast(t *testing.T) {
	css, err := os.ReadFile("../render/assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	for name, theme := range map[string]string{"light": light, "dark": dark} {
		for _, pair := range [][2]string{{"text", "card"}, {"text", "ground"}, {"quiet", "card"},
			{"quiet", "ground"}, {"accent", "card"}, {"accent", "tint"},
			{"on-accent", "accent"}, {"on-accent", "accent-over"}, {"wrong", "card"}, {"wrong",
				"wrong-tint"}, {"text", "tint"}, {"quiet", "tint"}} {
			if c := contrast(luminance(t, theme, pair[0]), luminance(t, theme, pair[1])); c < 4.5 {
				t.Errorf("%s: %s on %s has %.2f", name, pair[0], pair[1], c)
			}
		}
		if c := contrast(luminance(t, theme, "edge"), luminance(t, theme, "card")); c < 3 {
			t.Errorf("%s: borders of fields have %.2f", name, c)
		}
	}
}
