package delivery

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Values of Gateway.Encoding (Encoding…) and Gateway.Auth (Auth…).
const (
	EncodingForm  = "form"
	EncodingJSON  = "json"
	EncodingQuery = "query" // in the query string; for gateways that support nothing else

	AuthBasic  = "basic"  // HTTP Basic with User and Secret
	AuthBearer = "bearer" // Secret as a bearer token
	AuthSigV4  = "sigv4"  // User and Secret are an AWS access key; needs Region and Service
)

// Gateway describes an SMS gateway by the HTTP request that sends a message and by what its responses
// mean. Twilio, Vonage, SNS and Kannel return a complete Gateway.
//
// The strings in Header, Fields and CallbackFields may contain placeholders: {to} (E.164), {digits}
// (the same without +), {text}, {from}, {id} (the message ID, the same on each attempt),
// {callback}, {user} and {secret}. Fields are encoded after their placeholders were replaced, so no
// value can break out of its field. A field is left out if it is one placeholder with an empty value.
type Gateway struct {
	Name     string            // appears in errors and in receipt URLs; letters, digits, - and _
	Method   string            // "" is POST
	URL      string            // https; http only with AllowPrivate
	Header   map[string]string // additional headers
	Encoding string            // "" is form
	Fields   map[string]any    // strings, numbers and booleans; with EncodingJSON also lists and maps
	From     string            // sender: a number or a name, in the gateway's format

	Auth            string // "" is none, or the placeholders {user} and {secret}
	User, Secret    string
	Region, Service string // AuthSigV4 only

	Accept           []ResponseRule // the message is accepted if any rule matches; empty: any 2xx
	Reject           []ResponseRule // the message is rejected for good if any rule matches; checked first
	ErrorCodePattern string         // regular expression; group 1 is the gateway's error code, for the log

	AllowPrivate bool           // allow a gateway on this machine or in a private network, and plain http to it
	RootCAs      *x509.CertPool // nil uses the system's
	Timeout      time.Duration  // for the whole request; 0 is 8 s

	CallbackURL    string            // our URL for receipts, https://login.example.com/sms/receipt; "" is none
	CallbackKey    []byte            // 32 random bytes; key of the MAC in the receipt URL
	CallbackFields map[string]any    // additional fields, sent if CallbackURL is set
	StateField     string            // the receipt's field with the delivery state
	StateMap       map[string]string // from the gateway's states to State…; unknown states are StateSent
	TwilioSigned   bool              // receipts must carry a valid X-Twilio-Signature, keyed with Secret

	Now func() time.Time // nil is time.Now
}

// ResponseRule describes a class of responses. A response matches if all fields that are set match.
type ResponseRule struct {
	Status  int    // 0 is any
	Field   string // path in a JSON response, like "messages.0.status"; "" is the whole body
	Pattern string // regular expression; "" requires only that Field exists
}

// String returns "sms gateway " and the name, so that printing a Gateway never shows its secret.
func (g Gateway) String() string { return "sms gateway " + g.Name }

// GoString returns the same as String, for %#v.
func (g Gateway) GoString() string { return g.String() }

// Check validates the fields without using the network. Its error names the invalid field and
// contains no secret.
func (g Gateway) Check() error {
	for _, check := range []func() error{g.checkURL, g.checkAuth, g.checkResponseRules, g.checkCallback} {
		if err := check(); err != nil {
			return fmt.Errorf("delivery: sms gateway %s: %w", g.Name, err)
		}
	}
	return nil
}

