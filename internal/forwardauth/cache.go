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
func (then dataVersion) fresh(now dataVersion) bool {
	age := now.readAt.Sub(then.readAt)
	return age >= 0 && age < cacheTTL
}

// currentVersion uses the wall clock, because the monotonic clock stops while the machine sleeps.
func (s *Authorizer) currentVersion() dataVersion {
	return dataVersion{s.Grants.Now().Round(0), s.Grants.Basis()}
}

func (s *Authorizer) cacheKeyFor(r *http.Request, req proxiedRequest) cacheKey {
	return cacheKey{sha256.Sum256([]byte(s.Pages.Cookie(r, render.ForwardAuthSessionCookie))), req.origin}
}

func (m *allowCache) put(b cacheKey, read dataVersion, said identityHeaders) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age := read.readAt.Sub(m.since); len(m.entries) >= cacheMaxEntries || age < 0 || age > cachePurgeInterval {
		m.entries, m.since = map[cacheKey]cacheEntry{}, read.readAt
	}
	m.entries[b] = cacheEntry{read, said}
}

func (m *allowCache) get(b cacheKey, now dataVersion, changed func(grant.Basis) bool) (identityHeaders, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, ok := m.entries[b]
	return found.headers, ok && found.fresh(now) && !changed(found.basis)
}

// ServeFromCache answers a proxy from the cache and reports whether it did. It runs before all other handlers,
// because a page of an app causes many checks.
func (s *Authorizer) ServeFromCache(w http.ResponseWriter, r *http.Request) bool {
	if !IsAuthCheck(r) {
		return false
	}
	req, err := s.parseProxiedRequest(r)
	if err != nil || req.path() == callbackPath {
		return false
	}
	headers, ok := s.cache.get(s.cacheKeyFor(r, req), s.currentVersion(), s.Grants.Changed)
	if ok {
		w.Header().Set("Cache-Control", "no-store")
		headers.write(w)
	}
	return ok
}
