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

// asked is a request as a gateway saw it.
type asked struct {
	*http.Request
	body   string
	fields url.Values // of the query and of a form
}

// fakeGateway answers every request and hands over what it saw.
func fakeGateway(t *testing.T, status int, text string) (*httptest.Server, chan asked) {
	t.Helper()
	seen := make(chan asked, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := asked{Request: r, body: string(body), fields: r.URL.Query()}
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
		default: // the test will count ten of them
		}
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server, seen
}

// at points a gateway to a server of the test.
func (g Gateway) at(server *httptest.Server) Gateway {
	u, err := url.Parse(g.URL)
	if err != nil {
		panic(err)
	}
	g.URL = server.URL + u.Path
	g.Private = true
	if server.Certificate() != nil {
		g.RootCAs = x509.NewCertPool()
		g.RootCAs.AddCert(server.Certificate())
	}
	return g
}

const (
	twilioYes = `{"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "body": "747723 is \"code\": 21211"}`
	vonageYes = `{"message-count":"1","messages":[{"to":"491712345678","message-id":"0A","status":"0"}]}`
	snsYes    = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult></PublishResponse>`
)

func presets() map[string]Gateway {
	return map[string]Gateway{
		"twilio": Twilio("AC0123", secret, "+15005550006"),
		"vonage": Vonage("key", secret, "Example"),
		"sns":    SNS("eu-central-1", "AKIDEXAMPLE", secret, "Example"),
		"kannel": Kannel("https://127.0.0.1", "twostep", secret, "Example"),
	}
}

// Every preset sends its fields as they are, whatever stands in the values.
func TestPresets(t *testing.T) {
	texts := []string{codeText().Text, `a"b&c=d+e%20f\g` + "\r\n" + `{to}{secret}</x>ä€`}
	for name, want := range map[string]struct {
		path, text, to, answer string
		status                 int
		more                   map[string]string
	}{
		"twilio": {"/2010-04-01/Accounts/AC0123/Messages.json", "Body", "+491712345678", twilioYes, 201,
			map[string]string{"To": "+491712345678", "From": "+15005550006", "StatusCallback": "callback"}},
		"vonage": {"/sms/json", "text", "491712345678", vonageYes, 200,
			map[string]string{"api_key": "key", "api_secret": secret, "from": "Example", "to": "491712345678",
				"client-ref": codeText().ID, "callback": "callback"}},
		"sns": {"/", "Message", "+491712345678", snsYes, 200,
			map[string]string{"Action": "Publish", "Version": "2010-03-31", "PhoneNumber": "+491712345678",
				"MessageAttributes.entry.2.Value.StringValue": "Example"}},
		"kannel": {"/cgi-bin/sendsms", "text", "+491712345678", "0: Accepted for delivery", 202,
			map[string]string{"username": "twostep", "password": secret, "from": "Example", "to": "+491712345678",
				"charset": "UTF-8", "coding": "0", "dlr-mask": "31", "dlr-url": "callback?state=%d"}},
	} {
		for _, text := range texts {
			server, seen := fakeGateway(t, want.status, want.answer)
			g := presets()[name].at(server)
			g.Callback, g.CallbackKey = "https://login.example.com/sms/receipt", make([]byte, 32)
			g.Now = func() time.Time { return time.Unix(1_800_000_000, 0) }
			m := codeText()
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
				value = strings.ReplaceAll(value, "callback", g.callback(m.ID))
				if got := a.fields[field]; len(got) != 1 || got[0] != value {
					t.Errorf("%s: %s is %q, want %q", name, field, got, value)
				}
			}
			if name == "twilio" {
				if user, password, _ := a.BasicAuth(); user != "AC0123" || password != secret {
					t.Errorf("twilio: signed in as %s", user)
				}
			}
			if name == "sns" && !strings.Contains(a.Header.Get("Authorization"), "SignedHeaders=content-type;host;x-amz-date, Signature=") {
				t.Errorf("sns: got %s", a.Header.Get("Authorization"))
			}
		}
	}
}

