package sim_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/signin"
)

// attacker is somebody who knows a password and takes every guess that they can get.
type attacker struct {
	*owner          // whose password it is
	method   string // at which they guess
	from     int    // their first network
	networks int    // how many they have
	every    time.Duration
	cookie   func() string // of a browser of the owner, if they have stolen it
	relearns float64       // how likely they learn a new password, each time
	password string
	greedy   bool // they also take what is no use
}

// guess is a wrong answer: the luck of one in a million would spoil the figures.
func (t *attacker) guess(hard bool) string {
	if hard && t.method == "totp" {
		return fmt.Sprintf("%012d", t.dice.Int64N(1e12))
	}
	if hard {
		return "0000000000000"
	}
	for {
		code := fmt.Sprintf("%06d", t.dice.Int64N(1e6))
		right := false
		for _, l := range t.inbox[t.email] {
			right = right || strings.Contains(l.Text, code)
		}
		for step := t.phone.step(t.now) - 50; t.method == "totp" && step < t.phone.step(t.now)+50; step++ {
			right = right || t.phone.code(step) == code
		}
		if !right {
			return code
		}
	}
}

// act is their life.
func (t *attacker) act(wait func(time.Duration)) {
	t.password = t.owner.password
	for {
		for n := range t.networks {
			b := &browser{agent: chrome, address: network(t.from + n)}
			if t.cookie != nil {
				b.cookie = t.cookie()
			}
			for range 12 {
				if more := t.visit(b, wait); !more {
					break
				}
			}
		}
		if t.password != t.owner.password && t.chance(t.relearns) {
			t.password = t.owner.password
		}
		wait(t.every)
	}
}

// visit is one sign-in of theirs. It says whether there may be more to be had from this network today.
func (t *attacker) visit(b *browser, wait func(time.Duration)) bool {
	entry, err, _ := t.begin(b, signin.Credentials{Email: t.email, Password: t.password})
	if err != nil {
		return false
	}
	if entry.Session != "" {
		t.Errorf("an attacker comes in from %v", b.address)
		return false
	}
	for range 8 {
		p, err, struck := t.pending(b, entry.Attempt)
		if struck {
			wait(time.Second)
			continue
		}
		if err != nil || challenge.Next(p, t.clock()) == challenge.StepPassword {
			return true
		}
		if p.Challenge == nil {
			if err, _ := t.choose(b, entry.Attempt, t.method); err != nil {
				return false
			}
			continue
		}
		hard := p.Challenge.LongCode
		entry, err, struck := t.verify(b, entry.Attempt, t.guess(hard), "")
		var later *ratelimit.LimitedError
		switch {
		case err == nil:
			t.Errorf("an attacker guesses: %+v", entry)
			return false
		case errors.As(err, &later) && later.RetryAt.Sub(t.clock()) > 2*time.Hour:
			return false
		case errors.As(err, &later):
			wait(later.RetryAt.Sub(t.clock()))
		case errors.Is(err, challenge.ErrTooManyGuesses):
			return !hard || t.greedy
		case !struck && hard && !t.greedy && t.chance(0.5):
			return false // they see that it is no use
		default:
			wait(time.Second)
		}
	}
	return true
}

// guesser tries passwords, of somebody and of nobody, and looks for a difference.
func (w *world) guesser(o *owner, wait func(time.Duration)) {
	for n := 0; ; n++ {
		b := &browser{agent: chrome, address: network(700_000 + n/20)}
		said := map[string]error{}
		for _, email := range []string{o.email, "nobody@example.com"} {
			_, err, struck := w.begin(b, signin.Credentials{Email: email, Password: "wrong horse"})
			if struck {
				said = nil
				break
			}
			said[email] = err
		}
		if said == nil {
			n += 20 // what is counted of the two is not the same any more
		} else if one, other := said[o.email], said["nobody@example.com"]; one == nil || reflect.TypeOf(one) != reflect.TypeOf(other) || one.Error() != other.Error() {
			w.Errorf("%v for somebody, %v for nobody", one, other)
		}
		wait(w.between(time.Second, 3*time.Hour))
	}
}

// flood asks for code mails, as many as there are.
func (t *attacker) flood(wait func(time.Duration)) {
	for n := 0; ; n++ {
		b := &browser{agent: chrome, address: network(t.from + n%t.networks)}
		entry, err, _ := t.begin(b, signin.Credentials{Email: t.email, Password: t.owner.password})
		for range 5 {
			if err != nil || entry.Attempt == "" {
				break
			}
			wait(2 * time.Minute)
			_, err, _ = t.pending(b, entry.Attempt)
			if err == nil {
				err, _ = t.resend(b, entry.Attempt)
			}
		}
		if err == nil {
			_ = t.Challenges.Cancel(context.Background(), entry.Attempt)
		}
		wait(t.every)
	}
}
