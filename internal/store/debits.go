package store

import (
	"context"
	"strconv"
)

// The kinds of debit.
const (
	Guess   = "guess"   // an answer was compared
	Pair    = "pair"    // two answers in a row were compared with what cannot be guessed
	Send    = "send"    // a message was sent
	Renewal = "renewal" // the ledger began anew
	Proof   = "proof"   // both steps were taken from this network: it costs nothing
)

// Debit is what somebody did that counts against a ledger.
type Debit struct {
	ID        string
	Ledger    string
	Kind      string
	Challenge string
	Device    string // the known browser that did it; "" for a stranger
	Network   string // keyed hash; "" if nobody knows it
	At        int64
	Cost      int64 // in a thousand millionth
}

// Ledger is what may be guessed at.
type Ledger struct {
	Name      string
	RenewedAt int64
	ToldAt    int64
	LongerAt  int64
}

const debitColumns = `id, budget, kind, challenge_id, device_id, network, created_at, cost`

// HoldLedger makes the ledger if there is none, and holds it until the transaction ends:
// whoever else debits it waits, and then sees what was debited here.
func (db *DB) HoldLedger(ctx context.Context, name string) (l Ledger, err error) {
	err = db.returning(ctx, `INSERT INTO guess_budgets (name, version, renewed_at, guess_notified_at,
			spent_notified_at) VALUES ($1, 1, 0, 0, 0)
		ON CONFLICT (name) DO UPDATE SET version = guess_budgets.version + 1
		RETURNING name, renewed_at, guess_notified_at, spent_notified_at`,
		[]any{name}, []any{&l.Name, &l.RenewedAt, &l.ToldAt, &l.LongerAt})
	return l, err
}

// AddDebit adds d.
func (db *DB) AddDebit(ctx context.Context, d Debit) error {
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+debitColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		d.ID, d.Ledger, d.Kind, d.Challenge, d.Device, d.Network, d.At, d.Cost)
	return err
}

// Debits are those of a ledger since then, and those that a clock which was set back has
// left in the future; the oldest first.
func (db *DB) Debits(ctx context.Context, ledger string, since int64) ([]Debit, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+debitColumns+` FROM guess_budget_entries WHERE budget = $1
			AND created_at > $2 ORDER BY created_at, id`, ledger, since)
	return all(rows, err, scanDebit)
}

func scanDebit(s scanner) (d Debit, err error) {
	err = s.Scan(&d.ID, &d.Ledger, &d.Kind, &d.Challenge, &d.Device, &d.Network, &d.At, &d.Cost)
	return d, err
}

// Refund deletes all entries of a challenge and returns them.
func (db *DB) Refund(ctx context.Context, challenge string) ([]Debit, error) {
	rows, err := db.write.QueryContext(ctx, `DELETE FROM guess_budget_entries
		WHERE challenge_id = $1 AND challenge_id <> '' RETURNING `+debitColumns, challenge)
	return all(rows, err, scanDebit)
}

// KeepProof notes that both steps were taken from a network, instead of the last time.
func (db *DB) KeepProof(ctx context.Context, d Debit) error {
	d.ID = "proof " + d.Ledger + " " + d.Network
	_, err := db.change(ctx, `INSERT INTO guess_budget_entries (`+debitColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at`,
		d.ID, d.Ledger, d.Kind, d.Challenge, d.Device, d.Network, d.At, d.Cost)
	return err
}

// RenewLedger lets what was spent before count no more.
func (db *DB) RenewLedger(ctx context.Context, name string, now int64) error {
	return db.must(ctx, `UPDATE guess_budgets SET renewed_at = $2 WHERE name = $1`, name, now)
}

// TellGuessed notes that the owner of a ledger is told that somebody guesses. ErrNotFound:
// they were told since then. A time to come is that of a clock which was set back.
func (db *DB) TellGuessed(ctx context.Context, name string, since, now int64) error {
	return db.must(ctx, `UPDATE guess_budgets SET guess_notified_at = $3
		WHERE name = $1 AND (guess_notified_at <= $2 OR guess_notified_at > $3)`, name, since, now)
}

// TellLonger notes that the owner of a ledger is told that it is used up. ErrNotFound: they
// were told since then, as above.
func (db *DB) TellLonger(ctx context.Context, name string, since, now int64) error {
	return db.must(ctx, `UPDATE guess_budgets SET spent_notified_at = $3
		WHERE name = $1 AND (spent_notified_at <= $2 OR spent_notified_at > $3)`, name, since, now)
}

// TakeLongerBack notes that the owner of a ledger is to be told once more when it is used up.
func (db *DB) TakeLongerBack(ctx context.Context, name string) error {
	return db.must(ctx, `UPDATE guess_budgets SET spent_notified_at = 0 WHERE name = $1`, name)
}

// RemoveShares removes what a ledger says about messages that were sent and pairs that were compared.
func (db *DB) RemoveShares(ctx context.Context, ledger string) error {
	_, err := db.change(ctx, `DELETE FROM guess_budget_entries WHERE budget = $1 AND kind IN ('send', 'pair')`, ledger)
	return err
}

// RenewAll takes one renewal out of each account's, after a restore: what was guessed since
// the backup was made is not known. An account that has none left has nothing left at all.
func (db *DB) RenewAll(ctx context.Context, since, now, most, all int64) error {
	tag := strconv.FormatInt(now, 10)
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
