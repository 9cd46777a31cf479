// Package factor defines the contract of a verification method.
//
// A method implements what is specific to it: its form, its texts, its secret and how a response is
// verified. The server does what all methods share: storage, encryption at rest, expiry, attempt
// limits, rate limits, single use and audit events. So a method has no access to the database, the
// clock or the HTTP request, and the server does not depend on the format of a method's secret.
package factor

import (
	"context"
	"errors"
	"net/url"
	"time"

	"twostep.example/twostep/delivery"
)

var (
	// ErrIncorrect says that the response does not prove the factor. Any other error of Verify is
	// an internal error: the person is not told that the response was wrong. The attempt is counted
	// all the same; otherwise every aborted request would be a free guess.
	ErrIncorrect = errors.New("incorrect verification code")
	// ErrMalformed says that the form contains no response at all (empty, too long, not a code).
	// Nothing is compared and no attempt is counted.
	ErrMalformed = errors.New("no verification code in the form")
	// ErrCannotEnroll says that the form is not valid for a new factor; the *UserError that wraps
	// it has the reason.
	ErrCannotEnroll = errors.New("not a factor")
)

// UserError is an error that a person can correct, with a text of the method.
type UserError struct {
	Err         error    // ErrIncorrect or ErrCannotEnroll
	Field       string   // the form field that is wrong; "" is the whole form
	MessageKey  string   // a key of Words.Messages
	MessageArgs []string // names and values for the message: "Minutes", "3"
}

func (r *UserError) Error() string { return r.Err.Error() + ": " + r.MessageKey }

// Unwrap returns Err.
func (r *UserError) Unwrap() error { return r.Err }

// Method is a verification method, such as email or an authenticator app. All functions must be
// safe for concurrent use.
type Method interface {
	Info() Info
	// Enroll creates a new factor from the form and its first challenge. The factor becomes active
	// only after Verify has accepted a response. Enroll returns a *UserError that wraps
	// ErrCannotEnroll if the form is not valid.
	Enroll(ctx context.Context, ask Request, form url.Values) (Factor, Challenge, error)
	// Challenge creates a challenge for the enrolled factor ask.Factor.
	Challenge(ctx context.Context, ask Request) (Challenge, error)
	// ParseResponse reads and normalizes the response from the form. It returns ErrMalformed if
	// there is none. It runs before the attempt is counted, so it must not compare. longCode is the
	// Request.LongCode of the challenge.
	ParseResponse(form url.Values, longCode bool) (string, error)
	// Verify returns nil if the response proves the factor. It returns ErrIncorrect, or a
	// *UserError that wraps it, if the response does not. It may change f.Secret (a step that is
	// used up); the server saves the change in the transaction that accepts the response.
	Verify(ctx context.Context, f *Factor, answer Response) error
}

// Provisioner is a Method whose new factor must be shown to the person before it is verified: a QR
// code, a list of recovery codes.
type Provisioner interface {
	// Provision returns what the page of a new factor shows.
	Provision(ask Request, draft Factor) Provisioning
	// Finalize returns what is stored of draft after Verify has accepted it, or after the person
	// has confirmed that they saw it (Challenge.AcknowledgeOnly). It removes what Provision shows
	// and Verify does not need. It must be fast and free of side effects.
	Finalize(draft Factor) (Factor, error)
}

// Consumable is a Method whose factors are used up.
type Consumable interface {
	// Remaining returns how many uses the factor has left.
	Remaining(f Factor) int
}

// ReplacementNotifier is a Method that notifies the old destination when a factor is replaced.
type ReplacementNotifier interface {
	// ReplacedMessage composes the notification to ask.Factor.Destination.
	ReplacedMessage(ask Request) delivery.Message
}

// Provisioning is what the page of a new factor shows, until the factor is verified and never
// again.
type Provisioning struct {
	URI    string   // for an app on the phone; also shown as a QR code
	Secret string   // the key within URI, for typing
	Codes  []string // to print
}

