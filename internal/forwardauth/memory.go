package forwardauth

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

const (
	// fresh is how long a yes is remembered. What this server changes takes effect at once; what another server on
	// the same database changes, when this is over.
	fresh = time.Second
	// kept and most are when all are forgotten: the answers hold names of people.
	kept = time.Minute
	most = 20_000
)

// memory is what was answered with yes a moment ago. No no is in it, so nobody fills it who is
// not in.
type memory struct {
	mu    sync.RWMutex
	all   map[browser]remembered
	since time.Time
}

// browser is one at a host, by its cookie there.
type browser struct {
	token  [sha256.Size]byte // the hash of the cookie
	origin string
}

// moment is when the database was read: by the clock, and by how much had changed until then.
type moment struct {
	at    time.Time
	basis grant.Basis
}

type remembered struct {
	moment
	yes yes
}

// fresh reports whether what was read then is recent enough now.
func (then moment) fresh(now moment) bool {
	age := now.at.Sub(then.at)
	return age >= 0 && age < fresh
}

// now is by the wall clock: the monotonic one stops while the machine sleeps.
func (s *Site) now() moment { return moment{s.Grants.Now().Round(0), s.Grants.Basis()} }

func (s *Site) browser(r *http.Request, about asked) browser {
	return browser{sha256.Sum256([]byte(s.Pages.Cookie(r, page.AppCookie))), about.origin}
}

func (m *memory) keep(b browser, read moment, said yes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age := read.at.Sub(m.since); len(m.all) >= most || age < 0 || age > kept {
		m.all, m.since = map[browser]remembered{}, read.at
	}
	m.all[b] = remembered{read, said}
}

func (m *memory) recall(b browser, now moment, changed func(grant.Basis) bool) (yes, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, ok := m.all[b]
	return found.yes, ok && found.fresh(now) && !changed(found.basis)
}

// Remembers answers a question that was answered with yes a moment ago, and reports whether it
// has. It is asked before everything else, since pages of an app have many parts.
func (s *Site) Remembers(w http.ResponseWriter, r *http.Request) bool {
	if !Asks(r) {
		return false
	}
	about, err := s.read(r)
	if err != nil || about.path() == entering {
		return false
	}
	said, ok := s.memory.recall(s.browser(r, about), s.now(), s.Grants.Changed)
	if ok {
		w.Header().Set("Cache-Control", "no-store")
		said.say(w)
	}
	return ok
}
