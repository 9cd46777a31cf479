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
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/admin"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/forwardauth"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/help"
	"twostep.example/twostep/internal/metadata"
	"twostep.example/twostep/internal/metrics"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
	"twostep.example/twostep/internal/web"
	"twostep.example/twostep/internal/webhook"
)

// Server is a sign-in server. Create one with New. Its methods are safe for concurrent use.
type Server struct {
	handler   http.Handler
	settings  *http.ServeMux // the settings pages, to recognize their requests
	services  *signin.Services
	grants    *grant.Grants
	clients   *client.Clients
	provider  *oidc.Provider
	hosts     *forwardauth.Authorizer
	pages     *render.Renderer
	options   Options // completed
	store     *store.DB
	events    *audit.Log
	directory *directory.Directory
	outbox    *outbox.Outbox
	gateways  *outbox.Latencies // of text messages
	diskFull  func(folder string) bool
	webhooks  *webhook.Deliverer
	log       *slog.Logger
	now       func() time.Time
	clock     atomic.Int32   // a clockState
	inboxKey  string         // opens /inbox; "": there is none
	forwards  fault.Throttle // of the warning about forwarded requests in local mode
	readiness readiness
	stop      context.CancelFunc // ends the work behind the pages
	work      sync.WaitGroup
	jobs      []*job
	metrics   *metrics.Metrics // nil: off
}

