// Package email is the method of codes to a mailbox, the default of every account.
// It composes the message; it does not send it.
package email

import (
	"cmp"
	"context"
	"errors"
	"html"
	"net/url"
	"strings"
	"time"

	"twostep/delivery"
	"twostep/factor"
	"twostep/factor/sentcode"
	"twostep/internal/i18n"
)

// Method sends codes by mail. The zero value is ready.
type Method struct {
	Valid time.Duration // of a code, from its own sending; 0: sentcode.Valid
}

// About says that every account has it.
func (m Method) About() factor.About {
	// "email" is not a registered RFC 8176 value: there is none, and "otp" would
	// claim more than a mailbox proves.
	return factor.About{Method: "email", Given: true, Valid: cmp.Or(m.Valid, sentcode.Valid), Digits: sentcode.Digits, AMR: []string{"email"}, Words: words()}
}

// Enroll never happens: the address of the account is the factor.
func (Method) Enroll(context.Context, factor.Ask, url.Values) (factor.Factor, factor.Challenge, error) {
	return factor.Factor{}, factor.Challenge{}, errors.New("email: is not enrolled")
}

// Challenge composes the mail.
func (Method) Challenge(_ context.Context, ask factor.Ask) (factor.Challenge, error) {
	code := sentcode.New()
	m := compose(ask, code)
	return factor.Challenge{Message: &m, Answer: code}, nil
}

// Read takes the code from the form.
func (Method) Read(form url.Values) (string, error) { return sentcode.Read(form) }

// Verify compares it.
func (Method) Verify(_ context.Context, _ *factor.Factor, answer factor.Answer) error {
	return sentcode.Verify(answer)
}

// compose puts the code first, in the subject too: it saves opening the mail, and it
// is useless to anybody without the sign-in it belongs to. There is no link: a mail
// that asks for a click would teach people to click.
func compose(ask factor.Ask, code string) delivery.Message {
	w := i18n.For(ask.Language)
	say := func(key string) string {
		return w.Say(key, "Code", code, "Site", ask.Site,
			"Minutes", int(ask.Until.Sub(ask.Now)/time.Minute), "Until", ask.Until.Format("15:04 MST"),
			"Began", ask.Began.Format("2006-01-02, 15:04 MST"), "Browser", ask.Browser, "Address", ask.Address)
	}
	text, lines := "mail.code.text", []string{"mail.code.valid", "mail.code.where", "mail.code.notyou", "mail.code.never"}
	if ask.New { // to an address that is to be an account's
		text, lines = "mail.code.new.text", []string{"mail.code.valid", "mail.code.new", "mail.code.never"}
	}
	for i, line := range lines {
		lines[i] = "<p>" + html.EscapeString(say(line)) + "</p>\n"
	}
	return delivery.Message{
		Channel: delivery.Email,
		To:      ask.Factor.Destination,
		Subject: say("mail.code.subject"),
		Text:    say(text),
		HTML:    "<p>" + html.EscapeString(say("mail.code.intro")) + "</p>\n<h1>" + code + "</h1>\n" + strings.Join(lines, ""),
	}
}

func words() map[string]factor.Words {
	return map[string]factor.Words{
		"en": {Name: "Email", Does: "Send a verification code to {Masked}", Lead: "Enter the 6-digit code from the mail to {Masked}."},
		"de": {Name: "E-Mail", Does: "Bestätigungscode an {Masked} senden", Lead: "Geben Sie den 6-stelligen Code aus der Mail an {Masked} ein."},
	}
}
