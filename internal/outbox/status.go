package outbox

import (
	"errors"
	"sync"
	"time"

	"twostep.example/twostep/delivery"
)

// ChannelStatus is how the attempts of this process to send messages on one channel have ended.
type ChannelStatus struct {
	SentAt   time.Time // when the mail server or gateway last accepted a message; zero: never
	FailedAt time.Time // when it last could not be used; zero: never
}

// recoveryInterval is the shortest time between two recoveries of a channel. A mail server that refuses one address for
// now, and accepts the others, seems to recover with each message.
const recoveryInterval = 10 * time.Second

// status has the ChannelStatus of each channel.
type status struct {
	mu          sync.Mutex
	byChannel   map[delivery.Channel]ChannelStatus
	recoveredAt map[delivery.Channel]time.Time
}

// Status returns how the attempts on a channel have ended since the start.
func (o *Outbox) Status(channel delivery.Channel) ChannelStatus {
	o.status.mu.Lock()
	defer o.status.mu.Unlock()
	return o.status.byChannel[channel]
}

// Expired returns how many messages this process has given up since its start: they expired before a mail server or
// gateway accepted them, or the results of two attempts are not known.
func (o *Outbox) Expired() int64 { return o.expired.Load() }

// record records the result of an attempt, and reports whether it is the first success after a failure, once in
// recoveryInterval. A rejected message says nothing about the server.
func (s *status) record(channel delivery.Channel, result error, now time.Time) (recovered bool) {
	if errors.Is(result, delivery.ErrRejected) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byChannel == nil {
		s.byChannel, s.recoveredAt = map[delivery.Channel]ChannelStatus{}, map[delivery.Channel]time.Time{}
	}
	c := s.byChannel[channel]
	if result == nil {
		since := now.Sub(s.recoveredAt[channel])
		if recovered = c.FailedAt.After(c.SentAt) && (since < 0 || since >= recoveryInterval); recovered {
			s.recoveredAt[channel] = now
		}
		c.SentAt = now
	} else {
		c.FailedAt = now
	}
	s.byChannel[channel] = c
	return recovered
}
