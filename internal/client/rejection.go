package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/store"
)

// Rejection is why requests of a client were rejected. Requests with the same reason are counted in one Rejection.
type Rejection struct {
	Reason   string
	Path     string // of the last request: "/oauth2/authorize"
	Sent     string // parameters of the last request, without secrets: "response_type=token"
	Remedy   string // what the operator can do
	Requests int64
	LastAt   time.Time
}

// maxReasons is how many reasons of one client are recorded in an hour: anybody can send requests in the name of a
// client.
const maxReasons = 20

// rejections limits what is written to the database: each reason of a client once a minute.
type rejections struct {
	mu       sync.Mutex
	since    time.Time // when byClient was empty
	byClient map[string]map[string]*pendingRejection
}

// pendingRejection counts the requests that are not in the database yet.
type pendingRejection struct {
	writes fault.Throttle
	count  int64
}

// due counts a request and returns how many to write now; 0 means none.
func (r *rejections) due(clientID, reason string, now time.Time) (requests int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.since); age < 0 || age >= time.Hour {
		r.since, r.byClient = now, map[string]map[string]*pendingRejection{}
	}
	reasons := r.byClient[clientID]
	if reasons == nil {
		reasons = map[string]*pendingRejection{}
		r.byClient[clientID] = reasons
	}
	p := reasons[reason]
	if p == nil {
		if len(reasons) >= maxReasons {
			return 0
		}
		p = &pendingRejection{}
		reasons[reason] = p
	}
	p.count++
	if !p.writes.Allow(now) {
		return 0
	}
	requests, p.count = p.count, 0
	return requests
}

// rejectionTimeout is how long RecordRejection waits for the database. The client waits with it.
const rejectionTimeout = time.Second

// RecordRejection records that a request of a registered client was rejected, at Now, for ListRejections. It writes
// each reason once a minute; the requests in between are counted and written with the next one.
func (c *Clients) RecordRejection(ctx context.Context, clientID string, r Rejection) error {
	r.LastAt = c.Now()
	if r.Requests = c.rejections.due(clientID, r.Reason, r.LastAt); r.Requests == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), rejectionTimeout)
	defer stop()
	err := c.Store.AddClientRejection(ctx, store.ClientRejection{
		ClientID: clientID, Reason: r.Reason, Path: r.Path, Sent: r.Sent, Remedy: r.Remedy,
		Requests: r.Requests, LastAt: r.LastAt,
	})
	if err != nil {
		return fmt.Errorf("client: record rejection: %w", err)
	}
	return nil
}

// ListRejections returns why requests of a client were rejected in the last 60 days, newest first.
func (c *Clients) ListRejections(ctx context.Context, clientID string) ([]Rejection, error) {
	rows, err := c.Store.ListClientRejections(ctx, clientID)
	if err != nil {
		return nil, fmt.Errorf("client: list rejections: %w", err)
	}
	list := make([]Rejection, len(rows))
	for i, row := range rows {
		list[i] = Rejection{row.Reason, row.Path, row.Sent, row.Remedy, row.Requests, row.LastAt}
	}
	return list, nil
}
