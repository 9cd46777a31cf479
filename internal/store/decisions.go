package store

import "context"

// Decision is what was decided about one right password.
type Decision struct {
	ID      string // the trace
	At      int64
	Account string
	Device  string // "" if the browser is not known
	Reason  string
	Body    []byte // sealed: all that was looked at
}

// AddDecision adds d. The same of the same moment stands there once.
func (db *DB) AddDecision(ctx context.Context, d Decision) error {
	_, err := db.change(ctx, `INSERT INTO trust_decisions (id, decided_at, account_id, device_id, reason, body)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
		d.ID, d.At, d.Account, d.Device, d.Reason, d.Body)
	return err
}

// KeepDecisions removes all but the last decisions about an account.
func (db *DB) KeepDecisions(ctx context.Context, account string, most int64) error {
	_, err := db.change(ctx, `DELETE FROM trust_decisions WHERE account_id = $1 AND id NOT IN
		(SELECT id FROM trust_decisions WHERE account_id = $1 ORDER BY decided_at DESC, id LIMIT $2)`, account, most)
	return err
}

const decisionColumns = `id, decided_at, account_id, device_id, reason, body`

func scanDecision(s scanner) (d Decision, err error) {
	err = s.Scan(&d.ID, &d.At, &d.Account, &d.Device, &d.Reason, &d.Body)
	return d, found(err)
}

// Decision is the decision of this trace.
func (db *DB) Decision(ctx context.Context, id string) (Decision, error) {
	return scanDecision(db.read.QueryRowContext(ctx, `SELECT `+decisionColumns+` FROM trust_decisions WHERE id = $1`,
		id))
}

// Questions are the last decisions about an account that asked for step two, the newest first.
func (db *DB) Questions(ctx context.Context, account string, most int64) ([]Decision, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+decisionColumns+` FROM trust_decisions WHERE account_id = $1
			AND reason <> 'trusted'
		ORDER BY decided_at DESC, id LIMIT $2`, account, most)
	return all(rows, err, scanDecision)
}
