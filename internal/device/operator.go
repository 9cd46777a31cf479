package device

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// ErrNoDevice means that the device is not trusted by the account.
var ErrNoDevice = errors.New("no trusted device")

// ForgetBy ends trust in one device of an account, for an operator. Sessions continue. It returns account.ErrUnknown, and
// ErrNoDevice if the account does not trust the device.
func (d *Devices) ForgetBy(ctx context.Context, by account.By, who, id string) error {
	return d.Accounts.ChangeBy(ctx, by, who, func(tx *store.DB, a store.Account, n *account.Notification) error {
		rows, err := tx.ListLiveTrustedNetworks(ctx, a.Ref())
		if err != nil {
			return fmt.Errorf("device: forget: %w", err)
		}
		if !slices.ContainsFunc(rows, func(row store.TrustedNetwork) bool { return row.DeviceID == id }) {
			return ErrNoDevice
		}
		n.Event = audit.Event{Kind: audit.DeviceForgotten, Target: audit.Target("device", id)}
		n.Template = "operator.device"
		if err := tx.DeleteKnownDevice(ctx, id, a.ID); err != nil {
			return err
		}
		return tx.RevokeDeviceTrust(ctx, id, a.ID, string(trust.RevokedByOperator), d.Now())
	})
}

// ForgetAllBy ends trust in all devices of an account, for an operator. Sessions continue. It returns account.ErrUnknown.
func (d *Devices) ForgetAllBy(ctx context.Context, by account.By, who string) error {
	return d.Accounts.ChangeBy(ctx, by, who, func(tx *store.DB, a store.Account, n *account.Notification) error {
		n.Event.Kind, n.Template = audit.DevicesForgotten, "operator.devices"
		if err := tx.DeleteKnownDevices(ctx, a.ID); err != nil {
			return err
		}
		return d.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedByOperator, "")
	})
}
