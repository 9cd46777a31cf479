package delivery

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

var sentAt = time.Unix(1_800_000_000, 0)

// receiptGateway returns a gateway with a CallbackURL, and its clock.
func receiptGateway(name string) (Gateway, *time.Time) {
	g, now := presetGateways()[name], sentAt
	g.CallbackURL, g.CallbackKey = "https://login.example.com/sms/receipt", []byte("a key of at least 16 bytes")
	g.Now = func() time.Time { return now }
	return g, &now
}

// newReceiptRequest is a receipt as the gateway sends it.
func newReceiptRequest(g Gateway, address string, fields url.Values) *http.Request {
	switch g.Name {
	case "kannel":
		return httptest.NewRequest("GET", address+"?"+fields.Encode(), nil)
	default:
		r := httptest.NewRequest("POST", address, strings.NewReader(fields.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", twilioSignature(g.Secret, address, fields))
		return r
	}
}

// Each gateway's states map to one of three.
func TestReceiptStates(t *testing.T) {
	for _, c := range []struct{ gateway, value, want string }{
		{"twilio", "queued", StateSent}, {"twilio", "sent", StateSent}, {"twilio", "delivered", StateDelivered},
		{"twilio", "undelivered", StateFailed}, {"twilio", "failed", StateFailed},
		{"vonage", "accepted", StateSent}, {"vonage", "delivered", StateDelivered}, {"vonage", "expired", StateFailed},
		{"vonage", "rejected", StateFailed},
		{"kannel", "8", StateSent}, {"kannel", "4", StateSent}, {"kannel", "1", StateDelivered},
		{"kannel", "2", StateFailed}, {"kannel", "16", StateFailed},
	} {
		g, now := receiptGateway(c.gateway)
		id := gatewayCodeSMS().ID
		address := g.receiptURL(id)
		*now = sentAt.Add(time.Minute)
		got, err := g.Receipt(newReceiptRequest(g, address,
			url.Values{g.StateField: {c.value}, "msisdn": {"491712345678"}}))
		if err != nil || got != (Receipt{id, c.want, *now}) {
			t.Errorf("%s %s: got %+v, %v, want %s", c.gateway, c.value, got, err, c.want)
		}
	}
	g, _ := receiptGateway("vonage")
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", g.receiptURL("a")+"?status=delivered", nil),
		httptest.NewRequest("POST", g.receiptURL("a"), strings.NewReader(`{"status":"delivered"}`)),
	} {
		if r.Method == "POST" {
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
		}
		if got, err := g.Receipt(r); err != nil || got.State != StateDelivered {
			t.Errorf("vonage %s: got %+v, %v", r.Method, got, err)
		}
	}
}

// Only a receipt URL of ours is accepted, and for three days only.
func TestReceiptRejectsForgedURL(t *testing.T) {
	for _, name := range []string{"twilio", "vonage", "kannel"} {
		g, now := receiptGateway(name)
		good := g.receiptURL("ABC")
		fields := url.Values{g.StateField: {"delivered"}}
		refuse := func(what string, r *http.Request) {
			t.Helper()
			if got, err := g.Receipt(r); !errors.Is(err, ErrInvalidReceipt) || got != (Receipt{}) {
				t.Errorf("%s, %s: got %+v, %v", name, what, got, err)
			}
		}
		other, _ := receiptGateway(name)
		other.CallbackKey = []byte("another key of 16 bytes")
		refuse("other key", newReceiptRequest(g, other.receiptURL("ABC"), fields))
		other, _ = receiptGateway(name)
		other.Name = "other"
		refuse("other gateway", newReceiptRequest(g, other.receiptURL("ABC"), fields))
		refuse("other gateway's name", newReceiptRequest(g,
			strings.Replace(other.receiptURL("ABC"), "/other/", "/"+name+"/", 1), fields))
		refuse("addressed to another gateway",
			newReceiptRequest(g, strings.Replace(good, "/"+name+"/", "/other/", 1), fields))
		refuse("other message", newReceiptRequest(g, strings.Replace(good, "/ABC/", "/ABD/", 1), fields))
		refuse("other time", newReceiptRequest(g, strings.Replace(good, "/ABC/", "/ABC/1", 1), fields))
		refuse("no mac", newReceiptRequest(g, good[:strings.LastIndex(good, ".")], fields))
		refuse("short mac", newReceiptRequest(g, good[:len(good)-1], fields))
		refuse("more path", newReceiptRequest(g, good+"/", fields))
		refuse("no path", newReceiptRequest(g, "https://login.example.com/", fields))
		refuse("no state", newReceiptRequest(g, good, url.Values{"x": {"y"}}))
		refuse("too much", newReceiptRequest(g, good, url.Values{"x": {strings.Repeat("y", maxReceiptBytes)}}))
		*now = sentAt.Add(maxReceiptAge + time.Second)
		refuse("too old", newReceiptRequest(g, good, fields))
		*now = sentAt.Add(-receiptClockSkew - time.Second)
		refuse("too early", newReceiptRequest(g, good, fields))
		*now = sentAt.Add(maxReceiptAge)
		if _, err := g.Receipt(newReceiptRequest(g, good, fields)); err != nil {
			t.Errorf("%s: after three days: %v", name, err)
		}
		g.CallbackURL = ""
		refuse("not wanted", newReceiptRequest(g, good, fields))
	}
}

// Twilio signs its receipts, and the receipt URL alone is not enough.
func TestReceiptTwilioSignature(t *testing.T) {
	// The example of Twilio's own libraries.
	got := twilioSignature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}, "Caller": {"+14158675309"}})
	if want := "RSOYDt4T1cUTdK1PDd93/VVr8B8="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	g, _ := receiptGateway("twilio")
	for what, change := range map[string]func(*http.Request){
		"no signature":    func(r *http.Request) { r.Header.Del("X-Twilio-Signature") },
		"other signature": func(r *http.Request) { r.Header.Set("X-Twilio-Signature", got) },
		"state in the query": func(r *http.Request) {
			*r = *httptest.NewRequest("POST", g.receiptURL("ABC")+"?MessageStatus=delivered", nil)
			r.Header.Set("X-Twilio-Signature", twilioSignature(g.Secret, g.receiptURL("ABC"), nil))
		},
		"json": func(r *http.Request) {
			*r = *httptest.NewRequest("POST", g.receiptURL("ABC"), strings.NewReader(`{"MessageStatus":"delivered"}`))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Twilio-Signature", twilioSignature(g.Secret, g.receiptURL("ABC"), nil))
		},
	} {
		r := newReceiptRequest(g, g.receiptURL("ABC"), url.Values{"MessageStatus": {"delivered"}})
		change(r)
		if receipt, err := g.Receipt(r); !errors.Is(err, ErrInvalidReceipt) {
			t.Errorf("%s: got %+v, %v", what, receipt, err)
		}
	}
}

