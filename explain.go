package twostep

import (
	"context"
	"net/netip"
	"time"

	"twostep.example/twostep/internal/device"
)

// TrustDecision is a decision whether a browser is trusted, and what it was made from.
type TrustDecision struct {
	Trace   string    // the same for the same decision at the same moment
	At      time.Time // when it was made, or is made
	Reason  string    // "trusted", or the first reason why not
	Address string    // the client's address; "": unknown
	Browser string    // the header User-Agent
	Records []TrustRecord
}

// TrustRecord is one network from which a browser was verified, and what it meant for the decision.
type TrustRecord struct {
	Network    string    // the network
	Browser    string    // the header User-Agent
	VerifiedAt time.Time // when both steps were passed there
	Reason     string    // "trusted", or why this record does not count
	Decisive   bool      // TrustDecision.Reason is that of this record
}

// TrustQuery describes a sign-in with the right password, for Server.ExplainTrust.
type TrustQuery struct {
	Email       string     // the address of the account
	Address     netip.Addr // the client's address; zero: unknown
	UserAgent   string     // the header
	ClientHints string     // the header Sec-CH-UA
	At          time.Time  // zero: now
}

// ExplainTrust returns what would be decided about a sign-in: one decision for each browser in which the account was
// verified, and last one for a browser without a record. For a moment in the past it may be wrong, because later
// verifications have replaced older ones; ReplayDecision returns the decisions that were made. ExplainTrust returns
// ErrAccountNotFound if there is no such account.
func (s *Server) ExplainTrust(ctx context.Context, q TrustQuery) ([]TrustDecision, error) {
	if q.At.IsZero() {
		q.At = s.now()
	}
	asked := s.pages.Origins.New(q.Address, q.UserAgent, q.ClientHints)
	decisions, err := s.services.Devices.ExplainTrust(ctx, q.Email, asked.TrustRequest(), q.At)
	if err != nil {
		return nil, err
	}
	var all []TrustDecision
	for _, d := range decisions {
		all = append(all, explained(d))
	}
	return all, nil
}

// ReplayDecision returns the decision with this trace, as it was made. It returns ErrAccountNotFound if there is none.
func (s *Server) ReplayDecision(ctx context.Context, trace string) (TrustDecision, error) {
	d, err := s.services.Devices.ReplayDecision(ctx, trace)
	if err != nil {
		return TrustDecision{}, err
	}
	return explained(d), nil
}

func explained(d device.DecisionRecord) TrustDecision {
	e := TrustDecision{Trace: d.Trace, At: d.At, Reason: string(d.Reason), Browser: d.Request.Browser.UserAgent}
	if d.Request.Address.IsValid() {
		e.Address = d.Request.Address.String()
	}
	for i, r := range d.Records {
		one := TrustRecord{
			Network: r.Network.String(), Browser: r.Browser.UserAgent, VerifiedAt: r.VerifiedAt, Decisive: i == d.NearestIndex,
		}
		if i < len(d.RecordReasons) {
			one.Reason = string(d.RecordReasons[i])
		}
		e.Records = append(e.Records, one)
	}
	return e
}
