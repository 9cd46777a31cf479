// Package store reads and writes rows in SQLite or PostgreSQL. It decides nothing: what may happen once is a conditional UPDATE
// here, and whether it may happen at all is decided by the packages that use it.
//
// One SQL text serves both databases. Times are Unix milliseconds of the caller's clock; the database's own clock is
// never read. Text columns hold valid UTF-8 without NUL: the HTTP handlers refuse anything else (PostgreSQL would).
//
// Verbs: Create inserts a row. Get reads one by its id, Find by another key, and List reads many. Set and Update change
// columns, Save inserts or replaces. Delete removes rows, Revoke ends them before their time and keeps them. Use uses
// up what works once. Prune keeps the newest. Touch sets a last-seen time, Rotate replaces a secret. Claim takes work,
// or the right to send a notice, so that nobody else does. Lock holds a row until the transaction ends. Spend takes out
// of a limit, Refund gives back.
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
	// ErrNotFound says that no row fits.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict says that a row with the same unique value exists.
	ErrConflict = errors.New("store: exists already")
)

// DB is a database, or one transaction in it: a query does not care which.
type DB struct {
	read, write querier
	readers     *sql.DB // nil inside a transaction
	writers     *sql.DB
	flavor      flavor
	unlock      func() // nil: another process has the database too
	changes     *changes
	observer    *observer
	tx          *pending // nil outside a transaction
}

// pending is what a transaction does once it is committed.
type pending struct {
	keys []Key
	then []func()
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Open opens the database at url (the path of a SQLite file, or postgres://…) and
// brings its schema up to date.
func Open(ctx context.Context, url string) (*DB, error) {
	f := flavorOf(url)
	if err := f.prepare(url); err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	if err := migrate(ctx, f, url); err != nil {
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
	see := &observer{}
	db := &DB{
		read: observed{readers, see}, write: observed{writers, see}, readers: readers, writers: writers,
		flavor: f, changes: &changes{last: map[Key]uint64{}}, observer: see,
	}
	if f.oneWriter {
		db.unlock, _ = lockFile(url+".alone", false)
	}
	return db, nil
}

// Exclusive reports whether no other process had the database open when this one opened
// it. Of a PostgreSQL database nobody can tell.
func (db *DB) Exclusive() bool { return db.unlock != nil }

// Close gives all connections back.
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

// Ping asks whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.read.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
}

// Tx runs f in one transaction: all of its changes, or none. f may run up to three
// times (PostgreSQL may ask for a repetition), so it must not send anything, and it
// must use the DB it is given: the outer one would wait for this transaction.
func (db *DB) Tx(ctx context.Context, f func(*DB) error) error {
	if db.writers == nil {
		return f(db) // already inside one
	}
	var err error
	for range 3 {
		if err = db.once(ctx, f); !again(err) {
			return err
		}
	}
	return err
}

func (db *DB) once(ctx context.Context, f func(*DB) error) error {
	db.observer.see(Begin, nil)
	tx, err := db.writers.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer tx.Rollback() // does nothing after a commit
	see := observed{tx, db.observer}
	inner := &DB{read: see, write: see, flavor: db.flavor, changes: db.changes, observer: db.observer, tx: &pending{}}
	if err := f(inner); err != nil {
		return err
	}
	err = tx.Commit()
	db.changes.publish(inner.tx.keys) // also after an error: it may have been committed
	if err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	for _, then := range inner.tx.then {
		then()
	}
	return nil
}

// AfterCommit runs f once this transaction is committed, and not if it is rolled back. If Tx repeats the transaction,
// only what the run that is committed has registered is run. Outside a transaction f runs at once. Not for what must
// happen: the process may end between the commit and f.
func (db *DB) AfterCommit(f func()) {
	if db.tx == nil {
		f()
		return
	}
	db.tx.then = append(db.tx.then, f)
}

// again reports whether PostgreSQL gave the transaction up and asks for another
// try (serialization failure, deadlock). SQLite never does: its transactions begin
// immediate, so a writer has waited for its turn before it reads.
func again(err error) bool {
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

// must runs a statement that changes at least one row, or fails with ErrNotFound.
func (db *DB) must(ctx context.Context, query string, args ...any) error {
	n, err := db.change(ctx, query, args...)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// returning runs a statement that changes one row and scans what it returns, or fails with
// ErrNotFound.
func (db *DB) returning(ctx context.Context, query string, args, into []any) error {
	return found(db.write.QueryRowContext(ctx, query, args...).Scan(into...))
}

// conflict turns a broken uniqueness into ErrConflict.
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

// all reads every row with scan.
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
	return list, rows.Err()
}

type scanner interface{ Scan(...any) error }

// Time is a time as both databases store it: Unix milliseconds, 0 for the zero time.
type Time time.Time

// Scan reads a column of milliseconds. NULL is the zero time.
func (t *Time) Scan(column any) error {
	switch millis := column.(type) {
	case nil:
		*t = Time{}
	case int64:
		if *t = (Time{}); millis != 0 {
			*t = Time(time.UnixMilli(millis))
		}
	default:
		return fmt.Errorf("store: a time is %T, not milliseconds", column)
	}
	return nil
}

// Value is t in milliseconds. What is finer is lost.
func (t Time) Value() (driver.Value, error) { return t.millis(), nil }

// MarshalJSON is the number of milliseconds, for what is stored in a sealed column.
func (t Time) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, t.millis(), 10), nil }

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Time) UnmarshalJSON(text []byte) error {
	millis, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("store: a time in JSON: %w", err)
	}
	return t.Scan(millis)
}

func (t Time) millis() int64 {
	if time.Time(t).IsZero() {
		return 0
	}
	return time.Time(t).UnixMilli()
}
