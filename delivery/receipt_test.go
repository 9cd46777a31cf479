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

// receiving is a gateway that wants receipts, with a clock.
func receiving(name string) (Gateway, *time.Time) {
	g, now := presets()[name], sentAt
	g.Callback, g.CallbackKey = "https://login.example.com/sms/receipt", []byte("a key of at least 16 bytes")
	g.Now = func() time.Time { return now }
	return g, &now
}

// calledBack is the request a gateway makes; fields go where it puts them.
func calledBack(g Gateway, address string, fields url.Values) *http.Request {
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

// What each gateway says becomes one of three states.
func TestReceipt(t *testing.T) {
	for _, c := range []struct{ gateway, value, want string }{
		{"twilio", "queued", Sent}, {"twilio", "sent", Sent}, {"twilio", "delivered", Delivered}, {"twilio", "undelivered", Failed}, {"twilio", "failed", Failed},
		{"vonage", "accepted", Sent}, {"vonage", "delivered", Delivered}, {"vonage", "expired", Failed}, {"vonage", "rejected", Failed},
		{"kannel", "8", Sent}, {"kannel", "4", Sent}, {"kannel", "1", Delivered}, {"kannel", "2", Failed}, {"kannel", "16", Failed},
	} {
		g, now := receiving(c.gateway)
		id := codeText().ID
		address := g.callback(id)
		*now = sentAt.Add(time.Minute)
		got, err := g.Receipt(calledBack(g, address, url.Values{g.StateField: {c.value}, "msisdn": {"491712345678"}}))
		if err != nil || got != (Receipt{id, c.want, *now}) {
			t.Errorf("%s %s: got %+v, %v, want %s", c.gateway, c.value, got, err, c.want)
		}
	}
	g, _ := receiving("vonage")
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", g.callback("a")+"?status=delivered", nil),
		httptest.NewRequest("POST", g.callback("a"), strings.NewReader(`{"status":"delivered"}`)),
	} {
		if r.Method == "POST" {
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
		}
		if got, err := g.Receipt(r); err != nil || got.State != Delivered {
			t.Errorf("vonage %s: got %+v, %v", r.Method, got, err)
		}
	}
}

// Nobody but who got the address from us can say anything, and not for long (ATT-176).
func TestReceiptForged(t *testing.T) {
	for _, name := range []string{"twilio", "vonage", "kannel"} {
		g, now := receiving(name)
		good := g.callback("ABC")
		fields := url.Values{g.StateField: {"delivered"}}
		refuse := func(what string, r *http.Request) {
			t.Helper()
			if got, err := g.Receipt(r); !errors.Is(err, ErrReceipt) || got != (Receipt{}) {
				t.Errorf("%s, %s: got %+v, %v", name, what, got, err)
			}
		}
		other, _ := receiving(name)
		other.CallbackKey = []byte("another key of 16 bytes")
		refuse("other key", calledBack(g, other.callback("ABC"), fields))
		other, _ = receiving(name)
		other.Name = "other"
		refuse("other gateway", calledBack(g, other.callback("ABC"), fields))
		refuse("other gateway's name", calledBack(g, strings.Replace(other.callback("ABC"), "/other/", "/"+name+"/", 1), fields))
		refuse("addressed to another gateway", calledBack(g, strings.Replace(good, "/"+name+"/", "/other/", 1), fields))
		refuse("other message", calledBack(g, strings.Replace(good, "/ABC/", "/ABD/", 1), fields))
		refuse("other time", calledBack(g, strings.Replace(good, "/ABC/", "/ABC/1", 1), fields))
		refuse("no mac", calledBack(g, good[:strings.LastIndex(good, ".")], fields))
		refuse("short mac", calledBack(g, good[:len(good)-1], fields))
		refuse("more path", calledBack(g, good+"/", fields))
		refuse("no path", calledBack(g, "https://login.example.com/", fields))
		refuse("no state", calledBack(g, good, url.Values{"x": {"y"}}))
		refuse("too much", calledBack(g, good, url.Values{"x": {strings.Repeat("y", maxReceipt)}}))
		*now = sentAt.Add(maxReceiptAge + time.Second)
		refuse("too old", calledBack(g, good, fields))
		*now = sentAt.Add(-receiptSkew - time.Second)
		refuse("too early", calledBack(g, good, fields))
		*now = sentAt.Add(maxReceiptAge)
		if _, err := g.Receipt(calledBack(g, good, fields)); err != nil {
			t.Errorf("%s: after three days: %v", name, err)
		}
		g.Callback = ""
		refuse("not wanted", calledBack(g, good, fields))
	}
}

