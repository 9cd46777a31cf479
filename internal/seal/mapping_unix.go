//go:build unix

package seal

import (
	"syscall"
	"unsafe"
)

// mapping is memory outside the heap.
type mapping struct {
	blocks []block
	mapped []byte // the same memory; nil: it is on the heap
}

// mapBlocks returns n blocks that are zero.
func mapBlocks(n int) mapping {
	mapped, err := syscall.Mmap(-1, 0, n*int(unsafe.Sizeof(block{})), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil { // too many mappings
		return mapping{blocks: make([]block, n)}
	}
	return mapping{unsafe.Slice((*block)(unsafe.Pointer(unsafe.SliceData(mapped))), n), mapped}
}

// unmap gives the memory back. Nobody may use it afterwards.
func (m mapping) unmap() {
	if m.mapped != nil {
		_ = syscall.Munmap(m.mapped) // fails only for other memory
	}
}
