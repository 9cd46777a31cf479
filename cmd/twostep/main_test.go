package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"twostep": main})
}

// The command line, as the people who type it see it.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor,
			"mode":    checkMode,

			"freeaddress": freeAddress,
			"waitserver":  waitServer,
			"readpage":    readPage,
			"postform":    postForm,
		},
		Setup: func(env *testscript.Env) error {
			// The settings of whoever runs the test stay out of it.
			for _, variable := range os.Environ() {
				if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TWOSTEP_") {
					env.Setenv(name, "")
				}
			}
			root, err := filepath.Abs("../..")
			env.Setenv("ROOT", root)
			return err
		},
	})
}

// waitFor waits until a program in the background has written a text to a file.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor file text")
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	enough := time.After(30 * time.Second)
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(text), args[1]) {
			return
		}
		select {
		case <-look.C:
		case <-enough:
			ts.Fatalf("%s does not say %q: %q, %v", args[0], args[1], text, err)
		}
	}
}

// freeAddress puts an address on which nobody listens into a variable.
func freeAddress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeaddress VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// waitServer waits until a server answers at a URL.
func waitServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitserver URL")
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	enough := time.After(30 * time.Second)
	for {
		resp, err := http.Get(args[0])
		if err == nil {
			resp.Body.Close()
			return
		}
		select {
		case <-look.C:
		case <-enough:
			ts.Fatalf("%s has not answered", args[0])
		}
	}
}

// readPage writes what stands at a URL into a file.
func readPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readpage URL file")
	}
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
}

// checkMode compares the permissions of a file.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode file permissions")
	}
	want, err := strconv.ParseUint(args[1], 8, 32)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := info.Mode().Perm(); got != os.FileMode(want) {
		ts.Fatalf("%s: got %o, want %o", args[0], got, want)
	}
}
