// Package factor defines what a verification method must implement.
//
// A method implements what is specific to it: its form, its texts, its secret, and how a response is
// verified. The server does what all methods share: storage, encryption at rest, expiry, attempt
// limits, rate limits, single use and audit events. So a method has no access to the database, the
// clock or the HTTP request, and the server does not know the format of a method's secret.
package factor

import (
	"context"
	"errors"
	"net/url"
	"time"

	"twostep.example/twostep/delivery"
)

var (
	// ErrIncorrect is returned by Method.Verify if the response does not match. Any other error of
	// Verify is an internal error, and the page does not say that the response was wrong. The
	// attempt is counted in both cases; otherwise every aborted request would be a free guess.
	ErrIncorrect = errors.New("incorrect verification code")
	// ErrMalformed is returned by Method.ParseResponse if the form contains no response: it is
	// empty, too long, or not a code. Nothing is compared and no attempt is counted.
	ErrMalformed = errors.New("no verification code in the form")
	// ErrCannotEnroll is returned by Method.Enroll if the form is not valid for a new factor. The
	// *UserError that wraps it has the reason.
	ErrCannotEnroll = errors.New("not a factor")
)

// UserError is an error that a person can correct, with a text of the method.
type UserError struct {
	Err         error    // ErrIncorrect or ErrCannotEnroll
	Field       string   // the form field that is wrong; "" is the whole form
	MessageKey  string   // a key of Words.Messages
	MessageArgs []string // names and values for the placeholders of the message: "Minutes", "3"
	// Confirm is the value of the form field ConfirmField with which the person confirms the input, by sending the form
	// again. "": the input cannot be confirmed.
	Confirm string
}

// ConfirmField is a form field of Method.Enroll, see UserError.Confirm.
const ConfirmField = "confirmed"

func (r *UserError) Error() string { return r.Err.Error() + ": " + r.MessageKey }

// Unwrap returns Err.
func (r *UserError) Unwrap() error { return r.Err }

// Method is a verification method, such as email or an authenticator app. All functions must be
// safe for concurrent use.
type Method interface {
	Info() Info
	// Enroll creates a new factor from the form, and its first challenge. The factor becomes active
	// when Verify has accepted a response. Enroll returns a *UserError that wraps ErrCannotEnroll if
	// the form is not valid.
	Enroll(ctx context.Context, ask Request, form url.Values) (Factor, Challenge, error)
	// Challenge creates a challenge for the enrolled factor ask.Factor.
	Challenge(ctx context.Context, ask Request) (Challenge, error)
	// ParseResponse reads and normalizes the response from the form. It returns ErrMalformed if
	// there is none. It runs before the attempt is counted, so it must not compare. longCode is the
	// Request.LongCode of the challenge.
	ParseResponse(form url.Values, longCode bool) (string, error)
	// Verify returns nil if the response is correct, and ErrIncorrect or a *UserError that wraps it
	// if it is not. It may change f.Secret, for example to mark a step as used. The server saves
	// the change in the transaction that accepts the response.
	Verify(ctx context.Context, f *Factor, answer Response) error
}

// Provisioner is a Method that shows the person something before a new factor is verified: a QR code
// or a list of recovery codes.
type Provisioner interface {
	// Provision returns what the page of a new factor shows.
	Provision(ask Request, draft Factor) Provisioning
	// Finalize returns the factor to store. The server calls it when Verify has accepted a
	// response, or when the person has confirmed that they saw it (Challenge.AcknowledgeOnly).
	// Finalize removes what Provision shows and Verify does not need. It must be fast and free of
	// side effects.
	Finalize(draft Factor) (Factor, error)
}

// Consumable is a Method whose factors have a limited number of uses.
type Consumable interface {
	// Remaining returns how many uses the factor has left.
	Remaining(f Factor) int
}

// Notifier is a Method that can notify the destination of a factor.
type Notifier interface {
	// NoticeMessage composes the notification to ask.Factor.Destination.
	NoticeMessage(n Notice, ask Request) delivery.Message
}

