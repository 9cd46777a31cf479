package delivery

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// receivedRequest is a request as a gateway received it.
type receivedRequest struct {
	*http.Request
	body   string
	fields url.Values // from the query and the form
}

// fakeGateway answers every request alike and returns a channel with the requests.
func fakeGateway(t *testing.T, status int, text string) (*httptest.Server, chan receivedRequest) {
	t.Helper()
	seen := make(chan receivedRequest, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := receivedRequest{Request: r, body: string(body), fields: r.URL.Query()}
		if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			posted, err := url.ParseQuery(a.body)
			if err != nil {
				t.Errorf("form: %v", err)
			}
			for name, values := range posted {
				a.fields[name] = append(a.fields[name], values...)
			}
		}
		select {
		case seen <- a:
		default: // full: no test needs more
		}
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server, seen
}

// withServer points a gateway to a test server.
func (g Gateway) withServer(server *httptest.Server) Gateway {
	u, err := url.Parse(g.URL)
	if err != nil {
		panic(err)
	}
	g.URL = server.URL + u.Path
	g.AllowPrivate = true
	if server.Certificate() != nil {
		g.RootCAs = x509.NewCertPool()
		g.RootCAs.AddCert(server.Certificate())
	}
	return g
}

const (
	twilioAccepted = `{"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "body": "747723 is \"code\": 21211"}`
	vonageAccepted = `{"message-count":"1","messages":[{"to":"491712345678","message-id":"0A","status":"0"}]}`
	snsAccepted    = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult></PublishResponse>`
)

func presetGateways() map[string]Gateway {
	return map[string]Gateway{
		"twilio": Twilio("AC0123", testSecret, "+15005550006"),
		"vonage": Vonage("key", testSecret, "Example"),
		"sns":    SNS("eu-central-1", "AKIDEXAMPLE", testSecret, "Example"),
		"kannel": Kannel("https://127.0.0.1", "twostep", testSecret, "Example"),
	}
}

// Every preset sends its fields unchanged, whatever characters the values contain.
func TestPresetsSendFieldsUnchanged(t *testing.T) {
	texts := []string{gatewayCodeSMS().Text, `a"b&c=d+e%20f\g` + "\r\n" + `{to}{secret}</x>ä€`}
	for name, want := range map[string]struct {
		path, text, to, answer string
		status                 int
		more                   map[string]string
	}{
		"twilio": {"/2010-04-01/Accounts/AC0123/Messages.json", "Body", "+491712345678", twilioAccepted, 201,
			map[string]string{"To": "+491712345678", "From": "+15005550006", "StatusCallback": "callback"}},
		"vonage": {"/sms/json", "text", "491712345678", vonageAccepted, 200,
			map[string]string{"api_key": "key", "api_secret": testSecret, "from": "Example", "to": "491712345678",
				"client-ref": gatewayCodeSMS().ID, "callback": "callback"}},
		"sns": {"/", "Message", "+491712345678", snsAccepted, 200,
			map[string]string{"Action": "Publish", "Version": "2010-03-31", "PhoneNumber": "+491712345678",
				"MessageAttributes.entry.2.Value.StringValue": "Example"}},
		"kannel": {"/cgi-bin/sendsms", "text", "+491712345678", "0: Accepted for delivery", 202,
			map[string]string{"username": "twostep", "password": testSecret, "from": "Example", "to": "+491712345678",
				"charset": "UTF-8", "coding": "0", "dlr-mask": "31", "dlr-url": "callback?state=%d"}},
	} {
		for _, text := range texts {
			server, seen := fakeGateway(t, want.status, want.answer)
			g := presetGateways()[name].withServer(server)
			g.CallbackURL, g.CallbackKey = "https://login.example.com/sms/receipt", make([]byte, 32)
			g.Now = func() time.Time { return time.Unix(1_800_000_000, 0) }
			m := gatewayCodeSMS()
			m.Text = text
			if err := g.Send(t.Context(), m); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			a := <-seen
			if a.URL.Path != want.path || a.fields.Get(want.text) != text {
				t.Errorf("%s: got %q at %s, want %q at %s", name, a.fields.Get(want.text), a.URL.Path, text, want.path)
			}
			for field, value := range want.more {
				value = strings.ReplaceAll(value, "callback", g.receiptURL(m.ID))
				if got := a.fields[field]; len(got) != 1 || got[0] != value {
					t.Errorf("%s: %s is %q, want %q", name, field, got, value)
				}
			}
			if name == "twilio" {
				if user, password, _ := a.BasicAuth(); user != "AC0123" || password != testSecret {
					t.Errorf("twilio: signed in as %s", user)
				}
			}
			if name == "sns" && !strings.Contains(a.Header.Get("Authorization"),
				"SignedHeaders=content-type;host;x-amz-date, Signature=") {
				t.Errorf("sns: got %s", a.Header.Get("Authorization"))
			}
		}
	}
}

// Without a CallbackURL no receipts are requested.
func TestPresetsWithoutReceipts(t *testing.T) {
	for name, answer := range map[string]string{"twilio": twilioAccepted, "kannel": "0: Accepted for delivery",
		"vonage": vonageAccepted} {
		server, seen := fakeGateway(t, map[string]int{"twilio": 201, "kannel": 202, "vonage": 200}[name], answer)
		if err := presetGateways()[name].withServer(server).Send(t.Context(), gatewayCodeSMS()); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a := <-seen
		for _, field := range []string{"StatusCallback", "dlr-mask", "dlr-url", "callback"} {
			if a.fields.Has(field) {
				t.Errorf("%s: has %s", name, field)
			}
		}
	}
}

