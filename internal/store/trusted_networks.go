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
	Epoch        int64  // of the account; another one voids it
	Body         []byte // sealed
	VerifiedAt   time.Time
	LastUsedAt   time.Time // when it last skipped step two; 0: never
	RevokedAt    time.Time
	RevokeReason string // why it ended early
}

// CreateTrustedNetwork adds p.
func (db *DB) CreateTrustedNetwork(ctx context.Context, p TrustedNetwork) error {
	_, err := db.change(ctx, `INSERT INTO trusted_networks (id, device_id, account_id, epoch, body, verified_at,
			last_used_at, revoked_at, revoke_reason) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '')`,
		p.ID, p.DeviceID, p.AccountID, p.Epoch, p.Body, p.VerifiedAt)
	return err
}

// UpdateTrustedNetwork gives a place another body. One that has ended stays as it is.
func (db *DB) UpdateTrustedNetwork(ctx context.Context, p TrustedNetwork) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET body = $2 WHERE id = $1 AND revoked_at = 0`, p.ID, p.Body)
	return err
}

// DeleteTrustedNetwork removes a place.
func (db *DB) DeleteTrustedNetwork(ctx context.Context, id string) error {
	_, err := db.change(ctx, `DELETE FROM trusted_networks WHERE id = $1`, id)
	return err
}

// UseTrustedNetwork notes that a place skipped step two, and in which browser. ErrNotFound: it has
// ended, or is of another epoch, and must not.
func (db *DB) UseTrustedNetwork(ctx context.Context, p TrustedNetwork, now time.Time) error {
	return db.must(ctx, `UPDATE trusted_networks SET last_used_at = $4, body = $3
		WHERE id = $1 AND epoch = $2 AND revoked_at = 0`, p.ID, p.Epoch, p.Body, now)
}

// RevokeTrust ends all places of an account but those of the browser keep ("": of none).
func (db *DB) RevokeTrust(ctx context.Context, account, keep, why string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $4, revoke_reason = $3
		WHERE account_id = $1 AND device_id <> $2 AND revoked_at = 0`, account, keep, why, now)
	return err
}

// UpdateTrustEpoch takes the places of a browser over into another epoch of the account.
func (db *DB) UpdateTrustEpoch(ctx context.Context, account, device string, from, to int64) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET epoch = $4
		WHERE account_id = $1 AND device_id = $2 AND epoch = $3 AND revoked_at = 0`, account, device, from, to)
	return err
}

// RevokeDeviceTrust ends the places of one browser and account.
func (db *DB) RevokeDeviceTrust(ctx context.Context, device, account, why string, now time.Time) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $4, revoke_reason = $3 WHERE device_id = $1
			AND account_id = $2 AND revoked_at = 0`, device, account, why, now)
	return err
}

// PruneTrustedDevices removes the places of all but the most browsers of an account that were
// verified last.
func (db *DB) PruneTrustedDevices(ctx context.Context, account string, most int64) error {
	_, err := db.change(ctx, `DELETE FROM trusted_networks WHERE account_id = $1 AND revoked_at = 0 AND device_id NOT IN
		(SELECT device_id FROM trusted_networks WHERE account_id = $1 AND revoked_at = 0 GROUP BY device_id
		ORDER BY max(verified_at) DESC, device_id LIMIT $2)`, account, most)
	return err
}

const placeColumns = `id, device_id, account_id, epoch, body, verified_at, last_used_at, revoked_at, revoke_reason`

func scanPlace(s scanner) (p TrustedNetwork, err error) {
	return p, s.Scan(&p.ID, &p.DeviceID, &p.AccountID, &p.Epoch, &p.Body, (*Time)(&p.VerifiedAt), (*Time)(&p.LastUsedAt), (*Time)(&p.RevokedAt), &p.RevokeReason)
}

// ListTrustedNetworks are all places of an account, the longest verified first.
func (db *DB) ListTrustedNetworks(ctx context.Context, account string) ([]TrustedNetwork, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+placeColumns+` FROM trusted_networks WHERE account_id = $1
			ORDER BY verified_at, id`, account)
	return all(rows, err, scanPlace)
}

// ListDeviceNetworks are the places of an account in one browser, the longest verified first.
func (db *DB) ListDeviceNetworks(ctx context.Context, device, account string) ([]TrustedNetwork, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+placeColumns+` FROM trusted_networks WHERE device_id = $1
			AND account_id = $2 ORDER BY verified_at, id`, device, account)
	return all(rows, err, scanPlace)
}
