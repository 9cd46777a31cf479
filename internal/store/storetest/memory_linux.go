package storetest

import "syscall"

// memory returns a directory that is kept in memory, "" if there is none with enough free space.
func memory() string {
	const dir, enough = "/dev/shm", 512 << 20 // bytes; containers often have 64 MB
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Bavail*uint64(s.Bsize) < enough {
		return ""
	}
	return dir
}
