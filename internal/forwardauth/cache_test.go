package forwardauth

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/grant"
)

// Allowed requests are cached for a second, unless their data has changed since it was read, even if the change came
// before they were put into the cache.
func TestAllowCache(t *testing.T) {
	var cache allowCache
	read := dataVersion{readAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	known, other := cacheKey{origin: "https://wiki.example"}, cacheKey{origin: "https://files.example"}
	cache.put(known, read, identityHeaders{"Remote-User": {"anna"}})
	for _, c := range []struct {
		name    string
		of      cacheKey
		after   time.Duration
		changed bool
		want    bool
	}{
		{"at once", known, 0, false, true},
		{"another host", other, 0, false, false},
		{"within a second", known, cacheTTL - time.Nanosecond, false, true},
		{"a second later", known, cacheTTL, false, false},
		{"with the clock set back", known, -time.Nanosecond, false, false},
		{"after a change", known, 0, true, false},
	} {
		asked := false
		said, ok := cache.get(c.of, dataVersion{readAt: read.readAt.Add(c.after)}, func(grant.Basis) bool { asked = true; return c.changed })
		if ok != c.want || ok && said["Remote-User"][0] != "anna" || ok && !asked {
			t.Errorf("%s: cached %v, want %v; checked for changes: %v", c.name, ok, c.want, asked)
		}
	}
}
