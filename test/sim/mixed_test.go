package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store/storetest"
)

// What goes wrong if a late answer is accepted.
const (
	afterEnd            = "an answer is accepted after its end"
	afterPasswordChange = "an answer is accepted after the password was changed"
)

// Everything at once: owners of all kinds, attackers, guessers, floods, a stolen cookie, and
// things that break.
func TestMixed(t *testing.T) {
	total := map[fault]int{}
	in, trusted, late := 0, 0, map[string]int{}
	for seed := range seeds(3, 200) {
		play(t, seed, "", func(w *world) {
			w.mixed(45 * day)
			for f, n := range w.faults.count {
				total[f] += n
			}
			for said, n := range w.book.late {
				late[said] += n
			}
			in, trusted = in+w.book.in, trusted+w.book.past
		})
	}
	t.Logf("%d sign-ins by both steps, %d by trust; right answers too late: %v; faults: %d bad writes, %d crashes, %d cancelled, %d jumps of the clock, %d lost answers, %d restarts",
		in, trusted, late, total[badWrite], total[crash], total[cancelled], total[jump], total[lost], total[restart])
	if *oneSeed == 0 && (in == 0 || trusted == 0 || late[afterPasswordChange] == 0 || late[afterEnd] == 0) {
		t.Error("what should happen did not")
	}
}

// The same on both databases.
func TestMixedOnBoth(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		for seed := range seeds(1, 1) {
			play(t, seed, url, func(w *world) { w.mixed(6 * day) })
		}
	})
}

// mixed lets everybody in for so long.
func (w *world) mixed(d time.Duration) {
	calm := w.chance(0.3)
	w.prepare(0)
	owners := []*owner{}
	for i := range 3 {
		o := w.addOwner(fmt.Sprintf("anna%d", i), []string{"email", "totp"}[w.dice.IntN(2)])
		o.typos, o.giveUp, o.trusts, o.watched = []float64{0.12, 0.40}[w.dice.IntN(2)], 0.1, w.chance(0.7), 0.1
		o.phone.off += w.between(-20*time.Second, 20*time.Second)
		owners = append(owners, o)
	}
	if !calm {
		w.faults.often, w.mails = 0.05, 0.05
		w.enter(w.setRight)
	}
	for _, o := range owners {
		w.enter(o.roam)
		w.enter(o.dawdle)
	}
	robbed := owners[0]
	for i, method := range []string{"email", robbed.method} {
		t := &attacker{owner: robbed, method: method, from: 1000 + 100*i, networks: 1 + w.dice.IntN(6), every: day, relearns: 0.3}
		w.enter(t.act)
	}
	flood := &attacker{owner: owners[1], from: 3000, networks: 1 + w.dice.IntN(40), every: w.between(10*time.Minute, day)}
	w.enter(flood.flood)
	w.enter(func(wait func(time.Duration)) { w.guesser(owners[2], wait) })
	w.enter(func(wait func(time.Duration)) {
		for {
			wait(6 * time.Hour)
			w.sweep()
		}
	})
	w.run(d)
}

// roam is the life of an owner with several browsers who travels, and changes the password
// some time after they were told that somebody guesses.
func (o *owner) roam(wait func(time.Duration)) {
	browsers := []*browser{{agent: firefox, address: network(1)}, {agent: chrome, address: network(1)}}
	var robbed bool
	for n := 0; ; n++ {
		wait(o.between(4*time.Hour, 4*day))
		b := browsers[o.dice.IntN(2)]
		b.address = network(1)
		if o.chance(0.3) {
			b.address = network(300_000 + n)
		}
		if o.chance(0.1) {
			b.cookie = "" // they clear their cookies
		}
		v := o.signIn(b, wait)
		if v.session == "" {
			continue
		}
		if !robbed && o.chance(0.05) {
			robbed = true
			o.enter(o.robbery(b))
		}
		if o.told() && o.chance(0.3) {
			o.changePassword(b, v.session, fmt.Sprintf("correct horse number %d of %s", n, o.email))
		}
	}
}

// dawdle has the right answer in hand and gives it too late: after a quarter of an hour, or
// after the password was changed in another browser. It must not be accepted.
func (o *owner) dawdle(wait func(time.Duration)) {
	for n := 0; ; n++ {
		wait(o.between(day, 5*day))
		b := &browser{agent: chrome, address: network(500_000 + n)}
		entry, err, _ := o.begin(b, signin.Credentials{Email: o.email, Password: o.password})
		if err != nil || entry.Attempt == "" {
			continue
		}
		wait(time.Second)
		p, err, _ := o.pending(b, entry.Attempt)
		if err == nil && p.Challenge == nil {
			if err, _ := o.choose(b, entry.Attempt, o.method); err != nil {
				continue
			}
			p, err, _ = o.pending(b, entry.Attempt)
		}
		if err != nil || p.Challenge == nil {
			continue
		}
		typed, proof := o.answer(b, entry.Attempt, p, wait)
		if typed == "" {
			continue
		}
		ahead := o.skew // a code lives by the clock by which it was sent
		said := afterEnd
		if o.chance(0.5) {
			other, old := &browser{agent: firefox, address: network(1)}, o.password
			v := o.signIn(other, wait)
			if v.session == "" {
				continue
			}
			if o.changePassword(other, v.session, fmt.Sprintf("correct horse late %d of %s", n, o.email)); o.password == old {
				continue
			}
			said = afterPasswordChange
		} else {
			wait(15*time.Minute + o.between(time.Second, 10*time.Minute))
		}
		o.book.late[said]++
		if _, err, _ := o.verify(b, entry.Attempt, typed, proof); err == nil && o.skew == 0 && ahead == 0 {
			o.Error(said)
		}
	}
}

// told reports whether the mailbox says that somebody guesses.
func (o *owner) told() bool {
	for _, l := range o.inbox[o.email] {
		if strings.HasPrefix(l.Subject, "Someone is ") && !l.arrives.After(o.now) {
			return true
		}
	}
	return false
}

// robbery is somebody with a copy of the cookie of a browser, in another network: they have
// the tries of that browser, and no trust.
func (o *owner) robbery(from *browser) func(wait func(time.Duration)) {
	cookie := from.cookie
	return func(wait func(time.Duration)) {
		t := &attacker{owner: o, method: o.method, password: o.password}
		for range 5 {
			wait(o.between(time.Minute, 2*day))
			b := &browser{agent: from.agent, address: network(400_000), cookie: cookie}
			t.password = o.password
			t.visit(b, wait)
		}
		wait(odds.Year)
	}
}
