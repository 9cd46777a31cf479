package challenge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/session"
)

// SetUp says that a person must set up another method.
type SetUp struct {
	From    time.Time     // from when on; zero: already now, because none of their methods is allowed
	Due     bool          // the time has come
	Methods []factor.Info // those that would do; none: the site has none
	By      string        // the rule
}

// ErrSetUpRequired is returned by CheckPolicy: the person must set up another method first.
var ErrSetUpRequired = errors.New("another method must be set up")

// ErrNoAllowedMethod is returned by CheckPolicy: the person can use no method that is allowed, and can set up none.
var ErrNoAllowedMethod = errors.New("no allowed method")

// CheckPolicy checks that the policy lets a person go on with a session. It returns ErrSetUpRequired,
// session.ErrStepUpRequired if the person has to take both steps again by another of their methods, and
// ErrNoAllowedMethod. It reads the factors only if the method of the session may not be enough.
func (c *Challenges) CheckPolicy(ctx context.Context, who session.Session, l policy.Limits) error {
	missing, err := c.FindSetUp(ctx, who, l)
	switch {
	case err != nil:
		return err
	case missing != nil && missing.Due && len(missing.Methods) > 0:
		return ErrSetUpRequired
	case who.Allows(l):
		return nil
	case missing != nil && missing.Due:
		return ErrNoAllowedMethod
	}
	return session.ErrStepUpRequired
}

// FindSetUp returns what the person of a session must set up under these limits; nil if nothing. It reads the factors
// only if the session was proved by a method that may not be enough.
func (c *Challenges) FindSetUp(ctx context.Context, who session.Session, l policy.Limits) (*SetUp, error) {
	m, known := c.Method(who.Method)
	enough := known && !m.Info().Implicit && !m.Info().Backup
	if who.Allows(l) && (l.Require.From.IsZero() || enough) {
		return nil, nil
	}
	a, err := c.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return nil, fmt.Errorf("challenge: set up: %w", err)
	}
	all, err := c.Factors(ctx, a)
	if err != nil {
		return nil, err
	}
	return c.SetUpFor(c.usable(all, a), l), nil
}

// SetUpFor returns what an account with these factors must set up; nil if nothing.
func (c *Challenges) SetUpFor(all []Enrolled, l policy.Limits) *SetUp {
	s := SetUp{From: l.Require.From, By: l.Require.By}
	for _, m := range c.Methods {
		if about := m.Info(); about.Path != "" && !about.Implicit && !about.Backup && l.Allows(about.Method) {
			s.Methods = append(s.Methods, about)
		}
	}
	is := func(f Enrolled) bool { return l.Allows(f.Method.Info().Method) && f.UsesLeft() != 0 }
	isOther := func(f Enrolled) bool { return is(f) && !f.Method.Info().Implicit && !f.Method.Info().Backup }
	switch {
	case !slices.ContainsFunc(all, is):
		s.From, s.Due = time.Time{}, true
		if len(l.Methods.By) > 0 {
			s.By = l.Methods.By[0]
		}
		return &s
	case s.From.IsZero() || slices.ContainsFunc(all, isOther) || len(s.Methods) == 0:
		return nil
	}
	s.Due = !c.Now().Before(s.From)
	return &s
}
