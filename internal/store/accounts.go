package store

import (
	"context"
	"time"
)

// Account is one login.
type Account struct {
	ID                  string
	Email               string // canonical form
	Name                string
	Operator            bool
	PasswordHash        []byte    // sealed hash
	PasswordSetByMailAt time.Time // when the password was last set by way of the mailbox; 0: never
	Epoch               int64
	DisabledAt          time.Time
	CreatedAt           time.Time
	Groups              string // separated by spaces
}

// AccountRef is an account as it was at one epoch. Whatever is written for it holds only while
// the epoch is the same.
type AccountRef struct {
	ID    string
	Epoch int64
}

// Ref is the account as it was when a was read.
func (a Account) Ref() AccountRef { return AccountRef{a.ID, a.Epoch} }

const accountColumns = `id, email, name, operator, password_hash, password_set_by_mail_at, epoch, disabled_at,
		created_at, group_names`

const accountOf = `accounts.id, accounts.email, accounts.name, accounts.operator, accounts.password_hash,
		accounts.password_set_by_mail_at, accounts.epoch, accounts.disabled_at, accounts.created_at, accounts.group_names`

func (a *Account) columns() []any {
	return []any{
		&a.ID, &a.Email, &a.Name, &a.Operator, &a.PasswordHash, (*Time)(&a.PasswordSetByMailAt), &a.Epoch, (*Time)(&a.DisabledAt), (*Time)(&a.CreatedAt), &a.Groups,
	}
}

func scanAccount(s scanner) (a Account, err error) {
	err = s.Scan(a.columns()...)
	return a, found(err)
}

// CreateAccount adds a, or fails with ErrConflict if its address has an account.
func (db *DB) CreateAccount(ctx context.Context, a Account) error {
	_, err := db.change(ctx, `INSERT INTO accounts (`+accountColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		a.ID, a.Email, a.Name, a.Operator, a.PasswordHash, a.PasswordSetByMailAt, a.Epoch, a.DisabledAt, a.CreatedAt, a.Groups)
	return err
}

// GetAccount is the account with this id.
func (db *DB) GetAccount(ctx context.Context, id string) (Account, error) {
	return scanAccount(db.read.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
}

// FindAccountByEmail is the account with this address, in canonical form.
func (db *DB) FindAccountByEmail(ctx context.Context, email string) (Account, error) {
	return scanAccount(db.read.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE email = $1`, email))
}

// ReplacePasswordHash replaces the stored password hash by one of the same password, unless the
// password was changed meanwhile.
func (db *DB) ReplacePasswordHash(ctx context.Context, id string, old, hash []byte) error {
	_, err := db.change(ctx, `UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2`, id, old,
		hash)
	return err
}

// SetPassword replaces the password of the account as it was at epoch and raises the
// epoch: every sign-in, session and link made before is void. mailedAt is 0 if the
// mailbox had no part in it. ErrNotFound: somebody else was faster.
func (db *DB) SetPassword(ctx context.Context, id string, epoch int64, password []byte, mailedAt time.Time) error {
	return db.endEpoch(ctx, id, `UPDATE accounts SET password_hash = $3, password_set_by_mail_at = $4, epoch = epoch + 1
		WHERE id = $1 AND epoch = $2`, id, epoch, password, mailedAt)
}

// SetEmail replaces the address of the account as it was at epoch. ErrConflict: the
// address has an account. ErrNotFound: somebody else was faster.
func (db *DB) SetEmail(ctx context.Context, id string, epoch int64, email string) error {
	defer db.changed(AccountKey(id))
	return db.must(ctx, `UPDATE accounts SET email = $3 WHERE id = $1 AND epoch = $2`, id, epoch, email)
}

// IncrementEpoch voids every sign-in, session and link of the account as it was at epoch.
// ErrNotFound: somebody else was faster.
func (db *DB) IncrementEpoch(ctx context.Context, id string, epoch int64) error {
	return db.endEpoch(ctx, id, `UPDATE accounts SET epoch = epoch + 1 WHERE id = $1 AND epoch = $2`, id, epoch)
}

// SetGroups replaces the groups of the account.
func (db *DB) SetGroups(ctx context.Context, id, groups string) error {
	defer db.changed(AccountKey(id))
	return db.must(ctx, `UPDATE accounts SET group_names = $2 WHERE id = $1`, id, groups)
}

// SetDisabled disables an account (at 0: enables it) as it was at epoch, and raises the
// epoch: nothing that began before comes back. ErrNotFound: somebody else was faster.
func (db *DB) SetDisabled(ctx context.Context, id string, epoch int64, at time.Time) error {
	return db.endEpoch(ctx, id, `UPDATE accounts SET disabled_at = $3, epoch = epoch + 1 WHERE id = $1 AND epoch = $2`,
		id, epoch, at)
}

// endEpoch runs a statement that raises the epoch of the account, or fails with ErrNotFound. All sessions of the
// account have ended then, and their clients are to be notified.
func (db *DB) endEpoch(ctx context.Context, id, query string, args ...any) error {
	return db.Tx(ctx, func(tx *DB) error {
		tx.changed(AccountKey(id))
		if err := tx.must(ctx, query, args...); err != nil {
			return err
		}
		_, err := tx.change(ctx, `UPDATE grants SET logout_pending = TRUE
			WHERE account_id = $1 AND logout_sent_at = 0 AND NOT logout_pending`, id)
		return err
	})
}

// RevokeAll ends every attempt, session and link of all accounts, and all trust.
func (db *DB) RevokeAll(ctx context.Context, why string, now time.Time) error {
	defer db.changed(everything)
	for _, query := range []string{`DELETE FROM known_devices`, `UPDATE accounts SET epoch = epoch + 1`} {
		if _, err := db.change(ctx, query); err != nil {
			return err
		}
	}
	if _, err := db.change(ctx, `UPDATE grants SET logout_pending = TRUE
		WHERE session_expires_at >= $1 AND account_id <> '' AND logout_sent_at = 0`, now); err != nil {
		return err
	}
	if _, err := db.change(ctx, `UPDATE email_links SET used_at = $1 WHERE used_at = 0`, now); err != nil {
		return err
	}
	if _, err := db.change(ctx, `UPDATE devices SET revoke_reason = $1 WHERE revoke_reason = ''`, why); err != nil {
		return err
	}
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $2, revoke_reason = $1 WHERE revoked_at = 0`,
		why, now)
	return err
}

// CountAccounts is how many accounts there are.
func (db *DB) CountAccounts(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM accounts`).Scan(&n)
	return n, err
}
