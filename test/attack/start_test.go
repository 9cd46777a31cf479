package attack

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
)

// A public server starts in the mode that shows everybody the mail, over plain http, or without its
// own address.
func TestUnsafeOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*twostep.Options){
		"local mode in public": func(o *twostep.Options) { o.Local, o.PublicURL = &twostep.LocalMode{}, "https://signin.example.com" },
		"plain http":           func(o *twostep.Options) { o.PublicURL = "http://signin.example.com" },
		"http, name like ours": func(o *twostep.Options) { o.PublicURL = "http://127.0.0.1.example.com" },
		"no address":           func(o *twostep.Options) { o.PublicURL = "" },
		"a name in it":         func(o *twostep.Options) { o.PublicURL = "https://anna@signin.example.com" },
		"a path in it":         func(o *twostep.Options) { o.PublicURL = "https://signin.example.com/x" },
		"no way to send":       func(o *twostep.Options) { o.Senders = nil },
		"no second step":       func(o *twostep.Options) { o.Methods = nil },
		"no keys":              func(o *twostep.Options) { o.KeyFile = "" },
		"sign-up for anybody?": func(o *twostep.Options) { o.SignUp = "yes" },
	} {
		dir := t.TempDir()
		o := twostep.Options{Database: filepath.Join(dir, "db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: "https://signin.example.com", Methods: []factor.Method{email.Method{}},
			Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: delivery.Inbox{Dir: dir}.Send}, Logger: slog.New(slog.DiscardHandler)}
		set(&o)
		if s, err := twostep.New(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: started", name)
		}
	}
}

// Something for testers is left in: a fixed code, a first account, debugging pages, the inbox.
func TestNoDebugPagesOrDefaultAccounts(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) { o.SignUp = "" })
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/metrics", "/inbox", "/inbox/x", "/admin", "/admin/login", "/login", "/api", "/api/login", "/test", "/setup", "/install", "/graphql", "/.env", "/.git/config", "/swagger", "/actuator", "/oauth2/register", "/oauth2/clients"} {
		h.wantStatus(h.Browser().Get(path), http.StatusNotFound)
	}
	h.wantStatus(h.Browser().Get("/signup"), http.StatusNotFound)
	h.wantStatus(h.Browser().Post("/signup", "email", "eva@example.net", "name", "Eva"), http.StatusNotFound)
	h.wantStatus(h.Browser().Post("/inbox/clock", "minutes", "16"), http.StatusNotFound)
	if n := h.count("accounts"); n != 1 {
		t.Errorf("%d accounts in a new database, want Anna's", n)
	}
	for range 3 {
		b := h.Browser()
		code := b.Password()
		for _, fixed := range []string{"000000", "123456", "111111", "999999"} {
			if fixed != code {
				b.Post("/signin/verify", "code", fixed)
			}
		}
		h.wantNoSession("a code for testers", b)
	}
}

// An attacker fills the tables. There is no row before a right password, and a bounded number of links
// for each network.
func TestStrangersCannotFillTables(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	before := h.contents()
	for _, r := range inventory {
		method, path := path(r.pattern)
		if method != http.MethodPost || strings.HasPrefix(path, "/inbox") || path == "/forgot" || path == "/signup" {
			continue
		}
		form := strings.ReplaceAll(r.form, "correct", "wrong")
		for range 3 {
			h.post(h.Browser(), path, form)
		}
	}
	if h.contents() != before {
		t.Error("an attacker left a row behind")
	}
	for i := range 40 {
		a := h.BrowserAt("127.0.0.1").Post("/forgot", "email", "nobody"+string(rune('a'+i%26))+"@example.net")
		if want := map[bool]int{true: 303, false: 429}[i < 30]; a.StatusCode != want {
			t.Errorf("link %d: %d, want %d", i, a.StatusCode, want)
		}
	}
	if n := h.count("email_links"); n != 30 {
		t.Errorf("%d links for one network in an hour, want 30", n)
	}
}
