package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"twostep.example/twostep/internal/fault"
)

// unavailableError is an error of a driver that is also fault.ErrUnavailable.
type unavailableError struct{ err error }

func (e *unavailableError) Error() string { return e.err.Error() }

func (e *unavailableError) Unwrap() []error { return []error{fault.ErrUnavailable, e.err} }

// classify returns err as fault.ErrUnavailable too if the database cannot do now what it may do later. A client that
// has gone is not a fault. An error in a statement, or a damaged file, does not pass by itself.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, fault.ErrUnavailable) || !passes(err) {
		return err
	}
	return &unavailableError{err}
}

func passes(err error) bool {
	for _, known := range []error{
		context.DeadlineExceeded, // of the request, also while it waits for a connection of the pool
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ENOSPC, syscall.EROFS, syscall.EIO,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return slices.Contains(passingSQLite, lite.Code()&0xff) // the primary code of an extended one
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && len(pg.Code) == 5 {
		return slices.Contains(passingPostgres, pg.Code[:2]) || pg.Code == readOnlyTransaction || isConnecting(err)
	}
	_, network := errors.AsType[net.Error](err)
	return network || isConnecting(err) || pgconn.SafeToRetry(err) || err.Error() == errClosed
}

// errClosed is the text of the error after Close; database/sql does not export it.
const errClosed = "sql: database is closed"

// isConnecting reports whether there is no connection. Whatever the server says then, also that the password is wrong,
// is for the operator to repair.
func isConnecting(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// passingSQLite are the result codes of SQLite that pass (https://sqlite.org/rescode.html): BUSY, LOCKED, NOMEM,
// READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
var passingSQLite = []int{5, 6, 7, 8, 9, 10, 13, 14, 15}

// passingPostgres are the classes of SQLSTATE that pass (PostgreSQL documentation, appendix A): connection exception,
// transaction rollback, insufficient resources (also a full disk), object not in prerequisite state (a lock that is
// not available), operator intervention (also a shutdown and the statement timeout) and system error.
var passingPostgres = []string{"08", "40", "53", "55", "57", "58"}

// readOnlyTransaction is the SQLSTATE of a write on a standby or a read-only database.
const readOnlyTransaction = "25006"

// row is a row that a statement returns. The errors of Scan are classified.
type row struct {
	row *sql.Row
	err error // there is no row, because the statement did not run
}

func (r row) Scan(into ...any) error {
	if r.err != nil {
		return classify(r.err)
	}
	return classify(r.row.Scan(into...))
}
