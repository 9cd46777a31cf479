// Package twostep is a sign-in server with 2-Step verification for Go apps, as an http.Handler.
//
//	ts, err := twostep.New(ctx, twostep.Options{…})
//	http.Handle("/", ts)                       // /signin, /settings, …
//	http.Handle("/reports", ts.Require(reports)) // twostep.AccountFrom(r.Context())
//
// The package has its own pages, database tables and message queue. It does not listen and reads no configuration
// files; cmd/twostep does both. docs/embedding.md has a complete program.
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
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/forwardauth"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/help"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
	"twostep.example/twostep/internal/web"
)

// Server is a sign-in server. Create one with New. Its methods are safe for concurrent use.
type Server struct {
	handler  http.Handler
	services *signin.Services
	grants   *grant.Grants
	clients  *client.Clients
	provider *oidc.Provider
	pages    *render.Renderer
	options  Options // completed
	store    *store.DB
	events   *audit.Log
	log      *slog.Logger
	now      func() time.Time
	stop     context.CancelFunc // ends the work behind the pages
	work     sync.WaitGroup
}

// New opens the database, updates its schema and starts background work: it sends queued messages and logout tokens,
// and deletes expired rows. ctx limits only the opening; Close ends the background work. New returns an error if an
// option is missing or not valid, if the key file or the database cannot be opened, or if the database belongs to
// other keys.
func New(ctx context.Context, o Options) (*Server, error) {
	o, err := o.completed()
	if err != nil {
		return nil, err
	}
	keys, err := seal.LoadOrCreateKeyRing(o.KeyFile)
	if err != nil {
		return nil, optionError("KeyFile", "cannot be used: %w", err)
	}
	db, err := store.Open(ctx, o.Database)
	if err != nil {
		return nil, fmt.Errorf("twostep: database: %w", err)
	}
	s, err := build(ctx, o, keys, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func build(ctx context.Context, o Options, keys *seal.KeyRing, db *store.DB) (*Server, error) {
	if err := checkKeys(ctx, db, keys, o.KeyFile); err != nil {
		return nil, err
	}
	if db.Exclusive() && !o.NoBackgroundWork {
		if err := db.ReleaseClaimedMessages(ctx, o.Now()); err != nil {
			return nil, fmt.Errorf("twostep: %w", err)
		}
	}
	o.addGateways(keys)
	o.layOutMails()
	out := outbox.New(db, keys, o.Senders, o.Now, o.Logger)
	events := &audit.Log{Store: db, Now: o.Now, Logger: o.Logger}
	services := signin.New(signin.Config{
		Events: events, Operator: o.actor(),
		Store: db, Keys: keys, Now: o.Now, Log: o.Logger,
		Passwords: seal.NewPasswordHasher(seal.HashCost{}, 0, 0),
		Settings:  account.Settings{Site: o.Site, PublicURL: o.PublicURL, SignUp: o.SignUp, Location: o.Location},
		Enqueue:   out.Enqueue, NotifyOutbox: out.Notify, Trust: o.policy(), GuessBudget: o.perYear(), Methods: o.Methods,
		Idle: o.IdleTimeout, Absolute: o.AbsoluteTimeout,
		Email: challenge.EmailPolicy{
			UntilAnother: o.EmailSecondStep == store.EmailUntilAnother, PauseAfterReset: o.EmailPauseAfterReset,
		},
		Texts: challenge.TextBudget{PricePerMessage: o.SMSPrice, PerDay: o.SMSDailyBudget},
	})
	s := &Server{services: services, options: o, store: db, events: events, log: o.Logger, now: o.Now}
	s.clients = &client.Clients{Store: db, Now: o.Now, Accounts: services.Accounts, Static: o.Apps}
	s.grants = &grant.Grants{
		Store: db, Keys: keys, Now: o.Now, Log: o.Logger, Limits: services.Limits, Accounts: services.Accounts,
		Challenges: services.Challenges, Issuer: o.PublicURL, Clients: s.clients,
	}
	s.pages = &render.Renderer{
		Site: o.Site, Brand: render.NewBrand(o.look), Secure: o.secure(), Location: o.Location, Log: o.Logger, Now: o.Now,
		JSONErrorPaths: oidc.APIPaths(),
		Origins:        origin.Resolver{TrustedProxies: o.TrustedProxies, PrivateClients: o.private()},
	}
	s.pages.ProxyDetector = &origin.ProxyDetector{Resolver: s.pages.Origins}
	s.handler = s.routes(o)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if !o.NoBackgroundWork {
		s.work.Go(func() { out.Run(running) })
		s.work.Go(func() { s.sweep(running, o.Now) })
		s.work.Go(func() { s.applyDueUndos(running) })
		s.work.Go(func() { s.provider.RunBackChannelLogout(running) })
	}
	return s, nil
}

// checkKeys returns an error if the database belongs to other keys, before anything is encrypted with these.
func checkKeys(ctx context.Context, db *store.DB, keys *seal.KeyRing, file string) error {
	fingerprint, err := db.GetOrSetState(ctx, "keys", keys.Fingerprint())
	if err != nil {
		return fmt.Errorf("twostep: %w", err)
	}
	if !keys.HasFingerprint(fingerprint) {
		return optionError("KeyFile", "is %s, which has other keys than those that encrypt the database: restore the key file "+
			"of this database", file)
	}
	return nil
}

// sweep deletes old rows and records the latest time, every ten minutes until ctx ends.
func (s *Server) sweep(ctx context.Context, now func() time.Time) {
	const every = 10 * time.Minute
	for tick := time.NewTicker(every); ; {
		if err := s.sweepOnce(ctx, now()); err != nil && ctx.Err() == nil {
			s.log.Error("deleting expired data failed", "error", err)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			if err := s.store.AdvanceLatestTime(ctx, now()); err != nil {
				s.log.Error("recording the latest time failed", "error", err)
			}
		}
	}
}

// applyDueUndos lets requested undos take effect, every ten seconds until ctx ends. A failure is logged once until a
// later run succeeds.
func (s *Server) applyDueUndos(ctx context.Context) {
	const every = 10 * time.Second
	failing := false
	for tick := time.NewTicker(every); ; {
		run, stop := context.WithTimeout(ctx, every)
		err := s.services.Enrollments.ApplyDueUndos(run)
		stop()
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Error("undoing changes that are due failed; trying again every 10 seconds", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// sweepOnce deletes rows that have expired at now. Guesses and security events are deleted by a time that follows the
// clock by at most one day per call. Otherwise a clock that jumps a year ahead and back would renew the guess budget of
// every attacker and delete their events.
func (s *Server) sweepOnce(ctx context.Context, now time.Time) error {
	const day = 24 * time.Hour
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	follows, err := s.store.AdvanceSweepTime(ctx, now, day)
	if err != nil {
		return err
	}
	old := store.Cutoffs{Now: now, Ended: before(day), Trust: before(2 * trust.MaxTTL), Guesses: follows.Add(-odds.Year - day)}
	_, err = s.store.DeleteExpired(ctx, old)
	for more := int64(1); more > 0 && err == nil; {
		days := time.Duration(max(s.options.AuditDays, leastAuditDays))
		more, err = s.store.PruneAudit(ctx, follows.Add(-days*day), old.Ended)
	}
	return err
}

// Close waits for messages that are being sent, and closes the database. Call it after the HTTP server has ended. It
// returns the error of closing the database.
func (s *Server) Close() error {
	s.stop()
	s.work.Wait()
	return s.store.Close()
}

// ServeHTTP serves the pages and endpoints of the server, for example /signin, /settings and /oauth2/….
// docs/embedding.md lists the paths.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes returns the handler of all paths, with the checks before them. A forward-auth request that the cache allows is
// answered before the checks and has no log line. A request behind Require has already passed the checks.
func (s *Server) routes(o Options) http.Handler {
	services := s.services
	site := &web.Handlers{
		Accounts: services.Accounts, Devices: services.Devices, Sessions: services.Sessions,
		Challenges: services.Challenges, Enrollments: services.Enrollments, SignIns: services.SignIns,
		Pages: s.pages, Grants: s.grants,
	}
	helps := &help.Handlers{
		Sessions: services.Sessions, Devices: services.Devices, Methods: o.Methods, Domain: o.PublicURL,
		Menu: o.HelpMenu, Pages: s.pages,
	}
	hosts := &forwardauth.Authorizer{Grants: s.grants, Sessions: services.Sessions, Pages: s.pages}
	s.provider = &oidc.Provider{Grants: s.grants, Sessions: services.Sessions, Methods: o.Methods, Pages: s.pages}
	if o.Local != nil {
		site.Inbox, site.AdvanceClock = o.Local.Inbox, o.Local.AdvanceClock
	}
	mux := s.pages.NewMux(slices.Concat(site.Routes(), helps.Routes(), s.provider.Routes(), hosts.Routes())...)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.pages.ErrorHandler(render.ErrCrossSite))
	for _, pattern := range oidc.CSRFExemptPaths() {
		sameOrigin.AddInsecureBypassPattern(pattern)
	}
	receipts, check := o.receipts(s), s.pages.Handle(hosts.Check)
	guarded, otherHost := s.pages.CheckRequests(sameOrigin.Handler(mux)), s.pages.ErrorHandler(render.ErrUnknownHost)
	front := s.pages.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, stop := context.WithTimeout(r.Context(), requestTime)
		defer stop()
		if forwardauth.IsAuthCheck(r) { // a proxy asks, in the name of another host and with any method
			check.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		if !o.isForServer(r) {
			otherHost.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, receiptPath) {
			receipts.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		guarded.ServeHTTP(w, r.WithContext(ctx))
	}))
	passed := s.pages.CheckRequests(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.passed(r); ok {
			serveLimited(passed, w, r, r.Context(), requestTime)
			return
		}
		if !hosts.ServeFromCache(w, r) {
			front.ServeHTTP(w, r)
		}
	})
}

// ready answers 200 if the database answers, and 503 otherwise.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.store.Ping(r.Context()); err != nil {
		s.log.Error("readiness check failed", "error", err)
		writeText(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	text := "ready"
	if r.URL.Query().Has("verbose") && origin.IsDirectFromPrivateNetwork(r) {
		text += "\n" + s.pages.ProxyDetector.String()
	}
	writeText(w, http.StatusOK, text)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
