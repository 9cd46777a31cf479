package forwardauth

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/grant"
)

// Allowed requests are cached for a second, unless their data has changed since it was read, even if the change came
// before they were put into the cache.
func TestAllowCache(t *testing.T) {
	var m allowCache
	read := dataVersion{readAt: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	one, other := cacheKey{origin: "https://wiki.example"}, cacheKey{origin: "https://files.example"}
	m.put(one, read, identityHeaders{"Remote-User": {"anna"}})
	for _, c := range []struct {
		name    string
		of      cacheKey
		after   time.Duration
		changed bool
		want    bool
	}{
		{"at once", one, 0, false, true},
		{"another host", other, 0, false, false},
		{"within a second", one, cacheTTL - time.Nanosecond, false, true},
		{"a second later", one, cacheTTL, false, false},
		{"with the clock set back", one, -time.Nanosecond, false, false},
		{"after a change", one, 0, true, false},
	} {
		asked := false
		said, ok := m.get(c.of, dataVersion{readAt: read.readAt.Add(c.after)}, func(grant.Basis) bool { asked = true; return c.changed })
		if ok != c.want || ok && said["Remote-User"][0] != "anna" || ok && !asked {
			t.Errorf("%s: cached %v, want %v; checked for changes: %v", c.name, ok, c.want, asked)
		}
	}
}
