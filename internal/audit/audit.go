// Package audit records security events and lists them.
//
// An event is written in the transaction of the operation that it reports, so that none happens without its event. A
// failure has no transaction to commit: RecordFailure writes its event in a transaction of its own. Each event is also
// one log line, written once the transaction is committed.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"twostep.example/twostep/internal/store"
)

// Result is whether an operation succeeded.
type Result string

// Results. An event without one is a success.
const (
	Success Result = "success"
	Failure Result = "failure"
)

// Actor is who caused an event.
type Actor struct {
	Type string // TypeAnonymous, TypePerson and so on
	ID   string // of the account or the client; the user name of an operator, if it is known
}

// Types of actor.
const (
	TypeAnonymous = "anonymous" // not authenticated
	TypePerson    = "person"    // has entered the password, or opened a link from an email
	TypeOperator  = "operator"  // used the command line
	TypeProgram   = "program"   // the Go program that embeds this one
	TypeClient    = "client"    // an app
	TypeSystem    = "system"    // this program, on a schedule or because of a limit
)

// Anonymous returns the actor of a request that is not authenticated.
func Anonymous() Actor { return Actor{Type: TypeAnonymous} }

// Person returns the actor for the holder of an account.
func Person(account string) Actor { return Actor{TypePerson, account} }

// Client returns the actor for an app.
func Client(id string) Actor { return Actor{TypeClient, id} }

// System returns the actor for what this program does on a schedule or because of a limit.
func System() Actor { return Actor{Type: TypeSystem} }

// Source is where a request came from. It is empty for what did not come over the network.
type Source struct {
	Address string // "": unknown
	Network string // the network that limits count: an IPv4 address or an IPv6 /64; "": unknown
	Browser string // the User-Agent header, without control characters, at most 256 bytes
}

// EventID identifies an event. Its text is the same in the log and in lists. 0 is no event.
type EventID = store.EventID

// ParseEventID parses the result of EventID.String. It reports false if text is not valid.
func ParseEventID(text string) (EventID, bool) { return store.ParseEventID(text) }

// Event is a security event. Text fields that do not apply are "".
type Event struct {
	ID      EventID // set by Record; 0 if it is only counted
	At      time.Time
	Kind    Kind
	Actor   Actor  // zero: Person(Account), or Anonymous if there is no Account
	Account string // id of the account it is about; "" if the entered address is unknown
	Email   string // of the account, for the log line of a sign-in or its failure; not stored
	Target  string // "factor:ID", "session:ID", "device:ID", "client:ID", see Target
	Result  Result // "": Success
	Reason  string // a short constant text, never what a person entered
	Client  string // id of the app that it happened for
	SignIn  string // id of the attempt that it is part of
	Address string // set by Record from the Source
	Browser string // set by Record from the Source
	Trace   string // of a trust decision, see "twostep explain --trace"
	// Owner and ActorEmail are the addresses that Account and Actor have now; "": there is no such account. List sets
	// them.
	Owner, ActorEmail string
	// Occurrences is how many events this one counts: 1, or more for EventsOmitted.
	Occurrences int64
}

// TrustedDevice is the Reason of a SessionCreated for which no code was required.
const TrustedDevice = "trusted device"

// DeskCode is the Reason of a SessionCreated by a code from the help desk.
const DeskCode = "desk code"

// OtherDevice is the Reason of a GrantCreated or a ConsentDenied for a device (RFC 8628), not for a browser.
const OtherDevice = "device"

// Target returns the Target of an event: Target("factor", id) is "factor:" + id.
func Target(what, id string) string { return what + ":" + id }

// Log records and lists events. Create one for each database and keep it: it remembers which limits are exceeded.
type Log struct {
	Store  *store.DB
	Now    func() time.Time
	Logger *slog.Logger // nil: nothing is logged
	// Observe is called with each event that is logged, also with those that only EventsOmitted counts. nil: nothing is.
	Observe func(Event)

	exceeded exceeded
	counts   counts
}

// Record writes e in the transaction tx of the operation, and its log line once that is committed. Events whose kind is
// Bounded are recorded one by one up to PerAccount and the other limits; beyond them Record counts them and returns
// nil. If it returns an error the operation must fail.
func (l *Log) Record(ctx context.Context, tx *store.DB, e Event, from Source) error {
	e = l.complete(e, from)
	var omitted bool
	var err error
	if e.bounded() {
		omitted, err = l.limit(ctx, tx, e, from.Network)
	}
	if err == nil && !omitted {
		e.ID, err = tx.CreateAuditEvent(ctx, rowOf(e), e.At)
	}
	if err != nil {
		return fmt.Errorf("audit: %s: %w", e.Kind, err)
	}
	tx.AfterCommit(func() { l.write(e) })
	return nil
}

// failureTimeout is how long RecordFailure waits for the database.
const failureTimeout = 5 * time.Second

