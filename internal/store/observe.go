package store

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"
)

// Begin is the query that an observer gets when a transaction begins.
const Begin = "BEGIN"

// observer gets each statement before it runs, if a function is set.
type observer struct {
	f atomic.Pointer[func(query string, args []any) error]
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
	querier querier
	by      *observer
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

func (o observed) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	args = withMillis(args)
	if err := o.by.statement(query, args); err != nil {
		return nil, classify(err)
	}
	result, err := o.querier.ExecContext(ctx, query, args...)
	return result, classify(err)
}

// QueryContext returns rows. Pass the result of their Err to classify.
func (o observed) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	args = withMillis(args)
	if err := o.by.statement(query, args); err != nil {
		return nil, classify(err)
	}
	rows, err := o.querier.QueryContext(ctx, query, args...)
	return rows, classify(err)
}

func (o observed) QueryRowContext(ctx context.Context, query string, args ...any) scanner {
	args = withMillis(args)
	if err := o.by.statement(query, args); err != nil {
		return row{err: err}
	}
	return row{row: o.querier.QueryRowContext(ctx, query, args...)}
}
