package device

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// DecisionRecord is a trust decision after a correct password, with all of its inputs.
type DecisionRecord struct {
	trust.Decision
	Trace   string // id of the decision in the log and the history; equal for equal decisions at the same time
	At      time.Time
	Device  string // "" if the browser is not known
	Records []trust.Record
	Request trust.Request
	Policy  trust.Policy
	Circumstances
}

// Circumstances are what a decision depends on besides the records, the request and the policy.
type Circumstances struct {
	App    string   `json:",omitempty"` // client ID of the app that the person came from; "": none
	Groups []string `json:",omitempty"` // of the account
	// SecondStep says that the second step was required in any case, by the app or because the account was frozen.
	SecondStep bool `json:",omitempty"`
	// Revoked is why the cookie of the browser was not accepted; "": it was.
	Revoked trust.Reason `json:",omitempty"`
	// ClockBehind says that the clock of the server was behind the latest time that any server had seen.
	ClockBehind bool `json:",omitempty"`
}

// NearestRecord returns the record that decided, if there is one.
func (d DecisionRecord) NearestRecord() (trust.Record, bool) {
	if d.NearestIndex < 0 {
		return trust.Record{}, false
	}
	return d.Records[d.NearestIndex], true
}

// FindAndDecide finds the device of a request and decides whether it is trusted.
func (d *Devices) FindAndDecide(ctx context.Context, a store.AccountRef, c Circumstances,
	from origin.Origin) (RequestDevice, DecisionRecord, error) {
	b, err := d.FindDevice(ctx, a, from)
	return b, d.Decide(a, b, c, from.TrustRequest(), d.Now()), err
}

// Decide decides at the time now whether the second step may be skipped for the account in b.
func (d *Devices) Decide(
	a store.AccountRef, b RequestDevice, c Circumstances, q trust.Request, now time.Time,
) DecisionRecord {
	now = now.Truncate(time.Millisecond)
	c.Revoked, c.ClockBehind = b.RevokeReason, b.LatestTime.After(now.Add(time.Minute))
	decision := DecisionRecord{
		At: now, Device: b.ID, Records: b.records, Request: q, Circumstances: c, Policy: d.policy(d.Limits(c.Groups, c.App)),
	}
	decision.Decision = decision.under(decision.Policy)
	sum := d.Keys.MAC("trace", a.ID, string(decision.Reason), string(decision.marshalInputs()))
	decision.Trace = base32.StdEncoding.EncodeToString(sum[:10])
	return decision
}

// under returns what is decided under a policy.
func (d DecisionRecord) under(p trust.Policy) trust.Decision {
	switch {
	case d.Revoked != "":
		return trust.Decision{Reason: d.Revoked, NearestIndex: -1}
	case d.ClockBehind: // our clock was set back, or that of another server is ahead
		return trust.Decision{Reason: trust.ClockSetBack, NearestIndex: -1}
	}
	return trust.Decide(d.Records, d.Request, p, d.At)
}

// Skips reports whether the second step is skipped.
func (d DecisionRecord) Skips() bool { return d.Reason == trust.Trusted && !d.SecondStep }

// decisionInputs is the stored form of a DecisionRecord.
type decisionInputs struct {
	At                     store.Time
	Device                 string
	Records                []recordInputs
	Address                string
	UserAgent, ClientHints string
	Policy                 trust.Policy
	RecordReasons          []trust.Reason
	NearestIndex           int
	Circumstances
}

type recordInputs struct {
	ID                     string
	Network                trust.ClientNetwork
	UserAgent, ClientHints string
	VerifiedAt             store.Time
	RevokeReason           trust.Reason
	TTL                    time.Duration `json:",omitempty"`
	Method                 string        `json:",omitempty"`
}

