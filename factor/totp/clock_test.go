package totp

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"twostep.example/twostep/factor"
)

// person is somebody with an app, on a phone whose clock is off.
type person struct {
	t       *testing.T
	dice    *rand.Rand
	factor  factor.Factor
	clock   time.Duration // of the phone; positive: ahead
	typing  [2]time.Duration
	now     time.Time
	refused int // tries
	out     int // sign-ins that were given up after five tries
}

func newPerson(t *testing.T, clock, quickest, slowest time.Duration) *person {
	return &person{t: t, dice: rand.New(rand.NewPCG(1, 2)), factor: app(0, 0), clock: clock, typing: [2]time.Duration{quickest, slowest}, now: noon}
}

// try reads a code off the phone, types it and sends it.
func (p *person) try() bool {
	p.t.Helper()
	text := code(rfcKey, stepOf(p.now.Add(p.clock)))
	p.now = p.now.Add(p.typing[0] + time.Duration(p.dice.Int64N(int64(p.typing[1]-p.typing[0])+1)))
	err := verify(p.t, &p.factor, text, p.now)
	if err != nil && !errors.Is(err, factor.ErrIncorrect) {
		p.t.Fatal(err)
	}
	return err == nil
}

// signIn tries up to five codes, each a new one, on some later day.
func (p *person) signIn() {
	p.t.Helper()
	p.now = p.now.Add(24*time.Hour + time.Duration(p.dice.Int64N(int64(24*time.Hour))))
	for range 5 {
		if p.try() {
			return
		}
		p.refused++
		next := (stepOf(p.now.Add(p.clock)) + 1) * period // when the phone shows the next code
		p.now = time.Unix(next, 0).Add(-p.clock + time.Duration(p.dice.Int64N(int64(10*time.Second))))
	}
	p.out++
}

// recently is how many tries of n more sign-ins were refused.
func (p *person) recently(n int) int {
	p.t.Helper()
	refused, _ := p.signIns(n)
	return refused
}

func (p *person) drift() int64 { return stateOf(p.t, p.factor).Drift }

func (p *person) signIns(n int) (refused, out int) {
	p.t.Helper()
	p.refused, p.out = 0, 0
	for range n {
		p.signIn()
	}
	return p.refused, p.out
}

// Somebody with a right clock is not refused, however slowly or quickly they type: the
// window follows their hand as well.
func TestRightClock(t *testing.T) {
	for _, typing := range [][2]time.Duration{{0, 1}, {3, 15}, {1, 20}, {10, 29}, {2, 28}} {
		p := newPerson(t, 0, typing[0]*time.Second, typing[1]*time.Second)
		if refused, out := p.signIns(500); refused > 2 || out != 0 || p.drift() > 10 || p.drift() < -10 {
			t.Errorf("typing for %d to %d s: %d tries of 500 sign-ins refused, %d given up, drift %d", typing[0], typing[1], refused, out, p.drift())
		}
	}
}

// A clock that is wrong when the app is set up is learned then.
func TestPhoneOffAtEnrolment(t *testing.T) {
	for _, clock := range []time.Duration{-70, -60, -40, -30, -15, 15, 40, 60} {
		p := newPerson(t, clock*time.Second, 3*time.Second, 15*time.Second)
		if refused, out := p.signIns(500); refused > 10 || out != 0 {
			t.Errorf("clock off by %d s: %d refused and %d given up of 500, drift %d", clock, refused, out, p.drift())
		}
	}
}

// A phone that falls 40 seconds behind still gets in, and it is learned.
func TestPhoneFallsBehind(t *testing.T) {
	p := newPerson(t, 0, 3*time.Second, 15*time.Second)
	p.signIns(5)
	for _, clock := range []time.Duration{-20, -40, -70} {
		p.clock = clock * time.Second
		_, out := p.signIns(20)
		if refused, later := p.signIns(500); out > 1 || refused > 20 || later != 0 {
			t.Errorf("%d s behind: at first %d given up of 20, then %d refused and %d given up of 500, drift %d", -clock, out, refused, later, p.drift())
		}
	}
}

// The same at once, without the step of 20 seconds between.
func TestPhoneJumpsBehind(t *testing.T) {
	p := newPerson(t, 0, 3*time.Second, 15*time.Second)
	p.signIns(5)
	p.clock = -40 * time.Second
	_, out := p.signIns(20)
	if refused, later := p.signIns(500); out > 1 || refused > 20 || later != 0 {
		t.Errorf("at first %d given up of 20, then %d refused and %d given up of 500, drift %d", out, refused, later, p.drift())
	}
}

// A clock that is set right again is followed back from a quarter of a minute. From
// further away it may be refused for long, and the refusal says what to do.
func TestClockSetRight(t *testing.T) {
	for _, drift := range []int64{-14, -10, 10, 14, 30} {
		p := newPerson(t, 0, 3*time.Second, 15*time.Second)
		p.factor = app(1, drift)
		_, out := p.signIns(20)
		if later := p.recently(100); out != 0 || later > 2 {
			t.Errorf("from %+d s: at first %d given up of 20, then %d refused of 100, drift %d", drift, out, later, p.drift())
		}
	}
	for _, drift := range []int64{-60, -30, -15, 60} {
		f := app(1, drift)
		if got := says(t, verify(t, &f, code(rfcKey, stepOf(noon)), noon.Add(5*time.Second))); got != "clock.drift" {
			t.Errorf("from %+d s: says %q", drift, got)
		}
	}
}

// No code moves the drift by more than five seconds or beyond a minute, and what was
// accepted would still be accepted after the move.
func TestDriftMovesSlowly(t *testing.T) {
	for drift := int64(-maxDrift); drift <= maxDrift; drift++ {
		for unix := noon.Unix(); unix < noon.Unix()+period; unix++ {
			s := secret{Key: rfcKey, Last: 1, Drift: drift}
			first, last := s.accepted(unix)
			for step := first; step <= last; step++ {
				s := s
				s.take(step, unix)
				if moved := s.Drift - drift; moved < -5 || moved > 5 || s.Drift < -60 || s.Drift > 60 || s.Last != step {
					t.Errorf("drift %d, second %d: became %d, used %d of %d", drift, unix-noon.Unix(), s.Drift, s.Last, step)
				}
				if first, last := s.accepted(unix); step < first || step > last {
					t.Errorf("drift %d, second %d, step %d: not accepted after the move to %d", drift, unix-noon.Unix(), step, s.Drift)
				}
			}
		}
	}
}

// Phones five minutes off do not get in, and are told.
func TestFiveMinutesOff(t *testing.T) {
	f := app(1, 0)
	if got := says(t, verify(t, &f, code(rfcKey, stepOf(noon.Add(-5*time.Minute))), noon.Add(8*time.Second))); got != "clock.behind Minutes 5" {
		t.Errorf("says %q", got)
	}
}
