package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of account_keys.
const (
	keyGroup = "group"
	keyText  = "text"
)

// maxTextKeys is how many beginnings of one account are kept: its address, its names, and each word of them.
const maxTextKeys = 24

// textKeys returns the texts by whose beginning an account is found.
func textKeys(a Account) (keys []string) {
	keys = append(keys, strings.ToLower(a.Email))
	for _, name := range []string{a.Name, a.GivenName, a.FamilyName} {
		words := strings.Fields(strings.ToLower(name))
		for i := range words {
			keys = append(keys, strings.Join(words[i:], " "))
		}
	}
	slices.Sort(keys[1:])
	keys = slices.Compact(keys)
	return keys[:min(len(keys), maxTextKeys)]
}

// createAccountKeys inserts the keys by which the account is found.
func (db *DB) createAccountKeys(ctx context.Context, a Account) error {
	create := func(kind string, keys []string) error {
		for _, key := range keys {
			if _, err := db.change(ctx, `INSERT INTO account_keys (kind, key, account_id) VALUES ($1, $2, $3)
				ON CONFLICT DO NOTHING`, kind, []byte(key), a.ID); err != nil {
				return err
			}
		}
		return nil
	}
	if err := create(keyText, textKeys(a)); err != nil || a.Groups == "" {
		return err
	}
	return create(keyGroup, strings.Split(a.Groups, ","))
}

// withAccountKeys runs a statement that changes the account, and replaces the keys by which it is found. It returns
// ErrNotFound if the statement changes no row.
func (db *DB) withAccountKeys(ctx context.Context, id, query string, args ...any) error {
	return db.Tx(ctx, func(tx *DB) error {
		tx.changed(AccountKey(id))
		if err := tx.must(ctx, query, args...); err != nil {
			return err
		}
		a, err := tx.GetAccount(ctx, id)
		if err != nil {
			return err
		}
		if _, err := tx.change(ctx, `DELETE FROM account_keys WHERE account_id = $1`, id); err != nil {
			return err
		}
		return tx.createAccountKeys(ctx, a)
	})
}

// AccountSummary is an account in a list.
type AccountSummary struct {
	ID           string
	Email        string
	Name         string
	Role         string
	Groups       string // separated by commas
	CreatedAt    time.Time
	DisabledAt   time.Time // zero: enabled
	FrozenUntil  time.Time // zero: not frozen
	LastSignInAt time.Time // a little behind, see TouchAccounts; zero: never
	Factors      int64     // how many methods are set up beside email
}

// AccountSort is the order of a list of accounts.
type AccountSort string

// Orders of ListAccounts.
const (
	SortEmail      AccountSort = "email"        // by address, as the database sorts text
	SortCreated    AccountSort = "created"      // newest first
	SortLastSignIn AccountSort = "last-sign-in" // latest first
)

// AccountFilter selects accounts. A zero field does not restrict.
type AccountFilter struct {
	ID             string
	Text           string // the address, or a word of a name and what follows it, begins with this, in any case
	Group          string
	Active         bool // neither disabled nor frozen
	Disabled       bool
	Frozen         bool
	OnlyEmail      bool // no method is set up beside email
	OtherMethod    bool // a method is set up beside email
	SignedInSince  time.Time
	SignedInBefore time.Time // or never
	Sort           AccountSort
	After          AccountCursor
	Limit          int // at least 1
}

// AccountCursor is the position of an account in a list. The next page begins after it. The zero AccountCursor is the
// position before the first.
type AccountCursor struct {
	Email string    // with SortEmail
	At    time.Time // with the other orders
	ID    string    // with the other orders
}

const (
	// fewAccounts is how many accounts are sorted after they were found by a filter; a text finds most of them twice, by
	// the address and the name. If there are more, accounts are read in the order of the list and compared with the filter:
	// of many accounts, some are soon found.
	fewAccounts = 10_000
	// accountSpan is how many accounts are read for one page at most.
	accountSpan = 5_000
)

// accountSource is a filter that finds accounts by an index: the query of their ids, its arguments, and what is left of
// the AccountFilter to compare them with.
type accountSource struct {
	ids  string
	args []any
	rest AccountFilter
}

