package sim_test

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// somewhere is where an owner is today: at home, or in a network where nobody ever was.
func somewhere(away bool, n int) *browser {
	if away {
		return &browser{agent: firefox, address: network(200_000 + n)}
	}
	return &browser{agent: firefox, address: network(1)}
}

// tally is how the sign-ins of an owner went.
type tally struct{ in, hard, refused, gaveUp, passed int }

func (n *tally) add(o *owner, v visit) {
	switch {
	case v.refused != "":
		n.refused++
		o.Logf("%v refused: %s", o.now.Format(time.DateTime), v.refused)
	case v.gaveUp:
		n.gaveUp++
	case v.session != "":
		n.in++
	}
	if v.hard {
		n.hard++
	}
	if v.trusted {
		n.passed++
	}
}

// habits are how an owner lives.
type habits struct {
	every time.Duration
	knows bool // they keep their browser, and its cookies
	away  bool // each time they are in another network
}

// live signs in every now and then.
func (o *owner) live(b *browser, h habits, n *tally) func(wait func(time.Duration)) {
	return func(wait func(time.Duration)) {
		for i := 0; ; i++ {
			wait(o.between(h.every/2, h.every*3/2))
			if !h.knows {
				b = somewhere(h.away, i)
			} else if h.away {
				b.address = network(200_000 + i)
			}
			n.add(o, o.signIn(b, wait))
			o.sweep()
		}
	}
}

// settled is an owner whose browser is known already if it is to be.
func (w *world) settled(method string, h habits) (*owner, *browser) {
	w.Helper()
	o, b := w.addOwner("anna", method), somewhere(false, 0)
	if v := o.signIn(b, func(d time.Duration) { w.now = w.now.Add(d) }); v.session == "" {
		w.Fatalf("in peace: %+v", v)
	}
	w.now = w.now.Add(time.Hour)
	o.typos = 0.12
	return o, b
}

// An attacker has the password for a year, and takes every guess that there is, from one network
// or from many: there are as many as the guess budget allows, and nobody who owns the account is
// kept out by it.
func TestYear(t *testing.T) {
	for _, row := range []struct {
		name     string
		method   string
		networks int
		every    time.Duration
		owner    habits
		guesses  int
	}{
		{"email, one network, owner in a known browser", "email", 1, day, habits{week, true, false}, 20},
		{"email, twelve networks, owner in a known browser", "email", 12, 4 * week, habits{week, true, true}, 20},
		{"email, one network, owner in unknown browsers", "email", 1, day, habits{week, false, false}, 20},
		{"email, three networks, owner in unknown browsers and networks", "email", 3, week, habits{week, false, true}, 20},
		{"app, one network, owner in a known browser", "totp", 1, day, habits{week, true, false}, 10},
		{"app, twelve networks, owner in a known browser", "totp", 12, 4 * week, habits{week, true, true}, 10},
		{"app, one network, owner in unknown browsers", "totp", 1, day, habits{week, false, true}, 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			for seed := range seeds(1, 3) {
				play(t, seed, "", func(w *world) {
					o, b := w.settled(row.method, row.owner)
					var n tally
					attacker := &attacker{owner: o, method: row.method, from: 1000, networks: row.networks, every: row.every}
					w.enter(o.live(b, row.owner, &n))
					w.enter(attacker.act)
					w.run(odds.Year - day)
					got := w.stolen(o)
					t.Logf("seed %d: %d guesses compared and %d pairs; the owner: %+v, %d waits", seed, got, w.book.guesses[o.id+" hard"], n, o.waits)
					if got != row.guesses || n.refused > 0 || n.in == 0 || row.owner.knows && n.hard+o.waits > 0 {
						t.Errorf("%d guesses were compared, want %d; the owner: %+v, %d waits", got, row.guesses, n, o.waits)
					}
				})
			}
		})
	}
}

// stolen is how many guesses at an account were compared and not given back.
func (w *world) stolen(o *owner) (n int) {
	for _, c := range w.book.compares {
		if c.account == o.id && c.odds > 0 {
			n++
		}
	}
	return n
}

