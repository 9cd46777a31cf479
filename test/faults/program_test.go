package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs are the program as it is, and with a clock that a test sets.
type programs struct{ plain, clock string }

// clockVariable names the file with the number of seconds that the clock of a server is ahead.
const clockVariable = "TWOSTEP_FAULTS_CLOCK"

// clockSource is a file of package twostep in the program with the clock.
const clockSource = `package twostep

import (
	"os"
	"strconv"
	"strings"
	"time"
)

func clockAhead() time.Time {
	text, _ := os.ReadFile(os.Getenv("` + clockVariable + `"))
	seconds, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return time.Now().Add(time.Duration(seconds) * time.Second)
}
`

var (
	programDir string // removed after the tests
	built      = sync.OnceValues(func() (programs, error) { return buildIn(programDir) })
)

// build returns both programs, which are built once for all tests.
func build(t *testing.T) programs {
	t.Helper()
	p, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// buildIn builds both programs into dir. The files of the repository stay as they are: the compiler reads others in
// their place (go help build, -overlay).
func buildIn(dir string) (programs, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return programs{}, err
	}
	options := filepath.Join(root, "options.go")
	source, err := os.ReadFile(options)
	if err != nil {
		return programs{}, err
	}
	const standard, ahead = "= time.Now", "= clockAhead" // the default of Options.Now
	if strings.Count(string(source), standard) != 1 {
		return programs{}, fmt.Errorf("%s does not set its clock by %q", options, standard)
	}
	changed, added, list := filepath.Join(dir, "options.go"), filepath.Join(dir, "clock.go"), filepath.Join(dir, "overlay")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		options: changed, filepath.Join(root, "clock_ahead.go"): added,
	}})
	err = errors.Join(err,
		os.WriteFile(changed, []byte(strings.Replace(string(source), standard, ahead, 1)), 0o600),
		os.WriteFile(added, []byte(clockSource), 0o600), os.WriteFile(list, overlay, 0o600))
	if err != nil {
		return programs{}, err
	}
	p := programs{filepath.Join(dir, "twostep"), filepath.Join(dir, "twostep-clock")}
	for output, overlay := range map[string]string{p.plain: "", p.clock: list} {
		cmd := exec.Command("go", "build", "-overlay="+overlay, "-o", output, "./cmd/twostep")
		cmd.Dir = root
		if said, err := cmd.CombinedOutput(); err != nil {
			return programs{}, fmt.Errorf("go build: %w\n%s", err, said)
		}
	}
	return p, nil
}

// server is one server of a site. It may be ended and started again, at the same address.
type server struct {
	t       *testing.T
	binary  string
	args    []string
	env     []string
	address string // 127.0.0.1:PORT
	clock   string // the file of clockVariable
	log     serverLog

	cmd    *exec.Cmd
	over   chan struct{} // closed when the process has ended
	memory int           // the largest resident set of its processes, in MB
}

// start starts a process and returns when it listens. It returns an error if the process ends before that.
func (s *server) start() error {
	s.cmd = exec.Command(s.binary, s.args...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.over = make(chan struct{})
	listening := make(chan bool, 1)
	go func(cmd *exec.Cmd, over chan struct{}) {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "Twostep is listening on ") {
				listening <- true
				break
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // how it ends is what the tests are about
		close(over)
		listening <- false
	}(s.cmd, s.over)
	select {
	case ok := <-listening:
		if !ok {
			return fmt.Errorf("the server does not start: %v\n%s", s.cmd.ProcessState, s.log.last())
		}
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("the server does not listen within 30 s\n%s", s.log.last())
	}
}

func (s *server) mustStart() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) running() bool {
	if s.cmd == nil || s.over == nil {
		return false
	}
	select {
	case <-s.over:
		return false
	default:
		return true
	}
}

// kill ends the process as kill -9 does.
func (s *server) kill() {
	if !s.running() {
		return
	}
	s.measure()
	_ = s.cmd.Process.Kill() // fails if it has ended
	<-s.over
}

// stop ends the process in good order. It fails the test if that takes longer than the 15 seconds for requests in
// progress and some more for messages, or if the process reports a failure.
func (s *server) stop() {
	s.t.Helper()
	s.measure()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	select {
	case <-s.over:
		if !s.cmd.ProcessState.Success() {
			s.t.Errorf("after SIGTERM: %v\n%s", s.cmd.ProcessState, s.log.last())
		}
	case <-time.After(20 * time.Second):
		s.t.Errorf("the server does not end within 20 s of SIGTERM\n%s", s.log.last())
		s.kill()
	}
}

// measure remembers the largest resident set of the process.
func (s *server) measure() {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return // it has ended
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")))
			s.memory = max(s.memory, n/1024)
		}
	}
}

// setClock sets how many seconds the clock of the server is ahead.
func (s *server) setClock(seconds int) {
	s.t.Helper()
	// In one step: a server never reads half a number.
	if err := os.WriteFile(s.clock+"~", []byte(strconv.Itoa(seconds)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.clock+"~", s.clock); err != nil {
		s.t.Fatal(err)
	}
}

// serverLog counts the lines of a log.
type serverLog struct {
	mu      sync.Mutex
	rest    []byte
	kept    []string      // the last warnings and errors
	loose   map[int64]int // by second: warnings and errors that belong to no request
	request int           // warnings and errors of requests
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := strings.Cut(string(l.rest), "\n")
		if !ok {
			return len(p), nil
		}
		l.rest = []byte(rest)
		l.line(line)
	}
}

func (l *serverLog) line(line string) {
	var record struct {
		Level, Msg string
		Request    string // its ID
	}
	bad := json.Unmarshal([]byte(line), &record) != nil // a panic, or an error of the command line
	if !bad && (record.Level == "INFO" || record.Level == "DEBUG") {
		return
	}
	if l.kept = append(l.kept, line); len(l.kept) > 40 {
		l.kept = l.kept[1:]
	}
	if record.Request != "" || record.Msg == "request" || record.Msg == "audit" {
		l.request++
		return
	}
	if l.loose == nil {
		l.loose = map[int64]int{}
	}
	l.loose[time.Now().Unix()]++
}

// last returns the last warnings and errors.
func (l *serverLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.kept, "\n")
}

// busiest returns the largest number of warnings and errors in one second that belong to no request.
func (l *serverLog) busiest() (most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.loose {
		most = max(most, n)
	}
	return most
}
