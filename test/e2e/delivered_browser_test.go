package e2e

import (
	"context"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/test/e2e/kannel"
	"twostep.example/twostep/test/e2e/live"
)

// The code page says in words that the text message has arrived.
func TestBrowserTextDelivered(t *testing.T) {
	t.Parallel()
	k := kannel.Start(t)
	s := live.Start(t, "", withTexts(k))
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.open("/settings/2step/sms")
	b.enter("number", "+49 171 2345678")
	b.click("Send Code")
	b.delivered("/settings/2step/sms")
	if says := value[string](b, `delivery.innerText`); strings.HasPrefix(says, "delivery.") {
		t.Errorf("it says %q, which is no sentence", says)
	}
}

// A country that gets no text messages is not guessed, and no other one in its place.
func TestBrowserCountryElsewhere(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", func(o *twostep.Options) {
		o.Methods = append(o.Methods, sms.Method{AllowedCountries: []string{"AT", "DE"}})
		o.Senders[delivery.SMS] = func(context.Context, delivery.Message) error { return nil }
	})
	b := browse(t, s.URL, light) // in the USA
	b.signIn(s)
	b.open("/settings/2step/sms")
	if v := value[string](b, `country.value`); v != "" {
		t.Errorf("%q is chosen", v)
	}
}

// The last wrong code for a new app is answered by why there is no field any more.
func TestEnrollAppTries(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", withApp)
	b := browse(t, s.URL, plain)
	b.signIn(s)
	b.open("/settings/2step/app")
	b.click("Set up an app")
	key := b.scan()
	for range 4 {
		b.code(live.Wrong(passcode(t, key, s.Now())))
		b.sees(incorrectApp)
	}
	b.code(live.Wrong(passcode(t, key, s.Now())))
	if !value[bool](b, `document.body.innerText.includes("Too many failed attempts.") || Boolean(document.getElementById("code"))`) {
		t.Errorf("nothing says why:\n%s", b.describe())
	}
}
