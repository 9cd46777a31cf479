// Package twostep is the front door for Go apps: a sign-in server with 2-Step
// verification as an http.Handler.
//
//	ts, err := twostep.New(ctx, twostep.Options{…})
//	http.Handle("/", ts)                       // /signin, /settings, …
//	http.Handle("/reports", ts.Require(reports)) // twostep.AccountFrom(r.Context())
//
// It brings its own pages, its own tables and its own mail queue. It does not listen
// and reads no configuration; cmd/twostep does.
package twostep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/forwardauth"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/help"
	"twostep.example/twostep/internal/ledger"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
	"twostep.example/twostep/internal/web"
)

// Server is a sign-in server. It is ready once New returns it.
type Server struct {
	handler  http.Handler
	engine   *signin.Engine
	grants   *grant.Grants
	provider *oidc.Provider
	pages    *page.Printer
	store    *store.DB
	events   *audit.Log
	kept     time.Duration // how long events are
	log      *slog.Logger
	stop     context.CancelFunc // ends the work behind the pages
	work     sync.WaitGroup
}

// New opens the database, brings it up to date and starts to send what waits in the
// outbox. ctx bounds the opening alone; Close ends the rest.
func New(ctx context.Context, o Options) (*Server, error) {
	o, err := o.completed()
	if err != nil {
		return nil, err
	}
	keys, err := seal.OpenKeys(o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("twostep: %w", err)
	}
	db, err := store.Open(ctx, o.Database)
	if err != nil {
		return nil, fmt.Errorf("twostep: %w", err)
	}
	s, err := build(ctx, o, keys, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func build(ctx context.Context, o Options, keys *seal.Keys, db *store.DB) (*Server, error) {
	if err := sameKeys(ctx, db, keys, o.KeyFile); err != nil {
		return nil, err
	}
	if db.Alone() && !o.Paused {
		if err := db.ReleaseMessages(ctx, store.Millis(o.Now())); err != nil {
			return nil, fmt.Errorf("twostep: %w", err)
		}
	}
	o.connect(keys)
	out := outbox.New(db, keys, o.Send, o.Now, o.Log)
	events := &audit.Log{Store: db, Now: o.Now, Logger: o.Log}
	accounts := &account.Registry{
		Events: events, Operator: o.actor(),
		Store: db, Keys: keys, Passwords: seal.NewPasswords(seal.Cost{}, 0, 0), Known: seal.NewPasswords(seal.Cost{}, 1, 0), Now: o.Now, Log: o.Log,
		Settings: account.Settings{Site: o.Site, PublicURL: o.PublicURL, SignUp: o.SignUp, Location: o.Location},
		Put:      out.Put, Wake: out.Wake,
	}
	engine := &signin.Engine{
		Registry: accounts, Devices: &device.Devices{Registry: accounts, Policy: o.policy()},
		Ledgers: &ledger.Ledgers{Registry: accounts, PerYear: o.perYear()},
		Methods: o.Methods, Idle: o.Idle, Absolute: o.Absolute,
		Texts: signin.Texts{Price: o.TextPrice, Day: o.TextBudget},
	}
	s := &Server{engine: engine, grants: &grant.Grants{Registry: accounts, Engine: engine, Fixed: o.Apps}, store: db, events: events, kept: time.Duration(o.AuditDays) * 24 * time.Hour, log: o.Log}
	s.pages = &page.Printer{
		Site: o.Site, Secure: o.secure(), Location: o.Location, Log: o.Log, Now: o.Now,
		Proxies: o.TrustedProxies, Private: o.private(), Programs: oidc.Programs(),
	}
	s.pages.Arrivals = &page.Arrivals{Proxies: o.TrustedProxies, Private: o.private()}
	s.handler = s.door(o)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if !o.Paused {
		s.work.Go(func() { out.Run(running) })
		s.work.Go(func() { s.sweep(running, o.Now) })
		s.work.Go(func() { s.provider.Tell(running) })
	}
	return s, nil
}

// sameKeys refuses a database whose secrets these keys do not open, before anything
// is written that only they could open.
func sameKeys(ctx context.Context, db *store.DB, keys *seal.Keys, file string) error {
	mark, err := db.KeepMark(ctx, "keys", keys.Mark())
	if err != nil {
		return fmt.Errorf("twostep: %w", err)
	}
	if !keys.HasMark(mark) {
		return fmt.Errorf("twostep: the database was made with other keys than those in %s: bring that file back from where the database comes from", file)
	}
	return nil
}

// sweep removes what is long over and notes how late it is, until ctx ends.
func (s *Server) sweep(ctx context.Context, now func() time.Time) {
	const every = 10 * time.Minute
	for tick := time.NewTicker(every); ; {
		if err := s.sweepOnce(ctx, now()); err != nil && ctx.Err() == nil {
			s.log.Error("sweep", "error", err)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			if err := s.store.KeepTime(ctx, store.Millis(now())); err != nil {
				s.log.Error("sweep", "error", err)
			}
		}
	}
}

// sweepOnce removes what is long over now. What was guessed, and what happened, is removed by a time
// that follows the clock a day at a time: a clock that jumps over a year and is set back would give
// every thief all their guesses again, and leave no trace of them.
func (s *Server) sweepOnce(ctx context.Context, now time.Time) error {
	const day = 24 * time.Hour
	before := func(d time.Duration) int64 { return store.Millis(now.Add(-d)) }
	follows, err := s.store.FollowTime(ctx, store.Millis(now), day.Milliseconds())
	if err != nil {
		return err
	}
	old := store.Old{Ended: before(day), Trust: before(2 * trust.Life), Odds: follows - (limit.Year + day).Milliseconds()}
	for more := int64(1); more > 0 && err == nil; {
		more, err = s.store.Sweep(ctx, old)
	}
	for more := int64(1); more > 0 && err == nil; {
		more, err = s.store.PruneAudit(ctx, follows-max(s.kept, leastAuditDays*day).Milliseconds(), old.Ended)
	}
	return err
}

// Close finishes the messages that are being sent and gives the database back. Call
// it after the HTTP server has ended.
func (s *Server) Close() error {
	s.stop()
	s.work.Wait()
	return s.store.Close()
}

// ServeHTTP answers every path of the contract: /signin, /settings and so on.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// requestTime bounds every request, so that a store that hangs hangs nobody for long.
const requestTime = 10 * time.Second

// door is everything a request passes before the pages. A yes to a proxy that is remembered passes
// before all of it: it is no page, and would say nothing new in the log.
func (s *Server) door(o Options) http.Handler {
	site := &web.Site{Engine: s.engine, Pages: s.pages, Grants: s.grants}
	helps := &help.Site{Engine: s.engine, Pages: s.pages}
	hosts := &forwardauth.Site{Grants: s.grants, Pages: s.pages}
	s.provider = &oidc.Provider{Grants: s.grants, Pages: s.pages}
	if o.Local != nil {
		site.Inbox, site.Turn = o.Local.Inbox, o.Local.Turn
	}
	mux := s.pages.Mux(slices.Concat(site.Routes(), helps.Routes(), s.provider.Routes(), hosts.Routes())...)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.pages.Refuse(page.ErrCrossSite))
	for _, pattern := range oidc.Foreign() {
		sameOrigin.AddInsecureBypassPattern(pattern)
	}
	receipts, check := o.receipts(s), s.pages.Handle(hosts.Check)
	guarded, stranger := s.pages.Limits(sameOrigin.Handler(mux)), s.pages.Refuse(page.ErrHost)
	front := s.pages.Door(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, stop := context.WithTimeout(r.Context(), requestTime)
		defer stop()
		if forwardauth.Asks(r) { // a proxy asks, in the name of another host and with any method
			check.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		if !o.knows(r) {
			stranger.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, receiptPath) {
			receipts.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		guarded.ServeHTTP(w, r.WithContext(ctx))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.Remembers(w, r) {
			front.ServeHTTP(w, r)
		}
	})
}

// ready says whether the server can sign anybody in.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.store.Ping(r.Context()); err != nil {
		s.log.Error("not ready", "error", err)
		say(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	text := "ready"
	if r.URL.Query().Has("verbose") && page.Insider(r) {
		text += "\n" + s.pages.Arrivals.String()
	}
	say(w, http.StatusOK, text)
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// Account is the person who is signed in.
type Account struct {
	ID       string
	Email    string
	Name     string
	Operator bool
	Groups   []string
}

type accountKey struct{}

// AccountFrom is the person a handler behind Require serves.
func AccountFrom(ctx context.Context) (Account, bool) {
	a, ok := ctx.Value(accountKey{}).(Account)
	return a, ok
}

// Require lets signed-in people through to h and sends everybody else to sign in
// first; a page they asked for with GET is where they come back to.
func (s *Server) Require(h http.Handler) http.Handler {
	return s.pages.Headers(s.pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
		session, err := s.engine.Session(r.Context(), s.pages.Cookie(r, page.SessionCookie))
		if err != nil {
			return err
		}
		ctx := context.WithValue(r.Context(), accountKey{}, Account(session.Account))
		h.ServeHTTP(w, r.WithContext(ctx))
		return nil
	}))
}
