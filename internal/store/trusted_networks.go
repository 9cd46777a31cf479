package store

import (
	"context"
	"time"
)

// TrustedNetwork is one network from which a browser was verified for an account.
type TrustedNetwork struct {
	ID           string
	DeviceID     string
	AccountID    string
	Epoch        int64  // of the account; not trusted if it differs
	Body         []byte // sealed: the network and the browser
	VerifiedAt   time.Time
	LastUsedAt   time.Time // when it last skipped the second step; zero: never
	RevokedAt    time.Time // zero: not revoked
	RevokeReason string
}

// CreateTrustedNetwork inserts n.
func (db *DB) CreateTrustedNetwork(ctx context.Context, n TrustedNetwork) error {
	_, err := db.change(ctx, `INSERT INTO trusted_networks (id, device_id, account_id, epoch, body, verified_at,
			last_used_at, revoked_at, revoke_reason) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '')`,
		n.ID, n.DeviceID, n.AccountID, n.Epoch, n.Body, n.VerifiedAt)
	return err
}

// UpdateTrustedNetwork replaces the body of a trusted network, unless it was revoked.
func (db *DB) UpdateTrustedNetwork(ctx context.Context, n TrustedNetwork) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET body = $2 WHERE id = $1 AND revoked_at = 0`, n.ID, n.Body)
	return err
}

// DeleteTrustedNetwork deletes a trusted network.
func (db *DB) DeleteTrustedNetwork(ctx context.Context, id string) error {
	_, err := db.change(ctx, `DELETE FROM trusted_networks WHERE id = $1`, id)
	return err
}

// UseTrustedNetwork records that a trusted network skipped the second step, and replaces its body. It returns
// ErrNotFound if the network was revoked or has another epoch: then the second step must not be skipped.
func (db *DB) UseTrustedNetwork(ctx context.Context, n TrustedNetwork, now time.Time) error {
	return db.must(ctx, `UPDATE trusted_networks SET last_used_at = $4, body = $3
		WHERE id = $1 AND epoch = $2 AND revoked_at = 0`, n.ID, n.Epoch, n.Body, now)
}

// RevokeTrust revokes all trusted networks of an account, except those of the device keep. If keep is "", none is
// excepted.
func (db *DB) RevokeTrust(ctx context.Context, account, keep, why string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $4, revoke_reason = $3
		WHERE account_id = $1 AND device_id <> $2 AND revoked_at = 0`, account, keep, why, now)
	return err
}

// UpdateTrustEpoch moves the trusted networks of an account and device from one epoch of the account to another.
func (db *DB) UpdateTrustEpoch(ctx context.Context, account, device string, from, to int64) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET epoch = $4
		WHERE account_id = $1 AND device_id = $2 AND epoch = $3 AND revoked_at = 0`, account, device, from, to)
	return err
}

// RevokeDeviceTrust revokes the trusted networks of one device and account.
func (db *DB) RevokeDeviceTrust(ctx context.Context, device, account, why string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $4, revoke_reason = $3 WHERE device_id = $1
			AND account_id = $2 AND revoked_at = 0`, device, account, why, now)
	return err
}

// PruneTrustedDevices keeps the trusted networks of the most recently verified devices of an account, at most most
// devices.
func (db *DB) PruneTrustedDevices(ctx context.Context, account string, most int64) error {
	_, err := db.change(ctx, `DELETE FROM trusted_networks WHERE account_id = $1 AND revoked_at = 0 AND device_id NOT IN
		(SELECT device_id FROM trusted_networks WHERE account_id = $1 AND revoked_at = 0 GROUP BY device_id
		ORDER BY max(verified_at) DESC, device_id LIMIT $2)`, account, most)
	return err
}

const networkColumns = `id, device_id, account_id, epoch, body, verified_at, last_used_at, revoked_at, revoke_reason`

func scanNetwork(s scanner) (n TrustedNetwork, err error) {
	return n, s.Scan(&n.ID, &n.DeviceID, &n.AccountID, &n.Epoch, &n.Body, (*Time)(&n.VerifiedAt),
		(*Time)(&n.LastUsedAt), (*Time)(&n.RevokedAt), &n.RevokeReason)
}

// ListTrustedNetworks lists all trusted networks of an account, oldest verification first.
func (db *DB) ListTrustedNetworks(ctx context.Context, account string) ([]TrustedNetwork, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+networkColumns+` FROM trusted_networks WHERE account_id = $1
			ORDER BY verified_at, id`, account)
	return all(rows, err, scanNetwork)
}

// ListLiveTrustedNetworks lists the trusted networks of an account that were not revoked and have its epoch, oldest
// verification first. PruneTrustedDevices bounds their number; revoked ones can be many more.
func (db *DB) ListLiveTrustedNetworks(ctx context.Context, a AccountRef) ([]TrustedNetwork, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+networkColumns+` FROM trusted_networks WHERE account_id = $1
			AND revoked_at = 0 AND epoch = $2 ORDER BY verified_at, id`, a.ID, a.Epoch)
	return all(rows, err, scanNetwork)
}

// ListDeviceNetworks lists the trusted networks of an account in one device, oldest verification first.
func (db *DB) ListDeviceNetworks(ctx context.Context, device, account string) ([]TrustedNetwork, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+networkColumns+` FROM trusted_networks WHERE device_id = $1
			AND account_id = $2 ORDER BY verified_at, id`, device, account)
	return all(rows, err, scanNetwork)
}
