package seal

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
)

// hashMemory computes what argon2.IDKey computes, with memory that has been used before and at the same time.
func TestHashMemoryComputesArgon2id(t *testing.T) {
	var memory hashMemory
	var all sync.WaitGroup
	for _, size := range []uint32{8, 9, 32, 64, 67, 19 << 10} {
		for threads := uint8(1); uint32(threads)*8 <= size && threads <= maxThreads; threads++ {
			for passes := range uint32(3) {
				password, salt := fmt.Appendf(nil, "password %d", size), fmt.Appendf(nil, "salt %d %d", threads, passes)
				all.Go(func() {
					want := argon2.IDKey(password, salt, passes+1, size, threads, 32)
					for range 2 {
						if key := memory.idKey(password, salt, passes+1, size, threads, 32); !bytes.Equal(key, want) {
							t.Errorf("m=%d, t=%d, p=%d: %x, want %x", size, passes+1, threads, key, want)
						}
					}
				})
			}
		}
		all.Wait()
	}
}

// The memory of a hash is used again by the next one, holds nothing of a password, and is given back.
func TestHashMemoryIsUsedAgain(t *testing.T) {
	var memory hashMemory
	hash := func(size uint32) { memory.idKey([]byte("password"), []byte("some salt"), 1, size, 1, 32) }
	hash(64)
	first := &memory.free[0].blocks[0]
	for range 3 {
		hash(64)
	}
	if len(memory.free) != 1 || &memory.free[0].blocks[0] != first {
		t.Errorf("%d pieces of memory, want the first one only", len(memory.free))
	}
	for _, b := range memory.free[0].blocks {
		if b != (block{}) {
			t.Fatal("a block is not cleared")
		}
	}
	hash(128)
	if len(memory.free) != 1 || len(memory.free[0].blocks) != 128 {
		t.Errorf("%d pieces of memory, want one for the last size", len(memory.free))
	}
	held := memory.take(128)
	memory.release()
	memory.put(held)
	if len(memory.free) != 1 {
		t.Error("memory was given back while a hash was computed")
	}
	memory.release()
	if memory.free != nil {
		t.Error("memory is kept")
	}
}

func BenchmarkHashMemory(b *testing.B) {
	for name, f := range map[string]func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte{
		"again": new(hashMemory).idKey, "fresh": argon2.IDKey,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f([]byte("password"), []byte("some salt"), 2, 19<<10, 1, 32)
			}
		})
	}
}
