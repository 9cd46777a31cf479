package store

import (
	"context"
	"time"
)

// Client is an app that an operator added. What Body says is the business of whoever wrote it.
type Client struct {
	ID           string
	Registration string
	CreatedAt    time.Time
}

// CreateClient adds a. ErrConflict: there is one of this id.
func (db *DB) CreateClient(ctx context.Context, a Client) error {
	defer db.changed(ClientsKey())
	_, err := db.change(ctx, `INSERT INTO clients (id, registration, created_at) VALUES ($1, $2, $3)`, a.ID, a.Registration,
		a.CreatedAt)
	return err
}

// GetClient is the app of this id.
func (db *DB) GetClient(ctx context.Context, id string) (a Client, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, registration, created_at FROM clients WHERE id = $1`, id).
		Scan(&a.ID, &a.Registration, (*Time)(&a.CreatedAt))
	return a, found(err)
}

// ListClients are all of them, by their ids.
func (db *DB) ListClients(ctx context.Context) ([]Client, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, registration, created_at FROM clients ORDER BY id`)
	return all(rows, err, func(s scanner) (a Client, err error) { return a, s.Scan(&a.ID, &a.Registration, (*Time)(&a.CreatedAt)) })
}

// UpdateClient gives an app another body.
func (db *DB) UpdateClient(ctx context.Context, id, body string) error {
	defer db.changed(ClientsKey())
	return db.must(ctx, `UPDATE clients SET registration = $2 WHERE id = $1`, id, body)
}

// DeleteClient removes an app with all that it was allowed.
func (db *DB) DeleteClient(ctx context.Context, id string) error {
	defer db.changed(ClientsKey())
	for _, query := range []string{
		`DELETE FROM authorization_requests WHERE client_id = $1`,
		`DELETE FROM consents WHERE client_id = $1`,
		`DELETE FROM grants WHERE client_id = $1`,
	} {
		if _, err := db.change(ctx, query, id); err != nil {
			return err
		}
	}
	return db.must(ctx, `DELETE FROM clients WHERE id = $1`, id)
}

// AuthorizationRequest is what an app asks for, until the person has answered.
type AuthorizationRequest struct {
	ID            []byte // hash
	ClientID      string
	Parameters    string
	Pushed        bool // by the app itself, and nobody has come with it yet
	SettingsShown bool // the person was sent to their settings for it
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

// CreateAuthorizationRequest adds r.
func (db *DB) CreateAuthorizationRequest(ctx context.Context, r AuthorizationRequest) error {
	_, err := db.change(ctx, `INSERT INTO authorization_requests (id, client_id, parameters, pushed, settings_shown,
			created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.ClientID, r.Parameters, r.Pushed, r.SettingsShown, r.CreatedAt, r.ExpiresAt)
	return err
}

// GetAuthorizationRequest is the request with this hash, if it has not ended.
func (db *DB) GetAuthorizationRequest(ctx context.Context, id []byte, now time.Time) (r AuthorizationRequest, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, client_id, parameters, pushed, settings_shown, created_at, expires_at
			FROM authorization_requests WHERE id = $1 AND expires_at >= $2`, id, now).
		Scan(&r.ID, &r.ClientID, &r.Parameters, &r.Pushed, &r.SettingsShown, (*Time)(&r.CreatedAt), (*Time)(&r.ExpiresAt))
	return r, found(err)
}

// UsePushedRequest takes a request that an app has pushed, once.
func (db *DB) UsePushedRequest(ctx context.Context, id []byte, app string, now time.Time) error {
	return db.must(ctx, `DELETE FROM authorization_requests WHERE id = $1 AND client_id = $2 AND pushed
			AND expires_at >= $3`, id, app, now)
}

// SetSettingsShown notes that the person was sent to their settings, once.
func (db *DB) SetSettingsShown(ctx context.Context, id []byte) error {
	return db.must(ctx, `UPDATE authorization_requests SET settings_shown = TRUE WHERE id = $1 AND NOT settings_shown`,
		id)
}

// UpdateAuthorizationRequest gives a request that waits another body. ErrNotFound: it was answered.
func (db *DB) UpdateAuthorizationRequest(ctx context.Context, id []byte, body string) error {
	return db.must(ctx, `UPDATE authorization_requests SET parameters = $2 WHERE id = $1`, id, body)
}

// DeleteAuthorizationRequest removes a request that was answered. ErrNotFound: somebody else was faster.
func (db *DB) DeleteAuthorizationRequest(ctx context.Context, id []byte) error {
	return db.must(ctx, `DELETE FROM authorization_requests WHERE id = $1`, id)
}

// Consent is what a person has allowed an app.
type Consent struct {
	AccountID string
	ClientID  string
	Scope     string
	GrantedAt time.Time
}

// SaveConsent adds c, or takes the place of the one before.
func (db *DB) SaveConsent(ctx context.Context, c Consent) error {
	defer db.changed(AccountKey(c.AccountID))
	_, err := db.change(ctx, `INSERT INTO consents (account_id, client_id, scope, granted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, client_id) DO UPDATE SET scope = excluded.scope, granted_at = excluded.granted_at`,
		c.AccountID, c.ClientID, c.Scope, c.GrantedAt)
	return err
}

// GetConsent is what an account has allowed an app.
func (db *DB) GetConsent(ctx context.Context, account, app string) (c Consent, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT account_id, client_id, scope, granted_at FROM consents
			WHERE account_id = $1 AND client_id = $2`, account, app).
		Scan(&c.AccountID, &c.ClientID, &c.Scope, (*Time)(&c.GrantedAt))
	return c, found(err)
}

// ListConsents are all that an account has allowed.
func (db *DB) ListConsents(ctx context.Context, account string) ([]Consent, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT account_id, client_id, scope, granted_at FROM consents
			WHERE account_id = $1 ORDER BY granted_at DESC, client_id`, account)
	return all(rows, err, func(s scanner) (c Consent, err error) {
		return c, s.Scan(&c.AccountID, &c.ClientID, &c.Scope, (*Time)(&c.GrantedAt))
	})
}

// DeleteConsent takes back what an account has allowed an app.
func (db *DB) DeleteConsent(ctx context.Context, account, app string) error {
	defer db.changed(AccountKey(account))
	_, err := db.change(ctx, `DELETE FROM consents WHERE account_id = $1 AND client_id = $2`, account, app)
	return err
}
