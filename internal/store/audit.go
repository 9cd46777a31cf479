package store

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// EventID identifies an audit event. It is the time of the event in Unix milliseconds, shifted left, and random bits. So
// ids are sorted by time. 0 is no event.
type EventID int64

const (
	randomBits = 21
	maxEventID = EventID(1<<63 - 1)
)

// firstEventID returns the smallest id of the millisecond of a time, or maxEventID after the year 2109.
func firstEventID(at time.Time) EventID {
	if at.Before(time.UnixMilli(0)) {
		return 0
	}
	if at.After(maxEventID.Time()) {
		return maxEventID
	}
	return EventID(at.UnixMilli() << randomBits)
}

func newEventID(at time.Time) EventID {
	var random [4]byte
	rand.Read(random[:])
	return firstEventID(at) | EventID(binary.BigEndian.Uint32(random[:])%(1<<randomBits))
}

// Time returns the time of the event.
func (id EventID) Time() time.Time { return time.UnixMilli(int64(id >> randomBits)) }

var eventIDText = base32.StdEncoding.WithPadding(base32.NoPadding)

// String formats the id for ParseEventID. The text of 0 is "".
func (id EventID) String() string {
	if id == 0 {
		return ""
	}
	return eventIDText.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(id)))
}

// ParseEventID parses the result of EventID.String. It reports false if text is not valid.
func ParseEventID(text string) (id EventID, ok bool) {
	b, err := eventIDText.DecodeString(text)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	id = EventID(binary.BigEndian.Uint64(b))
	if id <= 0 || id.String() != text { // the last digit has spare bits
		return 0, false
	}
	return id, true
}

// AuditEvent is a row of audit_log. Text that does not apply is "".
type AuditEvent struct {
	ID          EventID // drawn by CreateAuditEvent; it has the time
	Kind        string
	ActorType   string
	ActorID     string
	Account     string // id of the subject
	Target      string
	Result      string // "success" or "failure"
	Reason      string
	Client      string
	SignIn      string
	Address     string
	Browser     string
	Trace       string
	Occurrences int64
}

// CreateAuditEvent inserts an event of the time at, and returns its id.
func (db *DB) CreateAuditEvent(ctx context.Context, e AuditEvent, at time.Time) (EventID, error) {
	return db.createAuditEvent(ctx, e, at, newEventID)
}

// maxDraws is how often createAuditEvent draws an id. With 10,000 events in the same millisecond, one in 200 ids is taken.
const maxDraws = 5

func (db *DB) createAuditEvent(ctx context.Context, e AuditEvent, at time.Time,
	draw func(time.Time) EventID) (EventID, error) {
	browser, err := db.saveAuditBrowser(ctx, e.Browser, at)
	if err != nil {
		return 0, err
	}
	if e.ActorType == "person" && e.ActorID == e.Account {
		e.ActorID = "" // audit_log restores it
	}
	for range maxDraws {
		id := draw(at)
		n, err := db.change(ctx, `INSERT INTO audit_events (id, kind, actor_type, actor_id, account, target, failed,
				reason, client, sign_in, address, browser, trace, occurrences)
			VALUES ($1, (SELECT id FROM audit_terms WHERE term = $2), (SELECT id FROM audit_terms WHERE term = $3),
				$4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING`,
			id, e.Kind, e.ActorType, e.ActorID, e.Account, e.Target, e.Result == "failure", e.Reason, e.Client, e.SignIn,
			e.Address, browser, e.Trace, e.Occurrences)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			continue
		}
		if !db.flavor.oneWriter {
			db.AfterCommit(func() { db.committed.add(id) })
		}
		return id, nil
	}
	return 0, errors.New("store: no id is free for an audit event")
}

// AddOccurrences adds to the occurrences of an event. It returns ErrNotFound if there is no such event.
func (db *DB) AddOccurrences(ctx context.Context, id EventID, more int64) error {
	return db.must(ctx, `UPDATE audit_events SET occurrences = occurrences + $2 WHERE id = $1`, id, more)
}

// AuditFilter selects events. A zero field does not restrict.
type AuditFilter struct {
	Account string
	Kinds   []string
	Result  string // "success" or "failure"
	Address string
	Since   time.Time // at or after
	Until   time.Time // before
	Before  EventID   // older than this event
	Limit   int       // at least 1
}

// ListAuditEvents lists the events that f selects, newest first, and by descending id at the same time. To read the
// next page, set Before to the last event of this one.
func (db *DB) ListAuditEvents(ctx context.Context, f AuditFilter) ([]AuditEvent, error) {
	where := []string{"TRUE"}
	var args []any
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	if f.Account != "" {
		where = append(where, "account <> '' AND account = "+arg(f.Account)) // the index leaves '' out
	}
	if f.Address != "" {
		where = append(where, "address <> '' AND address = "+arg(f.Address))
	}
	switch f.Result {
	case "success":
		where = append(where, "NOT failed")
	case "failure":
		where = append(where, "failed")
	}
	var kinds []string
	for _, kind := range f.Kinds {
		kinds = append(kinds, "(SELECT id FROM audit_terms WHERE term = "+arg(kind)+")")
	}
	switch len(kinds) {
	case 0:
	case 1:
		where = append(where, "kind = "+kinds[0]) // by the index, in the order of the list
	default:
		where = append(where, "kind IN ("+strings.Join(kinds, ", ")+")")
	}
	if !f.Since.IsZero() {
		where = append(where, "id >= "+arg(firstEventID(f.Since)))
	}
	if !f.Until.IsZero() {
		where = append(where, "id < "+arg(firstEventID(f.Until)))
	}
	if f.Before != 0 {
		where = append(where, "id < "+arg(f.Before))
	}
	rows, err := db.read.QueryContext(ctx, `SELECT id, kind, actor_type, actor_id, account, target, result, reason, client,
			sign_in, address, browser, trace, occurrences
		FROM audit_log WHERE id IN (SELECT id FROM audit_events WHERE `+strings.Join(where, ` AND `)+`
			ORDER BY id DESC LIMIT `+arg(f.Limit)+`) ORDER BY id DESC`, args...)
	return all(rows, err, scanAuditEvent)
}

func scanAuditEvent(s scanner) (e AuditEvent, err error) {
	return e, s.Scan(&e.ID, &e.Kind, &e.ActorType, &e.ActorID, &e.Account, &e.Target, &e.Result, &e.Reason, &e.Client,
		&e.SignIn, &e.Address, &e.Browser, &e.Trace, &e.Occurrences)
}

// CountAudit counts n events of a scope in the window that ends at ends. It returns the count including them, and the
// id that SetCounterEvent has set, or 0. Until the transaction ends, others wait to count in this scope and window.
func (db *DB) CountAudit(ctx context.Context, scope string, ends time.Time, n int64) (used int64, event EventID,
	err error) {
	err = db.returning(ctx, `INSERT INTO audit_counters (scope, ends_at, used, event_id) VALUES ($1, $2, $3, 0)
		ON CONFLICT (scope, ends_at) DO UPDATE SET used = audit_counters.used + excluded.used RETURNING used, event_id`,
		[]any{scope, ends, n}, []any{&used, &event})
	return used, event, err
}

// SetCounterEvent sets the event that counts what is beyond the limit of a scope.
func (db *DB) SetCounterEvent(ctx context.Context, scope string, ends time.Time, event EventID) error {
	return db.must(ctx, `UPDATE audit_counters SET event_id = $3 WHERE scope = $1 AND ends_at = $2`, scope, ends, event)
}
