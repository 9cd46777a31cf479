package signin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// enrolled is a factor with its method and, unless every account has it, its row.
type enrolled struct {
	factor.Factor
	method factor.Method
	row    store.Factor
}

// left is how many proofs the factor has left; -1 if it does not wear out.
func (f enrolled) left() int {
	if m, ok := f.method.(factor.Counted); ok {
		return m.Left(f.Factor)
	}
	return -1
}

// kept is what the sealed body of a factor holds.
type kept struct {
	Name        string
	Destination string
	Shown       string
	Masked      string
	Secret      []byte
}

func (e *Engine) method(name string) (factor.Method, bool) {
	for _, m := range e.Methods {
		if m.About().Method == name {
			return m, true
		}
	}
	return nil, false
}

// factors are all factors of an account, in the order of Methods. A store that does
// not answer is an error and never an account without factors.
func (e *Engine) factors(ctx context.Context, a store.Account) ([]enrolled, error) {
	rows, err := e.Store.Factors(ctx, a.ID)
	if err != nil {
		return nil, fmt.Errorf("signin: factors: %w", err)
	}
	var list []enrolled
	for _, m := range e.Methods {
		about := m.About()
		if about.Given {
			f := factor.Factor{ID: about.Method, Method: about.Method, Destination: a.Email, Masked: account.MaskEmail(a.Email)}
			list = append(list, enrolled{Factor: f, method: m})
		}
		for _, row := range rows {
			if row.Method != about.Method {
				continue
			}
			f, err := e.openFactor(row)
			if err != nil {
				return nil, err
			}
			list = append(list, enrolled{Factor: f, method: m, row: row})
		}
	}
	return list, nil
}

func (e *Engine) openFactor(row store.Factor) (factor.Factor, error) {
	var k kept
	body, err := e.Keys.Open("factor "+row.ID, row.Body)
	if err == nil {
		err = json.Unmarshal(body, &k)
	}
	if err != nil {
		return factor.Factor{}, fmt.Errorf("signin: factor %s: %w", row.ID, err)
	}
	return factor.Factor{ID: row.ID, Method: row.Method, Name: k.Name, Destination: k.Destination, Shown: k.Shown, Masked: k.Masked, Secret: k.Secret}, nil
}

// sealFactor is the body of f in the row or draft with this id.
func (e *Engine) sealFactor(id string, f factor.Factor) ([]byte, error) {
	body, err := json.Marshal(kept{f.Name, f.Destination, f.Shown, f.Masked, f.Secret})
	if err != nil {
		return nil, fmt.Errorf("signin: seal factor: %w", err)
	}
	return e.Keys.Seal("factor "+id, body), nil
}

// ways are the factors by which an account may prove itself now. The mailbox that has
// just reset the password does not prove step two as well, unless there is no other way.
func ways(all []enrolled, a store.Account, now time.Time) []enrolled {
	all = slices.DeleteFunc(slices.Clone(all), func(f enrolled) bool { return f.left() == 0 })
	if a.MailedAt == 0 || now.Sub(store.Time(a.MailedAt)) >= mailboxRest {
		return all
	}
	elsewhere := slices.DeleteFunc(slices.Clone(all), func(f enrolled) bool { return f.Destination == a.Email })
	if len(elsewhere) == 0 {
		return all
	}
	return elsewhere
}

// ways are those of a visit: by which it may prove as much as it must.
func (v visit) ways(all []enrolled, now time.Time) []enrolled {
	return atLeast(ways(all, v.account, now), Level(v.Level))
}

// Reach is the highest level that the person could prove now.
func (e *Engine) Reach(ctx context.Context, who Session) (highest Level, err error) {
	a, err := e.Store.Account(ctx, who.Account.ID)
	if err != nil {
		return LevelNone, fmt.Errorf("signin: reach: %w", err)
	}
	all, err := e.factors(ctx, a)
	for _, f := range ways(all, a, e.Now()) {
		highest = max(highest, levelBy(f.method))
	}
	return highest, err
}

// offers are the ways as the person may choose them: one for each method, those that
// are only for emergencies last.
func offers(ways []enrolled) []Offer {
	var list []Offer
	for _, spare := range []bool{false, true} {
		for _, f := range ways {
			seen := slices.ContainsFunc(list, func(o Offer) bool { return o.Method == f.Method })
			if about := f.method.About(); about.Spare == spare && !seen {
				list = append(list, Offer{Method: f.Method, Masked: f.Masked, Spare: spare, About: about})
			}
		}
	}
	return list
}

// proofs are the factors of one method by which the visit may prove itself; none if
// the account has none or may not use them now.
func (e *Engine) proofs(ctx context.Context, v visit, method string) ([]enrolled, error) {
	if v.draft != nil {
		return []enrolled{*v.draft}, nil
	}
	all, err := e.factors(ctx, v.account)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(v.ways(all, e.Now()), func(f enrolled) bool { return f.Method != method }), nil
}

// tellUsed tells the owner that a factor for emergencies was used, and how much of it
// is left. Whatever was lost may have been a trusted browser, so trust ends.
func (e *Engine) tellUsed(ctx context.Context, tx *store.DB, a store.Account, by enrolled, from account.From) error {
	about := by.method.About()
	if !about.Spare {
		return nil
	}
	if err := e.EndTrust(ctx, tx, a, trust.EndedRecovery, ""); err != nil {
		return err
	}
	return e.Tell(ctx, tx, account.Notice{Event: audit.Event{Kind: audit.RecoveryCodeUsed}, Words: "used", Account: a, Left: by.left()}, from)
}
