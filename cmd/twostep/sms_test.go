package main

import (
	"strings"
	"testing"
)

func TestParseGateway(t *testing.T) {
	s := smsSettings{Price: "0.08", Budget: "20", Countries: "DE, AT", Gateways: `
		twilio://AC0123:to%3Aken@+15005550006
		vonage://key:secret@Example
		sns://AKIA:se%2Fcret@eu-central-1/Example
		kannel://user:pa%40ss@127.0.0.1:13013/Example`}
	if err := s.complete(); err != nil {
		t.Fatal(err)
	}
	if len(s.gateways) != 4 || s.price != 80 || s.budget != 20000 || len(s.allowedCountries()) != 2 {
		t.Fatalf("got %d gateways, price %d, budget %d", len(s.gateways), s.price, s.budget)
	}
	for i, want := range []struct{ name, user, secret, from string }{
		{"twilio", "AC0123", "to:ken", "+15005550006"}, {"vonage", "key", "secret", "Example"},
		{"sns", "AKIA", "se/cret", "Example"}, {"kannel", "user", "pa@ss", "Example"},
	} {
		if g := s.gateways[i]; g.Name != want.name || g.User != want.user || g.Secret != want.secret ||
			g.From != want.from {
			t.Errorf("%s: got %s, %q, %q from %q", want.name, g.Name, g.User, g.Secret, g.From)
		}
	}
}

// An error names the mistake without the secret next to it.
func TestParseGatewayErrorHidesSecret(t *testing.T) {
	for _, c := range []struct {
		s    smsSettings
		want string
	}{
		{smsSettings{Price: "cheap", Budget: "1"}, "sms.price"},
		{smsSettings{Price: "1", Budget: "-1"}, "sms.budget"},
		{smsSettings{Price: "1", Budget: "1", Countries: "Germany"}, "sms.countries"},
		{smsSettings{Price: "1", Budget: "1", Gateways: "twilio://AC:hunter2@+15005550006 pigeon://a:hunter2@b"},
			"gateway 2: unknown kind"},
		{smsSettings{Price: "1", Budget: "1", Gateways: "twilio://hunter2"}, "gateway 1: want KIND"},
		{smsSettings{Price: "1", Budget: "1", Gateways: "twilio://a:hunter2%zz@b"}, "gateway 1: want KIND"},
	} {
		err := c.s.complete()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: got %v, want %q", c.s, err, c.want)
		}
	}
}
