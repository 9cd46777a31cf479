package store

import (
	"context"
	"slices"
	"time"
)

// Session is a row of sessions: a browser that is signed in.
type Session struct {
	ID              string
	TokenHash       []byte
	AccountID       string
	Epoch           int64
	AttemptID       string // the sign-in that created it
	AMR             string // RFC 8176, separated by spaces
	Address         string
	UserAgent       string // the User-Agent header
	ClientHints     string // the Sec-CH-UA header
	StartedAt       time.Time
	AuthenticatedAt time.Time // when both steps were last completed; zero: trust skipped the second
	LastSeenAt      time.Time
	ExpiresAt       time.Time
	Persistent      bool      // the browser keeps the cookie until ExpiresAt, also when it is closed
	DeviceID        string    // the browser in which it began
	TrustVerifiedAt time.Time // when the device was verified, if trust skipped the second step; zero otherwise
	FactorID        string    // the factor that proved the second step last; "" for email and trust
	DeskCodeID      string    // the desk code that replaced the second step; "" once both steps are completed
	MethodRequired  bool      // the person must set up a method before anything else
}

const sessionColumns = `sessions.id, sessions.token_hash, sessions.account_id, sessions.epoch, sessions.attempt_id,
		sessions.amr,
	sessions.address, sessions.user_agent, sessions.client_hints, sessions.started_at, sessions.authenticated_at,
	sessions.last_seen_at, sessions.expires_at, sessions.persistent, sessions.device_id, sessions.trust_verified_at,
	sessions.factor_id, sessions.desk_code_id, sessions.method_required`

func (s *Session) columns() []any {
	return []any{&s.ID, &s.TokenHash, &s.AccountID, &s.Epoch, &s.AttemptID, &s.AMR, &s.Address, &s.UserAgent,
		&s.ClientHints, (*Time)(&s.StartedAt), (*Time)(&s.AuthenticatedAt), (*Time)(&s.LastSeenAt),
		(*Time)(&s.ExpiresAt), &s.Persistent, &s.DeviceID, (*Time)(&s.TrustVerifiedAt), &s.FactorID,
		&s.DeskCodeID, &s.MethodRequired}
}

// CreateSession inserts s.
func (db *DB) CreateSession(ctx context.Context, s Session) error {
	_, err := db.change(ctx, `INSERT INTO sessions (id, token_hash, account_id, epoch, attempt_id, amr, address,
			user_agent, client_hints, started_at, authenticated_at, last_seen_at, expires_at, device_id,
			trust_verified_at, factor_id, persistent, desk_code_id, method_required)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		s.ID, s.TokenHash, s.AccountID, s.Epoch, s.AttemptID, s.AMR, s.Address, s.UserAgent, s.ClientHints, s.StartedAt,
		s.AuthenticatedAt, s.LastSeenAt, s.ExpiresAt, s.DeviceID, s.TrustVerifiedAt, s.FactorID, s.Persistent,
		s.DeskCodeID, s.MethodRequired)
	return err
}

const liveSession = `JOIN accounts
	ON accounts.id = sessions.account_id AND accounts.epoch = sessions.epoch AND accounts.disabled_at = 0`

// FindSession returns the live session with this token hash and its account: it has not expired at now and was last
// seen at idle or later, and the account is enabled and has the epoch of the session. It returns ErrNotFound if there
// is none.
func (db *DB) FindSession(ctx context.Context, token []byte, idle, now time.Time) (Session, Account, error) {
	return scanSession(db.read.QueryRowContext(ctx, sessionAndAccount+` AND sessions.token_hash = $3`,
		now, idle, token))
}

// GetSession returns the live session with this id and its account, as FindSession does.
func (db *DB) GetSession(ctx context.Context, id string, idle, now time.Time) (Session, Account, error) {
	return scanSession(db.read.QueryRowContext(ctx, sessionAndAccount+` AND sessions.id = $3`, now, idle, id))
}

const (
	sessionAndAccount = `SELECT ` + sessionColumns + `, ` + accountOfSession + `
		FROM sessions ` + liveSession + ` WHERE ` + liveSince
	accountOfSession = `accounts.id, accounts.email, accounts.name, accounts.role, accounts.epoch, accounts.group_names`
	// liveSince is the SQL condition that a session has not expired at $1 and was last seen at $2 or later.
	liveSince = `sessions.expires_at >= $1 AND sessions.last_seen_at >= $2`
)

func scanSession(row scanner) (s Session, a Account, err error) {
	err = row.Scan(append(s.columns(), a.columnsOfSession()...)...)
	return s, a, found(err)
}

func (a *Account) columnsOfSession() []any {
	return []any{&a.ID, &a.Email, &a.Name, &a.Role, &a.Epoch, &a.Groups}
}

// FindHostSession returns what the cookie of a host behind a reverse proxy, with this token hash, belongs to: the live
// grant, its live session as FindSession does, and the account. It returns ErrNotFound if there is none.
func (db *DB) FindHostSession(
	ctx context.Context, token []byte, idle, now time.Time,
) (g Grant, s Session, a Account, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+grantColumns+`, `+sessionColumns+`, `+accountOfSession+` FROM tokens
			JOIN grants ON grants.id = tokens.grant_id JOIN sessions ON sessions.id = grants.session_id `+liveSession+`
		WHERE `+liveSince+` AND tokens.hash = $3 AND tokens.kind = $4 AND tokens.expires_at >= $1
			AND grants.revoked_at = 0 AND grants.expires_at >= $1
			AND grants.account_id = accounts.id AND grants.epoch = accounts.epoch`, now, idle, token, ForwardAuthToken)
	err = row.Scan(slices.Concat(g.columns(), s.columns(), a.columnsOfSession())...)
	return g, s, a, found(err)
}

// SessionFilter selects the sessions of an account.
type SessionFilter struct {
	Account  string
	Except   string    // id of a session to leave out
	LastSeen time.Time // last seen at this time or later
	Expires  time.Time // expires at this time or later
	Before   Cursor    // by the start of the session
	Limit    int       // at least 1
}

// ListSessions lists up to f.Limit live sessions of an account, most recently started first. To read the next page, set
// f.Before to the cursor of the last session of this one. That order does not change while somebody reads the pages,
// because a session keeps its start.
func (db *DB) ListSessions(ctx context.Context, f SessionFilter) ([]Session, error) {
	if f.Before.At.IsZero() {
		f.Before.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	rows, err := db.read.QueryContext(ctx, `SELECT `+sessionColumns+` FROM sessions `+liveSession+`
		WHERE sessions.account_id = $1 AND sessions.expires_at >= $2 AND sessions.last_seen_at >= $3
			AND sessions.id <> $4 AND (sessions.started_at, sessions.id) < ($5, $6)
		ORDER BY sessions.started_at DESC, sessions.id DESC LIMIT $7`,
		f.Account, f.Expires, f.LastSeen, f.Except, f.Before.At, f.Before.ID, f.Limit)
	return all(rows, err, func(row scanner) (s Session, err error) { return s, row.Scan(s.columns()...) })
}

// TouchSession records that the session was used.
func (db *DB) TouchSession(ctx context.Context, id string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2`, id, now)
	return err
}

