package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
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
	prepare   func(url string) error
	open      func(url string, readOnly bool) (*sql.DB, error)
}

func flavorOf(url string) flavor {
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return flavor{
			dialect: goose.DialectPostgres,
			types:   strings.NewReplacer(),
			prepare: preparePostgres,
			open:    openPostgres,
		}
	}
	return flavor{
		dialect:   goose.DialectSQLite3,
		oneWriter: true,
		types: strings.NewReplacer(
			"BYTEA", "BLOB", "BIGINT", "INTEGER", "BOOLEAN", "INTEGER", "\n);", "\n) STRICT;"),
		prepare: prepareSQLite,
		open:    openSQLite,
	}
}

// prepareSQLite creates the file, readable by its owner alone. The files that SQLite creates beside it inherit its
// mode.
func prepareSQLite(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openSQLite opens the file with synchronous=FULL: if a commit were lost in a power cut, a one-time code could be used
// twice.
func openSQLite(path string, readOnly bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"}}
	connections := 1
	if readOnly {
		q.Add("_pragma", "query_only(1)")
		connections = 8
	} else {
		q.Set("_txlock", "immediate")
	}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	connector, err := sqlite.NewConnector("file:" + escaped + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(prepared{connector})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// preparePostgres returns an error that describes what is wrong with url without quoting it. pgx leaves the password
// out of its errors, but not the part behind a @ or / in it, which pgx takes for the host or the database.
func preparePostgres(url string) error {
	_, rest, _ := strings.Cut(url, "://")
	authority, _, _ := strings.Cut(rest, "?")
	at := strings.LastIndexByte(authority, '@')
	if at >= 0 && strings.ContainsAny(authority[:at], "@/") {
		return errors.New("the user or the password in the URL has a @ or /: write @ as %40 and / as %2F")
	}
	if _, err := pgx.ParseConfig(url); err != nil {
		text := err.Error()
		return fmt.Errorf("the URL is not valid: %s", text[strings.LastIndexByte(text, '`')+1:][len(": "):])
	}
	return nil
}

// openPostgres sets the isolation level, so that a database with another default behaves the same.
func openPostgres(url string, _ bool) (*sql.DB, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // pgx redacts the password
	}
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	c.RuntimeParams["application_name"] = "twostep"
	db := stdlib.OpenDB(*c, dropHanging()...)
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	return db, nil
}
