package store

import (
	"context"
	"time"
)

// Purposes of an attempt.
const (
	PurposeSignIn = "signin" // create a session
	PurposeStepUp = "stepup" // authenticate an existing session again
	PurposeFactor = "factor" // verify a pending factor
)

// Attempt is a row of attempts: a sign-in, a step-up, or the verification of a new factor.
type Attempt struct {
	ID               string
	TokenHash        []byte
	AccountID        string
	Epoch            int64
	Purpose          string
	SessionID        string // the session to step up, or the one that adds the factor; "" for a sign-in
	Address          string
	UserAgent        string // the User-Agent header
	ClientHints      string // the Sec-CH-UA header
	StartedAt        time.Time
	ExpiresAt        time.Time
	FinishedAt       time.Time // passed or abandoned; zero: open
	DeviceID         string    // "" if the browser is not known
	OtherAddress     string    // the client's address in the other family (IPv4 or IPv6), if it was seen
	Reason           string    // why the second step is required; "" where it always is
	DeviceVerifiedAt time.Time // when the browser was last verified, if that is the reason
	TrustRequested   bool      // the person asked to trust this browser
	StaySignedIn     bool      // the person ticked the box of the sign-in page
	RequiredLevel    int64     // 0: the usual level of the account
}

const attemptColumns = `attempts.id, attempts.token_hash, attempts.account_id, attempts.epoch, attempts.purpose,
		attempts.session_id, attempts.address, attempts.user_agent, attempts.client_hints,
	attempts.started_at, attempts.expires_at, attempts.finished_at, attempts.device_id,
	attempts.other_address, attempts.reason, attempts.device_verified_at, attempts.trust_requested,
	attempts.stay_signed_in, attempts.required_level`

func (a *Attempt) columns() []any {
	return []any{&a.ID, &a.TokenHash, &a.AccountID, &a.Epoch, &a.Purpose, &a.SessionID, &a.Address, &a.UserAgent,
		&a.ClientHints, (*Time)(&a.StartedAt), (*Time)(&a.ExpiresAt), (*Time)(&a.FinishedAt), &a.DeviceID,
		&a.OtherAddress, &a.Reason, (*Time)(&a.DeviceVerifiedAt), &a.TrustRequested, &a.StaySignedIn,
		&a.RequiredLevel}
}

// CreateAttempt inserts a.
func (db *DB) CreateAttempt(ctx context.Context, a Attempt) error {
	_, err := db.change(ctx, `INSERT INTO attempts (id, token_hash, account_id, epoch, purpose, session_id, address,
			user_agent, client_hints, started_at, expires_at, finished_at, device_id, other_address, reason,
			device_verified_at, trust_requested, required_level, stay_signed_in)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		a.ID, a.TokenHash, a.AccountID, a.Epoch, a.Purpose, a.SessionID, a.Address, a.UserAgent, a.ClientHints,
		a.StartedAt, a.ExpiresAt, a.FinishedAt, a.DeviceID, a.OtherAddress, a.Reason, a.DeviceVerifiedAt,
		a.TrustRequested, a.RequiredLevel, a.StaySignedIn)
	return err
}

// RotateAttemptToken replaces the token, device, reason, level and StaySignedIn of an open attempt by those of a. The
// token whose hash is old is no longer accepted. It returns ErrNotFound if the attempt is over or no longer has the
// token old.
func (db *DB) RotateAttemptToken(ctx context.Context, old []byte, a Attempt, now time.Time) error {
	return db.must(ctx, `UPDATE attempts SET token_hash = $3, device_id = $5, reason = $6, device_verified_at = $7,
			required_level = $8, stay_signed_in = $9
		WHERE id = $1 AND token_hash = $2 AND finished_at = 0 AND expires_at >= $4`,
		a.ID, old, a.TokenHash, now, a.DeviceID, a.Reason, a.DeviceVerifiedAt, a.RequiredLevel,
		a.StaySignedIn)
}

// FinishAttempt ends an open attempt. It returns ErrNotFound if the attempt is over.
func (db *DB) FinishAttempt(ctx context.Context, id string, now time.Time) error {
	return db.must(ctx, `UPDATE attempts SET finished_at = $2 WHERE id = $1 AND finished_at = 0 AND expires_at >= $2`,
		id, now)
}

// ExtendAttempt makes an open attempt last until a later time. It returns ErrNotFound if the attempt is over.
func (db *DB) ExtendAttempt(ctx context.Context, id string, until, now time.Time) error {
	return db.must(ctx, `UPDATE attempts SET expires_at = $2 WHERE id = $1 AND finished_at = 0 AND expires_at >= $3`,
		id, until, now)
}

// SetTrustRequested stores whether the person asked to trust this browser.
func (db *DB) SetTrustRequested(ctx context.Context, id string, trust bool) error {
	_, err := db.change(ctx, `UPDATE attempts SET trust_requested = $2 WHERE id = $1`, id, trust)
	return err
}

// SetOtherAddress stores the client's address in the other family (IPv4 or IPv6).
func (db *DB) SetOtherAddress(ctx context.Context, id, other string) error {
	_, err := db.change(ctx, `UPDATE attempts SET other_address = $2 WHERE id = $1`, id, other)
	return err
}
