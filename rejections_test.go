package twostep

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/store/storetest"
)

// misconfigured is a server with the apps wiki, which has a secret, and phone, which is public.
type misconfigured struct {
	*Server
	log bytes.Buffer
	now atomic.Int64 // seconds since 1970
}

func newMisconfigured(t *testing.T, database string) *misconfigured {
	t.Helper()
	m := &misconfigured{}
	m.now.Store(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).Unix())
	o := options(t)
	o.Database, o.NoBackgroundWork = database, true
	o.Logger, o.Now = slog.New(slog.NewTextHandler(&m.log, nil)), func() time.Time { return time.Unix(m.now.Load(), 0) }
	o.Apps = []App{
		{
			ID: "wiki", SecretHashes: []string{strings.Repeat("0a", 32)}, RedirectURIs: []string{"https://wiki.example.com/cb"},
			PostLogoutRedirectURIs: []string{"https://wiki.example.com/", "https://shared.example.com/"},
		},
		{
			ID: "phone", RedirectURIs: []string{"com.example.phone:/cb"},
			PostLogoutRedirectURIs: []string{"https://shared.example.com/"},
		},
	}
	var err error
	if m.Server, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (m *misconfigured) send(method, path, form string) *httptest.ResponseRecorder {
	m.log.Reset()
	target := "https://signin.example.com" + path
	if method == http.MethodGet {
		target += "?" + form
	}
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "203.0.113.9:1"
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

// Each request of an app that is rejected is one line in the log, which names the app, the reason, what it sent and
// what the operator can do. The same is recorded for the operator. No value of a secret parameter is in the log.
func TestRejectedRequestsNameTheRemedy(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		m := newMisconfigured(t, database)
		const cb = "&redirect_uri=https%3A%2F%2Fwiki.example.com%2Fcb"
		pkce := "&code_challenge_method=S256&code_challenge=" + grant.S256Challenge(strings.Repeat("a", 43))
		for _, row := range []struct {
			method, path, form        string
			app, reason, sent, remedy string
		}{
			{"GET", "/oauth2/authorize", "client_id=grafana&response_type=code&state=hunter2", "grafana",
				"there is no app with this client_id", "response_type=code", "twostep app list"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code&redirect_uri=https%3A%2F%2Fwiki.example.com%2Fcb%2F",
				"wiki", "a slash at the end makes it different from https://wiki.example.com/cb",
				"redirect_uri=https://wiki.example.com/cb/", "twostep app set wiki --redirect"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code&redirect_uri=https%3A%2F%2Fwiki.example.com%2Fcb%3Fkey%3Dhunter2",
				"wiki", "registered are: https://wiki.example.com/cb", "redirect_uri=https://wiki.example.com/cb?…", "--redirect"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=token&nonce=hunter2" + cb, "wiki", "response_type",
				"response_type=token", "change it in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code&response_mode=web_message" + cb, "wiki",
				"response_mode must be", "response_mode=web_message", "change it in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code&request=hunter2" + cb, "wiki", "request objects",
				"response_type=code", "change it in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code" + cb, "wiki", "code_challenge is missing",
				"response_type=code", "twostep app set wiki --pkce off"},
			{"GET", "/oauth2/authorize", "client_id=phone&response_type=code&nonce=n&redirect_uri=com.example.phone%3A%2Fcb",
				"phone", "code_challenge is missing", "response_type=code", "turn on PKCE (S256) in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code&code_challenge_method=plain&code_challenge=hunter2" +
				cb, "wiki", "code_challenge_method must be S256", "code_challenge_method=plain", "change it in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&response_type=code&prompt=create" + cb + pkce, "wiki", "prompt must",
				"prompt=create", "change it in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&scope=openid&scope=email" + cb, "", `the parameter \"scope\" is repeated`,
				"", "change it in the app"},
			{"GET", "/oauth2/authorize", "client_id=wiki&request_uri=urn:ietf:params:oauth:request_uri:hunter2", "wiki",
				"the request_uri is unknown, used or expired", "", "start again"},
			{"POST", "/oauth2/token", "client_id=wiki&client_secret=hunter2&grant_type=authorization_code", "wiki",
				"wrong client secret", "grant_type=authorization_code", "twostep app rotate wiki"},
			{"POST", "/oauth2/token", "client_id=wiki&grant_type=authorization_code", "wiki", "the app sent no client secret", "",
				"twostep app set wiki --public"},
			{"POST", "/oauth2/token", "client_id=phone&client_secret=hunter2", "phone", "registered as public", "",
				"remove the secret in the app"},
			{"POST", "/oauth2/token", "client_id=grafana&client_secret=hunter2", "grafana", "there is no app with this client_id", "",
				"twostep app list"},
			{"POST", "/oauth2/token", "client_id=phone&grant_type=password&password=hunter2", "phone", "grant_type must be",
				"grant_type=password", "change it in the app"},
			{"POST", "/oauth2/token", "client_id=phone&grant_type=authorization_code&code=hunter2", "phone",
				"there is no such code", "", "change it in the app"},
			{"POST", "/oauth2/token", "client_id=phone&grant_type=refresh_token&refresh_token=hunter2", "phone",
				"there is no such refresh token", "", "change it in the app"},
			{"POST", "/oauth2/par", "client_id=phone&response_type=code&redirect_uri=com.example.phone%3A%2Fother", "phone",
				"registered are: com.example.phone:/cb", "redirect_uri=com.example.phone:/other", "twostep app set phone --redirect"},
			{"POST", "/oauth2/par", "client_id=phone&response_type=code&redirect_uri=com.example.phone%3A%2Fcb", "phone",
				"code_challenge is missing", "response_type=code", "turn on PKCE (S256) in the app"},
			{"POST", "/oauth2/introspect", "client_id=phone&token=hunter2", "phone", "a public app may not introspect", "",
				"twostep app set phone --public=false"},
			{"GET", "/oauth2/logout", "client_id=wiki&post_logout_redirect_uri=http%3A%2F%2Fwiki.example.com%2F", "wiki",
				"it is http, but the registered one is https://wiki.example.com/", "", "twostep app set wiki --signed-out"},
			{"GET", "/oauth2/logout", "client_id=wiki&state=hunter2&state=hunter2", "", `the parameter \"state\" is repeated`, "",
				"change it in the app"},
			{"GET", "/oauth2/logout", "client_id=wiki&id_token_hint=hunter2", "wiki", "the id_token_hint was not issued here", "",
				"let the app send the ID token"},
			{"GET", "/oauth2/logout", "post_logout_redirect_uri=https%3A%2F%2Fwiki.example.com%2Fx", "", "not exactly one with this",
				"", "let the app send id_token_hint"},
			{"GET", "/oauth2/logout", "post_logout_redirect_uri=https%3A%2F%2Fshared.example.com%2F", "", "not exactly one with this",
				"", "let the app send id_token_hint"},
		} {
			m.now.Add(60) // failed client authentications are limited
			w := m.send(row.method, row.path, row.form)
			log := m.log.String()
			var lines []string
			for line := range strings.Lines(log) {
				if strings.Contains(line, "request of an app rejected") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 {
				t.Errorf("%s %s: %d, %d lines, want 1\n%s", row.path, row.form, w.Code, len(lines), log)
				continue
			}
			app := "app=" + row.app + " "
			if row.app == "" {
				app = `app="" `
			}
			for _, want := range []string{"level=WARN", "path=" + row.path, app, row.reason, row.sent, row.remedy} {
				if !strings.Contains(lines[0], want) {
					t.Errorf("%s %s: %s\nwant %s", row.path, row.form, lines[0], want)
				}
			}
			if strings.Contains(log, "hunter2") {
				t.Errorf("%s %s: a secret is in the log: %s", row.path, row.form, log)
			}
			if row.app != "wiki" && row.app != "phone" {
				continue
			}
			list, err := m.ListAppRejections(t.Context(), row.app)
			reason := strings.ReplaceAll(row.reason, `\`, "")
			if err != nil || len(list) == 0 || !strings.Contains(list[0].Reason, reason) ||
				!strings.Contains(list[0].Sent, row.sent) || !strings.Contains(list[0].Remedy, row.remedy) ||
				list[0].Path != row.path || list[0].LastAt.Unix() != m.now.Load() {
				t.Errorf("%s %s: %v, recorded: %+v", row.path, row.form, err, list)
			}
		}
	})
}

// Many rejected requests are few writes, and their number is not lost. An ID that nobody registered is not recorded.
func TestRejectionsAreBounded(t *testing.T) {
	m := newMisconfigured(t, filepath.Join(t.TempDir(), "twostep.db"))
	rejected := func() { m.send("GET", "/oauth2/authorize", "client_id=phone&redirect_uri=com.example.phone%3A%2Fcb") }
	rejected()
	writes := storetest.Record(t, m.store)
	for i := range 100 {
		rejected()
		m.send("GET", "/oauth2/authorize", "client_id=made-up-"+strings.Repeat("x", i))
	}
	for _, statement := range writes.Statements() {
		if strings.Contains(statement.Query, "INSERT") {
			t.Errorf("written within the minute: %s", statement.Query)
		}
	}
	m.now.Add(60)
	rejected()
	list, err := m.ListAppRejections(t.Context(), "phone")
	if err != nil || len(list) != 1 || list[0].Requests != 102 {
		t.Errorf("%v, %+v, want 102 requests", err, list)
	}
	for i := range 100 {
		v := url.Values{"client_id": {"wiki"}, "redirect_uri": {"https://wiki.example.com/cb"}, "scope": {strings.Repeat("x", i)}}
		v.Set("response_type", strings.Repeat("x", i))
		m.send("GET", "/oauth2/authorize", v.Encode())
	}
	if list, err := m.ListAppRejections(t.Context(), "wiki"); err != nil || len(list) > 20 {
		t.Errorf("%v, %d reasons", err, len(list))
	}
	m.now.Add(60 * 60)
	m.send("GET", "/oauth2/authorize", "client_id=wiki&redirect_uri=https%3A%2F%2Fwiki.example.com%2Fcb&response_type=code&prompt=x")
	if list, err := m.ListAppRejections(t.Context(), "wiki"); err != nil || len(list) == 0 || !strings.Contains(list[0].Sent, "prompt=x") {
		t.Errorf("%v, after many reasons and an hour: %+v", err, list)
	}
	m.now.Add(61 * 24 * 60 * 60)
	for range 2 { // the time to delete by follows the clock by a day
		if _, err := m.deleteExpired(t.Context(), time.Unix(m.now.Load(), 0)); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := m.ListAppRejections(t.Context(), "phone"); err != nil || len(list) != 0 {
		t.Errorf("%v, after 61 days: %+v", err, list)
	}
}
