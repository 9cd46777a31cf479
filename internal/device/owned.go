package device

import (
	"context"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Owner is the signed-in person: their account as it was when the session was read, and the
// browser that the session began in.
type Owner struct {
	store.AccountRef
	Device string
}

// Device is a browser that is trusted, as its owner sees it.
type Device struct {
	ID      string
	Browser trust.Browser
	This    bool // the session is in it
	Places  []TrustedPlace
}

// TrustedPlace is one network from which a browser is trusted.
type TrustedPlace struct {
	trust.Place
	Since, Until time.Time
	Used         time.Time // when it last skipped the second step; zero: never
}

// Trusted are the browsers that the person trusts now, this one first, then the one that
// was verified last.
func (d *Devices) Trusted(ctx context.Context, who Owner) ([]Device, error) {
	rows, err := d.Store.Places(ctx, who.ID)
	if err != nil {
		return nil, fmt.Errorf("device: devices: %w", err)
	}
	var list []Device
	for _, row := range slices.Backward(rows) {
		r := d.record(row, who.AccountRef)
		until := r.Verified.Add(d.Policy.Life)
		if r.Ended != "" || d.Now().After(until) {
			continue
		}
		i := slices.IndexFunc(list, func(known Device) bool { return known.ID == row.Device })
		if i < 0 {
			i = len(list)
			list = append(list, Device{ID: row.Device, Browser: r.Browser, This: row.Device == who.Device})
		}
		list[i].Places = append(list[i].Places, TrustedPlace{r.Place, r.Verified, until, store.Time(row.UsedAt)})
	}
	slices.SortStableFunc(list, func(a, b Device) int {
		if a.This {
			return -1
		}
		if b.This {
			return 1
		}
		return 0
	})
	return list, nil
}

// Lost is when a browser like this one was last verified from this place, if that would
// still be trusted but this one has no record: it may be the same, whose storage was
// deleted. Zero if there is none.
func (d *Devices) Lost(ctx context.Context, who Owner, from origin.Origin) (time.Time, error) {
	rows, err := d.Store.Places(ctx, who.ID)
	if err != nil {
		return time.Time{}, fmt.Errorf("device: lost: %w", err)
	}
	for _, row := range slices.Backward(rows) {
		if r := d.record(row, who.AccountRef); trust.Check(r, from.TrustRequest(), d.Policy, d.Now()) == trust.Trusted {
			return r.Verified, nil
		}
	}
	return time.Time{}, nil
}

// ForgetDevice ends trust in one browser of the person. One that is not trusted is no
// error.
func (d *Devices) ForgetDevice(ctx context.Context, who Owner, id string, from origin.Origin) error {
	e := audit.Event{Kind: audit.DeviceForgotten, Account: who.ID, Target: audit.Target("device", id)}
	return d.forget(ctx, e, from, func(tx *store.DB) error {
		if err := tx.ForgetOwner(ctx, id, who.ID); err != nil {
			return err
		}
		return tx.EndPlacesOf(ctx, id, who.ID, string(trust.EndedRevoked), store.Millis(d.Now()))
	})
}

// ForgetDevices ends trust in all browsers of the person.
func (d *Devices) ForgetDevices(ctx context.Context, who Owner, from origin.Origin) error {
	e := audit.Event{Kind: audit.DevicesForgotten, Account: who.ID}
	return d.forget(ctx, e, from, func(tx *store.DB) error {
		if err := tx.ForgetOwners(ctx, who.ID); err != nil {
			return err
		}
		return d.Accounts.EndTrust(ctx, tx, who.AccountRef, trust.EndedRevoked, "")
	})
}

func (d *Devices) forget(ctx context.Context, e audit.Event, from origin.Origin, f func(*store.DB) error) error {
	err := d.Store.Tx(ctx, func(tx *store.DB) error {
		if err := f(tx); err != nil {
			return err
		}
		return d.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("device: forget device: %w", err)
	}
	return nil
}
