package attack

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/admin"
	"twostep.example/twostep/internal/forwardauth"
	"twostep.example/twostep/internal/help"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/web"
	"twostep.example/twostep/test/e2e/live"
)

// inventory lists every route of the server. A route that is not listed fails a test, so that nobody adds
// one without writing down what it needs and what its form is.
type route struct {
	pattern string
	needs   render.Access
	form    string // of a POST: what a page of ours would send
}

var inventory = []route{
	{"GET /{$}", render.AccessPublic, ""},
	{"GET /signin", render.AccessPublic, ""},
	{"POST /signin", render.AccessPublic, "email=anna%40example.com&password=correct+horse+battery"},
	{"GET /signin/method", render.AccessAttempt, ""},
	{"POST /signin/method", render.AccessAttempt, "method=email"},
	{"GET /signin/verify", render.AccessAttempt, ""},
	{"POST /signin/verify", render.AccessAttempt, "code=123456"},
	{"GET /signin/status", render.AccessPublic, ""},
	{"POST /signin/trust", render.AccessAttempt, "trust=1"},
	{"POST /signin/other", render.AccessAttempt, "code=&trust=1"},
	{"POST /signin/code", render.AccessAttempt, ""},
	{"POST /signin/cancel", render.AccessPublic, ""},
	{"GET /signout/done", render.AccessPublic, ""},
	{"GET /forgot", render.AccessPublic, ""},
	{"POST /forgot", render.AccessPublic, "email=anna%40example.com"},
	{"GET /forgot/sent", render.AccessPublic, ""},
	{"GET /reset", render.AccessPublic, ""},
	{"POST /reset", render.AccessPublic, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ&password=quite+another+horse"},
	{"GET /reset/done", render.AccessPublic, ""},
	{"GET /undo", render.AccessPublic, ""},
	{"POST /undo", render.AccessPublic, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ&password=x"},
	{"GET /undo/done", render.AccessPublic, ""},
	{"GET /address", render.AccessPublic, ""},
	{"POST /address", render.AccessPublic, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ&confirm=1"},
	{"GET /address/done", render.AccessPublic, ""},
	{"GET /undo/requested", render.AccessPublic, ""},
	{"GET /signin/desk", render.AccessAttempt, ""},
	{"POST /signin/desk", render.AccessAttempt, "code=K7M2Q-X9HTB"},
	{"GET /settings/setup", render.AccessSession, ""},
	{"POST /settings/setup/email", render.AccessSession, ""},
	{"GET /signin/only-email", render.AccessPublic, ""},
	{"GET /desk", render.AccessPublic, ""},
	{"POST /desk", render.AccessPublic, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	{"GET /desk/done", render.AccessPublic, ""},
	{"GET /desk/ended", render.AccessPublic, ""},
	{"POST /settings/keep", render.AccessSession, ""},
	{"GET /settings/second-step", render.AccessSession, ""},
	{"POST /settings/second-step", render.AccessSession, "email=until-another"},
	{"GET /signup", render.AccessPublic, ""},
	{"POST /signup", render.AccessPublic, "email=eva%40example.net&name=Eva"},
	{"GET /signup/sent", render.AccessPublic, ""},
	{"GET /join", render.AccessPublic, ""},
	{"POST /join", render.AccessPublic, "token=ABCDEFGHIJKLMNOPQRSTUVWXYZ&name=Eva&password=quite+another+horse"},
	{"GET /join/done", render.AccessPublic, ""},
	{"GET /settings", render.AccessSession, ""},
	{"POST /settings/later", render.AccessSession, ""},
	{"GET /settings/confirm", render.AccessSession, ""},
	{"POST /settings/confirm", render.AccessSession, "password=correct+horse+battery"},
	{"GET /settings/name", render.AccessSession, ""},
	{"POST /settings/name", render.AccessSession, "name=Anne"},
	{"GET /settings/password", render.AccessSession, ""},
	{"POST /settings/password", render.AccessSession, "current=correct+horse+battery&password=quite+another+horse"},
	{"GET /settings/password/done", render.AccessSession, ""},
	{"GET /settings/devices", render.AccessSession, ""},
	{"POST /settings/devices/forget", render.AccessSession, ""},
	{"POST /settings/devices/{id}/forget", render.AccessSession, ""},
	{"GET /settings/sessions", render.AccessSession, ""},
	{"POST /settings/sessions/end", render.AccessSession, ""},
	{"POST /settings/sessions/{id}/end", render.AccessSession, ""},
	{"GET /settings/history", render.AccessSession, ""},
	{"GET /settings/history/not-me", render.AccessSession, ""},
	{"GET /settings/apps", render.AccessSession, ""},
	{"POST /settings/apps/{id}/remove", render.AccessSession, ""},
	{"GET /settings/2step/{path}", render.AccessSession, ""},
	{"POST /settings/2step/{path}", render.AccessSession, "name=Phone"},
	{"POST /settings/2step/{path}/code", render.AccessSession, ""},
	{"POST /settings/2step/{path}/verify", render.AccessSession, "code=123456"},
	{"POST /settings/2step/{path}/cancel", render.AccessSession, ""},
	{"GET /settings/2step/{path}/done", render.AccessSession, ""},
	{"GET /settings/2step/{path}/status", render.AccessSession, ""},
	{"GET /settings/2step/{path}/codes.txt", render.AccessSession, ""},
	{"POST /settings/2step/{path}/remove", render.AccessSession, "id=nobody"},
	{"GET /settings/email", render.AccessSession, ""},
	{"POST /settings/email", render.AccessSession, "email=anna%40example.net"},
	{"POST /settings/email/code", render.AccessSession, ""},
	{"POST /settings/email/verify", render.AccessSession, "code=123456"},
	{"POST /settings/email/cancel", render.AccessSession, ""},
	{"GET /settings/email/done", render.AccessSession, ""},
	{"GET /admin", render.AccessOperator, ""},
	{"GET /admin/people/{id}/sign-out", render.AccessOperator, ""},
	{"POST /admin/people/{id}/sign-out", render.AccessOperator, ""},
	{"GET /admin/people/{id}/end-session/{item}", render.AccessOperator, ""},
	{"POST /admin/people/{id}/end-session/{item}", render.AccessOperator, ""},
	{"GET /admin/people/{id}/forget-devices", render.AccessOperator, ""},
	{"POST /admin/people/{id}/forget-devices", render.AccessOperator, ""},
	{"GET /admin/people/{id}/forget-device/{item}", render.AccessOperator, ""},
	{"POST /admin/people/{id}/forget-device/{item}", render.AccessOperator, ""},
	{"GET /admin/people/{id}/remove-method/{item}", render.AccessOperator, ""},
	{"POST /admin/people/{id}/remove-method/{item}", render.AccessOperator, ""},
	{"GET /admin/people/{id}/reset-methods", render.AccessOperator, ""},
	{"POST /admin/people/{id}/reset-methods", render.AccessOperator, ""},
	{"GET /admin/people/{id}/reset-link", render.AccessOperator, ""},
	{"POST /admin/people/{id}/reset-link", render.AccessOperator, ""},
	{"GET /admin/people/{id}/rename", render.AccessOperator, ""},
	{"POST /admin/people/{id}/rename", render.AccessOperator, "name=Rolf&given_name=&family_name="},
	{"GET /admin/people/{id}/email", render.AccessOperator, ""},
	{"POST /admin/people/{id}/email", render.AccessOperator, "email=new%40example.net"},
	{"GET /admin/people/{id}/groups", render.AccessOperator, ""},
	{"POST /admin/people/{id}/groups", render.AccessOperator, "groups=staff"},
	{"GET /admin/people/{id}/role", render.AccessOperator, ""},
	{"POST /admin/people/{id}/role", render.AccessOperator, "role=auditor"},
	{"GET /admin/people/{id}/unfreeze", render.AccessOperator, ""},
	{"POST /admin/people/{id}/unfreeze", render.AccessOperator, ""},
	{"GET /admin/people/{id}/disable", render.AccessOperator, ""},
	{"POST /admin/people/{id}/disable", render.AccessOperator, ""},
	{"GET /admin/people/{id}/enable", render.AccessOperator, ""},
	{"POST /admin/people/{id}/enable", render.AccessOperator, ""},
	{"GET /admin/people/{id}/delete", render.AccessOperator, ""},
	{"POST /admin/people/{id}/delete", render.AccessOperator, ""},
	{"GET /admin/desk-codes", render.AccessOperator, ""},
	{"GET /admin/people/{id}/desk-code", render.AccessOperator, ""},
	{"POST /admin/people/{id}/desk-code", render.AccessOperator, ""},
	{"POST /admin/people/{id}/desk-code/show", render.AccessOperator, ""},
	{"POST /admin/people/{id}/desk-code/approve", render.AccessOperator, ""},
	{"POST /admin/people/{id}/desk-code/refuse", render.AccessOperator, ""},
	{"POST /admin/people/{id}/desk-code/cancel", render.AccessOperator, ""},
	{"GET /admin/people", render.AccessOperator, ""},
	{"GET /admin/people.csv", render.AccessOperator, ""},
	{"GET /admin/people/{id}", render.AccessOperator, ""},
	{"GET /admin/people/{id}/export", render.AccessOperator, ""},
	{"GET /admin/invitations", render.AccessOperator, ""},
	{"GET /admin/invitations/new", render.AccessOperator, ""},
	{"GET /admin/invitations/resend", render.AccessOperator, ""},
	{"GET /admin/invitations/revoke", render.AccessOperator, ""},
	{"POST /admin/people/{id}/export", render.AccessOperator, ""},
	{"POST /admin/invitations/new", render.AccessOperator, "people=new%40example.net"},
	{"POST /admin/invitations/resend", render.AccessOperator, "email=new%40example.net"},
	{"POST /admin/invitations/revoke", render.AccessOperator, "email=new%40example.net"},
	{"GET /admin/apps", render.AccessOperator, ""},
	{"GET /admin/apps/{id}", render.AccessOperator, ""},
	{"GET /admin/apps/{id}/people", render.AccessOperator, ""},
	{"GET /admin/new-app", render.AccessOperator, ""},
	{"POST /admin/new-app", render.AccessOperator, "id=Wrong"},
	{"GET /admin/apps/{id}/edit", render.AccessOperator, ""},
	{"POST /admin/apps/{id}/edit", render.AccessOperator, "hosts=wiki.example.com"},
	{"GET /admin/apps/{id}/rotate", render.AccessOperator, ""},
	{"POST /admin/apps/{id}/rotate", render.AccessOperator, "keep=1"},
	{"GET /admin/apps/{id}/end-old", render.AccessOperator, ""},
	{"POST /admin/apps/{id}/end-old", render.AccessOperator, ""},
	{"GET /admin/apps/{id}/remove", render.AccessOperator, ""},
	{"POST /admin/apps/{id}/remove", render.AccessOperator, ""},
	{"GET /admin/audit", render.AccessOperator, ""},
	{"GET /admin/audit/{id}", render.AccessOperator, ""},
	{"GET /admin/audit.csv", render.AccessOperator, ""},
	{"GET /admin/audit.json", render.AccessOperator, ""},
	{"GET /admin/delivery", render.AccessOperator, ""},
	{"POST /admin/delivery", render.AccessOperator, "email=test%40example.net"},
	{"GET /admin/keys", render.AccessOperator, ""},
	{"GET /admin/keys/rotate", render.AccessOperator, ""},
	{"POST /admin/keys/rotate", render.AccessOperator, ""},
	{"GET /admin/settings", render.AccessOperator, ""},
	{"GET /help", render.AccessPublic, ""},
	{"GET /help/trust", render.AccessPublic, ""},
	{"POST /signout", render.AccessPublic, ""},
	{"GET /.well-known/change-password", render.AccessPublic, ""},
	{"GET /robots.txt", render.AccessPublic, ""},
	{"GET /inbox", render.AccessPublic, ""},
	{"GET /inbox/{id}", render.AccessPublic, ""},
	{"GET /inbox/{id}/text", render.AccessPublic, ""},
	{"POST /inbox/clock", render.AccessPublic, "minutes=16"},
	{"GET /.well-known/openid-configuration", render.AccessPublic, ""},
	{"GET /.well-known/openid-configuration/{$}", render.AccessPublic, ""},
	{"GET /oauth2/.well-known/openid-configuration", render.AccessPublic, ""},
	{"GET /.well-known/oauth-authorization-server", render.AccessPublic, ""},
	{"GET /oauth2/jwks", render.AccessPublic, ""},
	{"GET /oauth2/authorize", render.AccessPublic, ""},
	{"POST /oauth2/authorize", render.AccessPublic, "client_id=nobody"},
	{"GET /oauth2/continue", render.AccessPublic, ""},
	{"GET /auth/start", render.AccessPublic, ""},
	{"POST /oauth2/consent", render.AccessSession, "request=nothing&session=nobody&answer=allow"},
	{"POST /oauth2/token", render.AccessPublic, "grant_type=authorization_code&code=x&client_id=nobody"},
	{"OPTIONS /.well-known/openid-configuration", render.AccessPublic, ""},
	{"OPTIONS /.well-known/openid-configuration/{$}", render.AccessPublic, ""},
	{"OPTIONS /.well-known/oauth-authorization-server", render.AccessPublic, ""},
	{"OPTIONS /oauth2/jwks", render.AccessPublic, ""},
	{"OPTIONS /oauth2/par", render.AccessPublic, ""},
	{"OPTIONS /oauth2/token", render.AccessPublic, ""},
	{"GET /oauth2/userinfo", render.AccessPublic, ""},
	{"POST /oauth2/userinfo", render.AccessPublic, "access_token=x"},
	{"OPTIONS /oauth2/userinfo", render.AccessPublic, ""},
	{"POST /oauth2/introspect", render.AccessPublic, "token=x&client_id=nobody"},
	{"POST /oauth2/revoke", render.AccessPublic, "token=x&client_id=nobody"},
	{"OPTIONS /oauth2/revoke", render.AccessPublic, ""},
	{"POST /oauth2/par", render.AccessPublic, "client_id=nobody"},
	{"POST /oauth2/device_authorization", render.AccessPublic, "client_id=nobody"},
	{"POST /oauth2/register", render.AccessPublic, ""},
	{"GET /device", render.AccessSession, ""},
	{"POST /device", render.AccessSession, "user_code=BCDF-GHJK"},
	{"GET /device/allowed", render.AccessPublic, ""},
	{"GET /device/denied", render.AccessPublic, ""},
	{"GET /oauth2/logout", render.AccessPublic, ""},
	{"POST /oauth2/logout", render.AccessPublic, ""},
	{"POST /oauth2/logout/confirm", render.AccessPublic, ""},
}

// otherRoutes are the routes that are not pages.
var otherRoutes = []string{"GET /healthz", "GET /readyz", "GET /assets/{name}"} // and two that ask for their own proof: receiptPath (receipt_test.go) and /auth/check (forward_test.go)

// forApps reports whether a route is called by apps and by scripts on their pages: it accepts cross-site
// requests, ignores cookies and answers in JSON.
func forApps(pattern string) bool {
	_, path := path(pattern)
	return slices.ContainsFunc(oidc.CSRFExemptPaths(), func(p string) bool { return p == pattern || p == path })
}

// published reports whether a path is a public document of the OpenID provider, which may be cached.
func published(path string) bool {
	return strings.HasPrefix(path, "/.well-known/o") || strings.HasPrefix(path, "/oauth2/.well-known/") ||
		path == "/oauth2/jwks"
}

func path(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.NewReplacer("{$}", "", "{id}", "nobody", "{item}", "nothing", "{name}", "style.css", "{path}", "app").Replace(path)
	return method, path
}

// A route is added that nobody has looked at.
func TestEveryRouteIsListed(t *testing.T) {
	t.Parallel()
	site := &web.Handlers{Pages: &render.Renderer{}, Inbox: &delivery.Inbox{}, AdvanceClock: func(time.Duration) {}}
	var have, want []string
	for _, r := range slices.Concat(site.Routes(), (&admin.Handlers{}).Routes(), (&help.Handlers{}).Routes(), (&oidc.Provider{}).Routes(), (&forwardauth.Authorizer{}).Routes()) {
		have = append(have, r.Pattern+" needs "+string(r.Access))
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
	want := []string{"POST /oauth2/authorize", "POST /oauth2/token", "POST /oauth2/userinfo", "POST /oauth2/introspect", "POST /oauth2/revoke", "POST /oauth2/par", "POST /oauth2/device_authorization", "POST /oauth2/register", "POST /oauth2/logout"}
	if !slices.Equal(got, want) {
		t.Errorf("open to other sites: %q", got)
	}
}

// withInbox adds the pages of the inbox.
func withInbox(t *testing.T) live.Setup {
	return func(o *twostep.Options) {
		o.Local = &twostep.LocalMode{Inbox: &delivery.Inbox{Dir: t.TempDir()}, AdvanceClock: func(time.Duration) {}}
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
			if r.needs != render.AccessSession {
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
		if r.needs == render.AccessAttempt {
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
