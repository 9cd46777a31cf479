package store

import "context"

// App is an app that an operator added. What Body says is the business of whoever wrote it.
type App struct {
	ID     string
	Body   string
	MadeAt int64
}

// AddApp adds a. ErrConflict: there is one of this id.
func (db *DB) AddApp(ctx context.Context, a App) error {
	defer db.changed(ClientsKey())
	_, err := db.change(ctx, `INSERT INTO clients (id, registration, created_at) VALUES ($1, $2, $3)`, a.ID, a.Body,
		a.MadeAt)
	return err
}

// App is the app of this id.
func (db *DB) App(ctx context.Context, id string) (a App, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, registration, created_at FROM clients WHERE id = $1`, id).
		Scan(&a.ID, &a.Body, &a.MadeAt)
	return a, found(err)
}

// Apps are all of them, by their ids.
func (db *DB) Apps(ctx context.Context) ([]App, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, registration, created_at FROM clients ORDER BY id`)
	return all(rows, err, func(s scanner) (a App, err error) { return a, s.Scan(&a.ID, &a.Body, &a.MadeAt) })
}

// ChangeApp gives an app another body.
func (db *DB) ChangeApp(ctx context.Context, id, body string) error {
	defer db.changed(ClientsKey())
	return db.must(ctx, `UPDATE clients SET registration = $2 WHERE id = $1`, id, body)
}

// RemoveApp removes an app with all that it was allowed.
func (db *DB) RemoveApp(ctx context.Context, id string) error {
	defer db.changed(ClientsKey())
	for _, query := range []string{
		`DELETE FROM authorization_requests WHERE client_id = $1`,
		`DELETE FROM consents WHERE client_id = $1`,
		`DELETE FROM grants WHERE client_id = $1`,
	} {
		if _, err := db.change(ctx, query, id); err != nil {
			return err
		}
	}
	return db.must(ctx, `DELETE FROM clients WHERE id = $1`, id)
}

// Request is what an app asks for, until the person has answered.
type Request struct {
	ID     []byte // hash
	App    string
	Body   string
	Pushed bool // by the app itself, and nobody has come with it yet
	Acted  bool // the person was sent to their settings for it
	MadeAt int64
	EndsAt int64
}

// AddRequest adds r.
func (db *DB) AddRequest(ctx context.Context, r Request) error {
	_, err := db.change(ctx, `INSERT INTO authorization_requests (id, client_id, parameters, pushed, settings_shown,
			created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.App, r.Body, r.Pushed, r.Acted, r.MadeAt, r.EndsAt)
	return err
}

// Request is the request with this hash, if it has not ended.
func (db *DB) Request(ctx context.Context, id []byte, now int64) (r Request, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT id, client_id, parameters, pushed, settings_shown, created_at, expires_at
			FROM authorization_requests WHERE id = $1 AND expires_at >= $2`, id, now).
		Scan(&r.ID, &r.App, &r.Body, &r.Pushed, &r.Acted, &r.MadeAt, &r.EndsAt)
	return r, found(err)
}

// TakePushed takes a request that an app has pushed, once.
func (db *DB) TakePushed(ctx context.Context, id []byte, app string, now int64) error {
	return db.must(ctx, `DELETE FROM authorization_requests WHERE id = $1 AND client_id = $2 AND pushed
			AND expires_at >= $3`, id, app, now)
}

// ActRequest notes that the person was sent to their settings, once.
func (db *DB) ActRequest(ctx context.Context, id []byte) error {
	return db.must(ctx, `UPDATE authorization_requests SET settings_shown = TRUE WHERE id = $1 AND NOT settings_shown`,
		id)
}

// RewriteRequest gives a request that waits another body. ErrNotFound: it was answered.
func (db *DB) RewriteRequest(ctx context.Context, id []byte, body string) error {
	return db.must(ctx, `UPDATE authorization_requests SET parameters = $2 WHERE id = $1`, id, body)
}

// RemoveRequest removes a request that was answered. ErrNotFound: somebody else was faster.
func (db *DB) RemoveRequest(ctx context.Context, id []byte) error {
	return db.must(ctx, `DELETE FROM authorization_requests WHERE id = $1`, id)
}

// Consent is what a person has allowed an app.
type Consent struct {
	Account string
	App     string
	Scope   string
	At      int64
}

// KeepConsent adds c, or takes the place of the one before.
func (db *DB) KeepConsent(ctx context.Context, c Consent) error {
	defer db.changed(AccountKey(c.Account))
	_, err := db.change(ctx, `INSERT INTO consents (account_id, client_id, scope, granted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, client_id) DO UPDATE SET scope = excluded.scope, granted_at = excluded.granted_at`,
		c.Account, c.App, c.Scope, c.At)
	return err
}

// Consent is what an account has allowed an app.
func (db *DB) Consent(ctx context.Context, account, app string) (c Consent, err error) {
	err = db.read.QueryRowContext(ctx, `SELECT account_id, client_id, scope, granted_at FROM consents
			WHERE account_id = $1 AND client_id = $2`, account, app).
		Scan(&c.Account, &c.App, &c.Scope, &c.At)
	return c, found(err)
}

// Consents are all that an account has allowed.
func (db *DB) Consents(ctx context.Context, account string) ([]Consent, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT account_id, client_id, scope, granted_at FROM consents
			WHERE account_id = $1 ORDER BY granted_at DESC, client_id`, account)
	return all(rows, err, func(s scanner) (c Consent, err error) {
		return c, s.Scan(&c.Account, &c.App, &c.Scope, &c.At)
	})
}

// RemoveConsent takes back what an account has allowed an app.
func (db *DB) RemoveConsent(ctx context.Context, account, app string) error {
	defer db.changed(AccountKey(account))
	_, err := db.change(ctx, `DELETE FROM consents WHERE account_id = $1 AND client_id = $2`, account, app)
	return err
}
