package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/check"
)

// runDemo runs serve --demo and returns a person with a browser, the demo account's password and the
// codes in the inbox.
func runDemo(t *testing.T) (v *demoUser, password string, codes codeReader) {
	t.Helper()
	data := t.TempDir()
	t.Setenv("TWOSTEP_DATA", data) // for the check
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := realMain(ctx, []string{"serve", "--demo", "--listen", "127.0.0.1:0", "--data", data}, writer, io.Discard)
		writer.CloseWithError(io.EOF)
		ended <- err
	}()
	out := bufio.NewScanner(reader)
	v = &demoUser{t: t, Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		clockOffset: &atomic.Int64{}}
	for v.base == "" && out.Scan() {
		if text, ok := strings.CutPrefix(out.Text(), "demo account: demo@example.com "); ok {
			password = text
		}
		if text, ok := strings.CutPrefix(out.Text(), "Twostep is listening on "); ok {
			v.base = text
		}
	}
	go io.Copy(io.Discard, reader)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if v.base == "" || password == "" {
		t.Fatal("the demo does not print its address and the password")
	}
	codes = codeReader{inbox: delivery.Inbox{Dir: filepath.Join(data, "inbox")}, seen: map[string]bool{}}
	return v.withNewBrowser(), password, codes
}

// codeReader reads the codes in an inbox, each once.
type codeReader struct {
	inbox delivery.Inbox
	seen  map[string]bool // messages, by ID
}

// next waits for a message to the address with a code that was not read before, and returns the code.
func (c codeReader) next(t *testing.T, to string) string {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for enough := time.After(30 * time.Second); ; {
		all, err := c.inbox.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			code := regexp.MustCompile(`(?m)^\d{6}\b`).FindString(m.Text)
			if m.To == to && code != "" && !c.seen[m.ID] {
				c.seen[m.ID] = true
				return code
			}
		}
		select {
		case <-look.C:
		case <-enough:
			t.Fatal("no code to " + to)
		}
	}
}

// The README says: sign in, trust the browser, set up an authenticator app and a phone number, and run
// twostep check. Each sentence of the help page passes, also the second time, and the demo account
// keeps what the person has set up. Given that account, the check says what to do, in one line.
func TestCheckAfterReadme(t *testing.T) {
	v, password, codes := runDemo(t)
	credentials := url.Values{"email": {"demo@example.com"}, "password": {password}}
	v.wantPage("POST", "/signin", credentials, "/signin/verify")
	v.wantPage("POST", "/signin/verify", url.Values{"code": {codes.next(t, "demo@example.com")}, "trust": {"1"}},
		"/settings")
	v.wantPage("POST", "/signout", nil, "/signin")
	v.wantPage("POST", "/signin", credentials, "/settings")

	body := v.wantPage("GET", "/demo/2step/sms", nil, "/settings/confirm")
	body = v.wantPage("POST", formAt(body, "/settings/confirm"), url.Values{"password": {password}}, "/signin/verify")
	body = v.wantPage("POST", formAt(body, "/signin/verify"), url.Values{"code": {codes.next(t, "demo@example.com")}},
		"/settings/2step/sms")
	body = v.wantPage("POST", formAt(body, "/settings/2step/sms"),
		url.Values{"country": {"DE"}, "number": {"0171 2345678"}}, "/settings/2step/sms")
	v.wantPage("POST", formAt(body, "/settings/2step/sms/verify"),
		url.Values{"code": {codes.next(t, "+491712345678")}}, "/settings/2step/sms/done")
	body = v.wantPage("POST", "/settings/2step/app", url.Values{"name": {""}}, "/settings/2step/app")
	secret := regexp.MustCompile(`secret=([A-Z2-7]+)`).FindStringSubmatch(body)[1]
	v.wantPage("POST", "/settings/2step/app/verify", url.Values{"code": {v.appCode(secret)}}, "/settings/2step/app/done")

	for range 2 {
		var out bytes.Buffer
		if err := realMain(t.Context(), []string{"check", "--url", v.base}, &out, io.Discard); err != nil {
			t.Errorf("%v\n%s", err, &out)
		}
		if !strings.HasSuffix(out.String(), "\n55 passed, 0 failed, 0 not yet\n") {
			t.Errorf("the check says:\n%s", &out)
		}
	}
	other := v.withNewBrowser()
	other.wantPage("POST", "/signin", credentials, "/signin/method", "Authenticator App", "text message to", "678")
	other.wantPage("POST", "/signin/method", url.Values{"method": {"email"}}, "/signin/verify")
	other.wantPage("POST", "/signin/verify", url.Values{"code": {codes.next(t, "demo@example.com")}},
		"/settings")
	other.wantPage("GET", "/settings/devices", nil, "/settings/devices", "127.0.0.1")

	t.Setenv("TWOSTEP_CHECK_PASSWORD", password)
	var out bytes.Buffer
	err := realMain(t.Context(), []string{"check", "--url", v.base, "--account", "demo@example.com"}, &out, io.Discard)
	if !errors.Is(err, check.ErrUsage) || !strings.Contains(err.Error(), "has other verification methods than email") ||
		strings.Contains(err.Error(), "\n") || out.Len() != 0 {
		t.Errorf("with the demo account: %v\n%s", err, &out)
	}
}

