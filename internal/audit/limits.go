package audit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/internal/store"
)

// Limits of events whose kind is Bounded in an hour (UTC), so that they cannot fill the disk. Events beyond a limit are
// counted in one event of the kind EventsOmitted for that limit and hour. Each still has its log line.
const (
	PerAccount     = 30   // of one account
	PerNetwork     = 60   // from one network
	PerSite        = 2000 // of all accounts together
	PerSiteUnknown = 500  // of no account: the entered address is unknown, or there was none
)

// bounded reports whether e counts against the limits.
func (e Event) bounded() bool {
	d, _ := find(e.Kind)
	return d.Bounded
}

// Names of the limits, which are the Reason of an EventsOmitted.
const (
	ofNetwork = "network"
	ofAccount = "account"
	ofSite    = "site"
	ofUnknown = "site, unknown account"
)

// scope is what a limit counts: the events of one network, of one account or of the site.
type scope struct{ limit, of string }

func (s scope) String() string { return s.limit + " " + s.of }

var most = map[string]int64{ofNetwork: PerNetwork, ofAccount: PerAccount, ofSite: PerSite, ofUnknown: PerSiteUnknown}

// unknownName begins the Target of an event whose account is unknown.
const unknownName = "name:"

// scopes returns the scopes of e. An event beyond the limit of a network or an account does not count against the limit
// of the site, so that many failures in one place do not hide failures elsewhere.
func scopes(e Event, network string) (list []scope) {
	if network != "" {
		list = append(list, scope{ofNetwork, network})
	}
	switch {
	case e.Account != "":
		return append(list, scope{ofAccount, e.Account}, scope{ofSite, ""})
	case strings.HasPrefix(e.Target, unknownName): // as many statements as for a known account
		list = append(list, scope{ofAccount, e.Target})
	}
	return append(list, scope{ofUnknown, ""})
}

// exceeded remembers which limits are exceeded in this hour, so that events beyond them do not cost a transaction each:
// with the next event, counts are written every flushEvery. Counts that are not written when the hour or the program
// ends are lost, so the stored count is a lower bound.
type exceeded struct {
	mu    sync.Mutex
	hour  time.Time
	known map[scope]*tally
}

type tally struct {
	waiting int64 // not yet written
	written time.Time
}

const (
	flushEvery  = 10 * time.Second
	mostTallies = 10_000 // beyond that, the database is read
)

// count counts an event of the first of the scopes whose limit is known to be exceeded, and returns that scope. n is
// the number to write now; it is 0 unless flushEvery has passed. If it has passed and write is false, because the
// caller cannot write, count counts nothing and reports false.
func (x *exceeded) count(list []scope, now time.Time, write bool) (s scope, n int64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if hour := hourEnds(now); !x.hour.Equal(hour) {
		x.hour, x.known = hour, map[scope]*tally{}
	}
	for _, s := range list {
		t := x.known[s]
		if t == nil {
			continue
		}
		age := now.Sub(t.written)
		due := age < 0 || age >= flushEvery
		if due && !write {
			return scope{}, 0, false
		}
		t.waiting++
		if due {
			n, t.waiting, t.written = t.waiting, 0, now
		}
		return s, n, true
	}
	return scope{}, 0, false
}

// add remembers that the limit of a scope is exceeded.
func (x *exceeded) add(s scope, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.hour.Equal(hourEnds(now)) && len(x.known) < mostTallies && x.known[s] == nil {
		x.known[s] = &tally{written: now}
	}
}

// limit counts e. It reports true if e exceeds a limit, and counts it in the EventsOmitted of that limit then.
func (l *Log) limit(ctx context.Context, tx *store.DB, e Event, network string) (omitted bool, err error) {
	list := scopes(e, network)
	if s, n, ok := l.exceeded.count(list, e.At, true); ok {
		if n == 0 {
			return true, nil
		}
		_, event, err := tx.CountAudit(ctx, s.String(), hourEnds(e.At), n)
		if err != nil {
			return false, err
		}
		return true, countOmitted(ctx, tx, s, e, n, event)
	}
	for _, s := range list {
		used, event, err := tx.CountAudit(ctx, s.String(), hourEnds(e.At), 1)
		if err != nil {
			return false, err
		}
		if used > most[s.limit] {
			tx.AfterCommit(func() { l.exceeded.add(s, e.At) })
			return true, countOmitted(ctx, tx, s, e, 1, event)
		}
	}
	return false, nil
}

// countOmitted adds n to the EventsOmitted of a limit in the hour of e, whose id is event; 0: there is none yet. Call it
// after CountAudit in the same transaction, which lets one server at a time do this.
func countOmitted(ctx context.Context, tx *store.DB, s scope, e Event, n int64, event EventID) error {
	err := tx.AddOccurrences(ctx, event, n)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	all := Event{Kind: EventsOmitted, Actor: System(), Result: Failure, Reason: s.limit, Occurrences: n}
	switch s.limit {
	case ofNetwork:
		all.Address = e.Address
	case ofAccount:
		all.Account = e.Account
		if e.Account == "" {
			all.Target = e.Target
		}
	}
	if event, err = tx.CreateAuditEvent(ctx, rowOf(all), e.At); err != nil {
		return err
	}
	return tx.SetCounterEvent(ctx, s.String(), hourEnds(e.At), event)
}

// hourEnds returns the end of the hour (UTC) of t.
func hourEnds(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }
