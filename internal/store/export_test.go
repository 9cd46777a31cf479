package store

import (
	"context"
	"time"
)

// CreateAuditEventWithIDs is CreateAuditEvent with the ids that draw returns.
func CreateAuditEventWithIDs(ctx context.Context, db *DB, e AuditEvent, at time.Time,
	draw func(time.Time) EventID) (EventID, error) {
	return db.createAuditEvent(ctx, e, at, draw)
}
