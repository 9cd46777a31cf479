// Package audit records security events with the acts they belong to, and lists them.
//
// An event is written in the transaction of its act, so that there is no act without its event.
// A failure changes nothing that could be committed: RecordFailure writes it in a transaction of
// its own. Each event is also one log line, written once the transaction is committed.
package audit

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/internal/store"
)

// Result says whether what was tried was done.
type Result string

// The results. An event without one is a success.
const (
	Success Result = "success"
	Failure Result = "failure"
)

// Actor is who caused an event.
type Actor struct {
	Type string // one of the Actor types
	ID   string // of the account or the client; the user name of an operator, if it is known
}

// The types of actor.
const (
	TypeAnonymous = "anonymous" // has not proven who they are
	TypePerson    = "person"    // has entered the password, or opened a link from an email
	TypeOperator  = "operator"  // used the command line
	TypeProgram   = "program"   // the Go program that embeds this one
	TypeClient    = "client"    // an app
	TypeSystem    = "system"    // nobody: it was due
)

// Anonymous is an actor who has not proven who they are.
func Anonymous() Actor { return Actor{Type: TypeAnonymous} }

// Person is the person of the account with this id.
func Person(account string) Actor { return Actor{TypePerson, account} }

// Client is the app with this id.
func Client(id string) Actor { return Actor{TypeClient, id} }

// System is this program, which did something because it was due.
func System() Actor { return Actor{Type: TypeSystem} }

// Source is where a request came from, as events record it. It is empty for what did not come
// over the network.
type Source struct {
	Address string // "": unknown
	Network string // the network that is counted by: an IPv4 address, an IPv6 /64; "": unknown
	Browser string // the User-Agent header, without control characters, at most 256 bytes
}

// Event is something that happened. Text that does not apply is "".
type Event struct {
	ID      string // set by Record
	At      time.Time
	Kind    Kind
	Actor   Actor  // zero: Person(Account), or Anonymous if there is no Account
	Account string // id of the account it is about; "" if the name that was typed is unknown
	Target  string // "factor:ID", "session:ID", "device:ID", "client:ID", see Target
	Result  Result // "": Success
	Reason  string // a short word of code, never what a person typed
	Client  string // id of the app it happened for
	SignIn  string // id of the sign-in it is part of
	Address string // set by Record from the Source
	Browser string // likewise
	Trace   string // of a trust decision, see "twostep explain --trace"
	// Occurrences is how many events this one stands for: 1, and more for EventsOmitted.
	Occurrences int64
}

// TrustedDevice is the Reason of a SessionCreated for which no code was asked.
const TrustedDevice = "trusted device"

// Target names what an event is about beside the account: Target("factor", id).
func Target(what, id string) string { return what + ":" + id }

// Log records events and lists them. Make one for a database and keep it: it remembers which
// limits are exceeded.
type Log struct {
	Store  *store.DB
	Now    func() time.Time
	Logger *slog.Logger // nil: nothing is logged

	exceeded exceeded
}

// Record writes e in the transaction tx of the act, and its log line once that is committed.
// Kinds that are Bounded are recorded one by one up to PerAccount and the other limits; beyond them
// Record counts and returns nil. An error must fail the act.
func (l *Log) Record(ctx context.Context, tx *store.DB, e Event, from Source) error {
	e = l.complete(e, from)
	tx.AfterCommit(func() { l.write(e) })
	row := e
	if e.bounded() {
		omitted, n, err := l.limit(ctx, tx, e, from.Network)
		switch {
		case err != nil:
			return fmt.Errorf("audit: %s: %w", e.Kind, err)
		case omitted == "":
		case n == 0:
			return nil
		default:
			row = summary(e, omitted, n, from.Network)
		}
	}
	if err := tx.CreateAuditEvent(ctx, rowOf(row)); err != nil {
		return fmt.Errorf("audit: %s: %w", e.Kind, err)
	}
	return nil
}

// failureTime bounds how long RecordFailure waits for the database.
const failureTime = 5 * time.Second

