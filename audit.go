package twostep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
)

// AuditEvent is a security event. docs/audit.md describes the kinds and the fields.
type AuditEvent struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`  // the kind, for example "session.created"
	Result    string    `json:"result"` // "success" or "failure"
	ActorType string    `json:"actor_type"`
	ActorID   string    `json:"actor_id"`
	Account   string    `json:"account"` // ID of the account it is about; "" if there is none
	Email     string    `json:"email"`   // current address of that account; "" if there is none
	Target    string    `json:"target"`
	Reason    string    `json:"reason"`
	Client    string    `json:"client"`
	SignIn    string    `json:"sign_in"`
	Address   string    `json:"address"`
	Browser   string    `json:"browser"`
	Trace     string    `json:"trace"`
	Count     int64     `json:"count"` // how many events it represents: 1, or more for "events.omitted"
}

// AuditFilter selects events. An event must match every field that is set.
type AuditFilter struct {
	Account string      // an email address or an account ID
	Kinds   []string    // see AuditKinds
	Result  string      // "success" or "failure"
	Address string      // a network address
	Since   time.Time   // at or after
	Until   time.Time   // before
	Before  *AuditEvent // older than this one: the last of the previous page
	Limit   int         // default 50
}

// AuditKinds returns all kinds of events, in the order of docs/audit.md.
func AuditKinds() (kinds []string) {
	for _, d := range audit.Describe() {
		kinds = append(kinds, string(d.Kind))
	}
	return kinds
}

// AuditEvents returns the events that f selects, newest first. It returns ErrAccountNotFound if f names an email
// address that no account has, and an error if it names an unknown kind.
func (s *Server) AuditEvents(ctx context.Context, f AuditFilter) ([]AuditEvent, error) {
	filter := audit.Filter{
		Account: f.Account, Result: audit.Result(f.Result), Address: f.Address,
		Since: f.Since, Until: f.Until, Limit: f.Limit,
	}
	for _, kind := range f.Kinds {
		if !audit.Kind(kind).Known() {
			return nil, fmt.Errorf("twostep: %q is not a kind of event", kind)
		}
		filter.Kinds = append(filter.Kinds, audit.Kind(kind))
	}
	if f.Before != nil {
		var ok bool
		if filter.Before, ok = audit.ParseEventID(f.Before.ID); !ok {
			return nil, fmt.Errorf("twostep: %q is not the ID of an event", f.Before.ID)
		}
	}
	if a, err := s.services.Accounts.Find(ctx, f.Account); err == nil {
		filter.Account = a.ID
	} else if errors.Is(err, ErrAccountNotFound) || !errors.Is(err, account.ErrEmail) {
		return nil, err
	}
	events, err := s.events.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	emails := map[string]string{"": ""}
	list := make([]AuditEvent, len(events))
	for i, e := range events {
		email, ok := emails[e.Account]
		if !ok {
			a, err := s.store.GetAccount(ctx, e.Account)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			email = a.Email
			emails[e.Account] = email
		}
		list[i] = AuditEvent{
			ID: e.ID.String(), Time: e.At.UTC(), Event: string(e.Kind), Result: string(e.Result),
			ActorType: e.Actor.Type, ActorID: e.Actor.ID,
			Account: e.Account, Email: email, Target: e.Target, Reason: e.Reason, Client: e.Client, SignIn: e.SignIn,
			Address: e.Address, Browser: e.Browser, Trace: e.Trace, Count: e.Occurrences,
		}
	}
	return list, nil
}
