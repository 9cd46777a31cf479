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

// BasePath is the path below which the app lives.
const BasePath = "/demo/"

// The addresses that the app is registered with at the sign-in server, below its origin.
const (
	CallbackPath          = BasePath + "callback"
	PostLogoutRedirect    = BasePath
	BackChannelLogoutPath = BasePath + "backchannel"
)

// Options say where the app signs people in, and as whom.
type Options struct {
	Issuer       string // the sign-in server; the app itself is on the same origin
	ClientID     string // the client_id
	ClientSecret string
	Now          func() time.Time
	Log          *slog.Logger
}

// App is the app.
type App struct {
	Options
	flows    expiringMap[authorization]
	sessions expiringMap[session]
	client   *http.Client

	mu             sync.Mutex
	cachedProvider *provider // nil until somebody needed it
}

// How long things live, and how many of them: a small app has little memory.
const (
	flowTTL    = time.Hour // somebody may set up an authenticator app on the way
	sessionTTL = 8 * time.Hour
	maxEntries = 1000
)

// New makes the app. It asks the sign-in server for nothing before somebody comes.
func New(o Options) *App {
	return &App{
		Options: o, client: &http.Client{Timeout: 8 * time.Second},
		flows: expiringMap[authorization]{
			now: o.Now, ttl: flowTTL,
		}, sessions: expiringMap[session]{now: o.Now, ttl: sessionTTL},
	}
}

//go:embed pages
var templateFiles embed.FS

// Handler is all pages of the app, below Base.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+BasePath+"{$}", a.showHome)
	mux.HandleFunc("GET "+BasePath+"settings", a.showSettings)
	mux.HandleFunc("GET "+BasePath+"claims", a.showClaims)
	mux.HandleFunc("GET "+BasePath+"pay/{id}", a.showPay)
	mux.HandleFunc("POST "+BasePath+"pay/{id}", a.handlePay)
	mux.HandleFunc("GET "+BasePath+"pay/{id}/setup", a.showSetup)
	mux.HandleFunc("GET "+BasePath+"signin", a.startSignIn)
	mux.HandleFunc("GET "+BasePath+"2step/{action}", a.startEnrollment)
	mux.HandleFunc("GET "+CallbackPath, a.handleCallback)
	mux.HandleFunc("GET "+BasePath+"sorry", a.showSignInFailed)
	mux.HandleFunc("POST "+BasePath+"signout", a.handleSignOut)
	mux.HandleFunc("POST "+BackChannelLogoutPath, a.handleBackChannelLogout)
	mux.HandleFunc("GET "+BasePath+"style.css", a.serveStyle)
	sameOrigin := http.NewCrossOriginProtection() // the sign-in server is no browser, and passes
	return a.middleware(sameOrigin.Handler(mux))
}

// middleware is what every request passes. Who comes by another name of this machine is sent to the
// one to which the sign-in server sends people back: a cookie counts for one name only.
func (a *App) middleware(next http.Handler) http.Handler {
	issuer, err := url.Parse(a.Issuer)
	policy := "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + a.Issuer
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if err != nil || r.Host != issuer.Host {
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
	verifier           *oidc.IDTokenVerifier
	endSessionEndpoint string // its end_session_endpoint
}

// provider asks the sign-in server where everything is, the first time that somebody needs it:
// the two start together here, and whoever starts first must not wait for the other.
func (a *App) provider(ctx context.Context) (*provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cachedProvider != nil {
		return a.cachedProvider, nil
	}
	discovered, err := oidc.NewProvider(oidc.ClientContext(ctx, a.client), a.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		SignOut string `json:"end_session_endpoint"`
	}
	if err := discovered.Claims(&more); err != nil {
		return nil, err
	}
	a.cachedProvider = &provider{
		Config: oauth2.Config{
			ClientID: a.ClientID, ClientSecret: a.ClientSecret, Endpoint: discovered.Endpoint(),
			RedirectURL: a.Issuer + CallbackPath,
			Scopes:      []string{oidc.ScopeOpenID, "profile", "email", "groups"},
		},
		verifier:           discovered.Verifier(&oidc.Config{ClientID: a.ClientID, Now: a.Now}),
		endSessionEndpoint: more.SignOut,
	}
	return a.cachedProvider, nil
}
