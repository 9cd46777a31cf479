package main

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/check"
	"twostep.example/twostep/internal/demo"
)

// demoClientID is the client_id of the demo app.
const demoClientID = "demo-books"

// demoMenu is the menu of the demo app that leads to 2-Step verification.
const demoMenu = "Settings -> Billing & Admin"

// addDemoApp registers the demo app in o, with a new secret at each start, and returns it. It runs
// before the server is created, which must know the app; the app sends no request before the first
// visit.
func addDemoApp(o *twostep.Options) *demo.App {
	o.HelpMenu = cmp.Or(o.HelpMenu, demoMenu)
	secret, hash := twostep.NewAppSecret()
	o.Apps = append(slices.Clone(o.Apps), twostep.App{
		ID: demoClientID, Name: "Demo Books", SecretHashes: []string{hash},
		RedirectURIs:           []string{o.PublicURL + demo.CallbackPath},
		PostLogoutRedirectURIs: []string{o.PublicURL + demo.PostLogoutRedirect},
		BackChannelLogoutURI:   o.PublicURL + demo.BackChannelLogoutPath,
	})
	return demo.New(demo.Options{Issuer: o.PublicURL, ClientID: demoClientID, ClientSecret: secret, Now: o.Now,
		Log: o.Logger})
}

// mountDemoApp serves the demo app next to the server, on the same listener, and creates accounts for
// twostep check, which proves with inboxKey that it runs on this machine.
func mountDemoApp(app *demo.App, server *twostep.Server, inboxKey string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(demo.BasePath, app.Handler())
	mux.Handle("POST "+check.AccountPath, checkAccounts(app.Issuer, server, inboxKey))
	mux.Handle("/", server)
	return server.RefuseForwarded(mux)
}

// checkAccounts creates an account for each run of twostep check. It refuses requests without the key of the inbox, and
// requests of other sites: those with another host, whose name may point here (DNS rebinding), and those of their pages
// in a browser.
func checkAccounts(issuer string, server *twostep.Server, inboxKey string) http.Handler {
	create := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !isSameLoopback(issuer, r.Host) {
			http.Error(w, "wrong host", http.StatusMisdirectedRequest)
			return
		}
		key, err := r.Cookie(check.InboxCookie)
		if err != nil || subtle.ConstantTimeCompare([]byte(key.Value), []byte(inboxKey)) != 1 {
			http.Error(w, "no key for the inbox", http.StatusForbidden)
			return
		}
		account := check.Account{
			Email:    "check-" + strings.ToLower(rand.Text()[:10]) + "@example.com",
			Password: strings.ToLower(rand.Text()),
		}
		err = server.CreateAccount(r.Context(),
			twostep.AccountParams{Email: account.Email, Name: "Check", Password: account.Password})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(account) // the client has gone
	}
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(create))
}

// isSameLoopback reports whether a Host header is a loopback name with the port of the URL.
func isSameLoopback(public, host string) bool {
	own, err := url.Parse(public)
	asked := url.URL{Host: host}
	return err == nil && isLoopbackHost(asked.Hostname()) && asked.Port() == own.Port()
}
