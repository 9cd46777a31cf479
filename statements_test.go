package twostep

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
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

// An introspection reads the token, and the account only if the rule of a group can end the grant. UserInfo reads each
// once.
func TestStatementsOfTokens(t *testing.T) {
	const address = "anna@example.com"
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		keys := filepath.Join(t.TempDir(), "keys")
		group := func(r PolicyRule) Policy { return Policy{Groups: map[string]PolicyRule{"finance": r}} }
		for _, c := range []struct {
			what       string
			policy     Policy
			introspect int
		}{
			{"no rules", Policy{}, 1},
			{"of all", Policy{All: PolicyRule{Refresh: 24 * time.Hour, Methods: []string{"email"}}}, 1},
			{"of the app", Policy{Apps: map[string]PolicyRule{"wiki": {Refresh: time.Hour}}}, 1},
			{"of a group, that ends no grant", group(PolicyRule{Idle: time.Minute, Refresh: 24 * time.Hour}), 1},
			{"of a group, that could end it", group(PolicyRule{Methods: []string{"totp"}}), 2},
		} {
			o := options(t)
			o.Database, o.KeyFile, o.NoBackgroundWork, o.Policy = database, keys, true, c.policy
			o.Methods = []factor.Method{email.Method{}, totp.Method{}}
			server, err := New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			anna := AccountParams{Email: address, Name: "Anna", Password: "correct horse battery"}
			err = server.CreateAccount(t.Context(), anna)
			if err != nil && !errors.Is(err, ErrAccountExists) {
				t.Fatal(err)
			}
			a, err := server.store.FindAccountByEmail(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			now, token, id := time.Now(), seal.NewToken(), rand.Text()
			if err := server.store.CreateGrant(t.Context(), store.Grant{
				ID: id, ClientID: "wiki", AccountID: a.ID, Epoch: a.Epoch, Scope: "openid email", CodeBinding: "{}",
				AMR: "pwd email", Method: "email", Offline: true, CodeHash: seal.HashToken(id), AuthenticatedAt: now,
				CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			}); err != nil {
				t.Fatal(err)
			}
			if err := server.store.CreateToken(t.Context(), store.Token{
				Hash: seal.HashToken(token), GrantID: id, Kind: store.AccessToken, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			}); err != nil {
				t.Fatal(err)
			}
			count := storetest.Record(t, server.store)
			g, err := server.grants.FindGrantByAccessToken(t.Context(), token)
			if n := len(count.Statements()); err != nil || n != c.introspect {
				t.Errorf("rules %s: %d statements, want %d, %v\n%s", c.what, n, c.introspect, err, count)
			}
			who, err := server.grants.GetUserInfo(t.Context(), g)
			if n := len(count.Statements()); err != nil || who.Email != address || n != 2 {
				t.Errorf("rules %s: %d statements with the user info of %s, want 2, %v\n%s", c.what, n, who.Email, err, count)
			}
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
