package render

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// contentSecurityPolicy is the Content-Security-Policy of every response. form-action also applies to redirects after a
// POST.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"object-src 'none'; require-trusted-types-for 'script'"

// AllowFormAction lets the forms of a response lead to origin, and from there to any https URL; "" changes nothing.
// Browsers apply form-action to every redirect after a POST, and an app may redirect to another of its hosts.
func AllowFormAction(w http.ResponseWriter, origin string) {
	if origin != "" {
		w.Header().Set(
			"Content-Security-Policy",
			strings.Replace(contentSecurityPolicy, "form-action 'self'", "form-action 'self' https: "+origin, 1),
		)
	}
}

// KeepOpener lets the page that opened this one in a popup keep its window: an app reads the response of its sign-in
// there. Every page and redirect on the way must allow it, else the browser separates the two for good.
func KeepOpener(w http.ResponseWriter) { w.Header().Del("Cross-Origin-Opener-Policy") }

// AllowCORS lets pages of other origins read a response that does not depend on cookies.
func AllowCORS(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

const permissionsPolicy = "publickey-credentials-get=(self), publickey-credentials-create=(self), " +
	"otp-credentials=(self), camera=(), microphone=(), geolocation=()"

// Middleware wraps every request except remembered forward-auth decisions: SecurityHeaders first, then LogAndRecover,
// so that a refused request has its headers and its log line too.
func (p *Renderer) Middleware(next http.Handler) http.Handler {
	return p.SecurityHeaders(p.LogAndRecover(next))
}

// SecurityHeaders sets the security headers of every response, errors included. A handler may replace them; only the
// assets and bare pages do.
func (p *Renderer) SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", permissionsPolicy)
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Cookie, Accept-Language")
		if p.Secure {
			h.Set("Strict-Transport-Security", p.hsts())
		}
		next.ServeHTTP(w, r)
	})
}

// hsts returns the value of Strict-Transport-Security (RFC 6797 6.1). Other servers on subdomains may use http, so they
// are included only if the owner says so.
func (p *Renderer) hsts() string {
	if p.HSTSSubdomains {
		return "max-age=31536000; includeSubDomains"
	}
	return "max-age=31536000"
}

// LogAndRecover gives each request an id, logs one line for it (never a query, a form or a cookie) and turns a panic
// into an internal error.
func (p *Renderer) LogAndRecover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now() // not p.Now: durations need the monotonic clock
		id := rand.Text()[:12]
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		if p.ProxyDetector != nil {
			if warning := p.ProxyDetector.Observe(r, p.CurrentTime()); warning != "" {
				p.logger().Warn("reverse proxy problem", "problem", warning)
			}
		}
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() {
			if recovered := recover(); recovered != nil {
				if recovered == http.ErrAbortHandler {
					panic(recovered)
				}
				p.renderInternalError(recorder, r, fmt.Errorf("panic: %v\n%s", recovered, debug.Stack()))
			}
			took := time.Since(start)
			if p.Observe != nil {
				p.Observe(recorder.route, r.Method, max(recorder.status, http.StatusOK), took)
			}
			p.logger().LogAttrs(
				r.Context(),
				requestLevel(r.URL.Path, recorder.status),
				"request",
				slog.String("request", id),
				slog.String("method", r.Method),
				slog.String("path", truncate(r.URL.Path, maxLoggedPath)),
				slog.Int("status", max(recorder.status, http.StatusOK)),
				slog.Duration("took", took),
			)
		}()
		next.ServeHTTP(recorder, r)
	})
}

// requestLevel returns the level of the log line of a request: debug for the requests that browsers and monitoring
// repeat all the time, if they succeed.
func requestLevel(path string, status int) slog.Level {
	routine := strings.HasPrefix(path, "/assets/") || strings.HasSuffix(path, "/status") || path == "/healthz" ||
		path == "/readyz"
	if routine && status < http.StatusBadRequest {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

const maxLoggedPath = 128

func truncate(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

type requestIDKey struct{}

// RequestID returns the ID that the log has of a request, "" outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// statusRecorder records the status of a response, and the route of its request.
type statusRecorder struct {
	http.ResponseWriter
	status int
	route  string
}

// SetRoute sets the route that Renderer.Observe gets for the request of w: never a text from the request.
func SetRoute(w http.ResponseWriter, route string) {
	for {
		switch inner := w.(type) {
		case *statusRecorder:
			inner.route = route
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return
		}
	}
}

// ObserveRoutes returns mux, and sets the routes of its requests.
func (p *Renderer) ObserveRoutes(mux *http.ServeMux) http.Handler {
	if p.Observe == nil {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { SetRoute(w, r.Pattern) }() // the mux has set the pattern, also if its handler panics
		mux.ServeHTTP(w, r)
	})
}

func (w *statusRecorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusRecorder) Write(b []byte) (int, error) {
	w.status = max(w.status, http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func responseStarted(w http.ResponseWriter) bool {
	recorder, ok := w.(*statusRecorder)
	return ok && recorder.status != 0
}

// CheckRequests refuses what no page of this server sends: large headers and bodies, bodies that are not forms, long
// queries, and paths that are not UTF-8 or not clean.
func (p *Renderer) CheckRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.checkRequest(r); err != nil {
			p.handleError(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

// maxQueryBytes is enough for the parameters of every page, including an ID token with many groups.
const maxQueryBytes = 16 << 10

// maxHeaderBytes is the maximum size of the headers of a request for a page. Other servers of the domain may set large
// cookies. The checks of reverse proxies may be larger: they have the headers of requests to apps.
const maxHeaderBytes = 64 << 10

// headerBytes returns the size of the header fields, without the characters between them.
func headerBytes(h http.Header) (n int) {
	for name, values := range h {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}

func (p *Renderer) checkRequest(r *http.Request) error {
	switch {
	case r.ContentLength > MaxBodyBytes:
		return ErrBodyTooLarge
	case headerBytes(r.Header) > maxHeaderBytes:
		return ErrHeadersTooLarge
	case len(r.URL.RawQuery) > maxQueryBytes:
		return ErrInvalidForm
	case !isCleanPath(r.URL.Path):
		return ErrNotFound // http.ServeMux would redirect to a target taken from the request
	case r.Method == http.MethodPost && !slices.Contains(p.JSONBodyPaths, r.URL.Path):
		return checkFormContentType(r)
	}
	return nil
}

// isCleanPath reports whether a path is valid UTF-8 and already in the form that path.Clean returns; one slash at the
// end is allowed.
func isCleanPath(p string) bool {
	if !utf8.ValidString(p) || strings.ContainsRune(p, 0) {
		return false
	}
	// "//" would pass as "/" with a slash at its end.
	return p == "/" || strings.HasPrefix(p, "/") && p != "//" && path.Clean(p) == strings.TrimSuffix(p, "/")
}