// New opens the database, updates its schema and starts background work: it sends queued messages, logout tokens
// and events of webhooks, and deletes expired rows. ctx limits only the opening; Close ends the background work.
//
// New returns an error if an option is missing or not valid, or the key file or the database cannot be opened. It also
// returns one if the database and the key file do not belong together: one of them is missing, or the keys are others.
// Unless NoBackgroundWork is set, New returns an error if another server uses the SQLite file, if the file is damaged,
// or if the clock of this machine is wrong by more than a minute, see Options.Now.
func New(ctx context.Context, o Options) (*Server, error) {
	o, err := o.completed()
	if err != nil {
		return nil, err
	}
	keys, err := seal.LoadKeyRing(o.KeyFile)
	hasKeys := !errors.Is(err, fs.ErrNotExist)
	if hasKeys && err != nil {
		return nil, optionError("KeyFile", "cannot be used: %w", err)
	}
	config := store.Config{
		URL: o.Database, MustExist: hasKeys, Server: !o.NoBackgroundWork, MaxConnections: o.Postgres.MaxConnections,
		StatementTimeout: o.Postgres.StatementTimeout, ApplicationName: o.Postgres.ApplicationName,
	}
	measured := o.newMetrics()
	if measured != nil {
		config.Measure = measured.Statement
	}
	db, err := config.Open(ctx)
	if errors.Is(err, store.ErrNoDatabase) {
		return nil, fmt.Errorf("twostep: the database %s is missing or empty, but its key file %s exists: restore the "+
			"database from a backup; or, to start with a new one, move the key file away", o.databaseName(), o.KeyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("twostep: database: %w", err)
	}
	if keys, err = keysOf(ctx, db, keys, o); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s, err := build(ctx, o, keys, db, measured)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// databaseName returns the name of the database for errors: a URL may have a password.
func (o Options) databaseName() string {
	if strings.HasPrefix(o.Database, "postgres") {
		return "in PostgreSQL"
	}
	return o.Database
}

// keysOf returns keys if they encrypt the database. If keys is nil, because there is no key file, it creates one, but
// only for a new database.
func keysOf(ctx context.Context, db *store.DB, keys *seal.KeyRing, o Options) (*seal.KeyRing, error) {
	const state = "keys"
	_, err := db.GetState(ctx, state)
	isNew := errors.Is(err, store.ErrNotFound)
	if err != nil && !isNew {
		return nil, fmt.Errorf("twostep: %w", err)
	}
	if keys == nil && !isNew {
		return nil, optionError("KeyFile", "is %s, which does not exist, but there is a database that its keys encrypt: "+
			"restore the key file of this database", o.KeyFile)
	}
	created := false
	if keys == nil {
		if keys, created, err = seal.CreateKeyRing(o.KeyFile); err != nil {
			return nil, optionError("KeyFile", "cannot be used: %w", err)
		}
	}
	fingerprint, err := db.GetOrSetState(ctx, state, keys.Fingerprint())
	if err != nil {
		return nil, fmt.Errorf("twostep: %w", err)
	}
	if keys.HasFingerprint(fingerprint) {
		return keys, nil
	}
	err = optionError("KeyFile", "is %s, which has other keys than those that encrypt the database: restore the key file "+
		"of this database", o.KeyFile)
	if created { // another server was faster
		err = errors.Join(err, os.Remove(o.KeyFile))
	}
	return nil, err
}

func build(
	ctx context.Context, o Options, keys *seal.KeyRing, db *store.DB, m *metrics.Metrics,
) (*Server, error) {
	if db.Unchecked() {
		o.Logger.Info("the database is too large to be checked for damage at the start", "database", o.Database)
	}
	if db.Exclusive() && !o.NoBackgroundWork {
		if err := db.ReleaseClaimedMessages(ctx, o.Now()); err != nil {
			return nil, fmt.Errorf("twostep: %w", err)
		}
	}
	gateways := &outbox.Latencies{}
	o.addGateways(keys, gateways)
	o.layOutMails()
	out := outbox.New(db, keys, o.Senders, o.Now, o.Logger)
	events := &audit.Log{Store: db, Now: o.Now, Logger: o.Logger}
	services := signin.New(signin.Config{
		Events: events, Operator: o.actor(),
		Store: db, Keys: keys, Now: o.Now, Log: o.Logger,
		Passwords: seal.NewPasswordHasher(seal.HashCost{}, 0, 0),
		Settings: account.Settings{
			Site: o.Site, PublicURL: o.PublicURL, SignUp: o.SignUp, Location: o.Location, Local: o.Local != nil,
		},
		Enqueue: out.Enqueue, NotifyOutbox: out.Notify, Trust: o.comparison(), GuessBudget: o.perYear(), Methods: o.Methods,
		Idle: o.rules.For(nil, "").Idle.For, Absolute: o.rules.For(nil, "").Absolute.For, StaySignedIn: o.StaySignedIn,
		Rules: o.rules,
		Email: challenge.EmailPolicy{
			UntilAnother: o.EmailSecondStep == store.EmailUntilAnother, PauseAfterReset: o.EmailPauseAfterReset,
		},
		AnyForOperators:  o.OperatorSecondStep == "any",
		DeskCodeApproval: o.ApproveDeskCodes,
		Texts:            challenge.TextBudget{PricePerMessage: o.SMSPrice, PerDay: o.SMSDailyBudget},
	})
	s := &Server{
		services: services, options: o, store: db, events: events, outbox: out, log: o.Logger, now: o.Now, metrics: m,
		gateways: gateways, diskFull: diskNearlyFull,
		webhooks: webhook.New(db, events, o.Webhooks, o.Now, o.Logger),
	}
	if !o.NoBackgroundWork && o.machineClock {
		if err := s.compareClock(ctx, o.Now); err != nil {
			return nil, fmt.Errorf("twostep: %w; then start the server again", err)
		}
	}
	s.readiness.faults = &fault.Log{
		Logger: o.Logger, Now: o.Now, Failing: "not ready: the database cannot be used", Working: "ready again",
	}
	if o.Local != nil && o.Local.Inbox != nil {
		var err error
		if s.inboxKey, err = o.Local.Inbox.Key(); err != nil {
			return nil, optionError("Local", "has an inbox that cannot be used: %w", err)
		}
	}
	s.clients = &client.Clients{Store: db, Now: o.Now, Accounts: services.Accounts, Static: o.Apps}
	s.grants = &grant.Grants{
		Store: db, Keys: keys, Now: o.Now, Log: o.Logger, Limits: services.Limits, Accounts: services.Accounts,
		Challenges: services.Challenges, Issuer: o.PublicURL, Clients: s.clients,
		Rules: o.rules,
	}
	s.directory = &directory.Directory{
		Store: db, Now: o.Now, Accounts: services.Accounts, Sessions: services.Sessions, Devices: services.Devices,
		Challenges: services.Challenges, Grants: s.grants, Events: events,
	}
	if o.ClientMetadata != nil {
		s.clients.Documents = true
		s.grants.Documents = grant.NewDocuments(metadata.Fetcher{Transport: o.ClientMetadata.Transport})
	}
	if err := s.grants.PreloadSigningKeys(ctx); err != nil {
		return nil, fmt.Errorf("twostep: %w", err)
	}
	s.pages = &render.Renderer{
		Site: o.Site, Brand: render.NewBrand(o.look), Secure: o.secure(), HSTSSubdomains: o.HSTSSubdomains,
		Location: o.Location, Log: o.Logger, Now: o.Now,
		JSONErrors: oidc.HasJSONErrors, NotFoundHint: oidc.IssuerHint(o.PublicURL),
		JSONBodyPaths: oidc.JSONBodyPaths(),
		Origins:       origin.NewResolver(o.TrustedProxies, o.ProxySecret, o.private()),
	}
	s.pages.Faults = &fault.Log{
		Logger: o.Logger, Now: o.Now,
		Failing: "requests are answered with status 503: the database cannot be used, or they took too long",
	}
	if o.Local == nil { // in local mode requests of proxies are refused
		s.pages.ProxyDetector = &origin.ProxyDetector{Resolver: s.pages.Origins}
	}
	s.observe()
	s.handler = s.routes(o)
	if !o.NoBackgroundWork {
		s.jobs = s.backgroundJobs()
	}
	if err := s.registerMetrics(); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if !o.NoBackgroundWork {
		s.work.Go(func() { out.Run(running) })
		s.work.Go(func() { s.webhooks.Run(running) })
		for _, j := range s.jobs {
			s.work.Go(func() { s.repeat(running, j) })
		}
	}
	return s, nil
}

// signInsInterval is how often the last sign-ins of accounts are noted for the list of accounts.
const signInsInterval = 30 * time.Second

// backgroundJobs returns the work that this server repeats while it runs, beside the outbox.
func (s *Server) backgroundJobs() []*job {
	return []*job{
		{
			name: "expired", interval: 10 * time.Minute, retry: time.Minute, timeout: 10 * time.Minute,
			run:     s.deleteSomeExpired,
			failing: "expired data cannot be deleted", working: "expired data is deleted again",
		},
		{
			name: "undo", interval: 10 * time.Second, timeout: requestTime, run: s.services.Enrollments.ApplyDueUndos,
			failing: "changes cannot be undone when they are due", working: "changes are undone again when they are due",
		},
		{
			name: "desk_codes", interval: 30 * time.Second, timeout: requestTime, run: s.services.DeskCodes.EndExpired,
			failing: "expired desk codes cannot be recorded", working: "expired desk codes are recorded again",
		},
		{
			name: "logout", interval: 2 * time.Second, timeout: requestTime, run: s.provider.DeliverLogoutTokens,
			failing: "logout tokens cannot be sent: the database fails", working: "logout tokens are sent again",
		},
		{
			name: "last_seen", interval: session.RecordInterval, timeout: requestTime,
			run: s.services.Sessions.RecordUses,
		},
		{
			name: "sign_ins", interval: signInsInterval, timeout: requestTime,
			run:     func(ctx context.Context) (int64, error) { return s.store.TouchAccounts(ctx, s.now()) },
			failing: "the last sign-ins of accounts cannot be noted", working: "the last sign-ins of accounts are noted again",
		},
		{
			name: "app_uses", interval: client.UseInterval, timeout: requestTime, run: s.clients.RecordUses,
			failing: "the last use of apps cannot be noted", working: "the last use of apps is noted again",
		},
		{
			name: "clock", interval: clockInterval, retry: clockRetry, timeout: requestTime, run: s.watchDatabase,
			soon:    s.clockIsWrong,
			failing: "the clock cannot be compared, and lost changes cannot be noticed",
			working: "the clock is compared again, and lost changes are noticed",
		},
	}
}

// deleteSomeExpired deletes what has expired. If there is too much for one run, the next one goes on.
func (s *Server) deleteSomeExpired(ctx context.Context) (int64, error) {
	n, err := s.deleteExpired(ctx, s.now())
	if n > 0 && ctx.Err() != nil {
		err = nil
	}
	return n, err
}

// deleteExpired deletes rows that have expired at now, and returns their number. Guesses and security events are deleted
// by a time that follows the clock by at most one day per call. Otherwise a clock that jumps a year ahead and back would
// renew the guess budget of every attacker and delete their events.
func (s *Server) deleteExpired(ctx context.Context, now time.Time) (int64, error) {
	const day = 24 * time.Hour
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	follows, err := s.store.AdvanceSweepTime(ctx, now, day)
	if err != nil {
		return 0, err
	}
	auditDays := time.Duration(max(s.options.AuditDays, leastAuditDays))
	return s.store.DeleteExpired(ctx, store.Cutoffs{
		Now: now, Ended: before(day), Trust: before(2 * trust.MaxTTL),
		Decisions: before(device.KeepDecisions), Guesses: follows.Add(-odds.Year - day),
		Events: follows.Add(-auditDays * day),
	})
}

// Close waits for messages that are being sent, and closes the database. Call it after the HTTP server has ended. It
// returns the error of closing the database.
func (s *Server) Close() error {
	if s.metrics != nil {
		s.options.Metrics.Unregister(s.metrics)
	}
	s.stop()
	s.work.Wait()
	ctx, stop := context.WithTimeout(context.Background(), requestTime)
	defer stop()
	_, _ = s.services.Sessions.RecordUses(ctx) // it has logged the error
	_, _ = s.clients.RecordUses(ctx)           // the last minute is lost
	return s.store.Close()
}

// ServeHTTP serves the pages and endpoints of the server, for example /signin, /settings and /oauth2/….
// docs/embedding.md lists the paths.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

const healthPattern, readyPattern = "GET /healthz", "GET /readyz"

// routes returns the handler of all paths, with the checks before them. A forward-auth request that the cache allows is
// answered before the checks and has no log line. A request behind Require has already passed the checks.
func (s *Server) routes(o Options) http.Handler {
	services := s.services
	site := &web.Handlers{
		Accounts: services.Accounts, Devices: services.Devices, Sessions: services.Sessions,
		Challenges: services.Challenges, Enrollments: services.Enrollments, SignIns: services.SignIns,
		DeskCodes: services.DeskCodes, Pages: s.pages, Grants: s.grants,
	}
	helps := &help.Handlers{
		Sessions: services.Sessions, Devices: services.Devices, Methods: o.Methods, Domain: o.PublicURL,
		Menu: o.HelpMenu, Pages: s.pages,
	}
	s.hosts = &forwardauth.Authorizer{Grants: s.grants, Sessions: services.Sessions, Pages: s.pages}
	s.provider = &oidc.Provider{Grants: s.grants, Sessions: services.Sessions, Methods: o.Methods, Pages: s.pages}
	if o.Local != nil {
		site.Inbox, site.InboxKey, site.AdvanceClock = o.Local.Inbox, s.inboxKey, o.Local.AdvanceClock
	}
	operators := &admin.Handlers{
		Accounts: services.Accounts, Sessions: services.Sessions, Challenges: services.Challenges, Grants: s.grants,
		Devices: services.Devices, Enrollments: services.Enrollments, Directory: s.directory,
		DeskCodes: services.DeskCodes, Outbox: s.outbox, Webhooks: s.webhooks, Pages: s.pages, Health: s.health, Settings: adminSettings(o.Settings),
		ParsePolicy: o.ParsePolicy,
	}
	routes := slices.Concat(site.Routes(), operators.Routes(), helps.Routes(), s.provider.Routes(), s.hosts.Routes())
	s.observeRoutes(routes)
	s.settings = http.NewServeMux()
	for _, route := range site.Routes() {
		if _, path, _ := strings.Cut(route.Pattern, " "); path == "/settings" || strings.HasPrefix(path, "/settings/") {
			s.settings.Handle(route.Pattern, http.NotFoundHandler())
		}
	}
	mux := s.pages.NewMux(routes...)
	mux.HandleFunc(healthPattern, func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc(readyPattern, s.ready)
	routed := s.pages.ObserveRoutes(mux)
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.pages.ErrorHandler(render.ErrCrossSite))
	for _, pattern := range oidc.CSRFExemptPaths() {
		sameOrigin.AddInsecureBypassPattern(pattern)
	}
	receipts, check := o.receipts(s), s.pages.Handle(s.hosts.Check)
	guarded, otherHost := s.pages.CheckRequests(sameOrigin.Handler(routed)), s.pages.ErrorHandler(render.ErrUnknownHost)
	front := s.pages.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, stop := context.WithTimeout(r.Context(), requestTime)
		defer stop()
		if forwardauth.IsAuthCheck(r) { // a proxy asks, in the name of another host and with any method
			render.SetRoute(w, checkRoute)
			check.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		if !o.isForServer(r) {
			otherHost.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, receiptPath) {
			render.SetRoute(w, receiptRoute)
			receipts.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		guarded.ServeHTTP(w, r.WithContext(ctx))
	}))
	passed := s.pages.CheckRequests(routed)
	return s.whileClockIsRight(s.RefuseForwarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.passed(r); ok {
			serveLimited(passed, w, r, r.Context(), requestTime)
			return
		}
		if !s.serveFromCache(w, r) {
			front.ServeHTTP(w, r)
		}
	})))
}

