package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/store"
)

// Preview is what the kept sign-ins would have been under another policy.
type Preview struct {
	Since           time.Time
	Accounts        int // that signed in
	Decisions       int // sign-ins with a correct password
	Asked, WouldAsk int // times that the second step was required, and would have been
	Changed         int // sign-ins with another result or reason
	Inexact         int // decisions that could not be decided again from what is kept of them; always 0
	SetUp, NoWayIn  int // people who would have to set up a method, and who could not
	People          []PreviewPerson
	Omitted         int // people who are not in the list
}

// PreviewPerson is somebody for whom another policy would change something.
type PreviewPerson struct {
	ID, Email       string
	Decisions       int
	Asked, WouldAsk int
	SetUp           bool      // the person would have to set up a method
	From            time.Time // from when on; zero: at once
	NoWayIn         bool      // none of their methods is allowed, and the site has none that they could set up
}

// maxPreviewPeople is how many people a preview names.
const maxPreviewPeople = 200

// Preview replays the decisions of the last device.KeepDecisions under another policy. It looks at people who have signed
// in since, with the methods that they have today. It returns a *policy.Error.
func (d *Directory) Preview(ctx context.Context, p policy.Policy) (Preview, error) {
	var methods []string
	for _, m := range d.Challenges.Methods {
		methods = append(methods, m.Info().Method)
	}
	rules, err := policy.New(p, methods)
	if err != nil {
		return Preview{}, err
	}
	preview := Preview{Since: d.Now().Add(-device.KeepDecisions)}
	err = d.Devices.Replay(ctx, rules, preview.Since, func(r device.Replayed) error {
		return d.addTo(ctx, &preview, rules, r)
	})
	if err != nil {
		return Preview{}, err
	}
	slices.SortStableFunc(preview.People, func(a, b PreviewPerson) int {
		return cmp.Or(comparePeople(a, b), cmp.Compare(a.Email, b.Email))
	})
	if n := len(preview.People); n > maxPreviewPeople {
		preview.People, preview.Omitted = preview.People[:maxPreviewPeople], n-maxPreviewPeople
	}
	return preview, nil
}

// comparePeople sorts those who could not sign in first, then those who must set up a method, then by more questions.
func comparePeople(a, b PreviewPerson) int {
	rank := func(p PreviewPerson) int {
		switch {
		case p.NoWayIn:
			return 0
		case p.SetUp:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.WouldAsk-b.Asked, a.WouldAsk-a.Asked))
}

// addTo adds an account to a preview.
func (d *Directory) addTo(ctx context.Context, preview *Preview, rules *policy.Rules, r device.Replayed) error {
	preview.Accounts++
	preview.Decisions += r.Decisions
	preview.Asked += r.Asked
	preview.WouldAsk += r.WouldAsk
	preview.Inexact += r.Inexact
	preview.Changed += r.Changed
	one := PreviewPerson{ID: r.AccountID, Decisions: r.Decisions, Asked: r.Asked, WouldAsk: r.WouldAsk}
	if r.Asked == r.WouldAsk && !rules.Requires() {
		return nil
	}
	a, err := d.Store.GetAccount(ctx, r.AccountID)
	if errors.Is(err, store.ErrNotFound) { // removed meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("directory: preview: %w", err)
	}
	one.Email = a.Email
	if rules.Requires() {
		if err := d.findWayIn(ctx, &one, rules, a, r.Apps); err != nil {
			return err
		}
	}
	if one.SetUp {
		preview.SetUp++
	}
	if one.NoWayIn {
		preview.NoWayIn++
	}
	if one.SetUp || one.NoWayIn || one.Asked != one.WouldAsk {
		preview.People = append(preview.People, one)
	}
	return nil
}

// findWayIn says whether the account would have a way into each of the apps.
func (d *Directory) findWayIn(
	ctx context.Context, one *PreviewPerson, rules *policy.Rules, a store.Account, apps []string,
) error {
	factors, err := d.Challenges.Factors(ctx, a)
	if err != nil {
		return err
	}
	for _, app := range apps {
		missing := d.Challenges.SetUpFor(factors, rules.For(account.SplitGroups(a.Groups), app))
		switch {
		case missing == nil:
		case len(missing.Methods) == 0:
			one.NoWayIn = true
		case !one.SetUp || missing.From.Before(one.From):
			one.SetUp, one.From = true, missing.From
		}
	}
	return nil
}
