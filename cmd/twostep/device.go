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

type restoredCommand struct {
	Settings settings `embed:"" group:"settings"`
}

// Run invalidates what a backup has restored: ended sessions, used codes, revoked trust.
func (c *restoredCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if err := server.InvalidateAfterRestore(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(to.out, "All sessions, links, codes and trusted devices from the backup are invalid. "+
			"Everybody has to sign in again.\n"+
			"Recovery codes that were used after the backup work again: ask people who used one to create new ones.")
		return err
	})
}

// withExistingDatabase is withServer for commands about existing data: with a mistyped folder it
// returns an error and creates nothing.
func withExistingDatabase(ctx context.Context, s *settings, to console, from *settingSources,
	f func(*twostep.Server) error) error {
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	if _, err := os.Stat(filepath.Join(s.Data, "twostep.db")); s.Database == "" && err != nil {
		return fmt.Errorf("there is no database in %s: set --data to the data folder of the server, or --config to its "+
			"configuration file", s.Data)
	}
	return withServer(ctx, s, to, from, f)
}

// operator returns the user who runs the command, for the audit events.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// withServer opens the server that the settings describe, without listening, calls f and closes it.
// It works next to a running server.
func withServer(ctx context.Context, s *settings, to console, from *settingSources,
	f func(*twostep.Server) error) (err error) {
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	log := s.Log
	if log.Level == "info" || log.Level == "debug" {
		log.Level = "warn" // the command prints its own result
	}
	options, err := s.options(s.Listen, log.newLogger(to.err))
	if err != nil {
		return err
	}
	options.Operator = operator()
	if s.isLocal() { // a demo's clock may have been advanced
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
