package store

import (
	"context"
	"time"
)

// The purposes of a sign-in.
const (
	PurposeSignIn = "signin" // a new session
	PurposeStepUp = "stepup" // a new proof for a session that exists
	PurposeFactor = "factor" // the proof of a draft
)

// Attempt is somebody who is to prove something: on the way in, anew, or a new factor.
type Attempt struct {
	ID               string
	TokenHash        []byte // hash
	AccountID        string
	Epoch            int64
	Purpose          string
	SessionID        string // the session that is to be proven anew, or that enrolls; "" for a new one
	Address          string
	UserAgent        string // User-Agent
	ClientHints      string // Sec-CH-UA
	ReturnTo         string
	StartedAt        time.Time
	ExpiresAt        time.Time
	FinishedAt       time.Time // passed or given up; 0: still open
	DeviceID         string    // the browser, if it is known; "" otherwise
	OtherAddress     string    // an address of the other family (IPv4, IPv6) that it was seen from too
	Reason           string    // why the second step is asked for; "" where it always is
	DeviceVerifiedAt time.Time // when the browser was last verified, if that is the reason
	TrustRequested   bool      // the person wants this browser to be trusted
	RequiredLevel    int64     // how much must be proven; 0: as much as anybody
}

const signInColumns = `attempts.id, attempts.token_hash, attempts.account_id, attempts.epoch, attempts.purpose,
		attempts.session_id, attempts.address, attempts.user_agent, attempts.client_hints,
	attempts.return_to, attempts.started_at, attempts.expires_at, attempts.finished_at, attempts.device_id,
	attempts.other_address, attempts.reason, attempts.device_verified_at, attempts.trust_requested,
	attempts.required_level`

func scanSignIn(s scanner) (i Attempt, err error) {
	return i, found(s.Scan(i.columns()...))
}

func (i *Attempt) columns() []any {
	return []any{&i.ID, &i.TokenHash, &i.AccountID, &i.Epoch, &i.Purpose, &i.SessionID, &i.Address, &i.UserAgent, &i.ClientHints,
		&i.ReturnTo, (*Time)(&i.StartedAt), (*Time)(&i.ExpiresAt), (*Time)(&i.FinishedAt),
		&i.DeviceID, &i.OtherAddress, &i.Reason, (*Time)(&i.DeviceVerifiedAt), &i.TrustRequested, &i.RequiredLevel}
}

// CreateAttempt adds i.
func (db *DB) CreateAttempt(ctx context.Context, i Attempt) error {
	_, err := db.change(ctx, `INSERT INTO attempts (id, token_hash, account_id, epoch, purpose, session_id, address,
			user_agent, client_hints, return_to, started_at, expires_at, finished_at,
			device_id, other_address, reason, device_verified_at, trust_requested, required_level)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		i.ID, i.TokenHash, i.AccountID, i.Epoch, i.Purpose, i.SessionID, i.Address, i.UserAgent, i.ClientHints, i.ReturnTo, i.StartedAt,
		i.ExpiresAt, i.FinishedAt,
		i.DeviceID, i.OtherAddress, i.Reason, i.DeviceVerifiedAt, i.TrustRequested, i.RequiredLevel)
	return err
}

// FindAttempt is the sign-in with this token hash, for a session or a step-up, if its
// account is enabled and has not been through a change that voids it. It may be over:
// see FinishedAt and EndsAt.
func (db *DB) FindAttempt(ctx context.Context, token []byte) (Attempt, error) {
	return scanSignIn(db.read.QueryRowContext(ctx, `SELECT `+signInColumns+` FROM attempts
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch
		AND accounts.disabled_at = 0
		WHERE attempts.token_hash = $1 AND attempts.purpose <> 'factor'`, token))
}

// RotateAttemptToken gives the open sign-in the token of s, and why it asks; the old token is
// dead. ErrNotFound: it is over, or somebody else was faster.
func (db *DB) RotateAttemptToken(ctx context.Context, old []byte, s Attempt, now time.Time) error {
	return db.must(ctx, `UPDATE attempts SET token_hash = $3, device_id = $5, reason = $6, device_verified_at = $7,
			return_to = $8
		WHERE id = $1 AND token_hash = $2 AND finished_at = 0 AND expires_at >= $4`,
		s.ID, old, s.TokenHash, now, s.DeviceID, s.Reason, s.DeviceVerifiedAt, s.ReturnTo)
}

// FinishAttempt ends an open sign-in, once. ErrNotFound: it is over already.
func (db *DB) FinishAttempt(ctx context.Context, id string, now time.Time) error {
	return db.must(ctx, `UPDATE attempts SET finished_at = $2 WHERE id = $1 AND finished_at = 0 AND expires_at >= $2`,
		id, now)
}

// SetTrustRequested keeps whether the person wants this browser to be trusted.
func (db *DB) SetTrustRequested(ctx context.Context, id string, trust bool) error {
	_, err := db.change(ctx, `UPDATE attempts SET trust_requested = $2 WHERE id = $1`, id, trust)
	return err
}

// SetOtherAddress keeps the address of the other family that a sign-in was seen from.
func (db *DB) SetOtherAddress(ctx context.Context, id, other string) error {
	_, err := db.change(ctx, `UPDATE attempts SET other_address = $2 WHERE id = $1`, id, other)
	return err
}
