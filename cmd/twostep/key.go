package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"twostep.example/twostep"
)

type keyRotateCommand struct {
	Settings settings `embed:"" group:"settings"`
}

// Run puts a new key in front of the key file.
func (c *keyRotateCommand) Run(to console, from *settingSources) error {
	s := &c.Settings
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	path := cmp.Or(s.KeyFile, filepath.Join(s.Data, "keys"))
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the key file cannot be read: %w; set --key-file or --config as for the server", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("the key file %s belongs to another user: run the command as the user of the server, like "+
			"sudo -u twostep twostep key rotate", path)
	}
	if err := twostep.AddKey(path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(to.out, "%s has a new key in its first line. Back up the file, copy it to all servers, and then restart "+
		"them.\n", path)
	return err
}
