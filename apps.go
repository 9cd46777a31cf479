package twostep

import (
	"context"

	"twostep.example/twostep/internal/grant"
)

// App is an app that lets people sign in here: an OpenID Connect client, or hosts behind a
// reverse proxy, or both. App.Check says in plain words what is wrong with one.
type App = grant.App

// NewSecret is a secret of 256 bits for an app, and its hash as App.Secrets has it.
func NewSecret() (secret, hash string) { return grant.NewSecret() }

// AppFlaw is what App.Check and App.Clash find, with the key that it stands under.
type AppFlaw = grant.Flaw

// ErrNoApp says that there is no such app, ErrAppExists that there is one, and ErrAppFixed that
// it is one of Options.Apps, which nothing changes but them.
var (
	ErrNoApp     = grant.ErrNoApp
	ErrAppExists = grant.ErrAppExists
	ErrAppFixed  = grant.ErrAppFixed
)

// Issuer is the address by which apps know this server.
func (s *Server) Issuer() string { return s.engine.Settings.PublicURL }

// Apps are all apps: those of Options.Apps first.
func (s *Server) Apps(ctx context.Context) ([]App, error) { return s.grants.Apps(ctx) }

// App is the app with this id. ErrNoApp.
func (s *Server) App(ctx context.Context, id string) (App, error) { return s.grants.App(ctx, id) }

// AddApp adds an app to the database. ErrAppExists, or what is wrong with it.
func (s *Server) AddApp(ctx context.Context, a App) error { return s.grants.AddApp(ctx, a) }

// ChangeApp replaces what an added app may do. ErrNoApp, ErrAppFixed, or what is wrong with it.
func (s *Server) ChangeApp(ctx context.Context, a App) error { return s.grants.ChangeApp(ctx, a) }

// RotateApp gives an added app a new secret, and keeps the newest of the old ones if keep is
// true, so that the app can be changed at leisure. ErrNoApp, ErrAppFixed.
func (s *Server) RotateApp(ctx context.Context, id string, keep bool) (secret string, err error) {
	return s.grants.RotateApp(ctx, id, keep)
}

// RemoveApp removes an added app, and whatever it was allowed. ErrNoApp, ErrAppFixed.
func (s *Server) RemoveApp(ctx context.Context, id string) error { return s.grants.RemoveApp(ctx, id) }
