package store

import "context"

// Event is something that happened.
type Event struct {
	ID      string
	At      int64
	Kind    string
	Account string // "" if the name is not known
	SignIn  string
	Address string
	Browser string
}

// AddEvent writes e down.
func (db *DB) AddEvent(ctx context.Context, e Event) error {
	_, err := db.change(ctx, `INSERT INTO events (id, at, kind, account, signin, address, browser) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		e.ID, e.At, e.Kind, e.Account, e.SignIn, e.Address, e.Browser)
	return err
}
