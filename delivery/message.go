// Package delivery takes a message to a person: by SMTP, through SMS gateways, or into the local inbox.
// It does not decide whether, when or how often; that is the outbox.
package delivery

import (
	"context"
	"errors"
)

// Channel is the kind of way a message travels.
type Channel string

// The channels.
const (
	Email Channel = "email"
	SMS   Channel = "sms"
)

// Message is one message to one person. It is the same on every attempt to send it.
type Message struct {
	ID      string // unique; letters, digits, - and _; the local part of the Message-ID
	Channel Channel
	To      string // one plain address (ASCII, local@domain) or one E.164 number
	Subject string // email only
	Text    string // plain text, always complete
	HTML    string // email only; "" sends plain text alone
}

// SendFunc hands m over and returns nil once the other side has accepted it.
type SendFunc func(ctx context.Context, m Message) error

var (
	// ErrRejected says that the other side refused this message for good, or that it is
	// no message anybody could send: trying again is useless. It was not delivered.
	ErrRejected = errors.New("delivery refused")
	// ErrUncertain says that the connection broke after the message was handed over
	// and before the answer: it may or may not arrive.
	ErrUncertain = errors.New("delivery uncertain")
)

// Any other error of a Send means: not accepted now, try again later.
