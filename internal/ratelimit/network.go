package ratelimit

import "time"

// Network is a network that limits count.
type Network struct {
	Name string // an address or a prefix; "" if the address of the client is not known
	// Weight is how many times the limit of a single network this one has, because many people may share it.
	Weight int64
}

// Networks are the networks that one client is in, the smallest first. A limit applies to each of them: somebody who has
// a /48 of IPv6 cannot evade it with the 65,536 networks inside.
type Networks []Network

// smallest returns the name of the smallest network: the IPv4 address or the IPv6 /64; "" if it is not known.
func (n Networks) smallest() string {
	if len(n) == 0 {
		return ""
	}
	return n[0].Name
}

// Largest returns the name of the largest network, which has one owner: the IPv4 /24 or the IPv6 /48; "" if it is not
// known.
func (n Networks) Largest() string {
	if len(n) == 0 {
		return ""
	}
	return n[len(n)-1].Name
}

// PerNetwork returns quotas of limit in a window for a single network, with the amount 1, and for the larger networks
// that it is in.
func PerNetwork(kind string, networks Networks, window time.Duration, limit int64) []Quota {
	var all []Quota
	for _, n := range networks {
		all = append(all, Quota{kind, n.Name, window, 1, limit * n.Weight})
	}
	return all
}
