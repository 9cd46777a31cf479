package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
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

// While the mail server is away, the attempts of all messages are one line a minute in the log, and one when it is back.
func TestFailedAttemptsAreOneLine(t *testing.T) {
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	b := &fixture{T: t, server: &server{}, now: time.Unix(1000, 0)}
	away := true
	send := func(ctx context.Context, m delivery.Message) error {
		if away {
			return errors.New("connection refused")
		}
		return b.send(ctx, m)
	}
	b.Outbox = outbox.New(storetest.Open(t, filepath.Join(t.TempDir(), "twostep.db")), keys, map[delivery.Channel]delivery.SendFunc{delivery.Email: send},
		func() time.Time { return b.now }, slog.New(slog.NewTextHandler(&text, nil)))
	for i := range 50 {
		b.enqueue(fmt.Sprint("m", i), time.Hour)
	}
	b.deliverAllDue(0)
	if n := strings.Count(text.String(), "messages cannot be sent"); n != 1 {
		t.Errorf("%d lines for 50 attempts:\n%s", n, text.String())
	}
	b.now = b.now.Add(time.Minute)
	b.deliverAllDue(0)
	if n := strings.Count(text.String(), "messages cannot be sent"); n != 2 || !strings.Contains(text.String(), "failures=50") {
		t.Errorf("%d lines a minute later:\n%s", n, text.String())
	}
	away = false
	b.now = b.now.Add(time.Minute)
	b.deliverAllDue(50)
	if !strings.Contains(text.String(), "messages are sent again") {
		t.Errorf("no line when it is back:\n%s", text.String())
	}
}
