package main

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
)

// demoUser is a person who uses the demo app, with a browser that follows redirects.
type demoUser struct {
	t    *testing.T
	base string
	code chan string
	*http.Client
	clockOffset *atomic.Int64 // of the server's clock, nanoseconds
}

// appCode returns the current code of the authenticator app.
func (v *demoUser) appCode(secret string) string {
	v.t.Helper()
	at := time.Now().Add(time.Duration(v.clockOffset.Load())).UTC().Format("2006-01-02 15:04:05 UTC")
	code, err := exec.CommandContext(v.t.Context(), "oathtool", "--totp", "--base32", "--now", at, secret).Output()
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.TrimSpace(string(code))
}

// inboxKey is the key of the inbox in newDemo.
const inboxKey = "key-of-the-inbox"

// newDemo starts a server with the demo app, as serve --demo does.
func newDemo(t *testing.T) *demoUser {
	t.Helper()
	dir, web := t.TempDir(), httptest.NewServer(nil)
	v := &demoUser{t: t, base: web.URL, code: make(chan string, 10), Client: web.Client(), clockOffset: &atomic.Int64{}}
	t.Cleanup(web.Close)
	send := func(_ context.Context, m delivery.Message) error {
		if code := regexp.MustCompile(`(?m)^\d{6}$`).FindString(m.Text); code != "" {
			v.code <- code
		}
		return nil
	}
	o := twostep.Options{
		Database: filepath.Join(dir, "demo.db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: web.URL,
		Methods: verificationMethods(&settings{}),
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: send, delivery.SMS: send},
		Logger:  slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return time.Now().Add(time.Duration(v.clockOffset.Load())) },
	}
	app := addDemoApp(&o)
	server, err := twostep.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { web.Close(); server.Close() })
	web.Config.Handler = mountDemoApp(app, server, inboxKey)
	if err := server.CreateAccount(t.Context(),
		twostep.AccountParams{Email: "demo@example.com", Name: "Demo", Password: "correct horse battery"}); err != nil {
		t.Fatal(err)
	}
	return v.withNewBrowser()
}

