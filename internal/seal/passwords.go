package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/fairqueue"
)

const (
	saltSize = 16
	tagSize  = 32
)

// HashCost is the cost of one Argon2id hash. A field that is zero means the default: 19 MiB, 2
// passes.
type HashCost struct {
	MemoryKiB uint32
	Passes    uint32 // over the memory
}

// Check returns an error if c is below the minimum of the OWASP Password Storage Cheat Sheet (46
// MiB with 1 pass, 19 MiB with 2, 12 MiB with 3 or more; ASVS 11.4.2) or above what Verify
// computes. The error says what to set. NewPasswordHasher accepts lower costs for tests: call Check
// on a cost from settings.
func (c HashCost) Check() error {
	c = c.withDefaults()
	minimum := uint32(12 << 10)
	switch c.Passes {
	case 1:
		minimum = 46 << 10
	case 2:
		minimum = 19 << 10
	}
	if c.MemoryKiB < minimum {
		return fmt.Errorf("seal: password cost: %d KiB with time %d is too cheap to guess: set at least %d KiB",
			c.MemoryKiB, c.Passes, minimum)
	}
	if c.MemoryKiB > maxMemoryKiB || c.Passes > maxPasses {
		return fmt.Errorf("seal: password cost: set at most %d KiB and time %d", maxMemoryKiB, maxPasses)
	}
	return nil
}

func (c HashCost) withDefaults() HashCost {
	if c.MemoryKiB == 0 {
		c.MemoryKiB = 19 << 10
	}
	if c.Passes == 0 {
		c.Passes = 2
	}
	return c
}

// testCost is a cost that tests of a whole server do not notice.
var testCost = HashCost{MemoryKiB: 64, Passes: 1}

var lowCost atomic.Bool

// LowCost makes testCost the default of NewPasswordHasher, or undoes that. It is for tests of whole
// servers, which sign in thousands of times; a test in test/attack checks that the program itself
// never calls it.
func LowCost(on bool) { lowCost.Store(on) }

// PasswordHasher hashes and verifies passwords, each in a slot of a fair queue, because a hash takes much memory and a
// whole CPU. It is safe for concurrent use.
type PasswordHasher struct {
	// Observe is called after each hash with the time it took, without waiting. Set it before the first one. nil: nothing
	// is measured.
	Observe func(took time.Duration)

	params    argon2Params // parameters of new hashes
	dummyHash passwordHash // for accounts that have none
	queue     *fairqueue.Queue
	computed  atomic.Int64
	hashFunc  func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte
}

// NewPasswordHasher returns a PasswordHasher that computes at most slots hashes at once (0:
// GOMAXPROCS) and lets at most queue callers wait (0: 256; negative: none). It needs slots times the
// memory of the cost, until some seconds after the last hash.
func NewPasswordHasher(cost HashCost, slots, queue int) *PasswordHasher {
	if cost == (HashCost{}) && lowCost.Load() {
		cost = testCost
	}
	cost = cost.withDefaults()
	p := &PasswordHasher{
		params:   argon2Params{memoryKiB: cost.MemoryKiB, passes: cost.Passes, threads: 1},
		queue:    fairqueue.New(slots, queue),
		hashFunc: new(hashMemory).idKey,
	}
	// The tag is random, so that the dummy matches no password even if Verify forgets to check
	// hasHash.
	p.dummyHash = passwordHash{argon2Params: p.params, salt: randomBytes(saltSize), tag: randomBytes(tagSize)}
	return p
}

// HashSlot is the right to compute hashes, one at a time. Call Release when done.
type HashSlot struct {
	*fairqueue.Slot
	hasher *PasswordHasher
}

// Reserve waits for a slot. What decides whether a password may be compared belongs between Reserve and Verify: then no
// more decisions are under way than hashes. It returns an error that wraps fairqueue.ErrFull if too many requests are
// waiting or ctx ends first. Then nothing was computed, and the attempt must not count as a wrong password.
func (p *PasswordHasher) Reserve(ctx context.Context, r fairqueue.Request) (HashSlot, error) {
	slot, err := p.queue.Acquire(ctx, r)
	if err != nil {
		return HashSlot{}, fmt.Errorf("seal: password: %w", err)
	}
	return HashSlot{slot, p}, nil
}

// Hash reserves a slot for one hash. Its errors are those of Reserve and HashSlot.Hash.
func (p *PasswordHasher) Hash(ctx context.Context, r fairqueue.Request, password string) (string, error) {
	slot, err := p.Reserve(ctx, r)
	if err != nil {
		return "", err
	}
	defer slot.Release()
	return slot.Hash(password)
}

// Verify reserves a slot for one comparison. Its errors are those of Reserve and HashSlot.Verify.
func (p *PasswordHasher) Verify(
	ctx context.Context, r fairqueue.Request, hash, password string,
) (match, stale bool, err error) {
	slot, err := p.Reserve(ctx, r)
	if err != nil {
		return false, false, err
	}
	defer slot.Release()
	return slot.Verify(hash, password)
}

// Hash returns the Argon2id hash of password as a PHC string ($argon2id$v=19$…) with a random salt.
// The password is normalized (NFKC) and never truncated. Call CheckNewPassword first: Hash itself
// returns only ErrPasswordTooShort if it is empty, ErrPasswordTooLong and ErrPasswordNotText.
func (s HashSlot) Hash(password string) (string, error) {
	text, err := normalizePassword(password)
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", ErrPasswordTooShort
	}
	if err := s.hasher.params.check(); err != nil {
		return "", err
	}
	h := passwordHash{argon2Params: s.hasher.params, salt: randomBytes(saltSize), tag: make([]byte, tagSize)}
	h.tag = s.hasher.compute(h, text)
	return h.String(), nil
}

// Verify reports whether password matches hash. stale says that the hash matched but has another
// cost than today's, so that the caller should store a new one. If err is not nil, match is false.
// Verify returns an error if the hash is damaged or its cost is out of bounds; then nothing was computed.
//
// An empty hash means that the account does not exist or has no password. It never matches, but
// Verify does the full work: otherwise the response time would disclose which addresses have an
// account (ASVS 6.3.8). Do not optimize this.
func (s HashSlot) Verify(hash, password string) (match, stale bool, err error) {
	text, err := normalizePassword(password)
	if err != nil {
		// Hash rejects such passwords. Rejecting it without work discloses nothing, since it does
		// not depend on the hash.
		return false, false, nil
	}
	hasHash := hash != ""
	want := s.hasher.dummyHash
	if hasHash {
		if want, err = parsePHC(hash); err != nil {
			return false, false, err
		}
	}
	match = subtle.ConstantTimeCompare(s.hasher.compute(want, text), want.tag) == 1 && hasHash
	return match, match && s.hasher.needsRehash(want), nil
}

// Computed returns how many hashes p has computed.
func (p *PasswordHasher) Computed() int64 { return p.computed.Load() }

// Queue says how many requests have a slot, wait for one, and were refused.
func (p *PasswordHasher) Queue() fairqueue.Stats { return p.queue.Stats() }

func (p *PasswordHasher) needsRehash(h passwordHash) bool {
	return h.argon2Params != p.params || len(h.salt) != saltSize || len(h.tag) != tagSize
}

// compute hashes text with the parameters of h.
func (p *PasswordHasher) compute(h passwordHash, text string) []byte {
	p.computed.Add(1)
	if p.Observe != nil {
		defer func(began time.Time) { p.Observe(time.Since(began)) }(time.Now())
	}
	return p.hashFunc([]byte(text), h.salt, h.passes, h.memoryKiB, h.threads, uint32(len(h.tag)))
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
