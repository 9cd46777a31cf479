package store

import (
	"context"
	"database/sql"
	"time"
)

// Device is one browser. Its cookie holds the series and a secret; both are stored as hashes.
type Device struct {
	ID                 string
	Series             []byte // stays the same, and finds the row
	Secret             []byte // the current secret
	NextSecret         []byte // issued, and not presented by the browser yet; empty: none
	NextSalt           []byte // random: NextSecret is derived from it and the current secret
	NextIssuedAt       time.Time
	PreviousSecret     []byte // accepted for a short time; empty: none
	PreviousReplacedAt time.Time
	ExpiresAt          time.Time
	RevokeReason       string // "" while the cookie is accepted
}

// CreateDevice inserts d.
func (db *DB) CreateDevice(ctx context.Context, d Device) error {
	_, err := db.change(ctx, `INSERT INTO devices (id, series, secret, next_secret, next_salt, next_issued_at,
			previous_secret, previous_replaced_at, expires_at, revoke_reason)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		d.ID, d.Series, d.Secret, blob(d.NextSecret), blob(d.NextSalt), d.NextIssuedAt, blob(d.PreviousSecret),
		d.PreviousReplacedAt, d.ExpiresAt, d.RevokeReason)
	return err
}

// RotateDeviceSecrets replaces the secrets and the expiry of the device was by those of is. It returns ErrNotFound if
// the secrets were replaced since the device was read, or it was revoked.
func (db *DB) RotateDeviceSecrets(ctx context.Context, was, is Device) error {
	return db.must(ctx, `UPDATE devices SET secret = $4, next_secret = $5, next_salt = $6, next_issued_at = $7,
			previous_secret = $8, previous_replaced_at = $9, expires_at = $10
		WHERE id = $1 AND secret = $2 AND next_secret = $3 AND revoke_reason = ''`,
		was.ID, was.Secret, blob(was.NextSecret), is.Secret, blob(is.NextSecret), blob(is.NextSalt),
		is.NextIssuedAt, blob(is.PreviousSecret), is.PreviousReplacedAt, is.ExpiresAt)
}

// ExtendDevice sets when a device expires. It returns ErrNotFound if it was revoked.
func (db *DB) ExtendDevice(ctx context.Context, id string, ends time.Time) error {
	return db.must(ctx, `UPDATE devices SET expires_at = $2 WHERE id = $1 AND revoke_reason = ''`, id, ends)
}

// RevokeDevice revokes a device for all accounts: its cookie is no longer accepted, no account trusts or knows it, and
// the sessions that began in it end. It returns ErrNotFound if it was revoked before.
func (db *DB) RevokeDevice(ctx context.Context, id, why string, now time.Time) error {
	err := db.must(ctx, `UPDATE devices SET revoke_reason = $2 WHERE id = $1 AND revoke_reason = ''`, id, why)
	if err != nil {
		return err
	}
	if _, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $3, revoke_reason = $2 WHERE device_id = $1
			AND revoked_at = 0`, id, why, now); err != nil {
		return err
	}
	if _, err := db.change(ctx, `DELETE FROM known_devices WHERE device_id = $1`, id); err != nil {
		return err
	}
	_, err = db.endSessions(ctx, `device_id = $1 AND device_id <> ''`, id)
	return err
}

// blob returns b as a value that is never NULL: SQLite stores a nil slice as NULL.
func blob(b []byte) []byte { return append([]byte{}, b...) }

// DeviceView is a device with what one account knows about it.
type DeviceView struct {
	Device
	AuthenticatedAt time.Time        // when the account last completed both steps in it; zero: never
	TrustedNetworks []TrustedNetwork // of the account, oldest verification first
	LatestTime      time.Time        // the time of AdvanceLatestTime; zero: none
}

const deviceViewQuery = `SELECT ` + deviceColumns + `, COALESCE(known_devices.authenticated_at, 0),
		COALESCE((SELECT CAST(value AS BIGINT) FROM server_state WHERE name = 'time'), 0), trusted_networks.id,
		trusted_networks.epoch, trusted_networks.body, trusted_networks.verified_at, trusted_networks.last_used_at,
		trusted_networks.revoked_at, trusted_networks.revoke_reason
	FROM devices LEFT JOIN known_devices ON known_devices.device_id = devices.id AND known_devices.account_id = $2
	LEFT JOIN trusted_networks ON trusted_networks.device_id = devices.id AND trusted_networks.account_id = $2
	WHERE devices.series = $1 AND devices.expires_at >= $3 ORDER BY trusted_networks.verified_at, trusted_networks.id`

// FindDeviceView returns the device of this series with all that the trust decision of an account needs, in one
// statement. It returns ErrNotFound if there is no such device or it has expired.
func (db *DB) FindDeviceView(ctx context.Context, series []byte, account string, now time.Time) (DeviceView, error) {
	rows, err := db.read.QueryContext(ctx, deviceViewQuery, series, account, now)
	if err != nil {
		return DeviceView{}, err
	}
	defer rows.Close()
	var v DeviceView
	for rows.Next() {
		n, err := v.scan(rows)
		if err != nil {
			return DeviceView{}, err
		}
		if n.ID != "" {
			n.DeviceID, n.AccountID = v.ID, account
			v.TrustedNetworks = append(v.TrustedNetworks, n)
		}
	}
	if err := classify(rows.Err()); err != nil {
		return DeviceView{}, err
	}
	if v.ID == "" {
		return DeviceView{}, ErrNotFound
	}
	return v, nil
}

