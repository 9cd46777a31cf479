package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"twostep"
	"twostep/delivery"
)

// The demo app lets nobody in but through the sign-in, and its menu has the two entries of the
// page that describes the feature, which open in a new window and know the way back.
func TestDemoApp(t *testing.T) {
	dir := t.TempDir()
	web := httptest.NewUnstartedServer(nil)
	web.Start()
	defer web.Close()
	code := make(chan string, 10)
	send := func(_ context.Context, m delivery.Message) error {
		code <- regexp.MustCompile(`(?m)^\d{6}$`).FindString(m.Text)
		return nil
	}
	server, err := twostep.New(t.Context(), twostep.Options{
		Database: filepath.Join(dir, "demo.db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: web.URL, Methods: methods(&settings{}),
		Send: map[delivery.Channel]delivery.Send{delivery.Email: send}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	web.Config.Handler = withDemoApp(server)
	if err := server.AddAccount(t.Context(), twostep.NewAccount{Email: "demo@example.com", Name: "Demo", Password: "correct horse battery"}); err != nil {
		t.Fatal(err)
	}
	client := web.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cookies := map[string]string{}
	ask := func(method, target string, form url.Values) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, web.URL+target, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for _, c := range resp.Cookies() {
			cookies[c.Name] = c.Value
		}
		body, _ := io.ReadAll(resp.Body)
		return resp, string(body)
	}
	for _, page := range []string{"/demo/", "/demo/settings", "/demo/style.css"} {
		if resp, _ := ask("GET", page, nil); resp.StatusCode != 303 || resp.Header.Get("Location") != "/signin?return_to="+url.QueryEscape(page) {
			t.Errorf("%s for nobody: %d %s", page, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	ask("POST", "/signin", url.Values{"email": {"demo@example.com"}, "password": {"correct horse battery"}, "return_to": {"/demo/settings"}})
	if resp, _ := ask("POST", "/signin/verify", url.Values{"code": {<-code}}); resp.Header.Get("Location") != "/demo/settings" {
		t.Fatalf("after signing in: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	resp, text := ask("GET", "/demo/settings", nil)
	for _, want := range []string{"demo@example.com", "Settings › Billing &amp; Admin",
		`<a href="/settings/2step/app?return_to=/demo/settings" target="_blank" rel="noopener">2-Step Auth App</a>`,
		`<a href="/settings/2step/sms?return_to=/demo/settings" target="_blank" rel="noopener">2-Step SMS Number</a>`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Count(text, "<li>") != 2 || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "style-src 'self'") {
		t.Errorf("%v %s", resp.Header, text)
	}
	if resp, text := ask("GET", "/demo/", nil); resp.StatusCode != 200 || !strings.Contains(text, "Invoices") {
		t.Error(resp.StatusCode, text)
	}
	if resp, _ := ask("GET", "/demo/nothing", nil); resp.StatusCode != 404 {
		t.Error(resp.StatusCode)
	}
}
