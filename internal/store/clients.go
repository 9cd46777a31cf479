package store

import (
	"context"
	"time"
)

// Client is an OAuth client that an operator registered.
type Client struct {
	ID           string
	Registration string // JSON; the caller defines it
	CreatedAt    time.Time
}

// CreateClient inserts c. It returns ErrConflict if a client has its id.
func (db *DB) CreateClient(ctx context.Context, c Client) error {
	defer db.changed(ClientsKey())
	// A server may have noted a use of a former client with this id after that was deleted.
	if _, err := db.change(ctx, `DELETE FROM client_uses WHERE client_id = $1`, c.ID); err != nil {
		return err
	}
	_, err := db.change(ctx, `INSERT INTO clients (id, registration, created_at) VALUES ($1, $2, $3)`,
		c.ID, c.Registration, c.CreatedAt)
	return err
}

// ListClients lists all registered clients by id.
func (db *DB) ListClients(ctx context.Context) ([]Client, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, registration, created_at FROM clients ORDER BY id`)
	return all(rows, err, func(s scanner) (c Client, err error) {
		return c, s.Scan(&c.ID, &c.Registration, (*Time)(&c.CreatedAt))
	})
}

// GetClient returns a registered client, or ErrNotFound.
func (db *DB) GetClient(ctx context.Context, id string) (c Client, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, registration, created_at FROM clients WHERE id = $1`, id).
		Scan(&c.ID, &c.Registration, (*Time)(&c.CreatedAt))
	return c, found(err)
}

// UpdateClient replaces the registration of a client. It returns ErrNotFound unless there is such a client with the
// registration was.
func (db *DB) UpdateClient(ctx context.Context, id, was, registration string) error {
	defer db.changed(ClientsKey())
	return db.must(ctx, `UPDATE clients SET registration = $3 WHERE id = $1 AND registration = $2`, id, was, registration)
}

// DeleteClient deletes a client with its last use, rejections, authorization requests, requests of devices, consents and grants.
// It returns ErrNotFound if there is no such client.
func (db *DB) DeleteClient(ctx context.Context, id string) error {
	defer db.changed(ClientsKey())
	for _, query := range []string{
		`DELETE FROM authorization_requests WHERE client_id = $1`,
		`DELETE FROM client_rejections WHERE client_id = $1`,
		`DELETE FROM client_uses WHERE client_id = $1`,
		`DELETE FROM device_authorizations WHERE client_id = $1`,
		`DELETE FROM consents WHERE client_id = $1`,
		`DELETE FROM grants WHERE client_id = $1`,
		`DELETE FROM server_state WHERE name = 'pkce ' || CAST($1 AS TEXT)`,
	} {
		if _, err := db.change(ctx, query, id); err != nil {
			return err
		}
	}
	return db.must(ctx, `DELETE FROM clients WHERE id = $1`, id)
}

// ClientRejection is why requests of a client were rejected.
type ClientRejection struct {
	ClientID string
	Reason   string
	Path     string // of the last request
	Sent     string // parameters of the last request, without secrets
	Remedy   string // what the operator can do
	Requests int64
	LastAt   time.Time
}

// AddClientRejection inserts r, or adds its requests to the row with the same client and reason.
func (db *DB) AddClientRejection(ctx context.Context, r ClientRejection) error {
	_, err := db.change(ctx, `INSERT INTO client_rejections (client_id, reason, path, sent, remedy, requests, last_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (client_id, reason) DO UPDATE SET path = excluded.path, sent = excluded.sent,
			remedy = excluded.remedy, requests = client_rejections.requests + excluded.requests,
			last_at = excluded.last_at`,
		r.ClientID, r.Reason, r.Path, r.Sent, r.Remedy, r.Requests, r.LastAt)
	return err
}

// ListClientRejections lists the rejections of a client, newest first.
func (db *DB) ListClientRejections(ctx context.Context, client string) ([]ClientRejection, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT client_id, reason, path, sent, remedy, requests, last_at
			FROM client_rejections WHERE client_id = $1 ORDER BY last_at DESC, reason`, client)
	return all(rows, err, func(s scanner) (r ClientRejection, err error) {
		return r, s.Scan(&r.ClientID, &r.Reason, &r.Path, &r.Sent, &r.Remedy, &r.Requests, (*Time)(&r.LastAt))
	})
}

// ClientDocument is what the metadata document of an OAuth client says.
type ClientDocument struct {
	ID           string // its URL
	Registration string // JSON; the caller defines it
	ExpiresAt    time.Time
}

// SaveClientDocument inserts d or replaces the one with its URL.
func (db *DB) SaveClientDocument(ctx context.Context, d ClientDocument) error {
	_, err := db.change(ctx, `INSERT INTO client_documents (id, registration, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET registration = excluded.registration, expires_at = excluded.expires_at`,
		d.ID, d.Registration, d.ExpiresAt)
	return err
}

// GetClientDocument returns the document with this URL, expired or not, or ErrNotFound.
func (db *DB) GetClientDocument(ctx context.Context, id string) (d ClientDocument, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, registration, expires_at FROM client_documents WHERE id = $1`, id).
		Scan(&d.ID, &d.Registration, (*Time)(&d.ExpiresAt))
	return d, found(err)
}

