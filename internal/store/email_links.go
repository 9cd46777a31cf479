package store

import (
	"context"
	"time"
)

// Purposes of an email link.
const (
	LinkInvite        = "invite"
	LinkSignUp        = "signup"
	LinkReset         = "reset"
	LinkUndo          = "undo"   // undo a change that its notification reports
	LinkAccountExists = "exists" // not usable: the email says that there is an account already
	LinkDecoy         = "decoy"  // not usable and not sent: makes known and unknown addresses cost the same
)

// EmailLink is a link that is sent by email.
type EmailLink struct {
	TokenHash []byte
	Purpose   string
	Email     string // canonical form
	AccountID string // LinkReset and LinkUndo
	FactorID  string // LinkUndo: the factor to remove; "" to restore the address
	Name      string
	Operator  bool
	Epoch     int64 // LinkReset: of the account, when the link was created
	CreatedAt time.Time
	ExpiresAt time.Time
}

// CreateEmailLink inserts l.
func (db *DB) CreateEmailLink(ctx context.Context, l EmailLink) error {
	_, err := db.change(ctx, `INSERT INTO email_links (token_hash, purpose, email, account_id, factor_id, name,
			operator, epoch, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`, l.TokenHash, l.Purpose, l.Email, l.AccountID, l.FactorID,
		l.Name,
		l.Operator, l.Epoch, l.CreatedAt, l.ExpiresAt)
	return err
}

// FindEmailLink returns the link with this token hash. It returns ErrNotFound if the link was used, has expired or does
// not exist.
func (db *DB) FindEmailLink(ctx context.Context, token []byte, now time.Time) (l EmailLink, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT token_hash, purpose, email, account_id, factor_id, name, operator, epoch,
			created_at, expires_at FROM email_links
		WHERE token_hash = $1 AND used_at = 0 AND expires_at >= $2`, token, now).
		Scan(&l.TokenHash, &l.Purpose, &l.Email, &l.AccountID, &l.FactorID, &l.Name, &l.Operator, &l.Epoch,
			(*Time)(&l.CreatedAt),
			(*Time)(&l.ExpiresAt))
	return l, found(err)
}

// UseEmailLink uses up a link. It returns ErrNotFound if the link was used, has expired or does not exist.
func (db *DB) UseEmailLink(ctx context.Context, token []byte, now time.Time) error {
	return db.must(ctx, `UPDATE email_links SET used_at = $2 WHERE token_hash = $1 AND used_at = 0
			AND expires_at >= $2`, token, now)
}
