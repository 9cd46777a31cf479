package store

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"
)

// Begin is what an observer sees when a transaction begins.
const Begin = "BEGIN"

// observer is told of statements. Without a function it costs a comparison each.
type observer struct {
	f atomic.Pointer[func(query string, args []any)]
}

func (o *observer) see(query string, args []any) {
	if f := o.f.Load(); f != nil {
		(*f)(query, args)
	}
}

// Observe calls f with every statement before it runs, and with Begin when a transaction begins, until stop is called.
// There is one observer at a time. It serves tests that count or explain statements (storetest.Record).
func (db *DB) Observe(f func(query string, args []any)) (stop func()) {
	db.observer.f.Store(&f)
	return func() { db.observer.f.CompareAndSwap(&f, nil) }
}

// observed is a querier whose statements an observer sees, and that stores times as Time.
type observed struct {
	querier
	by *observer
}

// columns are args as the columns store them: times are Time.
func columns(args []any) []any {
	for i, arg := range args {
		if t, ok := arg.(time.Time); ok {
			args[i] = Time(t).millis()
		}
	}
	return args
}

func (o observed) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	args = columns(args)
	o.by.see(query, args)
	return o.querier.ExecContext(ctx, query, args...)
}

func (o observed) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	args = columns(args)
	o.by.see(query, args)
	return o.querier.QueryContext(ctx, query, args...)
}

func (o observed) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	args = columns(args)
	o.by.see(query, args)
	return o.querier.QueryRowContext(ctx, query, args...)
}
