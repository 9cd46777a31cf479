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

// DecisionRecord is what was, or would be, decided about a right password: whether the second
// step is asked for, why, and all that was looked at.
type DecisionRecord struct {
	trust.Decision
	Trace   string // the same for the same decision at the same moment; in the log and the history
	At      time.Time
	Device  string // "" if the browser is not known
	Records []trust.Record
	Request trust.Request
	Policy  trust.Policy
}

// NearestRecord is the record that decided, if one did.
func (d DecisionRecord) NearestRecord() (trust.Record, bool) {
	if d.NearestIndex < 0 {
		return trust.Record{}, false
	}
	return d.Records[d.NearestIndex], true
}

// FindAndDecide recognises the browser of a request, and decides about it.
func (d *Devices) FindAndDecide(ctx context.Context, a store.AccountRef,
	from origin.Origin) (RequestDevice, DecisionRecord, error) {
	b, err := d.FindDevice(ctx, a, from)
	return b, d.Decide(a, b, from.TrustRequest(), d.Now()), err
}

// Decide is the trust decision of the house about a right password.
func (d *Devices) Decide(a store.AccountRef, b RequestDevice, q trust.Request, now time.Time) DecisionRecord {
	now = now.Truncate(time.Millisecond)
	is := DecisionRecord{At: now, Device: b.ID, Records: b.records, Request: q, Policy: d.Policy}
	switch {
	case b.RevokeReason != "":
		is.Decision = trust.Decision{Reason: b.RevokeReason, NearestIndex: -1}
	case b.LatestTime.After(now.Add(time.Minute)): // this clock was set back, or another server's is ahead
		is.Decision = trust.Decision{Reason: trust.ClockSetBack, NearestIndex: -1}
	default:
		is.Decision = trust.Decide(b.records, q, d.Policy, now)
	}
	sum := d.Keys.MAC("trace", a.ID, string(is.Reason), string(is.marshalInputs()))
	is.Trace = base32.StdEncoding.EncodeToString(sum[:10])
	return is
}

// decisionInputs is all that a decision looked at, as it is kept.
type decisionInputs struct {
	At                     store.Time
	Device                 string
	Records                []recordInputs
	Address                string
	UserAgent, ClientHints string
	Policy                 trust.Policy
	RecordReasons          []trust.Reason
	NearestIndex           int
}

type recordInputs struct {
	ID                     string
	Network                trust.ClientNetwork
	UserAgent, ClientHints string
	VerifiedAt             store.Time
	RevokeReason           trust.Reason
}

func (d DecisionRecord) marshalInputs() []byte {
	l := decisionInputs{
		At: store.Time(d.At), Device: d.Device, UserAgent: d.Request.Browser.UserAgent,
		ClientHints: d.Request.Browser.ClientHints, Policy: d.Policy,
		RecordReasons: d.RecordReasons, NearestIndex: d.NearestIndex,
	}
	if d.Request.Address.IsValid() {
		l.Address = d.Request.Address.String()
	}
	for _, r := range d.Records {
		l.Records = append(l.Records, recordInputs{r.ID, r.Network, r.Browser.UserAgent, r.Browser.ClientHints,
			store.Time(r.VerifiedAt), r.RevokeReason})
	}
	var body bytes.Buffer
	to := json.NewEncoder(&body)
	to.SetEscapeHTML(false) // it only makes it longer
	if err := to.Encode(l); err != nil {
		panic("device: " + err.Error()) // texts and numbers
	}
	return body.Bytes()
}

// maxDecisions are those that are kept of one account.
const maxDecisions = 200

