package grant

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/metadata"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
)

// Anybody can make the server fetch a document, so the fetches of a network and of everybody are limited, and the
// number at the same time.
const (
	documentsPerNetworkHour = 60
	documentFetches         = 8 // at the same time
	documentQueue           = 64
	// documentRetry is how long a document that cannot be used is not fetched again.
	documentRetry = time.Minute
	// maxRefusedDocuments bounds the memory for documents that cannot be used.
	maxRefusedDocuments = 1000
)

var documentBudget = ratelimit.Shared{Kind: "client_documents", Window: time.Hour, Limit: 2000}

// Documents reads the metadata documents of clients that are named by a URL.
type Documents struct {
	fetcher metadata.Fetcher
	fetches *fairqueue.Queue

	mu      sync.Mutex
	refused map[string]refusedDocument
}

type refusedDocument struct {
	reason *metadata.Error
	until  time.Time
}

// NewDocuments returns a reader of documents.
func NewDocuments(f metadata.Fetcher) *Documents {
	return &Documents{
		fetcher: f, fetches: fairqueue.New(documentFetches, documentQueue), refused: map[string]refusedDocument{},
	}
}

// FindClient returns a client that begins a request. If it is named by the URL of its metadata document, and that was
// not read or has expired, FindClient reads it. It returns client.ErrNotFound if there is no such client, and
// a *metadata.Error if the document cannot be used. It returns an error that is ratelimit.ErrLimited if the network of
// from, or everybody, has made the server read too many, and fairqueue.ErrFull if it is too busy.
func (g *Grants) FindClient(ctx context.Context, id string, from origin.Origin) (client.Client, error) {
	if g.Documents == nil || !client.IsDocumentID(id) {
		return g.Clients.Get(ctx, id)
	}
	if err := client.ValidateDocumentID(id); err != nil {
		return client.Client{}, &metadata.Error{Reason: err.Error()}
	}
	cl, until, err := g.Clients.GetDocument(ctx, id)
	if err == nil && g.Now().Before(until) || err != nil && !errors.Is(err, client.ErrNotFound) {
		return cl, err
	}
	if reason := g.Documents.lastRefusal(id, g.Now()); reason != nil {
		return client.Client{}, reason
	}
	if err := g.chargeDocument(ctx, id, from); err != nil {
		return client.Client{}, err
	}
	slot, err := g.Documents.fetches.Acquire(ctx,
		fairqueue.Request{One: "network " + from.Network(), Parties: from.Parties()})
	if err != nil {
		return client.Client{}, err
	}
	defer slot.Release()
	// Who leaves must not end the fetch: others would be told that the document cannot be used.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), documentTimeout)
	defer stop()
	body, ttl, err := g.Documents.fetcher.Fetch(ctx, id)
	if err == nil {
		if cl, err = client.ParseDocument(id, body); err != nil {
			err = &metadata.Error{Reason: err.Error()}
		}
	}
	if reason, ok := errors.AsType[*metadata.Error](err); ok {
		g.Documents.refuse(id, reason, g.Now())
		return client.Client{}, reason
	}
	if err == nil {
		err = g.Clients.SaveDocument(ctx, cl, g.Now().Add(ttl))
	}
	return cl, err
}

// documentTimeout is how long a fetch, which itself has five seconds, and the writing of its document take at most.
const documentTimeout = 8 * time.Second

// chargeDocument counts a fetch before it is made.
func (g *Grants) chargeDocument(ctx context.Context, id string, from origin.Origin) error {
	who, err := g.standing(ctx, from)
	if err != nil {
		return err
	}
	err = g.Limits.Spend(ctx, g.Store, slices.Concat(
		ratelimit.PerNetwork("client_documents_network", from.Networks(), time.Hour, documentsPerNetworkHour),
		documentBudget.For(who, "", 1))...)
	if errors.Is(err, ratelimit.ErrLimited) {
		return g.Accounts.Refused(ctx, err, audit.Event{Client: id, Reason: "metadata documents"}, from)
	}
	return err
}

// lastRefusal returns why a document could not be used a moment ago, or nil.
func (d *Documents) lastRefusal(id string, now time.Time) *metadata.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.refused[id]; ok && now.Before(r.until) {
		return r.reason
	}
	return nil
}

func (d *Documents) refuse(id string, reason *metadata.Error, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.refused) >= maxRefusedDocuments {
		clear(d.refused)
	}
	d.refused[id] = refusedDocument{reason, now.Add(documentRetry)}
}
