package main

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep"
)

type accountDeskCodeCommand struct {
	changeFlags
	Approve bool `help:"Approve the code that another operator has requested"`
	Refuse  bool `help:"Refuse the code that another operator has requested"`
	Cancel  bool `help:"Cancel the code"`
	Yes     bool `help:"Do not ask"`
	JSON    bool `name:"json" help:"Print JSON"`
}

// Run requests, shows, approves, refuses or cancels a desk code.
func (c *accountDeskCodeCommand) Run(ctx context.Context, to console, from *settingSources) error {
	chosen := 0
	for _, on := range []bool{c.Approve, c.Refuse, c.Cancel} {
		if on {
			chosen++
		}
	}
	if chosen > 1 {
		return usageError{errors.New("--approve, --refuse and --cancel exclude each other")}
	}
	if chosen == 0 || c.Approve {
		question := fmt.Sprintf("A desk code lets whoever has it and the password sign in to %s and set up a new method. "+
			"Make sure that you talk to the owner of the account.", c.Account)
		if err := confirm(to, c.Yes, question); err != nil {
			return err
		}
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		by := twostep.By{Language: c.Language}
		code, done, err := c.change(ctx, server, by)
		if err != nil {
			return c.explain(err)
		}
		sayUnsent(to, server)
		if c.JSON {
			return printJSON(to.out, true, code)
		}
		_, err = fmt.Fprintln(to.out, done)
		return err
	})
}

// change makes the change, and returns the code and what to print.
func (c *accountDeskCodeCommand) change(ctx context.Context, server *twostep.Server, by twostep.By) (
	code twostep.DeskCode, done string, err error) {
	switch {
	case c.Approve:
		if err := server.ApproveDeskCode(ctx, by, c.Account); err != nil {
			return code, "", err
		}
		code, err := server.FindDeskCode(ctx, c.Account)
		done := fmt.Sprintf("Approved. %s now sees the code, until %s.", line(code.AskedBy), when(code.ExpiresAt))
		return code, done, err
	case c.Refuse:
		return c.ended(ctx, server, "refused", server.RefuseDeskCode, by)
	case c.Cancel:
		return c.ended(ctx, server, "cancelled", server.CancelDeskCode, by)
	}
	code, err = server.RequestDeskCode(ctx, by, c.Account)
	switch {
	case err != nil:
	case code.Code == "":
		done = fmt.Sprintf("Waiting for approval until %s. Another operator approves it at %s, or with:\n"+
			"  twostep account desk-code %s --approve\nThen run this command again to see the code.",
			when(code.ExpiresAt), "/admin/desk-codes", c.Account)
	default:
		done = fmt.Sprintf("%s\nRead this code to the person. It is valid until %s, once, in one browser. After the password, "+
			"the person chooses\n\"Use a code from the help desk\" on the code page. The code is not shown again.",
			code.Code, when(code.ExpiresAt))
	}
	return code, done, err
}

// ended ends the code, and returns it in its new state.
func (c *accountDeskCodeCommand) ended(ctx context.Context, server *twostep.Server, state string,
	end func(context.Context, twostep.By, string) error, by twostep.By) (twostep.DeskCode, string, error) {
	code, err := server.FindDeskCode(ctx, c.Account)
	if err == nil {
		err = end(ctx, by, c.Account)
	}
	code.State = state
	return code, "The code is " + state + ".", err
}

// explain returns err in an operator's words.
func (c *accountDeskCodeCommand) explain(err error) error {
	switch {
	case errors.Is(err, twostep.ErrNoDeskCode):
		return fmt.Errorf("%s has no code that this can be done with: it was used, has ended or was never requested", c.Account)
	case errors.Is(err, twostep.ErrDeskCodeOwnAccount):
		return errors.New("you cannot request or approve a code for your own account: ask another operator")
	case errors.Is(err, twostep.ErrDeskCodeSameOperator):
		return errors.New("you have requested this code, so another operator must approve it")
	case errors.Is(err, twostep.ErrDeskCodeNotAllowed):
		return errors.New("this operator's role does not allow it")
	case errors.Is(err, twostep.ErrDeskCodeNoPassword):
		return fmt.Errorf("%s has no password, and a code does not replace it; send the person a link to choose one: "+
			"twostep account reset-password %s", c.Account, c.Account)
	}
	return accountError(c.Account, err)
}
