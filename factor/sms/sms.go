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
	AllowedCountries []string
	CodeTTL          time.Duration // of a code, from its own sending; 0: sentcode.Valid
}

// Info says that an account may have one number.
func (m Method) Info() factor.Info {
	return factor.Info{
		Method:        "sms",
		Path:          "sms",
		MaxPerAccount: 1, // "Only one phone number can be linked to your log in"
		CodeTTL:       cmp.Or(m.CodeTTL, sentcode.CodeTTL),
		Digits:        sentcode.Digits,
		AMR:           []string{"otp", "sms"}, // RFC 8176
		Fields: []factor.Field{
			{Name: "country", Kind: "choice", Autocomplete: "tel-country-code", Options: m.countryOptions, Default: RegionFromAcceptLanguage},
			{Name: "number", Kind: "tel", Autocomplete: "tel-national"},
		},
		Words: map[string]factor.Words{"en": englishWords(), "de": germanWords()},
	}
}

// Enroll reads the fields country and number. A number that begins with + or with the
// country's own international prefix brings its country along, and the field does not count.
// Every error is a *factor.Refusal; nothing is sent to a number that is refused.
func (m Method) Enroll(_ context.Context, ask factor.Request, form url.Values) (factor.Factor, factor.Challenge, error) {
	number, err := m.parseNumber(form.Get("country"), form.Get("number"), ask.Language)
	if err != nil {
		return factor.Factor{}, factor.Challenge{}, err
	}
	f := factor.Factor{Method: "sms", Destination: number, Display: FormatNumber(number), Masked: maskNumber(number)}
	return f, newChallenge(ask, number), nil
}

// Challenge composes a message to the enrolled number.
func (Method) Challenge(_ context.Context, ask factor.Request) (factor.Challenge, error) {
	return newChallenge(ask, ask.Factor.Destination), nil
}

// ParseResponse takes the code from the form.
func (Method) ParseResponse(form url.Values, hard bool) (string, error) {
	return sentcode.Parse(form, hard)
}

// Verify compares it.
func (Method) Verify(_ context.Context, _ *factor.Factor, answer factor.Response) error {
	return sentcode.Verify(answer)
}

// ReplacedMessage tells a number that another one has taken its place.
func (Method) ReplacedMessage(ask factor.Request) delivery.Message {
	return delivery.Message{Channel: delivery.SMS, To: ask.Factor.Destination, Text: composeReplacedMessage(ask)}
}

// countryOptions are the countries a number may be of, "Germany (+49)".
func (m Method) countryOptions(language string) []factor.Option {
	var list []factor.Option
	for _, r := range ListRegions(language, m.AllowedCountries) {
		list = append(list, factor.Option{Value: r.Code, Label: r.Name + " (" + r.CallingCode + ")"})
	}
	return list
}

func newChallenge(ask factor.Request, number string) factor.Challenge {
	code := sentcode.New(ask.LongCode)
	return factor.Challenge{
		Message: &delivery.Message{Channel: delivery.SMS, To: number, Text: composeCodeMessage(ask, code)},
		Answer:  code,
	}
}

// maskNumber leaves the last three digits and tells neither the country nor the length.
func maskNumber(number string) string { return "•••• " + number[max(0, len(number)-3):] }