// On a server of which no app's menu leads to the methods, the check tests the sentences about the settings of the
// server, with an account that it is given.
func TestCheckWithoutMenu(t *testing.T) {
	dir, web := t.TempDir(), httptest.NewServer(nil)
	defer web.Close()
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	inbox := &delivery.Inbox{Dir: filepath.Join(dir, "inbox"), Now: now}
	server, err := twostep.New(t.Context(), twostep.Options{
		Database: filepath.Join(dir, "twostep.db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: web.URL,
		Methods: verificationMethods(&settings{}), Now: now, Logger: slog.New(slog.DiscardHandler),
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: inbox.Send, delivery.SMS: inbox.Send},
		Local:   &twostep.LocalMode{Inbox: inbox, AdvanceClock: func(d time.Duration) { offset.Add(int64(d)) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	web.Config.Handler = server
	key, err := inbox.Key()
	if err != nil {
		t.Fatal(err)
	}
	target := check.Target{URL: web.URL, InboxKey: key, Email: "ben@example.com", Password: "correct horse battery"}
	err = server.CreateAccount(t.Context(),
		twostep.AccountParams{Email: target.Email, Name: "Ben", Password: target.Password})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := check.Run(t.Context(), target, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	for _, line := range []string{"pass     Browse to Settings\n", "pass     Select Authenticator App\n",
		"pass     Select SMS\n", "\n55 passed, 0 failed, 0 not yet\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the check does not say %q\n%s", line, &out)
		}
	}
}

// The account for the check is created for a program on this machine: not for a page of another site, not
// under another host name, and not on a server without --demo.
func TestCheckAccountIsForThisMachine(t *testing.T) {
	v := newDemo(t)
	post := func(host string, headers ...string) (*http.Response, check.Account) {
		r, err := http.NewRequest(http.MethodPost, v.base+check.AccountPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			r.Host = host
		}
		r.AddCookie(&http.Cookie{Name: "inbox", Value: inboxKey})
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := v.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var account check.Account
		_ = json.NewDecoder(resp.Body).Decode(&account) // refusals are text
		return resp, account
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(v.base, "http://"), ":")
	_, first := post("")
	_, second := post("localhost:" + port)
	if first.Email == "" || len(first.Password) < 20 || second.Email == "" || first.Email == second.Email {
		t.Errorf("accounts %+v and %+v", first, second)
	}
	for name, refused := range map[string]func() (*http.Response, check.Account){
		"another site":   func() (*http.Response, check.Account) { return post("", "Sec-Fetch-Site", "cross-site") },
		"another origin": func() (*http.Response, check.Account) { return post("", "Origin", "https://evil.example") },
		"another host":   func() (*http.Response, check.Account) { return post("evil.example:" + port) },
		"another port":   func() (*http.Response, check.Account) { return post("127.0.0.1:1") },
	} {
		if resp, account := refused(); resp.StatusCode < 400 || account.Email != "" {
			t.Errorf("%s: %d %+v", name, resp.StatusCode, account)
		}
	}
	if r, _ := v.fetch("POST", check.AccountPath, nil); r.StatusCode != http.StatusForbidden {
		t.Errorf("without the key of the inbox: %d", r.StatusCode)
	}
	if r, _ := v.fetch("GET", check.AccountPath, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("GET: %d", r.StatusCode)
	}
}

// What a proxy forwards does not reach the demo, its sample app included, and creates no account.
func TestDemoBehindAProxy(t *testing.T) {
	v, _, _ := runDemo(t)
	for _, target := range []string{"GET /demo/", "GET /signin", "GET /inbox", "GET /healthz", "POST " + check.AccountPath} {
		method, path, _ := strings.Cut(target, " ")
		r, err := http.NewRequest(method, v.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		resp, err := v.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
	if r, body := v.fetch("GET", "/demo/", nil); r.StatusCode != http.StatusOK || !strings.Contains(body, `href="/inbox"`) {
		t.Errorf("the sample app does not lead to the inbox: %d\n%s", r.StatusCode, body)
	}
}

// A server without --demo has no account for the check; the error says what to do.
func TestCheckNeedsDemoOrAccount(t *testing.T) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.NotFound(w, r)
		}
	}))
	defer pages.Close()
	for _, row := range []struct {
		account, want string
	}{{"", "serve --demo, or give --account"}, {"ben@example.com", "set TWOSTEP_CHECK_PASSWORD"}} {
		err := realMain(t.Context(), []string{"check", "--url", pages.URL, "--account", row.account}, io.Discard, io.Discard)
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), row.want) {
			t.Errorf("account %q: %v", row.account, err)
		}
	}
}
