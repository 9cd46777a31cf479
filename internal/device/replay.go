package device

import (
	"context"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Replayed is what became of the kept decisions of one account under other rules.
type Replayed struct {
	AccountID string
	Decisions int
	Asked     int // times that the second step was required
	WouldAsk  int // times that it would have been required
	// Inexact is how many decisions could not be decided again from what is kept of them: with the policy of their time,
	// another result came out.
	Inexact int
	// Changed is how many decisions have another result or reason under the other rules.
	Changed int
	Apps    []string // to which the person signed in; "": to none
}

// replayPage is how many decisions are read at a time.
const replayPage = 500

// Replay decides every kept decision since a time again, under other rules, and calls f for each account. Where the
// second step would have been required and was not, the person is taken to have completed it and to have trusted the
// device again. Under the rules of their time all decisions are as they were. It stops with the first error of f.
func (d *Devices) Replay(
	ctx context.Context, rules *policy.Rules, since time.Time, f func(Replayed) error,
) error {
	var after store.TrustDecisionCursor
	r := replay{devices: d, rules: rules}
	for {
		rows, err := d.Store.ListTrustDecisions(ctx, since, after, replayPage)
		if err != nil {
			return fmt.Errorf("device: replay: %w", err)
		}
		for _, row := range rows {
			if row.AccountID != r.AccountID {
				if err := r.finish(f); err != nil {
					return err
				}
				r.Replayed, r.verified = Replayed{AccountID: row.AccountID}, map[string]time.Time{}
			}
			one, err := d.openDecision(row)
			if err != nil {
				d.Log.Error("trust decision cannot be decrypted", "trace", row.ID, "error", err)
				continue
			}
			r.add(one)
		}
		if len(rows) < replayPage {
			return r.finish(f)
		}
		last := rows[len(rows)-1]
		after = store.TrustDecisionCursor{AccountID: last.AccountID, At: last.DecidedAt, ID: last.ID}
	}
}

// replay is the replay of one account, which has come to some decision.
type replay struct {
	Replayed
	devices  *Devices
	rules    *policy.Rules
	verified map[string]time.Time // by record: when the person would have completed the second step again
}

func (r *replay) finish(f func(Replayed) error) error {
	if r.Decisions == 0 {
		return nil
	}
	return f(r.Replayed)
}

// same reports whether two decisions are the same, for every record.
func same(a, b trust.Decision) bool {
	return a.Reason == b.Reason && a.NearestIndex == b.NearestIndex && slices.Equal(a.RecordReasons, b.RecordReasons)
}

func (r *replay) add(was DecisionRecord) {
	r.Decisions++
	if !slices.Contains(r.Apps, was.App) {
		r.Apps = append(r.Apps, was.App)
	}
	if again := was.under(was.Policy); !same(again, was.Decision) {
		r.Inexact++
	}
	would := r.again(was)
	if !same(would.Decision, was.Decision) {
		r.Changed++
	}
	if !was.Skips() {
		r.Asked++
	}
	if would.Skips() {
		return
	}
	r.WouldAsk++
	if record, ok := was.NearestRecord(); ok && was.Skips() {
		r.verified[record.ID] = was.At
	}
}

// again returns the decision under the rules of the replay.
func (r *replay) again(was DecisionRecord) DecisionRecord {
	would := was
	would.Policy = r.devices.policy(r.rules.For(was.Groups, was.App))
	would.Policy.Network, would.Policy.Browser = was.Policy.Network, was.Policy.Browser
	would.Records = slices.Clone(was.Records)
	for i, record := range would.Records {
		if record.TTL == was.Policy.TTL { // the person would have been told the other time
			would.Records[i].TTL = would.Policy.TTL
		}
		if at, ok := r.verified[record.ID]; ok {
			would.Records[i].VerifiedAt = at
			if len(would.Policy.Methods) > 0 {
				would.Records[i].Method = would.Policy.Methods[0]
			}
		}
	}
	would.Decision = would.under(would.Policy)
	return would
}
