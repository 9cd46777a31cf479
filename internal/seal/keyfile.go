package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// maxKeyFileBytes is room for some thousand keys; a longer file is not a key file.
const maxKeyFileBytes = 256 << 10

// LoadOrCreateKeyRing reads the key ring in the file at path (see ParseKeys). If there is no file it
// makes one with a fresh key that only its owner can read; the folder must exist. Any
// number of processes may do so at once and all get the same keys. A file that others
// than its owner may touch is refused, because the keys are as good as published then.
func LoadOrCreateKeyRing(path string) (*KeyRing, error) {
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKeyFile(path); err != nil {
			return nil, fmt.Errorf("seal: make key file: %w", err)
		}
		text, err = readKeyFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	keys, err := ParseKeyRing(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: the name may point elsewhere by now
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	// Windows has no such bits and reports every file as open to all.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("%s is open to others than its owner (mode %04o): run `chmod 600 %s`, and if somebody may have read it put a new key in front", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFileBytes+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxKeyFileBytes {
		return "", fmt.Errorf("%s is too long for a key file", path)
	}
	return string(text), nil
}

// createKeyFile puts a complete file in place in one step that fails if there is one already.
// link and not rename: rename would replace the keys of a process that was faster and
// has begun to seal with them.
func createKeyFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // O_EXCL and mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	text := "# The keys of this server, the current one first. Without them its database is of no use:\n" +
		"# keep a copy, but not beside the copy of the database.\n" + NewKeyLine() + "\n"
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new name last through a power cut: a database sealed with keys
// that are gone is lost.
func syncDir(folder string) error {
	if runtime.GOOS == "windows" { // cannot sync folders
		return nil
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
