package main

import (
	"bufio"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const starts = 10

// program measures the program as an operator gets it: its size, its start, its memory,
// and the weight of its first page.
func program(ctx context.Context, dir string) ([]item, error) {
	binary := filepath.Join(dir, "twostep")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./cmd/twostep")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, said)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	interpreters, err := interpreters(binary)
	if err != nil {
		return nil, err
	}
	first, second, memory, weight, err := lives(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	m, err := memories(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	return []item{
		{"program size", float64(info.Size()) / 1e6, "MB", 35, atMost},
		{"program: dynamic loaders it needs (0: static)", float64(interpreters), "", 0, atMost},
		{"first start, fresh data, to the first answer: median", median(first), "ms", 100, atMost},
		{"start to the first answer: median", median(second), "ms", 40, atMost},
		{"memory (VmRSS) a second after the start", m.start, "MB", 35, atMost},
		{"memory (VmRSS) after the first page: median", median(memory), "MB", 40, atMost},
		{"memory at the peak of 1,000 sign-ins, 4 at once", m.peak, "MB", 95, atMost},
		{"memory (VmRSS) ten seconds after them", m.later, "MB", 45, atMost},
		{"memory (VmRSS) of the demo ten seconds after its start", m.demo, "MB", 40, atMost},
		{"sign-in page with its style and script, as sent", float64(weight) / 1e3, "KB", 10, atMost},
	}, nil
}

// interpreters counts the segments that ask for a dynamic loader.
func interpreters(binary string) (n int, err error) {
	f, err := elf.Open(binary)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			n++
		}
	}
	return n, nil
}

// lives starts the program on fresh data, ends it, and starts it again, some times over.
// A megabyte counts as a millisecond, so that medians are made in one place.
func lives(ctx context.Context, binary, dir string) (first, second, memory []time.Duration, weight int, err error) {
	for i := range starts {
		data := filepath.Join(dir, "data"+strconv.Itoa(i))
		for _, times := range []*[]time.Duration{&first, &second} {
			p, took, err := start(ctx, binary, data)
			if err != nil {
				return nil, nil, nil, 0, err
			}
			*times = append(*times, took)
			var rss float64
			if weight, err = pageWeight(p.url); err == nil {
				rss, err = p.memory()
			}
			memory = append(memory, time.Duration(rss*float64(time.Millisecond)))
			if err := errors.Join(err, p.end()); err != nil {
				return nil, nil, nil, 0, err
			}
		}
	}
	return first, second, memory, weight, nil
}

type process struct {
	cmd *exec.Cmd
	url string
}

// start runs the program and returns once /healthz has answered 200, with the time
// that took from before the fork.
func start(ctx context.Context, binary, data string, flags ...string) (*process, time.Duration, error) {
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, flags...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	p := &process{cmd: cmd}
	lines := bufio.NewScanner(stdout)
	for p.url == "" && lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "Twostep is listening on "); ok {
			p.url = url
		}
	}
	if p.url == "" {
		return nil, 0, errors.Join(errors.New("the program does not say where it listens"), cmd.Wait())
	}
	resp, err := http.Get(p.url + "/healthz")
	took := time.Since(began)
	go io.Copy(io.Discard, stdout) // whatever else it says must not hold it up
	if err != nil {
		return nil, 0, errors.Join(err, p.end())
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, errors.Join(fmt.Errorf("healthz: %s", resp.Status), p.end())
	}
	return p, took, nil
}

func (p *process) end() error {
	http.DefaultClient.CloseIdleConnections() // the program waits for open ones
	return errors.Join(p.cmd.Process.Signal(os.Interrupt), p.cmd.Wait())
}

// memory is the resident set in MB.
func (p *process) memory() (float64, error) { return p.status("VmRSS:") }

// status is a line of /proc/PID/status with an amount of memory, in MB.
func (p *process) status(name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 64)
			return n * 1024 / 1e6, err
		}
	}
	return 0, errors.New("no " + name)
}

var assets = regexp.MustCompile(`/assets/[a-z]+\.[0-9a-f]+\.(?:css|js)`)

// pageWeight is how many bytes of body travel for the sign-in page, with its style and
// its script, to a browser that takes gzip and has nothing in its cache.
func pageWeight(url string) (int, error) {
	page, err := wire(url + "/signin")
	if err != nil {
		return 0, err
	}
	sum, found := len(page), assets.FindAllString(string(page), -1)
	if len(found) < 2 {
		return 0, fmt.Errorf("the sign-in page has %d assets, want a style and a script", len(found))
	}
	for _, path := range found {
		body, err := wire(url + path)
		if err != nil {
			return 0, err
		}
		sum += len(body)
	}
	return sum, nil
}

// wire is a body as it travels.
func wire(url string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept-Encoding", "gzip") // set by hand, so that nobody unpacks it
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
