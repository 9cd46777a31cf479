package sim_test

import (
	"context"
	"errors"
	"math"
	"net/url"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/signin"
)

// helpDesk gives a code for an account each day, as long as it may, and whoever has the password takes every guess at
// it from a new network before the owner does. It returns how many codes there were, in codes.
func (w *world) helpDesk(o *owner, codes *int) func(wait func(time.Duration)) {
	by := account.By{Actor: audit.Actor{Type: audit.TypeOperator, ID: "root"}}
	return func(wait func(time.Duration)) {
		for n := 0; ; n++ {
			_, err := w.DeskCodes.Ask(context.Background(), by, o.email)
			switch {
			case errors.Is(err, ratelimit.ErrLimited):
			case err != nil:
				w.Errorf("the help desk: %v", err)
			default:
				*codes++
				w.guessDeskCode(o, &browser{agent: chrome, address: network(300_000 + n)})
			}
			wait(day)
		}
	}
}

// guessDeskCode tries more answers than may be compared.
func (w *world) guessDeskCode(o *owner, b *browser) {
	w.Helper()
	entry, err, _ := w.begin(b, signin.Credentials{Email: o.email, Password: o.password})
	if err != nil {
		return
	}
	for range odds.DeskGuessesPerCode + 3 {
		a, err := w.Challenges.Load(context.Background(), entry.Attempt, b.from())
		if err != nil {
			w.Errorf("at the desk: %v", err)
			return
		}
		_, err = w.DeskCodes.Use(context.Background(), a, url.Values{"code": {"0000000000"}}, b.from())
		if !errors.Is(err, factor.ErrIncorrect) {
			w.Errorf("a wrong desk code: %v", err)
		}
	}
}

// For a year, an attacker with the password takes every guess at codes by email, and every guess at the desk codes that
// the help desk gives each day. The chance that one of them is right stays at most 1 in 50,000, and the owner comes in.
func TestYearWithDeskCodes(t *testing.T) {
	for seed := range seeds(1, 3) {
		play(t, seed, "", func(w *world) {
			h := habits{week, true, true}
			o, b := w.settled("email", h)
			var n tally
			codes := 0
			w.enter(o.live(b, h, &n))
			w.enter((&attacker{owner: o, method: "email", from: 1000, networks: 3, every: week}).act)
			w.enter(w.helpDesk(o, &codes))
			w.run(odds.Year - day)
			var guesses, compared int
			if err := w.rows.QueryRow("SELECT COUNT(*) FROM guess_budget_entries WHERE kind = 'desk'").Scan(&guesses); err != nil {
				t.Fatal(err)
			}
			if err := w.rows.QueryRow("SELECT COALESCE(SUM(guesses), 0) FROM desk_codes").Scan(&compared); err != nil {
				t.Fatal(err)
			}
			byEmail := w.stolen(o)
			chance := -math.Expm1(float64(byEmail)*math.Log1p(-1e-6) + float64(guesses)*math.Log1p(-odds.DeskGuess()))
			t.Logf("seed %d: %d guesses by email, %d at %d desk codes: 1 in %.1f; the owner: %+v", seed, byEmail, guesses, codes, 1/chance, n)
			if guesses != odds.DeskGuessesPerYear || compared > guesses || byEmail != 20 || chance > 1.0/50_000 {
				t.Errorf("%d and %d guesses by email and at desk codes (%d compared), a chance of %g", byEmail, guesses, compared, chance)
			}
			if n.refused > 0 || n.in == 0 {
				t.Errorf("the owner: %+v", n)
			}
		})
	}
}
