package seal

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestOpenKeysMakesThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode is %04o, want 0600", got)
	}
	second, err := OpenKeys(path)
	if err != nil || second.Mark() != first.Mark() {
		t.Errorf("opened again (%v): want the same keys", err)
	}
	onlyOne(t, path)
}

// onlyOne fails if anything is left beside the key file.
func onlyOne(t *testing.T, path string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("got %d files (%v), want only the key file", len(files), err)
	}
}

func TestOpenKeysRefusesOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	line := NewKey()
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenKeys(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: got %v, want a refusal that says what to do", mode, err)
		} else if strings.Contains(err.Error(), line) {
			t.Error("the error shows the key")
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeys(path); err != nil {
			t.Errorf("mode %04o: got %v, want keys", mode, err)
		}
	}
}

func TestOpenKeysRefusesOthers(t *testing.T) {
	dir := t.TempDir()
	empty, long := filepath.Join(dir, "empty"), filepath.Join(dir, "long")
	for path, text := range map[string]string{empty: "", long: NewKey() + strings.Repeat("\n", maxKeyFile)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, empty, long, filepath.Join(dir, "no folder", "keys")} {
		if _, err := OpenKeys(path); err == nil {
			t.Errorf("%s: got keys, want an error", path)
		}
	}
}

// Who comes second to an empty place leaves the first one's keys alone.
func TestMakeKeysTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeKeys(path); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if second, err := OpenKeys(path); err != nil || second.Mark() != first.Mark() {
		t.Errorf("the keys were replaced (%v)", err)
	}
	onlyOne(t, path)
}

// Goroutines that all find no file end up with the same keys.
func TestOpenKeysAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	marks := make([]string, 32)
	var wg sync.WaitGroup
	for i := range marks {
		wg.Go(func() {
			if k, err := OpenKeys(path); err != nil {
				t.Error(err)
			} else {
				marks[i] = k.Mark()
			}
		})
	}
	wg.Wait()
	for _, mark := range marks {
		if mark != marks[0] {
			t.Errorf("got keys %q and %q, want the same", mark, marks[0])
		}
	}
	onlyOne(t, path)
}

// The same with processes. Each is this test again, told the path, and prints its mark.
func TestOpenKeysProcesses(t *testing.T) {
	if path := os.Getenv("SEAL_TEST_KEYS"); path != "" {
		k, err := OpenKeys(path)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("mark=" + k.Mark() + "\n")
		return
	}
	path := filepath.Join(t.TempDir(), "keys")
	outs := make([]string, 4)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Go(func() {
			child := exec.Command(os.Args[0], "-test.run=^TestOpenKeysProcesses$")
			child.Env = append(os.Environ(), "SEAL_TEST_KEYS="+path)
			out, err := child.Output()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			outs[i], _, _ = strings.Cut(string(out), "\n")
		})
	}
	wg.Wait()
	k, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range outs {
		if want := "mark=" + k.Mark(); out != want {
			t.Errorf("got %q, want %q", out, want)
		}
	}
}
