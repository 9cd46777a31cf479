package faults

import (
	"flag"
	"os"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

var long = flag.Bool("long", false, "let every fault last as long as the table says, and write the table of docs/explanation/reliability.md")

// Passwords of the accounts are hashed at a low cost; the servers hash at theirs.
func TestMain(m *testing.M) { os.Exit(live.Main(m)) }

var short = pace{rounds: 10, fault: 0, pause: 50 * time.Millisecond, accounts: 120, waiting: 200}

// fault is a row of the table.
type fault struct {
	name, promise string
	site          func(*testing.T, programs) site
	strike        func(*drive)
}

var faultList = []fault{
	{"A server is killed (kill -9)", "The other server goes on.", postgres, killServer},
	{"The only server is killed (kill -9)", "It goes on when it is started again.", sqlite, killServer},
}

func TestFaults(t *testing.T) {
	p := build(t, t.TempDir())
	for _, f := range faultList {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d := newDrive(t, short, f.site(t, p))
			t.Log(d.run(f.strike))
		})
	}
}

func postgres(t *testing.T, p programs) site {
	return site{binary: p.plain, database: storetest.NewPostgres(t), servers: 2}
}

func sqlite(_ *testing.T, p programs) site { return site{binary: p.plain, servers: 1} }

func killServer(d *drive) {
	d.servers[0].kill()
	d.last()
	d.servers[0].mustStart()
	d.recovered()
}
