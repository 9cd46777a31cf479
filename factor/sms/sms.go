// Package sms is the verification method that sends codes by text message. It decides which numbers
// may get one and composes the message; the server sends it.
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

// Method sends codes by text message. The zero value is ready to use.
type Method struct {
	// AllowedCountries are the only countries whose numbers get a message, as ISO 3166 codes ("DE").
	// Empty allows all. The country of the number counts, not the one chosen in the form.
	AllowedCountries []string
	CodeTTL          time.Duration // how long a code is valid after it is sent; 0 is sentcode.CodeTTL
}

// Info describes the method. An account can have one number.
func (m Method) Info() factor.Info {
	return factor.Info{
		Method:        "sms",
		Path:          "sms",
		MaxPerAccount: 1, // help page: "Only one phone number can be linked to your log in"
		CodeTTL:       cmp.Or(m.CodeTTL, sentcode.CodeTTL),
		Digits:        sentcode.Digits,
		AMR:           []string{"otp", "sms"}, // RFC 8176
		Fields: []factor.Field{
			{Name: "country", Kind: "choice", Autocomplete: "tel-country-code", Options: m.countryOptions,
				Default: RegionFromAcceptLanguage},
			{Name: "number", Kind: "tel", Autocomplete: "tel-national"},
		},
		Words: map[string]factor.Words{"en": englishWords(), "de": germanWords()},
	}
}

// Enroll reads the form fields country and number. A number with + or with the country's own
// international prefix overrides the field country. Every error is a *factor.UserError; nothing is
// sent to a rejected number, and to a doubtful one only once the person has confirmed it.
func (m Method) Enroll(_ context.Context, ask factor.Request, form url.Values) (
	factor.Factor, factor.Challenge, error,
) {
	number, err := m.parseNumber(form.Get("country"), form.Get("number"), form.Get(factor.ConfirmField), ask.Language)
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

// ParseResponse reads the code from the form. It returns factor.ErrMalformed if there is none.
func (Method) ParseResponse(form url.Values, longCode bool) (string, error) {
	return sentcode.Parse(form, longCode)
}

// Verify returns factor.ErrIncorrect if the code is not one of the valid codes.
func (Method) Verify(_ context.Context, _ *factor.Factor, answer factor.Response) error {
	return sentcode.Verify(answer)
}

// NoticeMessage composes a notification to the number of a factor.
func (Method) NoticeMessage(n factor.Notice, ask factor.Request) delivery.Message {
	return delivery.Message{Channel: delivery.SMS, To: ask.Factor.Destination, Text: composeNotice(n, ask)}
}

// countryOptions returns the allowed countries, labelled "Germany (+49)".
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

// maskNumber shows the last three digits and discloses neither the country nor the length.
func maskNumber(number string) string { return "•••• " + number[max(0, len(number)-3):] }
