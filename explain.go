package twostep

import (
	"context"
	"net/netip"
	"time"

	"twostep.example/twostep/internal/device"
)

// TrustDecision is a decision whether a browser is trusted, with its inputs.
type TrustDecision struct {
	Trace   string    // ID of the decision in the log; equal for equal inputs at the same time
	At      time.Time // when it was made, or is made
	Reason  string    // "trusted", or why the second step is required, for example "network" or "expired"
	Address string    // client IP address; "" if unknown
	Browser string    // the header User-Agent
	Records []TrustRecord
	App     string   // client ID of the app that the person came from; "": none
	Groups  []string // of the account
	// SecondStep says that the second step was required in any case: by the app, or because the account was frozen.
	SecondStep bool
	// Policy is what holds today for an account with these groups in the app, and the rules that set it.
	Policy []PolicyLine
}

// TrustRecord is one network from which a browser was verified, and the result for it.
type TrustRecord struct {
	Network    string    // "203.0.113.5", "2001:db8::/64" or both
	Browser    string    // the header User-Agent
	VerifiedAt time.Time // when both steps were completed there
	Reason     string    // "trusted", or why this record is not accepted
	Decisive   bool      // TrustDecision.Reason is the Reason of this record
}

// TrustQuery describes a sign-in with a correct password, for Server.ExplainTrust.
type TrustQuery struct {
	Email       string     // the address of the account
	App         string     // client ID of the app that the person comes from; "": none
	Address     netip.Addr // client IP address; zero if unknown
	UserAgent   string     // the header
	ClientHints string     // the header Sec-CH-UA
	At          time.Time  // zero: now
}

// ExplainTrust returns what would be decided about a sign-in. There is one decision for each browser in which the
// account was verified, and a last one for a browser without a record. For a time in the past it may be wrong,
// because later verifications have replaced earlier ones. ReplayDecision returns the decisions that were really made.
// ExplainTrust returns ErrAccountNotFound if there is no such account.
func (s *Server) ExplainTrust(ctx context.Context, q TrustQuery) ([]TrustDecision, error) {
	if q.At.IsZero() {
		q.At = s.now()
	}
	asked := s.pages.Origins.New(q.Address, q.UserAgent, q.ClientHints)
	decisions, err := s.services.Devices.ExplainTrust(ctx, q.Email, q.App, asked.TrustRequest(), q.At)
	if err != nil {
		return nil, err
	}
	var all []TrustDecision
	for _, d := range decisions {
		all = append(all, s.explained(d))
	}
	return all, nil
}

// ReplayDecision returns the stored decision with this trace. It returns ErrAccountNotFound if there is none: they are
// deleted after 60 days, and only the last 200 to 400 of an account are kept.
func (s *Server) ReplayDecision(ctx context.Context, trace string) (TrustDecision, error) {
	d, err := s.services.Devices.ReplayDecision(ctx, trace)
	if err != nil {
		return TrustDecision{}, err
	}
	return s.explained(d), nil
}

func (s *Server) explained(d device.DecisionRecord) TrustDecision {
	e := TrustDecision{
		Trace: d.Trace, At: d.At, Reason: string(d.Reason), Browser: d.Request.Browser.UserAgent,
		App: d.App, Groups: d.Groups, SecondStep: d.SecondStep, Policy: s.options.rules.For(d.Groups, d.App).Lines(),
	}
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