// sources returns the filters of f that find accounts by an index.
func (f AccountFilter) sources() (list []accountSource) {
	add := func(used func(rest *AccountFilter), ids string, args ...any) {
		rest := f
		used(&rest)
		list = append(list, accountSource{ids, args, rest})
	}
	if f.ID != "" {
		add(func(rest *AccountFilter) { rest.ID = "" }, `SELECT id FROM accounts WHERE id = ?`, f.ID)
	}
	if f.Text != "" {
		from, to := textRange(f.Text)
		add(func(rest *AccountFilter) { rest.Text = "" },
			`SELECT account_id FROM account_keys WHERE kind = 'text' AND key >= ? AND key < ?`, from, to)
	}
	if f.Group != "" {
		add(func(rest *AccountFilter) { rest.Group = "" },
			`SELECT account_id FROM account_keys WHERE kind = 'group' AND key = ?`, []byte(f.Group))
	}
	if f.Disabled {
		add(func(rest *AccountFilter) { rest.Disabled = false }, `SELECT id FROM accounts WHERE disabled_at > 0`)
	}
	if f.Frozen {
		add(func(rest *AccountFilter) { rest.Frozen = false }, `SELECT id FROM accounts WHERE frozen_until > 0`)
	}
	if !f.SignedInSince.IsZero() {
		add(func(*AccountFilter) {}, `SELECT id FROM accounts WHERE last_sign_in_at >= ?`, f.SignedInSince)
	}
	if !f.SignedInBefore.IsZero() {
		add(func(*AccountFilter) {}, `SELECT id FROM accounts WHERE last_sign_in_at < ?`, f.SignedInBefore)
	}
	return list
}

// textRange returns the range of the keys that begin with a text: from, and before to.
func textRange(text string) (from, to []byte) {
	from = []byte(strings.ToLower(text))
	return from, append(slices.Clone(from), 0xff) // no byte of a UTF-8 text is larger or equal
}

// conditions returns the conditions of f on a row of table, joined with AND, and their arguments.
func (f AccountFilter) conditions(table string) (where string, args []any) {
	// A condition on another table is a count: PostgreSQL turns EXISTS into a join, and reads all keys that match for each
	// account.
	var all []string
	add := func(condition string, values ...any) {
		all, args = append(all, strings.ReplaceAll(condition, "row.", table+".")), append(args, values...)
	}
	if f.Text != "" {
		from, to := textRange(f.Text)
		add(`(SELECT COUNT(*) FROM account_keys WHERE account_id = row.id AND kind = 'text' AND key >= ? AND key < ?) > 0`,
			from, to)
	}
	if f.Group != "" {
		add(`(SELECT COUNT(*) FROM account_keys WHERE account_id = row.id AND kind = 'group' AND key = ?) > 0`,
			[]byte(f.Group))
	}
	if f.Active {
		add(`row.disabled_at = 0 AND row.frozen_until = 0`)
	}
	if f.Disabled {
		add(`row.disabled_at > 0`)
	}
	if f.Frozen {
		add(`row.frozen_until > 0`)
	}
	if f.OnlyEmail {
		add(`(SELECT COUNT(*) FROM factors WHERE factors.account_id = row.id) = 0`)
	}
	if f.OtherMethod {
		add(`(SELECT COUNT(*) FROM factors WHERE factors.account_id = row.id) > 0`)
	}
	if !f.SignedInSince.IsZero() {
		add(`row.last_sign_in_at >= ?`, f.SignedInSince)
	}
	if !f.SignedInBefore.IsZero() {
		add(`row.last_sign_in_at < ?`, f.SignedInBefore)
	}
	return strings.Join(all, " AND "), args
}

// order returns the order of a list, and the condition that a row of table comes after f.After, with its arguments.
func (f AccountFilter) order(table string) (order, after string, args []any) {
	late := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if !f.After.At.IsZero() || f.After.ID != "" {
		late = f.After.At
	}
	switch f.Sort {
	case SortCreated:
		order, after, args = `row.created_at DESC, row.id DESC`, `(row.created_at, row.id) < (?, ?)`, []any{late, f.After.ID}
	case SortLastSignIn:
		id := f.After.ID
		if !f.SignedInBefore.IsZero() && f.SignedInBefore.Before(late) {
			late, id = f.SignedInBefore, "" // so that the accounts before are not read
		}
		order = `row.last_sign_in_at DESC, row.id DESC`
		after = `row.last_sign_in_at >= ? AND (row.last_sign_in_at, row.id) < (?, ?)`
		args = []any{f.SignedInSince, late, id}
	default:
		order, after, args = `row.email`, `row.email > ?`, []any{f.After.Email}
	}
	return strings.ReplaceAll(order, "row.", table+"."), strings.ReplaceAll(after, "row.", table+"."), args
}

const summaryColumns = `id, email, name, role, group_names, created_at, disabled_at, frozen_until, last_sign_in_at`

func scanSummary(s scanner) (a AccountSummary, err error) {
	return a, s.Scan(&a.ID, &a.Email, &a.Name, &a.Role, &a.Groups, (*Time)(&a.CreatedAt), (*Time)(&a.DisabledAt),
		(*Time)(&a.FrozenUntil), (*Time)(&a.LastSignInAt), &a.Factors)
}

