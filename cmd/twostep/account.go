package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"twostep"
)

type accountAddCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"The address of the new account."`
	Name     string   `help:"The name of the person."`
	Operator bool     `help:"The account may use the operator's pages."`
}

// Run prints the link on which the invited person chooses a password, so that no password ever
// stands on a command line. It works beside a running server: both use the same database.
func (c *accountAddCommand) Run(ctx context.Context, to console, from *sources) (err error) {
	s := &c.Settings
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	if _, port, _ := net.SplitHostPort(s.Listen); s.local() && port == "0" {
		return usageError{errors.New("listen leaves the port open, so the link would lead nowhere: give --listen as the server says it")}
	}
	options, err := s.options(s.Listen, s.Log.logger(to.err))
	if err != nil {
		return err
	}
	server, err := twostep.New(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	link, err := server.Invite(ctx, c.Email, c.Name, c.Operator)
	if errors.Is(err, twostep.ErrExists) {
		return fmt.Errorf("%s has an account already", c.Email)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(to.out, link)
	return err
}
