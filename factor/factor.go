// Package factor is the contract of a verification method, and nothing else.
//
// A method owns what is only its own: its form, its words, its secret, the way it
// compares. The engine keeps what is the same for all: storing, sealing, expiry, tries,
// rations, single use and events. So a method sees no database, no clock and no
// request, and the engine never learns what a method's proof looks like.
package factor

import (
	"context"
	"errors"
	"net/url"
	"time"

	"twostep.example/twostep/delivery"
)

var (
	// ErrIncorrect says that the answer does not prove the factor. Any other error is a
	// fault of ours, and nobody is told that the answer was wrong; the try is spent all
	// the same, or a request that is cut off would be a free guess.
	ErrIncorrect = errors.New("incorrect verification code")
	// ErrMalformed says that the form holds no answer at all (empty, too long, not a
	// code). Nothing is compared and nothing is counted.
	ErrMalformed = errors.New("no verification code in the form")
	// ErrCannotEnroll says that no factor can be made of what the form says; a *Refusal
	// says why.
	ErrCannotEnroll = errors.New("not a factor")
)

// UserError is an error that a person can do something about, in the method's own words.
type UserError struct {
	Err         error    // ErrIncorrect or ErrRefused
	Field       string   // the field of the form it belongs to; "" for the whole form
	MessageKey  string   // which of Words.Says
	MessageArgs []string // names and values for it: "Minutes", "3"
}

func (r *UserError) Error() string { return r.Err.Error() + ": " + r.MessageKey }

// Unwrap is Err.
func (r *UserError) Unwrap() error { return r.Err }

// A Method is one kind of proof.
type Method interface {
	Info() Info
	// Enroll draws up a new factor from the form and opens the first challenge about
	// it. The factor counts only once Verify has accepted it. *Refusal.
	Enroll(ctx context.Context, ask Request, form url.Values) (Factor, Challenge, error)
	// Challenge asks for proof of the enrolled factor ask.Factor.
	Challenge(ctx context.Context, ask Request) (Challenge, error)
	// Read takes the answer from the form, tidied up, or returns ErrMalformed. It runs
	// before a try is spent, so it must not compare.
	// hard is the Ask.Hard of the challenge.
	ParseResponse(form url.Values, hard bool) (string, error)
	// Verify returns nil if the answer proves the factor, and ErrIncorrect (or a
	// *Refusal of it, which says more) if it does not. It may change f.Secret (a step
	// that is used up); the engine saves that in the transaction that accepts.
	Verify(ctx context.Context, f *Factor, answer Response) error
}

// A Shower is a method whose new factor must be shown to the person before it is
// proven: a QR code, a list of printed codes.
type Provisioner interface {
	Provision(ask Request, draft Factor) Provisioning
	// Keep is what is stored of draft once Verify has accepted it, as Verify left it, or
	// the person has said that they saw it (Challenge.Seen). After that Show has nothing
	// to show any more that the method can do without. It is quick and has no effects.
	Finalize(draft Factor) (Factor, error)
}

// Consumable is a method whose factors wear out.
type Consumable interface {
	// Left is how many proofs the factor has left.
	Remaining(f Factor) int
}

// ReplacementNotifier is a method that tells the place a factor leaves that it was replaced.
type ReplacementNotifier interface {
	ReplacedMessage(ask Request) delivery.Message
}

// Provisioning is what the page of a new factor shows. It is shown until the factor is proven
// and never again.
type Provisioning struct {
	URI    string   // for another program on the phone; shown as a QR code too
	Secret string   // what the link holds, to be typed
	Codes  []string // to be kept on paper
}

// Info is what the engine and the pages need to know of a method.
type Info struct {
	Method        string        // "email"; also the name of its folder
	Path          string        // of its page below /settings/2step/; "" if it is not enrolled there
	Implicit      bool          // every account has this factor, derived from its address; it is never stored or removed
	Backup        bool          // only for when nothing else is at hand: offered last, never by itself, and no trust comes of it
	MaxPerAccount int           // how many of them one account may have; a new one takes the place of the only one
	CodeTTL       time.Duration // how long one sent secret answers, counted from its own sending; 0: nothing is sent
	Digits        int           // how many digits an answer has; 0: it is text
	ValidAnswers  int           // how many answers of a factor are right at a time, where none is sent; 0: they cannot be guessed
	AMR           []string      // authentication method references (RFC 8176) that a proof adds to "pwd"
	Fields        []Field       // what its page asks for before there is a factor
	Words         map[string]Words
}