func (d DecisionRecord) marshalInputs() []byte {
	inputs := decisionInputs{
		At: store.Time(d.At), Device: d.Device, UserAgent: d.Request.Browser.UserAgent,
		ClientHints: d.Request.Browser.ClientHints, Policy: d.Policy,
		RecordReasons: d.RecordReasons, NearestIndex: d.NearestIndex, Circumstances: d.Circumstances,
	}
	if d.Request.Address.IsValid() {
		inputs.Address = d.Request.Address.String()
	}
	for _, r := range d.Records {
		inputs.Records = append(inputs.Records, recordInputs{
			r.ID, r.Network, r.Browser.UserAgent, r.Browser.ClientHints, store.Time(r.VerifiedAt), r.RevokeReason, r.TTL,
			r.Method,
		})
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // makes it longer, and it is not used in HTML
	if err := encoder.Encode(inputs); err != nil {
		panic("device: " + err.Error()) // cannot happen: all fields can be marshaled
	}
	return body.Bytes()
}

const (
	// KeepDecisions is how long decisions are kept.
	KeepDecisions = 60 * 24 * time.Hour
	// maxDecisions is how many decisions of an account are left when it has more than twice as many.
	maxDecisions = 200
)

// RecordDecision stores a decision for the account holder and operators. If the second step is required in a device of
// the account, it also records an event.
func (d *Devices) RecordDecision(ctx context.Context, tx *store.DB, a store.AccountRef, decision DecisionRecord) error {
	full, err := tx.CreateTrustDecision(ctx, store.TrustDecision{
		ID: decision.Trace, DecidedAt: decision.At, AccountID: a.ID, DeviceID: decision.Device,
		Reason: string(decision.Reason),
		Body:   d.Keys.Seal("decision "+decision.Trace, decision.marshalInputs()),
	}, 2*maxDecisions)
	if err == nil && full {
		err = tx.PruneTrustDecisions(ctx, a.ID, maxDecisions)
	}
	if err != nil || decision.Device == "" || decision.Reason == trust.Trusted {
		return err
	}
	e := audit.Event{Kind: audit.TrustDenied, Account: a.ID, Target: audit.Target("device", decision.Device),
		Reason: string(decision.Reason), Trace: decision.Trace, Result: audit.Failure}
	from := origin.Origin{Address: decision.Request.Address, UserAgent: decision.Request.Browser.UserAgent}
	return d.Accounts.Event(ctx, tx, e, from)
}

// LogDecision logs a decision and reports it to Observe. Call it after the commit of RecordDecision.
func (d *Devices) LogDecision(a store.AccountRef, decision DecisionRecord) {
	if d.Observe != nil {
		d.Observe(decision.Reason)
	}
	d.Log.Info("trust decided", "account", a.ID, "address", decision.Request.Address, "reason", decision.Reason,
		"trace", decision.Trace, "at", decision.At.UTC().Format(time.RFC3339Nano))
}

// openDecision decrypts a stored decision.
func (d *Devices) openDecision(row store.TrustDecision) (DecisionRecord, error) {
	var inputs decisionInputs
	body, err := d.Keys.Open("decision "+row.ID, row.Body)
	if err == nil {
		err = json.Unmarshal(body, &inputs)
	}
	if err != nil {
		return DecisionRecord{}, fmt.Errorf("device: decision %s: %w", row.ID, err)
	}
	decision := DecisionRecord{
		Decision: trust.Decision{Reason: trust.Reason(row.Reason), NearestIndex: inputs.NearestIndex,
			RecordReasons: inputs.RecordReasons},
		Trace: row.ID, At: time.Time(inputs.At), Device: inputs.Device, Policy: inputs.Policy,
		Circumstances: inputs.Circumstances,
	}
	decision.Request.Browser = trust.ParseBrowser(inputs.UserAgent, inputs.ClientHints)
	decision.Request.Address, _ = netip.ParseAddr(inputs.Address) // zero if it was unknown
	for _, r := range inputs.Records {
		decision.Records = append(decision.Records, trust.Record{
			ID: r.ID, Network: r.Network, Browser: trust.ParseBrowser(r.UserAgent, r.ClientHints),
			VerifiedAt: time.Time(r.VerifiedAt), RevokeReason: r.RevokeReason, TTL: r.TTL, Method: r.Method,
		})
	}
	return decision, nil
}

// secondStepHistory is how many decisions ListSecondStepDecisions returns at most.
const secondStepHistory = 10

// ListSecondStepDecisions lists the last times that the second step was required after the correct password of the
// person's account, newest first.
func (d *Devices) ListSecondStepDecisions(ctx context.Context, person SessionDevice) ([]DecisionRecord, error) {
	rows, err := d.Store.ListSecondStepDecisions(ctx, person.ID, secondStepHistory)
	if err != nil {
		return nil, fmt.Errorf("device: list decisions: %w", err)
	}
	var list []DecisionRecord
	for _, row := range rows {
		one, err := d.openDecision(row)
		if err != nil {
			d.Log.Error("trust decision cannot be decrypted", "trace", row.ID, "error", err)
			continue
		}
		list = append(list, one)
	}
	return list, nil
}

// PreviewDecision returns what would be decided if the person signed in now in this browser. It stores nothing.
func (d *Devices) PreviewDecision(ctx context.Context, person SessionDevice,
	from origin.Origin) (DecisionRecord, error) {
	_, decision, err := d.FindAndDecide(ctx, person.AccountRef, Circumstances{Groups: person.Groups}, from)
	return decision, err
}

// ReplayDecision returns the stored decision with this trace. It returns account.ErrUnknown if there is none.
func (d *Devices) ReplayDecision(ctx context.Context, trace string) (DecisionRecord, error) {
	row, err := d.Store.GetTrustDecision(ctx, trace)
	if errors.Is(err, store.ErrNotFound) {
		return DecisionRecord{}, account.ErrUnknown
	}
	if err != nil {
		return DecisionRecord{}, fmt.Errorf("device: replay: %w", err)
	}
	return d.openDecision(row)
}

// ExplainTrust returns what would be decided for an account in an app ("": in none) at the time at: for each device that was verified by then,
// and last for a device without a record. It returns account.ErrEmail or account.ErrUnknown.
func (d *Devices) ExplainTrust(ctx context.Context, email, app string, q trust.Request,
	at time.Time) ([]DecisionRecord, error) {
	a, err := d.Accounts.Find(ctx, email)
	if err != nil {
		return nil, err
	}
	rows, err := d.Store.ListTrustedNetworks(ctx, a.ID)
	if err != nil {
		return nil, fmt.Errorf("device: explain: %w", err)
	}
	var browsers []RequestDevice
	for _, row := range rows {
		if row.VerifiedAt.After(at) {
			continue // verified later
		}
		if row.RevokedAt.After(at) {
			row.RevokeReason, row.Epoch = "", a.Epoch // it had not ended yet
		}
		i := slices.IndexFunc(browsers, func(b RequestDevice) bool { return b.ID == row.DeviceID })
		if i < 0 {
			i = len(browsers)
			browsers = append(browsers,
				RequestDevice{DeviceView: store.DeviceView{Device: store.Device{ID: row.DeviceID}}})
		}
		browsers[i].records = append(browsers[i].records, d.openRecord(row, a.Ref()))
	}
	c := Circumstances{App: app, Groups: account.SplitGroups(a.Groups)}
	var list []DecisionRecord
	for _, b := range append(browsers, RequestDevice{}) {
		list = append(list, d.Decide(a.Ref(), b, c, q, at))
	}
	return list, nil
}
