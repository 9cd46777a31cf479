package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// defaultConnections is Config.MaxConnections if it is not set.
	defaultConnections = 20
	// connectTimeout limits connecting to each host of a URL that has no connect_timeout.
	connectTimeout = 2 * time.Second
	// pingTimeout is how long an idle connection may take to prove that it works.
	pingTimeout = time.Second
)

// preparePostgres returns an error that describes what is wrong with url without quoting it. pgx leaves the password
// out of its errors, but not the part behind a @ or / in it, which pgx takes for the host or the database.
func preparePostgres(c Config) error {
	_, rest, _ := strings.Cut(c.URL, "://")
	authority, _, _ := strings.Cut(rest, "?")
	at := strings.LastIndexByte(authority, '@')
	if at >= 0 && strings.ContainsAny(authority[:at], "@/") {
		return errors.New("the user or the password in the URL has a @ or /: write @ as %40 and / as %2F")
	}
	if _, err := pgx.ParseConfig(c.URL); err != nil {
		text := err.Error()
		return fmt.Errorf("the URL is not valid: %s", text[strings.LastIndexByte(text, '`')+1:][len(": "):])
	}
	return nil
}

func openPostgres(c Config, _ bool) (*sql.DB, error) {
	p, err := newPostgres(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(p)
	connections := c.MaxConnections
	if connections == 0 {
		connections = defaultConnections
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// postgres connects to PostgreSQL, directly or through a connection pooler such as PgBouncer. A pooler in transaction
// mode may run each transaction in another session of PostgreSQL. So nothing here depends on a session that lasts
// longer than a transaction: the isolation level and the statement timeout are set with each BEGIN, a pooled connection
// has no named prepared statements, and locks belong to a transaction.
type postgres struct {
	direct, pooled *pgx.ConnConfig
	begin          string // the statements that begin a transaction
	session        string // the statements that set up a session, which only a direct connection has
	isPooled       atomic.Bool
	generation     atomic.Int64 // rises when a connection is lost
}

func newPostgres(c Config) (*postgres, error) {
	direct, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // pgx redacts the password
	}
	_, parameters, _ := strings.Cut(c.URL, "?")
	given, _ := url.ParseQuery(parameters) // pgx has parsed it without an error
	if c.ApplicationName != "" {
		direct.RuntimeParams["application_name"] = c.ApplicationName
	} else if direct.RuntimeParams["application_name"] == "" {
		direct.RuntimeParams["application_name"] = "twostep"
	}
	if direct.ConnectTimeout == 0 {
		direct.ConnectTimeout = connectTimeout
	}
	if direct.ValidateConnect == nil && !given.Has("target_session_attrs") && hasSeveralHosts(direct) {
		direct.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	p := &postgres{
		direct: direct, pooled: direct,
		begin:   "BEGIN ISOLATION LEVEL READ COMMITTED",
		session: "SET default_transaction_isolation = 'read committed'",
	}
	if c.StatementTimeout > 0 {
		p.begin += fmt.Sprintf("; SET LOCAL statement_timeout = %d", c.StatementTimeout.Milliseconds())
		p.session += fmt.Sprintf("; SET statement_timeout = %d", c.StatementTimeout.Milliseconds())
	}
	if !given.Has("default_query_exec_mode") {
		p.pooled = direct.Copy()
		p.pooled.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return p, nil
}

// hasSeveralHosts reports whether the URL names more than one server. pgx also lists a server twice if TLS is optional.
func hasSeveralHosts(c *pgx.ConnConfig) bool {
	for _, f := range c.Fallbacks {
		if f.Host != c.Host || f.Port != c.Port {
			return true
		}
	}
	return false
}

func (p *postgres) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// Connect returns a connection. The first one to a pooler is closed and replaced by one without named statements; from
// then on all are.
func (p *postgres) Connect(ctx context.Context) (driver.Conn, error) {
	generation := p.generation.Load()
	if !p.isPooled.Load() {
		conn, pooled, err := p.connectDirect(ctx)
		if err != nil {
			return nil, err
		}
		if !pooled {
			return &postgresConn{conn, p, generation}, nil
		}
		p.isPooled.Store(true)
		if p.pooled == p.direct { // the URL says how to run statements
			return &postgresConn{conn, p, generation}, nil
		}
		_ = conn.Close()
	}
	conn, err := stdlib.GetConnector(*p.pooled).Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &postgresConn{conn.(*stdlib.Conn), p, generation}, nil
}

// connectDirect connects and sets up the session, unless there is a pooler.
func (p *postgres) connectDirect(ctx context.Context) (conn *stdlib.Conn, pooled bool, err error) {
	made, err := stdlib.GetConnector(*p.direct).Connect(ctx)
	if err != nil {
		return nil, false, err
	}
	conn = made.(*stdlib.Conn)
	if pooled, err = p.setUp(ctx, conn.Conn()); err != nil {
		_ = conn.Close()
	}
	return conn, pooled, err
}

// setUp sets up the session of a direct connection. A pooler is recognized by the process ID that PostgreSQL announces
// at the start of a session: a pooler announces another number than that of the process that runs the statements.
//
// The isolation level of a statement outside a transaction is the default of the session, which cannot be set through a
// pooler. So setUp returns an error if there is a pooler and the default is not READ COMMITTED.
func (p *postgres) setUp(ctx context.Context, conn *pgx.Conn) (pooled bool, err error) {
	var process uint32
	var isolation, user string
	err = conn.QueryRow(ctx, `SELECT pg_backend_pid(), current_setting('default_transaction_isolation'),
		quote_ident(current_user)`, pgx.QueryExecModeExec).Scan(&process, &isolation, &user)
	if err != nil {
		return false, err
	}
	if process == conn.PgConn().PID() {
		_, err := conn.Exec(ctx, p.session)
		return false, err
	}
	if isolation != "read committed" {
		return true, fmt.Errorf("the database has default_transaction_isolation %q and is behind a connection pooler: "+
			"run ALTER ROLE %s SET default_transaction_isolation = 'read committed' and reconnect the pooler", isolation, user)
	}
	return true, nil
}

// postgresConn is a connection of postgres.
type postgresConn struct {
	*stdlib.Conn
	from       *postgres
	generation int64
}

// BeginTx begins a transaction, in one round trip. It ignores options: this package uses none. If the connection is
// lost, it returns driver.ErrBadConn, and database/sql begins the transaction on another one.
func (c *postgresConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	tx, err := c.Conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: c.from.begin})
	if c.isLost(ctx, err) {
		return nil, driver.ErrBadConn
	}
	if err != nil {
		return nil, err
	}
	return postgresTx{ctx, tx}, nil
}

func (c *postgresConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.Conn.ExecContext(ctx, query, args)
	c.isLost(ctx, err)
	return result, err
}

func (c *postgresConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, query, args)
	c.isLost(ctx, err)
	return rows, err
}

// ResetSession is called before an idle connection is used again, and returns driver.ErrBadConn to discard it.
func (c *postgresConn) ResetSession(ctx context.Context) error {
	if c.generation != c.from.generation.Load() {
		return driver.ErrBadConn
	}
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := c.Conn.ResetSession(limited)
	c.isLost(ctx, err)
	return err
}

// isLost reports whether err is because the server has closed the connection or does not answer. Then the other
// connections of that time are probably lost too, and are discarded before they are used: otherwise each would fail a
// request, or keep it waiting.
func (c *postgresConn) isLost(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || !c.Conn.Conn().IsClosed() {
		return false
	}
	c.from.generation.CompareAndSwap(c.generation, c.generation+1)
	return true
}

// postgresTx is a transaction as database/sql wants it.
type postgresTx struct {
	ctx context.Context
	tx  pgx.Tx
}

func (t postgresTx) Commit() error { return t.tx.Commit(t.ctx) }

func (t postgresTx) Rollback() error { return t.tx.Rollback(t.ctx) }

// lockPostgresMigrations takes a lock that belongs to a transaction, because through a pooler a session lasts no longer.
func lockPostgresMigrations(ctx context.Context, _ Config, db *sql.DB) (unlock func(), err error) {
	const twostep = 0x74776f73746570 // an arbitrary number that other programs do not use
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err = tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0`); err == nil {
		_, err = tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, twostep)
	}
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return func() { _ = tx.Rollback() }, nil // it has changed nothing
}
