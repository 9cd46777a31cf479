package store

import (
	"context"
	"time"
)

// TouchClient notes that a client was used, unless a later use is noted.
func (db *DB) TouchClient(ctx context.Context, id string, at time.Time) error {
	_, err := db.change(ctx, `INSERT INTO client_uses (client_id, last_at) VALUES ($1, $2)
		ON CONFLICT (client_id) DO UPDATE SET last_at = excluded.last_at WHERE client_uses.last_at < excluded.last_at`,
		id, at)
	return err
}

// GetClientUse returns when a client was last used, zero if that is not noted.
func (db *DB) GetClientUse(ctx context.Context, id string) (at time.Time, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT COALESCE(MAX(last_at), 0) FROM client_uses WHERE client_id = $1`, id).
		Scan((*Time)(&at))
	return at, err
}

// ClientPerson is an account that has used a client.
type ClientPerson struct {
	AccountID string
	Email     string
	Name      string
	LastAt    time.Time // when the client was last granted something, or the consent was given
}

// clientPeople are the accounts after $2 that have a grant of the client $1, also one that has ended, or a consent to it,
// up to $3 of each.
const clientPeople = `SELECT account_id, MAX(last_at) AS last_at FROM (
		SELECT account_id, last_at FROM (SELECT account_id, MAX(created_at) AS last_at FROM grants
			WHERE client_id = $1 AND account_id > $2 AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = grants.account_id)
			GROUP BY account_id ORDER BY account_id LIMIT $3) AS granted
		UNION ALL SELECT account_id, last_at FROM (SELECT account_id, granted_at AS last_at FROM consents
			WHERE client_id = $1 AND account_id > $2 AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = consents.account_id)
			ORDER BY account_id LIMIT $3) AS allowed
	) AS either GROUP BY account_id ORDER BY account_id LIMIT $3`

// ListClientPeople lists up to limit accounts that have used a client, by id, after the account after. Grants that have
// ended are deleted after a day.
func (db *DB) ListClientPeople(ctx context.Context, client, after string, limit int) ([]ClientPerson, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT people.account_id, accounts.email, accounts.name, people.last_at
		FROM (`+clientPeople+`) AS people JOIN accounts ON accounts.id = people.account_id
		ORDER BY people.account_id`, client, after, limit)
	return all(rows, err, func(s scanner) (p ClientPerson, err error) {
		return p, s.Scan(&p.AccountID, &p.Email, &p.Name, (*Time)(&p.LastAt))
	})
}

// CountClientPeople returns how many accounts ListClientPeople would list, up to limit.
func (db *DB) CountClientPeople(ctx context.Context, client string, limit int) (n int, err error) {
	return n, db.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM (`+clientPeople+`) AS people`, client, "", limit).Scan(&n)
}

// ListOperatorEmails lists the addresses of the active operators.
func (db *DB) ListOperatorEmails(ctx context.Context) ([]string, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT email FROM accounts
		WHERE role <> '' AND role = 'operator' AND disabled_at = 0 ORDER BY email`)
	return all(rows, err, func(s scanner) (email string, err error) { return email, s.Scan(&email) })
}
