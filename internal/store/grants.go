package store

import (
	"context"
	"errors"
	"time"
)

// The kinds of token.
const (
	AccessToken      = "access"  // an app shows it
	RefreshToken     = "refresh" // an app gets new ones for it, once
	ForwardAuthToken = "host"    // the cookie of a browser at a host behind a proxy
)

// Grant is what an app was allowed.
type Grant struct {
	ID               string
	ClientID         string
	AccountID        string // "": the app itself
	Epoch            int64
	SessionID        string // in which it was allowed
	SessionExpiresAt time.Time
	Scope            string
	CodeBinding      string // what the code is bound to
	AMR              string
	AuthenticatedAt  time.Time // the newest full proof
	Offline          bool      // it outlives the session
	CodeHash         []byte
	CodeExpiresAt    time.Time
	CodeUsedAt       time.Time
	CreatedAt        time.Time
	ExpiresAt        time.Time
	RevokedAt        time.Time
}

const grantColumns = `grants.id, grants.client_id, grants.account_id, grants.epoch, grants.session_id,
		grants.session_expires_at, grants.scope, grants.code_binding, grants.amr,
	grants.authenticated_at, grants.offline, grants.code_hash, grants.code_expires_at, grants.code_used_at,
	grants.created_at, grants.expires_at, grants.revoked_at`

func (g *Grant) columns() []any {
	return []any{&g.ID, &g.ClientID, &g.AccountID, &g.Epoch, &g.SessionID, (*Time)(&g.SessionExpiresAt), &g.Scope, &g.CodeBinding, &g.AMR,
		(*Time)(&g.AuthenticatedAt), &g.Offline, &g.CodeHash, (*Time)(&g.CodeExpiresAt), (*Time)(&g.CodeUsedAt), (*Time)(&g.CreatedAt), (*Time)(&g.ExpiresAt), (*Time)(&g.RevokedAt)}
}

// liveGrant: it was not ended, its account is enabled and of its epoch, and the session in
// which it was allowed goes on, unless it may outlive that. $1 is now.
const liveGrant = `grants.revoked_at = 0 AND grants.expires_at >= $1 AND (grants.account_id = '' OR
	EXISTS (SELECT 1 FROM accounts
		WHERE accounts.id = grants.account_id AND accounts.epoch = grants.epoch AND accounts.disabled_at = 0)
	AND (grants.offline OR EXISTS (SELECT 1 FROM sessions
		WHERE sessions.id = grants.session_id AND sessions.epoch = grants.epoch AND sessions.expires_at >= $1)))`

// CreateGrant adds g.
func (db *DB) CreateGrant(ctx context.Context, g Grant) error {
	_, err := db.change(ctx, `INSERT INTO grants (id, client_id, account_id, epoch, session_id, session_expires_at,
			scope, code_binding, amr, authenticated_at, offline,
			code_hash, code_expires_at, code_used_at, created_at, expires_at, revoked_at,
			logout_pending, logout_due_at, logout_sent_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, FALSE, 0, 0)`,
		g.ID, g.ClientID, g.AccountID, g.Epoch, g.SessionID, g.SessionExpiresAt, g.Scope, g.CodeBinding, g.AMR, g.AuthenticatedAt, g.Offline,
		g.CodeHash, g.CodeExpiresAt, g.CodeUsedAt, g.CreatedAt, g.ExpiresAt, g.RevokedAt)
	return err
}

// FindGrantByCode is the grant with this code, good or not.
func (db *DB) FindGrantByCode(ctx context.Context, code []byte) (g Grant, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM grants WHERE code_hash = $1`, code).
		Scan(g.columns()...)
	return g, found(err)
}

// UseAuthorizationCode uses the code of a live grant up, for the app it was made for. ErrNotFound: it was
// used, or is too old, or the grant is not live.
func (db *DB) UseAuthorizationCode(ctx context.Context, code []byte, app string, now time.Time) (g Grant, err error) {
	// An offline grant can be used after its session has ended, and then the client is notified of that.
	err = db.returning(ctx, `UPDATE grants SET code_used_at = $1, logout_pending = NOT EXISTS (SELECT 1 FROM sessions
			WHERE sessions.id = grants.session_id AND sessions.epoch = grants.epoch)
		WHERE code_hash = $2 AND client_id = $3 AND code_used_at = 0 AND code_expires_at >= $1
			AND `+liveGrant+`
		RETURNING `+grantColumns, []any{now, code, app}, g.columns())
	return g, err
}

// RevokeGrant ends a grant, and with it all of its tokens.
func (db *DB) RevokeGrant(ctx context.Context, id string, now time.Time) error {
	defer db.changed(GrantKey(id))
	_, err := db.change(ctx, `UPDATE grants SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, id, now)
	return err
}

// RevokeClientGrants ends all grants of an account to an app.
func (db *DB) RevokeClientGrants(ctx context.Context, account, app string, now time.Time) error {
	defer db.changed(AccountKey(account))
	_, err := db.change(ctx, `UPDATE grants SET revoked_at = $3 WHERE account_id = $1 AND client_id = $2
			AND revoked_at = 0`, account, app, now)
	return err
}

// ListGrants are the live grants of an account, the newest first.
func (db *DB) ListGrants(ctx context.Context, account string, now time.Time) ([]Grant, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+grantColumns+` FROM grants WHERE `+liveGrant+`
			AND grants.account_id = $2 ORDER BY grants.created_at DESC, grants.id`, now, account)
	return all(rows, err, func(s scanner) (g Grant, err error) { return g, s.Scan(g.columns()...) })
}