func (g Gateway) checkURL() error {
	u, err := url.Parse(g.URL)
	switch {
	case !validMessageID(g.Name):
		return errors.New("name: want letters, digits, - and _")
	case err != nil: // err would quote the URL
		return errors.New("url: cannot be read")
	case u.Scheme != "https" && !(u.Scheme == "http" && g.AllowPrivate):
		return errors.New("url: want https; http is for a gateway in a private network")
	case u.Host == "" || u.User != nil || strings.ContainsAny(g.URL, "{}"):
		return errors.New("url: want a host, no password and no {placeholder}: put values into fields")
	case g.Timeout < 0:
		return errors.New("timeout: want a positive time")
	case !slices.Contains([]string{"", EncodingForm, EncodingJSON, EncodingQuery}, g.Encoding):
		return errors.New("encoding: want form, json or query")
	}
	for _, fields := range []map[string]any{g.Fields, g.CallbackFields} {
		if err := g.checkFields(fields); err != nil {
			return err
		}
	}
	for name, value := range g.Header {
		if err := checkPlaceholders(value); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	return nil
}

// checkFields rejects nested fields unless the encoding is JSON.
func (g Gateway) checkFields(fields map[string]any) error {
	for name, value := range fields {
		if err := checkFieldValue(value, g.Encoding == EncodingJSON); err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
	}
	return nil
}

func checkFieldValue(value any, nested bool) error {
	switch v := value.(type) {
	case string:
		return checkPlaceholders(v)
	case bool, int, int64, float64:
		return nil
	case []any:
		for _, one := range v {
			if err := checkFieldValue(one, nested); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, one := range v {
			if err := checkFieldValue(one, nested); err != nil {
				return err
			}
		}
	default:
		return errors.New("want text, a number or a truth value")
	}
	if !nested {
		return errors.New("lists and tables need encoding json")
	}
	return nil
}

// checkPlaceholders rejects unknown placeholders: a misspelt one would be sent to people's phones.
func checkPlaceholders(s string) error {
	known := []string{"{to}", "{digits}", "{text}", "{from}", "{id}", "{callback}", "{user}", "{secret}"}
	for _, p := range regexp.MustCompile(`\{[a-z]+\}`).FindAllString(s, -1) {
		if !slices.Contains(known, p) {
			return fmt.Errorf("%s is unknown", p)
		}
	}
	return nil
}

func (g Gateway) checkAuth() error {
	switch g.Auth {
	case "":
	case AuthBasic:
		if g.User == "" || g.Secret == "" {
			return errors.New("basic needs user and secret")
		}
	case AuthBearer:
		if g.Secret == "" {
			return errors.New("bearer needs secret")
		}
	case AuthSigV4:
		if g.User == "" || g.Secret == "" || g.Region == "" || g.Service == "" {
			return errors.New("sigv4 needs user, secret, region and service")
		}
	default:
		return errors.New("auth: want basic, bearer or sigv4")
	}
	return nil
}

func (g Gateway) checkResponseRules() error {
	expressions := []string{g.ErrorCodePattern}
	for _, a := range slices.Concat(g.Accept, g.Reject) {
		expressions = append(expressions, a.Pattern)
	}
	for _, e := range expressions {
		if _, err := regexp.Compile(e); err != nil {
			return fmt.Errorf("answers: %w", err)
		}
	}
	if g.ErrorCodePattern != "" && regexp.MustCompile(g.ErrorCodePattern).NumSubexp() < 1 {
		return errors.New("code: want a group in the expression")
	}
	return nil
}

func (g Gateway) checkCallback() error {
	if g.CallbackURL == "" {
		return nil
	}
	u, err := url.Parse(g.CallbackURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("callback: want an address like https://login.example.com/sms/receipt")
	case u.RawQuery != "" || strings.ContainsAny(g.CallbackURL, "%?#"): // Kannel replaces % sequences
		return errors.New("callback: want no query, no fragment and no %")
	case len(g.CallbackKey) < 16:
		return errors.New("callback: needs a key of 16 bytes or more")
	}
	return nil
}

// Send sends m and returns nil once the gateway has accepted it.
//
// Send returns an error that wraps ErrRejected if the response matches a Reject rule or m is not a
// valid text message. It returns an error that wraps ErrUncertain if the request was sent and the
// response is missing, incomplete, or a 504 from a proxy in between. After any other error the
// message was not accepted and may be sent again: no connection, a bad certificate or password, too
// many requests, a redirect (never followed), a response that matches no Accept rule. No error
// quotes the message, the number, the fields or the secret.
func (g Gateway) Send(ctx context.Context, m Message) error {
	if err := g.Check(); err != nil {
		return err
	}
	if m.Channel != SMS {
		return fmt.Errorf("delivery: sms gateway %s: %w: not a text message", g.Name, ErrRejected)
	}
	if err := checkSMS(m); err != nil {
		return fmt.Errorf("delivery: sms gateway %s: %w: %w", g.Name, ErrRejected, err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(g.Timeout, 8*time.Second))
	defer cancel()
	r, err := g.newRequest(ctx, m)
	if err != nil {
		return fmt.Errorf("delivery: sms gateway %s: %w", g.Name, err)
	}
	a, err := g.roundTrip(r)
	if err == nil {
		err = g.responseError(a, m)
	}
	if err != nil {
		return fmt.Errorf("delivery: sms gateway %s: %w", g.Name, err)
	}
	return nil
}

func (g Gateway) now() time.Time {
	if g.Now == nil {
		return time.Now()
	}
	return g.Now()
}
