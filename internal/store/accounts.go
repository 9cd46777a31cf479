package store

import (
	"context"
	"time"
)

// Account is a row of accounts.
type Account struct {
	ID                  string
	Email               string // canonical form
	Name                string
	GivenName           string // "" if the person did not say
	FamilyName          string
	ProfileChangedAt    time.Time // when a name or the address was last changed
	Role                string    // "", RoleOperator, RoleHelpdesk or RoleAuditor
	PasswordHash        []byte    // sealed; empty: the account has no password
	PasswordSetByMailAt time.Time // when the password was last set with a link sent by email; zero: never
	PasswordChangedAt   time.Time // when the password was last changed; zero: never
	FormerPasswordHash  []byte    // sealed: the password before the first change of the last FormerPasswordTTL; empty: none
	FormerPasswordUntil time.Time // how long FormerPasswordHash counts
	Epoch               int64     // raised to end every attempt, session and link made before
	DisabledAt          time.Time // zero: enabled
	CreatedAt           time.Time
	Groups              string    // separated by commas
	FrozenUntil         time.Time // when the last requested undo takes effect; zero: none was requested
	EmailSecondStep     string    // "" as the site has it, or EmailUntilAnother
}

// Roles of accounts on the operators' pages.
const (
	RoleOperator = "operator" // everything
	RoleHelpdesk = "helpdesk" // finds and helps people without a role
	RoleAuditor  = "auditor"  // reads and exports
)

// EmailUntilAnother says that codes by email are no second step of an account that has another method.
const EmailUntilAnother = "until-another"

// FormerPasswordTTL is how long a password that was changed proves that a change may be undone: as long as the links
// that undo one.
const FormerPasswordTTL = 7 * 24 * time.Hour

// AccountRef identifies an account at one epoch. What is written for it is valid only while the account has that epoch.
type AccountRef struct {
	ID    string
	Epoch int64
}

// Ref returns the reference to the account at the epoch that was read.
func (a Account) Ref() AccountRef { return AccountRef{a.ID, a.Epoch} }

const accountColumns = `id, email, name, given_name, family_name, profile_changed_at, role, password_hash,
		password_set_by_mail_at, password_changed_at, former_password_hash, former_password_until, epoch, disabled_at, created_at, group_names, frozen_until,
		email_second_step`

const accountOf = `accounts.id, accounts.email, accounts.name, accounts.given_name, accounts.family_name,
		accounts.profile_changed_at, accounts.role, accounts.password_hash,
		accounts.password_set_by_mail_at, accounts.password_changed_at, accounts.former_password_hash,
		accounts.former_password_until, accounts.epoch, accounts.disabled_at, accounts.created_at,
		accounts.group_names, accounts.frozen_until, accounts.email_second_step`

func (a *Account) columns() []any {
	return []any{
		&a.ID, &a.Email, &a.Name, &a.GivenName, &a.FamilyName, (*Time)(&a.ProfileChangedAt), &a.Role, &a.PasswordHash, (*Time)(&a.PasswordSetByMailAt),
		(*Time)(&a.PasswordChangedAt), &a.FormerPasswordHash, (*Time)(&a.FormerPasswordUntil), &a.Epoch,
		(*Time)(&a.DisabledAt), (*Time)(&a.CreatedAt), &a.Groups, (*Time)(&a.FrozenUntil), &a.EmailSecondStep,
	}
}

func scanAccount(s scanner) (a Account, err error) {
	err = s.Scan(a.columns()...)
	return a, found(err)
}

// CreateAccount inserts a. It returns ErrConflict if the email address has an account.
func (db *DB) CreateAccount(ctx context.Context, a Account) error {
	return db.Tx(ctx, func(tx *DB) error {
		_, err := tx.change(ctx, `INSERT INTO accounts (`+accountColumns+`, last_sign_in_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0)`,
			a.ID, a.Email, a.Name, a.GivenName, a.FamilyName, a.ProfileChangedAt, a.Role, a.PasswordHash, a.PasswordSetByMailAt, a.PasswordChangedAt,
			blob(a.FormerPasswordHash), a.FormerPasswordUntil, a.Epoch, a.DisabledAt, a.CreatedAt, a.Groups, a.FrozenUntil,
			a.EmailSecondStep)
		if err != nil {
			return err
		}
		return tx.createAccountKeys(ctx, a)
	})
}

