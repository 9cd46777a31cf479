package store

import "context"

// Place is one network from which a browser was verified for an account.
type Place struct {
	ID         string
	Device     string
	Account    string
	Epoch      int64  // of the account; another one voids it
	Body       []byte // sealed
	VerifiedAt int64
	UsedAt     int64 // when it last skipped step two; 0: never
	EndedAt    int64
	Ended      string // why it ended early
}

// AddPlace adds p.
func (db *DB) AddPlace(ctx context.Context, p Place) error {
	_, err := db.change(ctx, `INSERT INTO trusted_networks (id, device_id, account_id, epoch, body, verified_at,
			last_used_at, revoked_at, revoke_reason) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '')`,
		p.ID, p.Device, p.Account, p.Epoch, p.Body, p.VerifiedAt)
	return err
}

// ChangePlace gives a place another body. One that has ended stays as it is.
func (db *DB) ChangePlace(ctx context.Context, p Place) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET body = $2 WHERE id = $1 AND revoked_at = 0`, p.ID, p.Body)
	return err
}

// RemovePlace removes a place.
func (db *DB) RemovePlace(ctx context.Context, id string) error {
	_, err := db.change(ctx, `DELETE FROM trusted_networks WHERE id = $1`, id)
	return err
}

// UsePlace notes that a place skipped step two, and in which browser. ErrNotFound: it has
// ended, or is of another epoch, and must not.
func (db *DB) UsePlace(ctx context.Context, p Place, now int64) error {
	return db.must(ctx, `UPDATE trusted_networks SET last_used_at = $4, body = $3
		WHERE id = $1 AND epoch = $2 AND revoked_at = 0`, p.ID, p.Epoch, p.Body, now)
}

// EndPlaces ends all places of an account but those of the browser keep ("": of none).
func (db *DB) EndPlaces(ctx context.Context, account, keep, why string, now int64) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $4, revoke_reason = $3
		WHERE account_id = $1 AND device_id <> $2 AND revoked_at = 0`, account, keep, why, now)
	return err
}

// KeepPlaces takes the places of a browser over into another epoch of the account.
func (db *DB) KeepPlaces(ctx context.Context, account, device string, from, to int64) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET epoch = $4
		WHERE account_id = $1 AND device_id = $2 AND epoch = $3 AND revoked_at = 0`, account, device, from, to)
	return err
}

// EndPlacesOf ends the places of one browser and account.
func (db *DB) EndPlacesOf(ctx context.Context, device, account, why string, now int64) error {
	_, err := db.change(ctx, `UPDATE trusted_networks SET revoked_at = $4, revoke_reason = $3 WHERE device_id = $1
			AND account_id = $2 AND revoked_at = 0`, device, account, why, now)
	return err
}

// KeepDevices removes the places of all but the most browsers of an account that were
// verified last.
func (db *DB) KeepDevices(ctx context.Context, account string, most int64) error {
	_, err := db.change(ctx, `DELETE FROM trusted_networks WHERE account_id = $1 AND revoked_at = 0 AND device_id NOT IN
		(SELECT device_id FROM trusted_networks WHERE account_id = $1 AND revoked_at = 0 GROUP BY device_id
		ORDER BY max(verified_at) DESC, device_id LIMIT $2)`, account, most)
	return err
}

const placeColumns = `id, device_id, account_id, epoch, body, verified_at, last_used_at, revoked_at, revoke_reason`

func scanPlace(s scanner) (p Place, err error) {
	return p, s.Scan(&p.ID, &p.Device, &p.Account, &p.Epoch, &p.Body, &p.VerifiedAt, &p.UsedAt, &p.EndedAt, &p.Ended)
}

// Places are all places of an account, the longest verified first.
func (db *DB) Places(ctx context.Context, account string) ([]Place, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+placeColumns+` FROM trusted_networks WHERE account_id = $1
			ORDER BY verified_at, id`, account)
	return all(rows, err, scanPlace)
}

// PlacesIn are the places of an account in one browser, the longest verified first.
func (db *DB) PlacesIn(ctx context.Context, device, account string) ([]Place, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+placeColumns+` FROM trusted_networks WHERE device_id = $1
			AND account_id = $2 ORDER BY verified_at, id`, device, account)
	return all(rows, err, scanPlace)
}
