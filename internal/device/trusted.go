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

// SessionDevice is the account of a session as it was when the session was read, and the device in which the session
// began.
type SessionDevice struct {
	store.AccountRef
	DeviceID string
	Groups   []string // of the account
}

// TrustedDevice is a device that is trusted, as the account holder sees it.
type TrustedDevice struct {
	ID       string
	Browser  trust.Browser
	Current  bool // the session began in it
	Networks []DeviceNetwork
}

// DeviceNetwork is one network on which a device is trusted.
type DeviceNetwork struct {
	trust.ClientNetwork
	VerifiedAt, ExpiresAt time.Time
	LastUsedAt            time.Time // when it last skipped the second step; zero: never
}

// ListTrustedDevices lists the devices that the person trusts now: the current one first, then the most recently
// verified.
func (d *Devices) ListTrustedDevices(ctx context.Context, person SessionDevice) ([]TrustedDevice, error) {
	rows, err := d.Store.ListLiveTrustedNetworks(ctx, person.AccountRef)
	if err != nil {
		return nil, fmt.Errorf("device: list trusted devices: %w", err)
	}
	var list []TrustedDevice
	policy := d.policy(d.Limits(person.Groups, ""))
	for _, row := range slices.Backward(rows) {
		r := d.openRecord(row, person.AccountRef)
		until := r.VerifiedAt.Add(policy.TTLOf(r))
		if r.RevokeReason != "" || d.Now().After(until) {
			continue
		}
		i := slices.IndexFunc(list, func(known TrustedDevice) bool { return known.ID == row.DeviceID })
		if i < 0 {
			i = len(list)
			list = append(list, TrustedDevice{ID: row.DeviceID, Browser: r.Browser,
				Current: row.DeviceID == person.DeviceID})
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

// FindSimilarTrust returns when a browser like this one was last verified on this network, if that is still trusted: it
// may be this browser, whose storage was cleared. It returns the zero time if there is none.
func (d *Devices) FindSimilarTrust(ctx context.Context, person SessionDevice, from origin.Origin) (time.Time, error) {
	rows, err := d.Store.ListLiveTrustedNetworks(ctx, person.AccountRef)
	if err != nil {
		return time.Time{}, fmt.Errorf("device: find similar trust: %w", err)
	}
	policy := d.policy(d.Limits(person.Groups, ""))
	for _, row := range slices.Backward(rows) {
		if r := d.openRecord(row, person.AccountRef); trust.CheckRecord(r, from.TrustRequest(), policy,
			d.Now()) == trust.Trusted {
			return r.VerifiedAt, nil
		}
	}
	return time.Time{}, nil
}

// RevokeDevice ends trust in one device of the person. It returns no error if the device is not trusted.
func (d *Devices) RevokeDevice(ctx context.Context, person SessionDevice, id string, from origin.Origin) error {
	e := audit.Event{Kind: audit.DeviceForgotten, Account: person.ID, Target: audit.Target("device", id)}
	return d.revoke(ctx, e, from, func(tx *store.DB) error {
		if err := tx.DeleteKnownDevice(ctx, id, person.ID); err != nil {
			return err
		}
		return tx.RevokeDeviceTrust(ctx, id, person.ID, string(trust.RevokedByOwner), d.Now())
	})
}

// RevokeAllDevices ends trust in all devices of the person.
func (d *Devices) RevokeAllDevices(ctx context.Context, person SessionDevice, from origin.Origin) error {
	e := audit.Event{Kind: audit.DevicesForgotten, Account: person.ID}
	return d.revoke(ctx, e, from, func(tx *store.DB) error {
		if err := tx.DeleteKnownDevices(ctx, person.ID); err != nil {
			return err
		}
		return d.Accounts.EndTrust(ctx, tx, person.AccountRef, trust.RevokedByOwner, "")
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
		return fmt.Errorf("device: revoke trust: %w", err)
	}
	return nil
}
