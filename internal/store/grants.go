package store

import "context"

// The kinds of token.
const (
	Access  = "access"  // an app shows it
	Refresh = "refresh" // an app gets new ones for it, once
	Host    = "host"    // the cookie of a browser at a host behind a proxy
)

// Grant is what an app was allowed.
type Grant struct {
	ID            string
	App           string
	Account       string // "": the app itself
	Epoch         int64
	Session       string // in which it was allowed
	SessionEndsAt int64
	Scope         string
	Body          string // what the code is bound to
	AMR           string
	ProvedAt      int64 // the newest full proof
	Offline       bool  // it outlives the session
	Code          []byte
	CodeEndsAt    int64
	CodeUsedAt    int64
	BeganAt       int64
	EndsAt        int64
	EndedAt       int64
}

const grantColumns = `grants.id, grants.app, grants.account, grants.epoch, grants.session, grants.session_ends_at, grants.scope, grants.body, grants.amr,
	grants.proved_at, grants.offline, grants.code, grants.code_ends_at, grants.code_used_at, grants.began_at, grants.ends_at, grants.ended_at`

func (g *Grant) columns() []any {
	return []any{&g.ID, &g.App, &g.Account, &g.Epoch, &g.Session, &g.SessionEndsAt, &g.Scope, &g.Body, &g.AMR,
		&g.ProvedAt, &g.Offline, &g.Code, &g.CodeEndsAt, &g.CodeUsedAt, &g.BeganAt, &g.EndsAt, &g.EndedAt}
}

// liveGrant: it was not ended, its account is enabled and of its epoch, and the session in
// which it was allowed goes on, unless it may outlive that. $1 is now.
const liveGrant = `grants.ended_at = 0 AND grants.ends_at >= $1 AND (grants.account = '' OR
	EXISTS (SELECT 1 FROM accounts WHERE accounts.id = grants.account AND accounts.epoch = grants.epoch AND accounts.disabled_at = 0)
	AND (grants.offline OR EXISTS (SELECT 1 FROM sessions WHERE sessions.id = grants.session AND sessions.epoch = grants.epoch AND sessions.ends_at >= $1)))`

// AddGrant adds g.
func (db *DB) AddGrant(ctx context.Context, g Grant) error {
	_, err := db.change(ctx, `INSERT INTO grants (id, app, account, epoch, session, session_ends_at, scope, body, amr, proved_at, offline,
			code, code_ends_at, code_used_at, began_at, ends_at, ended_at, told_at, tell_after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, 0)`,
		g.ID, g.App, g.Account, g.Epoch, g.Session, g.SessionEndsAt, g.Scope, g.Body, g.AMR, g.ProvedAt, g.Offline,
		g.Code, g.CodeEndsAt, g.CodeUsedAt, g.BeganAt, g.EndsAt, g.EndedAt)
	return err
}

