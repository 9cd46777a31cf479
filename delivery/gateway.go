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

// How a gateway may want its fields, and how it may want to know us.
const (
	EncodingForm  = "form"
	EncodingJSON  = "json"
	EncodingQuery = "query" // in the address; for gateways that know no other way

	AuthBasic  = "basic"  // User and Secret
	AuthBearer = "bearer" // Secret
	AuthSigV4  = "sigv4"  // User and Secret are an AWS key, with Region and Service
)

// Gateway is a service that takes text messages, described by the one HTTP request it wants.
// Twilio, Vonage, SNS and Kannel return ready ones; any other is a few fields.
//
// In the strings of Header, Fields and CallbackFields these stand for a value: {to} (E.164),
// {digits} (the same without +), {text}, {from}, {id} (of the message, the same at each
// attempt), {callback}, {user} and {secret}. Values are put in first and encoded afterwards,
// so no value can break out of its field. A field that is nothing but an empty value is left out.
type Gateway struct {
	Name     string            // in errors and in the address of its receipts; letters, digits, - and _
	Method   string            // "": POST
	URL      string            // https; http only to a private address
	Header   map[string]string // further headers
	Encoding string            // "": form
	Fields   map[string]any    // strings, numbers and truth values; in JSON also lists and maps of them
	From     string            // sender: a number or a name, as the gateway has it

	Auth            string // "": none, or by the fields {user} and {secret}
	User, Secret    string
	Region, Service string // sigv4 only

	Accept           []ResponseRule // any of them means: taken; empty: every 2xx
	Reject           []ResponseRule // any of them means: never, to this number; looked at first
	ErrorCodePattern string         // regular expression; its first group is the gateway's error code, for the log

	AllowPrivate bool           // the gateway may be on this machine or in a private network
	RootCAs      *x509.CertPool // nil: the system's
	Timeout      time.Duration  // for all of it; 0: 8 s

	CallbackURL    string            // our address for receipts, like https://login.example.com/sms/receipt; "": none wanted
	CallbackKey    []byte            // proves that a receipt is about a message of ours; 32 bytes
	CallbackFields map[string]any    // further fields where receipts are wanted
	StateField     string            // of a receipt
	StateMap       map[string]string // its values, as Delivered or Failed; any other is Sent
	TwilioSigned   bool              // receipts carry X-Twilio-Signature, made with Secret

	Now func() time.Time // nil: time.Now
}

// ResponseRule is a form of answer. All that is set must hold.
type ResponseRule struct {
	Status  int    // 0: any
	Field   string // of an answer in JSON, like "messages.0.status"; "": the whole text
	Pattern string // regular expression that it contains; "": it is there
}

// String names the gateway. It keeps the secret out of anything that prints a Gateway.
func (g Gateway) String() string { return "sms gateway " + g.Name }

// GoString does for %#v what String does for %v.
func (g Gateway) GoString() string { return g.String() }

// Check looks at the settings without touching the network. Its error names what is wrong and
// holds no secret.
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
	case err != nil: // it would quote the address
		return errors.New("url: cannot be read")
	case u.Scheme != "https" && !(u.Scheme == "http" && g.AllowPrivate):
		return errors.New("url: want https; http is for a gateway in a private network")
	case u.Host == "" || u.User != nil || strings.ContainsAny(g.URL, "{}"):
		return errors.New("url: want a host, no password and no {placeholder}: values belong into fields")
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

// checkFields wants flat fields where the encoding knows no others.
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

// checkPlaceholders finds the misspelt one, which would travel to people's phones.
func checkPlaceholders(s string) error {
	for _, p := range regexp.MustCompile(`\{[a-z]+\}`).FindAllString(s, -1) {
		if !slices.Contains([]string{"{to}", "{digits}", "{text}", "{from}", "{id}", "{callback}", "{user}", "{secret}"}, p) {
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
	case u.RawQuery != "" || strings.ContainsAny(g.CallbackURL, "%?#"): // Kannel puts values after a %
		return errors.New("callback: want no query, no fragment and no %")
	case len(g.CallbackKey) < 16:
		return errors.New("callback: needs a key of 16 bytes or more")
	}
	return nil
}

// Send hands m to the gateway and returns nil once the gateway has taken it. An error wraps
// ErrRefused if the gateway refused this number or message in a way that Refused describes, or
// m is no text message, and ErrUncertain if the request was sent and no answer came, or only
// half of one, or one from a server in between that gave up waiting (504). Anything else was
// not taken: no connection, a wrong certificate or password, too many messages, a redirect
// (never followed), an answer in a form that is not Accepted. No error quotes the message,
// the number, the fields or the secret.
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