// Field is one field of an enrolment form.
type Field struct {
	Name         string // of the field, and of its label in Words.Says
	Kind         string // "text", "tel" or "choice"
	Autocomplete string // an autofill token (HTML, 4.10.18.7)
	Optional     bool
	// Options are what a choice offers to readers of a language, in their order.
	Options func(language string) []Option
	// Guess is the option for a reader with this Accept-Language header; "" for none.
	Default func(acceptLanguage string) string
}

// Option is one option of a choice.
type Option struct{ Value, Label string }

// Words are what a method says to people, by language ("en", "de"); English is always
// there. {Masked} stands for the destination and {Site} for the site.
type Words struct {
	Title          string   // of its page: "2-Step Auth App"
	Name           string   // "Authenticator App"
	ChoiceLabel    string   // in the choice of methods: "Send a code to {Masked}"
	Prompt         string   // on the code page: "Enter the code from your app"
	LongCodePrompt string   // the same, for the answer to a hard challenge; "" if that is no different
	Intro          []string // on its own page, one paragraph each
	Button         string   // that draws the factor up: "Send Code"
	Messages       map[string]string
}

// WordsIn are the words of a language, or the English ones.
func (a Info) WordsIn(language string) Words {
	if w, ok := a.Words[language]; ok {
		return w
	}
	return a.Words["en"]
}

// Account is the person a factor belongs to.
type Account struct {
	ID    string
	Email string // the stored address, in canonical form
	Name  string
}

// Factor is one thing an account enrolled: an app, a number, a mailbox.
type Factor struct {
	ID          string
	Method      string
	Name        string // what the person calls it; "" if there is only one
	Destination string // where a challenge travels: a mailbox, an E.164 number; "" if nothing travels
	Display     string // the destination as its owner reads it; "" if that is the same
	Masked      string // the destination as a stranger with the password may see it
	Secret      []byte // what Verify compares with; sealed at rest
}

// Request is what a method is told when proof is wanted.
type Request struct {
	Account   Account
	Factor    Factor    // empty while it is drawn up
	Enrolling bool      // the factor is not proven yet: this is no sign-in
	Site      string    // the name of the site, for the person
	Host      string    // its host name, for machines
	Language  string    // BCP 47
	StartedAt time.Time // when the sign-in began, in the site's time zone
	Now       time.Time
	ExpiresAt time.Time // the last moment at which the answer is accepted, same zone
	Browser   string    // "Firefox on Windows"
	Address   string    // the network address the sign-in came from
	// Hard asks for an answer that cannot be guessed, of 64 bits and more: somebody has
	// guessed at this account, or address, so often that six digits are not enough.
	LongCode  bool
	VerifyURL string // the address of the code page, which takes a hard answer as its fragment; "" if it does not
}

// Challenge is one question to a person.
type Challenge struct {
	// Message travels to the person; nil if nothing does. The engine commits it
	// together with the challenge, the outbox sends it.
	Message *delivery.Message
	// Answer is the one right answer, where it is known beforehand. The engine keeps
	// only a keyed hash bound to this challenge and forgets it once used.
	Answer string
	// State is kept sealed, for Verify, where there is more to remember than an answer.
	State []byte
	// Seen says that a new factor needs no proof but that the person has seen it.
	AcknowledgeOnly bool
}

// Response is what came back.
type Response struct {
	Text     string // what Read returned
	State    []byte // Challenge.State
	Now      time.Time
	LongCode bool // Ask.Hard
	// Matches compares a candidate in constant time with the answers of this
	// challenge that are still good, and remembers which one it was, so that the
	// engine uses up exactly that one.
	Matches func(candidate string) bool
}
