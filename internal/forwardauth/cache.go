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
	// cacheTTL is how long a yes is remembered. What this server changes takes effect at once; what another server on
	// the same database changes, when this is over.
	cacheTTL = time.Second
	// cachePurgeInterval and most are when all are forgotten: the answers hold names of people.
	cachePurgeInterval = time.Minute
	cacheMaxEntries    = 20_000
)

// allowCache is what was answered with yes a moment ago. No no is in it, so nobody fills it who is
// not in.
type allowCache struct {
	mu      sync.RWMutex
	entries map[cacheKey]cacheEntry
	since   time.Time
}

// cacheKey is one at a host, by its cookie there.
type cacheKey struct {
	tokenHash [sha256.Size]byte // the hash of the cookie
	origin    string
}

// dataVersion is when the database was read: by the clock, and by how much had changed until then.
type dataVersion struct {
	readAt time.Time
	basis  grant.Basis
}

type cacheEntry struct {
	dataVersion
	headers identityHeaders
}

// fresh reports whether what was read then is recent enough now.
func (then dataVersion) fresh(now dataVersion) bool {
	age := now.readAt.Sub(then.readAt)
	return age >= 0 && age < cacheTTL
}

// currentVersion is by the wall clock: the monotonic one stops while the machine sleeps.
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

// ServeFromCache answers a question that was answered with yes a moment ago, and reports whether it
// has. It is asked before everything else, since pages of an app have many parts.
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
