package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// ErrHashQueueFull says that too many passwords are waiting to be hashed. Nothing was computed: the
// person should try again in some seconds, and the attempt must not count as a wrong password.
var ErrHashQueueFull = errors.New("too many passwords at once")

const (
	saltSize           = 16
	tagSize            = 32
	defaultQueueLength = 64 // at 30 ms each and two slots, the last one waits a second
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

// PasswordHasher hashes and verifies passwords. The number of concurrent hashes and of waiting
// callers is bounded, because each hash takes much memory and a whole CPU. It is safe for
// concurrent use.
type PasswordHasher struct {
	params    argon2Params // parameters of new hashes
	dummyHash passwordHash // for accounts that have none
	slots     chan struct{}
	waiters   chan struct{}
	hashFunc  func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte
}

// NewPasswordHasher returns a PasswordHasher that computes at most slots hashes at once (0:
// GOMAXPROCS) and lets at most queue callers wait (0: 64; negative: none). It needs slots times the
// memory of the cost, twice that until the garbage is collected.
func NewPasswordHasher(cost HashCost, slots, queue int) *PasswordHasher {
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	if queue == 0 {
		queue = defaultQueueLength
	}
	if cost == (HashCost{}) && lowCost.Load() {
		cost = testCost
	}
	cost = cost.withDefaults()
	p := &PasswordHasher{
		params:   argon2Params{memoryKiB: cost.MemoryKiB, passes: cost.Passes, threads: 1},
		slots:    make(chan struct{}, slots),
		waiters:  make(chan struct{}, max(queue, 0)),
		hashFunc: argon2.IDKey,
	}
	// The tag is random, so that the dummy matches no password even if Verify forgets to check
	// hasHash.
	p.dummyHash = passwordHash{argon2Params: p.params, salt: randomBytes(saltSize), tag: randomBytes(tagSize)}
	return p
}

// Hash returns the Argon2id hash of password as a PHC string ($argon2id$v=19$…) with a random salt.
// The password is normalized (NFKC) and never truncated. Call CheckNewPassword first: Hash itself
// returns only ErrPasswordTooShort if it is empty, ErrPasswordTooLong and ErrPasswordNotText. Hash
// returns ErrHashQueueFull if too many callers wait, and an error that also wraps ctx's error if
// ctx ends while waiting.
func (p *PasswordHasher) Hash(ctx context.Context, password string) (string, error) {
	text, err := normalizePassword(password)
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", ErrPasswordTooShort
	}
	if err := p.params.check(); err != nil {
		return "", err
	}
	h := passwordHash{argon2Params: p.params, salt: randomBytes(saltSize), tag: make([]byte, tagSize)}
	if h.tag, err = p.compute(ctx, h, text); err != nil {
		return "", err
	}
	return h.String(), nil
}

// Verify reports whether password matches hash. stale says that the hash matched but has another
// cost than today's, so that the caller should store a new one. If err is not nil, match is false.
// Verify returns ErrHashQueueFull and ctx's error as Hash does, and another error if the hash is
// damaged or its cost is out of bounds; then nothing was computed.
//
// An empty hash means that the account does not exist or has no password. It never matches, but
// Verify does the full work: otherwise the response time would disclose which addresses have an
// account (ASVS 6.3.8). Do not optimize this.
func (p *PasswordHasher) Verify(ctx context.Context, hash, password string) (match, stale bool, err error) {
	text, err := normalizePassword(password)
	if err != nil {
		// Hash rejects such passwords. Rejecting it without work discloses nothing, since it does
		// not depend on the hash.
		return false, false, nil
	}
	hasHash := hash != ""
	want := p.dummyHash
	if hasHash {
		if want, err = parsePHC(hash); err != nil {
			return false, false, err
		}
	}
	got, err := p.compute(ctx, want, text)
	if err != nil {
		return false, false, err
	}
	match = subtle.ConstantTimeCompare(got, want.tag) == 1 && hasHash
	return match, match && p.needsRehash(want), nil
}

func (p *PasswordHasher) needsRehash(h passwordHash) bool {
	return h.argon2Params != p.params || len(h.salt) != saltSize || len(h.tag) != tagSize
}

// compute hashes text with the parameters of h, in a slot.
func (p *PasswordHasher) compute(ctx context.Context, h passwordHash, text string) ([]byte, error) {
	if err := p.acquireSlot(ctx); err != nil {
		return nil, err
	}
	defer func() { <-p.slots }()
	return p.hashFunc([]byte(text), h.salt, h.passes, h.memoryKiB, h.threads, uint32(len(h.tag))), nil
}

// acquireSlot takes a slot, waiting in the queue if necessary. A free slot goes to the caller that
// has waited longest; newcomers cannot overtake, since a channel with waiting senders is full.
func (p *PasswordHasher) acquireSlot(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("seal: password: %w", err)
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.waiters <- struct{}{}:
		defer func() { <-p.waiters }()
	default:
		return ErrHashQueueFull
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("seal: wait to hash a password: %w: %w", ErrHashQueueFull, ctx.Err())
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
