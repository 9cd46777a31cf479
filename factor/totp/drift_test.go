package totp

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"twostep.example/twostep/factor"
)

// simulatedUser is a person with an app on a phone whose clock is off.
type simulatedUser struct {
	t             *testing.T
	rng           *rand.Rand
	factor        factor.Factor
	clockOffset   time.Duration // of the phone; positive is ahead
	typingDelay   [2]time.Duration
	now           time.Time
	refused       int // attempts
	failedSignIns int // sign-ins that were given up after five attempts
}

func newSimulatedUser(t *testing.T, clock, quickest, slowest time.Duration) *simulatedUser {
	return &simulatedUser{t: t, rng: rand.New(rand.NewPCG(1, 2)), factor: storedApp(0, 0), clockOffset: clock,
		typingDelay: [2]time.Duration{quickest, slowest}, now: noon}
}

// tryCode reads a code off the phone, types it and submits it.
func (p *simulatedUser) tryCode() bool {
	p.t.Helper()
	text := hotpCode(rfcKey, stepAt(p.now.Add(p.clockOffset)))
	p.now = p.now.Add(p.typingDelay[0] + time.Duration(p.rng.Int64N(int64(p.typingDelay[1]-p.typingDelay[0])+1)))
	err := verifyCode(p.t, &p.factor, text, p.now)
	if err != nil && !errors.Is(err, factor.ErrIncorrect) {
		p.t.Fatal(err)
	}
	return err == nil
}

// signIn tries up to five codes, each a new one, on a later day.
func (p *simulatedUser) signIn() {
	p.t.Helper()
	p.now = p.now.Add(24*time.Hour + time.Duration(p.rng.Int64N(int64(24*time.Hour))))
	for range 5 {
		if p.tryCode() {
			return
		}
		p.refused++
		next := (stepAt(p.now.Add(p.clockOffset)) + 1) * stepSeconds // when the phone shows the next code
		p.now = time.Unix(next, 0).Add(-p.clockOffset + time.Duration(p.rng.Int64N(int64(10*time.Second))))
	}
	p.failedSignIns++
}

// countRefused returns how many attempts of n more sign-ins were rejected.
func (p *simulatedUser) countRefused(n int) int {
	p.t.Helper()
	refused, _ := p.runSignIns(n)
	return refused
}

func (p *simulatedUser) learnedDrift() int64 { return secretOf(p.t, p.factor).DriftSeconds }

func (p *simulatedUser) runSignIns(n int) (refused, out int) {
	p.t.Helper()
	p.refused, p.failedSignIns = 0, 0
	for range n {
		p.signIn()
	}
	return p.refused, p.failedSignIns
}

// A person with a correct clock is not rejected, however slowly or quickly they type, although the
// window adapts to their typing as well.
func TestRightClockIsNotRefused(t *testing.T) {
	for _, typing := range [][2]time.Duration{{0, 1}, {3, 15}, {1, 20}, {10, 29}, {2, 28}} {
		p := newSimulatedUser(t, 0, typing[0]*time.Second, typing[1]*time.Second)
		if refused, out := p.runSignIns(500); refused > 2 || out != 0 || p.learnedDrift() > 10 ||
			p.learnedDrift() < -10 {
			t.Errorf("typing for %d to %d s: %d tries of 500 sign-ins refused, %d given up, drift %d", typing[0],
				typing[1], refused, out, p.learnedDrift())
		}
	}
}

// A clock that is wrong during enrolment is learned then.
func TestEnrollmentLearnsDrift(t *testing.T) {
	for _, clock := range []time.Duration{-70, -60, -40, -30, -15, 15, 40, 60} {
		p := newSimulatedUser(t, clock*time.Second, 3*time.Second, 15*time.Second)
		if refused, out := p.runSignIns(500); refused > 10 || out != 0 {
			t.Errorf("clock off by %d s: %d refused and %d given up of 500, drift %d", clock, refused, out,
				p.learnedDrift())
		}
	}
}

