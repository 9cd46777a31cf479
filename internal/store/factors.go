package store

import "context"

// Factor is one thing an account enrolled.
type Factor struct {
	ID      string
	Account string
	Method  string
	Slot    int64
	Body    []byte // sealed
	Version int64
	AddedAt int64
	UsedAt  int64
}

// Factors are the factors of an account, the oldest first.
func (db *DB) Factors(ctx context.Context, account string) ([]Factor, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, account, method, slot, body, version, added_at, used_at
		FROM factors WHERE account = $1 ORDER BY added_at, id`, account)
	return all(rows, err, func(sc scanner) (f Factor, err error) {
		return f, sc.Scan(&f.ID, &f.Account, &f.Method, &f.Slot, &f.Body, &f.Version, &f.AddedAt, &f.UsedAt)
	})
}

// AddFactor adds f, or fails with ErrConflict if its slot is taken.
func (db *DB) AddFactor(ctx context.Context, f Factor) error {
	_, err := db.change(ctx, `INSERT INTO factors (id, account, method, slot, body, version, added_at, used_at)
		VALUES ($1, $2, $3, $4, $5, 1, $6, 0)`, f.ID, f.Account, f.Method, f.Slot, f.Body, f.AddedAt)
	return err
}

// UseFactor notes that f proved its account, and keeps its new body, if nobody did so
// since f was read. ErrNotFound: somebody did, or it was removed.
func (db *DB) UseFactor(ctx context.Context, f Factor, now int64) error {
	return db.must(ctx, `UPDATE factors SET body = $4, version = version + 1, used_at = $5
		WHERE id = $1 AND account = $2 AND version = $3`, f.ID, f.Account, f.Version, f.Body, now)
}

// RemoveFactor removes a factor of the account.
func (db *DB) RemoveFactor(ctx context.Context, account, id string) error {
	return db.must(ctx, `DELETE FROM factors WHERE account = $1 AND id = $2`, account, id)
}

// Draft is a factor that is not proven yet. Its proof is the sign-in it belongs to.
type Draft struct {
	SignIn  string
	Session string
	Method  string
	Seen    bool
	Body    []byte // sealed
}

// AddDraft adds d with its sign-in; the one that the session had for the method goes.
func (db *DB) AddDraft(ctx context.Context, s SignIn, d Draft) error {
	if err := db.DropDraft(ctx, d.Session, d.Method); err != nil {
		return err
	}
	if err := db.AddSignIn(ctx, s); err != nil {
		return err
	}
	_, err := db.change(ctx, `INSERT INTO drafts (signin, session, method, seen, body) VALUES ($1, $2, $3, $4, $5)`,
		d.SignIn, d.Session, d.Method, d.Seen, d.Body)
	return err
}

// DropDraft forgets the draft of a session for a method, if there is one.
func (db *DB) DropDraft(ctx context.Context, session, method string) error {
	_, err := db.change(ctx, `DELETE FROM signins WHERE id IN (SELECT signin FROM drafts WHERE session = $1 AND method = $2)`, session, method)
	return err
}

// Draft is the draft of a session for a method with its sign-in, if that is still open.
func (db *DB) Draft(ctx context.Context, session, method string, now int64) (s SignIn, d Draft, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+signInColumns+`, drafts.signin, drafts.session, drafts.method, drafts.seen, drafts.body
		FROM drafts JOIN signins ON signins.id = drafts.signin AND signins.finished_at = 0 AND signins.ends_at >= $3
		JOIN accounts ON accounts.id = signins.account AND accounts.epoch = signins.epoch AND accounts.disabled_at = 0
		WHERE drafts.session = $1 AND drafts.method = $2`, session, method, now)
	err = row.Scan(append(s.columns(), &d.SignIn, &d.Session, &d.Method, &d.Seen, &d.Body)...)
	return s, d, found(err)
}
