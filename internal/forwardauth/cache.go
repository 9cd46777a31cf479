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
	// cacheGeneration is how long decisions are collected before those of the generation before are forgotten: the
	// cache holds personal data.
	cacheGeneration = time.Minute
	// cacheMaxEntries bounds a generation. An entry takes about half a kilobyte.
	cacheMaxEntries = 100_000
)

// allowCache holds decisions to allow requests, while they are valid. Denials are not cached, so that nobody can fill
// the cache without being signed in.
type allowCache struct {
	mu         sync.RWMutex
	young, old map[cacheKey]*cacheEntry
	youngSince time.Time
}

// cacheKey identifies a browser at a host.
type cacheKey struct {
	tokenHash [sha256.Size]byte // of the host's cookie
	origin    string
}

type cacheEntry struct {
	basis   grant.Basis
	headers identityHeaders
}

func (a *Authorizer) cacheKeyFor(r *http.Request, req proxiedRequest) cacheKey {
	return cacheKey{sha256.Sum256([]byte(a.Pages.Cookie(r, render.ForwardAuthSessionCookie))), req.origin}
}

func (c *allowCache) put(key cacheKey, entry *cacheEntry, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.youngSince); age < 0 || age >= cacheGeneration || len(c.young) >= cacheMaxEntries {
		c.young, c.old, c.youngSince = map[cacheKey]*cacheEntry{}, c.young, now
	}
	c.young[key] = entry
}

func (c *allowCache) get(key cacheKey) *cacheEntry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if entry := c.young[key]; entry != nil {
		return entry
	}
	return c.old[key]
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
	entry := a.cache.get(a.cacheKeyFor(r, req))
	if entry == nil || !a.Grants.Valid(r.Context(), entry.basis) {
		return false
	}
	w.Header().Set("Cache-Control", "no-store")
	entry.headers.write(w)
	return true
}