// Twilio signs too, and then the address alone is not enough.
func TestReceiptTwilio(t *testing.T) {
	// The example of Twilio's own libraries.
	got := twilioSignature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}, "Caller": {"+14158675309"}})
	if want := "RSOYDt4T1cUTdK1PDd93/VVr8B8="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	g, _ := receiving("twilio")
	for what, change := range map[string]func(*http.Request){
		"no signature":    func(r *http.Request) { r.Header.Del("X-Twilio-Signature") },
		"other signature": func(r *http.Request) { r.Header.Set("X-Twilio-Signature", got) },
		"state in the query": func(r *http.Request) {
			*r = *httptest.NewRequest("POST", g.callback("ABC")+"?MessageStatus=delivered", nil)
			r.Header.Set("X-Twilio-Signature", twilioSignature(g.Secret, g.callback("ABC"), nil))
		},
		"json": func(r *http.Request) {
			*r = *httptest.NewRequest("POST", g.callback("ABC"), strings.NewReader(`{"MessageStatus":"delivered"}`))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Twilio-Signature", twilioSignature(g.Secret, g.callback("ABC"), nil))
		},
	} {
		r := calledBack(g, g.callback("ABC"), url.Values{"MessageStatus": {"delivered"}})
		change(r)
		if receipt, err := g.Receipt(r); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: got %+v, %v", what, receipt, err)
		}
	}
}

// FUZ-010: whatever comes to the address of a receipt, it is one of three states of the message
// that we made the address for, or nothing; and nothing at all at another address, or without
// its signature from a gateway that signs.
func FuzzReceipt(f *testing.F) {
	at := func(name string) string {
		g, _ := receiving(name)
		return strings.TrimPrefix(g.callback("ABC"), "https://login.example.com")
	}
	const form = "application/x-www-form-urlencoded"
	for _, name := range []string{"twilio", "vonage", "kannel"} {
		f.Add(name, at(name), "state=1&status=delivered", form, "MessageStatus=delivered&status=delivered")
		f.Add(name, at(name), "", "application/json", `{"status":"delivered","status":["rejected",1e9],"MessageStatus":{"a":null}}`)
		f.Add(name, strings.Replace(at(name), "ABC", "ABD", 1), "state=1", form, "status=delivered")
		f.Add(name, at("vonage")+"/../"+name, "status=%zz", form+";", "status=a;status=b")
	}
	f.Fuzz(func(t *testing.T, name, path, query, kind, body string) {
		if presets()[name].StateField == "" {
			return
		}
		g, now := receiving(name)
		r := &http.Request{Method: "POST", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
		got, err := g.Receipt(r)
		switch {
		case err != nil:
			if !errors.Is(err, ErrReceipt) || got != (Receipt{}) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		case name == "twilio":
			t.Errorf("without a signature: %+v", got)
		case !strings.HasSuffix(path, strings.TrimPrefix(g.callback(got.ID), "https://login.example.com/sms/receipt")):
			t.Errorf("%s: %q is not an address of %s", name, path, got.ID)
		case got.State != Sent && got.State != Delivered && got.State != Failed || got.At != *now:
			t.Errorf("%s: got %+v", name, got)
		}
	})
}
