package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, one process at a time. It returns an error if a newer program has created the
// schema, and ErrNoDatabase if there is none and c.MustExist is set.
func migrate(ctx context.Context, f flavor, c Config) error {
	c.StatementTimeout, c.MaxConnections = 0, 2 // PostgreSQL needs one for the lock
	db, err := f.open(c, false)
	if err != nil {
		return err
	}
	defer db.Close()
	unlock, err := f.lockMigrations(ctx, c, db)
	if err != nil {
		return err
	}
	defer unlock()
	var exists bool
	if err := db.QueryRowContext(ctx, f.migrated).Scan(&exists); err != nil {
		return err
	}
	if !exists && c.MustExist {
		return ErrNoDatabase
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(f.dialect, db, dialectFS{sub, f.types}, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("the database has schema %d, this program supports up to %d: start a newer version",
			current, target)
	}
	if current == target {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}

// lockSQLiteMigrations waits until no other process migrates the SQLite file: two at once would corrupt the schema.
func lockSQLiteMigrations(_ context.Context, c Config, _ *sql.DB) (unlock func(), err error) {
	f, err := lockFile(c.URL+".lock", true)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lockFile locks the file at path. If another process holds the lock, it waits for it if wait is true and returns an
// error otherwise. The kernel releases the lock when the file is closed, or its process dies.
func lockFile(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
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
