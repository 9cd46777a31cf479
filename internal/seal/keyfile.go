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

// maxKeyFileBytes allows some thousand keys; a longer file is not a key file.
const maxKeyFileBytes = 256 << 10

// LoadKeyRing loads the key ring in the file at path; ParseKeyRing has the format. It returns an error that wraps
// fs.ErrNotExist if there is no file, and an error if the file is readable or writable by others than its owner: its
// keys may be known to them.
func LoadKeyRing(path string) (*KeyRing, error) {
	text, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	keys, err := ParseKeyRing(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// CreateKeyRing creates the file at path with a random key and mode 0600, and loads it; the folder must exist. If
// another process is faster, CreateKeyRing loads the file of that one and created is false.
func CreateKeyRing(path string) (keys *KeyRing, created bool, err error) {
	if created, err = createKeyFile(path); err != nil {
		return nil, false, fmt.Errorf("seal: make key file: %w", err)
	}
	keys, err = LoadKeyRing(path)
	return keys, created, err
}

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: path may point elsewhere by now
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	// Windows has no such bits and reports every file as open to all.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("%s is open to others than its owner (mode %04o): run `chmod 600 %s`, "+
			"and if somebody may have read it put a new key in front", path, mode, path)
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

// createKeyFile creates a complete file atomically, unless there is one. It uses link instead of
// rename: rename would replace the keys of a faster process that already encrypts with them.
func createKeyFile(path string) (created bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // O_EXCL and mode 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	text := "# The keys of this server, the current one first. Without them its database is of no use:\n" +
		"# keep a copy, but not beside the copy of the database.\n" + NewKeyLine() + "\n"
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

// syncDir makes the new name durable: a database that is encrypted with lost keys is lost.
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

// AddKey puts a new key in front of the file at path, so that a program that loads it afterwards encrypts with it. The
// other keys stay: they decrypt what they have encrypted. AddKey replaces the file atomically; the new one belongs to the
// user of the process. If two processes do it at once, one returns an error, and no key is lost.
func AddKey(path string) error {
	text, err := readKeyFile(path)
	if err == nil {
		_, err = ParseKeyRing(text)
	}
	if err != nil {
		return fmt.Errorf("seal: add key to %s: %w", path, err)
	}
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("seal: add key: %w", err)
	}
	if text, err = readKeyFile(path); err == nil { // another process may have added one before ours began
		_, err = f.WriteString(NewKeyLine() + "\n" + text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return fmt.Errorf("seal: add key: %w", errors.Join(err, os.Remove(fresh)))
	}
	return syncDir(filepath.Dir(path))
}
