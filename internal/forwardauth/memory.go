package forwardauth

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"twostep.example/twostep/internal/page"
)

const (
	// fresh is how long a yes is remembered. Everything that this server changes counts at once;
	// what another server on the same database changes, when this is over.
	fresh = time.Second
	// kept and most are when all are forgotten: names of people stand in there.
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

// moment is when the database was read: by the clock, and by what had changed until then.
type moment struct {
	at      time.Time
	version uint64
}

type remembered struct {
	moment
	yes yes
}

// holds reports whether what was read then is still good now.
func (then moment) holds(now moment) bool {
	age := now.at.Sub(then.at)
	return then.version == now.version && age >= 0 && age < fresh
}

// now is by the clock on the wall: the other one stands still while the machine sleeps.
func (s *Site) now() moment { return moment{s.Grants.Now().Round(0), s.Grants.Store.Version()} }

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

func (m *memory) recall(b browser, now moment) (yes, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, ok := m.all[b]
	return found.yes, ok && found.holds(now)
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
	said, ok := s.memory.recall(s.browser(r, about), s.now())
	if ok {
		w.Header().Set("Cache-Control", "no-store")
		said.say(w)
	}
	return ok
}
