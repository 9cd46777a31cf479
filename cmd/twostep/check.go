package main

import (
	"context"
	"errors"
	"os"

	"twostep.example/twostep/internal/check"
)

type checkCommand struct {
	URL     string `name:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"URL of the server, which must be in local mode"`
	Account string `placeholder:"EMAIL" fallback:"a new account of the demo" help:"Sign in to this account, with the password in TWOSTEP_CHECK_PASSWORD; it must have email as its only verification method, and its trusted devices are removed"`
}

// Run tests each sentence of the help page on a running server and prints whether it is true.
func (c *checkCommand) Run(ctx context.Context, to console) error {
	err := check.Run(ctx, check.Target{URL: c.URL, Email: c.Account, Password: os.Getenv("TWOSTEP_CHECK_PASSWORD")},
		to.out)
	if errors.Is(err, check.ErrUsage) {
		return usageError{err}
	}
	return err
}