// ListAccounts lists up to f.Limit accounts that f selects. If next is not nil there may be more after it, also if the
// page has fewer than f.Limit: for one page not more than accountSpan accounts are read.
func (db *DB) ListAccounts(ctx context.Context, f AccountFilter) (list []AccountSummary, next *AccountCursor, err error) {
	for _, source := range f.sources() {
		var n int
		query := `SELECT COUNT(*) FROM (` + source.ids + ` LIMIT ` + strconv.Itoa(fewAccounts+1) + `) AS few`
		if err := db.read.QueryRowContext(ctx, numbered(query), source.args...).Scan(&n); err != nil {
			return nil, nil, err
		}
		if n <= fewAccounts {
			list, err = db.listFew(ctx, source)
			return list, f.next(list), err
		}
	}
	order, after, args := f.order("accounts")
	span := `SELECT ` + summaryColumns + ` FROM accounts WHERE ` + after + ` ORDER BY ` + order
	where, values := f.conditions("span")
	query := `SELECT ` + summaryColumns + factorCount("span") + ` FROM (` + span + ` LIMIT ?) AS span`
	size := f.Limit
	if where != "" {
		query, size = query+` WHERE `+where, accountSpan
	}
	spanOrder, _, _ := f.order("span")
	query += ` ORDER BY ` + spanOrder + ` LIMIT ?`
	rows, err := db.read.QueryContext(ctx, numbered(query), slices.Concat(args, []any{size}, values, []any{f.Limit})...)
	if list, err = all(rows, err, scanSummary); err != nil {
		return nil, nil, err
	}
	if next = f.next(list); next != nil || where == "" {
		return list, next, nil
	}
	// Nothing more in what was read. The next page begins after the last of it, if there was as much as was asked for.
	rows, err = db.read.QueryContext(ctx, numbered(`SELECT `+summaryColumns+`, 0 FROM accounts WHERE `+after+
		` ORDER BY `+order+` LIMIT 1 OFFSET ?`), append(args, size-1)...)
	last, err := all(rows, err, scanSummary)
	if err != nil || len(last) == 0 {
		return list, nil, err
	}
	at := f.cursor(last[0])
	return list, &at, nil
}

// factorCount is the column of AccountSummary.Factors, for a row of table.
func factorCount(table string) string {
	return `, (SELECT COUNT(*) FROM factors WHERE factors.account_id = ` + table + `.id)`
}

// listFew is ListAccounts for a source of few accounts. They are found before anything else: otherwise PostgreSQL reads
// all accounts in the order of the list, if it takes those that match for evenly spread.
func (db *DB) listFew(ctx context.Context, source accountSource) ([]AccountSummary, error) {
	f := source.rest
	where, values := f.conditions("accounts")
	if where != "" {
		where = ` AND ` + where
	}
	order, after, args := f.order("accounts")
	spanOrder, _, _ := f.order("span")
	query := `WITH few (id) AS MATERIALIZED (` + source.ids + `)
		SELECT ` + summaryColumns + factorCount("span") + ` FROM
			(SELECT ` + summaryColumns + ` FROM accounts WHERE id IN (SELECT id FROM few)` + where + ` AND ` + after + `
				ORDER BY ` + order + ` LIMIT ?) AS span
		ORDER BY ` + spanOrder
	rows, err := db.read.QueryContext(ctx, numbered(query), slices.Concat(source.args, values, args, []any{f.Limit})...)
	return all(rows, err, scanSummary)
}

// next returns the position after a page; nil if it is the last one.
func (f AccountFilter) next(page []AccountSummary) *AccountCursor {
	if len(page) < f.Limit {
		return nil
	}
	at := f.cursor(page[len(page)-1])
	return &at
}

func (f AccountFilter) cursor(a AccountSummary) AccountCursor {
	switch f.Sort {
	case SortCreated:
		return AccountCursor{At: a.CreatedAt, ID: a.ID}
	case SortLastSignIn:
		return AccountCursor{At: a.LastSignInAt, ID: a.ID}
	}
	return AccountCursor{Email: a.Email}
}

