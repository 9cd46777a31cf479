package store

import (
	"context"
	"strconv"
	"time"
)

// The kinds of debit.
const (
	EntryGuess   = "guess"   // an answer was compared
	EntryPair    = "pair"    // two answers in a row were compared with what cannot be guessed
	EntrySend    = "send"    // a message was sent
	EntryRenewal = "renewal" // the ledger began anew
	EntryProof   = "proof"   // both steps were taken from this network: it costs nothing
)

// BudgetEntry is what somebody did that counts against a ledger.
type BudgetEntry struct {
	ID          string
	Budget      string
	Kind        string
	ChallengeID string
	DeviceID    string // the known browser that did it; "" for a stranger
	Network     string // keyed hash; "" if nobody knows it
	CreatedAt   time.Time
	Cost        int64 // in a thousand millionth
}

// GuessBudget is what may be guessed at.
type GuessBudget struct {
	Name            string
	RenewedAt       time.Time
	GuessNotifiedAt time.Time
	SpentNotifiedAt time.Time
}

const debitColumns = `id, budget, kind, challenge_id, device_id, network, created_at, cost`

// LockGuessBudget makes the ledger if there is none, and holds it until the transaction ends:
// whoever else debits it waits, and then sees what was debited here.
func (db *DB) LockGuessBudget(ctx context.Context, name string) (l GuessBudget, err error) {
	err = db.returning(ctx, `INSERT INTO guess_budgets (name, version, renewed_at, guess_notified_at,
			spent_notified_at) VALUES ($1, 1, 0, 0, 0)
		ON CONFLICT (name) DO UPDATE SET version = guess_budgets.version + 1
		RETURNING name, renewed_at, guess_notified_at, spent_notified_at`,
		[]any{name}, []any{&l.Name, (*Time)(&l.RenewedAt), (*Time)(&l.GuessNotifiedAt), (*Time)(&l.SpentNotifiedAt)})
	return l, err
}

// CreateBudgetEntry adds d.
func (db *DB) CreateBudgetEntry(ctx context.Context, d BudgetEntry) error {
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+debitColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		d.ID, d.Budget, d.Kind, d.ChallengeID, d.DeviceID, d.Network, d.CreatedAt, d.Cost)
	return err
}

// ListBudgetEntries are those of a ledger since then, and those that a clock which was set back has
// left in the future; the oldest first.
func (db *DB) ListBudgetEntries(ctx context.Context, ledger string, since time.Time) ([]BudgetEntry, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+debitColumns+` FROM guess_budget_entries WHERE budget = $1
			AND created_at > $2 ORDER BY created_at, id`, ledger, since)
	return all(rows, err, scanDebit)
}

func scanDebit(s scanner) (d BudgetEntry, err error) {
	err = s.Scan(&d.ID, &d.Budget, &d.Kind, &d.ChallengeID, &d.DeviceID, &d.Network, (*Time)(&d.CreatedAt), &d.Cost)
	return d, err
}

// RefundChallenge deletes all entries of a challenge and returns them.
func (db *DB) RefundChallenge(ctx context.Context, challenge string) ([]BudgetEntry, error) {
	rows, err := db.write.QueryContext(ctx, `DELETE FROM guess_budget_entries
		WHERE challenge_id = $1 AND challenge_id <> '' RETURNING `+debitColumns, challenge)
	return all(rows, err, scanDebit)
}

// SaveProofEntry notes that both steps were taken from a network, instead of the last time.
func (db *DB) SaveProofEntry(ctx context.Context, d BudgetEntry) error {
	d.ID = "proof " + d.Budget + " " + d.Network
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+debitColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at`,
		d.ID, d.Budget, d.Kind, d.ChallengeID, d.DeviceID, d.Network, d.CreatedAt, d.Cost)
	return err
}

// RenewGuessBudget lets what was spent before count no more.
func (db *DB) RenewGuessBudget(ctx context.Context, name string, now time.Time) error {
	return db.must(ctx, `UPDATE guess_budgets SET renewed_at = $2 WHERE name = $1`, name, now)
}

// ClaimGuessNotice notes that the owner of a ledger is told that somebody guesses. ErrNotFound:
// they were told since then. A time to come is that of a clock which was set back.
func (db *DB) ClaimGuessNotice(ctx context.Context, name string, since, now time.Time) error {
	return db.must(ctx, `UPDATE guess_budgets SET guess_notified_at = $3
		WHERE name = $1 AND (guess_notified_at <= $2 OR guess_notified_at > $3)`, name, since, now)
}

// ClaimSpentNotice notes that the owner of a ledger is told that it is used up. ErrNotFound: they
// were told since then, as above.
func (db *DB) ClaimSpentNotice(ctx context.Context, name string, since, now time.Time) error {
	return db.must(ctx, `UPDATE guess_budgets SET spent_notified_at = $3
		WHERE name = $1 AND (spent_notified_at <= $2 OR spent_notified_at > $3)`, name, since, now)
}

// ResetSpentNotice notes that the owner of a ledger is to be told once more when it is used up.
func (db *DB) ResetSpentNotice(ctx context.Context, name string) error {
	return db.must(ctx, `UPDATE guess_budgets SET spent_notified_at = 0 WHERE name = $1`, name)
}

// DeleteShareEntries removes what a ledger says about messages that were sent and pairs that were compared.
func (db *DB) DeleteShareEntries(ctx context.Context, ledger string) error {
	_, err := db.change(ctx, `DELETE FROM guess_budget_entries WHERE budget = $1 AND kind IN ('send', 'pair')`, ledger)
	return err
}

// RenewAllGuessBudgets takes one renewal out of each account's, after a restore: what was guessed since
// the backup was made is not known. An account that has none left has nothing left at all.
func (db *DB) RenewAllGuessBudgets(ctx context.Context, since, now time.Time, most, all int64) error {
	tag := strconv.FormatInt(now.UnixMilli(), 10)
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+debitColumns+`)
		SELECT id || ' used up ' || $5, id, 'guess', '', '', '', $2, $4 FROM accounts
		WHERE (SELECT COUNT(*) FROM guess_budget_entries WHERE budget = accounts.id AND kind = 'renewal'
		AND created_at > $1) >= $3`, since, now, most, all, tag)
	if err != nil {
		return err
	}
	_, err = db.change(ctx, `INSERT INTO guess_budget_entries (`+debitColumns+`)
		SELECT id || ' restored ' || $2, id, 'renewal', '', '', '', $1, 0 FROM accounts`, now, tag)
	return err
}
