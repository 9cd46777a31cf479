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

// SessionDevice is the signed-in person: their account as it was when the session was read, and the
// browser that the session began in.
type SessionDevice struct {
	store.AccountRef
	DeviceID string
}

// TrustedDevice is a browser that is trusted, as its owner sees it.
type TrustedDevice struct {
	ID       string
	Browser  trust.Browser
	Current  bool // the session is in it
	Networks []DeviceNetwork
}

// DeviceNetwork is one network from which a browser is trusted.
type DeviceNetwork struct {
	trust.ClientNetwork
	VerifiedAt, ExpiresAt time.Time
	LastUsedAt            time.Time // when it last skipped the second step; zero: never
}

// ListTrustedDevices are the browsers that the person trusts now, this one first, then the one that
// was verified last.
func (d *Devices) ListTrustedDevices(ctx context.Context, who SessionDevice) ([]TrustedDevice, error) {
	rows, err := d.Store.ListTrustedNetworks(ctx, who.ID)
	if err != nil {
		return nil, fmt.Errorf("device: devices: %w", err)
	}
	var list []TrustedDevice
	for _, row := range slices.Backward(rows) {
		r := d.openRecord(row, who.AccountRef)
		until := r.VerifiedAt.Add(d.Policy.TTL)
		if r.RevokeReason != "" || d.Now().After(until) {
			continue
		}
		i := slices.IndexFunc(list, func(known TrustedDevice) bool { return known.ID == row.DeviceID })
		if i < 0 {
			i = len(list)
			list = append(list, TrustedDevice{ID: row.DeviceID, Browser: r.Browser,
				Current: row.DeviceID == who.DeviceID})
		}
		list[i].Networks = append(list[i].Networks, DeviceNetwork{r.Network, r.VerifiedAt, until, row.LastUsedAt})
	}
	slices.SortStableFunc(list, func(a, b TrustedDevice) int {
		if a.Current {
			return -1
		}
		if b.Current {
			return 1
		}
		return 0
	})
	return list, nil
}

// FindSimilarTrust is when a browser like this one was last verified from this place, if that would
// still be trusted but this one has no record: it may be the same, whose storage was
// deleted. Zero if there is none.
func (d *Devices) FindSimilarTrust(ctx context.Context, who SessionDevice, from origin.Origin) (time.Time, error) {
	rows, err := d.Store.ListTrustedNetworks(ctx, who.ID)
	if err != nil {
		return time.Time{}, fmt.Errorf("device: lost: %w", err)
	}
	for _, row := range slices.Backward(rows) {
		if r := d.openRecord(row, who.AccountRef); trust.CheckRecord(r, from.TrustRequest(), d.Policy,
			d.Now()) == trust.Trusted {
			return r.VerifiedAt, nil
		}
	}
	return time.Time{}, nil
}

// RevokeDevice ends trust in one browser of the person. One that is not trusted is no
// error.
func (d *Devices) RevokeDevice(ctx context.Context, who SessionDevice, id string, from origin.Origin) error {
	e := audit.Event{Kind: audit.DeviceForgotten, Account: who.ID, Target: audit.Target("device", id)}
	return d.revoke(ctx, e, from, func(tx *store.DB) error {
		if err := tx.DeleteKnownDevice(ctx, id, who.ID); err != nil {
			return err
		}
		return tx.RevokeDeviceTrust(ctx, id, who.ID, string(trust.RevokedByOwner), d.Now())
	})
}

// RevokeAllDevices ends trust in all browsers of the person.
func (d *Devices) RevokeAllDevices(ctx context.Context, who SessionDevice, from origin.Origin) error {
	e := audit.Event{Kind: audit.DevicesForgotten, Account: who.ID}
	return d.revoke(ctx, e, from, func(tx *store.DB) error {
		if err := tx.DeleteKnownDevices(ctx, who.ID); err != nil {
			return err
		}
		return d.Accounts.EndTrust(ctx, tx, who.AccountRef, trust.RevokedByOwner, "")
	})
}

func (d *Devices) revoke(ctx context.Context, e audit.Event, from origin.Origin, f func(*store.DB) error) error {
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
