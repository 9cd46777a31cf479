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

// ErrHashQueueFull says that as many passwords wait to be hashed as may. Nothing was computed and
// nothing is known about the password: the person should try again in some seconds, and
// it must not count as a wrong password.
var ErrHashQueueFull = errors.New("too many passwords at once")

const (
	saltSize           = 16
	tagSize            = 32
	defaultQueueLength = 64 // at 30 ms each and two slots, the last one waits a second
)

// HashCost is what hashing one password costs, and so what guessing one costs somebody who
// has stolen the database. A field that is zero means today's default: 19 MiB, 2 passes.
type HashCost struct {
	MemoryKiB uint32
	Passes    uint32 // passes over the memory
}

// Check returns an error that says what to do if c is below the floor that OWASP ASVS
// gives (46 MiB with 1 pass, 19 MiB with 2, 12 MiB with 3 or more), or above what Same
// agrees to compute. NewPasswords takes a lower cost, so that tests can be quick:
// whoever reads the cost from a person's settings calls Check.
func (c HashCost) Check() error {
	c = c.withDefaults()
	floor := uint32(12 << 10)
	switch c.Passes {
	case 1:
		floor = 46 << 10
	case 2:
		floor = 19 << 10
	}
	if c.MemoryKiB < floor {
		return fmt.Errorf("seal: password cost: %d KiB with time %d is too cheap to guess: set at least %d KiB", c.MemoryKiB, c.Passes, floor)
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

// testCost is a cost that a test of the whole server does not feel.
var testCost = HashCost{MemoryKiB: 64, Passes: 1}

var lowCost atomic.Bool

// LowCost makes testCost the default of every NewPasswords from now on, or undoes that. It is for
// tests of whole servers, which sign in thousands of times; a test in test/attack makes sure that
// the program itself never calls it.
func LowCost(on bool) { lowCost.Store(on) }

// PasswordHasher hashes and compares passwords, a bounded number at a time: each takes much
// memory and a whole processor, so a flood must find a door that says no at once.
// It may be used by any number of goroutines.
type PasswordHasher struct {
	params    argon2Params // parameters of new hashes
	dummyHash passwordHash // for accounts that have none
	slots     chan struct{}
	waiters   chan struct{}
	hashFunc  func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte
}

// NewPasswordHasher returns Passwords that compute at most slots hashes at once (0: one per
// processor Go may use) and let at most queue callers wait (0: 64; less: nobody waits).
// Memory needed is slots times the cost, twice that until it is collected.
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
	// A random sum, so that the dummy fits no password even if a later hand breaks the
	// line in Same that says no.
	p.dummyHash = passwordHash{argon2Params: p.params, salt: randomBytes(saltSize), tag: randomBytes(tagSize)}
	return p
}

// Hash returns the argon2id hash of password in the usual text form ($argon2id$v=19$…)
// with a fresh salt. The password is normalised (NFKC) and never cut. Call Acceptable
// first; Hash refuses only what could never be a password: ErrTooShort if it is empty,
// ErrTooLong, ErrNotText. It returns ErrBusy when too many wait, and ctx's error if ctx
// ended while waiting.
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

// Verify reports whether hash was made of password. If it was, stale says that it was made
// at another cost than today's, so the caller should store a new Hash. Whenever err is
// not nil, same is false: ErrBusy and ctx's error as in Hash; any other error means that
// the hash itself is damaged or would cost absurdly much, and nothing was computed.
//
// An empty hash is an account that does not exist or has no password. Nothing is the same
// as it, yet the full work is done: otherwise the time of the answer would tell strangers
// which addresses have an account. Please do not optimise this.
func (p *PasswordHasher) Verify(ctx context.Context, hash, password string) (match, stale bool, err error) {
	text, err := normalizePassword(password)
	if err != nil {
		// Hash never takes such a password. Said without work, which tells nothing, as
		// the hash was not looked at.
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

// compute does the work of h on text, in a slot.
func (p *PasswordHasher) compute(ctx context.Context, h passwordHash, text string) ([]byte, error) {
	if err := p.acquireSlot(ctx); err != nil {
		return nil, err
	}
	defer func() { <-p.slots }()
	return p.hashFunc([]byte(text), h.salt, h.passes, h.memoryKiB, h.threads, uint32(len(h.tag))), nil
}

// acquireSlot takes a slot, after waiting in the queue if it must. A slot that is left goes to
// who waits longest; newcomers cannot overtake, since a channel with waiting senders is full.
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