// RecordDecision keeps a decision for its owner and the operator. That a browser of the account is asked
// all the same is an event.
func (d *Devices) RecordDecision(ctx context.Context, tx *store.DB, a store.AccountRef, by DecisionRecord) error {
	err := tx.CreateTrustDecision(ctx, store.TrustDecision{
		ID: by.Trace, DecidedAt: by.At, AccountID: a.ID, DeviceID: by.Device, Reason: string(by.Reason),
		Body: d.Keys.Seal("decision "+by.Trace, by.marshalInputs()),
	})
	if err != nil {
		return err
	}
	if err := tx.PruneTrustDecisions(ctx, a.ID,
		maxDecisions); err != nil || by.Device == "" || by.Reason == trust.Trusted {
		return err
	}
	e := audit.Event{Kind: audit.TrustDenied, Account: a.ID, Target: audit.Target("device", by.Device),
		Reason: string(by.Reason), Trace: by.Trace, Result: audit.Failure}
	from := origin.Origin{Address: by.Request.Address, UserAgent: by.Request.Browser.UserAgent}
	return d.Accounts.Event(ctx, tx, e, from)
}

// LogDecision writes a decision into the log, once it is kept.
func (d *Devices) LogDecision(a store.AccountRef, by DecisionRecord) {
	d.Log.Info("trust decided", "account", a.ID, "reason", by.Reason, "trace", by.Trace, "at",
		by.At.UTC().Format(time.RFC3339Nano))
}

// openDecision is a decision that was kept.
func (d *Devices) openDecision(row store.TrustDecision) (DecisionRecord, error) {
	var l decisionInputs
	body, err := d.Keys.Open("decision "+row.ID, row.Body)
	if err == nil {
		err = json.Unmarshal(body, &l)
	}
	if err != nil {
		return DecisionRecord{}, fmt.Errorf("device: decision %s: %w", row.ID, err)
	}
	is := DecisionRecord{
		Decision: trust.Decision{Reason: trust.Reason(row.Reason), NearestIndex: l.NearestIndex,
			RecordReasons: l.RecordReasons},
		Trace: row.ID, At: time.Time(l.At), Device: l.Device, Policy: l.Policy,
	}
	is.Request.Browser = trust.ParseBrowser(l.UserAgent, l.ClientHints)
	is.Request.Address, _ = netip.ParseAddr(l.Address) // "": nobody knew it
	for _, r := range l.Records {
		is.Records = append(is.Records, trust.Record{ID: r.ID, Network: r.Network,
			Browser: trust.ParseBrowser(r.UserAgent, r.ClientHints), VerifiedAt: time.Time(r.VerifiedAt),
			RevokeReason: r.RevokeReason})
	}
	return is, nil
}

// secondStepHistory is how many of the last questions their owner sees.
const secondStepHistory = 10

// ListSecondStepDecisions are the last times that somebody with the right password was asked for the
// second step, the newest first, with the whole reason.
func (d *Devices) ListSecondStepDecisions(ctx context.Context, who SessionDevice) ([]DecisionRecord, error) {
	rows, err := d.Store.ListSecondStepDecisions(ctx, who.ID, secondStepHistory)
	if err != nil {
		return nil, fmt.Errorf("device: questions: %w", err)
	}
	var list []DecisionRecord
	for _, row := range rows {
		one, err := d.openDecision(row)
		if err != nil {
			d.Log.Error("decision does not open", "trace", row.ID, "error", err)
			continue
		}
		list = append(list, one)
	}
	return list, nil
}

// PreviewDecision is what would be decided if the person signed in now in this browser. Nothing is
// kept of it.
func (d *Devices) PreviewDecision(ctx context.Context, who SessionDevice, from origin.Origin) (DecisionRecord, error) {
	_, is, err := d.FindAndDecide(ctx, who.AccountRef, from)
	return is, err
}

// ReplayDecision is the decision of a trace, as it was. account.ErrUnknown.
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

// ExplainTrust is what is decided about a right password for an account at a moment: for each
// browser that it was verified in, and last for one that has no record. account.ErrEmail,
// account.ErrUnknown.
func (d *Devices) ExplainTrust(ctx context.Context, email string, q trust.Request,
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
			continue // later than this moment
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
	var list []DecisionRecord
	for _, b := range append(browsers, RequestDevice{}) {
		list = append(list, d.Decide(a.Ref(), b, q, at))
	}
	return list, nil
}
