package account

import (
	"context"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Audit is the log of security events.
func (a *Accounts) Audit() *audit.Log {
	if a.Events != nil {
		return a.Events
	}
	return &audit.Log{Store: a.Store, Now: a.Now, Logger: a.Log}
}

// OperatorActor is the actor of what only an operator may do.
func (a *Accounts) OperatorActor() audit.Actor {
	if a.Operator.Type == "" {
		return audit.Actor{Type: audit.TypeProgram}
	}
	return a.Operator
}

// Event records e in the transaction in which it happens.
func (a *Accounts) Event(ctx context.Context, tx *store.DB, e audit.Event, from origin.Origin) error {
	return a.Audit().Record(ctx, tx, e, from.Source())
}

// Failure records e as a failure, in a transaction of its own. Do not call it inside of one.
func (a *Accounts) Failure(ctx context.Context, e audit.Event, from origin.Origin) error {
	return a.Audit().RecordFailure(ctx, e, from.Source())
}

// Refused records that a limit refused something, and returns err, which says so. Do not call it
// inside of a transaction.
func (a *Accounts) Refused(ctx context.Context, err error, e audit.Event, from origin.Origin) error {
	e.Kind = audit.LimitReached
	if failed := a.Failure(ctx, e, from); failed != nil {
		return failed
	}
	return err
}
