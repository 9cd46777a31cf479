package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"twostep.example/twostep/internal/store/storetest"
)

// build puts the real program into a new directory and returns that directory.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", dir, "./cmd/twostep")
	command.Dir = "../.." // the program's module, not the one of the tests
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return dir
}

// The command line, as the people who type it see it.
func TestScript(t *testing.T) {
	program := build(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor,
			"mode":    checkMode,

			"freeaddress": freeAddress(t),
			"waitserver":  waitServer,
			"readpage":    readPage,
			"postform":    postForm,
			"receiver":    startReceiver(t),
		},
		Setup: func(env *testscript.Env) error {
			// The settings of whoever runs the test stay out of it.
			for _, variable := range os.Environ() {
				if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TWOSTEP_") {
					env.Setenv(name, "")
				}
			}
			env.Setenv("PATH", program+string(filepath.ListSeparator)+env.Getenv("PATH"))
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
func freeAddress(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: freeaddress VARIABLE")
		}
		ts.Setenv(args[0], fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t)))
	}
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

// postForm sends a form as a browser does that is at the page; the answer does not matter.
func postForm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: postform URL name=value…")
	}
	form := url.Values{}
	for _, pair := range args[1:] {
		name, value, _ := strings.Cut(pair, "=")
		form.Set(name, value)
	}
	r, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(form.Encode()))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", `=HYPERLINK("https://evil.example")`)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	ts.Check(err)
	ts.Check(resp.Body.Close())
}
