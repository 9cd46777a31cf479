package attack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// The mail server is away while strangers ask for links. When it is back, the code of somebody who signs in now does
// not wait behind their mails.
func TestNewCodeOvertakesOldMails(t *testing.T) {
	t.Parallel()
	const strangers, workers = 20, 4
	const away, slow, back = 0, 1, 2
	var state atomic.Int32     // of the mail server
	taken := make(chan string) // while it is slow, it takes a mail when the test does
	send := func(ctx context.Context, m delivery.Message) error {
		switch state.Load() {
		case away:
			return errors.New("connection refused")
		case back:
			return nil
		}
		select {
		case taken <- m.To:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	eachDatabase(t, func(h *server) {
		state.Store(away)
		for i := range strangers {
			a := h.Browser().Post("/signup", "name", "Stranger", "email", fmt.Sprintf("stranger%d@example.com", i))
			h.wantStatus(a, http.StatusSeeOther)
		}
		h.Turn(time.Minute)
		state.Store(slow)
		a := h.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword)
		h.wantStatus(a, http.StatusSeeOther)
		var order []string
		for range 2 { // each worker may have begun with an old mail
			for wait := time.Now().Add(20 * time.Second); h.count("outbox_messages WHERE claim_beats > 0") < workers; {
				if time.Now().After(wait) {
					h.T.Fatalf("not all workers send; sent: %v", order)
				}
			}
			for range workers {
				order = append(order, <-taken)
			}
		}
		if !slices.Contains(order, live.AnnaEmail) {
			h.T.Errorf("the code is not among the first: %v", order)
		}
		state.Store(back)
		for waiting := true; waiting; { // for the test
			select {
			case <-taken:
			case <-time.After(100 * time.Millisecond):
				waiting = false
			}
		}
	}, func(o *twostep.Options) {
		o.Senders = map[delivery.Channel]delivery.SendFunc{delivery.Email: send}
	})
}

// A server is killed while it sends a code. Another one sends it within seconds, not when the claim has run out after
// half a minute.
func TestKilledServerHoldsNoCode(t *testing.T) {
	t.Parallel()
	killed := start(t, storetest.NewPostgres(t), func(o *twostep.Options) { o.NoBackgroundWork = true })
	a := killed.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword)
	killed.wantStatus(a, http.StatusSeeOther)
	killed.exec(`UPDATE outbox_messages SET due_at = due_at + 3600000, send_attempts = 1, open_attempts = 1,
		claim_beats = 1`)
	other := start(t, killed.Database, func(o *twostep.Options) { o.KeyFile = killed.KeyFile })
	if mail := other.Mail.Next(0); !strings.Contains(mail, live.AnnaEmail) {
		t.Errorf("got %s", mail)
	}
}
