package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// flavor holds all that differs between the two databases.
type flavor struct {
	dialect goose.Dialect
	// oneWriter says that the database takes one writer at a time. Writers of this process then wait for the only
	// writing connection instead of polling the lock of the file.
	oneWriter bool
	types     *strings.Replacer // the type names of the migrations
	prepare   func(Config) error
	open      func(c Config, readOnly bool) (*sql.DB, error)
	// migrated is a query whether the database has the tables of this package.
	migrated string
	// lockMigrations waits until no other process migrates the database, and keeps others waiting until unlock is called.
	lockMigrations func(ctx context.Context, c Config, db *sql.DB) (unlock func(), err error)
}

func flavorOf(url string) flavor {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return flavor{
			dialect:        goose.DialectPostgres,
			types:          strings.NewReplacer(),
			prepare:        preparePostgres,
			open:           openPostgres,
			migrated:       `SELECT to_regclass('goose_db_version') IS NOT NULL`,
			lockMigrations: lockPostgresMigrations,
		}
	}
	return flavor{
		dialect:   goose.DialectSQLite3,
		oneWriter: true,
		types: strings.NewReplacer(
			"BYTEA", "BLOB", "BIGINT", "INTEGER", "BOOLEAN", "INTEGER", "\n);", "\n) STRICT;"),
		prepare:        prepareSQLite,
		open:           openSQLite,
		migrated:       `SELECT COUNT(*) > 0 FROM sqlite_master WHERE name = 'goose_db_version'`,
		lockMigrations: lockSQLiteMigrations,
	}
}

// prepareSQLite creates the file, readable by its owner alone, unless it must exist. The files that SQLite creates
// beside it inherit its mode. SQLite takes an empty file for a new database.
func prepareSQLite(c Config) error {
	if c.MustExist {
		info, err := os.Stat(c.URL)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			return ErrNoDatabase
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.URL), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(c.URL, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openSQLite opens the file with synchronous=FULL: if a commit were lost in a power cut, a one-time code could be used
// twice.
func openSQLite(c Config, readOnly bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"}}
	connections := 1
	if readOnly {
		q.Add("_pragma", "query_only(1)")
		connections = 8
	} else {
		q.Set("_txlock", "immediate")
	}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(c.URL)
	connector, err := sqlite.NewConnector("file:" + escaped + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(prepared{connector})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
