package seal

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"twostep.example/twostep/internal/fairqueue"
)

var nobody fairqueue.Request

// cheapHasher returns a PasswordHasher with minimal cost.
func cheapHasher() *PasswordHasher {
	return NewPasswordHasher(HashCost{MemoryKiB: 64, Passes: 1}, 2, 0)
}

func mustHash(t *testing.T, p *PasswordHasher, password string) string {
	t.Helper()
	h, err := p.Hash(t.Context(), nobody, password)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustVerify(t *testing.T, p *PasswordHasher, hash, password string) bool {
	t.Helper()
	same, _, err := p.Verify(t.Context(), nobody, hash, password)
	if err != nil {
		t.Fatal(err)
	}
	return same
}

func TestHashAndVerifyWithDefaults(t *testing.T) {
	p := NewPasswordHasher(HashCost{}, 0, 0)
	h := mustHash(t, p, "correct horse")
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(h, want) {
		t.Errorf("Hash = %q, want %q in front", h, want)
	}
	if !mustVerify(t, p, h, "correct horse") || mustVerify(t, p, h, "Correct horse") || mustVerify(t, p, h, "") {
		t.Error("want this password and no other")
	}
}

// LowCost lowers the default cost, and no cost that was given.
func TestLowCost(t *testing.T) {
	LowCost(true)
	defer LowCost(false)
	if h := mustHash(t, NewPasswordHasher(HashCost{}, 0, 0), "correct horse"); !strings.HasPrefix(h,
		"$argon2id$v=19$m=64,t=1,p=1$") {
		t.Errorf("Hash = %q, want testCost", h)
	}
	asked := HashCost{MemoryKiB: 128, Passes: 1}
	if h := mustHash(t, NewPasswordHasher(asked, 0, 0), "correct horse"); !strings.HasPrefix(h,
		"$argon2id$v=19$m=128,t=1,p=1$") {
		t.Errorf("Hash = %q, want the cost that was asked for", h)
	}
}

// From the tests of the reference implementation.
func TestArgon2Vector(t *testing.T) {
	const vector = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	same, stale, err := cheapHasher().Verify(t.Context(), nobody, vector, "password")
	if !same || !stale || err != nil {
		t.Errorf("got same %v, stale %v, %v; want true, true", same, stale, err)
	}
}

func TestHashIsSalted(t *testing.T) {
	p := cheapHasher()
	one, other := mustHash(t, p, "correct horse"), mustHash(t, p, "correct horse")
	if one == other {
		t.Error("one hash for two accounts: want a salt")
	}
}

// Long passwords count to the last character.
func TestPasswordIsNotTruncated(t *testing.T) {
	p := cheapHasher()
	long := strings.Repeat("x", 999)
	h := mustHash(t, p, long+"a")
	if !mustVerify(t, p, h, long+"a") || mustVerify(t, p, h, long+"b") || mustVerify(t, p, h, long) ||
		mustVerify(t, p, h, long+"aa") {
		t.Error("the end of a long password does not count")
	}
}

// One keyboard sends é as one code point, another as e and an accent; one sends full-width letters.
func TestPasswordIsNormalized(t *testing.T) {
	p := cheapHasher()
	composed, decomposed, wide := "caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me", "\uff43\uff41f\u00e9 cr\u00e8me"
	for _, set := range []string{composed, decomposed, wide} {
		h := mustHash(t, p, set)
		for _, typed := range []string{composed, decomposed, wide} {
			if !mustVerify(t, p, h, typed) {
				t.Errorf("set as %+q, typed as %+q: want the same", set, typed)
			}
		}
		if mustVerify(t, p, h, "cafe creme") {
			t.Error("the accents do not count")
		}
	}
}

func TestVerifyReportsStaleHash(t *testing.T) {
	today := cheapHasher()
	for name, p := range map[string]*PasswordHasher{
		"memory": NewPasswordHasher(HashCost{MemoryKiB: 128, Passes: 1}, 0, 0),
		"time":   NewPasswordHasher(HashCost{MemoryKiB: 64, Passes: 2}, 0, 0),
	} {
		same, stale, err := today.Verify(t.Context(), nobody, mustHash(t, p, "correct horse"), "correct horse")
		if !same || !stale || err != nil {
			t.Errorf("other %s: got same %v, stale %v, %v; want true, true", name, same, stale, err)
		}
	}
	h := mustHash(t, today, "correct horse")
	if same, stale, err := today.Verify(t.Context(), nobody, h, "correct horse"); !same || stale || err != nil {
		t.Errorf("today's: got same %v, stale %v, %v; want true, false", same, stale, err)
	}
	if same, stale, err := NewPasswordHasher(HashCost{}, 0, 0).Verify(t.Context(), nobody, h, "wrong"); same || stale ||
		err != nil {
		t.Errorf("wrong: got same %v, stale %v, %v; want false, false", same, stale, err)
	}
}

// An account that does not exist costs the same work, and no password matches.
func TestVerifyWithoutHashDoesFullWork(t *testing.T) {
	p := cheapHasher()
	h := mustHash(t, p, "correct horse")
	type work struct {
		time, memory, size uint32
		threads            uint8
		salt               int
	}
	var done []work
	real := p.hashFunc
	p.hashFunc = func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
		done = append(done, work{time, memory, size, threads, len(salt)})
		return real(password, salt, time, memory, threads, size)
	}
	for _, password := range []string{"", "correct horse", "null", "x"} {
		done = nil
		mustVerify(t, p, h, password)
		if mustVerify(t, p, "", password) {
			t.Errorf("%q matches without a hash", password)
		}
		if len(done) != 2 || done[0] != done[1] {
			t.Errorf("known and unknown did %+v, want the same work once each", done)
		}
	}
	// Not even if the work gives exactly the tag of the dummy.
	p.hashFunc = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte { return p.dummyHash.tag }
	if mustVerify(t, p, "", "x") {
		t.Error("the dummy has a password")
	}
}