// GrantOfCode is the grant with this code, good or not.
func (db *DB) GrantOfCode(ctx context.Context, code []byte) (g Grant, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM grants WHERE code = $1`, code).Scan(g.columns()...)
	return g, found(err)
}

// UseGrant uses the code of a live grant up, for the app it was made for. ErrNotFound: it was
// used, or is too old, or the grant is not live.
func (db *DB) UseGrant(ctx context.Context, code []byte, app string, now int64) (g Grant, err error) {
	err = db.returning(ctx, `UPDATE grants SET code_used_at = $1 WHERE code = $2 AND app = $3 AND code_used_at = 0 AND code_ends_at >= $1 AND `+liveGrant+`
		RETURNING `+grantColumns, []any{now, code, app}, g.columns())
	return g, err
}

// EndGrant ends a grant, and with it all of its tokens.
func (db *DB) EndGrant(ctx context.Context, id string, now int64) error {
	_, err := db.change(ctx, `UPDATE grants SET ended_at = $2 WHERE id = $1 AND ended_at = 0`, id, now)
	return err
}

// EndGrants ends all grants of an account to an app.
func (db *DB) EndGrants(ctx context.Context, account, app string, now int64) error {
	_, err := db.change(ctx, `UPDATE grants SET ended_at = $3 WHERE account = $1 AND app = $2 AND ended_at = 0`, account, app, now)
	return err
}

// GrantsOf are the live grants of an account, the newest first.
func (db *DB) GrantsOf(ctx context.Context, account string, now int64) ([]Grant, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+grantColumns+` FROM grants WHERE `+liveGrant+` AND grants.account = $2 ORDER BY grants.began_at DESC, grants.id`, now, account)
	return all(rows, err, func(s scanner) (g Grant, err error) { return g, s.Scan(g.columns()...) })
}

// Token is what an app or a browser holds of a grant.
type Token struct {
	Token  []byte // hash
	Grant  string
	Kind   string
	MadeAt int64
	EndsAt int64
	UsedAt int64
}

// AddToken adds t.
func (db *DB) AddToken(ctx context.Context, t Token) error {
	_, err := db.change(ctx, `INSERT INTO tokens (token, of_grant, kind, made_at, ends_at, used_at) VALUES ($1, $2, $3, $4, $5, 0)`,
		t.Token, t.Grant, t.Kind, t.MadeAt, t.EndsAt)
	return err
}

const tokenColumns = `tokens.token, tokens.of_grant, tokens.kind, tokens.made_at, tokens.ends_at, tokens.used_at`

func (t *Token) columns() []any {
	return []any{&t.Token, &t.Grant, &t.Kind, &t.MadeAt, &t.EndsAt, &t.UsedAt}
}

// Token is the token with this hash and its grant, good or not.
func (db *DB) Token(ctx context.Context, token []byte) (t Token, g Grant, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+grantColumns+` FROM tokens JOIN grants ON grants.id = tokens.of_grant WHERE tokens.token = $1`, token)
	err = row.Scan(append(t.columns(), g.columns()...)...)
	return t, g, found(err)
}

// LiveToken is the token with this hash if it and its grant are good.
func (db *DB) LiveToken(ctx context.Context, token []byte, now int64) (t Token, g Grant, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+grantColumns+` FROM tokens JOIN grants ON grants.id = tokens.of_grant
		WHERE tokens.token = $2 AND tokens.used_at = 0 AND tokens.ends_at >= $1 AND `+liveGrant, now, token)
	err = row.Scan(append(t.columns(), g.columns()...)...)
	return t, g, found(err)
}

// UseToken uses a token of a live grant up. ErrNotFound: it is not good, or somebody else was faster.
func (db *DB) UseToken(ctx context.Context, token []byte, now int64) error {
	return db.must(ctx, `UPDATE tokens SET used_at = $1 WHERE token = $2 AND used_at = 0 AND ends_at >= $1
		AND EXISTS (SELECT 1 FROM grants WHERE grants.id = tokens.of_grant AND `+liveGrant+`)`, now, token)
}

// RemoveToken removes a token.
func (db *DB) RemoveToken(ctx context.Context, token []byte) error {
	_, err := db.change(ctx, `DELETE FROM tokens WHERE token = $1`, token)
	return err
}

// Untold are the sessions, with their apps, that were ended before their time and of which the
// app does not know: one grant of each.
func (db *DB) Untold(ctx context.Context, now int64) ([]Grant, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT DISTINCT grants.app, grants.account, grants.session FROM grants
		WHERE grants.told_at = 0 AND grants.tell_after <= $1 AND grants.session_ends_at >= $1 AND grants.code_used_at <> 0 AND grants.account <> ''
		AND NOT EXISTS (SELECT 1 FROM sessions JOIN accounts ON accounts.id = sessions.account AND accounts.epoch = sessions.epoch AND accounts.disabled_at = 0
			WHERE sessions.id = grants.session) LIMIT 100`, now)
	return all(rows, err, func(s scanner) (g Grant, err error) { return g, s.Scan(&g.App, &g.Account, &g.Session) })
}

// Tell takes it upon the caller to tell an app about a session, until then. ErrNotFound:
// somebody else does.
func (db *DB) Tell(ctx context.Context, app, session string, now, until int64) error {
	return db.must(ctx, `UPDATE grants SET tell_after = $4 WHERE app = $1 AND session = $2 AND told_at = 0 AND tell_after <= $3`, app, session, now, until)
}

// Told notes that an app knows about a session.
func (db *DB) Told(ctx context.Context, app, session string, now int64) error {
	_, err := db.change(ctx, `UPDATE grants SET told_at = $3 WHERE app = $1 AND session = $2 AND told_at = 0`, app, session, now)
	return err
}

// SigningKey is a key with which tokens are signed.
type SigningKey struct {
	ID        string
	Algorithm string
	Body      []byte // sealed
	MadeAt    int64
}

// AddSigningKey adds k.
func (db *DB) AddSigningKey(ctx context.Context, k SigningKey) error {
	_, err := db.change(ctx, `INSERT INTO signing_keys (id, algorithm, body, made_at) VALUES ($1, $2, $3, $4)`, k.ID, k.Algorithm, k.Body, k.MadeAt)
	return err
}

// SigningKeys are all of them, the newest first.
func (db *DB) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, algorithm, body, made_at FROM signing_keys ORDER BY made_at DESC, id`)
	return all(rows, err, func(s scanner) (k SigningKey, err error) { return k, s.Scan(&k.ID, &k.Algorithm, &k.Body, &k.MadeAt) })
}
