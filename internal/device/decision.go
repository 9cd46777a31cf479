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

// Decision is what was, or would be, decided about a right password: whether the second
// step is asked for, why, and all that was looked at.
type Decision struct {
	trust.Decision
	Trace   string // the same for the same decision at the same moment; in the log and the history
	At      time.Time
	Device  string // "" if the browser is not known
	Records []trust.Record
	Request trust.Request
	Policy  trust.Policy
}

// Old is the record that decided, if one did.
func (d Decision) Old() (trust.Record, bool) {
	if d.Nearest < 0 {
		return trust.Record{}, false
	}
	return d.Records[d.Nearest], true
}

// Look recognises the browser of a request, and decides about it.
func (d *Devices) Look(ctx context.Context, a store.AccountRef, from origin.Origin) (Browser, Decision, error) {
	b, err := d.Recognise(ctx, a, from)
	return b, d.Decide(a, b, from.TrustRequest(), d.Now()), err
}

// Decide is the trust decision of the house about a right password.
func (d *Devices) Decide(a store.AccountRef, b Browser, q trust.Request, now time.Time) Decision {
	now = now.Truncate(time.Millisecond)
	is := Decision{At: now, Device: b.ID, Records: b.records, Request: q, Policy: d.Policy}
	switch {
	case b.Ended != "":
		is.Decision = trust.Decision{Reason: b.Ended, Nearest: -1}
	case b.Latest > store.Millis(now.Add(time.Minute)): // this clock was set back, or another server's is ahead
		is.Decision = trust.Decision{Reason: trust.BehindTime, Nearest: -1}
	default:
		is.Decision = trust.Decide(b.records, q, d.Policy, now)
	}
	sum := d.Keys.MAC("trace", a.ID, string(is.Reason), string(is.body()))
	is.Trace = base32.StdEncoding.EncodeToString(sum[:10])
	return is
}

// looked is all that a decision looked at, as it is kept.
type looked struct {
	At           int64
	Device       string
	Records      []lookedRecord
	Address      string
	Agent, Hints string
	Policy       trust.Policy
	Each         []trust.Reason
	Nearest      int
}

type lookedRecord struct {
	ID           string
	Place        trust.Place
	Agent, Hints string
	Verified     int64
	Ended        trust.Reason
}

func (d Decision) body() []byte {
	l := looked{
		At: store.Millis(d.At), Device: d.Device, Agent: d.Request.Browser.Agent, Hints: d.Request.Browser.Hints, Policy: d.Policy,
		Each: d.Each, Nearest: d.Nearest,
	}
	if d.Request.Address.IsValid() {
		l.Address = d.Request.Address.String()
	}
	for _, r := range d.Records {
		l.Records = append(l.Records, lookedRecord{r.ID, r.Place, r.Browser.Agent, r.Browser.Hints, store.Millis(r.Verified), r.Ended})
	}
	var body bytes.Buffer
	to := json.NewEncoder(&body)
	to.SetEscapeHTML(false) // it only makes it longer
	if err := to.Encode(l); err != nil {
		panic("device: " + err.Error()) // texts and numbers
	}
	return body.Bytes()
}

// mostDecisions are those that are kept of one account.
const mostDecisions = 200

// Remember keeps a decision for its owner and the operator. That a browser of the account is asked
// all the same is an event.
func (d *Devices) Remember(ctx context.Context, tx *store.DB, a store.AccountRef, by Decision) error {
	err := tx.AddDecision(ctx, store.Decision{
		ID: by.Trace, At: store.Millis(by.At), Account: a.ID, Device: by.Device, Reason: string(by.Reason),
		Body: d.Keys.Seal("decision "+by.Trace, by.body()),
	})
	if err != nil {
		return err
	}
	if err := tx.KeepDecisions(ctx, a.ID, mostDecisions); err != nil || by.Device == "" || by.Reason == trust.Trusted {
		return err
	}
	e := audit.Event{Kind: audit.TrustDenied, Account: a.ID, Target: audit.Target("device", by.Device), Reason: string(by.Reason), Trace: by.Trace, Result: audit.Failure}
	from := origin.Origin{Address: by.Request.Address, UserAgent: by.Request.Browser.Agent}
	return d.Accounts.Event(ctx, tx, e, from)
}

