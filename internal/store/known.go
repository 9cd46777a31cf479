package store

import "context"

// KnownDevice is the device of this series, if the account of this address has taken both
// steps in it. ErrNotFound.
func (db *DB) KnownDevice(ctx context.Context, series []byte, email string, now int64) (d Device, err error) {
	row := db.read.QueryRowContext(ctx, `SELECT devices.id, devices.series, devices.secret, devices.next, devices.next_at, devices.past, devices.past_at,
			devices.ends_at, devices.ended FROM devices
		JOIN owners ON owners.device = devices.id JOIN accounts ON accounts.id = owners.account
		WHERE devices.series = $1 AND devices.ends_at >= $3 AND accounts.email = $2`, series, email, now)
	err = row.Scan(&d.ID, &d.Series, &d.Secret, &d.Next, &d.NextAt, &d.Past, &d.PastAt, &d.EndsAt, &d.Ended)
	return d, found(err)
}