// RefuseForwarded returns next, but in local mode it refuses requests that a proxy forwards: the proxy may open the
// server to the world. It logs the remedy once a minute. ServeHTTP and Require do this: wrap other handlers beside
// them.
func (s *Server) RefuseForwarded(next http.Handler) http.Handler {
	if s.options.Local == nil {
		return next
	}
	refused := s.pages.Middleware(s.pages.ErrorHandler(render.ErrForwarded))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sign := origin.ForwardedBy(r)
		if sign == "" {
			next.ServeHTTP(w, r)
			return
		}
		if s.forwards.Allow(s.now()) {
			s.log.Warn("a proxy forwards requests to this server, which is for this machine only, so they are refused: "+
				"set public_url to serve other people, or remove the server from the configuration of the proxy", "sign", sign)
		}
		refused.ServeHTTP(w, r)
	})
}

// IsFromTrustedProxy reports whether a reverse proxy of Options.TrustedProxies or with Options.ProxySecret sent the
// request, or it came over a Unix socket. The connection of a proxy has the requests of many people.
func (s *Server) IsFromTrustedProxy(r *http.Request) bool {
	return s.pages.Origins.IsFromTrustedProxy(r)
}

// InboxURL returns the address of the inbox in local mode, with the key that opens it, and "" without local mode. Show
// it to the person who starts the program only.
func (s *Server) InboxURL() string {
	if s.inboxKey == "" {
		return ""
	}
	return s.options.PublicURL + "/inbox?key=" + s.inboxKey
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