// GetAccount returns the account with this id, or ErrNotFound.
func (db *DB) GetAccount(ctx context.Context, id string) (Account, error) {
	return scanAccount(db.read.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
}

// FindAccountByEmail returns the account with this email address, in canonical form, or ErrNotFound.
func (db *DB) FindAccountByEmail(ctx context.Context, email string) (Account, error) {
	return scanAccount(db.read.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE email = $1`, email))
}

// ReplacePasswordHash replaces the sealed hash old by another hash of the same password. It does nothing if the
// password was changed meanwhile.
func (db *DB) ReplacePasswordHash(ctx context.Context, id string, old, hash []byte) error {
	_, err := db.change(ctx, `UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2`,
		id, old, hash)
	return err
}

// SetPassword replaces the sealed password hash of the account and raises the epoch, which ends every attempt, session
// and link made before. mailedAt is zero if the password was not set with a link sent by email. The replaced hash is
// kept as FormerPasswordHash for FormerPasswordTTL, unless an older one is. SetPassword returns ErrNotFound if the
// account no longer has this epoch.
func (db *DB) SetPassword(
	ctx context.Context, id string, epoch int64, password []byte, mailedAt, now time.Time,
) error {
	return db.endEpoch(ctx, id, `UPDATE accounts SET password_hash = $3, password_set_by_mail_at = $4,
			password_changed_at = $5, epoch = epoch + 1,
			former_password_hash = CASE WHEN former_password_until < $5 OR LENGTH(former_password_hash) = 0
				THEN password_hash ELSE former_password_hash END,
			former_password_until = CASE WHEN former_password_until < $5 OR LENGTH(former_password_hash) = 0
				THEN $6 ELSE former_password_until END
		WHERE id = $1 AND epoch = $2`, id, epoch, password, mailedAt, now, now.Add(FormerPasswordTTL))
}

// SetEmail replaces the email address of the account. It returns ErrConflict if the address has an account, and
// ErrNotFound if the account no longer has this epoch.
func (db *DB) SetEmail(ctx context.Context, id string, epoch int64, email string, now time.Time) error {
	return db.withAccountKeys(ctx, id, `UPDATE accounts SET email = $3, profile_changed_at = $4
		WHERE id = $1 AND epoch = $2`, id, epoch, email, now)
}

// Names are the names of a person.
type Names struct {
	Name       string // for display
	GivenName  string // "": not known
	FamilyName string // "": not known
}

// SetNames replaces the names of the account. It returns ErrNotFound if there is no such account.
func (db *DB) SetNames(ctx context.Context, id string, n Names, now time.Time) error {
	return db.withAccountKeys(ctx, id, `UPDATE accounts SET name = $2, given_name = $3, family_name = $4, profile_changed_at = $5
		WHERE id = $1`, id, n.Name, n.GivenName, n.FamilyName, now)
}

// IncrementEpoch raises the epoch, which ends every attempt, session and link of the account. It returns ErrNotFound if
// the account no longer has this epoch.
func (db *DB) IncrementEpoch(ctx context.Context, id string, epoch int64) error {
	return db.endEpoch(ctx, id, `UPDATE accounts SET epoch = epoch + 1 WHERE id = $1 AND epoch = $2`, id, epoch)
}

// SetGroups replaces the groups of the account, which are separated by commas. It returns ErrNotFound if there is no
// such account.
func (db *DB) SetGroups(ctx context.Context, id, groups string) error {
	return db.withAccountKeys(ctx, id, `UPDATE accounts SET group_names = $2 WHERE id = $1`, id, groups)
}

// SetRole replaces the role of the account. It returns ErrNotFound if there is no such account.
func (db *DB) SetRole(ctx context.Context, id, role string) error {
	defer db.changed(AccountKey(id))
	return db.must(ctx, `UPDATE accounts SET role = $2 WHERE id = $1`, id, role)
}

// SetEmailSecondStep sets whether codes by email are a second step of the account: "" or EmailUntilAnother. It returns
// ErrNotFound if the account no longer has this epoch.
func (db *DB) SetEmailSecondStep(ctx context.Context, id string, epoch int64, choice string) error {
	defer db.changed(AccountKey(id))
	return db.must(ctx, `UPDATE accounts SET email_second_step = $3 WHERE id = $1 AND epoch = $2`, id, epoch, choice)
}

// SetDisabled disables the account, or enables it if at is zero, and raises the epoch: sessions that were ended stay
// ended when the account is enabled again. It returns ErrNotFound if the account no longer has this epoch.
func (db *DB) SetDisabled(ctx context.Context, id string, epoch int64, at time.Time) error {
	return db.endEpoch(ctx, id, `UPDATE accounts SET disabled_at = $3, epoch = epoch + 1 WHERE id = $1 AND epoch = $2`,
		id, epoch, at)
}

// endEpoch runs a statement that raises the epoch of the account, and flags the grants of its sessions for back-channel
// logout. It returns ErrNotFound if the statement changes no row.
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

// RevokeAll ends all attempts, sessions, links and trust of all accounts, the requests of devices, and the tokens with
// which apps register themselves.
func (db *DB) RevokeAll(ctx context.Context, why string, now time.Time) error {
	defer db.changed(everything)
	for _, query := range []string{`DELETE FROM known_devices`, `UPDATE accounts SET epoch = epoch + 1`,
		`DELETE FROM device_authorizations`, `DELETE FROM registration_tokens`} {
		if _, err := db.change(ctx, query); err != nil {
			return err
		}
	}
	if _, err := db.change(ctx, `UPDATE grants SET logout_pending = TRUE
		WHERE session_expires_at >= $1 AND account_id <> '' AND logout_sent_at = 0`, now); err != nil {
		return err
	}
	// An undo that was requested still takes effect: the backup also has the change that it undoes.
	if _, err := db.change(ctx, `UPDATE email_links SET used_at = $1 WHERE used_at = 0 AND due_at = 0`, now); err != nil {
		return err
	}
	if _, err := db.change(ctx, `UPDATE devices SET revoke_reason = $1 WHERE revoke_reason = ''`, why); err != nil {
		return err
	}
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $2, revoke_reason = $1 WHERE revoked_at = 0`,
		why, now)
	return err
}

// CountAccounts returns the number of accounts.
func (db *DB) CountAccounts(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM accounts`).Scan(&n)
	return n, err
}
