package twostep

import (
	"context"
	"errors"
	"time"

	"twostep.example/twostep/internal/client"
)

// App is an app in which people sign in with their accounts here: an OpenID Connect client, hosts behind a reverse
// proxy, or both. App.Validate returns an *AppError if a field is not valid.
type App = client.Client

// AppChange is a change of an app as an operator types it, for App fields by the names of the configuration file.
type AppChange = client.Change

// NewAppSecret returns a random client secret of 256 bits, and its SHA-256 hash in hexadecimal for App.SecretHashes.
func NewAppSecret() (secret, hash string) { return client.NewSecret() }

// The methods below that change an app record the event in the name of Options.Operator, and email all operators.

// AppError is returned by App.Validate and App.CheckConflict. It names the field that is not valid.
type AppError = client.ValidationError

var (
	// ErrAppNotFound is returned if there is no app with this client ID.
	ErrAppNotFound = client.ErrNotFound
	// ErrAppExists is returned if an app with this client ID exists already.
	ErrAppExists = client.ErrExists
	// ErrAppReadOnly is returned if the app is one of Options.Apps: change it there.
	ErrAppReadOnly = client.ErrReadOnly
	// ErrAppChanged is returned if somebody else changed the app at the same time.
	ErrAppChanged = client.ErrChanged
	// ErrAppNoSecret is returned if the app has no secret.
	ErrAppNoSecret = client.ErrNoSecret
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
func (s *Server) CreateApp(ctx context.Context, a App) error {
	return s.clients.Create(ctx, s.by(By{}), a)
}

// UpdateApp replaces the app in the database with the client ID of a. It returns ErrAppNotFound if there is none,
// ErrAppReadOnly if it is one of Options.Apps, ErrAppChanged, or an *AppError. It does nothing if nothing is changed.
func (s *Server) UpdateApp(ctx context.Context, a App) error {
	return s.clients.Update(ctx, s.by(By{}), a, "")
}

// EndOldAppSecrets ends all secrets of an app in the database but the newest. It returns the errors of RotateAppSecret.
func (s *Server) EndOldAppSecrets(ctx context.Context, id string) error {
	return s.clients.EndOldSecrets(ctx, s.by(By{}), id, "")
}

// CreateRegistrationToken returns a token with which apps can register themselves at /oauth2/register (RFC 7591): as
// often as uses says, 1 to 1,000, within valid, one minute to 30 days. It returns an error if one is outside.
func (s *Server) CreateRegistrationToken(ctx context.Context, uses int64, valid time.Duration) (string, error) {
	if uses < 1 || uses > 1000 || valid < time.Minute || valid > 30*24*time.Hour {
		return "", errors.New("twostep: a registration token has 1 to 1,000 uses, and is valid for one minute to 30 days")
	}
	return s.clients.CreateRegistrationToken(ctx, uses, valid)
}

// EndRegistrationTokens makes all registration tokens unusable and returns how many there were.
func (s *Server) EndRegistrationTokens(ctx context.Context) (int64, error) {
	return s.clients.EndRegistrationTokens(ctx)
}

// RotateAppSecret gives an app in the database a new client secret and returns it. If keep is true, the newest of the
// old secrets works until the next rotation or EndOldAppSecrets; otherwise only the new one does. RotateAppSecret returns
// ErrAppNotFound if there is no such app, ErrAppReadOnly if it is one of Options.Apps, and ErrAppNoSecret if it has none.
func (s *Server) RotateAppSecret(ctx context.Context, id string, keep bool) (secret string, err error) {
	return s.clients.RotateSecret(ctx, s.by(By{}), id, keep, "")
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
	return s.clients.Delete(ctx, s.by(By{}), id)
}
