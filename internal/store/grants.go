package store

import (
	"context"
	"errors"
	"time"
)

// Kinds of token.
const (
	AccessToken      = "access"  // RFC 6749 1.4
	RefreshToken     = "refresh" // RFC 6749 1.5; works once
	ForwardAuthToken = "host"    // the cookie at a host behind forward-auth
)

// Grant is what a client was granted: its authorization code and the tokens issued for it belong to it.
type Grant struct {
	ID               string
	ClientID         string
	AccountID        string // "": the client itself (client credentials)
	Epoch            int64
	SessionID        string // in which it was granted
	SessionExpiresAt time.Time
	Scope            string
	CodeBinding      string // JSON: redirect URI, PKCE challenge, nonce
	AMR              string
	Method           string    // of the second step of the session
	AuthenticatedAt  time.Time // auth_time of the ID token
	Offline          bool      // it outlives the session (offline_access)
	CodeHash         []byte
	CodeExpiresAt    time.Time
	CodeUsedAt       time.Time
	IDTokenSent      bool // in the authorization response, so the client knows the session before it uses the code
	CreatedAt        time.Time
	ExpiresAt        time.Time
	RevokedAt        time.Time
}

const grantColumns = `grants.id, grants.client_id, grants.account_id, grants.epoch, grants.session_id,
		grants.session_expires_at, grants.scope, grants.code_binding, grants.amr,
	grants.method, grants.authenticated_at, grants.offline, grants.code_hash, grants.code_expires_at, grants.code_used_at,
	grants.id_token_sent, grants.created_at, grants.expires_at, grants.revoked_at`

func (g *Grant) columns() []any {
	return []any{&g.ID, &g.ClientID, &g.AccountID, &g.Epoch, &g.SessionID, (*Time)(&g.SessionExpiresAt), &g.Scope,
		&g.CodeBinding, &g.AMR, &g.Method, (*Time)(&g.AuthenticatedAt), &g.Offline, &g.CodeHash, (*Time)(&g.CodeExpiresAt),
		(*Time)(&g.CodeUsedAt), &g.IDTokenSent, (*Time)(&g.CreatedAt), (*Time)(&g.ExpiresAt), (*Time)(&g.RevokedAt)}
}

// liveGrant is the SQL condition that a grant is live: it was not revoked and has not expired, its account is enabled
// and has the same epoch, and its session is live unless the grant is offline. $1 is the current time.
const liveGrant = `grants.revoked_at = 0 AND grants.expires_at >= $1 AND (grants.account_id = '' OR
	EXISTS (SELECT 1 FROM accounts
		WHERE accounts.id = grants.account_id AND accounts.epoch = grants.epoch AND accounts.disabled_at = 0)
	AND (grants.offline OR EXISTS (SELECT 1 FROM sessions
		WHERE sessions.id = grants.session_id AND sessions.epoch = grants.epoch AND sessions.expires_at >= $1)))`

// CreateGrant inserts g.
func (db *DB) CreateGrant(ctx context.Context, g Grant) error {
	_, err := db.change(ctx, `INSERT INTO grants (id, client_id, account_id, epoch, session_id, session_expires_at,
			scope, code_binding, amr, method, authenticated_at, offline, code_hash, code_expires_at, code_used_at,
			id_token_sent, created_at, expires_at, revoked_at, logout_pending, logout_due_at, logout_sent_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, FALSE, 0, 0)`,
		g.ID, g.ClientID, g.AccountID, g.Epoch, g.SessionID, g.SessionExpiresAt, g.Scope, g.CodeBinding, g.AMR,
		g.Method, g.AuthenticatedAt, g.Offline, g.CodeHash, g.CodeExpiresAt, g.CodeUsedAt, g.IDTokenSent,
		g.CreatedAt, g.ExpiresAt, g.RevokedAt)
	return err
}

// FindGrantByCode returns the grant with this code hash, live or not, or ErrNotFound.
func (db *DB) FindGrantByCode(ctx context.Context, code []byte) (g Grant, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM grants WHERE code_hash = $1`, code).
		Scan(g.columns()...)
	return g, found(err)
}

// UseAuthorizationCode uses up the authorization code of a live grant of the client. It returns ErrNotFound if the code
// was used, has expired or is of another client, or the grant is not live.
func (db *DB) UseAuthorizationCode(ctx context.Context, code []byte, client string,
	now time.Time) (g Grant, err error) {
	// The code of an offline grant works after its session has ended. The client is then notified of the logout.
	err = db.returning(ctx, `UPDATE grants SET code_used_at = $1, logout_pending = NOT EXISTS (SELECT 1 FROM sessions
			WHERE sessions.id = grants.session_id AND sessions.epoch = grants.epoch)
		WHERE code_hash = $2 AND client_id = $3 AND code_used_at = 0 AND code_expires_at >= $1
			AND `+liveGrant+`
		RETURNING `+grantColumns, []any{now, code, client}, g.columns())
	return g, err
}

// RevokeGrant revokes a grant, so that all of its tokens are invalid.
func (db *DB) RevokeGrant(ctx context.Context, id string, now time.Time) error {
	defer db.changed(GrantKey(id))
	_, err := db.change(ctx, `UPDATE grants SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, id, now)
	return err
}

// RevokeClientGrants revokes all grants of an account to a client.
func (db *DB) RevokeClientGrants(ctx context.Context, account, client string, now time.Time) error {
	defer db.changed(AccountKey(account))
	_, err := db.change(ctx, `UPDATE grants SET revoked_at = $3 WHERE account_id = $1 AND client_id = $2
			AND revoked_at = 0`, account, client, now)
	return err
}

