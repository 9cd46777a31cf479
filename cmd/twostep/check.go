package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/check"
)

type checkCommand struct {
	URL     string `name:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"URL of the server, which must be in local mode"`
	Data    string `default:"./twostep-data" env:"TWOSTEP_DATA" placeholder:"DIR" help:"Read the key of the inbox in the data folder of the server"`
	Account string `placeholder:"EMAIL" fallback:"a new account of the demo" help:"Sign in to this account, with the password in TWOSTEP_CHECK_PASSWORD; it must have email as its only verification method, and its trusted devices are removed"`
}

// Run tests each sentence of the help page on a running server and prints whether it is true.
func (c *checkCommand) Run(ctx context.Context, to console) error {
	key, err := c.inboxKey()
	if err != nil {
		return err
	}
	err = check.Run(ctx, check.Target{URL: c.URL, InboxKey: key, Email: c.Account,
		Password: os.Getenv("TWOSTEP_CHECK_PASSWORD")}, to.out)
	if errors.Is(err, check.ErrUsage) {
		return usageError{err}
	}
	return err
}

// inboxKey reads the key of the inbox. It returns "" if the data folder has no inbox; the server then refuses the
// check.
func (c *checkCommand) inboxKey() (string, error) {
	inbox := delivery.Inbox{Dir: filepath.Join(c.Data, "inbox")}
	if _, err := os.Stat(inbox.Dir); err != nil {
		return "", nil
	}
	return inbox.Key()
}
