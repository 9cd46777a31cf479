package twostep

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"path"
	"time"

	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// Account is the account of a signed-in person.
type Account struct {
	ID    string // never changes: store this one
	Email string // in canonical form; may change
	Name  string // may change
	// GivenName and FamilyName are what the person has said; "": nothing. They may change.
	GivenName, FamilyName string
	Operator              bool     // Role is operator
	Role                  string   // see AccountParams.Role; may change
	Groups                []string // may change; see Server.SetGroups
}

type accountKey struct{}

// AccountFrom returns the account of the signed-in person, in a handler that is wrapped in Require. It returns false if
// ctx does not come from such a request.
func AccountFrom(ctx context.Context) (Account, bool) {
	a, ok := ctx.Value(accountKey{}).(Account)
	return a, ok
}

// requestTime is the time limit of a request, so that a database that hangs does not keep requests waiting.
const requestTime = 10 * time.Second

// Require returns a handler that calls h for signed-in people and redirects everybody else to the sign-in page (303).
// After the sign-in they return to the page that they requested, if they requested it with GET.
//
// A request passes the same guards as the server's own pages, in this order:
//
//   - security headers, which h may replace, a request ID and one log line;
//   - panic recovery: a panic of h is logged and answered with an error page (500). If h has started its response, the
//     connection is aborted, so that no client takes a partial response for a complete one;
//   - host check: the host must be that of Options.PublicURL (421);
//   - cross-origin protection: a request that another site made the browser send is refused (403), by the rules of
//     http.CrossOriginProtection. GET, HEAD and OPTIONS are allowed, so they must change nothing;
//   - time limit: the context ends after 10 seconds; RequireStreaming has no limit;
//   - session: AccountFrom returns its account;
//   - Options.Policy: a person whose method is not allowed takes both steps again, and one who has to set up another
//     method is led through that (303). Without an allowed method that they could use or set up they are refused (403).
//
// The size and the type of request bodies are not limited. The ResponseWriter supports http.Flusher, http.Hijacker and
// http.ResponseController.
//
// If h is wrapped in Require twice, or is the Server itself, the guards run once.
func (s *Server) Require(h http.Handler) http.Handler { return s.require(h, requestTime) }

// RequireStreaming is Require without the limit of 10 seconds, for responses that take longer: events, large files,
// WebSockets. The context ends when the client disconnects. The session is checked once, at the start, so a stream
// continues after a sign-out.
func (s *Server) RequireStreaming(h http.Handler) http.Handler { return s.require(h, 0) }

// guardedKey is the context key of the Account of a request that has passed the guards of this server. Another Server
// in the same program has its own.
type guardedKey struct{ server *Server }

// passed returns the account of a request that has already passed Require.
func (s *Server) passed(r *http.Request) (Account, bool) {
	a, ok := r.Context().Value(guardedKey{s}).(Account)
	return a, ok
}

// abortedKey is the context key of a *bool that is set if the handler panicked after it had started its response.
type abortedKey struct{}

// require is Require with a time limit for h; 0 is no limit.
func (s *Server) require(h http.Handler, limit time.Duration) http.Handler {
	guarded := s.RefuseForwarded(s.pages.Middleware(s.guard(func(w http.ResponseWriter, r *http.Request) error {
		who, err := s.signedIn(r)
		if err != nil {
			return err
		}
		if err := s.checkPolicy(r, who); err != nil {
			return err
		}
		a := Account(who.Account)
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
	})))
	return s.whileClockIsRight(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := s.passed(r); ok {
			serveLimited(h, w, r, context.WithValue(r.Context(), accountKey{}, a), limit)
			return
		}
		aborted := false
		guarded.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), abortedKey{}, &aborted)))
		if aborted { // the panic is in the log; net/http closes the connection
			panic(http.ErrAbortHandler)
		}
	}))
}

// guard refuses requests for other hosts and requests that another site made the browser send.
func (s *Server) guard(h render.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.pages.ErrorHandler(render.ErrCrossSite))
	guarded, otherHost := sameOrigin.Handler(s.pages.Handle(h)), s.pages.ErrorHandler(render.ErrUnknownHost)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.options.isHost(r.Host) {
			render.SetRoute(w, appRoute)
			guarded.ServeHTTP(w, r)
		} else {
			otherHost.ServeHTTP(w, r)
		}
	})
}

// signedIn returns the session of a request, or session.ErrNoSession.
func (s *Server) signedIn(r *http.Request) (session.Session, error) {
	ctx, stop := context.WithTimeout(r.Context(), requestTime)
	defer stop()
	return s.services.Sessions.Get(ctx, s.pages.Cookie(r, render.SessionCookie))
}

// checkPolicy returns an error if the policy does not allow the method of a session, or requires another one, see
// challenge.CheckPolicy. The settings of the server stay open, where methods are set up.
func (s *Server) checkPolicy(r *http.Request, who session.Session) error {
	if !s.options.rules.Requires() || s.isOwnSettings(r) {
		return nil
	}
	ctx, stop := context.WithTimeout(r.Context(), requestTime)
	defer stop()
	return s.services.Challenges.CheckPolicy(ctx, who, s.options.rules.For(who.Account.Groups, ""))
}

// isOwnSettings reports whether a request is for a settings page of the server. A path that the mux would change is
// none: the program may take it for another one.
func (s *Server) isOwnSettings(r *http.Request) bool {
	_, pattern := s.settings.Handler(r)
	return pattern != "" && r.URL.Path == path.Clean(r.URL.Path)
}

// serveLimited serves r with ctx and the time limit, unless ctx has a deadline already; 0 is no limit.
func serveLimited(h http.Handler, w http.ResponseWriter, r *http.Request, ctx context.Context, limit time.Duration) {
	if _, limited := ctx.Deadline(); !limited && limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, limit)
		defer stop()
	}
	h.ServeHTTP(w, r.WithContext(ctx))
}

// appWriter is the ResponseWriter of a handler behind Require. It records whether the response has started, and
// supports http.Flusher and http.Hijacker.
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

// Flush implements http.Flusher.
func (w *appWriter) Flush() { _ = w.FlushError() }

// FlushError implements Flush for http.ResponseController.
func (w *appWriter) FlushError() error {
	if !w.begun { // the first flush sends the headers
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *appWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.begun = w.begun || err == nil
	return conn, buffer, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *appWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
