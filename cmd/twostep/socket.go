package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// socketSettings are about the file of a Unix socket.
type socketSettings struct {
	Mode  string `toml:"mode" default:"0660" placeholder:"MODE" allowed:"octal digits, without rights for others" help:"Give the Unix socket of listen these file permissions; a program that can write to it counts as the reverse proxy" example:"0660"`
	Group string `toml:"group" placeholder:"GROUP" fallback:"the group of the server" allowed:"a group of the server's user" help:"Give the Unix socket of listen to this group, of which the reverse proxy is a member" example:"www-data"`

	mode fs.FileMode
}

// complete parses the mode. It allows no rights for others: each process of the machine could name any client address.
func (s *socketSettings) complete() error {
	mode, err := strconv.ParseUint(s.Mode, 8, 9)
	if s.mode = fs.FileMode(mode); err != nil || mode&0o007 != 0 || mode&0o600 != 0o600 {
		return wrongSetting("socket-mode", s.Mode, "octal digits, with all rights for the owner and none for others, "+
			"like 0660")
	}
	return nil
}

// maxSocketPath is the longest path of a socket, in bytes. Linux allows 107; the temporary name needs 14.
const maxSocketPath = 90

// socketPath returns the path if listen is that of a Unix socket.
func (s *settings) socketPath() (path string, ok bool) { return strings.CutPrefix(s.Listen, "unix:") }

// checkSocket checks the settings of a server that listens on the Unix socket at path.
func (s *settings) checkSocket(path string) error {
	switch {
	case !filepath.IsAbs(path) || len(path) > maxSocketPath:
		return wrongSetting("listen", s.Listen, "unix: and an absolute path of at most %d bytes, like "+
			"unix:/run/twostep/twostep.sock", maxSocketPath)
	case s.isLocal():
		return fmt.Errorf("public_url is missing, because listen is a Unix socket for a reverse proxy: %s",
			howToSet("public-url"))
	case s.TLS.Cert != "":
		return errors.New("tls.cert and a Unix socket in listen exclude each other: the reverse proxy has the certificate. " +
			"Remove tls.cert and tls.key")
	}
	return nil
}

// unixSocket is the listener at a path. Close removes the file if it is still its own.
type unixSocket struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

func (l unixSocket) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

// listen creates the socket at path. It replaces the file of a server that has crashed, but no other file, and no
// socket on which a program listens. The socket is created in a folder that only the owner can enter, and renamed when
// its permissions are set, so others can connect at no time.
func (s socketSettings) listen(path string) (net.Listener, error) {
	if err := checkStaleSocket(path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".t")
	if err != nil {
		return nil, fmt.Errorf("listen: the folder of the socket must exist, and the server must be able to write to it: %w",
			err)
	}
	defer os.RemoveAll(private)
	temporary := filepath.Join(private, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	file, err := s.publish(temporary, path)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return unixSocket{listener, path, file}, nil
}

// publish sets the permissions of the socket at temporary and renames it to path.
func (s socketSettings) publish(temporary, path string) (fs.FileInfo, error) {
	if s.Group != "" {
		group, err := groupID(s.Group)
		if err == nil {
			err = os.Chown(temporary, -1, group)
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("socket.group is %q, and the socket cannot be given to it: %w. Use a group of "+
				"the server's user, like SupplementaryGroups=%s in systemd", s.Group, err, s.Group)}
		}
	}
	if err := os.Chmod(temporary, s.mode); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return os.Lstat(path)
}

// groupID returns the number of a group, which is given by its name or number.
func groupID(group string) (int, error) {
	if n, err := strconv.Atoi(group); err == nil {
		return n, nil
	}
	found, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found.Gid)
}

// checkStaleSocket returns an error if there is a file at path that is not a socket, or a program listens on it.
func checkStaleSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("listen: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return usageError{fmt.Errorf("listen is unix:%s, but this file is not a socket: use another path, or remove the file",
			path)}
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("another program listens on unix:%s: stop it, or use another path", path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil // its server has crashed
	}
	return fmt.Errorf("listen: another program may listen on unix:%s: %w", path, err)
}
