package main

import (
	"net/http"
	"slices"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/demo"
)

// demoID is the client_id of the demo app.
const demoID = "demo-books"

// addDemoApp registers the demo app with the server that o describes, with a secret that is new
// at each start, and makes it. It comes before the server, which must know it, and asks that
// for nothing before the first person comes.
func addDemoApp(o *twostep.Options) *demo.App {
	secret, hash := twostep.NewSecret()
	o.Apps = append(slices.Clone(o.Apps), twostep.App{
		ID: demoID, Name: "Demo Books", Secrets: []string{hash},
		Redirects:   []string{o.PublicURL + demo.Callback},
		SignedOut:   []string{o.PublicURL + demo.SignedOut},
		BackChannel: o.PublicURL + demo.BackChannel,
	})
	return demo.New(demo.Options{Issuer: o.PublicURL, ID: demoID, Secret: secret, Now: o.Now, Log: o.Log})
}

// beside puts the demo app beside the server, on the same listener.
func beside(app *demo.App, server http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(demo.Base, app.Handler())
	mux.Handle("/", server)
	return mux
}
