package delivery

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// requestFields are all fields of a request by name, as the gateway reads them.
func requestFields(t *testing.T, r *http.Request) map[string]string {
	t.Helper()
	all := map[string]string{}
	list := func(text string) {
		fields, err := url.ParseQuery(text)
		if err != nil {
			t.Errorf("%s: %v", r.URL.Host, err)
		}
		for name, values := range fields {
			all[name] = strings.Join(values, "\n")
		}
	}
	list(r.URL.RawQuery)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch r.Header.Get("Content-Type") {
	case "application/json":
		var v struct{ Text []string }
		if err := json.Unmarshal(body, &v); err != nil {
			t.Errorf("%s: %v", r.URL.Host, err)
		}
		all["text"] = strings.Join(v.Text, "\n")
	case "application/x-www-form-urlencoded":
		list(string(body))
	}
	return all
}

// Whatever the text is, a gateway reads exactly it in the text field, and the usual values in all
// other fields and in the URL.
func FuzzGatewayRequest(f *testing.F) {
	for _, text := range []string{gatewayCodeSMS().Text, `a"b&c=d+e%20f\g` + "\r\n", "{to}{secret}{text}",
		"</x>ä€\u2028", "\x00\xff;"} {
		f.Add(text)
	}
	all := presetGateways()
	all["own"] = Gateway{Name: "own", URL: "https://sms.example.com/send?a=b", Encoding: EncodingJSON,
		Fields: map[string]any{"text": []any{"{text}", "{to}"}}}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "") // messages are composed of valid UTF-8 only
		if text == "" {
			return
		}
		for name, g := range all {
			g.Now = func() time.Time { return sentAt }
			read := func(text string) (string, map[string]string) {
				m := gatewayCodeSMS()
				m.Text = text
				r, err := g.newRequest(t.Context(), m)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return r.Method + " " + r.URL.Host + r.URL.Path, requestFields(t, r)
			}
			where, want := read("TEXT")
			got, fields := read(text)
			for field, value := range want {
				want[field] = strings.ReplaceAll(value, "TEXT", text)
			}
			if got != where || !maps.Equal(fields, want) {
				t.Errorf("%s: got %s %q, want %s %q", name, got, fields, where, want)
			}
		}
	})
}
