// Package sms is the method of codes to a phone as text. It says which numbers may get one
// and composes the message; it does not send it.
package sms

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

// Method sends codes by text message.
type Method struct {
	// Countries are the only ones whose numbers get a message, as ISO 3166 codes ("DE");
	// empty: all. It counts for the number, not for what was chosen on the page.
	Countries []string
	Valid     time.Duration // of a code, from its own sending; 0: sentcode.Valid
}

// About says that an account may have one number.
func (m Method) About() factor.About {
	return factor.About{
		Method: "sms",
		Path:   "sms",
		Most:   1, // "Only one phone number can be linked to your log in"
		Valid:  cmp.Or(m.Valid, sentcode.Valid),
		Digits: sentcode.Digits,
		AMR:    []string{"otp", "sms"}, // RFC 8176
		Fields: []factor.Field{
			{Name: "country", Kind: "choice", Autocomplete: "tel-country-code", Options: m.options, Guess: RegionFor},
			{Name: "number", Kind: "tel", Autocomplete: "tel-national"},
		},
		Words: map[string]factor.Words{"en": english(), "de": german()},
	}
}

// Enroll reads the fields country and number. A number that begins with + or with the
// country's own international prefix brings its country along, and the field does not count.
// Every error is a *factor.Refusal; nothing is sent to a number that is refused.
func (m Method) Enroll(_ context.Context, ask factor.Ask, form url.Values) (factor.Factor, factor.Challenge, error) {
	number, err := m.number(form.Get("country"), form.Get("number"), ask.Language)
	if err != nil {
		return factor.Factor{}, factor.Challenge{}, err
	}
	f := factor.Factor{Method: "sms", Destination: number, Shown: Display(number), Masked: masked(number)}
	return f, challenge(ask, number), nil
}

// Challenge composes a message to the enrolled number.
func (Method) Challenge(_ context.Context, ask factor.Ask) (factor.Challenge, error) {
	return challenge(ask, ask.Factor.Destination), nil
}

// Read takes the code from the form.
func (Method) Read(form url.Values, hard bool) (string, error) { return sentcode.Read(form, hard) }

// Verify compares it.
func (Method) Verify(_ context.Context, _ *factor.Factor, answer factor.Answer) error {
	return sentcode.Verify(answer)
}

// Farewell tells a number that another one has taken its place.
func (Method) Farewell(ask factor.Ask) delivery.Message {
	return delivery.Message{Channel: delivery.SMS, To: ask.Factor.Destination, Text: farewell(ask)}
}

// options are the countries a number may be of, "Germany (+49)".
func (m Method) options(language string) []factor.Option {
	var list []factor.Option
	for _, r := range Regions(language, m.Countries) {
		list = append(list, factor.Option{Value: r.Code, Label: r.Name + " (" + r.Dial + ")"})
	}
	return list
}

func challenge(ask factor.Ask, number string) factor.Challenge {
	code := sentcode.New(ask.Hard)
	return factor.Challenge{
		Message: &delivery.Message{Channel: delivery.SMS, To: number, Text: compose(ask, code)},
		Answer:  code,
	}
}

// masked leaves the last three digits and tells neither the country nor the length.
func masked(number string) string { return "•••• " + number[max(0, len(number)-3):] }
