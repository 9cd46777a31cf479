package ratelimit_test

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/ratelimit"
)

// A refusal is remembered for a second, for one name and source, and not beyond the time at which to try again.
func TestRefusalsAreRemembered(t *testing.T) {
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	l := &ratelimit.Limiter{Now: func() time.Time { return now }}
	home := ratelimit.PasswordSource{Networks: ratelimit.Networks{{Name: "192.0.2.1", Weight: 1}}}
	elsewhere := ratelimit.PasswordSource{Networks: ratelimit.Networks{{Name: "192.0.2.2", Weight: 1}}}
	known := ratelimit.PasswordSource{Networks: home.Networks, Device: "laptop"}
	refused := func(name string, by ratelimit.PasswordSource) bool {
		return errors.Is(l.RecentlyRefused(name, by), ratelimit.ErrLimited)
	}
	l.RememberRefused("anna", home, &ratelimit.LimitedError{RetryAt: now.Add(time.Minute)})
	l.RememberRefused("ben", home, &ratelimit.LimitedError{RetryAt: now.Add(time.Second / 2)})
	l.RememberRefused("carl", home, errors.New("not a limit"))
	if !refused("anna", home) || !refused("ben", home) {
		t.Error("a refusal is forgotten at once")
	}
	if refused("anna", elsewhere) || refused("anna", known) || refused("dora", home) || refused("carl", home) {
		t.Error("somebody else is refused")
	}
	now = now.Add(time.Second / 2)
	if !refused("anna", home) || refused("ben", home) {
		t.Error("after half a second: a refusal ends early, or lasts longer than the limit")
	}
	now = now.Add(time.Second / 2)
	if refused("anna", home) {
		t.Error("a refusal is remembered for longer than a second")
	}
	now = now.Add(-time.Hour)
	if refused("anna", home) {
		t.Error("a refusal in the future counts")
	}
}

// A name can be as long as a form. What is remembered of ten thousand of them fits into little memory.
func TestLongNamesAreRememberedShort(t *testing.T) {
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	l := &ratelimit.Limiter{Now: func() time.Time { return now }}
	by := ratelimit.PasswordSource{Networks: ratelimit.Networks{{Name: "192.0.2.1", Weight: 1}}}
	name := func(i int) string { return strings.Repeat("x", 50_000) + strconv.Itoa(i) }
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const names = 1000
	for i := range names {
		l.RememberRefused(name(i), by, &ratelimit.LimitedError{RetryAt: now.Add(time.Minute)})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > names*1000 {
		t.Errorf("%d bytes for each name", used/names)
	}
	if !errors.Is(l.RecentlyRefused(name(0), by), ratelimit.ErrLimited) || l.RecentlyRefused(name(names), by) != nil {
		t.Error("another name is refused, or the same is not")
	}
}
