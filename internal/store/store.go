// Package store reads and writes rows in SQLite or PostgreSQL. It makes no decisions: conditional statements here
// ensure that what may happen once happens once, and the packages that use it decide whether it may happen at all.
//
// The same SQL runs on both databases. Times are Unix milliseconds of the caller's clock; the clock of the database is
// never read. Text columns hold valid UTF-8 without NUL, which PostgreSQL requires: the HTTP handlers reject anything
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
)

// DB is a database, or one transaction in it. Queries work the same on both. Every method returns an error that is
// fault.ErrUnavailable if the database cannot do now what it may do later.
type DB struct {
	read, write observed
	readers     *sql.DB // nil inside a transaction
	writers     *sql.DB
	flavor      flavor
	unlock      func() // nil if another process has the database open
	changes     *changes
	observer    *observer
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

// Open opens the database at url, the path of a SQLite file or a postgres:// URL, and brings its schema up to date.
func Open(ctx context.Context, url string) (*DB, error) {
	f := flavorOf(url)
	if err := f.prepare(url); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := migrate(ctx, f, url); err != nil {
		if failed := describeConnectError(err); failed != nil {
			return nil, fmt.Errorf("store: %w", failed)
		}
		return nil, fmt.Errorf("store: migrate: %w", err)
	}
	writers, err := f.open(url, false)
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	readers := writers
	if f.oneWriter {
		if readers, err = f.open(url, true); err != nil {
			return nil, fmt.Errorf("store: open: %w", errors.Join(err, writers.Close()))
		}
	}
	obs := &observer{}
	db := &DB{
		read: observed{readers, obs}, write: observed{writers, obs}, readers: readers, writers: writers,
		flavor: f, changes: &changes{last: map[Key]uint64{}}, observer: obs,
	}
	if f.oneWriter {
		db.unlock, _ = lockFile(url+".alone", false)
	}
	return db, nil
}

// Exclusive reports whether no other process had the SQLite database open when this one opened it. It reports false for
// PostgreSQL.
func (db *DB) Exclusive() bool { return db.unlock != nil }

// Close closes all connections.
func (db *DB) Close() error {
	err := db.writers.Close()
	if db.readers != db.writers {
		err = errors.Join(err, db.readers.Close())
	}
	if db.unlock != nil {
		db.unlock()
	}
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
	if err := db.observer.statement(Begin, nil); err != nil {
		return fmt.Errorf("store: begin: %w", classify(err))
	}
	tx, err := db.writers.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", classify(err))
	}
	defer tx.Rollback() // does nothing after a commit
	q := observed{tx, db.observer}
	inner := &DB{read: q, write: q, flavor: db.flavor, changes: db.changes, observer: db.observer, tx: &pendingTx{}}
	if err := f(inner); err != nil {
		return err
	}
	err = tx.Commit()
	db.changes.publish(inner.tx.keys) // also after an error: it may have been committed
	if err != nil {
		return fmt.Errorf("store: commit: %w", classify(err))
	}
	for _, then := range inner.tx.then {
		then()
	}
	return nil
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
