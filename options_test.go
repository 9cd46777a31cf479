package twostep

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/seal"
)

func options(t *testing.T) Options {
	dir := t.TempDir()
	return Options{
		Database: filepath.Join(dir, "twostep.db"), KeyFile: filepath.Join(dir, "keys"),
		PublicURL: "https://Signin.example.com:443/",
		Methods:   []factor.Method{email.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{
			delivery.Email: func(context.Context, delivery.Message) error { return nil },
		},
	}
}

// described is a method with another description than its own.
type described struct {
	totp.Method
	about factor.Info
}

func (d described) Info() factor.Info { return d.about }

// Nonsense is refused before anything is opened, in words that name the option.
func TestNonsense(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"Database is missing":              func(o *Options) { o.Database = "" },
		"KeyFile is missing":               func(o *Options) { o.KeyFile = "" },
		"Methods is missing":               func(o *Options) { o.Methods = nil },
		"Senders is missing":               func(o *Options) { o.Senders = nil },
		"of the form":                      func(o *Options) { o.PublicURL = "" },
		"not of the form":                  func(o *Options) { o.PublicURL = "https://example.com/path" },
		"form https://host":                func(o *Options) { o.PublicURL = "https://me@example.com" },
		"want https, because":              func(o *Options) { o.PublicURL = "http://example.com" },
		"passwords travel":                 func(o *Options) { o.PublicURL = "ftp://example.com" },
		"must be a loopback":               func(o *Options) { o.Local = &LocalMode{} },
		"control character":                func(o *Options) { o.Site = "Example\n@evil" },
		"SignUp is":                        func(o *Options) { o.SignUp = "yes" },
		"Policy policy.session.idle is 1s": func(o *Options) { o.Policy.All.Idle = time.Second },
		"Policy policy.group.a.methods has \"fax\"": func(o *Options) {
			o.Policy.Groups = map[string]PolicyRule{"a": {Methods: []string{"fax"}}}
		},
		"Postgres has a negative":                      func(o *Options) { o.Postgres.MaxConnections = -1 },
		"EmailSecondStep is \"never\"":                 func(o *Options) { o.EmailSecondStep = "never" },
		"EmailPauseAfterReset is 1m":                   func(o *Options) { o.EmailPauseAfterReset = time.Minute },
		"EmailPauseAfterReset is 1h30":                 func(o *Options) { o.EmailPauseAfterReset = 90 * time.Minute },
		"AuditDays is 365":                             func(o *Options) { o.AuditDays = 365 },
		"Brand: logo: the file is neither SVG nor PNG": func(o *Options) { o.Brand.Logo = []byte("x") },
		"Brand: mail_logo: the file is neither":        func(o *Options) { o.Brand.MailLogo = []byte("x") },
		"Brand: color: \"red\" is not a color":         func(o *Options) { o.Brand.Color = "red" },
		"Brand: support: \"x\" is neither":             func(o *Options) { o.Brand.Support = "x" },
		"Brand: footer: longer":                        func(o *Options) { o.Brand.Footer = "a\x00" },
		`two methods are named "email"`: func(o *Options) {
			o.Methods = append(o.Methods, totp.Method{}, email.Method{CodeTTL: time.Minute})
		},
		`"totp" and "other" have the same page, /settings/2step/app`: func(o *Options) {
			other := totp.Method{}.Info()
			other.Method = "other"
			o.Methods = append(o.Methods, totp.Method{}, described{about: other})
		},
		`Methods[1]: its Info().Method is empty`: func(o *Options) {
			o.Methods = append(o.Methods, described{})
		},
		`Methods[1] is nil`: func(o *Options) { o.Methods = append(o.Methods, nil) },
		`a code of "email" is valid for 15m1s, not for 0 to 15m0s: it would outlive its sign-in`: func(o *Options) {
			o.Methods = []factor.Method{email.Method{CodeTTL: 15*time.Minute + time.Second}}
		},
		`a code of "email" is valid for -1s`: func(o *Options) {
			o.Methods = []factor.Method{email.Method{CodeTTL: -time.Second}}
		},
	} {
		o := options(t)
		spoil(&o)
		if s, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", want, s, err)
		}
	}
}

// Methods that differ are taken, and so is the longest code that a sign-in leaves time for.
func TestMethodsThatAreTaken(t *testing.T) {
	o := options(t)
	o.Methods = []factor.Method{
		totp.Method{}, email.Method{CodeTTL: 15 * time.Minute},
		described{about: factor.Info{Method: "a"}}, described{about: factor.Info{Method: "b"}},
	}
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestDefaults(t *testing.T) {
	o, err := options(t).completed()
	if err != nil {
		t.Fatal(err)
	}
	if o.PublicURL != "https://signin.example.com" || o.Site != "signin.example.com" || o.SignUp != "invited" ||
		o.rules.For(nil, "").Idle.For != time.Hour || o.rules.For(nil, "").Absolute.For != 24*time.Hour {
		t.Errorf("got %+v", o)
	}
}

// Only the names of this server are answered; on loopback, all of them.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		public, host, path string
		known              bool
	}{
		{"https://signin.example.com", "signin.example.com", "/signin", true},
		{"https://signin.example.com", "SIGNIN.example.com", "/signin", true},
		{"https://signin.example.com", "signin.example.com:8080", "/signin", false},
		{"https://signin.example.com", "example.com", "/signin", false},
		{"https://signin.example.com", "signin.example.com@evil.example", "/signin", false},
		{"https://signin.example.com", "127.0.0.1", "/signin", false},
		{"https://signin.example.com", "", "/signin", false},
		{"https://signin.example.com", "10.0.0.7:8080", "/healthz", true},
		{"http://127.0.0.1:8080", "127.0.0.1:8080", "/inbox", true},
		{"http://127.0.0.1:8080", "localhost:8080", "/inbox", true},
		{"http://127.0.0.1:8080", "[::1]:8080", "/inbox", true},
		{"http://127.0.0.1:8080", "localhost:8081", "/inbox", false},
		{"http://127.0.0.1:8080", "rebound.example:8080", "/inbox", false},
		{"http://127.0.0.1:8080", "localhost.evil.example:8080", "/inbox", false},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = c.host
		if got := (Options{PublicURL: c.public}).isForServer(r); got != c.known {
			t.Errorf("%s asked for %q %s: known %v", c.public, c.host, c.path, got)
		}
	}
}

// A database of other keys is refused, and stays as it is.
func TestOtherKeys(t *testing.T) {
	o := options(t)
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	right := o.KeyFile
	o.KeyFile = filepath.Join(t.TempDir(), "keys")
	if _, _, err := seal.CreateKeyRing(o.KeyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "other keys") {
		t.Errorf("got %v", err)
	}
	o.KeyFile = right
	if s, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s.Close()
}
