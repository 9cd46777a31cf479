package store

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// GetOrSetState writes a fact about this database down unless one of that name stands
// there, and returns the one that stands.
func (db *DB) GetOrSetState(ctx context.Context, name, value string) (kept string, err error) {
	if _, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO NOTHING`, name, value); err != nil {
		return "", err
	}
	err = db.write.QueryRowContext(ctx, `SELECT value FROM server_state WHERE name = $1`, name).Scan(&kept)
	return kept, found(err)
}

// AdvanceLatestTime notes the time, if it is later than what stands there: a clock that is set
// back is then seen to be behind (Seen.Latest).
func (db *DB) AdvanceLatestTime(ctx context.Context, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ('time', $1)
		ON CONFLICT (name) DO UPDATE SET value = $1
		WHERE CAST(server_state.value AS BIGINT) < CAST($1 AS BIGINT)`, strconv.FormatInt(now.UnixMilli(), 10))
	return err
}

// SetLatestTime notes the time, whatever stands there.
func (db *DB) SetLatestTime(ctx context.Context, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ('time', $1)
		ON CONFLICT (name) DO UPDATE SET value = $1`, strconv.FormatInt(now.UnixMilli(), 10))
	return err
}

// AdvanceSweepTime is a time that follows the clock: to now from where it stood, but most further at
// once. What is removed by it survives a clock that jumps ahead and is set right in time.
func (db *DB) AdvanceSweepTime(ctx context.Context, now time.Time, most time.Duration) (at time.Time, err error) {
	const name = "time that follows"
	err = db.Tx(ctx, func(tx *DB) error {
		at = now
		stood, err := tx.GetState(ctx, name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil {
			was, err := strconv.ParseInt(stood, 10, 64)
			if err != nil {
				return err
			}
			if limit := time.UnixMilli(was).Add(most); limit.Before(now) {
				at = limit
			}
		}
		return tx.SetState(ctx, name, strconv.FormatInt(at.UnixMilli(), 10))
	})
	return at, err
}

// GetState is the fact of this name. ErrNotFound.
func (db *DB) GetState(ctx context.Context, name string) (value string, err error) {
	err = found(db.read.QueryRowContext(ctx, `SELECT value FROM server_state WHERE name = $1`, name).Scan(&value))
	return value, err
}

// SetState writes a fact about this database down, whatever stands there.
func (db *DB) SetState(ctx context.Context, name, value string) error {
	_, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = $2`, name, value)
	return err
}
