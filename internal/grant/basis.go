package grant

import (
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Basis is what an answer about a person was read from, for whoever remembers the answer.
type Basis struct {
	version uint64
	keys    []store.Key
}

// Basis is the state of the database now. Ask for it before reading.
func (g *Grants) Basis() Basis { return Basis{version: g.Store.Version()} }

// Of is the basis of an answer that was read from a grant and a session. It changes with the account of the session,
// too, and with every client: which of them a host belongs to depends on all.
func (b Basis) Of(grant string, who session.Session) Basis {
	b.keys = []store.Key{
		store.GrantKey(grant), store.SessionKey(who.ID), store.AccountKey(who.Account.ID), store.ClientsKey(),
	}
	return b
}

// Changed reports whether this server may have changed anything that an answer was read from.
func (g *Grants) Changed(b Basis) bool { return g.Store.Changed(b.version, b.keys...) }
