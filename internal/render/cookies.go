package render

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cookie is the name of a cookie that this server sets. With https the name in the browser has the prefix __Host-.
type Cookie string

// The cookies. An attempt and a session never share one.
const (
	SessionCookie                 Cookie = "session"
	SignInCookie                  Cookie = "signin"
	MethodCookie                  Cookie = "method" // the method of the last sign-in in this browser; grants nothing
	RecommendationDismissedCookie Cookie = "later"  // the recommendation on the settings page was dismissed
	DeviceCookie                  Cookie = "device" // the device token; with the right password it may skip the second step
	ProbeCookie                   Cookie = "probe"  // when this browser first stored a cookie; grants nothing
	InboxCookie                   Cookie = "inbox"  // the key of the inbox, in local mode
	EmailCookie                   Cookie = "email"  // the address to fill in at the next sign-in; grants nothing
	NoticeCookie                  Cookie = "notice" // what the next operators' page says was done; grants nothing
	// BrowserCookie begins the names of the cookies that tell this browser from others while the request of an app
	// waits; they grant nothing. See Renderer.Browser.
	BrowserCookie Cookie = "browser-"
	// The cookies on the host of an app behind a reverse proxy; the app receives them too. The first is the session on
	// that host, the second the PKCE verifier of a sign-in that was started there.
	ForwardAuthSessionCookie  Cookie = "twostep-app"
	ForwardAuthVerifierCookie Cookie = "twostep-enter"
)

// maxCookieLength bounds the value of a cookie, in bytes. Tokens are shorter, and browsers store more.
const maxCookieLength = 512

// cookieName returns the name of the cookie in the browser. With https it has the prefix __Host-, so no other host and
// no http response can set it (RFC 6265bis 4.1.3.2). Local mode has no https, and Safari stores no Secure cookie there.
func (p *Renderer) cookieName(c Cookie) string {
	if p.Secure {
		return "__Host-" + string(c)
	}
	return string(c)
}

// SetCookie sets a cookie that lasts until the browser is closed, like SetPersistentCookie.
func (p *Renderer) SetCookie(w http.ResponseWriter, c Cookie, token string) {
	p.SetPersistentCookie(w, c, token, 0)
}

// SetPersistentCookie sets a cookie that the browser stores for maxAge; 0 is until it is closed. It replaces a
// Set-Cookie header of the same name in this response. It panics if the value is not base64url.
func (p *Renderer) SetPersistentCookie(w http.ResponseWriter, c Cookie, value string, maxAge time.Duration) {
	if value == "" || !isBase64URL(value) {
		panic("render: the cookie value is not base64url") // values come from this server, not from a client
	}
	p.writeCookie(w, http.Cookie{Name: p.cookieName(c), Value: value, MaxAge: int(maxAge / time.Second)})
}

// probeMaxAge is the longest time for which browsers store a cookie (RFC 6265bis 5.5).
const probeMaxAge = 400 * 24 * time.Hour

// SetProbeCookie sets a persistent cookie with the current time, unless the browser has one. If it comes back, the
// browser stores cookies, so it would also store a device token.
func (p *Renderer) SetProbeCookie(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.CookiesStoredSince(r); !ok {
		p.SetPersistentCookie(w, ProbeCookie, strconv.FormatInt(p.CurrentTime().Unix(), 10), probeMaxAge)
	}
}

// CookiesStoredSince returns since when the browser has stored the probe cookie. ok is false if it has not.
func (p *Renderer) CookiesStoredSince(r *http.Request) (since time.Time, ok bool) {
	seconds, err := strconv.ParseInt(p.Cookie(r, ProbeCookie), 10, 64)
	if err != nil || seconds <= 0 || seconds > p.CurrentTime().Unix()+60 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// Browser returns an identifier of this browser, for as long as it is open. It sets a cookie if the browser has none.
// Each new identifier has a cookie name of its own: tabs that are opened at the same time do not replace each other's.
func (p *Renderer) Browser(w http.ResponseWriter, r *http.Request) string {
	if known := p.Browsers(r); len(known) > 0 {
		return known[0]
	}
	id := rand.Text()
	p.SetCookie(w, BrowserCookie+Cookie(id[:8]), id)
	return id
}

// Browsers returns the identifiers that the browser of a request has.
func (p *Renderer) Browsers(r *http.Request) (ids []string) {
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, p.cookieName(BrowserCookie)) && c.Value != "" && isBase64URL(c.Value) {
			ids = append(ids, c.Value)
		}
	}
	return ids
}

// ClearCookie deletes a cookie from the browser.
func (p *Renderer) ClearCookie(w http.ResponseWriter, c Cookie) {
	p.writeCookie(w, http.Cookie{Name: p.cookieName(c), MaxAge: -1})
}

// ClearSessionCookies deletes the cookies of the session and of an attempt, and clears the browser cache.
// Clear-Site-Data does not clear cookies: the device token outlives the session.
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

// Cookie returns the value of a cookie, "" if there is none. Two cookies of the same name count as none: one of them
// was set by somebody else, and the server cannot tell which.
func (p *Renderer) Cookie(r *http.Request, c Cookie) string {
	found := r.CookiesNamed(p.cookieName(c))
	if len(found) != 1 || found[0].Quoted || !isBase64URL(found[0].Value) {
		return ""
	}
	return found[0].Value
}

// isBase64URL reports whether s has only base64url characters and at most maxCookieLength bytes.
func isBase64URL(s string) bool {
	return len(s) <= maxCookieLength && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