// AuthorizationRequest is an authorization request that waits for the person to sign in or to consent.
type AuthorizationRequest struct {
	ID            []byte // hash
	ClientID      string
	Parameters    string // JSON
	Pushed        bool   // by the client (RFC 9126), and not used yet
	SettingsShown bool   // the person was sent to their settings for it
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

// CreateAuthorizationRequest inserts r.
func (db *DB) CreateAuthorizationRequest(ctx context.Context, r AuthorizationRequest) error {
	_, err := db.change(ctx, `INSERT INTO authorization_requests (id, client_id, parameters, pushed, settings_shown,
			created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.ClientID, r.Parameters, r.Pushed, r.SettingsShown, r.CreatedAt, r.ExpiresAt)
	return err
}

// GetAuthorizationRequest returns the request whose hashed id is id. It returns ErrNotFound if there is none or it has
// expired.
func (db *DB) GetAuthorizationRequest(ctx context.Context, id []byte,
	now time.Time) (r AuthorizationRequest, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, client_id, parameters, pushed, settings_shown, created_at, expires_at
			FROM authorization_requests WHERE id = $1 AND expires_at >= $2`, id, now).
		Scan(&r.ID, &r.ClientID, &r.Parameters, &r.Pushed, &r.SettingsShown, (*Time)(&r.CreatedAt),
			(*Time)(&r.ExpiresAt))
	return r, found(err)
}

// UsePushedRequest deletes a pushed authorization request (RFC 9126), so that it works once. It returns ErrNotFound if
// the client has no such request or it has expired.
func (db *DB) UsePushedRequest(ctx context.Context, id []byte, client string, now time.Time) error {
	return db.must(ctx, `DELETE FROM authorization_requests WHERE id = $1 AND client_id = $2 AND pushed
			AND expires_at >= $3`, id, client, now)
}

// SetSettingsShown records that the person was sent to their settings. It returns ErrNotFound if that was recorded
// before or there is no such request.
func (db *DB) SetSettingsShown(ctx context.Context, id []byte) error {
	return db.must(ctx, `UPDATE authorization_requests SET settings_shown = TRUE WHERE id = $1 AND NOT settings_shown`,
		id)
}

// UpdateAuthorizationRequest replaces the parameters of a request. It returns ErrNotFound if there is no such request.
func (db *DB) UpdateAuthorizationRequest(ctx context.Context, id []byte, parameters string) error {
	return db.must(ctx, `UPDATE authorization_requests SET parameters = $2 WHERE id = $1`, id, parameters)
}

// DeleteAuthorizationRequest deletes a request. It returns ErrNotFound if there is no such request.
func (db *DB) DeleteAuthorizationRequest(ctx context.Context, id []byte) error {
	return db.must(ctx, `DELETE FROM authorization_requests WHERE id = $1`, id)
}

// Consent is what a person has allowed a client.
type Consent struct {
	AccountID string
	ClientID  string
	Scope     string
	GrantedAt time.Time
}

// SaveConsent inserts c or replaces the consent of the same account and client.
func (db *DB) SaveConsent(ctx context.Context, c Consent) error {
	defer db.changed(AccountKey(c.AccountID))
	_, err := db.change(ctx, `INSERT INTO consents (account_id, client_id, scope, granted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, client_id) DO UPDATE SET scope = excluded.scope, granted_at = excluded.granted_at`,
		c.AccountID, c.ClientID, c.Scope, c.GrantedAt)
	return err
}

// GetConsent returns the consent of an account to a client, or ErrNotFound.
func (db *DB) GetConsent(ctx context.Context, account, client string) (c Consent, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT account_id, client_id, scope, granted_at FROM consents
			WHERE account_id = $1 AND client_id = $2`, account, client).
		Scan(&c.AccountID, &c.ClientID, &c.Scope, (*Time)(&c.GrantedAt))
	return c, found(err)
}

// ListConsents lists the consents of an account, newest first.
func (db *DB) ListConsents(ctx context.Context, account string) ([]Consent, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT account_id, client_id, scope, granted_at FROM consents
			WHERE account_id = $1 ORDER BY granted_at DESC, client_id`, account)
	return all(rows, err, func(s scanner) (c Consent, err error) {
		return c, s.Scan(&c.AccountID, &c.ClientID, &c.Scope, (*Time)(&c.GrantedAt))
	})
}

// DeleteConsent deletes the consent of an account to a client, if there is one.
func (db *DB) DeleteConsent(ctx context.Context, account, client string) error {
	defer db.changed(AccountKey(account))
	_, err := db.change(ctx, `DELETE FROM consents WHERE account_id = $1 AND client_id = $2`, account, client)
	return err
}
