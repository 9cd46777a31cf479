package store

import "context"

// The purposes of a link.
const (
	Invite = "invite"
	SignUp = "signup"
	Reset  = "reset"
	Undo   = "undo"   // takes a change back that somebody else made
	Exists = "exists" // good for nothing: the mail says that there is an account already
	Decoy  = "decoy"  // good for nothing and not mailed: written so that a known and an unknown name cost the same
)

// Link is an invitation, a sign-up or a password reset on its way by mail.
type Link struct {
	Token    []byte // hash
	Purpose  string
	Email    string // canonical form
	Account  string // Reset, Undo: whose
	Factor   string // Undo: the factor to remove; "" to bring the address back
	Name     string
	Operator bool
	Epoch    int64 // Reset: the account's epoch when it was made
	MadeAt   int64
	EndsAt   int64
}

// AddLink adds l.
func (db *DB) AddLink(ctx context.Context, l Link) error {
	_, err := db.change(ctx, `INSERT INTO email_links (token_hash, purpose, email, account_id, factor_id, name,
			operator, epoch, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`, l.Token, l.Purpose, l.Email, l.Account, l.Factor, l.Name,
		l.Operator, l.Epoch, l.MadeAt, l.EndsAt)
	return err
}

// Link is the link with this token hash if it is still good.
func (db *DB) Link(ctx context.Context, token []byte, now int64) (l Link, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT token_hash, purpose, email, account_id, factor_id, name, operator, epoch,
			created_at, expires_at FROM email_links
		WHERE token_hash = $1 AND used_at = 0 AND expires_at >= $2`, token, now).
		Scan(&l.Token, &l.Purpose, &l.Email, &l.Account, &l.Factor, &l.Name, &l.Operator, &l.Epoch, &l.MadeAt,
			&l.EndsAt)
	return l, found(err)
}

// UseLink uses a link up, if it is still good. ErrNotFound: it is not, or somebody
// else was faster.
func (db *DB) UseLink(ctx context.Context, token []byte, now int64) error {
	return db.must(ctx, `UPDATE email_links SET used_at = $2 WHERE token_hash = $1 AND used_at = 0
			AND expires_at >= $2`, token, now)
}
