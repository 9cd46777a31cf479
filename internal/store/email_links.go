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
	LinkAddress       = "address" // a new address, which an operator proposed
	LinkUndo          = "undo"    // undo a change that its notification reports
	LinkDeskCode      = "desk"    // cancel a desk code
	LinkAccountExists = "exists"  // not usable: the email says that there is an account already
	LinkDecoy         = "decoy"   // not usable and not sent: makes known and unknown addresses cost the same
)

// EmailLink is a link that is sent by email.
type EmailLink struct {
	TokenHash []byte
	Purpose   string
	Email     string // canonical form
	AccountID string // LinkReset, LinkAddress, LinkUndo and LinkDeskCode
	FactorID  string // LinkUndo: the factor to remove; "" to restore the address; LinkDeskCode: the desk code
	Replaced  []byte // LinkUndo: the factor to restore, as JSON; empty: none
	Names
	Role      string    // LinkInvite: of the new account
	Groups    string    // LinkInvite: separated by commas
	Epoch     int64     // LinkReset and LinkAddress: of the account, when the link was created
	CreatedAt time.Time // LinkUndo: when the change was made
	ExpiresAt time.Time
	DueAt     time.Time // LinkUndo: when it takes effect; zero: it was not requested
	Language  string    // LinkUndo: of the person who requested it; LinkInvite: of the mail
}

const linkColumns = `token_hash, purpose, email, account_id, factor_id, replaced, name, given_name, family_name,
		role, group_names, epoch, created_at, expires_at, due_at, language`

func scanLink(s scanner) (l EmailLink, err error) {
	err = s.Scan(&l.TokenHash, &l.Purpose, &l.Email, &l.AccountID, &l.FactorID, &l.Replaced, &l.Name, &l.GivenName,
		&l.FamilyName, &l.Role, &l.Groups, &l.Epoch, (*Time)(&l.CreatedAt), (*Time)(&l.ExpiresAt), (*Time)(&l.DueAt),
		&l.Language)
	return l, found(err)
}

// CreateEmailLink inserts l.
func (db *DB) CreateEmailLink(ctx context.Context, l EmailLink) error {
	_, err := db.change(ctx, `INSERT INTO email_links (`+linkColumns+`, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0)`,
		l.TokenHash, l.Purpose, l.Email, l.AccountID, l.FactorID, blob(l.Replaced), l.Name, l.GivenName, l.FamilyName, l.Role,
		l.Groups, l.Epoch, l.CreatedAt, l.ExpiresAt, l.DueAt, l.Language)
	return err
}

// FindEmailLink returns the link with this token hash. It returns ErrNotFound if the link was used, has expired or does
// not exist.
func (db *DB) FindEmailLink(ctx context.Context, token []byte, now time.Time) (EmailLink, error) {
	return scanLink(db.read.QueryRowContext(ctx, `SELECT `+linkColumns+` FROM email_links
		WHERE token_hash = $1 AND used_at = 0 AND expires_at >= $2`, token, now))
}

// UseEmailLink uses up a link. It returns ErrNotFound if the link was used, has expired or does not exist.
func (db *DB) UseEmailLink(ctx context.Context, token []byte, now time.Time) error {
	return db.must(ctx, `UPDATE email_links SET used_at = $2 WHERE token_hash = $1 AND used_at = 0
			AND expires_at >= $2`, token, now)
}

// DeleteEmailLinks deletes the links of an account with this purpose, used or not.
func (db *DB) DeleteEmailLinks(ctx context.Context, account, purpose string) error {
	_, err := db.change(ctx, `DELETE FROM email_links WHERE account_id = $1 AND purpose = $2`, account, purpose)
	return err
}

// ListUndoLinks lists the links that undo a change of the account and were sent since a time, used or not, oldest
// change first.
func (db *DB) ListUndoLinks(ctx context.Context, account string, since time.Time) ([]EmailLink, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+linkColumns+` FROM email_links
		WHERE account_id = $1 AND purpose = 'undo' AND created_at >= $2 ORDER BY created_at, token_hash`, account, since)
	return all(rows, err, scanLink)
}

// RequestUndo records that an undo takes effect at l.DueAt, and freezes the account until then. It returns ErrNotFound
// if the link was used, requested before or has expired.
func (db *DB) RequestUndo(ctx context.Context, l EmailLink, now time.Time) error {
	if err := db.lockFreeze(ctx, l.AccountID); err != nil {
		return err
	}
	err := db.must(ctx, `UPDATE email_links SET due_at = $2, language = $3
		WHERE token_hash = $1 AND used_at = 0 AND due_at = 0 AND expires_at >= $4`, l.TokenHash, l.DueAt, l.Language, now)
	if err != nil {
		return err
	}
	return db.updateFreeze(ctx, l.AccountID)
}

// ListDueUndos lists up to limit requested undos that take effect at now or before, the longest due first.
func (db *DB) ListDueUndos(ctx context.Context, now time.Time, limit int) ([]EmailLink, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+linkColumns+` FROM email_links
		WHERE due_at > 0 AND used_at = 0 AND due_at <= $1 ORDER BY due_at LIMIT $2`, now, limit)
	return all(rows, err, scanLink)
}

// FinishUndo uses up the link of an undo that takes effect. It returns ErrNotFound if the link was used, or has expired
// and was not requested before.
func (db *DB) FinishUndo(ctx context.Context, l EmailLink, now time.Time) error {
	if err := db.lockFreeze(ctx, l.AccountID); err != nil {
		return err
	}
	err := db.must(ctx, `UPDATE email_links SET used_at = $2
		WHERE token_hash = $1 AND used_at = 0 AND (expires_at >= $2 OR due_at > 0)`, l.TokenHash, now)
	if err != nil {
		return err
	}
	return db.updateFreeze(ctx, l.AccountID)
}

// CancelUndos uses up the links of the requested undos of the account that take effect after now, and ends the freeze.
// It returns ErrNotFound if there is none.
func (db *DB) CancelUndos(ctx context.Context, account string, now time.Time) error {
	if err := db.lockFreeze(ctx, account); err != nil {
		return err
	}
	n, err := db.change(ctx, `UPDATE email_links SET used_at = $2
		WHERE account_id = $1 AND purpose = 'undo' AND due_at > $2 AND used_at = 0`, account, now)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return db.updateFreeze(ctx, account)
}

// lockFreeze locks the row of the account until the transaction ends. updateFreeze reads the links as they were when
// its statement began, so without the lock it would not see the link of another transaction that it has waited for.
func (db *DB) lockFreeze(ctx context.Context, account string) error {
	return db.must(ctx, `UPDATE accounts SET frozen_until = frozen_until WHERE id = $1`, account)
}

// updateFreeze freezes the account until the last of its requested undos takes effect; not at all if there is none.
func (db *DB) updateFreeze(ctx context.Context, account string) error {
	defer db.changed(AccountKey(account))
	return db.must(ctx, `UPDATE accounts SET frozen_until = (SELECT COALESCE(MAX(due_at), 0) FROM email_links
			WHERE account_id = $1 AND purpose = 'undo' AND due_at > 0 AND used_at = 0)
		WHERE id = $1`, account)
}
