package seal

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestKeyFileIsCreated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, _, err := CreateKeyRing(path)
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
	second, _, err := CreateKeyRing(path)
	if err != nil || second.Fingerprint() != first.Fingerprint() {
		t.Errorf("opened again (%v): want the same keys", err)
	}
	wantOnlyKeyFile(t, path)
}

// wantOnlyKeyFile fails the test if the folder contains anything besides the key file.
func wantOnlyKeyFile(t *testing.T, path string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("got %d files (%v), want only the key file", len(files), err)
	}
}

func TestKeyFileReadableByOthersIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	line := NewKeyLine()
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := CreateKeyRing(path)
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
		if _, _, err := CreateKeyRing(path); err != nil {
			t.Errorf("mode %04o: got %v, want keys", mode, err)
		}
	}
}

func TestInvalidKeyFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	empty, long := filepath.Join(dir, "empty"), filepath.Join(dir, "long")
	for path, text := range map[string]string{empty: "", long: NewKeyLine() + strings.Repeat("\n", maxKeyFileBytes)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, empty, long, filepath.Join(dir, "no folder", "keys")} {
		if _, _, err := CreateKeyRing(path); err == nil {
			t.Errorf("%s: got keys, want an error", path)
		}
	}
}

// createKeyFile does not replace a file that another process has created in between.
func TestCreateKeyFileKeepsExisting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, _, err := CreateKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	if created, err := createKeyFile(path); created || err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if second, _, err := CreateKeyRing(path); err != nil || second.Fingerprint() != first.Fingerprint() {
		t.Errorf("the keys were replaced (%v)", err)
	}
	wantOnlyKeyFile(t, path)
}

// Goroutines that all find no file end up with the same keys.
func TestKeyFileCreatedOnceByGoroutines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	fingerprints := make([]string, 32)
	var wg sync.WaitGroup
	for i := range fingerprints {
		wg.Go(func() {
			if k, _, err := CreateKeyRing(path); err != nil {
				t.Error(err)
			} else {
				fingerprints[i] = k.Fingerprint()
			}
		})
	}
	wg.Wait()
	for _, fingerprint := range fingerprints {
		if fingerprint != fingerprints[0] {
			t.Errorf("got keys %q and %q, want the same", fingerprint, fingerprints[0])
		}
	}
	wantOnlyKeyFile(t, path)
}

// The same with processes: each runs this test again with the path, and prints its fingerprint.
func TestKeyFileCreatedOnceByProcesses(t *testing.T) {
	if path := os.Getenv("SEAL_TEST_KEYS"); path != "" {
		k, _, err := CreateKeyRing(path)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("fingerprint=" + k.Fingerprint() + "\n")
		return
	}
	path := filepath.Join(t.TempDir(), "keys")
	outs := make([]string, 4)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Go(func() {
			child := exec.Command(os.Args[0], "-test.run=^TestKeyFileCreatedOnceByProcesses$")
			child.Env = append(os.Environ(), "SEAL_TEST_KEYS="+path)
			out, err := child.Output()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			outs[i], _, _ = strings.Cut(string(out), "\n")
		})
	}
	wg.Wait()
	k, _, err := CreateKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range outs {
		if want := "fingerprint=" + k.Fingerprint(); out != want {
			t.Errorf("got %q, want %q", out, want)
		}
	}
}

// A new key comes first, the old ones stay, and an interrupted change is not overwritten.
func TestAddKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	before, _, err := CreateKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := before.Seal("a test", []byte("secret"))
	if err := AddKey(path); err != nil {
		t.Fatal(err)
	}
	after, err := LoadKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := after.Open("a test", sealed); err != nil || string(plain) != "secret" {
		t.Errorf("the old key: %q, %v", plain, err)
	}
	if _, err := before.Open("a test", after.Seal("a test", []byte("secret"))); err == nil {
		t.Error("the new key is not the first")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := AddKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another process adds one: %v", err)
	}
	if err := AddKey(filepath.Join(t.TempDir(), "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
