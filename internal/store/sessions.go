package store

import "context"

// Session is somebody who is in.
type Session struct {
	ID       string
	Token    []byte // hash
	Account  string
	Epoch    int64
	SignIn   string // the sign-in it came from
	AMR      string
	Address  string
	Browser  string // User-Agent
	Hints    string // Sec-CH-UA
	BeganAt  int64
	ProvedAt int64
	SeenAt   int64
	EndsAt   int64
	// Device is the browser it began in. TrustedAt is when that was verified, if trust
	// in it skipped step two; 0 if it did not.
	Device    string
	TrustedAt int64
}

const sessionColumns = `sessions.id, sessions.token, sessions.account, sessions.epoch, sessions.signin, sessions.amr,
	sessions.address, sessions.browser, sessions.hints, sessions.began_at, sessions.proved_at, sessions.seen_at, sessions.ends_at, sessions.device, sessions.trusted_at`

func (s *Session) columns() []any {
	return []any{&s.ID, &s.Token, &s.Account, &s.Epoch, &s.SignIn, &s.AMR, &s.Address, &s.Browser, &s.Hints, &s.BeganAt, &s.ProvedAt, &s.SeenAt, &s.EndsAt, &s.Device, &s.TrustedAt}
}

// AddSession adds s.
func (db *DB) AddSession(ctx context.Context, s Session) error {
	_, err := db.change(ctx, `INSERT INTO sessions (id, token, account, epoch, signin, amr, address, browser, hints, began_at, proved_at, seen_at, ends_at, device, trusted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		s.ID, s.Token, s.Account, s.Epoch, s.SignIn, s.AMR, s.Address, s.Browser, s.Hints, s.BeganAt, s.ProvedAt, s.SeenAt, s.EndsAt, s.Device, s.TrustedAt)
	return err
}

const liveSession = `JOIN accounts ON accounts.id = sessions.account AND accounts.epoch = sessions.epoch AND accounts.disabled_at = 0`

// Session is the live session with this token hash and its account: it has not
// ended, was seen at or after idle, and the account is enabled and of its epoch.
func (db *DB) Session(ctx context.Context, token []byte, idle, now int64) (Session, Account, error) {
	return scanSession(db.read.QueryRowContext(ctx, sessionAndAccount+` AND sessions.token = $3`, now, idle, token))
}

// SessionOf is the live session with this id and its account.
func (db *DB) SessionOf(ctx context.Context, id string, idle, now int64) (Session, Account, error) {
	return scanSession(db.read.QueryRowContext(ctx, sessionAndAccount+` AND sessions.id = $3`, now, idle, id))
}

const sessionAndAccount = `SELECT ` + sessionColumns + `, accounts.id, accounts.email, accounts.name, accounts.operator, accounts.epoch, accounts.member_of
	FROM sessions ` + liveSession + ` WHERE sessions.ends_at >= $1 AND sessions.seen_at >= $2`

func scanSession(row scanner) (s Session, a Account, err error) {
	err = row.Scan(append(s.columns(), &a.ID, &a.Email, &a.Name, &a.Operator, &a.Epoch, &a.Groups)...)
	return s, a, found(err)
}

// Sessions are the live sessions of an account, the last used first.
func (db *DB) Sessions(ctx context.Context, account string, idle, now int64) ([]Session, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+sessionColumns+` FROM sessions `+liveSession+`
		WHERE sessions.account = $1 AND sessions.ends_at >= $2 AND sessions.seen_at >= $3 ORDER BY sessions.seen_at DESC, sessions.id`, account, now, idle)
	return all(rows, err, func(sc scanner) (s Session, err error) { return s, sc.Scan(s.columns()...) })
}

// SeeSession notes that the session was used.
func (db *DB) SeeSession(ctx context.Context, id string, now int64) error {
	_, err := db.change(ctx, `UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2`, id, now)
	return err
}

// ProveSession notes that the person proved anew who they are, and gives the session a
// new token; the old one is dead. ErrNotFound: it is not live.
func (db *DB) ProveSession(ctx context.Context, s Session, idle, now int64) error {
	return db.must(ctx, `UPDATE sessions SET token = $2, amr = $3, proved_at = $4, seen_at = $4
		WHERE id = $1 AND account = $5 AND epoch = $6 AND ends_at >= $4 AND seen_at >= $7`,
		s.ID, s.Token, s.AMR, now, s.Account, s.Epoch, idle)
}

// EndOneSession ends a session of the account by its id.
func (db *DB) EndOneSession(ctx context.Context, account, id string) error {
	return db.must(ctx, `DELETE FROM sessions WHERE account = $1 AND id = $2`, account, id)
}

// EndSession ends the session with this token hash.
func (db *DB) EndSession(ctx context.Context, token []byte) error {
	return db.must(ctx, `DELETE FROM sessions WHERE token = $1`, token)
}
