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

// status has the ChannelStatus of each channel.
type status struct {
	mu        sync.Mutex
	byChannel map[delivery.Channel]ChannelStatus
}

// Status returns how the attempts on a channel have ended since the start.
func (o *Outbox) Status(channel delivery.Channel) ChannelStatus {
	o.status.mu.Lock()
	defer o.status.mu.Unlock()
	return o.status.byChannel[channel]
}

// record records the result of an attempt, and reports whether it is the first success after a failure. A rejected
// message says nothing about the server.
func (s *status) record(channel delivery.Channel, result error, now time.Time) (recovered bool) {
	if errors.Is(result, delivery.ErrRejected) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byChannel == nil {
		s.byChannel = map[delivery.Channel]ChannelStatus{}
	}
	c := s.byChannel[channel]
	if result == nil {
		recovered = c.FailedAt.After(c.SentAt)
		c.SentAt = now
	} else {
		c.FailedAt = now
	}
	s.byChannel[channel] = c
	return recovered
}
