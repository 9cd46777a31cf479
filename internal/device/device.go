// Package device keeps the browsers of an account, and says by trust whether one is asked.
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
	"slices"
	"time"

	"twostep/internal/account"
	"twostep/internal/i18n"
	"twostep/internal/seal"
	"twostep/internal/store"
	"twostep/internal/trust"
)

// The kinds of event.
const (
	trusted   = "device trusted"
	forgotten = "device forgotten"
	stolen    = "device secret used twice"
)

// Devices are the browsers of all accounts.
type Devices struct {
	*account.Registry
	Trust trust.Policy
}

// turning is for how long two secrets of a browser are good at once: tabs that sign in at
// the same time show the same one, and an answer may get lost on its way.
const turning = time.Minute

// Browser is the browser of a request, as an account knows it.
type Browser struct {
	store.Seen                // ID "": it is not known
	series     string         // the part of its cookie that stays
	records    []trust.Record // of the account, as the places
	shown      []byte         // hash of the secret that it showed
	Stolen     bool           // that is a secret of before: there is a copy of the cookie
}

// Recognise finds the browser of a request by its cookie. One that is forged, cut short or
// of nobody is none. It is one read.
func (d *Devices) Recognise(ctx context.Context, a store.Account, from account.From) (Browser, error) {
	series, secret, ok := seal.SplitDevice(from.Device)
	if !ok {
		return Browser{}, nil
	}
	now := store.Millis(d.Now())
	seen, err := d.Store.Device(ctx, seal.Hash(series), a.ID, now)
	if errors.Is(err, store.ErrNotFound) {
		return Browser{}, nil
	}
	if err != nil {
		return Browser{}, fmt.Errorf("device: device: %w", err)
	}
	b := Browser{Seen: seen, series: series, shown: seal.Hash(secret)}
	late := store.Time(seen.PastAt).Add(turning)
	switch {
	case seal.SameHash(b.shown, seen.Secret), seal.SameHash(b.shown, seen.Next):
	case seal.SameHash(b.shown, seen.Past) && !d.Now().After(late):
	default:
		return Browser{Seen: store.Seen{Device: seen.Device}, Stolen: true}, nil
	}
	for _, p := range seen.Places {
		b.records = append(b.records, d.record(p, a))
	}
	return b, nil
}

// keptPlace is what the sealed body of a place holds.
type keptPlace struct {
	Place        trust.Place
	Agent, Hints string
}

