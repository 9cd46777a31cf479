// Package spoken is a made-up method for tests: a machine calls and says the code. It
// shows what a method costs: this folder, and one line in the list of methods.
package spoken

import (
	"context"
	"net/url"
	"strings"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

// Call is the channel its messages travel on.
const Call delivery.Channel = "call"

// Method says codes. The zero value is ready.
type Method struct{}

// About says what it is called.
func (Method) About() factor.About {
	return factor.About{
		Method: "spoken", Path: "call", Most: 1, Valid: sentcode.Valid, Digits: sentcode.Digits, AMR: []string{"otp", "tel"},
		Fields: []factor.Field{{Name: "number", Kind: "tel", Autocomplete: "tel"}},
		Words: map[string]factor.Words{"en": {
			Title: "2-Step Call", Name: "Phone call", Does: "Call {Masked} and say a code", Lead: "We are calling {Masked}.",
			Intro: []string{"A machine calls you and says the code."}, Button: "Call me",
			Says: map[string]string{"number": "Phone number", "number.wrong": "Begin with + and the country's code."},
		}},
	}
}

// Enroll takes any number that begins with a plus.
func (m Method) Enroll(ctx context.Context, ask factor.Ask, form url.Values) (factor.Factor, factor.Challenge, error) {
	number := form.Get("number")
	if !strings.HasPrefix(number, "+") || len(number) < 4 {
		return factor.Factor{}, factor.Challenge{}, &factor.Refusal{Err: factor.ErrRefused, Field: "number", Says: "number.wrong"}
	}
	ask.Factor = factor.Factor{Destination: number, Masked: "•••• " + number[len(number)-3:]}
	c, err := m.Challenge(ctx, ask)
	return ask.Factor, c, err
}

// Challenge says a code.
func (Method) Challenge(_ context.Context, ask factor.Ask) (factor.Challenge, error) {
	code := sentcode.New(ask.Hard)
	return factor.Challenge{Answer: code, Message: &delivery.Message{Channel: Call, To: ask.Factor.Destination, Text: code}}, nil
}

// Read takes the code from the form.
func (Method) Read(form url.Values, hard bool) (string, error) { return sentcode.Read(form, hard) }

// Verify compares it.
func (Method) Verify(_ context.Context, _ *factor.Factor, a factor.Answer) error {
	return sentcode.Verify(a)
}

// Farewell is said to a number that another one replaces.
func (Method) Farewell(ask factor.Ask) delivery.Message {
	return delivery.Message{Channel: Call, To: ask.Factor.Destination, Text: "goodbye"}
}
