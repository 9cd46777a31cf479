package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// patience is for how long one test may run. The slowest takes some seconds; one that
// waits for what a mutation has taken away, up to a minute.
const patience = "3m"

// workshop is where the tests are built and run: the program in root, and a folder for
// what is made of it.
type workshop struct{ root, dir string }

// verdict is what became of one test.
type verdict string

const (
	noticed  verdict = "noticed" // the test failed, as it should
	survived verdict = "survived"
	broken   verdict = "does not compile"
	stuck    verdict = "timed out"
	unheard  verdict = "ended without a word about the test"
)

// whole runs the tests of the mutations on the program as it is. They must pass: a test
// that fails anyway notices nothing.
func (w workshop) whole(ctx context.Context, chosen []mutation) error {
	binary, said, err := w.build(ctx, "")
	if err != nil {
		return fmt.Errorf("the tests do not compile: %w\n%s", err, said)
	}
	passed := map[string]bool{}
	for _, m := range chosen {
		if passed[m.pattern()] {
			continue
		}
		v, said, err := w.try(ctx, binary, "", m)
		if err != nil {
			return err
		}
		if v != survived {
			return fmt.Errorf("%s does not pass on the program as it is:\n%s", m.test, said)
		}
		passed[m.pattern()] = true
	}
	return nil
}

// without runs the test of a mutation on the program without its defence. said is what the
// reader needs beside the verdict, if it is a bad one.
func (w workshop) without(ctx context.Context, m mutation) (v verdict, said string, err error) {
	list, err := m.overlay(w.root, w.dir)
	if err != nil {
		return "", "", err
	}
	binary, said, err := w.build(ctx, list)
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if err != nil {
		return broken, said, nil
	}
	v, said, err = w.try(ctx, binary, list, m)
	if v == noticed || v == survived {
		said = "" // a test that fails as it should has nothing to tell
	}
	return v, said, err
}

// build builds the tests of attack with an overlay ("": as they are). It is a step of its
// own, so that nobody takes what does not compile for a test that fails.
func (w workshop) build(ctx context.Context, overlay string) (binary, said string, err error) {
	binary = filepath.Join(w.dir, "attack.test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./attack")
	cmd.Dir, cmd.Env = filepath.Join(w.root, "test"), environ(overlay)
	out, err := cmd.CombinedOutput()
	return binary, string(out), err
}

// environ tells the compiler of an overlay, also one that a test calls.
func environ(overlay string) []string {
	if overlay == "" {
		return os.Environ()
	}
	return append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
}

// try runs the test of a mutation in the folder that go test would run it in.
func (w workshop) try(ctx context.Context, binary, overlay string, m mutation) (v verdict, said string, err error) {
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.timeout", patience, "-test.run", m.pattern())
	cmd.Dir, cmd.Env = filepath.Join(w.root, "test", "attack"), environ(overlay)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return "", "", err
	}
	return judge(m.test, string(out)), beginning(string(out)), nil
}

// beginning is what a reader needs of an output that ends with the stack of every goroutine.
func beginning(out string) string {
	lines := strings.SplitAfter(out, "\n")
	return strings.Join(lines[:min(len(lines), 20)], "")
}

// pattern chooses the test, and of its databases SQLite where that is enough. A test that
// has no such parts runs whole.
func (m mutation) pattern() string {
	if m.both {
		return "^" + m.test + "$"
	}
	return "^" + m.test + "$/^sqlite$"
}

// judge reads what a test said. It must have spoken for itself: a binary that fails by
// itself, or finds no such test, proves nothing.
func judge(test, out string) verdict {
	out = "\n" + out
	switch {
	case strings.Contains(out, "\npanic: test timed out after "):
		return stuck
	case strings.Contains(out, "\n--- FAIL: "+test+" ("):
		return noticed
	case strings.Contains(out, "\n--- PASS: "+test+" ("):
		return survived
	}
	return unheard
}
