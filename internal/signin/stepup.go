package signin

import (
	"context"
	"fmt"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// freshness is how old the last full proof may be for changing what proves the person.
const freshness = 10 * time.Minute

// Fresh reports whether the person has proven both steps so lately that they may
// change a factor, the address or the like.
func (s Session) Fresh(now time.Time) bool { return now.Sub(s.Proved) <= freshness }

// spendPassword takes a try out of those that the sessions of an account have for its
// password: whoever holds a session that is not theirs must not find the password by
// trying. Only somebody who is in can use them up. *account.WaitError.
func (e *Engine) spendPassword(ctx context.Context, who Session) error {
	return e.Spend(ctx, e.Store, account.PerHour("session_passwords_account", who.Account.ID, limit.PasswordsInside))
}

// Proof is what somebody who is in gives to prove both steps anew.
type Proof struct {
	Password string
	ReturnTo string // an address to go to afterwards, already checked
	Level    Level  // how much must be proven, if it can be
}

// StepUp begins another proof of both steps for somebody who is in. The token goes to
// the browser like that of a sign-in; Verify then proves the session anew and gives it
// another token. account.ErrCredentials, seal.ErrBusy.
func (e *Engine) StepUp(ctx context.Context, who Session, p Proof, from account.From) (token string, err error) {
	a, err := e.Store.Account(ctx, who.Account.ID)
	if err != nil {
		return "", fmt.Errorf("signin: step up: %w", err)
	}
	if err := e.spendPassword(ctx, who); err != nil {
		return "", err
	}
	same, _, err := e.SamePassword(ctx, a, p.Password)
	if err != nil {
		return "", err
	}
	if !same {
		return "", account.ErrCredentials
	}
	row := store.SignIn{Purpose: store.ForStepUp, Session: who.ID, ReturnTo: p.ReturnTo, Level: int64(p.Level)}
	return e.begin(ctx, visit{SignIn: row, account: a}, from)
}