// record is a place as the trust decision looks at it. One that does not open is as good
// as none, and one of another epoch has ended whether or not anybody wrote it down.
func (d *Devices) record(p store.Place, a store.Account) trust.Record {
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

func (d *Devices) place(r trust.Record, device string, a store.Account) (store.Place, error) {
	p := store.Place{ID: r.ID, Device: device, Account: a.ID, Epoch: a.Epoch, VerifiedAt: store.Millis(r.Verified)}
	body, err := json.Marshal(keptPlace{r.Place, r.Browser.Agent, r.Browser.Hints})
	if err != nil {
		return p, fmt.Errorf("device: place: %w", err)
	}
	p.Body = d.Keys.Seal(placeOf(p), body)
	return p, nil
}

// Meet makes the browser of a request known as the account's, in the transaction of a
// proof of both steps, and gives it a secret that was not shown before. The token is "" if
// it keeps the one it has.
func (d *Devices) Meet(ctx context.Context, tx *store.DB, a store.Account, b Browser) (device, token string, err error) {
	now := d.Now()
	device = b.ID
	if b.ID == "" || b.Stolen {
		device = rand.Text()
		token = seal.DeviceToken("")
		series, secret, _ := seal.SplitDevice(token)
		err = tx.AddDevice(ctx, store.Device{
			ID: device, Series: seal.Hash(series), Secret: seal.Hash(secret),
			MadeAt: store.Millis(now), EndsAt: store.Millis(now.Add(trust.Known)),
		})
	} else {
		token, err = d.turn(ctx, tx, b, now.Add(trust.Known))
	}
	if err != nil {
		return "", "", err
	}
	return device, token, tx.KnowDevice(ctx, device, a.ID, store.Millis(now))
}

// turn gives the browser the next secret. The one it has stays good until it shows the new
// one, so that an answer that gets lost does no harm; whoever shows it after that has a copy.
func (d *Devices) turn(ctx context.Context, tx *store.DB, b Browser, ends time.Time) (token string, err error) {
	now := store.Millis(d.Now())
	is := b.Device
	is.EndsAt = store.Millis(ends)
	switch {
	case seal.SameHash(b.shown, is.Next):
		is.Past, is.PastAt, is.Secret = is.Secret, now, is.Next
	case !seal.SameHash(b.shown, is.Secret), len(is.Next) > 0 && now-is.NextAt <= turning.Milliseconds():
		return "", nil // another tab has just been given the next one
	}
	token = seal.DeviceToken(b.series)
	_, secret, _ := seal.SplitDevice(token)
	is.Next, is.NextAt = seal.Hash(secret), now
	err = tx.TurnDevice(ctx, b.Device, is)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return token, err
}

// Verified is a sign-in in which both steps were taken.
type Verified struct {
	Account store.Account
	SignIn  string
	Device  string
	Place   trust.Place // where it was seen, by either family of addresses
}

// Trusts adds the place of a sign-in to those from which the browser is trusted, and tells
// the owner if it is a new one.
func (d *Devices) Trusts(ctx context.Context, tx *store.DB, v Verified, b Browser, from account.From) error {
	fresh := trust.Record{ID: rand.Text(), Browser: from.Request().Browser, Verified: d.Now()}
	if d.Trust.Network != trust.Anywhere {
		fresh.Place = v.Place
	}
	var rows []store.Place
	for _, r := range trust.Added(b.records, fresh) {
		row, err := d.place(r, v.Device, v.Account)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(b.Places, func(p store.Place) bool { return p.ID == r.ID }); i >= 0 {
			row.UsedAt = b.Places[i].UsedAt
		}
		rows = append(rows, row)
	}
	if err := tx.SetPlaces(ctx, v.Device, v.Account.ID, rows); err != nil {
		return err
	}
	if err := tx.KeepDevices(ctx, v.Account.ID, trust.MostDevices); err != nil {
		return err
	}
	again := func(r trust.Record) bool {
		return r.Ended == "" && (d.Trust.Network == trust.Anywhere || r.Place.Holds(from.Address, d.Trust.Network))
	}
	if slices.ContainsFunc(b.records, again) {
		return d.Event(ctx, tx, store.Event{Kind: trusted, Account: v.Account.ID, SignIn: v.SignIn}, from)
	}
	label := i18n.For(from.Language).Say("trust.label", "Count", d.Days())
	return d.Tell(ctx, tx, account.Notice{Kind: trusted, Words: "trusted", Account: v.Account, What: label}, from)
}

// Use notes that trust in a browser skipped step two, and gives it its next secret, in the
// transaction of the session. store.ErrNotFound: it ended this very moment.
func (d *Devices) Use(ctx context.Context, tx *store.DB, a store.Account, b Browser, by Decision) (token string, err error) {
	old, _ := by.Old()
	if err := tx.UsePlace(ctx, old.ID, a.Epoch, store.Millis(by.At)); err != nil {
		return "", err
	}
	if token, err = d.turn(ctx, tx, b, store.Time(b.EndsAt)); err != nil {
		return "", err
	}
	return token, d.Remember(ctx, tx, a, by)
}

// Betrayed ends trust in a browser of whose cookie there is a copy, and the sessions that
// began in it, and tells the owner.
func (d *Devices) Betrayed(ctx context.Context, a store.Account, b Browser, from account.From) error {
	now := store.Millis(d.Now())
	err := d.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.EndPlacesIn(ctx, b.ID, string(trust.EndedStolen), now); err != nil {
			return err
		}
		if err := tx.ForgetOwner(ctx, b.ID, a.ID); err != nil {
			return err
		}
		if err := tx.EndSessionsIn(ctx, a.ID, b.ID); err != nil {
			return err
		}
		return d.Tell(ctx, tx, account.Notice{Kind: stolen, Words: "stolen", Account: a}, from)
	})
	if err != nil {
		return fmt.Errorf("device: stolen device: %w", err)
	}
	d.Wake()
	return nil
}

// Days is for how many days a browser is trusted; 0: it is not.
func (d *Devices) Days() int { return int(d.Trust.Life / (24 * time.Hour)) }
