package store

import (
	"context"
	"database/sql"
	"time"
)

// GuessBudgetView is a guess budget with its entries and the sums for the whole site.
type GuessBudgetView struct {
	GuessBudget
	// Group is GroupEstablished for an account that was created before SiteSums.Created and has completed both steps
	// in a browser, else GroupNew.
	Group   string
	Entries []BudgetEntry // oldest first
	State   string        // the server state of SiteSums; "" if there is none
	// Recent and Year are the sums of SiteSums. LoadGuessBudget leaves them 0.
	Recent, Year int64
}

// The groups of accounts that have an alarm of their own: the subjects of the counter of SiteSums, and the ends of the
// names of its state.
const (
	GroupEstablished = "established"
	GroupNew         = "new"
)

// SiteSums says what is read besides a budget, for the group of its account: the server state whose name is State and
// the group, and the sums of the windows of Counter, whose subject is the group, that end after Recent and after Year.
type SiteSums struct {
	State        string
	Created      time.Time // established accounts were created before
	Counter      Counter
	Recent, Year time.Time
}

// The parameters of both queries: the name of the budget, since, and the other fields of SiteSums.
const (
	budgetEstablished = `EXISTS (SELECT 1 FROM accounts WHERE accounts.id = $1 AND accounts.created_at <= $3
		AND EXISTS (SELECT 1 FROM known_devices WHERE known_devices.account_id = accounts.id))`
	budgetColumns = `SELECT COALESCE(b.renewed_at, 0), COALESCE(b.guess_notified_at, 0),
		COALESCE(b.spent_notified_at, 0), always.account_group, COALESCE((SELECT value FROM server_state
			WHERE name = CAST($4 AS TEXT) || always.account_group), ''), `
	entryOfBudget = `e.id, e.kind, e.challenge_id, e.device_id, e.known_network, e.network, e.large_network,
		e.site_group, e.created_at, e.cost`
	budgetRows = ` FROM (SELECT CASE WHEN ` + budgetEstablished + `
			THEN 'established' ELSE 'new' END AS account_group) AS always
		LEFT JOIN guess_budgets AS b ON b.name = $1
		LEFT JOIN guess_budget_entries AS e ON e.budget = $1 AND e.created_at > $2
		ORDER BY e.created_at, e.id`
)

// LoadGuessBudget reads the budget of this name, its entries created after since, and the server state of s, in one
// statement. Entries in the future, which a clock that was set back leaves behind, are included. A budget that does
// not exist is returned empty.
func (db *DB) LoadGuessBudget(ctx context.Context, name string, since time.Time,
	s SiteSums) (v GuessBudgetView, err error) {
	rows, err := db.read.QueryContext(ctx, budgetColumns+`CAST(0 AS BIGINT), CAST(0 AS BIGINT), `+entryOfBudget+
		budgetRows, name, since, s.Created, s.State)
	return scanBudget(name, rows, err)
}

// LoadGuessBudgetForCharge is like LoadGuessBudget and also reads the sums of s.
func (db *DB) LoadGuessBudgetForCharge(ctx context.Context, name string, since time.Time,
	s SiteSums) (v GuessBudgetView, err error) {
	const sum = `(SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM rate_limit_counters
		WHERE kind = $5 AND subject = always.account_group AND window_ms = $6 AND ends_at > `
	rows, err := db.read.QueryContext(ctx, budgetColumns+sum+`$7), `+sum+`$8), `+entryOfBudget+budgetRows,
		name, since, s.Created, s.State, s.Counter.Kind, s.Counter.Window, s.Recent, s.Year)
	return scanBudget(name, rows, err)
}

func scanBudget(name string, rows *sql.Rows, err error) (GuessBudgetView, error) {
	if err != nil {
		return GuessBudgetView{}, err
	}
	defer rows.Close()
	v := GuessBudgetView{GuessBudget: GuessBudget{Name: name}}
	for rows.Next() {
		var id, kind, challenge, device, network, large, group sql.NullString
		var knownNetwork sql.NullBool
		var at time.Time
		var cost sql.NullInt64
		if err := rows.Scan((*Time)(&v.RenewedAt), (*Time)(&v.GuessNotifiedAt), (*Time)(&v.SpentNotifiedAt),
			&v.Group, &v.State, &v.Recent, &v.Year,
			&id, &kind, &challenge, &device, &knownNetwork, &network, &large, &group, (*Time)(&at), &cost,
		); err != nil {
			return GuessBudgetView{}, err
		}
		if id.Valid {
			v.Entries = append(v.Entries, BudgetEntry{
				ID: id.String, Budget: name, Kind: kind.String, ChallengeID: challenge.String,
				DeviceID: device.String, KnownNetwork: knownNetwork.Bool, Network: network.String,
				LargeNetwork: large.String, SiteGroup: group.String, CreatedAt: at, Cost: cost.Int64,
			})
		}
	}
	return v, rows.Err()
}
