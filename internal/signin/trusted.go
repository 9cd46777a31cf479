package signin

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Why is why the second step is asked for, for somebody who has given the right password:
// it says nothing about where its owner has been.
type Why struct {
	Reason   trust.Reason // "": it always is
	Verified time.Time    // when the browser was last verified, if that was too long ago
}

// TrustOffer is whether the person may have this browser trusted.
type TrustOffer struct {
	Days   int  // 0: it is not offered here
	Ticked bool // the person wants it
	Lost   bool // nobody knows where the request comes from, so there is no place to trust
}

// offerTrust says whether a proof by a method may make this browser trusted.
func (e *Engine) offerTrust(v visit, spare bool, from account.From) TrustOffer {
	if v.Purpose != store.ForSession || spare {
		return TrustOffer{}
	}
	lost := e.Devices.Policy.Network != trust.Anywhere && !from.Address.IsValid()
	return TrustOffer{Days: e.Devices.Days(), Ticked: v.Trust && !lost, Lost: lost}
}

// enterTrusted opens the session of somebody whose browser is trusted from here.
// store.ErrNotFound: that ended this very moment.
func (e *Engine) enterTrusted(ctx context.Context, a store.Account, b device.Browser, by device.Decision, from account.From) (entry Entry, err error) {
	old, _ := by.Old()
	token, row := e.newSession(a, from)
	row.AMR, row.Device, row.TrustedAt = "pwd", b.ID, store.Millis(old.Verified)
	err = e.Store.Tx(ctx, func(tx *store.DB) (err error) {
		entry = Entry{Session: token}
		if entry.Device, err = e.Devices.Use(ctx, tx, a, b, by); err != nil {
			return err
		}
		if err := tx.AddSession(ctx, row); err != nil {
			return err
		}
		return e.Event(ctx, tx, audit.Event{Kind: audit.SessionCreated, Reason: audit.TrustedDevice, Account: a.ID}, from)
	})
	if err != nil {
		return Entry{}, fmt.Errorf("signin: trusted: %w", err)
	}
	e.Devices.LogDecision(a, by)
	return entry, nil
}

// meet is what a full proof does about the browser it was given in: the account knows it
// from now on, and trusts it from here if the person wants that. The token is "" if the
// browser keeps the one it has.
func (e *Engine) meet(ctx context.Context, tx *store.DB, v visit, spare bool, from account.From) (id, token string, err error) {
	if v.Purpose != store.ForSession {
		return "", "", nil // the session that is proven anew has one
	}
	if id, token, err = e.Devices.Meet(ctx, tx, v.account, v.browser); err != nil {
		return "", "", err
	}
	if offer := e.offerTrust(v, spare, from); offer.Days == 0 || !offer.Ticked {
		return id, token, nil
	}
	verified := device.Verified{Account: v.account, SignIn: v.ID, Device: id, Place: v.place(from)}
	return id, token, e.Devices.AddPlace(ctx, tx, verified, from)
}

// place is where the sign-in was verified from: the address of the answer, and the one of
// the other family that it was seen from too. Both are then one place.
func (v visit) place(from account.From) trust.Place {
	now := trust.Plain(from.Address)
	for _, text := range []string{v.Address, v.Other} {
		if a, err := netip.ParseAddr(text); err == nil && a.Is4() != now.Is4() {
			return trust.At(a, now)
		}
	}
	return trust.At(now)
}

// see keeps the address of a request in a sign-in if it is of the other family than the
// one it began from: both are then one place.
func (e *Engine) see(ctx context.Context, v *visit, from account.From) error {
	began, err := netip.ParseAddr(v.Address)
	now := trust.Plain(from.Address)
	if err != nil || !now.IsValid() || began.Is4() == now.Is4() || v.Other == now.String() {
		return nil
	}
	v.Other = now.String()
	if err := e.Store.SeeSignIn(ctx, v.ID, v.Other); err != nil {
		return fmt.Errorf("signin: see: %w", err)
	}
	return nil
}

// Tick keeps whether the person wants this browser to be trusted, over a wrong code, a new
// one and another method. ErrNoSignIn.
func (e *Engine) Tick(ctx context.Context, token string, trust bool) error {
	v, err := e.openVisit(ctx, token)
	if err != nil || v.Trust == trust {
		return err
	}
	if err := e.Store.TickSignIn(ctx, v.ID, trust); err != nil {
		return fmt.Errorf("signin: tick: %w", err)
	}
	return nil
}
