package store

import (
	"context"
	"database/sql"
	"time"
)

// GuessBudgetView is a budget with its entries, and what counts for the whole site.
type GuessBudgetView struct {
	GuessBudget
	Entries []BudgetEntry // the oldest first
	State   string        // the fact of the given name; "" if there is none
	// Recent and Year are sums of SiteSums; 0 unless LoadBudgetForGuess was called.
	Recent, Year int64
}

// SiteSums says what LoadBudgetForGuess reads beside a budget: a fact about this database, and how
// much was counted in the windows of a counter that end after two times.
type SiteSums struct {
	State        string
	Counter      Counter
	Recent, Year time.Time
}

// LoadGuessBudget reads the budget of this name with its entries after since, those that a clock which was
// set back has left in the future included, and a fact about this database, in one statement. A
// budget that does not exist is an empty one.
func (db *DB) LoadGuessBudget(ctx context.Context, name string, since time.Time, state string) (v GuessBudgetView, err error) {
	rows, err := db.read.QueryContext(ctx, `SELECT COALESCE(b.renewed_at, 0), COALESCE(b.guess_notified_at, 0),
			COALESCE(b.spent_notified_at, 0), COALESCE((SELECT value FROM server_state WHERE name = $3), ''),
			CAST(0 AS BIGINT), CAST(0 AS BIGINT), `+entryOf+`
		FROM (SELECT 1 AS one) AS always LEFT JOIN guess_budgets AS b ON b.name = $1
		LEFT JOIN guess_budget_entries AS e ON e.budget = $1 AND e.created_at > $2
		ORDER BY e.created_at, e.id`, name, since, state)
	return scanBudget(name, rows, err)
}

// LoadGuessBudgetForCharge is LoadBudget with sums for the whole site.
func (db *DB) LoadGuessBudgetForCharge(ctx context.Context, name string, since time.Time, s SiteSums) (v GuessBudgetView, err error) {
	const sum = `(SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM rate_limit_counters
		WHERE kind = $4 AND subject = $5 AND window_ms = $6 AND ends_at > `
	rows, err := db.read.QueryContext(ctx, `SELECT COALESCE(b.renewed_at, 0), COALESCE(b.guess_notified_at, 0),
			COALESCE(b.spent_notified_at, 0), COALESCE((SELECT value FROM server_state WHERE name = $3), ''),
			`+sum+`$7), `+sum+`$8), `+entryOf+`
		FROM (SELECT 1 AS one) AS always LEFT JOIN guess_budgets AS b ON b.name = $1
		LEFT JOIN guess_budget_entries AS e ON e.budget = $1 AND e.created_at > $2
		ORDER BY e.created_at, e.id`,
		name, since, s.State, s.Counter.Kind, s.Counter.Subject, s.Counter.Window, s.Recent, s.Year)
	return scanBudget(name, rows, err)
}

const entryOf = `e.id, e.kind, e.challenge_id, e.device_id, e.network, e.created_at, e.cost`

func scanBudget(name string, rows *sql.Rows, err error) (GuessBudgetView, error) {
	if err != nil {
		return GuessBudgetView{}, err
	}
	defer rows.Close()
	v := GuessBudgetView{GuessBudget: GuessBudget{Name: name}}
	for rows.Next() {
		var id, kind, challenge, device, network sql.NullString
		var at time.Time
		var cost sql.NullInt64
		if err := rows.Scan((*Time)(&v.RenewedAt), (*Time)(&v.GuessNotifiedAt), (*Time)(&v.SpentNotifiedAt), &v.State, &v.Recent, &v.Year,
			&id, &kind, &challenge, &device, &network, (*Time)(&at), &cost); err != nil {
			return GuessBudgetView{}, err
		}
		if id.Valid {
			v.Entries = append(v.Entries, BudgetEntry{
				ID: id.String, Budget: name, Kind: kind.String, ChallengeID: challenge.String,
				DeviceID: device.String, Network: network.String, CreatedAt: at, Cost: cost.Int64,
			})
		}
	}
	return v, rows.Err()
}
