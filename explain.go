package twostep

import (
	"context"
	"net/netip"
	"time"

	"twostep.example/twostep/internal/device"
)

// Explanation is a trust decision with all that was looked at.
type Explanation struct {
	Trace   string // the same for the same decision at the same moment
	At      time.Time
	Reason  string // "trusted", or the first reason why not
	Address string // "": nobody knew it
	Browser string // the header User-Agent
	Records []ExplainedRecord
}

// ExplainedRecord is one place from which a browser was verified, and what it came to.
type ExplainedRecord struct {
	Place    string
	Browser  string // the header User-Agent
	Verified time.Time
	Reason   string
	Decided  bool // this one gave the reason
}

// Question is somebody with the right password, to be explained.
type Question struct {
	Email     string     // of the account
	Address   netip.Addr // zero: nobody knows it
	UserAgent string     // the header
	Hints     string     // the header Sec-CH-UA
	At        time.Time  // zero: now
}

// Explain is what would be decided about a question: for each browser in which the account
// was verified, and last for one without a record. For a moment that is over it may be
// wrong: what was verified since has replaced what was there. Replay tells that. ErrUnknown.
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

// Replay is the decision of a trace, as it was made. ErrUnknown.
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
		one := ExplainedRecord{Place: r.Place.String(), Browser: r.Browser.Agent, Verified: r.Verified, Decided: i == d.Nearest}
		if i < len(d.Each) {
			one.Reason = string(d.Each[i])
		}
		e.Records = append(e.Records, one)
	}
	return e
}
