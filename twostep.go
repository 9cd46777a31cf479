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
	"strings"
	"sync"
	"time"

	"twostep/internal/account"
	"twostep/internal/outbox"
	"twostep/internal/page"
	"twostep/internal/seal"
	"twostep/internal/signin"
	"twostep/internal/store"
	"twostep/internal/web"
)

// Server is a sign-in server. It is ready once New returns it.
type Server struct {
	handler http.Handler
	engine  *signin.Engine
	pages   *page.Printer
	store   *store.DB
	log     *slog.Logger
	stop    context.CancelFunc // ends the work behind the pages
	work    sync.WaitGroup
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
	if db.Alone() {
		if err := db.ReleaseMessages(ctx, store.Millis(o.Now())); err != nil {
			return nil, fmt.Errorf("twostep: %w", err)
		}
	}
	o.connect(keys)
	out := outbox.New(db, keys, o.Send, o.Now, o.Log)
	accounts := &account.Registry{
		Store: db, Keys: keys, Passwords: seal.NewPasswords(seal.Cost{}, 0, 0), Now: o.Now, Log: o.Log,
		Settings: account.Settings{Site: o.Site, PublicURL: o.PublicURL, SignUp: o.SignUp, Location: o.Location},
		Put:      out.Put, Wake: out.Wake,
	}
	engine := &signin.Engine{
		Registry: accounts, Methods: o.Methods, Idle: o.Idle, Absolute: o.Absolute,
		Texts: signin.Texts{Price: o.TextPrice, Day: o.TextBudget},
	}
	s := &Server{engine: engine, store: db, log: o.Log}
	s.pages = &page.Printer{Site: o.Site, Secure: o.secure(), Location: o.Location, Log: o.Log, Now: o.Now}
	s.handler = s.door(o)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.work.Go(func() { out.Run(running) })
	s.work.Go(func() { s.sweep(running, o.Now) })
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

// sweep removes what is long over, until ctx ends.
func (s *Server) sweep(ctx context.Context, now func() time.Time) {
	const every, keep, keepEvents = 10 * time.Minute, 24 * time.Hour, 400 * 24 * time.Hour
	for tick := time.NewTicker(every); ; {
		for more := int64(1); more > 0 && ctx.Err() == nil; {
			var err error
			if more, err = s.store.Sweep(ctx, store.Millis(now().Add(-keep)), store.Millis(now().Add(-keepEvents))); err != nil {
				s.log.Error("sweep", "error", err)
				break
			}
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
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

// door is everything a request passes before the pages.
func (s *Server) door(o Options) http.Handler {
	site := &web.Site{Engine: s.engine, Pages: s.pages, Behind: o.secure() && !isLoopback(name(strings.TrimPrefix(o.PublicURL, "https://")))}
	if o.Local != nil {
		site.Inbox, site.Turn = o.Local.Inbox, o.Local.Turn
	}
	mux := s.pages.Mux(site.Routes()...)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.pages.Refuse(page.ErrCrossSite))
	receipts := o.receipts(s)
	guarded, stranger := s.pages.Limits(sameOrigin.Handler(mux)), s.pages.Refuse(page.ErrHost)
	return s.pages.Door(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, stop := context.WithTimeout(r.Context(), requestTime)
		defer stop()
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
}

// ready says whether the server can sign anybody in.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.store.Ping(r.Context()); err != nil {
		s.log.Error("not ready", "error", err)
		say(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	say(w, http.StatusOK, "ready")
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

// ErrExists says that the address has an account.
var ErrExists = account.ErrExists

// NewAccount is an account to be.
type NewAccount struct {
	Email    string
	Name     string
	Password string
	Operator bool
}

// AddAccount adds an account whose password is known. For people, Invite is better:
// nobody but them ever sees their password. ErrExists.
func (s *Server) AddAccount(ctx context.Context, a NewAccount) error {
	return s.engine.AddAccount(ctx, account.NewAccount(a))
}

// Invite makes an invitation and returns the link on which the invited person chooses
// a password; it works once, for seven days. ErrExists.
func (s *Server) Invite(ctx context.Context, email, name string, operator bool) (link string, err error) {
	token, err := s.engine.Invite(ctx, email, name, operator)
	if err != nil {
		return "", err
	}
	return s.engine.Settings.PublicURL + "/join#" + token, nil
}
