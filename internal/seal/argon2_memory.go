package seal

import (
	"encoding/binary"
	"runtime/debug"
	"slices"
	"sync"
	"time"
	_ "unsafe" // for go:linkname

	_ "golang.org/x/crypto/argon2" // for go:linkname
)

// block is the unit of the memory of Argon2, 1 KiB (RFC 9106 3.2).
type block = [128]uint64

// memoryIdle is how long memory is kept after the last hash.
const memoryIdle = 5 * time.Second

// hashMemory computes hashes in memory that it uses again: argon2.IDKey allocates it for each hash, which takes more CPU
// time and twice the memory. It lies outside the heap, because the heap may grow to twice of what is in use. hashMemory
// gives it back to the operating system memoryIdle after the last hash. It keeps as many pieces as were in use at once.
// It is safe for concurrent use.
type hashMemory struct {
	mu    sync.Mutex
	free  []mapping // all zero
	inUse int
	timer *time.Timer
}

// idKey returns what argon2.IDKey returns.
func (m *hashMemory) idKey(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
	piece := m.take(int(argon2Blocks(memory, threads)))
	defer m.put(piece)
	return argon2idKey(piece.blocks, password, salt, time, memory, threads, size)
}

// take returns n blocks that are zero.
func (m *hashMemory) take(n int) mapping {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inUse++
	if i := slices.IndexFunc(m.free, func(p mapping) bool { return len(p.blocks) == n }); i >= 0 {
		piece := m.free[i]
		m.free = slices.Delete(m.free, i, i+1)
		return piece
	}
	if len(m.free) > 0 { // of another size
		m.free[0].unmap()
		m.free = m.free[1:]
	}
	return mapBlocks(n)
}

// put keeps memory that take has returned. It clears it, because it holds the hash of a password.
func (m *hashMemory) put(piece mapping) {
	clear(piece.blocks)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inUse--
	m.free = append(m.free, piece)
	if m.timer == nil {
		m.timer = time.AfterFunc(memoryIdle, m.release)
		return
	}
	m.timer.Reset(memoryIdle)
}

// release gives the memory back, unless it is needed: also that of the heap, which a burst of sign-ins has let grow.
func (m *hashMemory) release() {
	m.mu.Lock()
	idle := m.inUse == 0
	if idle {
		for _, piece := range m.free {
			piece.unmap()
		}
		m.free = nil
	}
	m.mu.Unlock()
	if idle {
		debug.FreeOSMemory()
	}
}

// argon2Blocks returns how many blocks a hash with these parameters needs (RFC 9106 3.2, step 2).
func argon2Blocks(memory uint32, threads uint8) uint32 {
	segments := argon2SyncPoints * uint32(threads)
	return max(memory/segments, 2) * segments
}

const (
	argon2SyncPoints = 4 // RFC 9106 3.4
	argon2id         = 2 // the type y of RFC 9106 3.2
	blake2bSize      = 64
)

// argon2idKey returns what argon2.IDKey returns. It computes in blocks, whose number is argon2Blocks and which must be
// zero.
func argon2idKey(blocks []block, password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
	h0 := initHash(password, salt, nil, nil, time, memory, uint32(threads), size, argon2id)
	lane := len(blocks) / int(threads)
	for i := range uint32(threads) {
		binary.LittleEndian.PutUint32(h0[blake2bSize+4:], i)
		for column := range uint32(2) { // RFC 9106 3.2, steps 3 and 4
			binary.LittleEndian.PutUint32(h0[blake2bSize:], column)
			var first [1024]byte
			blake2bHash(first[:], h0[:])
			for word := range blocks[0] {
				blocks[int(i)*lane+int(column)][word] = binary.LittleEndian.Uint64(first[8*word:])
			}
		}
	}
	processBlocks(blocks, time, uint32(len(blocks)), uint32(threads), argon2id)
	return extractKey(blocks, uint32(len(blocks)), uint32(threads), size)
}

// The parts of argon2.IDKey. The package exports no way to pass memory (golang.org/issue/36634). A version that changes
// them does not link, or fails TestHashMemoryComputesArgon2id.

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(
	password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int,
) [blake2bSize + 8]byte

//go:linkname processBlocks golang.org/x/crypto/argon2.processBlocks
func processBlocks(blocks []block, time, memory, threads uint32, mode int)

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(blocks []block, memory, threads, keyLen uint32) []byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)
