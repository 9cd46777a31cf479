package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// AuditEvent is a row of audit_events. Text that does not apply is "".
type AuditEvent struct {
	ID          string
	At          time.Time
	Kind        string
	ActorType   string
	ActorID     string
	Account     string // id of the subject
	Target      string
	Result      string
	Reason      string
	Client      string
	SignIn      string
	Address     string
	Browser     string
	Trace       string
	Occurrences int64
}

const auditColumns = `id, time, kind, actor_type, actor_id, account, target, result, reason, client, sign_in, address,
		browser, trace, occurrences`

// CreateAuditEvent inserts e. If an event with its id exists, CreateAuditEvent adds e.Occurrences to that event and
// changes nothing else of it.
func (db *DB) CreateAuditEvent(ctx context.Context, e AuditEvent) error {
	_, err := db.change(ctx, `INSERT INTO audit_events (`+auditColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO UPDATE SET occurrences = audit_events.occurrences + excluded.occurrences`,
		e.ID, e.At, e.Kind, e.ActorType, e.ActorID, e.Account, e.Target, e.Result, e.Reason, e.Client, e.SignIn,
		e.Address, e.Browser, e.Trace, e.Occurrences)
	if err == nil && !db.flavor.oneWriter {
		db.AfterCommit(func() { db.committed.add(e.ID) })
	}
	return err
}

// AuditFilter selects events. A zero field does not restrict.
type AuditFilter struct {
	Account  string
	Kinds    []string
	Result   string
	Address  string
	Since    time.Time // at or after
	Until    time.Time // before
	BeforeAt time.Time // with BeforeID: older than the event with this time and id
	BeforeID string
	Limit    int // at least 1
}

// ListAuditEvents lists the events that f selects, newest first, and by descending id at the same time. To read the
// next page, set BeforeAt and BeforeID to the last event of this one.
func (db *DB) ListAuditEvents(ctx context.Context, f AuditFilter) ([]AuditEvent, error) {
	var where []string
	var args []any
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	for _, one := range []struct{ column, value string }{
		{"account", f.Account}, {"result", f.Result}, {"address", f.Address},
	} {
		if one.value != "" {
			where = append(where, one.column+" = "+arg(one.value))
		}
	}
	if len(f.Kinds) > 0 {
		var list []string
		for _, kind := range f.Kinds {
			list = append(list, arg(kind))
		}
		where = append(where, "kind IN ("+strings.Join(list, ", ")+")")
	}
	if !f.Since.IsZero() {
		where = append(where, "time >= "+arg(f.Since))
	}
	if !f.Until.IsZero() {
		where = append(where, "time < "+arg(f.Until))
	}
	if !f.BeforeAt.IsZero() {
		where = append(where, "(time, id) < ("+arg(f.BeforeAt)+", "+arg(f.BeforeID)+")")
	}
	query := `SELECT ` + auditColumns + ` FROM audit_events`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	query += ` ORDER BY time DESC, id DESC LIMIT ` + arg(f.Limit)
	rows, err := db.read.QueryContext(ctx, query, args...)
	return all(rows, err, scanAuditEvent)
}

func scanAuditEvent(s scanner) (e AuditEvent, err error) {
	return e, s.Scan(&e.ID, (*Time)(&e.At), &e.Kind, &e.ActorType, &e.ActorID, &e.Account, &e.Target, &e.Result,
		&e.Reason, &e.Client, &e.SignIn, &e.Address, &e.Browser, &e.Trace, &e.Occurrences)
}

// CountAudit counts one event of a scope in the window that ends at ends, and returns the count including it. Above
// limit it stops counting and returns limit+1.
func (db *DB) CountAudit(ctx context.Context, scope string, ends time.Time, limit int64) (used int64, err error) {
	err = db.returning(ctx, `INSERT INTO audit_counters (scope, ends_at, used) VALUES ($1, $2, 1)
		ON CONFLICT (scope, ends_at) DO UPDATE SET used = audit_counters.used + 1
		WHERE audit_counters.used < $3 RETURNING used`, []any{scope, ends, limit}, []any{&used})
	if err == ErrNotFound {
		return limit + 1, nil
	}
	return used, err
}