// Without an address for receipts none are asked for.
func TestNoCallback(t *testing.T) {
	for name, answer := range map[string]string{"twilio": twilioYes, "kannel": "0: Accepted for delivery", "vonage": vonageYes} {
		server, seen := fakeGateway(t, map[string]int{"twilio": 201, "kannel": 202, "vonage": 200}[name], answer)
		if err := presets()[name].at(server).Send(t.Context(), codeText()); err != nil {
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

// What each gateway's answer is worth.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		gateway string
		status  int
		text    string
		want    error // nil: taken; errOther: try again
	}{
		{"twilio", 201, twilioYes, nil},
		{"twilio", 400, `{"code": 21211, "message": "The 'To' number +491712345678 is not a valid phone number."}`, ErrRefused},
		{"twilio", 400, `{"code": 21614, "message": "is not a mobile number"}`, ErrRefused},
		{"twilio", 400, `{"code": 21606, "message": "the From number is not yours"}`, errOther},
		{"twilio", 400, `{"code": 747723}`, errOther},
		{"twilio", 401, `{"code": 20003}`, errOther},
		{"twilio", 404, `{"code": 21211}`, errOther},
		{"twilio", 429, ``, errOther},
		{"twilio", 500, twilioYes, errOther},
		{"twilio", 503, ``, errOther},
		{"twilio", 504, ``, ErrUncertain},
		{"twilio", 200, `<html>welcome to the café</html>`, errOther},
		{"twilio", 201, `{"sid": "`, errOther},
		{"twilio", 201, ``, errOther},
		{"twilio", 201, `{"status": "x", "body": "\"sid\": \"SM0123456789abcdef0123456789abcdef\""}`, errOther},
		{"vonage", 200, vonageYes, nil},
		{"vonage", 200, `{"messages":[{"status":"3","error-text":"Invalid to param"}]}`, ErrRefused},
		{"vonage", 200, `{"messages":[{"status":"7","error-text":"barred"}]}`, ErrRefused},
		{"vonage", 200, `{"messages":[{"status":"1","error-text":"Throughput exceeded"}]}`, errOther},
		{"vonage", 200, `{"messages":[{"status":"4","error-text":"Bad Credentials ` + secret + `"}]}`, errOther},
		{"vonage", 200, `{"messages":[]}`, errOther},
		{"vonage", 200, `[[[[`, errOther},
		{"sns", 200, snsYes, nil},
		{"sns", 400, `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter: PhoneNumber Reason: +1 is not valid to publish to</Message></Error></ErrorResponse>`, ErrRefused},
		{"sns", 400, `<ErrorResponse><Error><Code>InvalidParameter</Code><Message>Invalid parameter: SenderID</Message></Error></ErrorResponse>`, errOther},
		{"sns", 403, `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>`, errOther},
		{"sns", 400, `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`, errOther},
		{"kannel", 202, "0: Accepted for delivery", nil},
		{"kannel", 202, "3: Queued for later delivery", nil},
		{"kannel", 400, "Number(s) has/have been denied by white- and/or black-lists.", ErrRefused},
		{"kannel", 403, "Authorization failed for sendsms", errOther},
		{"kannel", 503, "Temporary failure, try again later.", errOther},
		{"kannel", 202, "\x00\xff\xfe garbage", errOther},
	} {
		server, _ := fakeGateway(t, c.status, c.text)
		err := presets()[c.gateway].at(server).Send(t.Context(), codeText())
		sameKind(t, c.gateway+" "+c.text, err, c.want)
	}
}

// errOther stands for any error that says neither refused nor uncertain.
var errOther = errors.New("other")

func sameKind(t *testing.T, name string, err, want error) {
	t.Helper()
	switch {
	case want == nil && err != nil, want != nil && err == nil,
		errors.Is(err, ErrRefused) != (want == ErrRefused), errors.Is(err, ErrUncertain) != (want == ErrUncertain):
		t.Errorf("%s: got %v, want %v", name, err, want)
	}
	noSecretsSMS(t, err)
}

// The operator reads the gateway's own code in the log.
func TestErrorSaysCode(t *testing.T) {
	server, _ := fakeGateway(t, 400, `{"code": 21606}`)
	err := presets()["twilio"].at(server).Send(t.Context(), codeText())
	if want := "delivery: sms gateway twilio: answered 400, code 21606"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A gateway that nobody has heard of is a few fields, nested ones too.
func TestOwnGateway(t *testing.T) {
	server, seen := fakeGateway(t, 200, "")
	g := Gateway{
		Name: "own", URL: "https://sms.example.net/v1?tenant=7", Encoding: EncodingJSON, Auth: AuthBearer, Secret: secret, From: `Ex"ample`,
		Header: map[string]string{"Idempotency-Key": "{id}"},
		Fields: map[string]any{"urgent": true, "parts": int64(1), "unset": "{callback}",
			"message": map[string]any{"to": []any{"{to}"}, "content": "{text}", "from": "{from}"}},
	}.at(server)
	m := codeText()
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
	if !got.Urgent || got.Parts != 1 || got.Unset != nil || got.Message.Content != m.Text || got.Message.From != g.From || got.Message.To[0] != m.To {
		t.Errorf("got %s", a.body)
	}
	if a.Header.Get("Idempotency-Key") != m.ID || a.Header.Get("Authorization") != "Bearer "+secret {
		t.Errorf("got headers %v", a.Header)
	}
	g.Header = map[string]string{"X-Text": "{text}"} // several lines
	temporarySMS(t, g.Send(t.Context(), m))
	if len(seen) != 0 {
		t.Error("a text broke into the headers")
	}
}
