package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// startLimit is how long a start after a crash may take; nothing has to be repaired by hand.
const startLimit = 5 * time.Second

// life is one process of the server, from its start to its end.
type life struct {
	t     *testing.T
	url   string        // "" if it died before it listened
	took  time.Duration // from start to listening
	over  context.Context
	died  string // the crash point, once over
	end   io.Closer
	cmd   *exec.Cmd
	said  bytes.Buffer // its log, once over
	ready chan string
}

// begin starts a server and waits until it listens or is dead.
func begin(t *testing.T, o order) *life {
	t.Helper()
	l := launch(t, o)
	began := time.Now()
	select {
	case l.url = <-l.ready:
		l.took = time.Since(began)
	case <-l.over.Done():
	case <-time.After(time.Minute):
		t.Fatal("the server neither listens nor ends")
	}
	return l
}

// launch starts a server.
func launch(t *testing.T, o order) *life {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, ready: make(chan string, 1), cmd: exec.Command(os.Args[0], "-test.run=^TestCrashChild$")}
	l.cmd.Env = append(os.Environ(), crashEnv+"="+string(text))
	l.cmd.Stderr = &l.said
	stdout, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if l.end, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over, ended := context.WithCancel(context.Background())
	l.over = over
	go func() { l.watch(stdout); ended() }()
	t.Cleanup(l.kill)
	return l
}

func (l *life) watch(stdout io.Reader) {
	var said []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			l.ready <- "http://" + address
		}
		if point, ok := strings.CutPrefix(lines.Text(), "died "); ok {
			l.died = point
		}
		said = append(said, lines.Text())
	}
	_ = l.cmd.Wait() // how it ended is what the tests are about
	l.said.WriteString(strings.Join(said, "\n"))
}

// kill ends the process as kill -9 does, if it still lives.
func (l *life) kill() {
	_ = l.cmd.Process.Kill() // fails if it is over
	<-l.over.Done()
}

// await waits until it is over.
func (l *life) await() {
	l.t.Helper()
	select {
	case <-l.over.Done():
	case <-time.After(30 * time.Second):
		l.t.Fatal("the server does not end")
	}
}

// finish asks it to end, and waits until it has.
func (l *life) finish() {
	l.t.Helper()
	_ = l.end.Close()
	l.await()
}

// stop ends it in good order.
func (l *life) stop() {
	l.t.Helper()
	l.finish()
	if !l.cmd.ProcessState.Success() {
		l.t.Errorf("the server ended badly: %v\n%s", l.cmd.ProcessState, l.said.String())
	}
}

// control tells the server what only a test may.
func (l *life) control(path string, pairs ...string) {
	l.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	resp, err := http.PostForm(l.url+path, form)
	if err == nil {
		resp.Body.Close()
		return
	}
	select {
	case <-l.over.Done(): // of something it was doing meanwhile
	case <-time.After(20 * time.Second):
		l.t.Fatalf("no answer from a server that lives: %v", err)
	}
}
