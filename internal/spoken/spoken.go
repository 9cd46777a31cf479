// Package spoken is a custom verification method for tests: a phone call that reads out the code.
// It shows what a method consists of: one package, and one element of Options.Methods.
package spoken

import (
	"context"
	"net/url"
	"strings"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

// CallChannel is the channel of its messages.
const CallChannel delivery.Channel = "call"

// Method reads out codes in phone calls. The zero value is ready to use.
type Method struct{}

// Info describes the method.
func (Method) Info() factor.Info {
	return factor.Info{
		Method: "spoken", Path: "call", MaxPerAccount: 1, CodeTTL: sentcode.CodeTTL, Digits: sentcode.Digits,
		AMR:    []string{"otp", "tel"},
		Fields: []factor.Field{{Name: "number", Kind: "tel", Autocomplete: "tel"}},
		Words: map[string]factor.Words{"en": {
			Title: "2-Step Call", Name: "Phone call", ChoiceLabel: "Call {Masked} and say a code",
			Prompt: "We are calling {Masked}.",
			Intro:  []string{"A machine calls you and says the code."}, Button: "Call me",
			Messages: map[string]string{"number": "Phone number",
				"number.wrong": "Begin with + and the country's code."},
		}},
	}
}

// Enroll accepts any number that begins with a plus.
func (m Method) Enroll(ctx context.Context, ask factor.Request, form url.Values) (
	factor.Factor, factor.Challenge, error,
) {
	number := form.Get("number")
	if !strings.HasPrefix(number, "+") || len(number) < 4 {
		return factor.Factor{}, factor.Challenge{}, &factor.UserError{Err: factor.ErrCannotEnroll, Field: "number",
			MessageKey: "number.wrong"}
	}
	ask.Factor = factor.Factor{Destination: number, Masked: "•••• " + number[len(number)-3:]}
	c, err := m.Challenge(ctx, ask)
	return ask.Factor, c, err
}

// Challenge composes a call with a new code.
func (Method) Challenge(_ context.Context, ask factor.Request) (factor.Challenge, error) {
	code := sentcode.New(ask.LongCode)
	return factor.Challenge{Answer: code,
		Message: &delivery.Message{Channel: CallChannel, To: ask.Factor.Destination, Text: code}}, nil
}

// ParseResponse reads the code from the form.
func (Method) ParseResponse(form url.Values, longCode bool) (string, error) {
	return sentcode.Parse(form, longCode)
}

// Verify compares the code.
func (Method) Verify(_ context.Context, _ *factor.Factor, a factor.Response) error {
	return sentcode.Verify(a)
}

// NoticeMessage composes a notification to a number: its text is the notice.
func (Method) NoticeMessage(n factor.Notice, ask factor.Request) delivery.Message {
	return delivery.Message{Channel: CallChannel, To: ask.Factor.Destination, Text: string(n)}
}
