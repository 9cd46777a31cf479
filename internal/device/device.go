// Package device stores the browsers of an account, and decides by trust whether one is asked for the
// second step.
//
//	cookie ─▶ Recognise ─▶ Decide ─▶ Use (step two is skipped)
//	                              └▶ … both steps … ─▶ Meet ─▶ Trust, if the person wants it
//
// A browser shows a secret that changes with every use. The package opens no session and
// sends no code.
package device

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Devices are the browsers of all accounts.
type Devices struct {
	Store    *store.DB
	Keys     *seal.Keys
	Now      func() time.Time
	Log      *slog.Logger
	Accounts *account.Accounts // whose owners are notified
	Policy   trust.Policy
}

// turning is for how long two secrets of a browser are good at once: tabs that sign in at
// the same time show the same one, and an answer may get lost on its way.
const turning = time.Minute

// Browser is the browser of a request, as an account knows it.
type Browser struct {
	store.Seen                // ID "": it is not known
	Ended      trust.Reason   // why its cookie counts no more; "": it does
	Copied     bool           // there is a copy of the cookie, and nobody has been told
	token      string         // the cookie
	shown      []byte         // hash of the secret in it
	records    []trust.Record // of the account, as the places
}

// Recognise finds the browser of a request by its cookie. One that is forged, cut short or
// of nobody is none. It is one read.
func (d *Devices) Recognise(ctx context.Context, a store.AccountRef, from origin.Origin) (Browser, error) {
	series, secret, ok := seal.SplitDevice(from.DeviceToken)
	if !ok {
		return Browser{}, nil
	}
	seen, err := d.Store.Device(ctx, seal.Hash(series), a.ID, store.Millis(d.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return Browser{}, nil
	}
	if err != nil {
		return Browser{}, fmt.Errorf("device: device: %w", err)
	}
	b := Browser{Seen: seen, Ended: trust.Reason(seen.Ended), token: from.DeviceToken, shown: seal.Hash(secret)}
	if b.Ended == "" && !d.current(b) {
		b.Ended, b.Copied = trust.EndedStolen, true
	}
	if b.Ended != "" {
		return b, nil
	}
	for _, p := range seen.Places {
		b.records = append(b.records, d.record(p, a))
	}
	b.Copied = trust.Elsewhere(b.records, from.TrustRequest(), d.Policy)
	return b, nil
}

// Known is the id of the browser of a request if the account of this address knows it; ""
// if not. It is one read, whether or not there is such an account.
func (d *Devices) Known(ctx context.Context, email string, from origin.Origin) (string, error) {
	series, secret, ok := seal.SplitDevice(from.DeviceToken)
	address, err := account.ParseEmail(email)
	if !ok || err != nil {
		return "", nil
	}
	row, err := d.Store.KnownDevice(ctx, seal.Hash(series), address, store.Millis(d.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("device: known: %w", err)
	}
	if b := (Browser{Seen: store.Seen{Device: row}, shown: seal.Hash(secret)}); row.Ended != "" || !d.current(b) {
		return "", nil
	}
	return row.ID, nil
}

// Knows is the id of the browser if the account has taken both steps in it; "" if not.
func (b Browser) Knows() string {
	if b.ProvedAt == 0 || b.Ended != "" {
		return ""
	}
	return b.ID
}

// current reports whether a browser shows a secret that is good: the one that counts, its
// successor, or for a moment its predecessor.
func (d *Devices) current(b Browser) bool {
	late := store.Time(b.PastAt).Add(turning)
	return seal.SameHash(b.shown, b.Secret) || seal.SameHash(b.shown, b.Next) || seal.SameHash(b.shown, b.Past) && !d.Now().After(late)
}

// keptPlace is what the sealed body of a place holds.
type keptPlace struct {
	Place        trust.Place
	Agent, Hints string
}

// record is a place as the trust decision looks at it. One that does not open is as good
// as none, and one of another epoch has ended whether or not anybody wrote it down.
func (d *Devices) record(p store.Place, a store.AccountRef) trust.Record {
	r := trust.Record{ID: p.ID, Verified: store.Time(p.VerifiedAt), Ended: trust.Reason(p.Ended)}
	if r.Ended == "" && p.Epoch != a.Epoch {
		r.Ended = trust.EndedChanged
	}
	var k keptPlace
	body, err := d.Keys.Open(placeOf(p), p.Body)
	if err == nil {
		err = json.Unmarshal(body, &k)
	}
	if err != nil {
		d.Log.Error("place does not open", "place", p.ID, "error", err)
		r.Ended = trust.EndedChanged
	}
	r.Place, r.Browser = k.Place, trust.ReadBrowser(k.Agent, k.Hints)
	return r
}

// placeOf is where the body of a place is sealed for: it opens for no other browser and
// account.
func placeOf(p store.Place) string { return "place " + p.ID + " " + p.Device + " " + p.Account }

func (d *Devices) place(r trust.Record, device string, a store.AccountRef) (store.Place, error) {
	p := store.Place{ID: r.ID, Device: device, Account: a.ID, Epoch: a.Epoch, VerifiedAt: store.Millis(r.Verified)}
	body, err := json.Marshal(keptPlace{r.Place, r.Browser.Agent, r.Browser.Hints})
	if err != nil {
		return p, fmt.Errorf("device: place: %w", err)
	}
	p.Body = d.Keys.Seal(placeOf(p), body)
	return p, nil
}

// Meet makes the browser of a request known as the account's, in the transaction of a
// proof of both steps, and gives it the next secret. The token is "" if it keeps the one
// it has.
func (d *Devices) Meet(ctx context.Context, tx *store.DB, a store.AccountRef, b Browser) (device, token string, err error) {
	now := d.Now()
	err = store.ErrNotFound
	if b.ID != "" && b.Ended == "" {
		device = b.ID
		token, err = d.turn(ctx, tx, b, now.Add(trust.Known))
	}
	if errors.Is(err, store.ErrNotFound) { // it is not known, or has ended
		device, token = rand.Text(), seal.DeviceToken()
		series, secret, _ := seal.SplitDevice(token)
		err = tx.AddDevice(ctx, store.Device{ID: device, Series: seal.Hash(series), Secret: seal.Hash(secret), EndsAt: store.Millis(now.Add(trust.Known))})
	}
	if err != nil {
		return "", "", err
	}
	if err := tx.KnowDevice(ctx, device, a.ID, store.Millis(now)); err != nil {
		return "", "", err
	}
	return device, token, tx.KeepOwners(ctx, a.ID, trust.MostKnown)
}

// turn gives the browser the next secret. The one it has stays good until it shows the new
// one, so that an answer that gets lost does no harm; whoever shows it after that has a
// copy. A browser writes its cookies down a while after it gets them: a new secret takes
// over once that has passed. store.ErrNotFound: the device has ended.
func (d *Devices) turn(ctx context.Context, tx *store.DB, b Browser, ends time.Time) (token string, err error) {
	now := store.Millis(d.Now())
	is := b.Device
	is.EndsAt = store.Millis(ends)
	switch {
	case seal.SameHash(b.shown, is.Secret):
	case seal.SameHash(b.shown, is.Next) && now-is.NextAt > turning.Milliseconds():
		is.Past, is.PastAt, is.Secret = is.Secret, now, is.Next
	default:
		return "", tx.RenewDevice(ctx, b.ID, is.EndsAt)
	}
	token = d.Keys.NextDeviceToken(b.token)
	_, secret, _ := seal.SplitDevice(token)
	is.Next, is.NextAt = seal.Hash(secret), now
	err = tx.TurnDevice(ctx, b.Device, is)
	if errors.Is(err, store.ErrNotFound) { // another tab was faster, or it has ended
		return "", tx.RenewDevice(ctx, b.ID, is.EndsAt)
	}
	return token, err
}

// Verified is a sign-in in which both steps were taken.
type Verified struct {
	Account store.Account
	SignIn  string
	Device  string
	// NewDevice says that Meet has just created the device, so that it has no networks yet.
	NewDevice bool
	Place     trust.Place // where it was seen, by either family of addresses
}

// AddPlace adds the place of a sign-in to those from which the browser is trusted, after
// Meet in its transaction, and tells the owner if it is a new one.
func (d *Devices) AddPlace(ctx context.Context, tx *store.DB, v Verified, from origin.Origin) error {
	fresh := trust.Record{ID: rand.Text(), Browser: from.TrustRequest().Browser, Verified: d.Now()}
	if d.Policy.Network != trust.Anywhere {
		fresh.Place = v.Place
	}
	var before []trust.Record
	if !v.NewDevice {
		rows, err := tx.PlacesIn(ctx, v.Device, v.Account.ID)
		if err != nil {
			return err
		}
		for _, p := range rows {
			before = append(before, d.record(p, v.Account.Ref()))
		}
	}
	if err := d.savePlaces(ctx, tx, v, before, trust.Added(before, fresh)); err != nil {
		return err
	}
	if err := tx.KeepDevices(ctx, v.Account.ID, trust.MostDevices); err != nil {
		return err
	}
	again := func(r trust.Record) bool {
		return r.Ended == "" && (d.Policy.Network == trust.Anywhere || r.Place.Holds(from.Address, d.Policy.Network))
	}
	if slices.ContainsFunc(before, again) {
		e := audit.Event{Kind: audit.DeviceTrusted, Account: v.Account.ID, SignIn: v.SignIn, Target: audit.Target("device", v.Device), Reason: "again"}
		return d.Accounts.Event(ctx, tx, e, from)
	}
	label := i18n.For(from.Language).Say("trust.label", "Count", d.Days())
	return d.Accounts.NotifyOwner(ctx, tx, account.Notification{Event: audit.Event{Kind: audit.DeviceTrusted, SignIn: v.SignIn, Target: audit.Target("device", v.Device)}, Template: "trusted", Account: v.Account, Detail: label}, from)
}

// savePlaces replaces records by others. It writes none back: one that has ended meanwhile
// stays ended.
func (d *Devices) savePlaces(ctx context.Context, tx *store.DB, v Verified, before, after []trust.Record) error {
	same := func(r trust.Record) func(trust.Record) bool {
		return func(other trust.Record) bool { return other.ID == r.ID }
	}
	for _, r := range before {
		if slices.ContainsFunc(after, same(r)) {
			continue
		}
		if err := tx.RemovePlace(ctx, r.ID); err != nil {
			return err
		}
	}
	for _, r := range after {
		row, err := d.place(r, v.Device, v.Account.Ref())
		if err != nil {
			return err
		}
		save := tx.AddPlace
		if i := slices.IndexFunc(before, same(r)); i >= 0 {
			if before[i].Place == r.Place {
				continue
			}
			save = tx.ChangePlace
		}
		if err := save(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// Use notes that trust in a browser skipped step two, and gives it its next secret, in the
// transaction of the session. store.ErrNotFound: it ended this very moment.
func (d *Devices) Use(ctx context.Context, tx *store.DB, a store.AccountRef, b Browser, by Decision) (token string, err error) {
	old, _ := by.Old()
	old.Browser = by.Request.Browser // newer, or the same: the version may not fall again
	row, err := d.place(old, b.ID, a)
	if err != nil {
		return "", err
	}
	if err := tx.UsePlace(ctx, row, store.Millis(by.At)); err != nil {
		return "", err
	}
	if token, err = d.turn(ctx, tx, b, store.Time(b.EndsAt)); err != nil {
		return "", err
	}
	return token, d.Remember(ctx, tx, a, by)
}

// Betrayed ends a browser of whose cookie there is a copy, for all accounts and with the
// sessions that began in it, and tells their owners: once.
func (d *Devices) Betrayed(ctx context.Context, b Browser, from origin.Origin) error {
	err := d.Store.Tx(ctx, func(tx *store.DB) error {
		owners, err := tx.Owners(ctx, b.ID)
		if err != nil {
			return err
		}
		if err := tx.EndDevice(ctx, b.ID, string(trust.EndedStolen), store.Millis(d.Now())); err != nil {
			return err
		}
		for _, a := range owners {
			if err := d.Accounts.NotifyOwner(ctx, tx, account.Notification{Event: audit.Event{Kind: audit.DeviceSecretReused, Result: audit.Failure, Actor: audit.Anonymous(), Target: audit.Target("device", b.ID)}, Template: "stolen", Account: a}, from); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // somebody else noticed it at the same moment
	}
	if err != nil {
		return fmt.Errorf("device: stolen device: %w", err)
	}
	d.Accounts.NotifyOutbox()
	return nil
}

// Days is for how many days a browser is trusted; 0: it is not.
func (d *Devices) Days() int { return int(d.Policy.Life / (24 * time.Hour)) }