// A phone that falls 40 seconds behind is still accepted, and its drift is learned.
func TestDriftFollowsSlowClock(t *testing.T) {
	p := newSimulatedUser(t, 0, 3*time.Second, 15*time.Second)
	p.runSignIns(5)
	for _, clock := range []time.Duration{-20, -40, -70} {
		p.clockOffset = clock * time.Second
		_, out := p.runSignIns(20)
		if refused, later := p.runSignIns(500); out > 1 || refused > 20 || later != 0 {
			t.Errorf("%d s behind: at first %d given up of 20, then %d refused and %d given up of 500, drift %d",
				-clock, out, refused, later, p.learnedDrift())
		}
	}
}

// The same with one jump, without a step of 20 seconds in between.
func TestDriftFollowsClockJump(t *testing.T) {
	p := newSimulatedUser(t, 0, 3*time.Second, 15*time.Second)
	p.runSignIns(5)
	p.clockOffset = -40 * time.Second
	_, out := p.runSignIns(20)
	if refused, later := p.runSignIns(500); out > 1 || refused > 20 || later != 0 {
		t.Errorf("at first %d given up of 20, then %d refused and %d given up of 500, drift %d", out, refused, later,
			p.learnedDrift())
	}
}

// A clock that is corrected by up to 15 seconds is followed back. A larger correction may be
// rejected for long, and the error says what to do.
func TestDriftFollowsCorrectedClock(t *testing.T) {
	for _, drift := range []int64{-14, -10, 10, 14, 30} {
		p := newSimulatedUser(t, 0, 3*time.Second, 15*time.Second)
		p.factor = storedApp(1, drift)
		_, out := p.runSignIns(20)
		if later := p.countRefused(100); out != 0 || later > 2 {
			t.Errorf("from %+d s: at first %d given up of 20, then %d refused of 100, drift %d", drift, out, later,
				p.learnedDrift())
		}
	}
	for _, drift := range []int64{-60, -30, -15, 60} {
		f := storedApp(1, drift)
		if got := messageKey(t, verifyCode(t, &f, hotpCode(rfcKey, stepAt(noon)),
			noon.Add(5*time.Second))); got != "clock.drift" {
			t.Errorf("from %+d s: says %q", drift, got)
		}
	}
}

// No code changes the drift by more than five seconds or beyond a minute, and an accepted code
// would still be accepted after the change.
func TestDriftAdjustmentIsBounded(t *testing.T) {
	for drift := int64(-maxDriftSeconds); drift <= maxDriftSeconds; drift++ {
		for unix := noon.Unix(); unix < noon.Unix()+stepSeconds; unix++ {
			s := secret{Key: rfcKey, LastUsedStep: 1, DriftSeconds: drift}
			first, last := s.acceptedWindow(unix)
			for step := first; step <= last; step++ {
				s := s
				s.markUsed(step, unix)
				if moved := s.DriftSeconds - drift; moved < -5 || moved > 5 || s.DriftSeconds < -60 ||
					s.DriftSeconds > 60 || s.LastUsedStep != step {
					t.Errorf("drift %d, second %d: became %d, used %d of %d", drift, unix-noon.Unix(), s.DriftSeconds,
						s.LastUsedStep, step)
				}
				if first, last := s.acceptedWindow(unix); step < first || step > last {
					t.Errorf("drift %d, second %d, step %d: not accepted after the move to %d", drift, unix-noon.Unix(),
						step, s.DriftSeconds)
				}
			}
		}
	}
}

// Phones that are five minutes off are rejected, with a message.
func TestClockFiveMinutesOffIsRefused(t *testing.T) {
	f := storedApp(1, 0)
	if got := messageKey(t, verifyCode(t, &f, hotpCode(rfcKey, stepAt(noon.Add(-5*time.Minute))),
		noon.Add(8*time.Second))); got != "clock.behind Minutes 5" {
		t.Errorf("says %q", got)
	}
}
