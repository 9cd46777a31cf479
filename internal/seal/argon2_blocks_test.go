package seal

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"
)

// A blockCache computes what argon2.IDKey computes, with memory that has been used before and at the same time.
func TestBlockCacheComputesArgon2id(t *testing.T) {
	var cache blockCache
	var all sync.WaitGroup
	for _, memory := range []uint32{8, 9, 32, 64, 67, 19 << 10} {
		for threads := uint8(1); uint32(threads)*8 <= memory && threads <= maxThreads; threads++ {
			for passes := range uint32(3) {
				password, salt := fmt.Appendf(nil, "password %d", memory), fmt.Appendf(nil, "salt %d %d", threads, passes)
				all.Go(func() {
					want := argon2.IDKey(password, salt, passes+1, memory, threads, 32)
					for range 2 {
						if key := cache.idKey(password, salt, passes+1, memory, threads, 32); !bytes.Equal(key, want) {
							t.Errorf("m=%d, t=%d, p=%d: %x, want %x", memory, passes+1, threads, key, want)
						}
					}
				})
			}
		}
		all.Wait()
	}
}

// The memory of a hash is used again by the next one, holds nothing of a password, and is given back.
func TestBlockCacheUsesMemoryAgain(t *testing.T) {
	var cache blockCache
	hash := func(memory uint32) { cache.idKey([]byte("password"), []byte("some salt"), 1, memory, 1, 32) }
	hash(64)
	first := &cache.free[0][0]
	for range 3 {
		hash(64)
	}
	if len(cache.free) != 1 || &cache.free[0][0] != first {
		t.Errorf("%d pieces of memory, want the first one only", len(cache.free))
	}
	for _, b := range cache.free[0] {
		if b != (block{}) {
			t.Fatal("a block is not cleared")
		}
	}
	hash(128)
	if len(cache.free) != 1 || len(cache.free[0]) != 128 {
		t.Errorf("%d pieces of memory, want one for the last size", len(cache.free))
	}
	held := cache.take(128)
	cache.release()
	cache.put(held)
	if len(cache.free) != 1 {
		t.Error("memory was given back while a hash was computed")
	}
	cache.release()
	if cache.free != nil {
		t.Error("memory is kept")
	}
}

func BenchmarkBlockCache(b *testing.B) {
	for name, f := range map[string]func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte{
		"again": new(blockCache).idKey, "fresh": argon2.IDKey,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f([]byte("password"), []byte("some salt"), 2, 19<<10, 1, 32)
			}
		})
	}
}