// RecordFailure writes e as a failure in a transaction of its own: it is kept if the operation is rolled back or the
// client disconnects. Do not call it inside a transaction: on SQLite it would wait for that transaction.
func (l *Log) RecordFailure(ctx context.Context, e Event, from Source) error {
	e.Result = Failure
	if e.bounded() {
		if _, _, ok := l.exceeded.count(scopes(e, from.Network), l.Now(), false); ok {
			l.write(l.complete(e, from)) // no transaction for each of many refusals
			return nil
		}
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), failureTimeout)
	defer stop()
	return l.Store.Tx(ctx, func(tx *store.DB) error { return l.Record(ctx, tx, e, from) })
}

// complete sets the fields that the caller left empty.
func (l *Log) complete(e Event, from Source) Event {
	e.At, e.Address, e.Browser, e.Occurrences = l.Now(), from.Address, from.Browser, 1
	if e.Result == "" {
		e.Result = Success
	}
	if e.Actor.Type == "" {
		e.Actor = Person(e.Account)
		if e.Account == "" {
			e.Actor = Anonymous()
		}
	}
	return e
}

// write reports an event to Observe and writes its log line. The first attributes are always present and in this order,
// on which deploy/fail2ban depends.
func (l *Log) write(e Event) {
	if l.Observe != nil {
		l.Observe(e)
	}
	if l.Logger == nil {
		return
	}
	level := slog.LevelInfo
	if e.Result == Failure {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("event", string(e.Kind)), slog.String("result", string(e.Result)), slog.String("address",
			e.Address),
		slog.String("account", e.Account), slog.String("reason", e.Reason), slog.String("actor", e.Actor.String()),
	}
	for _, one := range []struct{ key, value string }{
		{"email", e.Email}, {"target", e.Target}, {"client", e.Client}, {"sign_in", e.SignIn}, {"trace", e.Trace},
		{"browser", e.Browser}, {"id", e.ID.String()},
	} {
		if one.value != "" {
			attrs = append(attrs, slog.String(one.key, one.value))
		}
	}
	l.Logger.LogAttrs(context.Background(), level, "audit", attrs...)
}

// String returns the type, or "type:id".
func (a Actor) String() string {
	if a.ID == "" {
		return a.Type
	}
	return a.Type + ":" + a.ID
}

// ErrNoEvent means that there is no event with this id.
var ErrNoEvent = errors.New("no such event")

// Filter selects events. A zero field does not restrict.
type Filter struct {
	Account string // id of the subject
	Kinds   []Kind
	Result  Result
	Address string
	Since   time.Time // at or after
	Until   time.Time // before
	Before  EventID   // older than this event
	Limit   int       // 0: 50
}

// List lists the events that f selects, newest first. To read the next page, set Before to the last event of this one.
func (l *Log) List(ctx context.Context, f Filter) ([]Event, error) {
	query := store.AuditFilter{
		Account: f.Account, Result: string(f.Result), Address: f.Address, Since: f.Since, Until: f.Until,
		Before: f.Before, Limit: f.Limit,
	}
	if query.Limit <= 0 {
		query.Limit = 50
	}
	for _, k := range f.Kinds {
		query.Kinds = append(query.Kinds, string(k))
	}
	rows, err := l.Store.ListAuditEvents(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	list := make([]Event, len(rows))
	for i, row := range rows {
		list[i] = EventOf(row)
	}
	return list, nil
}

// Get returns the event with this id, or ErrNoEvent.
func (l *Log) Get(ctx context.Context, id EventID) (Event, error) {
	row, err := l.Store.GetAuditEvent(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Event{}, ErrNoEvent
	case err != nil:
		return Event{}, fmt.Errorf("audit: get: %w", err)
	}
	return EventOf(row), nil
}

func rowOf(e Event) store.AuditEvent {
	return store.AuditEvent{
		Kind: string(e.Kind), ActorType: e.Actor.Type, ActorID: e.Actor.ID, Account: e.Account,
		Target: e.Target, Result: string(e.Result), Reason: e.Reason, Client: e.Client, SignIn: e.SignIn,
		Address: e.Address, Browser: e.Browser, Trace: e.Trace, Occurrences: e.Occurrences,
	}
}

// EventOf returns the event of a row.
func EventOf(row store.AuditEvent) Event {
	return Event{
		ID: row.ID, At: row.ID.Time(), Kind: Kind(row.Kind), Actor: Actor{row.ActorType, row.ActorID}, Account: row.Account,
		Target: row.Target, Result: Result(row.Result), Reason: row.Reason, Client: row.Client, SignIn: row.SignIn,
		Address: row.Address, Browser: row.Browser, Trace: row.Trace, Occurrences: row.Occurrences,
		Owner: row.Email, ActorEmail: row.ActorEmail,
	}
}
