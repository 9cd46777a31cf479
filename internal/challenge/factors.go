package challenge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Enrolled is a factor of an account with its method and its row. The row is empty for the factor that
// every account has, its mailbox.
type Enrolled struct {
	factor.Factor
	Method factor.Method
	Row    store.Factor
}

// UsesLeft returns how many codes of the factor are left; -1 if it can be used any number of times.
func (f Enrolled) UsesLeft() int {
	if m, ok := f.Method.(factor.Consumable); ok {
		return m.Remaining(f.Factor)
	}
	return -1
}

// factorBody is the content of the sealed body of a factor, as JSON.
type factorBody struct {
	Name        string
	Destination string
	Shown       string
	Masked      string
	Secret      []byte
}

// Factors lists all factors of an account, in the order of Methods. It returns an error if the store
// fails, never a shorter list.
func (c *Challenges) Factors(ctx context.Context, a store.Account) ([]Enrolled, error) {
	rows, err := c.Store.ListFactors(ctx, a.ID)
	if err != nil {
		return nil, fmt.Errorf("challenge: factors: %w", err)
	}
	var list []Enrolled
	for _, m := range c.Methods {
		about := m.Info()
		if about.Implicit {
			f := factor.Factor{ID: about.Method, Method: about.Method, Destination: a.Email, Masked: account.MaskEmail(a.Email)}
			list = append(list, Enrolled{Factor: f, Method: m})
		}
		for _, row := range rows {
			if row.Method != about.Method {
				continue
			}
			f, err := c.OpenFactor(row)
			if err != nil {
				return nil, err
			}
			list = append(list, Enrolled{Factor: f, Method: m, Row: row})
		}
	}
	return list, nil
}

// OpenFactor decrypts the body of a factor.
func (c *Challenges) OpenFactor(row store.Factor) (factor.Factor, error) {
	var b factorBody
	body, err := c.Keys.Open("factor "+row.ID, row.Body)
	if err == nil {
		err = json.Unmarshal(body, &b)
	}
	if err != nil {
		return factor.Factor{}, fmt.Errorf("challenge: factor %s: %w", row.ID, err)
	}
	return factor.Factor{
		ID: row.ID, Method: row.Method, Name: b.Name, Destination: b.Destination, Display: b.Shown, Masked: b.Masked,
		Secret: b.Secret,
	}, nil
}

// SealFactor encrypts f as the body of the row with this ID.
func (c *Challenges) SealFactor(id string, f factor.Factor) ([]byte, error) {
	body, err := json.Marshal(factorBody{f.Name, f.Destination, f.Display, f.Masked, f.Secret})
	if err != nil {
		return nil, fmt.Errorf("challenge: seal factor: %w", err)
	}
	return c.Keys.Seal("factor "+id, body), nil
}

// usable returns the factors that an account can use now. The mailbox is left out if the account is frozen, and as
// Challenges.Email says. A frozen account may have none.
func (c *Challenges) usable(all []Enrolled, a store.Account) []Enrolled {
	all = slices.DeleteFunc(slices.Clone(all), func(f Enrolled) bool { return f.UsesLeft() == 0 })
	others := slices.DeleteFunc(slices.Clone(all), func(f Enrolled) bool { return f.Destination == a.Email })
	afterReset := !a.PasswordSetByMailAt.IsZero() && c.Now().Sub(a.PasswordSetByMailAt) < c.Email.PauseAfterReset
	if account.Frozen(a) != nil || c.emailUntilAnother(a) && hasPrimary(others) || afterReset && len(others) > 0 {
		return others
	}
	return all
}

// hasPrimary reports whether one of the factors is not a backup.
func hasPrimary(factors []Enrolled) bool {
	return slices.ContainsFunc(factors, func(f Enrolled) bool { return !f.Method.Info().Backup })
}

// emailUntilAnother reports whether codes by email are a second step of the account only until it has another method.
func (c *Challenges) emailUntilAnother(a store.Account) bool {
	return c.Email.UntilAnother || a.EmailSecondStep == store.EmailUntilAnother
}

// EmailReturns reports whether codes by email become a second step of the account when one of its factors is removed:
// its last other method.
func (c *Challenges) EmailReturns(a store.Account, all []Enrolled, removed string) bool {
	others := slices.DeleteFunc(slices.Clone(all), func(f Enrolled) bool { return f.Destination == a.Email })
	left := slices.DeleteFunc(slices.Clone(others), func(f Enrolled) bool { return f.ID == removed })
	return c.emailUntilAnother(a) && hasPrimary(others) && !hasPrimary(left)
}

// LevelBy returns the level that the password and this method reach together.
func LevelBy(m factor.Method) session.Level {
	return session.LevelOf(append([]string{"pwd"}, m.Info().AMR...))
}

// allowed returns the factors whose method the limits allow. If there is none, it returns all of them, so that nobody is
// locked out: the apps see which method was used, and the person is led through the set-up of another one.
func allowed(factors []Enrolled, l policy.Limits) []Enrolled {
	some := slices.DeleteFunc(slices.Clone(factors), func(f Enrolled) bool { return !l.Allows(f.Method.Info().Method) })
	if len(some) == 0 {
		return factors
	}
	return some
}

// atLeast returns the factors that reach a level. If none does, it returns all of them, so that nobody is
// locked out: the app that required the level sees that it was not reached.
func atLeast(factors []Enrolled, level session.Level) []Enrolled {
	enough := slices.DeleteFunc(slices.Clone(factors), func(f Enrolled) bool { return LevelBy(f.Method) < level })
	if len(enough) == 0 {
		return factors
	}
	return enough
}

// HighestLevel returns the highest level that the account of a session can reach now, under these limits.
func (c *Challenges) HighestLevel(
	ctx context.Context, who session.Session, l policy.Limits,
) (highest session.Level, err error) {
	a, err := c.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return session.LevelNone, fmt.Errorf("challenge: level: %w", err)
	}
	all, err := c.Factors(ctx, a)
	for _, f := range allowed(c.usable(all, a), l) {
		highest = max(highest, LevelBy(f.Method))
	}
	return highest, err
}

// OperatorLevel returns the level that a session needs for the operators' pages: the highest that the account can reach
// now without a backup method, or that of a code by email if AnyForOperators is set.
func (c *Challenges) OperatorLevel(ctx context.Context, who session.Session) (session.Level, error) {
	if c.AnyForOperators {
		return session.LevelEmail, nil
	}
	a, err := c.Store.GetAccount(ctx, who.Account.ID)
	if err != nil {
		return session.LevelNone, fmt.Errorf("challenge: level: %w", err)
	}
	all, err := c.Factors(ctx, a)
	needed := session.LevelEmail
	for _, f := range allowed(c.usable(all, a), c.Devices.Limits(who.Account.Groups, "")) {
		if !f.Method.Info().Backup {
			needed = max(needed, LevelBy(f.Method))
		}
	}
	return needed, err
}

// Offer is one method that the person may choose.
type Offer struct {
	Method string // "email"
	Masked string // where its message goes, masked: "j•••@example.com"
	Backup bool   // a backup method, such as recovery codes
	About  factor.Info
}

// offers returns one Offer for each method of the factors, backup methods last.
func offers(factors []Enrolled) []Offer {
	var list []Offer
	for _, backup := range []bool{false, true} {
		for _, f := range factors {
			about := f.Method.Info()
			seen := slices.ContainsFunc(list, func(o Offer) bool { return o.Method == about.Method })
			if about.Backup == backup && !seen {
				list = append(list, Offer{Method: about.Method, Masked: f.Masked, Backup: backup, About: about})
			}
		}
	}
	return list
}
