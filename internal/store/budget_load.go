package store

import (
	"context"
	"database/sql"
)

// BudgetView is a ledger with what was debited, and what counts for the whole site.
type BudgetView struct {
	Ledger
	Debits []Debit // the oldest first
	Alarm  string  // the fact of the given name; "" if there is none
	// Recent and Year are what was counted for the site in the windows that end after the given
	// times; 0 unless LoadBudgetForGuess was called.
	Recent, Year int64
}

// LoadBudget reads the ledger of this name with its debits after since, those that a clock which
// was set back has left in the future included, and a fact about the database, in one statement.
// A ledger that does not exist is an empty one.
func (db *DB) LoadBudget(ctx context.Context, name string, since int64, fact string) (v BudgetView, err error) {
	rows, err := db.read.QueryContext(ctx, `SELECT COALESCE(ledgers.renewed_at, 0), COALESCE(ledgers.told_at, 0), COALESCE(ledgers.longer_at, 0),
			COALESCE((SELECT value FROM marks WHERE name = $3), ''), CAST(0 AS BIGINT), CAST(0 AS BIGINT), `+debitOf+`
		FROM (SELECT 1 AS one) AS always LEFT JOIN ledgers ON ledgers.name = $1
		LEFT JOIN debits ON debits.ledger = $1 AND debits.at > $2 ORDER BY debits.at, debits.id`, name, since, fact)
	return scanBudget(name, rows, err)
}

// LoadBudgetForGuess is LoadBudget with what was counted for the whole site under a name in the
// windows that end after recent and after year.
func (db *DB) LoadBudgetForGuess(ctx context.Context, name string, since int64, fact, counter string, recent, year int64) (v BudgetView, err error) {
	rows, err := db.read.QueryContext(ctx, `SELECT COALESCE(ledgers.renewed_at, 0), COALESCE(ledgers.told_at, 0), COALESCE(ledgers.longer_at, 0),
			COALESCE((SELECT value FROM marks WHERE name = $3), ''),
			(SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM rations WHERE name = $4 AND ends_at > $5),
			(SELECT CAST(COALESCE(SUM(used), 0) AS BIGINT) FROM rations WHERE name = $4 AND ends_at > $6), `+debitOf+`
		FROM (SELECT 1 AS one) AS always LEFT JOIN ledgers ON ledgers.name = $1
		LEFT JOIN debits ON debits.ledger = $1 AND debits.at > $2 ORDER BY debits.at, debits.id`, name, since, fact, counter, recent, year)
	return scanBudget(name, rows, err)
}

const debitOf = `debits.id, debits.kind, debits.challenge, debits.device, debits.network, debits.at, debits.cost`

func scanBudget(name string, rows *sql.Rows, err error) (BudgetView, error) {
	if err != nil {
		return BudgetView{}, err
	}
	defer rows.Close()
	v := BudgetView{Ledger: Ledger{Name: name}}
	for rows.Next() {
		var id, kind, challenge, device, network sql.NullString
		var at, cost sql.NullInt64
		if err := rows.Scan(&v.RenewedAt, &v.ToldAt, &v.LongerAt, &v.Alarm, &v.Recent, &v.Year, &id, &kind, &challenge, &device, &network, &at, &cost); err != nil {
			return BudgetView{}, err
		}
		if id.Valid {
			v.Debits = append(v.Debits, Debit{ID: id.String, Ledger: name, Kind: kind.String, Challenge: challenge.String,
				Device: device.String, Network: network.String, At: at.Int64, Cost: cost.Int64})
		}
	}
	return v, rows.Err()
}

// CountTwo adds n, which may be negative, to what was used in two windows, first in the one of the
// first name, in one statement.
func (db *DB) CountTwo(ctx context.Context, first string, firstEnds int64, second string, secondEnds, n int64) error {
	_, err := db.change(ctx, `INSERT INTO rations (name, ends_at, used) VALUES ($1, $2, $5), ($3, $4, $5)
		ON CONFLICT (name, ends_at) DO UPDATE SET used = rations.used + $5`, first, firstEnds, second, secondEnds, n)
	return err
}
