package render

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"
)

// contentSecurityPolicy is the Content-Security-Policy of every answer. form-action also covers every
// redirect after a POST.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"object-src 'none'; require-trusted-types-for 'script'"

// AllowFormAction makes an answer one whose forms may also lead to this origin, and from there on over
// https; "" to none. Browsers follow no redirect after a POST to an origin that is not named,
// and an app may pass people on to another host of its own.
func AllowFormAction(w http.ResponseWriter, origin string) {
	if origin != "" {
		w.Header().Set(
			"Content-Security-Policy",
			strings.Replace(contentSecurityPolicy, "form-action 'self'", "form-action 'self' https: "+origin, 1),
		)
	}
}

// AllowCORS lets pages of other origins read an answer in which no cookie has a part.
func AllowCORS(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

const permissionsPolicy = "publickey-credentials-get=(self), publickey-credentials-create=(self), " +
	"otp-credentials=(self), camera=(), microphone=(), geolocation=()"

// Middleware is what every request passes first, but for a yes of forward-auth that is remembered:
// Headers, then Watch, so that one that is refused has its headers and its line in the log too.
func (p *Renderer) Middleware(next http.Handler) http.Handler {
	return p.SecurityHeaders(p.LogAndRecover(next))
}

// SecurityHeaders sets the security headers of every answer, errors included. A handler may
// set its own instead; only files that never change do.
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
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// LogAndRecover gives every request a number, writes its one line into the log (never a
// query, a form or a cookie) and turns a panic into a fault.
func (p *Renderer) LogAndRecover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now() // a duration is measured, not told: the machine's own clock
		id := rand.Text()[:12]
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
		if p.ProxyDetector != nil {
			if warning := p.ProxyDetector.Observe(r); warning != "" {
				p.logger().Warn("proxy", "problem", warning)
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
			p.logger().LogAttrs(
				r.Context(),
				slog.LevelInfo,
				"request",
				slog.String("request", id),
				slog.String("method", r.Method),
				slog.String("path", truncate(r.URL.Path, maxLoggedPath)),
				slog.Int("status", max(recorder.status, http.StatusOK)),
				slog.Duration("took", time.Since(start)),
			)
		}()
		next.ServeHTTP(recorder, r)
	})
}

const maxLoggedPath = 128

func truncate(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

type requestIDKey struct{}

// requestID is the number that Watch gave the request, "" outside of it.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
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

// CheckRequests refuses what no page of ours sends: large bodies, bodies that are no form,
// endless queries, and paths that are no text or that a router would have to rewrite.
func (p *Renderer) CheckRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkRequest(r); err != nil {
			p.handleError(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

// maxQueryBytes is enough for every parameter of every page, an ID token with many groups included.
const maxQueryBytes = 16 << 10

func checkRequest(r *http.Request) error {
	switch {
	case r.ContentLength > MaxBodyBytes:
		return ErrBodyTooLarge
	case len(r.URL.RawQuery) > maxQueryBytes:
		return ErrInvalidForm
	case !isCleanPath(r.URL.Path):
		return ErrNotFound // a router would redirect, with a target made from the request
	case r.Method == http.MethodPost:
		return checkFormContentType(r)
	}
	return nil
}

// isCleanPath reports whether a path is one that a page of ours links to: text, and in one way only.
func isCleanPath(p string) bool {
	if !utf8.ValidString(p) || strings.ContainsRune(p, 0) {
		return false
	}
	// Two slashes alone would pass as one with another at its end.
	return p == "/" || strings.HasPrefix(p, "/") && p != "//" && path.Clean(p) == strings.TrimSuffix(p, "/")
}
