// Package demo is a small app that signs people in through OpenID Connect, as an owner of an app may write one.
//
//	home, settings, pay ─▶ authorization request ─▶ (the sign-in server) ─▶ callback ─▶ the requested page
//
// It imports nothing else of this module: any app can do the same with any client library.
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

// BasePath is the path of the app.
const BasePath = "/demo/"

// The paths that the app registers with the sign-in server.
const (
	CallbackPath          = BasePath + "callback"
	PostLogoutRedirect    = BasePath
	BackChannelLogoutPath = BasePath + "backchannel"
)

// Options configure the app.
type Options struct {
	Issuer       string // the URL of the sign-in server; the app has the same origin
	ClientID     string // client_id
	ClientSecret string
	Now          func() time.Time
	Log          *slog.Logger
}

// App is the demo app.
type App struct {
	Options
	flows    expiringMap[authorization]
	sessions expiringMap[session]
	client   *http.Client

	mu             sync.Mutex
	cachedProvider *provider // nil until the first use
}

// How long entries live, and how many there may be.
const (
	flowTTL    = time.Hour // long enough to set up an authenticator app on the way
	sessionTTL = 8 * time.Hour
	maxEntries = 1000
)

// New returns the app. It connects to the sign-in server on first use only.
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

// Handler returns the handler of all pages below BasePath.
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
	sameOrigin := http.NewCrossOriginProtection() // requests without browser headers, such as back-channel logout, pass
	return a.middleware(sameOrigin.Handler(mux))
}

// middleware sets the security headers and redirects other names of this host to the host of the issuer: cookies are
// for one host, and the sign-in server redirects to that one.
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

// provider is the OpenID Connect configuration of the sign-in server.
type provider struct {
	oauth2.Config
	verifier           *oidc.IDTokenVerifier
	endSessionEndpoint string // end_session_endpoint
}

// provider returns the configuration of the sign-in server. It is loaded on first use, because app and server start
// together.
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
