package attack

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/forwardauth"
	"twostep.example/twostep/internal/help"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/web"
	"twostep.example/twostep/test/e2e/live"
)

// inventory lists every route of the server. A route that is not listed fails a test, so that nobody adds
// one without writing down what it needs and what its form is.
var inventory = []struct {
	pattern string
	needs   page.Need
	form    string // of a POST: what a page of ours would send
}{
	{"GET /{$}", page.Nothing, ""},
	{"GET /signin", page.Nothing, ""},
	{"POST /signin", page.Nothing, "email=anna%40example.com&password=correct+horse+battery"},
	{"GET /signin/method", page.SignIn, ""},
	{"POST /signin/method", page.SignIn, "method=email"},
	{"GET /signin/verify", page.SignIn, ""},
	{"POST /signin/verify", page.SignIn, "code=123456"},
	{"GET /signin/status", page.Nothing, ""},
	{"POST /signin/trust", page.SignIn, "trust=1"},
	{"POST /signin/other", page.SignIn, "code=&trust=1"},
	{"POST /signin/code", page.SignIn, ""},
	{"POST /signin/cancel", page.Nothing, ""},
	{"GET /signout/done", page.Nothing, ""},
	{"GET /forgot", page.Nothing, ""},
	{"POST /forgot", page.Nothing, "email=anna%40example.com"},
	{"GET /forgot/sent", page.Nothing, ""},
	{"GET /reset", page.Nothing, ""},
	{"POST /reset", page.Nothing, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ&password=quite+another+horse"},
	{"GET /reset/done", page.Nothing, ""},
	{"GET /undo", page.Nothing, ""},
	{"POST /undo", page.Nothing, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	{"GET /undo/done", page.Nothing, ""},
	{"GET /signup", page.Nothing, ""},
	{"POST /signup", page.Nothing, "email=eva%40example.net&name=Eva"},
	{"GET /signup/sent", page.Nothing, ""},
	{"GET /join", page.Nothing, ""},
	{"POST /join", page.Nothing, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ&name=Eva&password=quite+another+horse"},
	{"GET /join/done", page.Nothing, ""},
	{"GET /settings", page.Session, ""},
	{"POST /settings/later", page.Session, ""},
	{"GET /settings/confirm", page.Session, ""},
	{"POST /settings/confirm", page.Session, "password=correct+horse+battery"},
	{"GET /settings/password", page.Session, ""},
	{"POST /settings/password", page.Session, "current=correct+horse+battery&password=quite+another+horse"},
	{"GET /settings/password/done", page.Session, ""},
	{"GET /settings/devices", page.Session, ""},
	{"POST /settings/devices/forget", page.Session, ""},
	{"POST /settings/devices/{id}/forget", page.Session, ""},
	{"GET /settings/sessions", page.Session, ""},
	{"POST /settings/sessions/end", page.Session, ""},
	{"POST /settings/sessions/{id}/end", page.Session, ""},
	{"GET /settings/history", page.Session, ""},
	{"GET /settings/history/not-me", page.Session, ""},
	{"GET /settings/apps", page.Session, ""},
	{"POST /settings/apps/{id}/remove", page.Session, ""},
	{"GET /settings/2step/{path}", page.Session, ""},
	{"POST /settings/2step/{path}", page.Session, "name=Phone"},
	{"POST /settings/2step/{path}/code", page.Session, ""},
	{"POST /settings/2step/{path}/verify", page.Session, "code=123456"},
	{"POST /settings/2step/{path}/cancel", page.Session, ""},
	{"GET /settings/2step/{path}/done", page.Session, ""},
	{"GET /settings/2step/{path}/status", page.Session, ""},
	{"GET /settings/2step/{path}/codes.txt", page.Session, ""},
	{"POST /settings/2step/{path}/remove", page.Session, "id=nobody"},
	{"GET /settings/email", page.Session, ""},
	{"POST /settings/email", page.Session, "email=anna%40example.net"},
	{"POST /settings/email/code", page.Session, ""},
	{"POST /settings/email/verify", page.Session, "code=123456"},
	{"POST /settings/email/cancel", page.Session, ""},
	{"GET /settings/email/done", page.Session, ""},
	{"GET /help", page.Nothing, ""},
	{"GET /help/trust", page.Nothing, ""},
	{"POST /signout", page.Nothing, ""},
	{"GET /.well-known/change-password", page.Nothing, ""},
	{"GET /robots.txt", page.Nothing, ""},
	{"GET /inbox", page.Nothing, ""},
	{"GET /inbox/{id}", page.Nothing, ""},
	{"GET /inbox/{id}/text", page.Nothing, ""},
	{"POST /inbox/clock", page.Nothing, "minutes=16"},
	{"GET /.well-known/openid-configuration", page.Nothing, ""},
	{"GET /.well-known/oauth-authorization-server", page.Nothing, ""},
	{"GET /oauth2/jwks", page.Nothing, ""},
	{"GET /oauth2/authorize", page.Nothing, ""},
	{"POST /oauth2/authorize", page.Nothing, "client_id=nobody"},
	{"GET /oauth2/continue", page.Nothing, ""},
	{"GET /auth/start", page.Nothing, ""},
	{"POST /oauth2/consent", page.Session, "request=nothing&session=nobody&answer=allow"},
	{"POST /oauth2/token", page.Nothing, "grant_type=authorization_code&code=x&client_id=nobody"},
	{"OPTIONS /oauth2/token", page.Nothing, ""},
	{"GET /oauth2/userinfo", page.Nothing, ""},
	{"POST /oauth2/userinfo", page.Nothing, "access_token=x"},
	{"OPTIONS /oauth2/userinfo", page.Nothing, ""},
	{"POST /oauth2/introspect", page.Nothing, "token=x&client_id=nobody"},
	{"POST /oauth2/revoke", page.Nothing, "token=x&client_id=nobody"},
	{"OPTIONS /oauth2/revoke", page.Nothing, ""},
	{"POST /oauth2/par", page.Nothing, "client_id=nobody"},
	{"GET /oauth2/logout", page.Nothing, ""},
	{"POST /oauth2/logout", page.Nothing, ""},
	{"POST /oauth2/logout/confirm", page.Nothing, ""},
}

// otherRoutes are the routes that are not pages.
var otherRoutes = []string{"GET /healthz", "GET /readyz", "GET /assets/{name}"} // and two that ask for their own proof: receiptPath (receipt_test.go) and /auth/check (forward_test.go)

// forApps reports whether a route is called by apps and by scripts on their pages: it accepts cross-site
// requests, ignores cookies and answers in JSON.
func forApps(pattern string) bool {
	_, path := path(pattern)
	return slices.ContainsFunc(oidc.Foreign(), func(p string) bool { return p == pattern || p == path })
}

// published reports whether a path is a public document of the OpenID provider, which may be cached.
func published(path string) bool {
	return strings.HasPrefix(path, "/.well-known/o") || path == "/oauth2/jwks"
}

func path(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{$}", "", "{id}", "nobody", "{name}", "style.css", "{path}", "app").Replace(path)
	return method, path
}

// A route is added that nobody has looked at.
func TestEveryRouteIsListed(t *testing.T) {
	t.Parallel()
	site := &web.Site{Pages: &page.Printer{}, Inbox: &delivery.Inbox{}, Turn: func(time.Duration) {}}
	var have, want []string
	for _, r := range slices.Concat(site.Routes(), (&help.Site{}).Routes(), (&oidc.Provider{}).Routes(), (&forwardauth.Site{}).Routes()) {
		have = append(have, r.Pattern+" needs "+string(r.Needs))
	}
	for _, r := range inventory {
		want = append(want, r.pattern+" needs "+string(r.needs))
	}
	for _, r := range have {
		if !slices.Contains(want, r) {
			t.Errorf("%s: not in the inventory", r)
		}
	}
	for _, r := range want {
		if !slices.Contains(have, r) {
			t.Errorf("%s: in the inventory only", r)
		}
	}
}

// The routes to which other sites may send a form are these and no others.
func TestCrossSiteRoutesAreListed(t *testing.T) {
	t.Parallel()
	var got []string
	for _, r := range inventory {
		if method, _ := path(r.pattern); method == http.MethodPost && forApps(r.pattern) {
			got = append(got, r.pattern)
		}
	}
	want := []string{"POST /oauth2/authorize", "POST /oauth2/token", "POST /oauth2/userinfo", "POST /oauth2/introspect", "POST /oauth2/revoke", "POST /oauth2/par", "POST /oauth2/logout"}
	if !slices.Equal(got, want) {
		t.Errorf("open to other sites: %q", got)
	}
}

// withInbox adds the pages of the inbox.
func withInbox(t *testing.T) live.Setup {
	return func(o *twostep.Options) {
		o.Local = &twostep.Local{Inbox: &delivery.Inbox{Dir: t.TempDir()}, Turn: func(time.Duration) {}}
	}
}

// The token of somebody who has only given the password is sent to every route in every place where a
// token could be believed: its own cookie, the session's cookie, a bearer token, a header, the query.
func TestPendingTokenIsNoSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
		token := h.cookie(b, "signin")
		for _, r := range inventory {
			if r.needs != page.Session {
				continue
			}
			method, path := path(r.pattern)
			for name, way := range map[string]struct {
				b      *live.Browser
				query  string
				header string
			}{
				"its own cookie":   {h.withCookies("signin", token), "", "X-None: 1"},
				"session's cookie": {h.withCookies("session", token), "", "X-None: 1"},
				"both cookies":     {h.withCookies("session", token, "signin", token), "", "X-None: 1"},
				"bearer":           {h.Browser(), "", "Authorization: Bearer " + token},
				"header":           {h.Browser(), "", "X-Session: " + token},
				"query":            {h.Browser(), "?session=" + token + "&token=" + token + "&__Host-session=" + token, "X-None: 1"},
			} {
				headers := []string{form, "Origin: " + h.URL, "Sec-Fetch-Site: same-origin", way.header}
				a := way.b.Do(h.request(method, path+way.query, r.form, headers...))
				if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/signin") {
					h.T.Errorf("%s with the pending token as %s: %d to %q", r.pattern, name, a.StatusCode, a.Header.Get("Location"))
				}
				if strings.Contains(a.Body, live.AnnaEmail) {
					h.T.Errorf("%s with the pending token as %s: names the account", r.pattern, name)
				}
			}
		}
		h.wantNoSession("after the walk", b)
	})
}

