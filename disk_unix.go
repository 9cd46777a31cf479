//go:build linux || darwin

package twostep

import "syscall"

// diskNearlyFull reports whether the disk of a folder is nearly full; false if it is not known.
func diskNearlyFull(folder string) bool {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return false
	}
	block := uint64(disk.Bsize)
	return nearlyFull(disk.Bavail*block, disk.Blocks*block)
}
