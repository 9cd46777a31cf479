package attack

import (
	"net/http"
	"strings"
	"testing"

	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/test/e2e/live"
)

// visitor returns a browser that has all that a form on another site could use: a session and a pending
// sign-in.
func (h *server) visitor() *live.Browser {
	h.Browser().Get("/oauth2/jwks") // the first look makes the keys
	b := h.Browser()
	b.SignIn()
	b.Password()
	h.WaitForOutbox()
	return b
}

// crossSiteHeaders returns the headers of every way in which another site can make a browser send a form.
func (h *server) crossSiteHeaders() map[string][]string {
	return map[string][]string{
		"another origin":       {form, "Origin: https://evil.example"},
		"no origin":            {form, "Origin: null"},
		"marked cross-site":    {form, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"marked, origin ours":  {form, "Sec-Fetch-Site: cross-site", "Origin: " + h.URL},
		"same site":            {form, "Sec-Fetch-Site: same-site", "Origin: https://evil.example.com"},
		"plain http":           {form, "Origin: " + strings.Replace(h.URL, "https", "http", 1) + "0"},
		"other port":           {form, "Origin: https://127.0.0.1:1"},
		"our name as a prefix": {form, "Origin: " + h.URL + ".evil.example"},
		"text":                 {"Content-Type: text/plain", "Sec-Fetch-Site: cross-site"},
		"text, unmarked":       {"Content-Type: text/plain"},
		"no type":              {"X-None: 1"},
		"multipart":            {"Content-Type: multipart/form-data; boundary=x"},
		"beacon":               {"Content-Type: application/json", "Origin: https://evil.example"},
	}
}

// Another site posts a form of ours: its own password (to sign the victim in as the attacker), a new
// password, sign out. Every POST route is tried in every way a browser can send it.
func TestFormsFromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.visitor()
		before := h.contents()
		for _, r := range inventory {
			method, path := path(r.pattern)
			if method != http.MethodPost || strings.HasPrefix(path, "/inbox") {
				continue
			}
			for name, headers := range h.crossSiteHeaders() {
				form := r.form
				if form == "" {
					form = "x=" // so that there is a body, as in a form with its button
				}
				a := b.Do(h.request(method, path, form, headers...))
				refused := a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusUnsupportedMediaType
				if forApps(r.pattern) { // another site may ask; without a proof it gets nothing, and nothing happens
					refused = a.StatusCode/100 == 4 || a.Header.Get("Location") == "/oauth2/logout?" // where the person is asked
				}
				if !refused {
					h.T.Errorf("%s from %s: %d", r.pattern, name, a.StatusCode)
				}
				if len(a.Header["Set-Cookie"]) != 0 {
					h.T.Errorf("%s from %s: %v", r.pattern, name, a.Header["Set-Cookie"])
				}
			}
		}
		if h.contents() != before {
			h.T.Error("a form from another site changed a row")
		}
		if _, in := signedIn(b); !in {
			h.T.Error("a form from another site signed the visitor out")
		}
	}, allMethods(&phone{}))
}

// An image or a link changes something: GET and HEAD of every route, with the content of its form in
// the query.
func TestReadingChangesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.visitor()
		before, mails := h.contents(), h.Mail.Len()
		for _, r := range inventory {
			_, path := path(r.pattern)
			for _, method := range []string{"GET", "HEAD"} {
				for _, query := range []string{"", "?" + r.form, "?_method=POST&" + r.form} {
					b.Do(h.request(method, path+query, "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"))
				}
			}
		}
		if now := h.contents(); now != before {
			h.T.Errorf("reading changed a row:\n%s\n%s", before, now)
		}
		if h.WaitForOutbox(); h.Mail.Len() != mails {
			h.T.Error("reading sent a mail")
		}
		if _, in := signedIn(b); !in || h.cookie(b, "signin") == "" {
			h.T.Error("reading took a cookie away")
		}
	}, allMethods(&phone{}))
}