// ListGrantedScopes lists what the live grants of an account allow: the client, the scope and the time of the newest
// grant, newest first. It returns one row for each client and scope, however many grants there are.
func (db *DB) ListGrantedScopes(ctx context.Context, account string, now time.Time) ([]Grant, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT client_id, scope, MAX(grants.created_at) AS newest FROM grants
		WHERE `+liveGrant+` AND grants.account_id = $2
		GROUP BY client_id, scope ORDER BY newest DESC, client_id, scope`, now, account)
	return all(rows, err, func(s scanner) (g Grant, err error) {
		return g, s.Scan(&g.ClientID, &g.Scope, (*Time)(&g.CreatedAt))
	})
}

// Token is a token that was issued for a grant.
type Token struct {
	Hash      []byte
	GrantID   string
	Kind      string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // a refresh token works once
}

// CreateToken inserts t.
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

// FindToken returns the token with this hash and its grant, valid or not, or ErrNotFound.
func (db *DB) FindToken(ctx context.Context, token []byte) (t Token, g Grant, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+grantColumns+` FROM tokens
			JOIN grants ON grants.id = tokens.grant_id WHERE tokens.hash = $1`, token)
	err = row.Scan(append(t.columns(), g.columns()...)...)
	return t, g, found(err)
}

// FindLiveToken returns the token with this hash and its grant. It returns ErrNotFound if the token was used, has
// expired or does not exist, or its grant is not live.
func (db *DB) FindLiveToken(ctx context.Context, token []byte, now time.Time) (t Token, g Grant, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+grantColumns+` FROM tokens
			JOIN grants ON grants.id = tokens.grant_id
		WHERE tokens.hash = $2 AND tokens.used_at = 0 AND tokens.expires_at >= $1 AND `+liveGrant, now, token)
	err = row.Scan(append(t.columns(), g.columns()...)...)
	return t, g, found(err)
}

// UseToken uses up a token. It returns ErrNotFound if the token was used, has expired or does not exist, or its grant
// is not live.
func (db *DB) UseToken(ctx context.Context, token []byte, now time.Time) error {
	return db.changeToken(ctx, `UPDATE tokens SET used_at = $1 WHERE hash = $2 AND used_at = 0 AND expires_at >= $1
		AND EXISTS (SELECT 1 FROM grants WHERE grants.id = tokens.grant_id AND `+liveGrant+`)
		RETURNING grant_id`, now, token)
}

// DeleteToken deletes a token, if there is one.
func (db *DB) DeleteToken(ctx context.Context, token []byte) error {
	err := db.changeToken(ctx, `DELETE FROM tokens WHERE hash = $1 RETURNING grant_id`, token)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// changeToken runs a statement that changes one token and returns the id of its grant. It returns ErrNotFound if the
// statement changes no row.
func (db *DB) changeToken(ctx context.Context, query string, args ...any) error {
	var grant string
	err := db.returning(ctx, query, args, []any{&grant})
	switch {
	case err == nil:
		db.changed(GrantKey(grant))
	case !errors.Is(err, ErrNotFound):
		db.changed(everything) // it may have been committed, for an unknown grant
	}
	return err
}

// ListDueLogouts lists up to 100 sessions that ended before they expired and whose client is now to be notified. Each
// is a Grant with only ClientID, AccountID and SessionID set.
func (db *DB) ListDueLogouts(ctx context.Context, now time.Time) ([]Grant, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT DISTINCT client_id, account_id, session_id
		FROM (SELECT client_id, account_id, session_id FROM grants
			WHERE logout_pending AND session_expires_at >= $1 AND logout_due_at <= $1 AND (code_used_at <> 0 OR id_token_sent)
			LIMIT 100) AS due`, now)
	return all(rows, err, func(s scanner) (g Grant, err error) {
		return g, s.Scan(&g.ClientID, &g.AccountID, &g.SessionID)
	})
}

// ClaimLogout claims the logout notification of a session to a client until the given time. It returns ErrNotFound if
// another caller has claimed it or it was sent.
func (db *DB) ClaimLogout(ctx context.Context, client, session string, now, until time.Time) error {
	return db.must(ctx, `UPDATE grants SET logout_due_at = $4
		WHERE client_id = $1 AND session_id = $2 AND logout_pending AND logout_due_at <= $3`,
		client, session, now, until)
}

// FinishLogout records that the client was notified of the end of a session.
func (db *DB) FinishLogout(ctx context.Context, client, session string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE grants SET logout_sent_at = $3, logout_pending = FALSE
		WHERE client_id = $1 AND session_id = $2 AND logout_sent_at = 0`, client, session, now)
	return err
}

// SigningKey is a key that signs ID tokens and logout tokens.
type SigningKey struct {
	ID        string
	Algorithm string
	Body      []byte // sealed private key
	CreatedAt time.Time
}

// CreateSigningKey inserts k.
func (db *DB) CreateSigningKey(ctx context.Context, k SigningKey) error {
	_, err := db.change(ctx, `INSERT INTO signing_keys (id, algorithm, body, created_at) VALUES ($1, $2, $3, $4)`,
		k.ID, k.Algorithm, k.Body, k.CreatedAt)
	return err
}

// ListSigningKeys lists all signing keys, newest first.
func (db *DB) ListSigningKeys(ctx context.Context) ([]SigningKey, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, algorithm, body, created_at FROM signing_keys
			ORDER BY created_at DESC, id`)
	return all(rows, err, func(s scanner) (k SigningKey, err error) {
		return k, s.Scan(&k.ID, &k.Algorithm, &k.Body, (*Time)(&k.CreatedAt))
	})
}
