package delivery

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Each wrong setting is named without a secret, and nothing is sent.
func TestGatewayCheckRejectsBadSettings(t *testing.T) {
	for name, g := range presetGateways() {
		if err := g.Check(); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
	}
	for want, change := range map[string]func(*Gateway){
		"name":                      func(g *Gateway) { g.Name = "a/b" },
		"url: cannot":               func(g *Gateway) { g.URL = "https://" + testSecret + "\x7f" },
		"url: want https":           func(g *Gateway) { g.URL = "http://sms.example.com" },
		"url: want a host":          func(g *Gateway) { g.URL = "https://u:hunter2@sms.example.com" },
		"no {placeholder}":          func(g *Gateway) { g.URL = "https://sms.example.com/{to}" },
		"timeout":                   func(g *Gateway) { g.Timeout = -1 },
		"encoding: want":            func(g *Gateway) { g.Encoding = "xml" },
		"field To: {phone}":         func(g *Gateway) { g.Fields = map[string]any{"To": "{phone}"} },
		"field To: lists":           func(g *Gateway) { g.Fields = map[string]any{"To": []any{"{to}"}} },
		"field To: want text":       func(g *Gateway) { g.Fields = map[string]any{"To": time.Now()} },
		"header X: {phone}":         func(g *Gateway) { g.Header = map[string]string{"X": "{phone}"} },
		"basic needs":               func(g *Gateway) { g.User = "" },
		"bearer needs":              func(g *Gateway) { g.Auth, g.Secret = AuthBearer, "" },
		"sigv4 needs":               func(g *Gateway) { g.Auth = AuthSigV4 },
		"auth: want":                func(g *Gateway) { g.Auth = "digest" },
		"answers":                   func(g *Gateway) { g.Accept = []ResponseRule{{Pattern: "("}} },
		"code: want a group":        func(g *Gateway) { g.ErrorCodePattern = "x" },
		"callback: want an address": func(g *Gateway) { g.CallbackURL = "/sms/receipt" },
		"callback: want no query":   func(g *Gateway) { g.CallbackURL = "https://login.example.com/%41" },
		"callback: needs a key":     func(g *Gateway) { g.CallbackURL = "https://login.example.com" },
	} {
		g := Twilio("AC0123", testSecret, "+15005550006")
		change(&g)
		err := g.Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		wantTemporaryGatewayError(t, g.Send(t.Context(), gatewayCodeSMS()))
	}
	for _, change := range []func(*Message){
		func(m *Message) { m.Channel = Email }, func(m *Message) { m.To = "0171 2345678" },
		func(m *Message) { m.To = "+49171;ext=5" },
		func(m *Message) { m.Text = "" }, func(m *Message) { m.ID = "a/b" },
	} {
		m := gatewayCodeSMS()
		change(&m)
		sameErrorKind(t, "no text message", Twilio("AC0123", testSecret, "x").Send(t.Context(), m), ErrRejected)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, Twilio("AC0123", testSecret, "x")); strings.Contains(got, testSecret) {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// The test vectors that AWS publishes for Signature Version 4.
func TestSigV4PublishedVectors(t *testing.T) {
	const example = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	key := awsCredentials{"AKIDEXAMPLE", example, "us-east-1", "iam"}.signingKey("20120215")
	if got, want := hex.EncodeToString(key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"; got != want {
		t.Errorf("signing key: got %s, want %s", got, want)
	}
	for _, c := range []struct{ name, service, method, url, kind, body, headers, want string }{
		{"get-vanilla", "service", "GET", "https://example.amazonaws.com/", "", "", "host;x-amz-date",
			"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"post-x-www-form-urlencoded", "service", "POST", "https://example.amazonaws.com/",
			"application/x-www-form-urlencoded", "Param1=value1",
			"content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"ListUsers", "iam", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
			"application/x-www-form-urlencoded; charset=utf-8", "",
			"content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	} {
		r, err := http.NewRequest(c.method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		awsCredentials{"AKIDEXAMPLE", example, "us-east-1", c.service}.sign(r, []byte(c.body),
			time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" + c.service +
			"/aws4_request, SignedHeaders=" + c.headers + ", Signature=" + c.want
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s: got %s, want %s", c.name, got, want)
		}
	}
}
