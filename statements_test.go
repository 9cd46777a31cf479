package twostep

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/store/storetest"
)

// overheard is the method email; the test reads the code that it mails.
type overheard struct {
	email.Method
	code *string
}

func (o overheard) Challenge(ctx context.Context, ask factor.Request) (factor.Challenge, error) {
	asked, err := o.Method.Challenge(ctx, ask)
	*o.code = asked.Answer
	return asked, err
}

// A sign-in runs no more statements than these, in so many transactions: each is loaded once, and each commit waits for
// the disk. The log has the statements.
func TestStatementsOfASignIn(t *testing.T) {
	const address, password = "anna@example.com", "correct horse battery"
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		var code string
		o := options(t)
		o.Database, o.NoBackgroundWork, o.Methods = database, true, []factor.Method{overheard{code: &code}}
		server, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if err := server.CreateAccount(t.Context(), AccountParams{Email: address, Name: "Anna", Password: password}); err != nil {
			t.Fatal(err)
		}
		count := storetest.Record(t, server.store)
		cookies := map[string]string{}
		request := func(most, transactions int, method, path string, form url.Values) {
			t.Helper()
			r := httptest.NewRequest(method, "https://signin.example.com"+path, strings.NewReader(form.Encode()))
			r.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0")
			r.RemoteAddr = "203.0.113.5:40000"
			if method == http.MethodPost {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			for name, value := range cookies {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
			w := httptest.NewRecorder()
			count.Reset()
			server.ServeHTTP(w, r)
			for _, c := range w.Result().Cookies() {
				cookies[c.Name] = c.Value
			}
			n := len(count.Statements())
			t.Logf("%s %s: %d statements, at most %d\n%s", method, path, n, most, count)
			if w.Code >= http.StatusBadRequest || n > most {
				t.Errorf("%s %s: status %d, %d statements, want at most %d", method, path, w.Code, n, most)
			}
			if got := count.Transactions(); got > transactions {
				t.Errorf("%s %s: %d transactions, want at most %d", method, path, got, transactions)
			}
		}
		request(0, 0, http.MethodGet, "/signin", nil)
		request(16, 2, http.MethodPost, "/signin", url.Values{"email": {address}, "password": {password}})
		request(3, 0, http.MethodGet, "/signin/verify", nil)
		request(3, 0, http.MethodGet, "/signin/status", nil)
		request(24, 2, http.MethodPost, "/signin/verify", url.Values{"code": {code}, "trust": {"on"}})
		delete(cookies, "__Host-session")
		request(10, 2, http.MethodPost, "/signin", url.Values{"email": {address}, "password": {password}}) // trusted
		if cookies["__Host-session"] == "" {
			t.Error("trust did not skip the second step")
		}
	})
}
