package twostep

import (
	"context"
	"errors"
	"time"

	"twostep.example/twostep/internal/deskcode"
)

var (
	// ErrNoDeskCode is returned if the account has no desk code in the state that is needed: nobody has requested one,
	// or it was used, cancelled or has expired.
	ErrNoDeskCode = deskcode.ErrNone
	// ErrDeskCodeOwnAccount is returned if an operator requests or approves a desk code for their own account.
	ErrDeskCodeOwnAccount = deskcode.ErrOwnAccount
	// ErrDeskCodeSameOperator is returned if the operator who requested a desk code approves it.
	ErrDeskCodeSameOperator = deskcode.ErrSameOperator
	// ErrDeskCodeNotAllowed is returned if the role of By.Account does not allow it.
	ErrDeskCodeNotAllowed = deskcode.ErrNotAllowed
	// ErrDeskCodeNoPassword is returned if the account has no password, which a desk code does not replace.
	ErrDeskCodeNoPassword = deskcode.ErrNoPassword
)

// The states of a DeskCode.
const (
	DeskCodeWaiting  = deskcode.Waiting  // for the approval of a second operator
	DeskCodeApproved = deskcode.Approved // whoever requested it may see it
	DeskCodeValid    = deskcode.Valid    // it was shown
)

// DeskCode is a code that the help desk reads to a person who is locked out. It replaces the second step of one
// sign-in.
type DeskCode struct {
	Account   string    `json:"account"` // ID
	State     string    `json:"state"`
	Code      string    `json:"code,omitempty"` // in two groups; "" unless this call shows it
	AskedBy   string    `json:"asked_by"`       // the operator
	AskedAt   time.Time `json:"asked_at"`
	ExpiresAt time.Time `json:"expires_at"` // of the present state
}

func newDeskCode(s deskcode.Shown) DeskCode {
	return DeskCode{s.AccountID, s.State, s.Code, s.AskedName, s.AskedAt, s.ExpiresAt}
}

// RequestDeskCode requests a desk code for an account, and returns the code if no second operator must approve it. If
// this operator has requested one before, RequestDeskCode returns that: with its code, once, after it was approved. A
// code that was shown is replaced. Every address and number of the account is notified, with a link to cancel.
//
// It returns ErrAccountDisabled, ErrAccountFrozen, ErrDeskCodeOwnAccount, ErrDeskCodeNotAllowed, ErrDeskCodeNoPassword,
// ErrNoDeskCode if another operator was faster, and an error if too many codes were requested.
func (s *Server) RequestDeskCode(ctx context.Context, by By, who string) (DeskCode, error) {
	codes, operator := s.services.DeskCodes, s.by(by)
	open, err := codes.Find(ctx, who)
	switch {
	case err == nil && open.IsBy(operator.Actor) && open.State == deskcode.Waiting:
		return newDeskCode(deskcode.Shown{Request: open}), nil
	case err == nil && open.IsBy(operator.Actor) && open.State == deskcode.Approved:
		shown, err := codes.Reveal(ctx, operator, who)
		return newDeskCode(shown), err
	case err != nil && !errors.Is(err, deskcode.ErrNone):
		return DeskCode{}, err
	}
	shown, err := codes.Ask(ctx, operator, who)
	if err != nil {
		return DeskCode{}, err
	}
	return newDeskCode(shown), nil
}

// FindDeskCode returns the desk code of an account that was not used and has not ended, without the code. It returns
// ErrNoDeskCode if there is none.
func (s *Server) FindDeskCode(ctx context.Context, who string) (DeskCode, error) {
	open, err := s.services.DeskCodes.Find(ctx, who)
	if err != nil {
		return DeskCode{}, err
	}
	return newDeskCode(deskcode.Shown{Request: open}), nil
}

// ApproveDeskCode approves the desk code that another operator has requested. It returns ErrNoDeskCode,
// ErrDeskCodeSameOperator, ErrDeskCodeOwnAccount, ErrDeskCodeNotAllowed, ErrAccountDisabled and ErrAccountFrozen.
func (s *Server) ApproveDeskCode(ctx context.Context, by By, who string) error {
	return s.services.DeskCodes.Approve(ctx, s.by(by), who)
}

// RefuseDeskCode ends the desk code that another operator has requested. Its errors are those of ApproveDeskCode.
func (s *Server) RefuseDeskCode(ctx context.Context, by By, who string) error {
	return s.services.DeskCodes.Refuse(ctx, s.by(by), who)
}

// CancelDeskCode ends a desk code that was not used. It returns ErrNoDeskCode, ErrDeskCodeOwnAccount,
// ErrDeskCodeNotAllowed, ErrAccountDisabled and ErrAccountFrozen.
func (s *Server) CancelDeskCode(ctx context.Context, by By, who string) error {
	return s.services.DeskCodes.Withdraw(ctx, s.by(by), who)
}
