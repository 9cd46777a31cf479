package audit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"twostep.example/twostep/internal/store"
)

// Count is how many events of a kind there were in an hour.
type Count struct {
	Hour   time.Time // its start (UTC)
	Kind   Kind
	Result Result
	Reason string
	Events int64
}

const (
	// CountsFor is how far back Counts goes.
	CountsFor = 31 * 24 * time.Hour
	// countsTTL is how long the result of Counts is kept.
	countsTTL = time.Minute
	// countsLate is how late an event may appear: its time is the start of its transaction.
	countsLate = 10 * time.Minute
)

// counts keeps what Counts has read. Hours that are over do not change, so they are read once.
type counts struct {
	mu    sync.Mutex
	at    time.Time
	until time.Time // the hours before are in past
	past  []Count
	now   []Count
}

// countedKinds are the kinds that Counts counts.
func countedKinds() []Kind {
	return []Kind{SessionCreated, PasswordRejected, CodeRejected, LimitReached, EventsOmitted}
}

// Counts returns how many sign-ins and failed ones there were in each hour of the last 31 days. It is up to a minute old.
// The first call reads the events of all these days, later calls those of the last hours.
func (l *Log) Counts(ctx context.Context) ([]Count, error) {
	c := &l.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	now := l.Now()
	if age := now.Sub(c.at); age < 0 {
		c.past, c.until = nil, time.Time{} // the clock was set back
	} else if age < countsTTL {
		return append(c.past[:len(c.past):len(c.past)], c.now...), nil
	}
	first := now.Add(-CountsFor).Truncate(time.Hour)
	from := c.until
	if from.Before(first) {
		from, c.past = first, nil
	}
	over := now.Add(-countsLate).Truncate(time.Hour)
	past, recent := []Count{}, []Count(nil)
	for _, old := range c.past {
		if !old.Hour.Before(first) {
			past = append(past, old)
		}
	}
	for _, kind := range countedKinds() {
		rows, err := l.Store.CountAuditEvents(ctx, string(kind), from, now.Add(countsLate))
		if err != nil {
			return nil, fmt.Errorf("audit: counts: %w", err)
		}
		for _, row := range rows {
			if one := countOf(row); row.Hour.Before(over) {
				past = append(past, one)
			} else {
				recent = append(recent, one)
			}
		}
	}
	c.at, c.until, c.past, c.now = now, over, past, recent
	return append(past[:len(past):len(past)], recent...), nil
}

func countOf(row store.AuditCount) Count {
	return Count{Hour: row.Hour, Kind: Kind(row.Kind), Result: Result(row.Result), Reason: row.Reason, Events: row.Events}
}
