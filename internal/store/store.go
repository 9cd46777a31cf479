// Package store reads and writes rows in SQLite or PostgreSQL. It makes no decisions: conditional statements here
// ensure that what may happen once happens once, and the packages that use it decide whether it may happen at all.
//
// The same SQL runs on both databases. Times are Unix milliseconds of the caller's clock; only ClockAhead reads the clock
// of the database. Text columns hold valid UTF-8 without NUL, which PostgreSQL requires: the HTTP handlers reject anything
// else.
//
// Verbs: Create inserts a row. Get reads one by its id, Find by another key, List reads many, and Load reads rows of
// several tables in one statement. Set and Update change columns, Save inserts or replaces. Delete removes rows, Revoke
// ends them before their time and keeps them. Use uses up what works once. Prune keeps the newest. Touch sets a
// last-seen time, Rotate replaces a secret. Claim reserves work, or the right to send a notice, for one caller. Lock
// locks a row until the transaction ends. Spend takes from a limit, Refund gives back.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

var (
	// ErrNotFound means that no row matches.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict means that a row with the same unique value exists.
	ErrConflict = errors.New("store: exists already")
	// ErrNoDatabase means that there is no database, or an empty one, although there must be one.
	ErrNoDatabase = errors.New("is missing or empty")
)

// DB is a database, or one transaction in it. Queries work the same on both. Every method returns an error that is
// fault.ErrUnavailable if the database cannot do now what it may do later.
type DB struct {
	read, write observed
	readers     *sql.DB // nil inside a transaction
	writers     *sql.DB
	flavor      flavor
	unlock      func() // lets another server use the SQLite file
	path        string // of the SQLite file
	exclusive   bool   // there is no other server on the SQLite file
	unchecked   bool   // the SQLite file was not checked as a whole
	changes     *changes
	observer    *observer
	committed   *committed
	browsers    *recentBrowsers
	tx          *pendingTx // nil outside a transaction
}

// pendingTx is what a transaction does once it is committed.
type pendingTx struct {
	keys []Key
	then []func()
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Config says which database to open, and how.
type Config struct {
	// URL is the path of a SQLite file or a postgres:// URL.
	URL string
	// MustExist says that the database has been used before. Open creates nothing then.
	MustExist bool
	// Server says that this process serves people. A SQLite file has one such process, and is checked for damage.
	Server bool
	// Measure is called after each statement with its operation (one of Operations), its time, and whether the database
	// failed. The time of a query ends with its first row. nil: nothing is measured.
	Measure func(operation string, took time.Duration, failed bool)

	// The rest is for PostgreSQL.

	// MaxConnections is the most connections at a time. Default: 20.
	MaxConnections int
	// StatementTimeout limits each statement. 0: no limit.
	StatementTimeout time.Duration
	// ApplicationName is the name of the connections in pg_stat_activity. Default: that of the URL, or twostep.
	ApplicationName string
}

// Open opens the database at url with the defaults of Config.
func Open(ctx context.Context, url string) (*DB, error) { return Config{URL: url}.Open(ctx) }

// Open opens the database and brings its schema up to date. It returns ErrNoDatabase if MustExist is set and there is
// no database, and an error that names the SQLite file if another server uses it or it is damaged.
func (c Config) Open(ctx context.Context) (*DB, error) {
	f := flavorOf(c.URL)
	if err := f.prepare(c); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db := &DB{flavor: f, path: c.URL, changes: &changes{last: map[Key]uint64{}}, observer: &observer{measure: c.Measure},
		committed: &committed{}, browsers: &recentBrowsers{}, unlock: func() {}}
	if c.Server && f.oneWriter {
		var err error
		if db.unlock, err = lockServer(c.URL); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		db.exclusive = true
	}
	if err := db.connect(ctx, c); err != nil {
		db.unlock()
		return nil, fmt.Errorf("store: %w", err)
	}
	return db, nil
}

// connect connects db, after a check for damage and the migrations.
func (db *DB) connect(ctx context.Context, c Config) (err error) {
	if db.exclusive {
		if db.unchecked, err = checkSQLite(ctx, c, checkTime); err != nil {
			return err
		}
	}
	if err := migrate(ctx, db.flavor, c); err != nil {
		if failed := describeConnectError(err); failed != nil {
			return failed
		}
		return fmt.Errorf("migrate: %w", describeDamage(c.URL, err))
	}
	if db.writers, err = db.flavor.open(c, false); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	db.readers = db.writers
	if db.flavor.oneWriter {
		if db.readers, err = db.flavor.open(c, true); err != nil {
			return fmt.Errorf("open: %w", errors.Join(err, db.writers.Close()))
		}
	}
	db.read = observed{db.readers, db.observer, readOperation}
	db.write = observed{db.writers, db.observer, writeOperation}
	return db.PollChanges(ctx) // later calls compare with this one
}

// Exclusive reports whether this process is the only server on a SQLite database. It reports false for PostgreSQL.
func (db *DB) Exclusive() bool { return db.exclusive }

// Unchecked reports whether the SQLite file is so large that Open did not check all of it for damage.
func (db *DB) Unchecked() bool { return db.unchecked }

// Close closes all connections.
func (db *DB) Close() error {
	err := db.writers.Close()
	if db.readers != db.writers {
		err = errors.Join(err, db.readers.Close())
	}
	db.unlock()
	return err
}

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
}

// Tx runs f in one transaction. Inside a transaction it runs f in that transaction. f may run up to three times,
// because PostgreSQL may ask to retry a transaction, so it must not send anything. It must use the DB that it is given:
// on SQLite the outer DB would wait for this transaction.
func (db *DB) Tx(ctx context.Context, f func(*DB) error) error {
	if db.writers == nil {
		return f(db) // already inside one
	}
	var err error
	for range 3 {
		if err = db.once(ctx, f); !retryable(err) {
			return err
		}
	}
	return err
}

func (db *DB) once(ctx context.Context, f func(*DB) error) error {
	tx, err := db.begin(ctx)
	if err != nil {
		return fmt.Errorf("store: begin: %w", classify(err))
	}
	defer tx.Rollback() // does nothing after a commit
	inner := &DB{read: observed{tx, db.observer, readOperation}, write: observed{tx, db.observer, writeOperation},
		flavor: db.flavor, changes: db.changes, observer: db.observer, committed: db.committed, browsers: db.browsers,
		tx: &pendingTx{}}
	if err := f(inner); err != nil {
		return err
	}
	began := db.observer.start()
	err = tx.Commit()
	db.observer.ended(commitOperation, began, err)
	db.changes.publish(inner.tx.keys) // also after an error: it may have been committed
	if err != nil {
		return fmt.Errorf("store: commit: %w", classify(err))
	}
	for _, then := range inner.tx.then {
		then()
	}
	return nil
}

func (db *DB) begin(ctx context.Context) (tx *sql.Tx, err error) {
	began := db.observer.start()
	if err = db.observer.statement(Begin, nil); err == nil {
		tx, err = db.writers.BeginTx(ctx, nil)
	}
	db.observer.ended(beginOperation, began, err)
	return tx, err
}

// AfterCommit runs f once this transaction is committed, and not if it is rolled back. If Tx retries the transaction,
// only functions of the committed run are called. Outside a transaction f runs at once. Do not use it for what must
// happen: the process may end between the commit and f.
func (db *DB) AfterCommit(f func()) {
	if db.tx == nil {
		f()
		return
	}
	db.tx.then = append(db.tx.then, f)
}

// retryable reports whether PostgreSQL has aborted the transaction with a serialization failure or a deadlock, so that
// it may be retried. SQLite does not: its transactions begin immediate, so a writer waits for its turn before it reads.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// change runs a statement and returns how many rows it changed.
func (db *DB) change(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := db.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, conflict(err)
	}
	return res.RowsAffected()
}

// must runs a statement. It returns ErrNotFound if the statement changes no row.
func (db *DB) must(ctx context.Context, query string, args ...any) error {
	n, err := db.change(ctx, query, args...)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// returning runs a statement that changes one row and scans what it returns. It returns ErrNotFound if the statement
// changes no row.
func (db *DB) returning(ctx context.Context, query string, args, into []any) error {
	return found(db.write.QueryRowContext(ctx, query, args...).Scan(into...))
}

// conflict turns a violated unique constraint into ErrConflict.
func conflict(err error) error {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	const unique, primaryKey = 2067, 1555 // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
	if errors.As(err, &lite) && (lite.Code() == unique || lite.Code() == primaryKey) {
		return ErrConflict
	}
	if errors.As(err, &pg) && pg.Code == "23505" {
		return ErrConflict
	}
	return err
}

// found turns "no rows" into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// all scans every row and closes rows.
func all[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, classify(rows.Err())
}

type scanner interface{ Scan(...any) error }

// Time is a time as both databases store it: Unix milliseconds, 0 for the zero time.
type Time time.Time

// Scan reads a column of milliseconds. NULL is the zero time. It returns an error if the column holds another type.
func (t *Time) Scan(column any) error {
	switch millis := column.(type) {
	case nil:
		*t = Time{}
	case int64:
		if *t = (Time{}); millis != 0 {
			*t = Time(time.UnixMilli(millis))
		}
	default:
		return fmt.Errorf("store: time column has type %T, want int64 milliseconds", column)
	}
	return nil
}

// Value returns the milliseconds. Anything finer is lost.
func (t Time) Value() (driver.Value, error) { return t.millis(), nil }

// MarshalJSON returns the number of milliseconds, for sealed columns that hold JSON.
func (t Time) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, t.millis(), 10), nil }

// UnmarshalJSON reads the number of milliseconds.
func (t *Time) UnmarshalJSON(text []byte) error {
	millis, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("store: time in JSON: %w", err)
	}
	return t.Scan(millis)
}

func (t Time) millis() int64 {
	if time.Time(t).IsZero() {
		return 0
	}
	return time.Time(t).UnixMilli()
}
