// Package delivery sends messages to people: by SMTP, through SMS gateways, or into a local inbox.
// The server retries and limits messages; the package does neither.
package delivery

import (
	"context"
	"errors"
)

// Channel is how a message is sent.
type Channel string

// The channels of this package. A method may define others.
const (
	Email Channel = "email"
	SMS   Channel = "sms"
)

// Message is one message to one recipient. It is the same on every attempt to send it.
type Message struct {
	ID      string // unique; letters, digits, - and _; at most 100 bytes; the local part of the Message-ID
	Channel Channel
	To      string // one plain address (ASCII, local@domain) or one E.164 number
	Subject string // email only
	Text    string // plain text, complete without HTML
	HTML    string // email only; "" sends plain text only
	// Language is the language of the text (BCP 47), "de". "" if it is not known.
	Language string `json:",omitempty"`
	// Inline are the images of HTML; email only.
	Inline []InlineFile `json:",omitempty"`
}

// InlineFile is an image in the HTML part of a mail, which shows it by <img src="cid:ID"> (RFC 2392).
type InlineFile struct {
	ID          string // left@right; letters, digits, -, . and _; unique in the world if the content differs
	Name        string // file name; letters, digits, -, . and _
	ContentType string // image/png or image/jpeg
	Data        []byte // at most 256 KB
}

// SendFunc sends m and returns nil once the mail server or gateway has accepted it. An error that
// wraps neither ErrRejected nor ErrUncertain means that m was not accepted and can be sent again.
type SendFunc func(ctx context.Context, m Message) error

var (
	// ErrRejected is returned if the mail server or gateway rejected this message permanently, or if
	// the message is invalid. It was not delivered. Do not send it again.
	ErrRejected = errors.New("delivery refused")
	// ErrUncertain is returned if the message was sent and no usable response came. The message may
	// or may not arrive; if it is sent again, the person may get it twice.
	ErrUncertain = errors.New("delivery uncertain")
)
