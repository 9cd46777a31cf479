package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"twostep.example/twostep"
)

type accountAddCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address of the new account"`
	Name     string   `placeholder:"NAME" help:"Name of the person"`
	Given    string   `name:"given-name" placeholder:"NAME" help:"First name, for apps that want it separately"`
	Family   string   `name:"family-name" placeholder:"NAME" help:"Last name, for apps that want it separately"`
	Operator bool     `xor:"role" help:"Give the account the role operator"`
	Role     string   `xor:"role" placeholder:"ROLE" enum:",operator,helpdesk,auditor" default:"" help:"Give the account a role on the operators' pages: operator, helpdesk or auditor"`
}

// Run prints the link on which the invited person chooses a password, so that no password appears
// on a command line. It works next to a running server: both use the same database.
func (c *accountAddCommand) Run(ctx context.Context, to console, from *settingSources) error {
	if err := c.Settings.complete(from); err != nil {
		return usageError{err}
	}
	if err := c.Settings.checkPortIsFixed(); err != nil {
		return usageError{err}
	}
	return withServer(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		link, err := server.InvitePerson(ctx, twostep.AccountParams{
			Email: c.Email, Name: c.Name, GivenName: c.Given, FamilyName: c.Family, Operator: c.Operator,
			Role: c.Role,
		})
		if errors.Is(err, twostep.ErrAccountExists) {
			return fmt.Errorf("%s already has an account", c.Email)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", c.Email, err)
		}
		_, err = fmt.Fprintln(to.out, link)
		return err
	})
}

type accountDisableCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address of the account"`
}

// Run disables an account and ends all its sessions.
func (c *accountDisableCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		return printResult(to, c.Email, server.Disable(ctx, c.Email), "%s is disabled.\n")
	})
}

type accountEnableCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address of the account"`
}

// Run enables a disabled account. Its trusted devices stay revoked.
func (c *accountEnableCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		return printResult(to, c.Email, server.Enable(ctx, c.Email), "%s is enabled.\n")
	})
}

type accountGroupsCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address of the account"`
	Groups   []string `arg:"" optional:"" name:"group" help:"All groups of the account; without any, it is in no group"`
}

// Run replaces the groups of an account. They apply from its next request to a host, and from the
// next token refresh of an app.
func (c *accountGroupsCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		done := "%s is in no group.\n"
		if len(c.Groups) > 0 {
			done = "%s is in " + strings.Join(c.Groups, ", ") + ".\n"
		}
		return printResult(to, c.Email, server.SetGroups(ctx, c.Email, c.Groups), done)
	})
}

type accountRoleCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address of the account"`
	Role     string   `arg:"" enum:"operator,helpdesk,auditor,none" help:"What the person may do on the operators' pages: operator, helpdesk, auditor or none"`
	Force    bool     `help:"Also take the role from the last operator"`
}

// Run replaces the role of an account. It applies from its next request.
func (c *accountRoleCommand) Run(ctx context.Context, to console, from *settingSources) error {
	role, done := c.Role, "%s has the role "+c.Role+".\n"
	if role == "none" {
		role, done = "", "%s has no role.\n"
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		err := server.SetRole(ctx, c.Email, role, c.Force)
		if errors.Is(err, twostep.ErrLastOperator) {
			return fmt.Errorf("%s is the last operator: give the role to somebody else first, or add --force", c.Email)
		}
		return printResult(to, c.Email, err, done)
	})
}
