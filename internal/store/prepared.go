package store

import (
	"context"
	"database/sql/driver"
	"errors"
)

// prepared connects to SQLite with connections that cache their prepared statements, because parsing a statement takes
// longer than running it. The driver of PostgreSQL has such a cache.
type prepared struct{ driver.Connector }

func (p prepared) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &preparedConn{c.(sqliteConn), map[string]*preparedStmt{}}, nil
}

// sqliteConn is the part of a connection that database/sql uses, without the interfaces that run statements unprepared.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.SessionResetter
	driver.Validator
}

type preparedConn struct {
	sqliteConn
	kept map[string]*preparedStmt // by their text; this package has a fixed set of texts
}

// PrepareContext returns the cached statement, or a new one while the rows of the cached one are being read.
func (c *preparedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s := c.kept[query]
	if s != nil && !s.busy {
		s.busy = true
		return s, nil
	}
	fresh, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil || s != nil {
		return fresh, err
	}
	s = &preparedStmt{fresh.(sqliteStmt), true}
	c.kept[query] = s
	return s, nil
}

func (c *preparedConn) Close() error {
	var err error
	for _, s := range c.kept {
		err = errors.Join(err, s.sqliteStmt.Close())
	}
	return errors.Join(err, c.sqliteConn.Close())
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type preparedStmt struct {
	sqliteStmt
	busy bool
}

// Close returns the statement to the cache.
func (s *preparedStmt) Close() error {
	s.busy = false
	return nil
}
