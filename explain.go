package twostep

import (
	"context"
	"net/netip"
	"time"

	"twostep.example/twostep/internal/device"
)

// Explanation is a decision whether a browser is trusted, and what it was made from.
type Explanation struct {
	Trace   string    // the same for the same decision at the same moment
	At      time.Time // when it was made, or is made
	Reason  string    // "trusted", or the first reason why not
	Address string    // the client's address; "": unknown
	Browser string    // the header User-Agent
	Records []ExplainedRecord
}

// ExplainedRecord is one network from which a browser was verified, and what it meant for the decision.
type ExplainedRecord struct {
	Place    string    // the network
	Browser  string    // the header User-Agent
	Verified time.Time // when both steps were passed there
	Reason   string    // "trusted", or why this record does not count
	Decided  bool      // Explanation.Reason is that of this record
}

// Question describes a sign-in with the right password, for Server.Explain.
type Question struct {
	Email     string     // the address of the account
	Address   netip.Addr // the client's address; zero: unknown
	UserAgent string     // the header
	Hints     string     // the header Sec-CH-UA
	At        time.Time  // zero: now
}

// Explain returns what would be decided about a sign-in: one decision for each browser in which the account was
// verified, and last one for a browser without a record. For a moment in the past it may be wrong, because later
// verifications have replaced older ones; Replay returns the decisions that were made. Explain returns ErrUnknown if
// there is no such account.
func (s *Server) Explain(ctx context.Context, q Question) ([]Explanation, error) {
	if q.At.IsZero() {
		q.At = s.now()
	}
	asked := s.pages.Asked(q.Address, q.UserAgent, q.Hints)
	decisions, err := s.services.Devices.Explain(ctx, q.Email, asked.TrustRequest(), q.At)
	if err != nil {
		return nil, err
	}
	var all []Explanation
	for _, d := range decisions {
		all = append(all, explained(d))
	}
	return all, nil
}

// Replay returns the decision with this trace, as it was made. It returns ErrUnknown if there is none.
func (s *Server) Replay(ctx context.Context, trace string) (Explanation, error) {
	d, err := s.services.Devices.Replay(ctx, trace)
	if err != nil {
		return Explanation{}, err
	}
	return explained(d), nil
}

func explained(d device.Decision) Explanation {
	e := Explanation{Trace: d.Trace, At: d.At, Reason: string(d.Reason), Browser: d.Request.Browser.Agent}
	if d.Request.Address.IsValid() {
		e.Address = d.Request.Address.String()
	}
	for i, r := range d.Records {
		one := ExplainedRecord{
			Place: r.Place.String(), Browser: r.Browser.Agent, Verified: r.Verified, Decided: i == d.Nearest,
		}
		if i < len(d.Each) {
			one.Reason = string(d.Each[i])
		}
		e.Records = append(e.Records, one)
	}
	return e
}