// wantSecurityHeaders fails the test if an answer lacks one of the headers that every answer has.
func (h *server) wantSecurityHeaders(what string, a live.Answer) {
	h.T.Helper()
	resource, shared := "same-origin", a.Header.Get("Access-Control-Allow-Origin") != ""
	if shared {
		resource = "cross-origin"
	}
	at := a.Request.URL.Path
	apps := forApps("POST "+at) && at != "/oauth2/authorize" && at != "/oauth2/logout" // people go to those
	if shared && (!apps && !published(at) || a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "") {
		h.T.Errorf("%s: may be read from elsewhere: %v", what, a.Header)
	}
	for name, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": resource, "Strict-Transport-Security": "max-age=31536000",
	} {
		// A request that is refused before its handler is no sign-in.
		popup := name == "Cross-Origin-Opener-Policy" && !apps && (strings.HasPrefix(at, "/oauth2/") && at != "/oauth2/jwks" && at != "/oauth2/.well-known/openid-configuration" || at == "/auth/start")
		if got := a.Header.Get(name); !popup && (got != value || len(a.Header[name]) != 1) || popup && got != "" && a.StatusCode < 400 {
			h.T.Errorf("%s: %s is %q", what, name, a.Header[name])
		}
	}
	csp := a.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, part) || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			h.T.Errorf("%s: policy %q", what, csp)
		}
	}
	asset := (strings.HasPrefix(a.Request.URL.Path, "/assets/") || published(a.Request.URL.Path)) && a.StatusCode == http.StatusOK
	if cached := a.Header.Get("Cache-Control"); cached != "no-store" && !asset || asset && len(a.Header["Set-Cookie"]) != 0 {
		h.T.Errorf("%s: Cache-Control %q, cookies %v", what, cached, a.Header["Set-Cookie"])
	}
	if a.Header.Get("Server") != "" || a.Header.Get("X-Powered-By") != "" {
		h.T.Errorf("%s: %v", what, a.Header)
	}
}

// A page or an error can be framed, cached, sniffed or read by another site, or repeats a header of
// the request.
func TestEveryAnswerHasSecurityHeaders(t *testing.T) {
	t.Parallel()
	// In local mode the header of a proxy is refused.
	h, local := start(t, ""), start(t, "", withInbox(t))
	b := h.visitor()
	for visitor, h := range map[*live.Browser]*server{b: h, local.visitor(): local} {
		for _, r := range inventory {
			method, path := path(r.pattern)
			for _, headers := range [][]string{{form, "Sec-Fetch-Site: same-origin", "X-Forwarded-Host: evil.example"}, {"Content-Type: text/plain"}, {form, "Origin: null"}, {form, "Host: evil.example"}} {
				a := visitor.Do(h.request(method, path, r.form, headers...))
				h.wantSecurityHeaders(r.pattern, a)
				if strings.Contains(a.Body, "evil.example") || strings.Contains(a.Header.Get("Location"), "evil") {
					t.Errorf("%s: a header is reflected", r.pattern)
				}
			}
		}
	}
	large := strings.Repeat("x", render.MaxBodyBytes+1)
	h.exec("ALTER TABLE accounts RENAME TO gone")
	for status, r := range map[int]*http.Request{
		404: h.request("GET", "/nobody", ""), 405: h.request("PUT", "/signin", ""), 400: h.request("POST", "/signin", "a=1", form), 413: h.request("POST", "/signin", large, form),
		415: h.request("POST", "/signin", "{}", "Content-Type: application/json"), 421: h.request("GET", "/signin", "", "Host: evil.example"), 403: h.request("POST", "/signin", "", form, "Origin: null"),
		500: h.request("POST", "/signin", "email=a%40example.com&password=x", form), 200: h.request("GET", "/healthz", ""),
	} {
		h.wantSecurityHeaders(http.StatusText(status), h.wantStatus(h.Browser().Do(r), status))
	}
	h.exec("ALTER TABLE gone RENAME TO accounts")
	style := b.Get("/signin").Body
	_, style, _ = strings.Cut(style, `stylesheet" href="`)
	style, _, _ = strings.Cut(style, `"`)
	h.wantSecurityHeaders(style, h.wantStatus(b.Get(style), 200))
}

// A parameter of the URL puts text on a page.
func TestQueryCannotPutTextOnAPage(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, r := range inventory {
		if method, path := path(r.pattern); method == "GET" && r.needs == render.AccessPublic && !strings.HasPrefix(path, "/inbox") {
			for _, name := range []string{"message", "error", "notice", "title", "email", "site", "lang", "return_to", "token", "name", "problem"} {
				if a := h.Browser().Get(path + "?" + name + "=call+0900-12345"); strings.Contains(a.Body, "0900-12345") {
					t.Errorf("%s?%s=… is said on the page", path, name)
				}
			}
		}
	}
}
