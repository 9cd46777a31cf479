package factor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

// Call is the channel of phone calls. Options.Senders has a function for it that makes the call.
const Call delivery.Channel = "call"

// PhoneCall is a custom method: a phone call that reads out a code. It composes the text; it makes
// no calls, has no database and does not count attempts.
type PhoneCall struct{}

// Info describes the method: its name, the validity of its codes, and its enrolment form.
func (PhoneCall) Info() factor.Info {
	return factor.Info{
		Method: "call", Path: "call", MaxPerAccount: 1,
		CodeTTL: 5 * time.Minute, Digits: sentcode.Digits,
		AMR:    []string{"otp", "tel"}, // RFC 8176
		Fields: []factor.Field{{Name: "number", Kind: "tel", Autocomplete: "tel"}},
		Words: map[string]factor.Words{"en": {
			Title: "2-Step Call", Name: "Phone call", ChoiceLabel: "Call {Masked} and say a code",
			Prompt: "We are calling {Masked}.",
			Intro:  []string{"A machine calls you and says a code."}, Button: "Call me",
			Messages: map[string]string{
				"number": "Phone number", "number.wrong": "Start with + and the country code, like +49.",
			},
		}},
	}
}

// Enroll creates a factor from a phone number, with its first challenge.
func (m PhoneCall) Enroll(ctx context.Context, ask factor.Request, form url.Values) (
	factor.Factor, factor.Challenge, error) {
	number := strings.ReplaceAll(form.Get("number"), " ", "")
	if !strings.HasPrefix(number, "+") || len(number) < 8 {
		wrong := &factor.UserError{Err: factor.ErrCannotEnroll, Field: "number", MessageKey: "number.wrong"}
		return factor.Factor{}, factor.Challenge{}, wrong
	}
	ask.Factor = factor.Factor{Destination: number, Masked: "•••• " + number[len(number)-3:]}
	challenge, err := m.Challenge(ctx, ask)
	return ask.Factor, challenge, err
}

// Challenge creates a code and composes the call.
func (PhoneCall) Challenge(_ context.Context, ask factor.Request) (factor.Challenge, error) {
	code := sentcode.New(ask.LongCode)
	spoken := "Your code for " + ask.Site + " is " + strings.Join(strings.Split(code, ""), ", ")
	message := &delivery.Message{Channel: Call, To: ask.Factor.Destination, Text: spoken}
	return factor.Challenge{Answer: code, Message: message}, nil
}

// ParseResponse reads the code from the form.
func (PhoneCall) ParseResponse(form url.Values, longCode bool) (string, error) {
	return sentcode.Parse(form, longCode)
}

// Verify compares it with the valid codes.
func (PhoneCall) Verify(_ context.Context, _ *factor.Factor, answer factor.Response) error {
	return sentcode.Verify(answer)
}

// A custom method is one type. Pass it to the server in Options.Methods.
func ExampleMethod() {
	var m factor.Method = PhoneCall{}
	ctx, ask := context.Background(), factor.Request{Site: "Notes"}

	var refusal *factor.UserError
	_, _, err := m.Enroll(ctx, ask, url.Values{"number": {"112"}})
	if errors.As(err, &refusal) {
		fmt.Println(m.Info().WordsIn("en").Messages[refusal.MessageKey])
	}

	f, challenge, err := m.Enroll(ctx, ask, url.Values{"number": {"+49 30 901820"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("calls", challenge.Message.To, "and shows", f.Masked)

	// The server stores a keyed hash of the answer, counts an attempt, parses the form and
	// compares.
	matches := func(candidate string) bool { return candidate == challenge.Answer }
	for _, typed := range []string{"", "abcdef", challenge.Answer} {
		text, err := m.ParseResponse(url.Values{"code": {typed}}, false)
		if err != nil {
			fmt.Println(err)
			continue
		}
		err = m.Verify(ctx, &f, factor.Response{Text: text, Now: time.Now(), Matches: matches})
		fmt.Println("verified:", err == nil)
	}
	// Output:
	// Start with + and the country code, like +49.
	// calls +4930901820 and shows •••• 820
	// no verification code in the form
	// no verification code in the form
	// verified: true
}
