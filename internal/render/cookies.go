package render

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cookie is a cookie of ours. Its full name depends on how pages travel.
type Cookie string

// The cookies. A pending sign-in and a session are never in the same one.
const (
	SessionCookie                 Cookie = "session"
	SignInCookie                  Cookie = "signin"
	MethodCookie                  Cookie = "method" // by which this browser signed in last; opens nothing
	RecommendationDismissedCookie Cookie = "later"  // the recommendation on the settings page was put off
	DeviceCookie                  Cookie = "device" // this browser; with a right password it may skip the second step
	ProbeCookie                   Cookie = "probe"  // when this browser first kept a cookie of ours; opens nothing
	// The cookies of a host behind a reverse proxy, which the app there sees: that somebody may
	// be there, and what binds the way to that to this browser.
	ForwardAuthSessionCookie  Cookie = "twostep-app"
	ForwardAuthVerifierCookie Cookie = "twostep-enter"
)

// maxCookieLength is far above a token and far below what a browser keeps.
const maxCookieLength = 512

// cookieName has the prefix that makes browsers refuse the cookie from any other host or
// over http. In local mode there is no https, and Safari keeps no Secure cookie there.
func (p *Renderer) cookieName(c Cookie) string {
	if p.Secure {
		return "__Host-" + string(c)
	}
	return string(c)
}

// SetCookie gives the browser a token until it is closed. It replaces what the same
// answer said about this cookie before: one Set-Cookie for each name.
func (p *Renderer) SetCookie(w http.ResponseWriter, c Cookie, token string) {
	if token == "" || !isBase64URL(token) {
		panic("page: not a token for a cookie") // tokens are made here, not typed
	}
	p.writeCookie(w, http.Cookie{Name: p.cookieName(c), Value: token})
}

// SetPersistentCookie gives the browser a token or a word that outlives its windows, for so long.
func (p *Renderer) SetPersistentCookie(w http.ResponseWriter, c Cookie, value string, maxAge time.Duration) {
	if value == "" || !isBase64URL(value) {
		panic("page: not a word for a cookie")
	}
	p.writeCookie(w, http.Cookie{Name: p.cookieName(c), Value: value, MaxAge: int(maxAge / time.Second)})
}

// probeMaxAge is as long as browsers keep any cookie.
const probeMaxAge = 400 * 24 * time.Hour

// SetProbeCookie gives the browser a cookie that outlives its windows, unless it has one: whether it
// comes back tells whether a trust record would, and its value since when.
func (p *Renderer) SetProbeCookie(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.CookiesStoredSince(r); !ok {
		p.SetPersistentCookie(w, ProbeCookie, strconv.FormatInt(p.CurrentTime().Unix(), 10), probeMaxAge)
	}
}

// CookiesStoredSince is since when the browser keeps a cookie of ours; false if it keeps none.
func (p *Renderer) CookiesStoredSince(r *http.Request) (since time.Time, ok bool) {
	seconds, err := strconv.ParseInt(p.Cookie(r, ProbeCookie), 10, 64)
	if err != nil || seconds <= 0 || seconds > p.CurrentTime().Unix()+60 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// ClearCookie makes the browser forget the cookie.
func (p *Renderer) ClearCookie(w http.ResponseWriter, c Cookie) {
	p.writeCookie(w, http.Cookie{Name: p.cookieName(c), MaxAge: -1})
}

// ClearSessionCookies makes the browser forget that somebody is in, and the sign-in that belongs to the
// session. Of the rest only the cache is cleared: cookies also hold trust, which outlives it.
func (p *Renderer) ClearSessionCookies(w http.ResponseWriter) {
	p.ClearCookie(w, SessionCookie)
	p.ClearCookie(w, SignInCookie)
	w.Header().Set("Clear-Site-Data", `"cache"`)
}

func (p *Renderer) writeCookie(w http.ResponseWriter, c http.Cookie) {
	c.Path, c.HttpOnly, c.Secure, c.SameSite = "/", true, p.Secure, http.SameSiteLaxMode
	h := w.Header()
	h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(line string) bool {
		return strings.HasPrefix(line, c.Name+"=")
	})
	http.SetCookie(w, &c)
}

// Cookie is the token in a cookie, "" if there is none. Two cookies of one name are
// none: one of them was planted, and nobody can tell which.
func (p *Renderer) Cookie(r *http.Request, c Cookie) string {
	found := r.CookiesNamed(p.cookieName(c))
	if len(found) != 1 || found[0].Quoted || !isBase64URL(found[0].Value) {
		return ""
	}
	return found[0].Value
}

// isToken: base64url, as all our tokens are.
func isBase64URL(s string) bool {
	return len(s) <= maxCookieLength && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