// Notice says what a notification of a Notifier is about.
type Notice string

// The notices. Methods may send their text for NoticeUndone for one that they do not know.
const (
	NoticeReplaced Notice = "replaced" // the factor was replaced by another one
	NoticeFrozen   Notice = "frozen"   // the account is frozen: an undo of one of its changes was requested
	NoticeKept     Notice = "kept"     // the freeze has ended, and the change stays
	NoticeUndone   Notice = "undone"   // a change of the account was undone
	NoticeDeskCode Notice = "deskcode" // the help desk requested a code for the account; Request.CancelURL cancels it
)

// Provisioning is what the page of a new factor shows. It is not shown again once the factor is
// verified.
type Provisioning struct {
	URI    string   // opens an app on the phone; also shown as a QR code
	Secret string   // the key in URI, for people who type it
	Codes  []string // to print or save
}

// Info describes a method to the server and its pages.
type Info struct {
	Method string // ID of the method: "email"
	Path   string // of its page below /settings/2step/; "" if it has none
	// Implicit says that every account has this factor: its email address. It is never stored or removed.
	Implicit bool
	// Backup says that the method is for emergencies: it is offered last, never chosen
	// automatically, and its page does not offer to trust the device.
	Backup        bool
	MaxPerAccount int           // factors per account; with 1, a new one replaces the old one
	CodeTTL       time.Duration // how long a code is valid after it is sent; 0 if none is sent
	Digits        int           // digits of a response; 0 if it is text
	// ValidAnswers is how many responses are valid at the same time, for a method that sends none; 0
	// if they cannot be guessed. The guess budget depends on it.
	ValidAnswers int
	AMR          []string // authentication method references (RFC 8176), added to "pwd"
	Fields       []Field  // of the enrolment form
	Words        map[string]Words
}

// Field is one field of an enrolment form.
type Field struct {
	Name         string // in the form, and the key of its label in Words.Messages
	Kind         string // "text", "tel" or "choice"
	Autocomplete string // autofill detail token (HTML, 4.10.18.7)
	Optional     bool
	// Options returns the options of a choice in a language (BCP 47), in the order to show.
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

// WordsIn returns the texts in a language, or the English ones if there are none.
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
	Destination string // recipient of codes: an email address, an E.164 number; "" if nothing is sent
	Display     string // Destination as its owner sees it; "" if it is the same
	Masked      string // Destination as shown before the second step, to somebody who knows the password
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
	ExpiresAt time.Time // when the response expires, in the site's time zone
	Browser   string    // "Firefox on Windows"
	Address   string    // client IP address of the sign-in
	// LongCode requires a response of at least 64 bits, which cannot be guessed: the guess budget
	// of the account is used up.
	LongCode bool
	// VerifyURL is the URL of the code page, which accepts a long code in its fragment; "" if there
	// is no such page.
	VerifyURL string
	// CancelURL is the URL on which the owner cancels what a Notice is about; "" if there is none.
	CancelURL string
}

// Challenge is what Method.Challenge or Method.Enroll asks for.
type Challenge struct {
	// Message is the message to the person; nil if nothing is sent. The server stores it with the
	// challenge, and the outbox sends it.
	Message *delivery.Message
	// Answer is the correct response, if it is known in advance. The server stores a keyed hash of
	// it, bound to this challenge.
	Answer string
	// State is stored, encrypted, for Verify, if Answer is not enough.
	State []byte
	// AcknowledgeOnly says that a new factor needs no response, only the person's confirmation that
	// they have saved it.
	AcknowledgeOnly bool
}

// Response is a person's response to a challenge.
type Response struct {
	Text     string // from ParseResponse
	State    []byte // Challenge.State
	Now      time.Time
	LongCode bool // Request.LongCode
	// Matches reports whether a candidate is one of the valid answers of this challenge, in constant
	// time. The server marks the answer that matched as used.
	Matches func(candidate string) bool
}
