package main

import (
	"context"
	"errors"
	"os"

	"twostep.example/twostep/internal/check"
)

type checkCommand struct {
	URL     string `name:"url" default:"http://127.0.0.1:8080" help:"The server to walk through, in local mode. Default: ${default}."`
	Account string `placeholder:"EMAIL" help:"The account to sign in with; its password in TWOSTEP_CHECK_PASSWORD. It must have no verification method but email, and trust in its browsers ends. Default: a new account of the demo."`
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