// Three years with an attacker who never goes away, many times over: an owner in a browser that
// is known is never refused, never waits and never needs a longer code; one in unknown
// browsers always comes in by the longer code.
func TestThreeYears(t *testing.T) {
	var all tally
	var guesses, runs int
	for seed := range seeds(4, 300) {
		play(t, seed, "", func(w *world) {
			method, h := []string{"email", "totp"}[seed%2], habits{4 * week, seed/2%2 == 0, seed/4%2 == 0}
			o, b := w.settled(method, h)
			var n tally
			w.enter(o.live(b, h, &n))
			w.enter((&attacker{owner: o, method: method, from: 1000, networks: 1, every: 2 * week}).act)
			w.run(3 * odds.Year)
			if n.refused > 0 || n.in < 25 || h.knows && n.hard+o.waits > 0 {
				t.Errorf("the owner: %+v, %d waits", n, o.waits)
			}
			most := map[string]int{"email": 60, "totp": 30}[method]
			if got := w.stolen(o); got > most {
				t.Errorf("%d guesses in three years, at most %d", got, most)
			} else {
				guesses += got * 60 / most
			}
			all.in, all.hard, all.refused, all.gaveUp = all.in+n.in, all.hard+n.hard, all.refused+n.refused, all.gaveUp+n.gaveUp
			runs++
		})
	}
	t.Logf("%d runs: the owners: %+v; the attackers had %.2f guesses a year, as codes by email", runs, all, float64(guesses)/float64(3*runs))
}

// In peace nobody needs a longer code, however badly they type: what was wrong is given back
// with the sign-in that goes well. Only a sign-in that died of five wrong codes is not: one in
// a hundred, of somebody who mistypes four in ten. In a browser that they keep it never matters;
// in one that forgets, it takes two of them with an app, or four by email, to make the codes
// longer, and nobody is refused even then.
func TestPeace(t *testing.T) {
	for seed := range seeds(2, 20) {
		for _, method := range []string{"email", "totp"} {
			for _, typos := range []float64{0.12, 0.40} {
				for _, knows := range []bool{true, false} {
					peace(t, seed, method, typos, knows)
				}
			}
		}
	}
}

func peace(t *testing.T, seed uint64, method string, typos float64, knows bool) {
	play(t, seed, "", func(w *world) {
		h := habits{2 * day, knows, true}
		o, b := w.settled(method, h)
		o.typos = typos
		var n tally
		w.enter(o.live(b, h, &n))
		w.run(odds.Year / 6)
		died := w.died(o)
		t.Logf("seed %d, %s, %.0f %% typos, keeps the browser %v: %+v, %d sign-ins died", seed, method, 100*typos, knows, n, died)
		enough := !knows && typos == 0.4 && died >= map[string]int{"email": 4, "totp": 2}[method]
		if n.hard > 0 && !enough || n.refused > 0 || n.in < 20 {
			t.Errorf("%s: %+v", method, n)
		}
	})
}

// died is how many sign-ins of an owner ended with five wrong codes; nothing else may be left
// of what they mistyped.
func (w *world) died(o *owner) (n int) {
	left := map[string]int{}
	for _, c := range w.book.compares {
		left[c.challenge]++
	}
	for id, wrong := range left {
		if wrong != challenge.MaxGuesses {
			o.Errorf("%d wrong codes of the sign-in %s are not given back", wrong, id)
		}
	}
	return len(left)
}

// An attacker takes all the pairs of app codes that there are. From few networks they keep nobody
// out; from very many they keep the app out of an unknown browser in an unknown network: the
// owner comes in another way there, and by app where they have been before.
func TestAllPairs(t *testing.T) {
	for _, c := range []struct {
		networks int
		away     bool
		refused  bool
	}{{4, true, false}, {20, false, false}, {20, true, true}} {
		play(t, 1, "", func(w *world) {
			o, _ := w.settled("totp", habits{})
			var n, other tally
			w.enter(func(wait func(time.Duration)) {
				for i := 0; ; i++ {
					wait(week)
					v := o.signIn(somewhere(c.away, i), wait)
					if n.add(o, v); v.refused == "" {
						continue
					}
					o.method = "email"
					other.add(o, o.signIn(somewhere(c.away, i), wait))
					o.method = "totp"
				}
			})
			w.enter((&attacker{owner: o, method: "totp", from: 1000, networks: c.networks, every: day / 4, greedy: true}).act)
			w.run(week + day)
			t.Logf("%d networks: %d pairs; the owner by app: %+v, and then by email: %+v", c.networks, w.book.guesses[o.id+" hard"], n, other)
			if n.in+other.in < 1 || other.refused > 0 || n.refused > 0 != c.refused {
				t.Errorf("the owner by app: %+v, and then by email: %+v", n, other)
			}
		})
	}
}
