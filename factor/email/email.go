// Package email is the verification method that sends codes by email. It composes the message; the
// server sends it. Source: help page: "This is the default 2-Step verification method available on all
// {Site} accounts."
package email

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
	"twostep.example/twostep/internal/i18n"
)

// Method sends codes by email. The zero value is ready to use.
type Method struct {
	CodeTTL time.Duration // how long a code is valid after it is sent; 0 is sentcode.CodeTTL
}

// Info describes the method. Every account has it.
func (m Method) Info() factor.Info {
	// RFC 8176 registers no value for email, and "otp" would claim more than control of a mailbox.
	return factor.Info{Method: "email", Implicit: true, CodeTTL: cmp.Or(m.CodeTTL, sentcode.CodeTTL),
		Digits: sentcode.Digits, AMR: []string{"email"}, Words: localizedWords()}
}

// Enroll always returns an error: the factor is the address of the account.
func (Method) Enroll(context.Context, factor.Request, url.Values) (factor.Factor, factor.Challenge, error) {
	return factor.Factor{}, factor.Challenge{}, errors.New("email: is not enrolled")
}

// Challenge composes the message with a new code.
func (Method) Challenge(_ context.Context, ask factor.Request) (factor.Challenge, error) {
	code := sentcode.New(ask.LongCode)
	m := composeCodeMail(ask, code)
	return factor.Challenge{Message: &m, Answer: code}, nil
}

// ParseResponse reads the code from the form. It returns factor.ErrMalformed if there is none.
func (Method) ParseResponse(form url.Values, longCode bool) (string, error) {
	return sentcode.Parse(form, longCode)
}

// Verify returns factor.ErrIncorrect if the code is not one of the valid codes.
func (Method) Verify(_ context.Context, _ *factor.Factor, answer factor.Response) error {
	return sentcode.Verify(answer)
}

// composeCodeMail puts the code first, in the subject too: it saves opening the message, and the
// code is useless without the sign-in it belongs to. There is no link, so that people do not learn
// to click links in such messages. Only a long code comes with one, which opens the code page of
// the same browser and nothing else.
func composeCodeMail(ask factor.Request, code string) delivery.Message {
	w := i18n.ForTag(ask.Language)
	written, link := sentcode.Format(code), ""
	say := func(key string) string {
		return w.Translate(key, "Code", written, "Link", link, "Site", ask.Site,
			"Valid", w.Translate("mail.minutes", "Count", int(ask.ExpiresAt.Sub(ask.Now)/time.Minute)),
			"Until", w.FormatHour(ask.ExpiresAt), "When", w.FormatTime(ask.StartedAt),
			"Browser", ask.Browser, "Address", ask.Address)
	}
	text := "mail.code.text"
	switch {
	case ask.Enrolling: // a change of address
		text = "mail.code.new.text"
	case ask.LongCode && ask.VerifyURL != "":
		link = ask.VerifyURL + "#" + code
		text = "mail.code.long.text"
	}
	return delivery.Message{
		Channel: delivery.Email, To: ask.Factor.Destination, Language: w.Tag(),
		Subject: say("mail.code.subject"), Text: say(text),
	}
}

func localizedWords() map[string]factor.Words {
	return map[string]factor.Words{
		"en": {Name: "Email", ChoiceLabel: "Send a verification code to {Masked}",
			Prompt:         "Enter the 6-digit code from our email to {Masked}.",
			LongCodePrompt: "Enter the 13-character code from our email to {Masked}, or open the link in the email in this browser."},
		"de": {Name: "E-Mail", ChoiceLabel: "Bestätigungscode an {Masked} senden",
			Prompt:         "Geben Sie den 6-stelligen Code aus unserer E-Mail an {Masked} ein.",
			LongCodePrompt: "Geben Sie den 13-stelligen Code aus unserer E-Mail an {Masked} ein oder öffnen Sie den Link in der E-Mail in diesem Browser."},
	}
}
