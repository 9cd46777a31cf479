package store

import "context"

// The purposes of a sign-in.
const (
	ForSession = "signin" // a new session
	ForStepUp  = "stepup" // a new proof for a session that exists
	ForFactor  = "factor" // the proof of a draft
)

// SignIn is somebody who is to prove something: on the way in, anew, or a new factor.
type SignIn struct {
	ID         string
	Token      []byte // hash
	Account    string
	Epoch      int64
	Purpose    string
	Session    string // the session that is to be proven anew, or that enrolls; "" for a new one
	Address    string
	Browser    string // User-Agent
	Hints      string // Sec-CH-UA
	ReturnTo   string
	BeganAt    int64
	EndsAt     int64
	FinishedAt int64  // passed or given up; 0: still open
	Device     string // the browser, if it is known; "" otherwise
	Other      string // an address of the other family (IPv4, IPv6) that it was seen from too
	Reason     string // why the second step is asked for; "" where it always is
	VerifiedAt int64  // when the browser was last verified, if that is the reason
	Trust      bool   // the person wants this browser to be trusted
	Level      int64  // how much must be proven; 0: as much as anybody
}

const signInColumns = `attempts.id, attempts.token_hash, attempts.account_id, attempts.epoch, attempts.purpose,
		attempts.session_id, attempts.address, attempts.user_agent, attempts.client_hints,
	attempts.return_to, attempts.started_at, attempts.expires_at, attempts.finished_at, attempts.device_id,
	attempts.other_address, attempts.reason, attempts.device_verified_at, attempts.trust_requested,
	attempts.required_level`

func scanSignIn(s scanner) (i SignIn, err error) {
	return i, found(s.Scan(i.columns()...))
}

func (i *SignIn) columns() []any {
	return []any{&i.ID, &i.Token, &i.Account, &i.Epoch, &i.Purpose, &i.Session, &i.Address, &i.Browser, &i.Hints,
		&i.ReturnTo, &i.BeganAt, &i.EndsAt, &i.FinishedAt,
		&i.Device, &i.Other, &i.Reason, &i.VerifiedAt, &i.Trust, &i.Level}
}

// AddSignIn adds i.
func (db *DB) AddSignIn(ctx context.Context, i SignIn) error {
	_, err := db.change(ctx, `INSERT INTO attempts (id, token_hash, account_id, epoch, purpose, session_id, address,
			user_agent, client_hints, return_to, started_at, expires_at, finished_at,
			device_id, other_address, reason, device_verified_at, trust_requested, required_level)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		i.ID, i.Token, i.Account, i.Epoch, i.Purpose, i.Session, i.Address, i.Browser, i.Hints, i.ReturnTo, i.BeganAt,
		i.EndsAt, i.FinishedAt,
		i.Device, i.Other, i.Reason, i.VerifiedAt, i.Trust, i.Level)
	return err
}

// SignIn is the sign-in with this token hash, for a session or a step-up, if its
// account is enabled and has not been through a change that voids it. It may be over:
// see FinishedAt and EndsAt.
func (db *DB) SignIn(ctx context.Context, token []byte) (SignIn, error) {
	return scanSignIn(db.read.QueryRowContext(ctx, `SELECT `+signInColumns+` FROM attempts
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch
		AND accounts.disabled_at = 0
		WHERE attempts.token_hash = $1 AND attempts.purpose <> 'factor'`, token))
}

// RetokenSignIn gives the open sign-in the token of s, and why it asks; the old token is
// dead. ErrNotFound: it is over, or somebody else was faster.
func (db *DB) RetokenSignIn(ctx context.Context, old []byte, s SignIn, now int64) error {
	return db.must(ctx, `UPDATE attempts SET token_hash = $3, device_id = $5, reason = $6, device_verified_at = $7,
			return_to = $8
		WHERE id = $1 AND token_hash = $2 AND finished_at = 0 AND expires_at >= $4`,
		s.ID, old, s.Token, now, s.Device, s.Reason, s.VerifiedAt, s.ReturnTo)
}

// FinishSignIn ends an open sign-in, once. ErrNotFound: it is over already.
func (db *DB) FinishSignIn(ctx context.Context, id string, now int64) error {
	return db.must(ctx, `UPDATE attempts SET finished_at = $2 WHERE id = $1 AND finished_at = 0 AND expires_at >= $2`,
		id, now)
}

// TickSignIn keeps whether the person wants this browser to be trusted.
func (db *DB) TickSignIn(ctx context.Context, id string, trust bool) error {
	_, err := db.change(ctx, `UPDATE attempts SET trust_requested = $2 WHERE id = $1`, id, trust)
	return err
}

// SeeSignIn keeps the address of the other family that a sign-in was seen from.
func (db *DB) SeeSignIn(ctx context.Context, id, other string) error {
	_, err := db.change(ctx, `UPDATE attempts SET other_address = $2 WHERE id = $1`, id, other)
	return err
}
