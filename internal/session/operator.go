package session

import (
	"context"
	"fmt"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// ListOf returns up to limit live sessions of an account, for operators. See ListOthers for before.
func (s *Sessions) ListOf(ctx context.Context, a store.Account, before Cursor, limit int) ([]Session, error) {
	now := s.Now()
	rows, err := s.Store.ListSessions(ctx, store.SessionFilter{
		Account: a.ID, LastSeen: now.Add(-s.idleOf(account.SplitGroups(a.Groups))), Expires: now, Before: before, Limit: limit,
	})
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	list := s.listed(rows, account.SplitGroups(a.Groups), now)
	for i := range list {
		list[i].Account.ID, list[i].epoch = a.ID, a.Epoch
	}
	return list, nil
}

// DeviceID returns the id of the device in which the session began; "" if it is not known.
func (s Session) DeviceID() string { return s.deviceID }

// EndBy ends one session of an account, for an operator. It returns account.ErrUnknown, and ErrNoSession if the account
// has no such session.
func (s *Sessions) EndBy(ctx context.Context, by account.By, who, id string) error {
	return s.Accounts.ChangeBy(ctx, by, who, func(tx *store.DB, a store.Account, n *account.Notification) error {
		n.Event = audit.Event{Kind: audit.SessionEnded, Target: audit.Target("session", id), Reason: "ended by an operator"}
		n.Template = "operator.session"
		return endedMeanwhile(tx.DeleteSession(ctx, a.ID, id))
	})
}

// EndAllBy ends all sessions and sign-in attempts of an account and trust in all of its browsers, for an operator. It
// returns account.ErrUnknown or account.ErrChanged.
func (s *Sessions) EndAllBy(ctx context.Context, by account.By, who string) error {
	return s.Accounts.ChangeBy(ctx, by, who, func(tx *store.DB, a store.Account, n *account.Notification) error {
		n.Event.Kind, n.Template = audit.SessionsEnded, "operator.sessions"
		if err := tx.IncrementEpoch(ctx, a.ID, a.Epoch); err != nil {
			return err
		}
		return s.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedByOperator, "")
	})
}
