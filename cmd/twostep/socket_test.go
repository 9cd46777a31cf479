package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listenOn listens on the socket at path and closes it when the test ends.
func listenOn(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := socketSettings{mode: 0o660}.listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// The socket has its permissions from the first moment. The folder holds nothing else afterwards.
func TestUnixSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "twostep.sock")
	l := listenOn(t, path)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if found, err := os.ReadDir(filepath.Dir(path)); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if l.Close(); !errors.Is(exists(path), fs.ErrNotExist) {
		t.Error("the socket is left after Close")
	}
}

func exists(path string) error { _, err := os.Lstat(path); return err }

// The socket of a crashed server is replaced. A file that is not a socket, a link, and a socket on which a program
// listens stay as they are.
func TestUnixSocketReplacesOnlyStaleSockets(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	crashed, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	crashed.SetUnlinkOnClose(false)
	crashed.Close()
	l := listenOn(t, stale)
	if conn, err := net.Dial("unix", stale); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	if _, err := (socketSettings{mode: 0o660}).listen(stale); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("a second server: %v", err)
	}
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if _, err := (socketSettings{mode: 0o660}).listen(path); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(link); string(text) != "x" {
		t.Errorf("the file has changed: %q, %v", text, err)
	}
	// Another server has taken the path over: its socket stays when the first one ends.
	if err := os.Remove(stale); err != nil {
		t.Fatal(err)
	}
	listenOn(t, stale)
	if l.Close(); exists(stale) != nil {
		t.Error("the socket of another server was removed")
	}
}

func TestWrongSocketSettings(t *testing.T) {
	public := []string{"--public-url", "https://signin.example.com", "--smtp-host", "127.0.0.1", "--smtp-from", "a@example.com"}
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"--listen", "unix:/run/x.sock"}, "public_url is missing"},
		{append(public, "--listen", "unix:x.sock"), "an absolute path"},
		{append(public, "--listen", "unix:/"+strings.Repeat("x", 100)), "at most 90 bytes"},
		{append(public, "--listen", "unix:/run/x.sock", "--socket-mode", "0666"), "none for others"},
		{append(public, "--listen", "unix:/run/x.sock", "--socket-mode", "rw"), "octal"},
		{append(public, "--listen", "unix:/run/x.sock", "--tls-cert", "a", "--tls-key", "b"), "exclude each other"},
		{append(public, "--listen", "unix:"+t.TempDir()+"/none/x.sock"), "the folder of the socket must exist"},
		{append(public, "--listen", "unix:"+t.TempDir()+"/x.sock", "--socket-group", "no such group"), "socket.group"},
	} {
		args := append([]string{"serve", "--data", t.TempDir()}, row.args...)
		if err := realMain(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.args, err, row.want)
		}
	}
}

// The server answers over its socket and removes it at its end. A peer of the socket is a trusted proxy, so the log has
// no warning about a missing one.
func TestServeOnUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "twostep.sock")
	ctx, stop := context.WithCancel(t.Context())
	var log strings.Builder
	ended := make(chan error, 1)
	go func() {
		ended <- realMain(ctx, []string{"serve", "--data", t.TempDir(), "--listen", "unix:" + path, "--public-url",
			"https://signin.example.com", "--smtp-host", "127.0.0.1", "--smtp-from", "a@example.com"}, io.Discard, &log)
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for late := time.After(30 * time.Second); ; {
		resp, err := client.Get("http://signin.example.com/readyz?verbose")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "requests: ") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			break
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatal(err)
		}
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !errors.Is(exists(path), fs.ErrNotExist) {
		t.Error("the socket is left")
	}
	if strings.Contains(log.String(), "set trusted_proxies") {
		t.Errorf("the log:\n%s", &log)
	}
}