// numbered replaces each ? of a query by $1, $2 and so on.
func numbered(query string) string {
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// GetLastSignIn returns when the account signed in last, by its events; zero if it did not since the oldest of them.
func (db *DB) GetLastSignIn(ctx context.Context, id string) (time.Time, error) {
	// The index of kinds would lead through the sign-ins of all accounts: the sum keeps it out.
	var event EventID
	err := found(db.read.QueryRowContext(ctx, `SELECT id FROM audit_events
		WHERE account <> '' AND account = $1 AND kind + 0 = (SELECT id FROM audit_terms WHERE term = 'session.created')
		ORDER BY id DESC LIMIT 1`, id).Scan(&event))
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return event.Time(), err
}

// signInsLate is how long before the latest sign-in that TouchAccounts has seen another may appear: its time is the
// start of its transaction, and it is visible after the commit.
const signInsLate = time.Minute

// touchBatch is how many accounts TouchAccounts changes in one transaction, so that other writers do not wait for long.
const touchBatch = 200

// TouchAccounts sets the last sign-in of the accounts that have signed in since it was called last, and returns their
// number. It reads the events, so that a sign-in itself writes nothing more.
func (db *DB) TouchAccounts(ctx context.Context, now time.Time) (changed int64, err error) {
	var since time.Time
	err = db.read.QueryRowContext(ctx, `SELECT MAX(last_sign_in_at) FROM accounts`).Scan((*Time)(&since))
	if err != nil {
		return 0, err
	}
	if since.After(now) { // the clock was set back
		since = now
	}
	if !since.IsZero() {
		since = since.Add(-signInsLate)
	}
	type signIn struct {
		account string
		event   EventID
	}
	rows, err := db.read.QueryContext(ctx, `SELECT account, MAX(audit_events.id) FROM audit_events CROSS JOIN accounts
		WHERE kind = (SELECT id FROM audit_terms WHERE term = 'session.created') AND audit_events.id >= $1
			AND accounts.id = audit_events.account AND accounts.last_sign_in_at < audit_events.id >> 21
		GROUP BY account`, firstEventID(since))
	list, err := all(rows, err, func(s scanner) (one signIn, err error) {
		return one, s.Scan(&one.account, &one.event)
	})
	if err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(list, touchBatch) {
		err := db.Tx(ctx, func(tx *DB) error {
			for _, one := range batch {
				if _, err := tx.change(ctx, `UPDATE accounts SET last_sign_in_at = $2
					WHERE id = $1 AND last_sign_in_at < $2`, one.account, one.event.Time()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return changed, err
		}
		changed += int64(len(batch))
	}
	return changed, nil
}

// LockAccounts keeps accounts as they are until the transaction ends. An id may be "" or unknown.
func (db *DB) LockAccounts(ctx context.Context, id, other string) error {
	_, err := db.change(ctx, `UPDATE accounts SET role = role WHERE id IN ($1, $2)`, id, other)
	return err
}

// LockOperators locks the active operators until the transaction ends, and returns their number: two requests cannot
// both remove what they take for the last but one.
func (db *DB) LockOperators(ctx context.Context) (int64, error) {
	return db.change(ctx, `UPDATE accounts SET role = role
		WHERE role <> '' AND role = 'operator' AND disabled_at = 0`)
}

// DeleteAccount deletes the account with everything that names or describes the person. What stays has no more than the
// id: the events about it, without network addresses, browsers and groups, and its grants until they expire, so that the
// apps are notified of the end of its sessions. What the person did to others as an operator stays whole. It returns ErrNotFound if the account no longer has this epoch.
func (db *DB) DeleteAccount(ctx context.Context, a Account, now time.Time) error {
	return db.Tx(ctx, func(tx *DB) error {
		if err := tx.IncrementEpoch(ctx, a.ID, a.Epoch); err != nil {
			return err
		}
		if _, err := tx.endSessions(ctx, `account_id = $1`, a.ID); err != nil {
			return err
		}
		if _, err := tx.change(ctx, `UPDATE grants SET revoked_at = $2 WHERE account_id = $1 AND revoked_at = 0`,
			a.ID, now); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM tokens WHERE grant_id IN (SELECT id FROM grants WHERE account_id = $1)`,
			`DELETE FROM consents WHERE account_id = $1`,
			`DELETE FROM email_links WHERE account_id = $1`,
			`DELETE FROM guess_budget_entries WHERE budget = $1`,
			`DELETE FROM guess_budgets WHERE name = $1`,
			`UPDATE audit_events SET address = '', browser = 0 WHERE account <> '' AND account = $1`,
			`UPDATE audit_events SET reason = '' WHERE account <> '' AND account = $1 AND kind + 0 IN
				(SELECT id FROM audit_terms WHERE term IN ('account.created', 'account.groups_changed'))`,
			`DELETE FROM accounts WHERE id = $1`,
		} {
			if _, err := tx.change(ctx, query, a.ID); err != nil {
				return err
			}
		}
		_, err := tx.change(ctx, `DELETE FROM email_links WHERE email = $1`, a.Email)
		return err
	})
}
