package outbox_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/store"
)

// Operators see the messages that wait and those that failed, with the words of the server, and not what the messages
// say.
func TestOperatorsSeeTheQueue(t *testing.T) {
	eachDatabase(t, func(b *fixture) {
		b.enqueue("later", 15*time.Minute)
		b.answers = []error{errors.New("451 4.7.1 come\r\nback later")}
		b.deliverAllDue(1)
		b.enqueue("refused", 15*time.Minute)
		b.answers = []error{fmt.Errorf("%w: 550 %s", delivery.ErrRejected, strings.Repeat("ä", 300))}
		b.deliverAllDue(2)
		waiting, err := b.Waiting(b.Context(), 9)
		if err != nil || len(waiting) != 1 {
			b.Fatalf("%d waiting, %v", len(waiting), err)
		}
		if w := waiting[0]; w.ID != "later" || w.Failure != "451 4.7.1 come back later" || w.To == "" || w.Channel != delivery.Email ||
			w.Attempts != 1 || !w.DueAt.After(b.now) || w.State != store.MessageWaiting {
			b.Errorf("waiting: %+v", w)
		}
		failed, err := b.Failed(b.Context(), 9)
		if err != nil || len(failed) != 1 {
			b.Fatalf("%d failed, %v", len(failed), err)
		}
		if f := failed[0]; f.ID != "refused" || f.State != store.MessageRefused || f.To == "" || len(f.Failure) > 300 ||
			!strings.Contains(f.Failure, "550 ää") {
			b.Errorf("failed: %+v", f)
		}
		if n, oldest, err := b.CountWaiting(b.Context()); err != nil || n != 1 || oldest.IsZero() {
			b.Errorf("%d wait since %s, %v", n, oldest, err)
		}
		if state, _, err := b.State(b.Context(), "refused"); err != nil || state != store.MessageRefused {
			b.Errorf("state %q, %v", state, err)
		}
		if _, _, err := b.State(b.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
			b.Errorf("no such message: %v", err)
		}
	})
}
