// Package totp is the verification method with codes of an authenticator app. It implements RFC 6238,
// sends nothing, and takes the time from the server, never from the person.
//
//	enrolment ─▶ Enroll ─▶ Provision (QR code) ─▶ Verify: five steps, learns the clock drift ─▶ Finalize
//	sign-in   ─▶ Verify: two steps, each used once
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
	keyBytes     = 20 // RFC 4226 4 recommends 160 bits
	maxNameChars = 40
	maxApps      = 5 // per account
)

// Method verifies codes of RFC 6238 with SHA-1, 6 digits and steps of 30 seconds, the only
// parameters that every app supports. The zero value is ready to use.
type Method struct{}

var _ factor.Provisioner = Method{}

// Info describes the method. An account can have up to five apps.
func (Method) Info() factor.Info {
	return factor.Info{
		Method: "totp", Path: "app", MaxPerAccount: maxApps, Digits: sentcode.Digits, ValidAnswers: acceptedSteps,
		AMR:    []string{"otp", "mfa"},
		Fields: []factor.Field{{Name: "name", Kind: "text", Autocomplete: "off", Optional: true}},
		Words:  localizedWords(),
	}
}

// Enroll generates a key of 160 bits for the device named in the form field "name". It returns a
// *factor.UserError that wraps factor.ErrCannotEnroll if the name is too long or not printable.
func (m Method) Enroll(_ context.Context, ask factor.Request, form url.Values) (
	factor.Factor, factor.Challenge, error,
) {
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

// parseDeviceName collapses white space in a device name. "" is valid. It returns a
// *factor.UserError if the name is too long or not printable.
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

// isInvisible reports whether r can make a name look like another one. The two joiners are allowed:
// Persian and emoji need them.
func isInvisible(r rune) bool { return r != '\u200c' && r != '\u200d' && !unicode.IsPrint(r) }

// Challenge returns an empty challenge: nothing is sent and nothing is stored.
func (Method) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// ParseResponse reads six digits from the form field "code", or the twelve digits of two
// consecutive codes if longCode. It returns factor.ErrMalformed if there are no such digits.
func (Method) ParseResponse(form url.Values, longCode bool) (string, error) {
	if longCode {
		return sentcode.ParseDigits(form, 2*sentcode.Digits)
	}
	return sentcode.Parse(form, false)
}

// Verify accepts a code of the current step or of the one before, by the phone's clock as far as
// its drift is known. It rejects a code of a step that is not later than the last accepted one (RFC
// 6238 5.2). If answer.LongCode is set, it requires two consecutive codes. It changes f.Secret only
// if it accepts.
//
// Verify returns factor.ErrIncorrect if the code is wrong, or a *factor.UserError that wraps it if a
// wrong clock may be the reason.
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

// Provision returns the otpauth URI and the key to type. Once a code was accepted it returns the zero
// value, so that a later session cannot read the key.
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

// Finalize returns draft unchanged. It returns an error if Verify has not accepted a code yet: that
// factor would accept the same code again, and codes of five steps instead of two.
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
