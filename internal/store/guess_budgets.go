package store

import (
	"context"
	"strconv"
	"time"
)

// Kinds of budget entry.
const (
	EntryGuess   = "guess"   // a code was compared
	EntryPair    = "pair"    // two consecutive app codes were compared, at no cost
	EntryDesk    = "desk"    // a code was compared with a desk code, at no cost
	EntrySend    = "send"    // a message was sent
	EntryRenewal = "renewal" // the budget was renewed
	EntryProof   = "proof"   // both steps were completed from this network, at no cost
)

// BudgetEntry is one charge against a guess budget, or a fact that the budget depends on.
type BudgetEntry struct {
	ID           string
	Budget       string
	Kind         string
	ChallengeID  string
	DeviceID     string // the known browser that caused it; "" for others
	KnownNetwork bool   // an unknown browser caused it, on a network where the account has completed both steps
	Network      string // keyed hash; "" if it is not known
	LargeNetwork string // keyed hash of the larger network that this one is in
	SiteGroup    string // of EntryGuess: the group of accounts whose counters it was added to; "" if to none
	CreatedAt    time.Time
	Cost         int64 // of EntryGuess, in billionths
}

// GuessBudget is the budget of guesses of an account, or of an address or number to be verified.
type GuessBudget struct {
	Name            string    // account id, or a keyed hash
	RenewedAt       time.Time // entries before do not count
	GuessNotifiedAt time.Time // when the account holder was last notified of guesses
	SpentNotifiedAt time.Time // when the account holder was last notified that it is used up
}

const entryColumns = `id, budget, kind, challenge_id, device_id, known_network, network, large_network,
	site_group, created_at, cost`

// LockGuessBudget creates the budget if it does not exist, and locks its row until the transaction ends. Other
// transactions that charge the budget wait for that, and then see what was charged.
func (db *DB) LockGuessBudget(ctx context.Context, name string) (b GuessBudget, err error) {
	err = db.returning(ctx, `INSERT INTO guess_budgets (name, version, renewed_at, guess_notified_at,
			spent_notified_at) VALUES ($1, 1, 0, 0, 0)
		ON CONFLICT (name) DO UPDATE SET version = guess_budgets.version + 1
		RETURNING name, renewed_at, guess_notified_at, spent_notified_at`,
		[]any{name}, []any{&b.Name, (*Time)(&b.RenewedAt), (*Time)(&b.GuessNotifiedAt), (*Time)(&b.SpentNotifiedAt)})
	return b, err
}

// CreateBudgetEntry inserts e.
func (db *DB) CreateBudgetEntry(ctx context.Context, e BudgetEntry) error {
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+entryColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, e.Budget, e.Kind, e.ChallengeID, e.DeviceID, e.KnownNetwork, e.Network, e.LargeNetwork,
		e.SiteGroup, e.CreatedAt, e.Cost)
	return err
}

// ListBudgetEntries lists the entries of a budget created after since, oldest first. Entries in the future, which a
// clock that was set back leaves behind, are included.
func (db *DB) ListBudgetEntries(ctx context.Context, budget string, since time.Time) ([]BudgetEntry, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+entryColumns+` FROM guess_budget_entries WHERE budget = $1
			AND created_at > $2 ORDER BY created_at, id`, budget, since)
	return all(rows, err, scanEntry)
}

func scanEntry(s scanner) (e BudgetEntry, err error) {
	err = s.Scan(&e.ID, &e.Budget, &e.Kind, &e.ChallengeID, &e.DeviceID, &e.KnownNetwork, &e.Network,
		&e.LargeNetwork, &e.SiteGroup, (*Time)(&e.CreatedAt), &e.Cost)
	return e, err
}

// RefundChallenge deletes all entries of a challenge and returns them.
func (db *DB) RefundChallenge(ctx context.Context, challenge string) ([]BudgetEntry, error) {
	rows, err := db.write.QueryContext(ctx, `DELETE FROM guess_budget_entries
		WHERE challenge_id = $1 AND challenge_id <> '' RETURNING `+entryColumns, challenge)
	return all(rows, err, scanEntry)
}

// SaveProofEntry inserts e, or sets the time of the entry of the same budget and network. It sets e.ID.
func (db *DB) SaveProofEntry(ctx context.Context, e BudgetEntry) error {
	e.ID = "proof " + e.Budget + " " + e.Network
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+entryColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at`,
		e.ID, e.Budget, e.Kind, e.ChallengeID, e.DeviceID, e.KnownNetwork, e.Network, e.LargeNetwork,
		e.SiteGroup, e.CreatedAt, e.Cost)
	return err
}

// RenewGuessBudget makes the entries before now not count. It returns ErrNotFound if there is no such budget.
func (db *DB) RenewGuessBudget(ctx context.Context, name string, now time.Time) error {
	return db.must(ctx, `UPDATE guess_budgets SET renewed_at = $2 WHERE name = $1`, name, now)
}

// ClaimGuessNotice records that the account holder is notified of guesses. It returns ErrNotFound if that was recorded
// after since. A recorded time after now, left by a clock that was set back, does not count.
func (db *DB) ClaimGuessNotice(ctx context.Context, name string, since, now time.Time) error {
	return db.must(ctx, `UPDATE guess_budgets SET guess_notified_at = $3
		WHERE name = $1 AND (guess_notified_at <= $2 OR guess_notified_at > $3)`, name, since, now)
}

// ClaimSpentNotice records that the account holder is notified that the budget is used up. It returns ErrNotFound if
// that was recorded after since. A recorded time after now, left by a clock that was set back, does not count.
func (db *DB) ClaimSpentNotice(ctx context.Context, name string, since, now time.Time) error {
	return db.must(ctx, `UPDATE guess_budgets SET spent_notified_at = $3
		WHERE name = $1 AND (spent_notified_at <= $2 OR spent_notified_at > $3)`, name, since, now)
}

// ResetSpentNotice makes the next ClaimSpentNotice succeed. It returns ErrNotFound if there is no such budget.
func (db *DB) ResetSpentNotice(ctx context.Context, name string) error {
	return db.must(ctx, `UPDATE guess_budgets SET spent_notified_at = 0 WHERE name = $1`, name)
}

// DeleteShareEntries deletes the entries of a budget that limit sent messages and compared pairs of app codes.
func (db *DB) DeleteShareEntries(ctx context.Context, budget string) error {
	_, err := db.change(ctx, `DELETE FROM guess_budget_entries WHERE budget = $1 AND kind IN ('send', 'pair')`, budget)
	return err
}

// RenewAllGuessBudgets adds a renewal entry to the budget of every account, because guesses made since the backup that
// was restored are not known. A budget that has most or more renewal entries created after since is also charged all,
// which uses it up.
func (db *DB) RenewAllGuessBudgets(ctx context.Context, since, now time.Time, most, all int64) error {
	tag := strconv.FormatInt(now.UnixMilli(), 10)
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+entryColumns+`)
		SELECT id || ' used up ' || $5, id, 'guess', '', '', FALSE, '', '', '', $2, $4 FROM accounts
		WHERE (SELECT COUNT(*) FROM guess_budget_entries WHERE budget = accounts.id AND kind = 'renewal'
		AND created_at > $1) >= $3`, since, now, most, all, tag)
	if err != nil {
		return err
	}
	_, err = db.change(ctx, `INSERT INTO guess_budget_entries (`+entryColumns+`)
		SELECT id || ' restored ' || $2, id, 'renewal', '', '', FALSE, '', '', '', $1, 0 FROM accounts`, now, tag)
	return err
}
