// Package kannel runs an SMS gateway for a test: Kannel's bearerbox and smsbox, and behind
// them the fake network that comes with Kannel. It knows nothing of our own code.
//
//	test ─HTTP▶ smsbox ─▶ bearerbox ─TCP▶ fakesmsc ─▶ Next
//	  ◀── delivery reports ──┘
package kannel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
)

// patience is how long anything here may take.
const patience = time.Minute

// Kannel is a running gateway.
type Kannel struct {
	URL      string // of sendsms
	User     string
	Password string

	t       testing.TB
	mu      sync.Mutex
	lines   []line
	arrived chan struct{} // closed and replaced at each line
}

// Text is a message that reached the network.
type Text struct{ From, To, Text string }

// line is a line of a message; only the first has a header.
type line struct {
	first    bool
	from, to string
	text     string
}

// Start runs a gateway until the test ends. It takes about a second.
func Start(t testing.TB) *Kannel {
	t.Helper()
	bearerbox, smsbox := program(t, "bearerbox", "/usr/sbin"), program(t, "smsbox", "/usr/sbin")
	fakesmsc := program(t, "fakesmsc", "/usr/lib/kannel/test")
	var ports []string
	for range 4 {
		ports = append(ports, strconv.Itoa(storetest.FreePort(t)))
	}
	k := &Kannel{
		URL:  "http://127.0.0.1:" + ports[3] + "/cgi-bin/sendsms",
		User: "twostep", Password: "hunter2&more",
		t: t, arrived: make(chan struct{}),
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "kannel.conf")
	if err := os.WriteFile(config, []byte(k.config(ports)), 0o600); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, run(t, dir, bearerbox, config))
	waitFor(t, ports[1])
	waitFor(t, ports[2])
	k.read(run(t, dir, fakesmsc, "-H", "127.0.0.1", "-r", ports[2]))
	go io.Copy(io.Discard, run(t, dir, smsbox, config))
	waitFor(t, ports[3])
	k.waitForAnswer()
	return k
}

// waitForAnswer waits until smsbox speaks HTTP. For a moment it listens and hangs up.
func (k *Kannel) waitForAnswer() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		answer, err := http.Get(k.URL) // without a password: refused, and so sends nothing
		if err == nil {
			answer.Body.Close()
			return
		}
		select {
		case <-tick.C:
		case <-late:
			k.t.Fatal(err)
		}
	}
}

func (k *Kannel) config(ports []string) string {
	return fmt.Sprintf(`group = core
admin-port = %s
admin-interface = 127.0.0.1
admin-password = %s
smsbox-port = %s
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = fake
host = 127.0.0.1
port = %s
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %[3]s
sendsms-port = %[5]s
sendsms-interface = 127.0.0.1
sendsms-chars = "0123456789 +-"
global-sender = 13013

group = sendsms-user
username = %s
password = %[2]s

group = sms-service
keyword = default
max-messages = 0
text = ""
`, ports[0], k.Password, ports[1], ports[2], ports[3], k.User)
}

// Next is the n-th message from 0 whose last line is origin-bound (@host #code). It waits for
// it. The network prints a line for each line of a text and never says where one ends, so only
// such messages can be told to be whole.
func (k *Kannel) Next(n int) Text {
	k.t.Helper()
	late := time.After(patience)
	for {
		k.mu.Lock()
		whole, arrived := k.whole(), k.arrived
		k.mu.Unlock()
		if n < len(whole) {
			return whole[n]
		}
		select {
		case <-arrived:
		case <-late:
			k.t.Fatalf("text message %d has not arrived", n)
		}
	}
}

func (k *Kannel) whole() (all []Text) {
	var open Text
	for _, l := range k.lines {
		if l.first {
			open = Text{From: l.from, To: l.to, Text: l.text}
		} else {
			open.Text += "\n" + l.text
		}
		if strings.HasPrefix(l.text, "@") {
			all = append(all, open)
		}
	}
	return all
}

var (
	got    = regexp.MustCompile(`(?s) Got message \d+: <(.*)>$`)
	header = regexp.MustCompile(`(?s)^(\S+) (\+?\d+) text (.*)$`)
)

func (k *Kannel) read(output io.Reader) {
	scanner := bufio.NewScanner(output)
	go func() {
		for scanner.Scan() {
			m := got.FindStringSubmatch(scanner.Text())
			if m == nil {
				continue
			}
			l := line{text: m[1]}
			if h := header.FindStringSubmatch(m[1]); h != nil {
				// The sender comes as it was typed into an address.
				from, err := url.QueryUnescape(h[1])
				if err != nil {
					from = h[1]
				}
				l = line{first: true, from: from, to: h[2], text: h[3]}
			}
			k.mu.Lock()
			k.lines = append(k.lines, l)
			close(k.arrived)
			k.arrived = make(chan struct{})
			k.mu.Unlock()
		}
	}()
}

func program(t testing.TB, name, folder string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join(folder, name))
	}
	if err != nil {
		t.Fatalf("%s is missing: run make test, it installs what the tests need (packages kannel and kannel-extras)", name)
	}
	return path
}

// run starts a program, ends it with the test, and returns what it prints as errors.
func run(t testing.TB, dir, path string, args ...string) io.Reader {
	t.Helper()
	c := exec.Command(path, args...)
	c.Dir = dir
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if the test dies
	c.WaitDelay = patience
	stdin, err := c.StdinPipe() // fakesmsc ends with its input
	if err != nil {
		t.Fatal(err)
	}
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		stdin.Close()
		c.Process.Signal(syscall.SIGTERM)
		ended := make(chan struct{})
		go func() { c.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(3 * time.Second): // bearerbox ends its connections slowly
			c.Process.Kill()
			<-ended
		}
		stderr.Close()
	})
	return stderr
}

// waitFor returns once somebody listens.
func waitFor(t testing.TB, port string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(errors.Join(errors.New("kannel does not listen on "+port), err))
		}
	}
}
