package store

import (
	"context"
	"database/sql/driver"
	"errors"
)

// prepared are connections to SQLite that keep their statements: reading the text of one takes
// longer than running it. For PostgreSQL the driver does the same by itself.
type prepared struct{ driver.Connector }

func (p prepared) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparedConn{c.(lite), map[string]*preparedStmt{}}, nil
}

// lite is what database/sql asks of a connection, but for the ways past a prepared statement.
type lite interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.SessionResetter
	driver.Validator
}

type preparedConn struct {
	lite
	kept map[string]*preparedStmt // by their text; the texts are all in this room
}

// PrepareContext gives the kept statement, or another while its rows are still being read.
func (c *preparedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s := c.kept[query]
	if s != nil && !s.busy {
		s.busy = true
		return s, nil
	}
	fresh, err := c.lite.PrepareContext(ctx, query)
	if err != nil || s != nil {
		return fresh, err
	}
	s = &preparedStmt{fresh.(liteStmt), true}
	c.kept[query] = s
	return s, nil
}

func (c *preparedConn) Close() error {
	var err error
	for _, s := range c.kept {
		err = errors.Join(err, s.liteStmt.Close())
	}
	return errors.Join(err, c.lite.Close())
}

type liteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type preparedStmt struct {
	liteStmt
	busy bool
}

// Close gives it back.
func (s *preparedStmt) Close() error {
	s.busy = false
	return nil
}
