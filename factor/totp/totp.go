// Package totp is the method of codes from an authenticator app. It takes the time
// from the engine and never from the person, and it sends nothing.
//
//	Enroll ─▶ Show (QR code) ─▶ Verify: five steps, learns the drift ─▶ Keep
//	sign-in                  ─▶ Verify: two steps, each once
package totp

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
)

const (
	keyBytes     = 20 // bytes; RFC 4226 section 4 advises 160 bits
	maxNameChars = 40 // characters
	maxApps      = 5  // per account
)

// Method compares codes by RFC 6238 with SHA-1, 6 digits and steps of 30 seconds, the
// only values that every app knows. The zero value is ready.
type Method struct{}

var _ factor.Provisioner = Method{}

// Info says that an account may have several apps.
func (Method) Info() factor.Info {
	return factor.Info{
		Method: "totp", Path: "app", MaxPerAccount: maxApps, Digits: sentcode.Digits, ValidAnswers: acceptedSteps, AMR: []string{"otp", "mfa"},
		Fields: []factor.Field{{Name: "name", Kind: "text", Autocomplete: "off", Optional: true}},
		Words:  localizedWords(),
	}
}

// Enroll draws a key of 160 bits for the device named in the field "name". A *Refusal
// of factor.ErrRefused is about that name.
func (m Method) Enroll(_ context.Context, ask factor.Request, form url.Values) (factor.Factor, factor.Challenge, error) {
	name, err := parseDeviceName(form.Get("name"))
	if err != nil {
		return factor.Factor{}, factor.Challenge{}, err
	}
	if name == "" {
		name = m.Info().WordsIn(ask.Language).Messages["name.default"]
	}
	s := secret{Key: make([]byte, keyBytes)}
	rand.Read(s.Key)
	return factor.Factor{Method: "totp", Name: name, Secret: s.marshal()}, factor.Challenge{}, nil
}

// parseDeviceName tidies up what a person calls a device. "" is fine. *factor.Refusal.
func parseDeviceName(text string) (string, error) {
	name := strings.Join(strings.Fields(text), " ")
	no := func(says string) error {
		return &factor.UserError{Err: factor.ErrCannotEnroll, Field: "name", MessageKey: says}
	}
	switch {
	case utf8.RuneCountInString(name) > maxNameChars:
		return "", no("name.long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isInvisible):
		return "", no("name.text")
	}
	return name, nil
}

// isInvisible are characters that make a name look like another one. The two joiners belong
// to Persian words and to emoji.
func isInvisible(r rune) bool { return r != '\u200c' && r != '\u200d' && !unicode.IsPrint(r) }

// Challenge has nothing to send and nothing to remember.
func (Method) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// ParseResponse takes six digits from the field "code", or those of two codes in a row if hard.
// factor.ErrMalformed.
func (Method) ParseResponse(form url.Values, hard bool) (string, error) {
	if hard {
		return sentcode.ParseDigits(form, 2*sentcode.Digits)
	}
	return sentcode.Parse(form, false)
}

// Verify accepts a code of the current step or the one before, counted on the clock of
// the phone as far as that is known, if no code of this step or a later one was ever
// accepted. It changes f.Secret only then. factor.ErrIncorrect, and a *Refusal of it
// where a wrong clock may be the reason. If the challenge is hard it takes two codes in a
// row, the second of which is such a one.
func (Method) Verify(_ context.Context, f *factor.Factor, answer factor.Response) error {
	s, err := unmarshalSecret(f.Secret)
	if err != nil {
		return err
	}
	now := answer.Now.Unix()
	if answer.LongCode {
		return s.verifyTwoCodes(f, answer.Text, now)
	}
	taken, outOfWindow := s.findStep(s.codesAround(now/stepSeconds), answer.Text, now)
	if taken == 0 {
		return s.rejectionError(outOfWindow, now)
	}
	s.markUsed(taken, now)
	f.Secret = s.marshal()
	return nil
}

// Provision is the link for the app and the key to be typed; nothing once a code was
// accepted, because whoever is signed in later must not read the key.
func (Method) Provision(ask factor.Request, draft factor.Factor) factor.Provisioning {
	s, err := unmarshalSecret(draft.Secret)
	if err != nil || !s.enrolling() {
		return factor.Provisioning{}
	}
	site := ask.Site
	if site == "" {
		site = ask.Host
	}
	return factor.Provisioning{URI: otpauthURI(site, ask.Account.Email, s.Key), Secret: groupedBase32Key(s.Key)}
}

// Finalize is the draft itself. It is an error if Verify has not accepted a code of it: what
// is kept then would take the same code again, and codes of five steps instead of two.
func (Method) Finalize(draft factor.Factor) (factor.Factor, error) {
	s, err := unmarshalSecret(draft.Secret)
	if err != nil {
		return factor.Factor{}, err
	}
	if s.enrolling() {
		return factor.Factor{}, errors.New("totp: keep: no code was accepted yet")
	}
	return draft, nil
}
