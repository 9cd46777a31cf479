// Package demo is a small app that signs people in through OpenID Connect, as an owner of an app may write one.
//
//	home, settings, pay ─▶ begin ─▶ (the sign-in server) ─▶ callback ─▶ the page that was wanted
//
// It knows the sign-in server by its address alone, and nothing of this module: whatever is
// done here, any app can do with any client library.
package demo

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Base is the path below which the app lives.
const Base = "/demo/"

// The addresses that the app is registered with at the sign-in server, below its origin.
const (
	Callback    = Base + "callback"
	SignedOut   = Base
	BackChannel = Base + "backchannel"
)

// Options say where the app signs people in, and as whom.
type Options struct {
	Issuer string // the sign-in server; the app itself is on the same origin
	ID     string // the client_id
	Secret string
	Now    func() time.Time
	Log    *slog.Logger
}

// App is the app.
type App struct {
	Options
	flows    shelf[flow]
	sessions shelf[session]
	client   *http.Client

	mu    sync.Mutex
	known *provider // nil until somebody needed it
}

// How long things live, and how many of them: a small app has little memory.
const (
	flowLife    = time.Hour // somebody may set up an authenticator app on the way
	sessionLife = 8 * time.Hour
	most        = 1000
)

// New makes the app. It asks the sign-in server for nothing before somebody comes.
func New(o Options) *App {
	return &App{
		Options: o, client: &http.Client{Timeout: 8 * time.Second},
		flows: shelf[flow]{now: o.Now, life: flowLife}, sessions: shelf[session]{now: o.Now, life: sessionLife},
	}
}

//go:embed pages
var files embed.FS

// Handler is all pages of the app, below Base.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Base+"{$}", a.home)
	mux.HandleFunc("GET "+Base+"settings", a.settings)
	mux.HandleFunc("GET "+Base+"claims", a.claims)
	mux.HandleFunc("GET "+Base+"pay/{id}", a.pay)
	mux.HandleFunc("POST "+Base+"pay/{id}", a.confirmPay)
	mux.HandleFunc("GET "+Base+"pay/{id}/setup", a.setup)
	mux.HandleFunc("GET "+Base+"signin", a.signIn)
	mux.HandleFunc("GET "+Base+"2step/{action}", a.secondStep)
	mux.HandleFunc("GET "+Callback, a.callback)
	mux.HandleFunc("GET "+Base+"sorry", a.sorry)
	mux.HandleFunc("POST "+Base+"signout", a.signOut)
	mux.HandleFunc("POST "+BackChannel, a.backChannel)
	mux.HandleFunc("GET "+Base+"style.css", a.style)
	sameOrigin := http.NewCrossOriginProtection() // the sign-in server is no browser, and passes
	return a.door(sameOrigin.Handler(mux))
}

// door is what every request passes. Who comes by another name of this machine is sent to the
// one to which the sign-in server sends people back: a cookie counts for one name only.
func (a *App) door(next http.Handler) http.Handler {
	home, err := url.Parse(a.Issuer)
	policy := "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + a.Issuer
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if err != nil || r.Host != home.Host {
			if r.Method != http.MethodGet {
				http.Error(w, "another host", http.StatusMisdirectedRequest)
				return
			}
			http.Redirect(w, r, a.Issuer+r.URL.EscapedPath(), http.StatusSeeOther)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		next.ServeHTTP(w, r)
	})
}

// provider is what the sign-in server says of itself.
type provider struct {
	oauth2.Config
	verifier *oidc.IDTokenVerifier
	signOut  string // its end_session_endpoint
}

// provider asks the sign-in server where everything is, the first time that somebody needs it:
// the two start together here, and whoever starts first must not wait for the other.
func (a *App) provider(ctx context.Context) (*provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known != nil {
		return a.known, nil
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, a.client), a.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		SignOut string `json:"end_session_endpoint"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	a.known = &provider{
		Config: oauth2.Config{
			ClientID: a.ID, ClientSecret: a.Secret, Endpoint: found.Endpoint(), RedirectURL: a.Issuer + Callback,
			Scopes: []string{oidc.ScopeOpenID, "profile", "email", "groups"},
		},
		verifier: found.Verifier(&oidc.Config{ClientID: a.ID, Now: a.Now}),
		signOut:  more.SignOut,
	}
	return a.known, nil
}
