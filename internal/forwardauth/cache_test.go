package forwardauth

import (
	"strconv"
	"testing"
	"time"
)

// A decision is found in its generation and in the next one, at its host only. A clock that was set back begins a
// generation.
func TestAllowCacheForgets(t *testing.T) {
	var cache allowCache
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	key := func(n int) cacheKey { return cacheKey{origin: "https://wiki" + strconv.Itoa(n) + ".example"} }
	put := func(n int, after time.Duration) {
		cache.put(key(n), &cacheEntry{headers: identityHeaders{strconv.Itoa(n)}}, now.Add(after))
	}
	has := func(want ...int) {
		t.Helper()
		for n := range 6 {
			wanted := false
			for _, one := range want {
				wanted = wanted || one == n
			}
			if entry := cache.get(key(n)); (entry != nil) != wanted || wanted && entry.headers[0] != strconv.Itoa(n) {
				t.Errorf("decision %d: %v, want %v", n, entry, wanted)
			}
		}
	}
	put(1, 0)
	put(2, cacheGeneration-time.Nanosecond)
	has(1, 2)
	put(3, cacheGeneration)
	has(1, 2, 3)
	put(4, 2*cacheGeneration)
	has(3, 4)
	put(5, 0) // the clock was set back
	has(4, 5)
}

// The cache holds no more than two full generations.
func TestAllowCacheIsBounded(t *testing.T) {
	var cache allowCache
	now, entry := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), new(cacheEntry)
	for n := range 3*cacheMaxEntries + 1 {
		cache.put(cacheKey{origin: strconv.Itoa(n)}, entry, now)
	}
	if len(cache.young) != 1 || len(cache.old) != cacheMaxEntries {
		t.Errorf("%d and %d decisions, want 1 and %d", len(cache.young), len(cache.old), cacheMaxEntries)
	}
}
