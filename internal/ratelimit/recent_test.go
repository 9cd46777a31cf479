package ratelimit_test

import (
	"errors"
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
