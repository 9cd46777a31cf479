package ratelimit

import "time"

// Standing is what is known about somebody who uses a Shared budget.
type Standing int

const (
	// Newcomer has an account that was created lately.
	Newcomer Standing = iota
	// Stranger is anybody in a browser in which no account has completed both steps.
	Stranger
	// Proven has completed both steps in this browser before.
	Proven
)

// Shared is a budget that everybody uses together, in one window. A part of it is kept for people who have proven who
// they are: strangers together can use three quarters, and newcomers among them half. So nobody can use it up for all
// with accounts of their own.
type Shared struct {
	Kind   string
	Window time.Duration
	Limit  int64 // 0 means no limit
	// PartyLimit is what one party can use; 0: no limit of its own.
	PartyLimit int64
}

// For returns the quotas from which an amount is taken for a party: an account, or "". However small the budget is, each
// part allows this amount once.
func (s Shared) For(who Standing, party string, amount int64) []Quota {
	if s.Limit == 0 {
		return nil
	}
	quota := func(part, subject string, limit int64) Quota {
		return Quota{s.Kind + part, subject, s.Window, amount, limit}
	}
	var all []Quota
	if s.PartyLimit > 0 {
		all = append(all, quota("_party", party, s.PartyLimit))
	}
	if who == Newcomer {
		all = append(all, quota("_newcomers", "", max(s.Limit/2, amount)))
	}
	if who != Proven {
		all = append(all, quota("_strangers", "", max(s.Limit*3/4, amount)))
	}
	return append(all, quota("", "", s.Limit))
}
