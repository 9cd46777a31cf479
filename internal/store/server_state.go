package store

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// GetOrSetState stores a value under a name unless the name has one, and returns the stored value.
func (db *DB) GetOrSetState(ctx context.Context, name, value string) (kept string, err error) {
	if _, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO NOTHING`, name, value); err != nil {
		return "", err
	}
	err = db.write.QueryRowContext(ctx, `SELECT value FROM server_state WHERE name = $1`, name).Scan(&kept)
	return kept, found(err)
}

// AdvanceLatestTime stores now unless a later time is stored. A clock that was set back is noticed by comparing it with
// DeviceView.LatestTime.
func (db *DB) AdvanceLatestTime(ctx context.Context, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ('time', $1)
		ON CONFLICT (name) DO UPDATE SET value = $1
		WHERE CAST(server_state.value AS BIGINT) < CAST($1 AS BIGINT)`, strconv.FormatInt(now.UnixMilli(), 10))
	return err
}

// GetLatestTime returns the time of AdvanceLatestTime, or ErrNotFound.
func (db *DB) GetLatestTime(ctx context.Context) (at time.Time, err error) {
	err = found(db.read.QueryRowContext(ctx, `SELECT CAST(value AS BIGINT) FROM server_state WHERE name = 'time'`).
		Scan((*Time)(&at)))
	return at, err
}

// SetLatestTime stores now, also if a later time is stored.
func (db *DB) SetLatestTime(ctx context.Context, now time.Time) error {
	_, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ('time', $1)
		ON CONFLICT (name) DO UPDATE SET value = $1`, strconv.FormatInt(now.UnixMilli(), 10))
	return err
}

// ClockAhead returns how far the clock now is at least ahead of the clock of PostgreSQL; it is negative if now is
// behind. SQLite has no clock. There it compares now with the time of AdvanceLatestTime, and returns 0 or less.
func (db *DB) ClockAhead(ctx context.Context, now func() time.Time) (time.Duration, error) {
	if db.flavor.oneWriter {
		var latest Time
		err := db.read.QueryRowContext(ctx, `SELECT CAST(COALESCE(MAX(value), '0') AS BIGINT) FROM server_state
			WHERE name = 'time'`).Scan(&latest)
		return min(now().Sub(time.Time(latest)), 0), err
	}
	var theirs Time
	before := now()
	err := db.read.QueryRowContext(ctx,
		`SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`).Scan(&theirs)
	after := now()
	if err != nil {
		return 0, err
	}
	// PostgreSQL read its clock between before and after.
	return max(before.Sub(time.Time(theirs)), 0) + min(after.Sub(time.Time(theirs)), 0), nil
}

// AdvanceSweepTime returns a time that follows the clock: it advances to now, but by at most maxStep with each call.
// Rows that are deleted by this time survive a clock that jumps forward and is corrected soon.
func (db *DB) AdvanceSweepTime(ctx context.Context, now time.Time, maxStep time.Duration) (at time.Time, err error) {
	const name = "time that follows"
	err = db.Tx(ctx, func(tx *DB) error {
		at = now
		stored, err := tx.GetState(ctx, name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil {
			last, err := strconv.ParseInt(stored, 10, 64)
			if err != nil {
				return err
			}
			if limit := time.UnixMilli(last).Add(maxStep); limit.Before(now) {
				at = limit
			}
		}
		return tx.SetState(ctx, name, strconv.FormatInt(at.UnixMilli(), 10))
	})
	return at, err
}

// GetState returns the value stored under a name, or ErrNotFound.
func (db *DB) GetState(ctx context.Context, name string) (value string, err error) {
	err = found(db.read.QueryRowContext(ctx, `SELECT value FROM server_state WHERE name = $1`, name).Scan(&value))
	return value, err
}

// SetState stores a value under a name and replaces the one before.
func (db *DB) SetState(ctx context.Context, name, value string) error {
	_, err := db.change(ctx, `INSERT INTO server_state (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = $2`, name, value)
	return err
}
