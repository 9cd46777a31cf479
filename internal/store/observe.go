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
	f atomic.Pointer[func(query string, args []any)]
}

func (o *observer) statement(query string, args []any) {
	if f := o.f.Load(); f != nil {
		(*f)(query, args)
	}
}

// Observe calls f with every statement before it runs, and with Begin when a transaction begins, until stop is called.
// There is one observer at a time. It is for tests that count or explain statements (storetest.Record).
func (db *DB) Observe(f func(query string, args []any)) (stop func()) {
	db.observer.f.Store(&f)
	return func() { db.observer.f.CompareAndSwap(&f, nil) }
}

// observed is a querier that reports its statements to an observer and converts time.Time arguments to milliseconds.
type observed struct {
	querier
	by *observer
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
	o.by.statement(query, args)
	return o.querier.ExecContext(ctx, query, args...)
}

func (o observed) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	args = withMillis(args)
	o.by.statement(query, args)
	return o.querier.QueryContext(ctx, query, args...)
}

func (o observed) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	args = withMillis(args)
	o.by.statement(query, args)
	return o.querier.QueryRowContext(ctx, query, args...)
}
