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
	keySize = 20 // bytes; RFC 4226 section 4 advises 160 bits
	maxName = 40 // characters
	apps    = 5  // per account
)

// Method compares codes by RFC 6238 with SHA-1, 6 digits and steps of 30 seconds, the
// only values that every app knows. The zero value is ready.
type Method struct{}

var _ factor.Shower = Method{}

// About says that an account may have several apps.
func (Method) About() factor.About {
	return factor.About{
		Method: "totp", Path: "app", Most: apps, Digits: sentcode.Digits, Right: steps, AMR: []string{"otp", "mfa"},
		Fields: []factor.Field{{Name: "name", Kind: "text", Autocomplete: "off", Optional: true}},
		Words:  words(),
	}
}

// Enroll draws a key of 160 bits for the device named in the field "name". A *Refusal
// of factor.ErrRefused is about that name.
func (m Method) Enroll(_ context.Context, ask factor.Ask, form url.Values) (factor.Factor, factor.Challenge, error) {
	name, err := nameOf(form.Get("name"))
	if err != nil {
		return factor.Factor{}, factor.Challenge{}, err
	}
	if name == "" {
		name = m.About().In(ask.Language).Says["name.default"]
	}
	s := secret{Key: make([]byte, keySize)}
	rand.Read(s.Key)
	return factor.Factor{Method: "totp", Name: name, Secret: s.seal()}, factor.Challenge{}, nil
}

// nameOf tidies up what a person calls a device. "" is fine. *factor.Refusal.
func nameOf(text string) (string, error) {
	name := strings.Join(strings.Fields(text), " ")
	no := func(says string) error {
		return &factor.Refusal{Err: factor.ErrRefused, Field: "name", Says: says}
	}
	switch {
	case utf8.RuneCountInString(name) > maxName:
		return "", no("name.long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unseen):
		return "", no("name.text")
	}
	return name, nil
}

// unseen are characters that make a name look like another one. The two joiners belong
// to Persian words and to emoji.
func unseen(r rune) bool { return r != '\u200c' && r != '\u200d' && !unicode.IsPrint(r) }

// Challenge has nothing to send and nothing to remember.
func (Method) Challenge(context.Context, factor.Ask) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

// Read takes six digits from the field "code", or those of two codes in a row if hard.
// factor.ErrMalformed.
func (Method) Read(form url.Values, hard bool) (string, error) {
	if hard {
		return sentcode.ReadDigits(form, 2*sentcode.Digits)
	}
	return sentcode.Read(form, false)
}

// Verify accepts a code of the current step or the one before, counted on the clock of
// the phone as far as that is known, if no code of this step or a later one was ever
// accepted. It changes f.Secret only then. factor.ErrIncorrect, and a *Refusal of it
// where a wrong clock may be the reason. If the challenge is hard it takes two codes in a
// row, the second of which is such a one.
func (Method) Verify(_ context.Context, f *factor.Factor, answer factor.Answer) error {
	s, err := unseal(f.Secret)
	if err != nil {
		return err
	}
	now := answer.Now.Unix()
	if answer.Hard {
		return s.pair(f, answer.Text, now)
	}
	taken, stray := s.find(s.around(now/period), answer.Text, now)
	if taken == 0 {
		return s.refuse(stray, now)
	}
	s.take(taken, now)
	f.Secret = s.seal()
	return nil
}

// Show is the link for the app and the key to be typed; nothing once a code was
// accepted, because whoever is signed in later must not read the key.
func (Method) Show(ask factor.Ask, draft factor.Factor) factor.Show {
	s, err := unseal(draft.Secret)
	if err != nil || !s.unproven() {
		return factor.Show{}
	}
	site := ask.Site
	if site == "" {
		site = ask.Host
	}
	return factor.Show{Link: link(site, ask.Account.Email, s.Key), Secret: groups(s.Key)}
}

// Keep is the draft itself. It is an error if Verify has not accepted a code of it: what
// is kept then would take the same code again, and codes of five steps instead of two.
func (Method) Keep(draft factor.Factor) (factor.Factor, error) {
	s, err := unseal(draft.Secret)
	if err != nil {
		return factor.Factor{}, err
	}
	if s.unproven() {
		return factor.Factor{}, errors.New("totp: keep: no code was accepted yet")
	}
	return draft, nil
}
