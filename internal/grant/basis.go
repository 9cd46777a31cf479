package grant

import (
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Basis says which database rows an answer about a person was read from, and when. A cache of such answers asks
// Grants.Changed whether they are still valid.
type Basis struct {
	version uint64
	keys    []store.Key
}

// Basis returns the current version of the database. Call it before reading.
func (g *Grants) Basis() Basis { return Basis{version: g.Store.Version()} }

// Of returns the basis of an answer that was read from a grant and a session. It also covers the account of the
// session, and all clients, because any of them may claim the host.
func (b Basis) Of(grant string, who session.Session) Basis {
	b.keys = []store.Key{
		store.GrantKey(grant), store.SessionKey(who.ID), store.AccountKey(who.Account.ID), store.ClientsKey(),
	}
	return b
}

// Changed reports whether this server may have changed anything that an answer was read from since. It does not
// see changes made by other servers.
func (g *Grants) Changed(b Basis) bool { return g.Store.Changed(b.version, b.keys...) }
