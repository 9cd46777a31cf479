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

// blocksIdle is how long blocks are kept after the last hash.
const blocksIdle = 5 * time.Second

// blockCache computes hashes in memory that it uses again: argon2.IDKey allocates it for each hash, which takes more CPU
// time, and twice the memory until the garbage is collected. blockCache gives the memory back to the operating system
// blocksIdle after the last hash. It keeps as many blocks as were in use at once. It is safe for concurrent use.
type blockCache struct {
	mu    sync.Mutex
	free  [][]block // all zero
	inUse int
	timer *time.Timer
}

// idKey returns what argon2.IDKey returns.
func (c *blockCache) idKey(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
	blocks := c.take(int(argon2Blocks(memory, threads)))
	defer c.put(blocks)
	return argon2idKey(blocks, password, salt, time, memory, threads, size)
}

// take returns n blocks that are zero.
func (c *blockCache) take(n int) []block {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inUse++
	i := slices.IndexFunc(c.free, func(free []block) bool { return len(free) == n })
	if i < 0 {
		c.free = c.free[:max(len(c.free)-1, 0)] // of another size, or none
		return make([]block, n)
	}
	blocks := c.free[i]
	c.free = slices.Delete(c.free, i, i+1)
	return blocks
}

// put keeps blocks that take has returned. It clears them, because they hold a password's hash.
func (c *blockCache) put(blocks []block) {
	clear(blocks)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inUse--
	c.free = append(c.free, blocks)
	if c.timer == nil {
		c.timer = time.AfterFunc(blocksIdle, c.release)
		return
	}
	c.timer.Reset(blocksIdle)
}

// release gives the memory back, unless it is needed again.
func (c *blockCache) release() {
	c.mu.Lock()
	idle := c.inUse == 0
	if idle {
		c.free = nil
	}
	c.mu.Unlock()
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
// them does not link, or fails TestBlockCacheComputesArgon2id.

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
