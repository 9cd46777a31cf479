package twostep

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"time"

	"twostep.example/twostep/internal/render"
)

// Account is the person who is signed in.
type Account struct {
	ID       string   // never changes; what an app stores
	Email    string   // in canonical form; may change
	Name     string   // may change
	Operator bool     // runs this server
	Groups   []string // may change; see Server.SetGroups
}

type accountKey struct{}

// AccountFrom returns the account that a handler behind Require serves. It returns false if the context is not that
// of such a request.
func AccountFrom(ctx context.Context) (Account, bool) {
	a, ok := ctx.Value(accountKey{}).(Account)
	return a, ok
}

// requestTime bounds every request: a database that hangs does not keep requests waiting for long.
const requestTime = 10 * time.Second

// Require returns a handler that lets signed-in people through to h and sends everybody else to sign in first. After
// that they come back to the page they asked for, if they asked with GET.
//
// A request passes what the server's own pages have, in this order:
//
//   - the security headers, which h may replace, a request id and one line in the log;
//   - a guard: a panic of h is logged and answered with an error page (500); if h has begun its answer, the connection
//     is aborted, so that no client takes a part of an answer for the whole;
//   - the host must be that of Options.PublicURL (421);
//   - a request that another site made the browser send is refused (403), by the rules of http.CrossOriginProtection:
//     GET, HEAD and OPTIONS are not, so they must change nothing;
//   - the context ends after 10 seconds; RequireStreaming has no such limit;
//   - the session.
//
// The limits of the server's own forms are not for h: its bodies may be of any size and type. The ResponseWriter can
// flush and hijack, and http.ResponseController reaches its deadlines.
//
// Inside of another Require, and for a Server inside of its own Require, nothing of this is done twice.
func (s *Server) Require(h http.Handler) http.Handler { return s.require(h, requestTime) }

// RequireStreaming is Require without the limit of 10 seconds, for answers that take longer: events, large files,
// WebSockets. The context of the request ends when the client leaves. The session is looked up once, at the
// beginning: a stream goes on after its person has signed out.
func (s *Server) RequireStreaming(h http.Handler) http.Handler { return s.require(h, 0) }

// guardedKey is the key of the Account in the context of a request that has passed the guards and the session of this
// server. Another server in the same program has guards of its own.
type guardedKey struct{ server *Server }

// passed returns the account of a request that has passed Require already.
func (s *Server) passed(r *http.Request) (Account, bool) {
	a, ok := r.Context().Value(guardedKey{s}).(Account)
	return a, ok
}

// abortedKey is the key of a *bool, in which a request behind Require notes that its handler panicked in the middle of
// its answer.
type abortedKey struct{}

// require is Require with a time limit for h; 0: none.
func (s *Server) require(h http.Handler, limit time.Duration) http.Handler {
	guarded := s.pages.Middleware(s.guard(func(w http.ResponseWriter, r *http.Request) error {
		a, err := s.signedIn(r)
		if err != nil {
			return err
		}
		answer, finished := &appWriter{ResponseWriter: w}, false
		defer func() {
			if aborted, ok := r.Context().Value(abortedKey{}).(*bool); ok {
				*aborted = answer.begun && !finished
			}
		}()
		ctx := context.WithValue(r.Context(), guardedKey{s}, a)
		serveLimited(h, answer, r, context.WithValue(ctx, accountKey{}, a), limit)
		finished = true
		return nil
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := s.passed(r); ok {
			serveLimited(h, w, r, context.WithValue(r.Context(), accountKey{}, a), limit)
			return
		}
		aborted := false
		guarded.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), abortedKey{}, &aborted)))
		if aborted { // the panic is in the log; net/http closes the connection
			panic(http.ErrAbortHandler)
		}
	})
}

// guard refuses requests for other hosts and requests that another site made the browser send.
func (s *Server) guard(h render.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.pages.ErrorHandler(render.ErrCrossSite))
	guarded, otherHost := sameOrigin.Handler(s.pages.Handle(h)), s.pages.ErrorHandler(render.ErrUnknownHost)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.options.isHost(r.Host) {
			guarded.ServeHTTP(w, r)
		} else {
			otherHost.ServeHTTP(w, r)
		}
	})
}

// signedIn returns the account of the session that a request belongs to.
func (s *Server) signedIn(r *http.Request) (Account, error) {
	ctx, stop := context.WithTimeout(r.Context(), requestTime)
	defer stop()
	session, err := s.services.Sessions.Get(ctx, s.pages.Cookie(r, render.SessionCookie))
	if err != nil {
		return Account{}, err
	}
	return Account(session.Account), nil
}

// serveLimited serves r with ctx, which ends after the limit, unless it has a deadline already; 0: no limit.
func serveLimited(h http.Handler, w http.ResponseWriter, r *http.Request, ctx context.Context, limit time.Duration) {
	if _, limited := ctx.Deadline(); !limited && limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, limit)
		defer stop()
	}
	h.ServeHTTP(w, r.WithContext(ctx))
}

// appWriter is the ResponseWriter of a handler behind Require. It knows whether the answer has begun, and has the
// methods of the server's own that handlers look for.
type appWriter struct {
	http.ResponseWriter
	begun bool
}

func (w *appWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= http.StatusOK || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

func (w *appWriter) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Flush sends what is written so far.
func (w *appWriter) Flush() { _ = w.FlushError() }

// FlushError does what Flush does, for http.ResponseController.
func (w *appWriter) FlushError() error {
	if !w.begun { // the first flush sends the headers
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection over.
func (w *appWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.begun = w.begun || err == nil
	return conn, buffer, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *appWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
