package account

import (
	"context"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Audit is the log of security events.
func (r *Accounts) Audit() *audit.Log {
	if r.Events != nil {
		return r.Events
	}
	return &audit.Log{Store: r.Store, Now: r.Now, Logger: r.Log}
}

// OperatorActor is the actor of what only an operator may do.
func (r *Accounts) OperatorActor() audit.Actor {
	if r.Operator.Type == "" {
		return audit.Actor{Type: audit.TypeProgram}
	}
	return r.Operator
}

// Event records e in the transaction in which it happens.
func (r *Accounts) Event(ctx context.Context, tx *store.DB, e audit.Event, from origin.Origin) error {
	return r.Audit().Record(ctx, tx, e, from.Source())
}

// Failure records e as a failure, in a transaction of its own. Do not call it inside of one.
func (r *Accounts) Failure(ctx context.Context, e audit.Event, from origin.Origin) error {
	return r.Audit().RecordFailure(ctx, e, from.Source())
}

// Refused records that a limit refused something, and returns err, which says so. Do not call it
// inside of a transaction.
func (r *Accounts) Refused(ctx context.Context, err error, e audit.Event, from origin.Origin) error {
	e.Kind = audit.LimitReached
	if failed := r.Failure(ctx, e, from); failed != nil {
		return failed
	}
	return err
}