// ReauthenticateSession records that the person has authenticated again, and gives the session a new token. The old
// token is no longer accepted. It sets ExpiresAt and Persistent of s. It returns ErrNotFound if the session is not
// live.
func (db *DB) ReauthenticateSession(ctx context.Context, s *Session, idle, now time.Time) error {
	defer db.changed(SessionKey(s.ID))
	return db.returning(ctx, `UPDATE sessions SET token_hash = $2, amr = $3, authenticated_at = $4, last_seen_at = $4,
			factor_id = $8, desk_code_id = ''
		WHERE id = $1 AND account_id = $5 AND epoch = $6 AND expires_at >= $4 AND last_seen_at >= $7
			AND NOT method_required
		RETURNING expires_at, persistent`,
		[]any{s.ID, s.TokenHash, s.AMR, now, s.AccountID, s.Epoch, idle, s.FactorID},
		[]any{(*Time)(&s.ExpiresAt), &s.Persistent})
}

// DeleteSession ends a session of the account. It returns ErrNotFound if there is none.
func (db *DB) DeleteSession(ctx context.Context, account, id string) error {
	return db.endSession(ctx, `account_id = $1 AND id = $2`, account, id)
}

// endSession deletes the session that fits, or fails with ErrNotFound.
func (db *DB) endSession(ctx context.Context, where string, args ...any) error {
	n, err := db.endSessions(ctx, where, args...)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// endSessions deletes the sessions that the SQL condition where selects and flags their grants for back-channel logout.
// It returns the number of sessions.
func (db *DB) endSessions(ctx context.Context, where string, args ...any) (n int, err error) {
	err = db.Tx(ctx, func(tx *DB) error {
		rows, err := tx.write.QueryContext(ctx, `DELETE FROM sessions WHERE `+where+` RETURNING id`, args...)
		ids, err := all(rows, err, func(s scanner) (id string, err error) { return id, s.Scan(&id) })
		if err != nil {
			return err
		}
		n = len(ids)
		for _, id := range ids {
			tx.changed(SessionKey(id))
			_, err := tx.change(ctx, `UPDATE grants SET logout_pending = TRUE
				WHERE session_id = $1 AND logout_sent_at = 0 AND NOT logout_pending`, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
