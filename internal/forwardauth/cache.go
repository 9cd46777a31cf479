package forwardauth

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

const (
	// cacheTTL is how long an allowed request is cached. Changes by this server take effect at once, changes by
	// other servers when it expires.
	cacheTTL = time.Second
	// cachePurgeInterval is the time after which the whole cache is emptied, as it is when it has
	// cacheMaxEntries: it holds personal data.
	cachePurgeInterval = time.Minute
	cacheMaxEntries    = 20_000
)

// allowCache holds decisions to allow requests. Denials are not cached, so that nobody can fill the cache
// without being signed in.
type allowCache struct {
	mu      sync.RWMutex
	entries map[cacheKey]cacheEntry
	since   time.Time // when entries was last emptied
}

// cacheKey identifies a browser at a host.
type cacheKey struct {
	tokenHash [sha256.Size]byte // of the host's cookie
	origin    string
}

// dataVersion is the time and the database version of a decision.
type dataVersion struct {
	readAt time.Time
	basis  grant.Basis
}

type cacheEntry struct {
	dataVersion
	headers identityHeaders
}

// fresh reports whether then is less than cacheTTL before now. It is false if the clock was set back.
func (v dataVersion) fresh(now dataVersion) bool {
	age := now.readAt.Sub(v.readAt)
	return age >= 0 && age < cacheTTL
}

// currentVersion uses the wall clock, because the monotonic clock stops while the machine sleeps.
func (a *Authorizer) currentVersion() dataVersion {
	return dataVersion{a.Grants.Now().Round(0), a.Grants.Basis()}
}

func (a *Authorizer) cacheKeyFor(r *http.Request, req proxiedRequest) cacheKey {
	return cacheKey{sha256.Sum256([]byte(a.Pages.Cookie(r, render.ForwardAuthSessionCookie))), req.origin}
}

func (c *allowCache) put(key cacheKey, version dataVersion, headers identityHeaders) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := version.readAt.Sub(c.since); len(c.entries) >= cacheMaxEntries || age < 0 || age > cachePurgeInterval {
		c.entries, c.since = map[cacheKey]cacheEntry{}, version.readAt
	}
	c.entries[key] = cacheEntry{version, headers}
}

func (c *allowCache) get(key cacheKey, now dataVersion, changed func(grant.Basis) bool) (identityHeaders, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	found, ok := c.entries[key]
	return found.headers, ok && found.fresh(now) && !changed(found.basis)
}

// ServeFromCache answers a proxy from the cache and reports whether it did. It runs before all other handlers,
// because a page of an app causes many checks.
func (a *Authorizer) ServeFromCache(w http.ResponseWriter, r *http.Request) bool {
	if !IsAuthCheck(r) {
		return false
	}
	req, err := a.parseProxiedRequest(r)
	if err != nil || req.path() == callbackPath {
		return false
	}
	headers, ok := a.cache.get(a.cacheKeyFor(r, req), a.currentVersion(), a.Grants.Changed)
	if ok {
		w.Header().Set("Cache-Control", "no-store")
		headers.write(w)
	}
	return ok
}