// What Hash rejects matches no hash, without work.
func TestVerifyInvalidPasswordDoesNoWork(t *testing.T) {
	p := cheapHasher()
	h := mustHash(t, p, "correct horse")
	p.hashFunc = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte {
		t.Error("work was done")
		return nil
	}
	for password, want := range map[string]error{
		strings.Repeat("x", 4097): ErrPasswordTooLong,
		strings.Repeat("x", 9e6):  ErrPasswordTooLong,
		"nul\x00nul":              ErrPasswordNotText,
		"broken\xff":              ErrPasswordNotText,
	} {
		if got, err := p.Hash(t.Context(), nobody, password); got != "" || !errors.Is(err, want) {
			t.Errorf("Hash of %d bytes: got %v, want %v", len(password), err, want)
		}
		if mustVerify(t, p, h, password) || mustVerify(t, p, "", password) {
			t.Errorf("a password of %d bytes is the same", len(password))
		}
	}
	if _, err := p.Hash(t.Context(), nobody, ""); !errors.Is(err, ErrPasswordTooShort) {
		t.Errorf("Hash of nothing: got %v, want ErrTooShort", err)
	}
}

func TestHashRefusesExcessiveCost(t *testing.T) {
	for _, cost := range []HashCost{{MemoryKiB: maxMemoryKiB + 1}, {Passes: maxPasses + 1}, {MemoryKiB: 7}} {
		p := NewPasswordHasher(cost, 0, 0)
		p.hashFunc = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte {
			t.Errorf("%+v: work was done", cost)
			return nil
		}
		if h, err := p.Hash(t.Context(), nobody, "correct horse"); err == nil || h != "" {
			t.Errorf("%+v: got a hash that Same would refuse", cost)
		}
	}
}

func TestHashCostCheck(t *testing.T) {
	for cost, good := range map[HashCost]bool{
		{}:                                true,
		{MemoryKiB: 19456}:                true,
		{MemoryKiB: 19455}:                false,
		{MemoryKiB: 19456, Passes: 1}:     false,
		{MemoryKiB: 47104, Passes: 1}:     true,
		{MemoryKiB: 47103, Passes: 1}:     false,
		{MemoryKiB: 12288, Passes: 3}:     true,
		{MemoryKiB: 12287, Passes: 3}:     false,
		{MemoryKiB: 262144, Passes: 10}:   true,
		{MemoryKiB: 262145}:               false,
		{MemoryKiB: 65536, Passes: 11}:    false,
		{MemoryKiB: 4194304, Passes: 200}: false,
	} {
		if err := cost.Check(); (err == nil) != good {
			t.Errorf("%+v: got %v, want good %v", cost, err, good)
		}
	}
}

// A hash waits for a slot, and a caller whose context ends while it waits gets no hash.
func TestHashWaitsForSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswordHasher(HashCost{MemoryKiB: 64, Passes: 1}, 1, 8)
		slot, err := p.Reserve(t.Context(), nobody)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		go func() { _, err := p.Hash(t.Context(), nobody, "correct horse"); done <- err }()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _, err := p.Verify(ctx, nobody, "", "correct horse"); done <- err }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("a hash was computed without a slot")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, fairqueue.ErrFull) {
			t.Errorf("got %v, want context.Canceled and ErrFull", err)
		}
		slot.Release()
		if err := <-done; err != nil {
			t.Errorf("got %v, want a hash", err)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	p := NewPasswordHasher(HashCost{}, 0, 0)
	for b.Loop() {
		if _, err := p.Hash(b.Context(), nobody, "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