// A session is used as a pending sign-in.
func TestSessionTokenIsNoPendingSignIn(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.SignIn()
	attacker := h.withCookies("signin", h.cookie(b, "session"))
	for _, r := range inventory {
		if r.needs == page.SignIn {
			method, path := path(r.pattern)
			a := attacker.Do(h.request(method, path, r.form, form, "Sec-Fetch-Site: same-origin"))
			if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/signin" {
				t.Errorf("%s with a session as the pending token: %d to %q", r.pattern, a.StatusCode, a.Header.Get("Location"))
			}
		}
	}
}

// Another HTTP method reaches a handler past its checks.
func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t, "", withInbox(t))
	b := h.Browser()
	b.Password()
	before := h.contents()
	allowed := map[string][]string{}
	for _, r := range inventory {
		method, path := path(r.pattern)
		allowed[path] = append(allowed[path], method)
	}
	for _, p := range otherRoutes {
		method, path := path(p)
		allowed[path] = append(allowed[path], method)
	}
	allowed["/inbox/clock"] = append(allowed["/inbox/clock"], "GET") // it could be the id of a message
	for path, methods := range allowed {
		if slices.Contains(methods, "GET") {
			methods = append(methods, "HEAD")
		}
		slices.Sort(methods)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "FOO"} {
			if slices.Contains(methods, method) {
				continue
			}
			for _, override := range []string{"X-None: 1", "X-HTTP-Method-Override: POST", "X-Method-Override: GET"} {
				a := h.wantStatus(b.Do(h.request(method, path+"?_method=POST", "", form, "Sec-Fetch-Site: same-origin", override)), http.StatusMethodNotAllowed)
				got := strings.Split(a.Header.Get("Allow"), ", ")
				slices.Sort(got)
				if !slices.Equal(got, methods) {
					t.Errorf("%s %s: Allow %v, want %v", method, path, got, methods)
				}
			}
		}
	}
	if h.contents() != before {
		t.Error("a wrong method changed a row")
	}
}
