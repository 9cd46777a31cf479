package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"
)

// Begin is the query that an observer gets when a transaction begins.
const Begin = "BEGIN"

// Operations returns what Config.Measure distinguishes. In SQLite a transaction waits for its turn when it begins, and
// for the disk when it is committed.
func Operations() []string {
	return []string{readOperation, writeOperation, beginOperation, commitOperation}
}

const (
	readOperation   = "read"
	writeOperation  = "write"
	beginOperation  = "begin"
	commitOperation = "commit"
)

// observer gets each statement before it runs, and how long it took, if a function is set.
type observer struct {
	f       atomic.Pointer[func(query string, args []any) error]
	measure func(operation string, took time.Duration, failed bool) // nil: nothing is measured
}

// start returns when a statement begins, if it is measured.
func (o *observer) start() (began time.Time) {
	if o.measure != nil {
		began = time.Now()
	}
	return began
}

func (o *observer) ended(operation string, began time.Time, err error) {
	if o.measure != nil {
		o.measure(operation, time.Since(began), isFault(err))
	}
}

// isFault reports whether err is a fault of the database. A conflict is an answer, a transaction that PostgreSQL aborts
// is retried, and a statement is canceled because its client has gone.
func isFault(err error) bool {
	return err != nil && !errors.Is(conflict(err), ErrConflict) && !errors.Is(err, context.Canceled) && !retryable(err)
}

func (o *observer) statement(query string, args []any) error {
	if f := o.f.Load(); f != nil {
		return (*f)(query, args)
	}
	return nil
}

// Observe calls f with every statement before it runs, and with Begin when a transaction begins, until stop is called.
// If f returns an error, the statement does not run, and the error is treated as one of the driver. There is one
// observer at a time. It is for tests that count, explain or fail statements (storetest.Record, storetest.Fail).
func (db *DB) Observe(f func(query string, args []any) error) (stop func()) {
	db.observer.f.Store(&f)
	return func() { db.observer.f.CompareAndSwap(&f, nil) }
}

// observed runs the statements of a querier. It reports them to an observer, converts time.Time arguments to
// milliseconds, and classifies errors.
type observed struct {
	querier   querier
	by        *observer
	operation string // of its statements
}

// withMillis replaces times in args by milliseconds, as the columns store them.
func withMillis(args []any) []any {
	for i, arg := range args {
		if t, ok := arg.(time.Time); ok {
			args[i] = Time(t).millis()
		}
	}
	return args
}

func (o observed) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	args = withMillis(args)
	began := o.by.start()
	if err = o.by.statement(query, args); err == nil {
		result, err = o.querier.ExecContext(ctx, query, args...)
	}
	o.by.ended(o.operation, began, err)
	return result, classify(err)
}

// QueryContext returns rows. Pass the result of their Err to classify.
func (o observed) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	args = withMillis(args)
	began := o.by.start()
	if err = o.by.statement(query, args); err == nil {
		rows, err = o.querier.QueryContext(ctx, query, args...)
	}
	o.by.ended(o.operation, began, err)
	return rows, classify(err)
}

func (o observed) QueryRowContext(ctx context.Context, query string, args ...any) scanner {
	args = withMillis(args)
	began := o.by.start()
	if err := o.by.statement(query, args); err != nil {
		o.by.ended(o.operation, began, err)
		return row{err: err}
	}
	one := o.querier.QueryRowContext(ctx, query, args...)
	o.by.ended(o.operation, began, one.Err())
	return row{row: one}
}