// scan reads one row. A device without a trusted network has one row too, in which the network has no ID.
func (v *DeviceView) scan(row scanner) (n TrustedNetwork, err error) {
	var id, ended sql.NullString
	var epoch sql.NullInt64
	err = row.Scan(append(v.columns(), (*Time)(&v.AuthenticatedAt), (*Time)(&v.LatestTime), &id, &epoch, &n.Body,
		(*Time)(&n.VerifiedAt), (*Time)(&n.LastUsedAt), (*Time)(&n.RevokedAt), &ended)...)
	n.ID, n.Epoch, n.RevokeReason = id.String, epoch.Int64, ended.String
	return n, err
}

// SaveKnownDevice records that the account completed both steps in the device.
func (db *DB) SaveKnownDevice(ctx context.Context, device, account string, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO known_devices (device_id, account_id, authenticated_at) VALUES ($1, $2, $3)
		ON CONFLICT (device_id, account_id) DO UPDATE SET authenticated_at = $3`, device, account, now)
	return err
}

// PruneKnownDevices keeps the devices in which the account most recently completed both steps, at most most of them. It
// deletes devices that no account knows after that.
func (db *DB) PruneKnownDevices(ctx context.Context, account string, most int64) error {
	rows, err := db.write.QueryContext(ctx, `DELETE FROM known_devices WHERE account_id = $1 AND device_id IN
			(SELECT device_id FROM known_devices WHERE account_id = $1
				ORDER BY authenticated_at DESC, device_id LIMIT 1000 OFFSET $2)
		RETURNING device_id`, account, most)
	removed, err := all(rows, err, func(s scanner) (id string, err error) { return id, s.Scan(&id) })
	if err != nil {
		return err
	}
	for _, id := range removed {
		if _, err := db.change(ctx, `DELETE FROM devices WHERE id = $1
				AND NOT EXISTS (SELECT 1 FROM known_devices WHERE device_id = $1)`, id); err != nil {
			return err
		}
	}
	return nil
}

// ListDeviceAccounts lists the accounts that know or trust a device, by id.
func (db *DB) ListDeviceAccounts(ctx context.Context, device string) ([]Account, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id IN
		(SELECT account_id FROM known_devices WHERE device_id = $1 UNION SELECT account_id FROM trusted_networks
		WHERE device_id = $1 AND revoked_at = 0) ORDER BY id`, device)
	return all(rows, err, scanAccount)
}

// DeleteKnownDevice makes a device unknown to the account.
func (db *DB) DeleteKnownDevice(ctx context.Context, device, account string) error {
	_, err := db.change(ctx, `DELETE FROM known_devices WHERE device_id = $1 AND account_id = $2`, device, account)
	return err
}

// DeleteKnownDevices makes all devices unknown to the account.
func (db *DB) DeleteKnownDevices(ctx context.Context, account string) error {
	_, err := db.change(ctx, `DELETE FROM known_devices WHERE account_id = $1`, account)
	return err
}

// FindDeviceOfAny returns the device of this series if any account knows it. It returns ErrNotFound if not, or if the
// device has expired.
func (db *DB) FindDeviceOfAny(ctx context.Context, series []byte, now time.Time) (d Device, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM devices
		WHERE devices.series = $1 AND devices.expires_at >= $2
			AND EXISTS (SELECT 1 FROM known_devices WHERE known_devices.device_id = devices.id)`, series, now)
	return d, d.scan(row)
}

// FindKnownDevice returns the device of this series if the account with this email address knows it. It returns
// ErrNotFound if not, or if the device has expired.
func (db *DB) FindKnownDevice(ctx context.Context, series []byte, email string, now time.Time) (d Device, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM devices
		JOIN known_devices ON known_devices.device_id = devices.id
		JOIN accounts ON accounts.id = known_devices.account_id
		WHERE devices.series = $1 AND devices.expires_at >= $3 AND accounts.email = $2`, series, email, now)
	return d, d.scan(row)
}

const deviceColumns = `devices.id, devices.series, devices.secret, devices.next_secret, devices.next_salt,
		devices.next_issued_at, devices.previous_secret, devices.previous_replaced_at, devices.expires_at,
		devices.revoke_reason`

func (d *Device) columns() []any {
	return []any{
		&d.ID, &d.Series, &d.Secret, &d.NextSecret, &d.NextSalt, (*Time)(&d.NextIssuedAt), &d.PreviousSecret,
		(*Time)(&d.PreviousReplacedAt), (*Time)(&d.ExpiresAt), &d.RevokeReason,
	}
}

func (d *Device) scan(row scanner) error { return found(row.Scan(d.columns()...)) }
