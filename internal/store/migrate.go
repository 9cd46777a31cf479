package store

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, one process at a time, and refuses a schema
// that a newer program made.
func migrate(ctx context.Context, f flavor, url string) error {
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if f.oneWriter {
		unlock, err := lockFile(url+".lock", true)
		if err != nil {
			return err
		}
		defer unlock()
	} else {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	db, err := f.open(url, false)
	if err != nil {
		return err
	}
	defer db.Close()
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(f.dialect, db, typed{sub, f.types}, options...)
	if err != nil {
		return err
	}
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if has > knows {
		return fmt.Errorf("the database has schema %d, this program knows %d: start a program at least as new as the one that wrote it", has, knows)
	}
	if has == knows {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}

// lockFile takes the lock at path; wait says whether to wait while another process
// holds it. Two processes that migrate one SQLite file at once would break it. The
// kernel drops the lock of a process that dies.
func lockFile(path string, wait bool) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// typed is a folder of migrations in which the type names are those of one database.
type typed struct {
	fs.FS
	names *strings.Replacer
}

func (t typed) Open(name string) (fs.File, error) {
	f, err := t.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return &typedFile{File: f, text: strings.NewReader(t.names.Replace(string(text)))}, nil
}

type typedFile struct {
	fs.File
	text *strings.Reader
}

func (f *typedFile) Read(p []byte) (int, error) { return f.text.Read(p) }
