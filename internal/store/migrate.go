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

// migrate brings the schema up to date, one process at a time. It returns an error if a newer program has created the
// schema.
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
	p, err := goose.NewProvider(f.dialect, db, dialectFS{sub, f.types}, options...)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("the database has schema %d, this program supports up to %d: start a version that is at least as new",
			current, target)
	}
	if current == target {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}

// lockFile locks the file at path. If another process holds the lock, it waits for it if wait is true and returns an
// error otherwise. Two processes that migrate one SQLite file at once would corrupt the schema. The kernel releases the
// lock of a process that dies.
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

// dialectFS is a directory of migrations whose type names are replaced by those of one database.
type dialectFS struct {
	fs.FS
	types *strings.Replacer
}

func (d dialectFS) Open(name string) (fs.File, error) {
	f, err := d.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return &dialectFile{File: f, text: strings.NewReader(d.types.Replace(string(text)))}, nil
}

type dialectFile struct {
	fs.File
	text *strings.Reader
}

func (f *dialectFile) Read(p []byte) (int, error) { return f.text.Read(p) }