// RecordFailure writes e as a failure in a transaction of its own: it is kept if the act is rolled
// back, and if the client hangs up. Do not call it inside a transaction: it would wait for that one.
func (l *Log) RecordFailure(ctx context.Context, e Event, from Source) error {
	e.Result = Failure
	if e.bounded() {
		if _, _, ok := l.exceeded.count(scopes(e, from.Network), l.Now(), false); ok {
			l.write(l.complete(e, from)) // a flood of refusals costs no transactions
			return nil
		}
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), failureTime)
	defer stop()
	return l.Store.Tx(ctx, func(tx *store.DB) error { return l.Record(ctx, tx, e, from) })
}

// complete fills in what the caller left out.
func (l *Log) complete(e Event, from Source) Event {
	e.ID, e.At, e.Address, e.Browser, e.Occurrences = rand.Text(), l.Now(), from.Address, from.Browser, 1
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

// write writes the log line of an event. The first attributes are always there and in this order:
// deploy/fail2ban reads them.
func (l *Log) write(e Event) {
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
		{"target", e.Target}, {"client", e.Client}, {"sign_in", e.SignIn}, {"trace", e.Trace}, {"browser", e.Browser},
		{"id", e.ID},
	} {
		if one.value != "" {
			attrs = append(attrs, slog.String(one.key, one.value))
		}
	}
	l.Logger.LogAttrs(context.Background(), level, "audit", attrs...)
}

// String is the type, or "type:id".
func (a Actor) String() string {
	if a.ID == "" {
		return a.Type
	}
	return a.Type + ":" + a.ID
}

// Filter selects events. A zero field does not restrict.
type Filter struct {
	Account string // id of the subject
	Kinds   []Kind
	Result  Result
	Address string
	Since   time.Time // at or after
	Until   time.Time // before
	Before  Cursor    // older than this event
	Limit   int       // 0: 50
}

// Cursor is the place of an event in the list.
type Cursor struct {
	At time.Time
	ID string
}

// String is the cursor as a text that ParseCursor reads.
func (c Cursor) String() string { return strconv.FormatInt(c.At.UnixMilli(), 10) + "-" + c.ID }

// ParseCursor reads a text of Cursor.String. ok is false, and the cursor zero, if it is none.
func ParseCursor(text string) (c Cursor, ok bool) {
	millis, id, _ := strings.Cut(text, "-")
	at, err := strconv.ParseInt(millis, 10, 64)
	if err != nil || at <= 0 || !goodID.MatchString(id) {
		return Cursor{}, false
	}
	return Cursor{time.UnixMilli(at), id}, true
}

// goodID is a random text of crypto/rand, or the id of an EventsOmitted.
var goodID = regexp.MustCompile(`^[A-Z2-7]{1,64}$`)

// Cursor is the place of e in the list.
func (e Event) Cursor() Cursor { return Cursor{e.At, e.ID} }

// List lists the events that f selects, newest first. To read on, set Before to the Cursor of the
// last one.
func (l *Log) List(ctx context.Context, f Filter) ([]Event, error) {
	query := store.AuditFilter{
		Account: f.Account, Result: string(f.Result), Address: f.Address, Since: f.Since, Until: f.Until,
		BeforeAt: f.Before.At, BeforeID: f.Before.ID, Limit: f.Limit,
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
		list[i] = eventOf(row)
	}
	return list, nil
}

func rowOf(e Event) store.AuditEvent {
	return store.AuditEvent{
		ID: e.ID, At: e.At, Kind: string(e.Kind), ActorType: e.Actor.Type, ActorID: e.Actor.ID, Account: e.Account,
		Target: e.Target, Result: string(e.Result), Reason: e.Reason, Client: e.Client, SignIn: e.SignIn,
		Address: e.Address, Browser: e.Browser, Trace: e.Trace, Occurrences: e.Occurrences,
	}
}

func eventOf(row store.AuditEvent) Event {
	return Event{
		ID: row.ID, At: row.At, Kind: Kind(row.Kind), Actor: Actor{row.ActorType, row.ActorID}, Account: row.Account,
		Target: row.Target, Result: Result(row.Result), Reason: row.Reason, Client: row.Client, SignIn: row.SignIn,
		Address: row.Address, Browser: row.Browser, Trace: row.Trace, Occurrences: row.Occurrences,
	}
}