// Responses of each gateway map to accepted, rejected or temporary.
func TestPresetResponseRules(t *testing.T) {
	for _, c := range []struct {
		gateway string
		status  int
		text    string
		want    error // nil: accepted; errTemporary: may be sent again
	}{
		{"twilio", 201, twilioAccepted, nil},
		{"twilio", 400, `{"code": 21211, "message": "The 'To' number +491712345678 is not a valid phone number."}`,
			ErrRejected},
		{"twilio", 400, `{"code": 21614, "message": "is not a mobile number"}`, ErrRejected},
		{"twilio", 400, `{"code": 21606, "message": "the From number is not yours"}`, errTemporary},
		{"twilio", 400, `{"code": 747723}`, errTemporary},
		{"twilio", 401, `{"code": 20003}`, errTemporary},
		{"twilio", 404, `{"code": 21211}`, errTemporary},
		{"twilio", 429, ``, errTemporary},
		{"twilio", 500, twilioAccepted, errTemporary},
		{"twilio", 503, ``, errTemporary},
		{"twilio", 504, ``, ErrUncertain},
		{"twilio", 200, `<html>welcome to the café</html>`, errTemporary},
		{"twilio", 201, `{"sid": "`, errTemporary},
		{"twilio", 201, ``, errTemporary},
		{"twilio", 201, `{"status": "x", "body": "\"sid\": \"SM0123456789abcdef0123456789abcdef\""}`, errTemporary},
		{"vonage", 200, vonageAccepted, nil},
		{"vonage", 200, `{"messages":[{"status":"3","error-text":"Invalid to param"}]}`, ErrRejected},
		{"vonage", 200, `{"messages":[{"status":"7","error-text":"barred"}]}`, ErrRejected},
		{"vonage", 200, `{"messages":[{"status":"1","error-text":"Throughput exceeded"}]}`, errTemporary},
		{"vonage", 200, `{"messages":[{"status":"4","error-text":"Bad Credentials ` + testSecret + `"}]}`,
			errTemporary},
		{"vonage", 200, `{"messages":[]}`, errTemporary},
		{"vonage", 200, `[[[[`, errTemporary},
		{"sns", 200, snsAccepted, nil},
		{"sns", 400, `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter: PhoneNumber Reason: +1 is not valid to publish to</Message></Error></ErrorResponse>`, ErrRejected},
		{"sns", 400, `<ErrorResponse><Error><Code>InvalidParameter</Code><Message>Invalid parameter: SenderID</Message></Error></ErrorResponse>`, errTemporary},
		{"sns", 403, `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>`, errTemporary},
		{"sns", 400, `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`, errTemporary},
		{"kannel", 202, "0: Accepted for delivery", nil},
		{"kannel", 202, "3: Queued for later delivery", nil},
		{"kannel", 400, "Number(s) has/have been denied by white- and/or black-lists.", ErrRejected},
		{"kannel", 403, "Authorization failed for sendsms", errTemporary},
		{"kannel", 503, "Temporary failure, try again later.", errTemporary},
		{"kannel", 202, "\x00\xff\xfe garbage", errTemporary},
	} {
		server, _ := fakeGateway(t, c.status, c.text)
		err := presetGateways()[c.gateway].withServer(server).Send(t.Context(), gatewayCodeSMS())
		sameErrorKind(t, c.gateway+" "+c.text, err, c.want)
	}
}

// errTemporary represents any error that wraps neither ErrRejected nor ErrUncertain.
var errTemporary = errors.New("other")

func sameErrorKind(t *testing.T, name string, err, want error) {
	t.Helper()
	switch {
	case want == nil && err != nil, want != nil && err == nil,
		errors.Is(err, ErrRejected) != (want == ErrRejected), errors.Is(err, ErrUncertain) != (want == ErrUncertain):
		t.Errorf("%s: got %v, want %v", name, err, want)
	}
	wantNoSMSSecrets(t, err)
}

// The error contains the gateway's own code, for the log.
func TestGatewayErrorIncludesCode(t *testing.T) {
	server, _ := fakeGateway(t, 400, `{"code": 21606}`)
	err := presetGateways()["twilio"].withServer(server).Send(t.Context(), gatewayCodeSMS())
	if want := "delivery: sms gateway twilio: answered 400, code 21606"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A gateway without a preset is described by a few fields, nested ones too.
func TestCustomGateway(t *testing.T) {
	server, seen := fakeGateway(t, 200, "")
	g := Gateway{
		Name: "own", URL: "https://sms.example.net/v1?tenant=7", Encoding: EncodingJSON, Auth: AuthBearer,
		Secret: testSecret, From: `Ex"ample`,
		Header: map[string]string{"Idempotency-Key": "{id}"},
		Fields: map[string]any{"urgent": true, "parts": int64(1), "unset": "{callback}",
			"message": map[string]any{"to": []any{"{to}"}, "content": "{text}", "from": "{from}"}},
	}.withServer(server)
	m := gatewayCodeSMS()
	m.Text = "quote \" backslash \\ brace } newline \n & {id}"
	if err := g.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	a := <-seen
	var got struct {
		Urgent  bool
		Parts   int
		Unset   *string
		Message struct {
			To            []string
			Content, From string
		}
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Urgent || got.Parts != 1 || got.Unset != nil || got.Message.Content != m.Text ||
		got.Message.From != g.From || got.Message.To[0] != m.To {
		t.Errorf("got %s", a.body)
	}
	if a.Header.Get("Idempotency-Key") != m.ID || a.Header.Get("Authorization") != "Bearer "+testSecret {
		t.Errorf("got headers %v", a.Header)
	}
	g.Header = map[string]string{"X-Text": "{text}"} // {text} has several lines
	wantTemporaryGatewayError(t, g.Send(t.Context(), m))
	if len(seen) != 0 {
		t.Error("a text added a header")
	}
}