// Whatever is sent to a receipt URL, the result is one of three states of the message that the URL
// was made for, or an error. Any other URL and, for a gateway that signs, a missing signature is an
// error.
func FuzzReceipt(f *testing.F) {
	at := func(name string) string {
		g, _ := receiptGateway(name)
		return strings.TrimPrefix(g.receiptURL("ABC"), "https://login.example.com")
	}
	const form = "application/x-www-form-urlencoded"
	for _, name := range []string{"twilio", "vonage", "kannel"} {
		f.Add(name, at(name), "state=1&status=delivered", form, "MessageStatus=delivered&status=delivered")
		f.Add(name, at(name), "", "application/json",
			`{"status":"delivered","status":["rejected",1e9],"MessageStatus":{"a":null}}`)
		f.Add(name, strings.Replace(at(name), "ABC", "ABD", 1), "state=1", form, "status=delivered")
		f.Add(name, at("vonage")+"/../"+name, "status=%zz", form+";", "status=a;status=b")
	}
	f.Fuzz(func(t *testing.T, name, path, query, kind, body string) {
		if presetGateways()[name].StateField == "" {
			return
		}
		g, now := receiptGateway(name)
		r := &http.Request{Method: "POST", URL: &url.URL{Path: path, RawQuery: query},
			Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
		got, err := g.Receipt(r)
		switch {
		case err != nil:
			if !errors.Is(err, ErrInvalidReceipt) || got != (Receipt{}) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		case name == "twilio":
			t.Errorf("without a signature: %+v", got)
		case !strings.HasSuffix(path, strings.TrimPrefix(g.receiptURL(got.ID),
			"https://login.example.com/sms/receipt")):
			t.Errorf("%s: %q is not an address of %s", name, path, got.ID)
		case got.State != StateSent && got.State != StateDelivered && got.State != StateFailed || got.At != *now:
			t.Errorf("%s: got %+v", name, got)
		}
	})
}
