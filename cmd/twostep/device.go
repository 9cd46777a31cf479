package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"

	"twostep.example/twostep"
)

type deviceForgetCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"The address of the account."`
}

// Run ends trust in all browsers of an account: its owner is asked for the second step
// everywhere.
func (c *deviceForgetCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		return printResult(to, c.Email, server.RevokeTrust(ctx, c.Email), "no browser of %s is trusted any more\n")
	})
}

type restoredCommand struct {
	Settings settings `embed:"" group:"settings"`
}

// Run makes void what a backup has brought back: sessions that had ended, codes that were
// used, trust that had been taken away.
func (c *restoredCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if err := server.InvalidateAfterRestore(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(to.out, "everybody is signed out, every link and every code that was sent is void, and no browser is trusted any more\n"+
			"recovery codes that were used after the backup work again: ask people who used one to make new ones")
		return err
	})
}

// printResult prints what was done, or why it was not.
func printResult(to console, email string, err error, done string) error {
	if errors.Is(err, twostep.ErrAccountNotFound) {
		return fmt.Errorf("there is no account %s", email)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(to.out, done, email)
	return err
}

// withExistingDatabase is withServer for a command about what is there: in a folder that was
// mistyped it makes nothing.
func withExistingDatabase(ctx context.Context, s *settings, to console, from *settingSources, f func(*twostep.Server) error) error {
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	if _, err := os.Stat(filepath.Join(s.Data, "twostep.db")); s.Database == "" && err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	return withServer(ctx, s, to, from, f)
}

// operator is the user who runs the command, for the audit.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// withServer opens the server that the settings describe, beside a running one or alone,
// without listening, and closes it again.
func withServer(ctx context.Context, s *settings, to console, from *settingSources, f func(*twostep.Server) error) (err error) {
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	log := s.Log
	if log.Level == "info" || log.Level == "debug" {
		log.Level = "warn" // the command says itself what it did
	}
	options, err := s.options(s.Listen, log.newLogger(to.err))
	if err != nil {
		return err
	}
	options.Operator = operator()
	if s.isLocal() { // the clock of a demo may have been turned
		if err := useDemoClock(&options, s.Data); err != nil {
			return err
		}
	}
	options.NoBackgroundWork = true
	server, err := twostep.New(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	return f(server)
}
