package twostep

import (
	"context"

	"twostep.example/twostep/internal/client"
)

// App is an app in which people sign in with their accounts here: an OpenID Connect client, hosts behind a reverse
// proxy, or both. App.Validate returns an *AppError if a field is not valid.
type App = client.Client

// NewAppSecret returns a random client secret of 256 bits, and its SHA-256 hash in hexadecimal for App.SecretHashes.
func NewAppSecret() (secret, hash string) { return client.NewSecret() }

// AppError is returned by App.Validate and App.CheckConflict. It names the field that is not valid.
type AppError = client.ValidationError

var (
	// ErrAppNotFound is returned if there is no app with this client ID.
	ErrAppNotFound = client.ErrNotFound
	// ErrAppExists is returned if an app with this client ID exists already.
	ErrAppExists = client.ErrExists
	// ErrAppReadOnly is returned if the app is one of Options.Apps: change it there.
	ErrAppReadOnly = client.ErrReadOnly
)

// Issuer returns the issuer URL of this server (OpenID Connect Discovery 3), which apps need in their configuration.
func (s *Server) Issuer() string { return s.services.Accounts.Settings.PublicURL }

// ListApps returns all apps, those of Options.Apps first.
func (s *Server) ListApps(ctx context.Context) ([]App, error) { return s.grants.Clients.List(ctx) }

// GetApp returns the app with this client ID, or ErrAppNotFound.
func (s *Server) GetApp(ctx context.Context, id string) (App, error) {
	return s.grants.Clients.Get(ctx, id)
}

// CreateApp adds an app to the database. It returns ErrAppExists if its client ID is taken, or an *AppError.
func (s *Server) CreateApp(ctx context.Context, a App) error { return s.clients.Create(ctx, a) }

// UpdateApp replaces the app in the database with the client ID of a. It returns ErrAppNotFound if there is none,
// ErrAppReadOnly if it is one of Options.Apps, or an *AppError.
func (s *Server) UpdateApp(ctx context.Context, a App) error { return s.clients.Update(ctx, a) }

// RotateAppSecret gives an app in the database a new client secret and returns it. If keep is true, the newest of the
// old secrets works until the next rotation; otherwise only the new one does. RotateAppSecret returns ErrAppNotFound if
// there is no such app, and ErrAppReadOnly if it is one of Options.Apps.
func (s *Server) RotateAppSecret(ctx context.Context, id string, keep bool) (secret string, err error) {
	return s.clients.RotateSecret(ctx, id, keep)
}

// AppRejection is why requests of an app were rejected. Requests with the same reason are one AppRejection.
type AppRejection = client.Rejection

// ListAppRejections returns why authorization, token, logout and other requests of an app were rejected in the last 60
// days, newest first. The last minute of a server may not be counted yet.
func (s *Server) ListAppRejections(ctx context.Context, id string) ([]AppRejection, error) {
	return s.clients.ListRejections(ctx, id)
}

// DeleteApp removes an app from the database, with its tokens and the consents for it. It returns
// ErrAppNotFound if there is no such app, and ErrAppReadOnly if it is one of Options.Apps.
func (s *Server) DeleteApp(ctx context.Context, id string) error {
	return s.clients.Delete(ctx, id)
}