// Token is what an app or a browser holds of a grant.
type Token struct {
	Hash      []byte // hash
	GrantID   string
	Kind      string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time
}

// CreateToken adds t.
func (db *DB) CreateToken(ctx context.Context, t Token) error {
	_, err := db.change(ctx, `INSERT INTO tokens (hash, grant_id, kind, created_at, expires_at, used_at)
			VALUES ($1, $2, $3, $4, $5, 0)`,
		t.Hash, t.GrantID, t.Kind, t.CreatedAt, t.ExpiresAt)
	return err
}

const tokenColumns = `tokens.hash, tokens.grant_id, tokens.kind, tokens.created_at, tokens.expires_at, tokens.used_at`

func (t *Token) columns() []any {
	return []any{&t.Hash, &t.GrantID, &t.Kind, (*Time)(&t.CreatedAt), (*Time)(&t.ExpiresAt), (*Time)(&t.UsedAt)}
}

// FindToken is the token with this hash and its grant, good or not.
func (db *DB) FindToken(ctx context.Context, token []byte) (t Token, g Grant, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+grantColumns+` FROM tokens
			JOIN grants ON grants.id = tokens.grant_id WHERE tokens.hash = $1`, token)
	err = row.Scan(append(t.columns(), g.columns()...)...)
	return t, g, found(err)
}

// FindLiveToken is the token with this hash if it and its grant are good.
func (db *DB) FindLiveToken(ctx context.Context, token []byte, now time.Time) (t Token, g Grant, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+grantColumns+` FROM tokens
			JOIN grants ON grants.id = tokens.grant_id
		WHERE tokens.hash = $2 AND tokens.used_at = 0 AND tokens.expires_at >= $1 AND `+liveGrant, now, token)
	err = row.Scan(append(t.columns(), g.columns()...)...)
	return t, g, found(err)
}

// UseToken uses a token of a live grant up. ErrNotFound: it is not good, or somebody else was faster.
func (db *DB) UseToken(ctx context.Context, token []byte, now time.Time) error {
	return db.changeToken(ctx, `UPDATE tokens SET used_at = $1 WHERE hash = $2 AND used_at = 0 AND expires_at >= $1
		AND EXISTS (SELECT 1 FROM grants WHERE grants.id = tokens.grant_id AND `+liveGrant+`)
		RETURNING grant_id`, now, token)
}

// DeleteToken removes a token.
func (db *DB) DeleteToken(ctx context.Context, token []byte) error {
	err := db.changeToken(ctx, `DELETE FROM tokens WHERE hash = $1 RETURNING grant_id`, token)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// changeToken runs a statement that changes one token and returns its grant, or fails with ErrNotFound.
func (db *DB) changeToken(ctx context.Context, query string, args ...any) error {
	var grant string
	err := db.returning(ctx, query, args, []any{&grant})
	switch {
	case err == nil:
		db.changed(GrantKey(grant))
	case !errors.Is(err, ErrNotFound):
		db.changed(everything) // it may have been committed, and nobody knows of which grant
	}
	return err
}

// ListDueLogouts are the sessions, with their clients, that were ended before they expired and of which the client was not
// notified: one grant of each.
func (db *DB) ListDueLogouts(ctx context.Context, now time.Time) ([]Grant, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT DISTINCT client_id, account_id, session_id
		FROM (SELECT client_id, account_id, session_id FROM grants
			WHERE logout_pending AND session_expires_at >= $1 AND logout_due_at <= $1 AND code_used_at <> 0
			LIMIT 100) AS due`, now)
	return all(rows, err, func(s scanner) (g Grant, err error) { return g, s.Scan(&g.ClientID, &g.AccountID, &g.SessionID) })
}

// ClaimLogout takes it upon the caller to tell an app about a session, until then. ErrNotFound:
// somebody else does.
func (db *DB) ClaimLogout(ctx context.Context, app, session string, now, until time.Time) error {
	return db.must(ctx, `UPDATE grants SET logout_due_at = $4
		WHERE client_id = $1 AND session_id = $2 AND logout_pending AND logout_due_at <= $3`, app, session, now, until)
}

// FinishLogout notes that an app knows about a session.
func (db *DB) FinishLogout(ctx context.Context, app, session string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE grants SET logout_sent_at = $3, logout_pending = FALSE
		WHERE client_id = $1 AND session_id = $2 AND logout_sent_at = 0`, app, session, now)
	return err
}

// SigningKey is a key with which tokens are signed.
type SigningKey struct {
	ID        string
	Algorithm string
	Body      []byte // sealed
	CreatedAt time.Time
}

// CreateSigningKey adds k.
func (db *DB) CreateSigningKey(ctx context.Context, k SigningKey) error {
	_, err := db.change(ctx, `INSERT INTO signing_keys (id, algorithm, body, created_at) VALUES ($1, $2, $3, $4)`,
		k.ID, k.Algorithm, k.Body, k.CreatedAt)
	return err
}

// ListSigningKeys are all of them, the newest first.
func (db *DB) ListSigningKeys(ctx context.Context) ([]SigningKey, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, algorithm, body, created_at FROM signing_keys
			ORDER BY created_at DESC, id`)
	return all(rows, err, func(s scanner) (k SigningKey, err error) {
		return k, s.Scan(&k.ID, &k.Algorithm, &k.Body, (*Time)(&k.CreatedAt))
	})
}