// withNewBrowser returns the same person with another browser.
func (v *demoUser) withNewBrowser() *demoUser {
	other := *v
	jar, err := cookiejar.New(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	other.Client = &http.Client{Transport: v.Transport, Jar: jar}
	return &other
}

// fetch requests a page or posts a form. It follows redirects and returns the last response and its
// body.
func (v *demoUser) fetch(method, target string, form url.Values) (r *http.Response, body string) {
	v.t.Helper()
	request, err := http.NewRequest(method, v.base+target, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r, err = v.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return r, string(text)
}

// wantPage requires a request to end at the path to with a page that contains all of the texts.
func (v *demoUser) wantPage(method, target string, form url.Values, to string, texts ...string) string {
	v.t.Helper()
	r, body := v.fetch(method, target, form)
	if got := r.Request.URL.Path; got != to {
		v.t.Fatalf("%s leads to %s (%d), want %s\n%s", target, got, r.StatusCode, to, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			v.t.Errorf("%s does not say %q\n%s", to, text, body)
		}
	}
	return body
}

// formAt returns the address of the form on a page that is sent to a path; it has the return target of the page.
func formAt(page, path string) string {
	m := regexp.MustCompile(`action="(` + path + `(?:\?[^"]*)?)"`).FindStringSubmatch(page)
	if m == nil {
		return "/no-form-for" + path
	}
	return html.UnescapeString(m[1])
}

// signIn completes both steps on the sign-in page that the app redirected to.
func (v *demoUser) signIn(page, to string, texts ...string) {
	v.t.Helper()
	page = v.wantPage("POST", formAt(page, "/signin"), url.Values{"email": {"demo@example.com"},
		"password": {"correct horse battery"}}, "/signin/verify")
	v.wantPage("POST", formAt(page, "/signin/verify"), url.Values{"code": {<-v.code}}, to, texts...)
}

// The demo app requires a sign-in, its menu has the two entries of the help page, which open in a
// new window and have a link back, and it shows the claims it received.
func TestDemoAppSignIn(t *testing.T) {
	v := newDemo(t)
	v.wantPage("GET", "/demo/", nil, "/demo/", "Welcome to Demo Books", `href="/demo/signin"`)
	for _, page := range []string{"/demo/settings", "/demo/claims", "/demo/pay/2"} {
		v.wantPage("GET", page, nil, "/signin", "Demo Books")
	}
	v.signIn(v.wantPage("GET", "/demo/settings", nil, "/signin"), "/demo/settings", "demo@example.com",
		"Settings › Billing &amp; Admin",
		`<a href="/demo/2step/app" target="_blank" rel="noopener">2-Step Auth App</a>`,
		`<a href="/demo/2step/sms" target="_blank" rel="noopener">2-Step SMS Number</a>`)
	v.wantPage("GET", "/demo/", nil, "/demo/", "Bakery Brown")
	v.wantPage("GET", "/demo/claims", nil, "/demo/claims", "<code>sub</code>", "demo@example.com", "<code>acr</code>",
		"urn:twostep:acr:email", "a code sent by email", "pwd, email", "demo-books")
	v.wantPage("GET", "/demo/2step/sms", nil, "/settings/2step/sms")
	v.wantPage("GET", "/demo/2step/app", nil, "/settings/2step/app")
	for _, page := range []string{"/demo/nothing", "/demo/pay/9", "/demo/2step/password"} {
		if r, _ := v.fetch("GET", page, nil); r.StatusCode != 404 {
			t.Error(page, r.StatusCode)
		}
	}
	r, _ := v.fetch("GET", "/demo/style.css", nil)
	if policy := r.Header.Get("Content-Security-Policy"); r.StatusCode != 200 ||
		!strings.Contains(policy, "default-src 'none'; style-src 'self'") {
		t.Error(r.StatusCode, policy)
	}
}

// A payment requires more than a code sent by email. A person without another method gets an
// explanation and a link to the set-up; then the demo app requires a code of the authenticator app.
func TestDemoAppStepUp(t *testing.T) {
	v := newDemo(t)
	v.signIn(v.wantPage("GET", "/demo/pay/1", nil, "/signin"), "/demo/pay/1", "Bakery Brown", "Confirm it's you")
	v.wantPage("POST", "/demo/pay/1", nil, "/demo/pay/1/setup", "Your account has neither yet",
		`href="/demo/2step/app?invoice=1"`)
	body := v.wantPage("GET", "/demo/2step/app?invoice=1", nil, "/settings/2step/app")
	body = v.wantPage("POST", formAt(body, "/settings/2step/app"), url.Values{"name": {""}}, "/settings/2step/app")
	secret := regexp.MustCompile(`secret=([A-Z2-7]+)`).FindStringSubmatch(body)[1]
	body = v.wantPage("POST", formAt(body, "/settings/2step/app/verify"), url.Values{"code": {v.appCode(secret)}},
		"/settings/2step/app/done")
	v.wantPage("GET", regexp.MustCompile(`class="button" href="([^"]+)"`).FindStringSubmatch(body)[1], nil,
		"/demo/pay/1", "Confirm it's you")
	body = v.wantPage("POST", "/demo/pay/1", nil, "/settings/confirm", "Demo Books")
	body = v.wantPage("POST", formAt(body, "/settings/confirm"), url.Values{"password": {"correct horse battery"}},
		"/signin/verify")
	v.clockOffset.Add(int64(30 * time.Second)) // each code works once
	v.wantPage("POST", formAt(body, "/signin/verify"), url.Values{"code": {v.appCode(secret)}}, "/demo/pay/1", "Thanks for confirming",
		"Pay 1,240.00")
	v.wantPage("POST", "/demo/pay/1", nil, "/demo/pay/1", "This invoice is paid")
	v.wantPage("GET", "/demo/claims", nil, "/demo/claims", "urn:twostep:acr:2", "pwd, otp, mfa")
	v.wantPage("GET", "/demo/", nil, "/demo/", "<td>Yes")
}

// Signing out of the app signs out of the server, and the other way round; an authorization
// response in another browser or a second time is refused.
func TestDemoAppSignOut(t *testing.T) {
	v := newDemo(t)
	v.signIn(v.wantPage("GET", "/demo/claims", nil, "/signin"), "/demo/claims", "demo@example.com")
	v.wantPage("POST", "/demo/signout", nil, "/demo/", "Welcome to Demo Books")
	v.wantPage("GET", "/settings", nil, "/signin")

	v.signIn(v.wantPage("GET", "/demo/claims", nil, "/signin"), "/demo/claims", "demo@example.com")
	v.wantPage("POST", "/signout", nil, "/signin")
	late := time.Now().Add(20 * time.Second) // back-channel logout runs after the response
	for r, _ := v.fetch("GET", "/demo/claims", nil); r.Request.URL.Path == "/demo/claims"; r, _ = v.fetch("GET",
		"/demo/claims", nil) {
		if time.Now().After(late) {
			t.Fatal("the app was not told of the sign-out")
		}
	}
	if r, _ := v.fetch("POST", "/demo/backchannel", url.Values{"logout_token": {"eyJ.e30.x"}}); r.StatusCode != 400 {
		t.Error("an unsigned logout token was accepted:", r.StatusCode)
	}

	v.signIn(v.wantPage("GET", "/demo/claims", nil, "/signin"), "/demo/claims")
	mine, other := v.withNewBrowser(), v.withNewBrowser()
	mine.Jar = v.Jar
	mine.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/demo/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	r, _ := mine.fetch("GET", "/demo/signin", nil)
	back, err := url.Parse(r.Header.Get("Location"))
	if err != nil || back.Path != "/demo/callback" {
		t.Fatal(back, err)
	}
	other.wantPage("GET", back.RequestURI(), nil, "/demo/callback", "This sign-in is no longer valid")
	other.wantPage("GET", "/demo/", nil, "/demo/", "Welcome to Demo Books")
	v.wantPage("GET", back.RequestURI(), nil, "/demo/callback", "This sign-in is no longer valid")
}
