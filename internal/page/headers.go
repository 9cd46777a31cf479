package page

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

// policy is the Content-Security-Policy of every answer. form-action also covers every
// redirect after a POST.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"object-src 'none'; require-trusted-types-for 'script'"

// Lead makes an answer one whose forms may also lead to this origin, and from there on over
// https; "" to none. Browsers follow no redirect after a POST to an origin that is not named,
// and an app may pass people on to another host of its own.
func Lead(w http.ResponseWriter, origin string) {
	if origin != "" {
		w.Header().Set("Content-Security-Policy", strings.Replace(policy, "form-action 'self'", "form-action 'self' https: "+origin, 1))
	}
}

// Share lets pages of other origins read an answer in which no cookie has a part.
func Share(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

const permissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), " +
	"otp-credentials=(self), camera=(), microphone=(), geolocation=()"

// Door is what every request passes first, but for a yes of forward-auth that is remembered:
// Headers, then Watch, so that one that is refused has its headers and its line in the log too.
func (p *Printer) Door(next http.Handler) http.Handler {
	return p.Headers(p.Watch(next))
}

// Headers sets the security headers of every answer, errors included. A handler may
// set its own instead; only files that never change do.
func (p *Printer) Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", permissions)
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Cookie, Accept-Language")
		if p.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// Watch gives every request a number, writes its one line into the log (never a
// query, a form or a cookie) and turns a panic into a fault.
func (p *Printer) Watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now() // a duration is measured, not told: the machine's own clock
		id := rand.Text()[:12]
		r = r.WithContext(context.WithValue(r.Context(), idKey{}, id))
		if p.Arrivals != nil {
			if warning := p.Arrivals.Watch(r); warning != "" {
				p.log().Warn("proxy", "problem", warning)
			}
		}
		seen := &watched{ResponseWriter: w}
		defer func() {
			if broke := recover(); broke != nil {
				if broke == http.ErrAbortHandler {
					panic(broke)
				}
				p.fault(seen, r, fmt.Errorf("panic: %v\n%s", broke, debug.Stack()))
			}
			p.log().LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("request", id), slog.String("method", r.Method),
				slog.String("path", cut(r.URL.Path, maxLoggedPath)), slog.Int("status", max(seen.status, http.StatusOK)),
				slog.Duration("took", time.Since(began)))
		}()
		next.ServeHTTP(seen, r)
	})
}

const maxLoggedPath = 128

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

type idKey struct{}

// requestID is the number that Watch gave the request, "" outside of it.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	w.status = max(w.status, http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func answered(w http.ResponseWriter) bool {
	seen, ok := w.(*watched)
	return ok && seen.status != 0
}

// Limits refuses what no page of ours sends: large bodies, bodies that are no form,
// endless queries, and paths that are no text or that a router would have to rewrite.
func (p *Printer) Limits(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := acceptable(r); err != nil {
			p.fail(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		next.ServeHTTP(w, r)
	})
}

// maxQuery is enough for every parameter of every page, an ID token with many groups included.
const maxQuery = 16 << 10

func acceptable(r *http.Request) error {
	switch {
	case r.ContentLength > MaxBody:
		return ErrTooLarge
	case len(r.URL.RawQuery) > maxQuery:
		return ErrForm
	case !clean(r.URL.Path):
		return ErrNotFound // a router would redirect, with a target made from the request
	case r.Method == http.MethodPost:
		return isForm(r)
	}
	return nil
}

// clean reports whether a path is one that a page of ours links to: text, and in one way only.
func clean(p string) bool {
	if !utf8.ValidString(p) || strings.ContainsRune(p, 0) {
		return false
	}
	// Two slashes alone would pass as one with another at its end.
	return p == "/" || strings.HasPrefix(p, "/") && p != "//" && path.Clean(p) == strings.TrimSuffix(p, "/")
}
