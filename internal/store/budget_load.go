package store

import (
	"context"
	"database/sql"
	"time"
)

// GuessBudgetView is a guess budget with its entries and the sums for the whole site.
type GuessBudgetView struct {
	GuessBudget
	Entries []BudgetEntry // oldest first
	State   string        // the server state of the given name; "" if there is none
	// Recent and Year are the sums of SiteSums. LoadGuessBudget leaves them 0.
	Recent, Year int64
}

// SiteSums says what LoadGuessBudgetForCharge reads besides the budget: the server state named State, and the sums of
// the windows of Counter that end after Recent and after Year.
type SiteSums struct {
	State        string
	Counter      Counter
	Recent, Year time.Time
}

// LoadGuessBudget reads the budget of this name, its entries created after since, and the server state named state, in
// one statement. Entries in the future, which a clock that was set back leaves behind, are included. A budget that does
// not exist is returned empty.
func (db *DB) LoadGuessBudget(ctx context.Context, name string, since time.Time,
	state string) (v GuessBudgetView, err error) {
	rows, err := db.read.QueryContext(ctx, `SELECT COALESCE(b.renewed_at, 0), COALESCE(b.guess_notified_at, 0),
			COALESCE(b.spent_notified_at, 0), COALESCE((SELECT value FROM server_state WHERE name = $3), ''),
			CAST(0 AS BIGINT), CAST(0 AS BIGINT), `+entryOfBudget+`
		FROM (SELECT 1 AS one) AS always LEFT JOIN guess_budgets AS b ON b.name = $1
		LEFT JOIN guess_budget_entries AS e ON e.budget = $1 AND e.created_at > $2
		ORDER BY e.created_at, e.id`, name, since, state)
	return scanBudget(name, rows, err)
}

// LoadGuessBudgetForCharge is like LoadGuessBudget and also reads the sums of s.
func (db *DB) LoadGuessBudgetForCharge(ctx context.Context, name string, since time.Time,
	s SiteSums) (v GuessBudgetView, err error) {
	const sum = `(SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM rate_limit_counters
		WHERE kind = $4 AND subject = $5 AND window_ms = $6 AND ends_at > `
	rows, err := db.read.QueryContext(ctx, `SELECT COALESCE(b.renewed_at, 0), COALESCE(b.guess_notified_at, 0),
			COALESCE(b.spent_notified_at, 0), COALESCE((SELECT value FROM server_state WHERE name = $3), ''),
			`+sum+`$7), `+sum+`$8), `+entryOfBudget+`
		FROM (SELECT 1 AS one) AS always LEFT JOIN guess_budgets AS b ON b.name = $1
		LEFT JOIN guess_budget_entries AS e ON e.budget = $1 AND e.created_at > $2
		ORDER BY e.created_at, e.id`,
		name, since, s.State, s.Counter.Kind, s.Counter.Subject, s.Counter.Window, s.Recent, s.Year)
	return scanBudget(name, rows, err)
}

const entryOfBudget = `e.id, e.kind, e.challenge_id, e.device_id, e.known_network, e.network, e.created_at, e.cost`

func scanBudget(name string, rows *sql.Rows, err error) (GuessBudgetView, error) {
	if err != nil {
		return GuessBudgetView{}, err
	}
	defer rows.Close()
	v := GuessBudgetView{GuessBudget: GuessBudget{Name: name}}
	for rows.Next() {
		var id, kind, challenge, device, network sql.NullString
		var knownNetwork sql.NullBool
		var at time.Time
		var cost sql.NullInt64
		if err := rows.Scan((*Time)(&v.RenewedAt), (*Time)(&v.GuessNotifiedAt), (*Time)(&v.SpentNotifiedAt), &v.State,
			&v.Recent, &v.Year, &id, &kind, &challenge, &device, &knownNetwork, &network, (*Time)(&at), &cost,
		); err != nil {
			return GuessBudgetView{}, err
		}
		if id.Valid {
			v.Entries = append(v.Entries, BudgetEntry{
				ID: id.String, Budget: name, Kind: kind.String, ChallengeID: challenge.String,
				DeviceID: device.String, KnownNetwork: knownNetwork.Bool, Network: network.String, CreatedAt: at,
				Cost: cost.Int64,
			})
		}
	}
	return v, classify(rows.Err())
}
