//go:build !unix

package seal

// mapping is memory on the heap, where this system offers no other.
type mapping struct{ blocks []block }

// mapBlocks returns n blocks that are zero.
func mapBlocks(n int) mapping { return mapping{make([]block, n)} }

func (mapping) unmap() {}
