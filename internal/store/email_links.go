package store

import (
	"context"
	"time"
)

// The purposes of a link.
const (
	LinkInvite        = "invite"
	LinkSignUp        = "signup"
	LinkReset         = "reset"
	LinkUndo          = "undo"   // takes a change back that somebody else made
	LinkAccountExists = "exists" // good for nothing: the mail says that there is an account already
	LinkDecoy         = "decoy"  // good for nothing and not mailed: written so that a known and an unknown name cost the same
)

// EmailLink is an invitation, a sign-up or a password reset on its way by mail.
type EmailLink struct {
	TokenHash []byte // hash
	Purpose   string
	Email     string // canonical form
	AccountID string // Reset, Undo: whose
	FactorID  string // Undo: the factor to remove; "" to bring the address back
	Name      string
	Operator  bool
	Epoch     int64 // Reset: the account's epoch when it was made
	CreatedAt time.Time
	ExpiresAt time.Time
}

// CreateEmailLink adds l.
func (db *DB) CreateEmailLink(ctx context.Context, l EmailLink) error {
	_, err := db.change(ctx, `INSERT INTO email_links (token_hash, purpose, email, account_id, factor_id, name,
			operator, epoch, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`, l.TokenHash, l.Purpose, l.Email, l.AccountID, l.FactorID, l.Name,
		l.Operator, l.Epoch, l.CreatedAt, l.ExpiresAt)
	return err
}

// FindEmailLink is the link with this token hash if it is still good.
func (db *DB) FindEmailLink(ctx context.Context, token []byte, now time.Time) (l EmailLink, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT token_hash, purpose, email, account_id, factor_id, name, operator, epoch,
			created_at, expires_at FROM email_links
		WHERE token_hash = $1 AND used_at = 0 AND expires_at >= $2`, token, now).
		Scan(&l.TokenHash, &l.Purpose, &l.Email, &l.AccountID, &l.FactorID, &l.Name, &l.Operator, &l.Epoch, (*Time)(&l.CreatedAt),
			(*Time)(&l.ExpiresAt))
	return l, found(err)
}

// UseEmailLink uses a link up, if it is still good. ErrNotFound: it is not, or somebody
// else was faster.
func (db *DB) UseEmailLink(ctx context.Context, token []byte, now time.Time) error {
	return db.must(ctx, `UPDATE email_links SET used_at = $2 WHERE token_hash = $1 AND used_at = 0
			AND expires_at >= $2`, token, now)
}
