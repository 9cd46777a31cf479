package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// pingTimeout is how long a connection that has been idle may take to show that its server answers.
const pingTimeout = time.Second

// dropHanging returns options of a pool that drops all connections to a server that hangs, at the first that does not
// answer. Otherwise each connection of the pool would use up the time of one request, long after a failover.
func dropHanging() []stdlib.OptionOpenDB {
	var hungAt atomic.Int64 // connections that were opened before do not answer, Unix nanoseconds
	return []stdlib.OptionOpenDB{
		stdlib.OptionAfterConnect(func(_ context.Context, c *pgx.Conn) error {
			c.PgConn().CustomData()[openedAt] = time.Now().UnixNano()
			return nil
		}),
		// The driver pings a connection for which this reports true, and drops it if that fails.
		stdlib.OptionShouldPing(func(ctx context.Context, p stdlib.ShouldPingParams) bool {
			at, _ := p.Conn.PgConn().CustomData()[openedAt].(int64)
			if at > hungAt.Load() {
				if p.IdleDuration <= time.Second {
					return false
				}
				limited, stop := context.WithTimeout(ctx, pingTimeout)
				defer stop()
				if p.Conn.PgConn().Ping(limited) == nil {
					return false
				}
				if ctx.Err() == nil && limited.Err() != nil {
					hungAt.Store(time.Now().UnixNano())
				}
			}
			_ = p.Conn.PgConn().Conn().Close() // so that the ping fails at once
			return true
		}),
	}
}

// openedAt is the key of the time at which a connection was opened.
const openedAt = "twostep opened at"