// Info describes a method to the server and its pages.
type Info struct {
	Method string // ID of the method: "email"
	Path   string // of its page below /settings/2step/; "" if it has none
	// Implicit: every account has this factor, derived from its address; it is never stored or removed.
	Implicit bool
	// Backup: only for emergencies, offered last, never chosen automatically, and creates no trusted
	// device.
	Backup        bool
	MaxPerAccount int           // factors per account; if 1, a new one replaces the old one
	CodeTTL       time.Duration // validity of a sent code, from when it is sent; 0: nothing is sent
	Digits        int           // digits of a response; 0: it is text
	// ValidAnswers is the number of valid responses at any time, if none is sent; 0: they cannot be guessed.
	ValidAnswers int
	AMR          []string // authentication method references (RFC 8176), added to "pwd"
	Fields       []Field  // enrolment form
	Words        map[string]Words
}

// Field is one field of an enrolment form.
type Field struct {
	Name         string // of the field, and the key of its label in Words.Messages
	Kind         string // "text", "tel" or "choice"
	Autocomplete string // autofill detail token (HTML, 4.10.18.7)
	Optional     bool
	// Options returns the options of a choice for a language (BCP 47), in their order.
	Options func(language string) []Option
	// Default returns the preselected option for an Accept-Language header; "" for none.
	Default func(acceptLanguage string) string
}

// Option is one option of a choice.
type Option struct{ Value, Label string }

// Words are a method's texts for people in one language. The placeholder {Masked} is the masked
// destination, {Site} the name of the site. Nothing is added to a text, so the prompts of a method
// that sends its codes name {Masked} themselves. A method must have English words ("en").
type Words struct {
	Title          string   // of its page: "2-Step Auth App"
	Name           string   // "Authenticator App"
	ChoiceLabel    string   // in the list of methods: "Send a verification code to {Masked}"
	Prompt         string   // on the code page: "Enter the code from our email to {Masked}."
	LongCodePrompt string   // the same if Request.LongCode is set; "" if there is no difference
	Intro          []string // on its own page, one paragraph each
	Button         string   // of the enrolment form: "Send Code"
	Messages       map[string]string
}

// WordsIn returns the texts in a language, or the English ones.
func (a Info) WordsIn(language string) Words {
	if w, ok := a.Words[language]; ok {
		return w
	}
	return a.Words["en"]
}

// Account is the owner of a factor.
type Account struct {
	ID    string
	Email string // the stored address, in canonical form
	Name  string
}

// Factor is one enrolled factor of an account: an app, a phone number, a mailbox.
type Factor struct {
	ID          string
	Method      string
	Name        string // given by the person; "" if an account has only one
	Destination string // recipient of challenges: a mailbox, an E.164 number; "" if nothing is sent
	Display     string // the destination for its owner; "" if it is the same
	Masked      string // the destination for somebody who knows only the password
	Secret      []byte // for Verify; encrypted at rest
}

// Request is the context of an enrolment or a challenge.
type Request struct {
	Account   Account
	Factor    Factor    // empty during Enroll
	Enrolling bool      // the factor is new and not verified yet: this is not a sign-in
	Site      string    // name of the site, for people
	Host      string    // host name of the site, for machines
	Language  string    // BCP 47
	StartedAt time.Time // start of the sign-in, in the site's time zone
	Now       time.Time
	ExpiresAt time.Time // end of validity of the response, in the site's time zone
	Browser   string    // "Firefox on Windows"
	Address   string    // client IP address of the sign-in
	// LongCode asks for a response of at least 64 bits, which cannot be guessed: there were so many
	// wrong codes for this account or network that six digits are not enough.
	LongCode bool
	// VerifyURL is the URL of the code page, which accepts a long code as its fragment; "" if it
	// does not.
	VerifyURL string
}

// Challenge is what Method.Challenge or Method.Enroll asks for.
type Challenge struct {
	// Message is sent to the person; nil if nothing is sent. The server commits it with the
	// challenge, the outbox sends it.
	Message *delivery.Message
	// Answer is the only valid response, if it is known in advance. The server stores a keyed hash
	// bound to this challenge and deletes it after use.
	Answer string
	// State is stored encrypted for Verify, if an answer is not enough.
	State []byte
	// AcknowledgeOnly says that a new factor needs no verification, only the person's confirmation
	// that they saw it.
	AcknowledgeOnly bool
}

// Response is a person's response to a challenge.
type Response struct {
	Text     string // from ParseResponse
	State    []byte // Challenge.State
	Now      time.Time
	LongCode bool // Request.LongCode
	// Matches compares a candidate in constant time with the valid answers of this challenge. The
	// server uses up the answer that matched.
	Matches func(candidate string) bool
}