// LogDecision writes a decision into the log, once it is kept.
func (d *Devices) LogDecision(a store.AccountRef, by Decision) {
	d.Log.Info("trust decided", "account", a.ID, "reason", by.Reason, "trace", by.Trace, "at", by.At.UTC().Format(time.RFC3339Nano))
}

// remembered is a decision that was kept.
func (d *Devices) remembered(row store.Decision) (Decision, error) {
	var l looked
	body, err := d.Keys.Open("decision "+row.ID, row.Body)
	if err == nil {
		err = json.Unmarshal(body, &l)
	}
	if err != nil {
		return Decision{}, fmt.Errorf("device: decision %s: %w", row.ID, err)
	}
	is := Decision{
		Decision: trust.Decision{Reason: trust.Reason(row.Reason), Nearest: l.Nearest, Each: l.Each},
		Trace:    row.ID, At: store.Time(l.At), Device: l.Device, Policy: l.Policy,
	}
	is.Request.Browser = trust.ReadBrowser(l.Agent, l.Hints)
	is.Request.Address, _ = netip.ParseAddr(l.Address) // "": nobody knew it
	for _, r := range l.Records {
		is.Records = append(is.Records, trust.Record{ID: r.ID, Place: r.Place, Browser: trust.ReadBrowser(r.Agent, r.Hints), Verified: store.Time(r.Verified), Ended: r.Ended})
	}
	return is, nil
}

// history is how many of the last questions their owner sees.
const history = 10

// Questions are the last times that somebody with the right password was asked for the
// second step, the newest first, with the whole reason.
func (d *Devices) Questions(ctx context.Context, who Owner) ([]Decision, error) {
	rows, err := d.Store.Questions(ctx, who.ID, history)
	if err != nil {
		return nil, fmt.Errorf("device: questions: %w", err)
	}
	var list []Decision
	for _, row := range rows {
		one, err := d.remembered(row)
		if err != nil {
			d.Log.Error("decision does not open", "trace", row.ID, "error", err)
			continue
		}
		list = append(list, one)
	}
	return list, nil
}

// Outlook is what would be decided if the person signed in now in this browser. Nothing is
// kept of it.
func (d *Devices) Outlook(ctx context.Context, who Owner, from origin.Origin) (Decision, error) {
	_, is, err := d.Look(ctx, who.AccountRef, from)
	return is, err
}

// Replay is the decision of a trace, as it was. account.ErrUnknown.
func (d *Devices) Replay(ctx context.Context, trace string) (Decision, error) {
	row, err := d.Store.Decision(ctx, trace)
	if errors.Is(err, store.ErrNotFound) {
		return Decision{}, account.ErrUnknown
	}
	if err != nil {
		return Decision{}, fmt.Errorf("device: replay: %w", err)
	}
	return d.remembered(row)
}

// Explain is what is decided about a right password for an account at a moment: for each
// browser that it was verified in, and last for one that has no record. account.ErrEmail,
// account.ErrUnknown.
func (d *Devices) Explain(ctx context.Context, email string, q trust.Request, at time.Time) ([]Decision, error) {
	a, err := d.Accounts.Find(ctx, email)
	if err != nil {
		return nil, err
	}
	rows, err := d.Store.Places(ctx, a.ID)
	if err != nil {
		return nil, fmt.Errorf("device: explain: %w", err)
	}
	var browsers []Browser
	for _, row := range rows {
		if row.VerifiedAt > store.Millis(at) {
			continue // later than this moment
		}
		if row.EndedAt > store.Millis(at) {
			row.Ended, row.Epoch = "", a.Epoch // it had not ended yet
		}
		i := slices.IndexFunc(browsers, func(b Browser) bool { return b.ID == row.Device })
		if i < 0 {
			i = len(browsers)
			browsers = append(browsers, Browser{Seen: store.Seen{Device: store.Device{ID: row.Device}}})
		}
		browsers[i].records = append(browsers[i].records, d.record(row, a.Ref()))
	}
	var list []Decision
	for _, b := range append(browsers, Browser{}) {
		list = append(list, d.Decide(a.Ref(), b, q, at))
	}
	return list, nil
}
