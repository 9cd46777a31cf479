package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite"
)

// checkTime is how long Open may check a SQLite file for damage. That is enough for a gigabyte, if the system has it in
// memory.
const checkTime = 2 * time.Second

// lockPause is how long a server waits for the lock before it tries once more.
const lockPause = 50 * time.Millisecond

// lockServer reserves the SQLite file at path for this process, by a lock of the file PATH.server, which holds the
// process ID. Two servers would each take the other's work for that of a process that has died.
func lockServer(path string) (unlock func(), err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	lock, err := lockFile(path+".server", false)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		time.Sleep(lockPause) // it may be a command that looks whether there is a server, see IsServed
		lock, err = lockFile(path+".server", false)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		process, _ := os.ReadFile(path + ".server") // without it the number is missing in the error
		return nil, fmt.Errorf("%s is in use by another server, process %s: stop that one, or use another data folder",
			path, strings.TrimSpace(string(process)))
	}
	if err != nil {
		return nil, err
	}
	if err = lock.Truncate(0); err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return func() { lock.Close() }, nil
}

// checkSQLite checks the structure of the SQLite file, but not the content of rows and indexes. If that takes longer
// than limit, it returns unchecked.
func checkSQLite(ctx context.Context, c Config, limit time.Duration) (unchecked bool, err error) {
	if err := checkLastPage(c.URL); err != nil {
		return false, err
	}
	db, err := openSQLite(c, true)
	if err != nil {
		return false, err
	}
	defer db.Close()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var result string
	err = db.QueryRowContext(limited, `PRAGMA quick_check(1)`).Scan(&result)
	switch {
	case limited.Err() != nil && err != nil:
		return true, ctx.Err()
	case err != nil:
		return false, describeDamage(c.URL, err)
	case result != "ok":
		return false, damaged(c.URL, errors.New(strings.Join(strings.Fields(result), " ")))
	}
	return false, nil
}

// checkLastPage returns an error if the SQLite file at path ends within a page: SQLite would read zeros for the rest. It
// checks nothing if there is a write-ahead log, which may have that page.
func checkLastPage(path string) error {
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	header := make([]byte, 18) // https://www.sqlite.org/fileformat.html, 1.3
	if _, err := io.ReadFull(f, header); err != nil {
		return damaged(path, err)
	}
	// 1 means 65,536 bytes, which do not fit. Any other size is a multiple of 512; quick_check says whether it is valid.
	size := int64(binary.BigEndian.Uint16(header[16:]))
	if size == 1 {
		size = 1 << 16
	}
	if size >= 512 && info.Size()%size != 0 {
		return damaged(path, errors.New("it ends within a page"))
	}
	return nil
}

// describeDamage returns an error that names the file and the next step if err says that the SQLite file at path is
// damaged, and err otherwise.
func describeDamage(path string, err error) error {
	const corrupt, notADatabase = 11, 26 // SQLITE_CORRUPT, SQLITE_NOTADB
	lite := new(sqlite.Error)
	if errors.As(err, &lite) && (lite.Code()&0xff == corrupt || lite.Code()&0xff == notADatabase) {
		return damaged(path, err)
	}
	return err
}

func damaged(path string, cause error) error {
	return fmt.Errorf("%s is damaged (%w): keep a copy of it and restore a backup, see docs/how-to/back-up.md", path, cause)
}

// IsServed reports whether a server uses the SQLite file: this process or another one. known is false for PostgreSQL.
func (db *DB) IsServed() (served, known bool) {
	if !db.flavor.oneWriter {
		return false, false
	}
	if db.exclusive {
		return true, true
	}
	path, err := filepath.EvalSymlinks(db.path)
	if err != nil {
		return false, false
	}
	lock, err := os.Open(path + ".server") // never create it: it would belong to the user who runs this process
	if errors.Is(err, fs.ErrNotExist) {
		return false, true
	}
	if err != nil {
		return false, false
	}
	defer lock.Close()
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil, true
}
