package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
)

// A mail server that refuses one address for now, and accepts all others, has not been away: the message to that address
// is not tried again with each of the others.
func TestOneAddressIsNotRetriedWithEachMessage(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		tries := 0
		b.Senders[delivery.Email] = func(ctx context.Context, m delivery.Message) error {
			b.now = b.now.Add(time.Millisecond)
			if m.ID != "busy" {
				return b.send(ctx, m)
			}
			tries++
			return errors.New("450 mailbox busy")
		}
		b.enqueue("busy", 15*time.Minute)
		const others = 100
		for i := range others {
			b.now = b.now.Add(100 * time.Millisecond)
			b.enqueue(fmt.Sprint("other", i), 15*time.Minute)
			b.deliverAllDue(i + 1)
		}
		if tries > 8 { // of the backoff, and of one recovery in ten seconds
			b.Errorf("%d tries within ten seconds, with %d other messages", tries, others)
		}
	})
}
