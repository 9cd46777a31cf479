package cli

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
)

// When the reader of the output ends, as in "twostep serve | head -1", lines are lost and the server goes on. A command
// ends, as others do.
func TestServerOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(ctx, filepath.Join(build(t), "twostep"), "serve", "--listen", address, "--data",
		filepath.Join(t.TempDir(), "data"), "--log-level", "debug")
	server.Stdout, server.Stderr = write, write
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	for lines := bufio.NewScanner(read); ; {
		if !lines.Scan() {
			t.Fatalf("the server has ended: %v", server.Wait())
		}
		if strings.Contains(lines.Text(), "msg=listening") {
			break
		}
	}
	read.Close()
	for range 5 {
		resp, err := http.Get("http://" + address + "/signin") // writes a line of the log
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// A server whose clock is behind the latest time in its database does not start, until the operator has set the clock or
// said that it is right.
func TestServerWithWrongClockDoesNotStart(t *testing.T) {
	t.Parallel()
	program, data := filepath.Join(build(t), "twostep"), filepath.Join(t.TempDir(), "data")
	run := func(args ...string) (output string, code int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, program, append(args, "--data", data)...)
		text, err := command.CombinedOutput()
		if command.ProcessState == nil {
			t.Fatal(err)
		}
		return string(text), command.ProcessState.ExitCode()
	}
	if text, code := run("account", "add", "anna@example.com"); code != 0 {
		t.Fatal(text)
	}
	later := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
	storetest.Exec(t, filepath.Join(data, "twostep.db"), `INSERT INTO server_state (name, value) VALUES ('time', $1)`, later)
	text, code := run("serve", "--listen", fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t)))
	const want = "twostep: the clock of this machine is 1h0m0s behind the latest time in the database: set the wrong clock, " +
		"for example with `timedatectl set-ntp true`; if it is right now and was ahead before, run `twostep restored`; " +
		"then start the server again\n"
	// A start takes time, so the clock is an hour behind or a little less.
	if got := regexp.MustCompile(`59m\d+s`).ReplaceAllString(text, "1h0m0s"); code != 1 || got != want {
		t.Errorf("exit %d\n%s\nwant exit 1\n%s", code, text, want)
	}
	if text, code := run("restored"); code != 0 {
		t.Fatal(text)
	}
	address := fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, program, "serve", "--listen", address, "--data", data)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		resp, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			resp.Body.Close()
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
}
