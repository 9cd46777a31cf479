package main

import (
	"net/http"
	"slices"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/demo"
)

// demoClientID is the client_id of the demo app.
const demoClientID = "demo-books"

// addDemoApp registers the demo app in o, with a new secret at each start, and returns it. It runs
// before the server is created, which must know the app; the app sends no request before the first
// visit.
func addDemoApp(o *twostep.Options) *demo.App {
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

// mountDemoApp serves the demo app next to the server, on the same listener.
func mountDemoApp(app *demo.App, server http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(demo.BasePath, app.Handler())
	mux.Handle("/", server)
	return mux
}
