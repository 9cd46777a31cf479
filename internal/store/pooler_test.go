package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// eachPostgres runs a test on PostgreSQL, directly and behind a pooler.
func eachPostgres(t *testing.T, f func(t *testing.T, direct, url string)) {
	t.Run("direct", func(t *testing.T) { url := storetest.NewPostgres(t); f(t, url, url) })
	t.Run("pooler", func(t *testing.T) {
		url := storetest.NewPostgres(t)
		f(t, url, storetest.NewPooler(t, url).URL)
	})
}

// A transaction is READ COMMITTED, whatever the default of the database is. Statements outside a transaction follow the
// default if there is a pooler, so then another default is refused.
func TestIsolation(t *testing.T) {
	eachPostgres(t, func(t *testing.T, direct, url string) {
		query := func(db *store.DB) string {
			t.Helper()
			text, err := store.TextOf(t.Context(), db, `SHOW transaction_isolation`)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		open := storetest.Open(t, url)
		storetest.Exec(t, direct, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
			current_database()); END $$`)
		check := func(db *store.DB) {
			t.Helper()
			if err := db.Tx(t.Context(), func(tx *store.DB) error {
				if got := query(tx); got != "read committed" {
					t.Errorf("in a transaction: %s", got)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		check(open)
		if direct != url {
			_, err := store.Open(t.Context(), storetest.NewPooler(t, direct).URL) // whose sessions have the new default
			if err == nil || !strings.Contains(err.Error(), "ALTER ROLE twostep SET default_transaction_isolation") {
				t.Errorf("got %v, want an error that says what to do", err)
			}
			return
		}
		db := storetest.Open(t, url)
		check(db)
		if got := query(db); got != "read committed" {
			t.Errorf("outside a transaction: %s", got)
		}
	})
}

// PostgreSQL cancels a statement that takes too long. Afterwards the next statement works.
func TestStatementTimeout(t *testing.T) {
	eachPostgres(t, func(t *testing.T, direct, url string) {
		db, err := store.Config{URL: url, StatementTimeout: 50 * time.Millisecond, ApplicationName: "mine"}.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		slow := func(db *store.DB) error {
			_, err := store.TextOf(t.Context(), db, `SELECT pg_sleep(20)::text`)
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != "57014" {
				t.Errorf("got %v, want a statement that was canceled", err)
			}
			return err
		}
		_ = db.Tx(t.Context(), slow)
		if direct == url {
			_ = slow(db)
		}
		for range 20 {
			if name, err := store.TextOf(t.Context(), db, `SHOW application_name`); name != "mine" || err != nil {
				t.Errorf("got %q, %v", name, err)
			}
		}
	})
}

// A migration is one process at a time behind a pooler too, and MaxConnections may be 1.
func TestOneConnection(t *testing.T) {
	eachPostgres(t, func(t *testing.T, _, url string) {
		if n := race(t, 4, func() error {
			db, err := store.Config{URL: url, MaxConnections: 1}.Open(context.Background())
			if err != nil {
				return err
			}
			return errors.Join(db.Ping(context.Background()), db.Close())
		}); n != 4 {
			t.Errorf("%d of 4 opened", n)
		}
	})
}

// A database behind a pooler that was restarted is used again.
func TestPoolerRestart(t *testing.T) {
	p := storetest.NewPooler(t, storetest.NewPostgres(t))
	db := storetest.Open(t, p.URL)
	anna(t, db)
	p.Stop()
	if err := db.Ping(t.Context()); err == nil {
		t.Error("the database answers without the pooler")
	}
	p.Start(t)
	if _, err := db.GetAccount(t.Context(), "anna"); err != nil {
		t.Error(err)
	}
}

// Of two hosts, the one that accepts writes is used, in both orders and after a failover.
func TestHostThatAcceptsWrites(t *testing.T) {
	pair := storetest.NewReplica(t)
	first, err := url.Parse(pair.First)
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(pair.Second)
	if err != nil {
		t.Fatal(err)
	}
	both := *first
	both.Host = second.Host + "," + first.Host
	db := storetest.Open(t, both.String())
	anna(t, db)
	pair.Detach(t)
	pair.Failover(t)
	if _, err := db.GetAccount(t.Context(), "anna"); err != nil {
		t.Errorf("after the failover: %v", err)
	}
	if err := db.SetState(t.Context(), "x", "y"); err != nil {
		t.Errorf("after the failover: %v", err)
	}
}

// proxy forwards connections to PostgreSQL until it hangs: then it accepts them and nothing comes back, as from a
// server that is stopped by SIGSTOP.
type proxy struct {
	hangs atomic.Bool
	all   sync.WaitGroup
}

// startProxy returns a URL whose first host is the proxy, and whose second is that of address.
func startProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	t.Cleanup(func() { l.Close(); p.all.Wait() })
	behind := to.Host
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { client.Close() })
			server, err := net.Dial("tcp", behind)
			if err != nil {
				return
			}
			t.Cleanup(func() { server.Close() })
			p.all.Go(func() { p.forward(server, client) })
			p.all.Go(func() { p.forward(client, server) })
		}
	})
	to.Host = l.Addr().String() + "," + behind
	return p, to.String()
}

func (p *proxy) forward(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if !p.hangs.Load() {
			_, _ = to.Write(buffer[:n])
		}
	}
}

// After the server behind all idle connections has stopped to answer, the next statement goes to the other host. It
// does not try the connections one after the other.
func TestHostThatHangs(t *testing.T) {
	p, both := startProxy(t, storetest.NewPostgres(t))
	db, err := store.Config{URL: both + "&connect_timeout=1", MaxConnections: 16}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var together, all sync.WaitGroup // 16 transactions at once, so that there are 16 connections
	together.Add(16)
	for range 16 {
		all.Go(func() {
			if err := db.Tx(t.Context(), func(*store.DB) error { together.Done(); together.Wait(); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	p.hangs.Store(true)
	const requestTime = 10 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	if err := db.Ping(ctx); err != nil {
		t.Error(err)
	}
}
