package odds_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// house is the ledgers of a database, with a clock that is turned.
type house struct {
	*testing.T
	*odds.Budgets
	now time.Time
}

func each(t *testing.T, f func(h *house)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		h := &house{T: t, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
		h.Budgets = budgets(t, url, func() time.Time { return h.now })
		f(h)
	})
}

// budgets are those of a database.
func budgets(t *testing.T, url string, now func() time.Time) *odds.Budgets {
	t.Helper()
	keys, err := seal.LoadOrCreateKeyRing(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	db, log := storetest.Open(t, url), slog.New(slog.DiscardHandler)
	accounts := &account.Accounts{Store: db, Keys: keys, Log: log, Now: now}
	return &odds.Budgets{Store: db, Keys: keys, Log: log, Now: now, Accounts: accounts, PerYear: odds.AccountBudgetPerYear}
}

// nowhere is the number of the network that nobody knows.
const nowhere = -1

// at is a network of its own for each n.
func at(n int) origin.Origin {
	if n == nowhere {
		return origin.Origin{}
	}
	return origin.Origin{Address: netip.AddrFrom4([4]byte{203, 0, byte(113 + n/250), byte(1 + n%250)})}
}

func (h *house) debit(g odds.Guess, n int) error {
	h.Helper()
	return h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Charge(h.Context(), tx, g, at(n)) })
}

func (h *house) send(g odds.Guess, n int) error {
	h.Helper()
	return h.Store.Tx(h.Context(), func(tx *store.DB) error {
		b, err := h.Lock(h.Context(), tx, g.Budget)
		if err != nil {
			return err
		}
		return h.SpendMail(h.Context(), tx, b, g, at(n))
	})
}

func (h *house) needsLongCode(g odds.Guess) (bool, error) {
	h.Helper()
	b, err := h.Load(h.Context(), h.Store, g.Budget)
	if err != nil {
		return false, err
	}
	return b.NeedsLongCode(g)
}

func (h *house) succeed(challenge string, n int) {
	h.Helper()
	err := h.Store.Tx(h.Context(), func(tx *store.DB) error {
		return h.Refund(h.Context(), tx, odds.Guess{Budget: "anna", Challenge: challenge}, true, at(n))
	})
	if err != nil {
		h.Fatal(err)
	}
}

// Strangers send five an hour from one network and ten a day from all; each new network has
// one more, to thirty; and the owner's own browser and network have theirs, whatever they do.
func TestSends(t *testing.T) {
	each(t, func(h *house) {
		g := odds.Guess{Budget: "anna", Challenge: "c"}
		h.succeed("before", 900) // the owner's network
		for n, want := range []int{5, 5, 1, 1} {
			for i := range 6 {
				if err := h.send(g, n); (err == nil) != (i < want) {
					h.Errorf("mail %d from network %d: %v", i, n, err)
				}
			}
		}
		sent := 12
		for n := 4; n < 60; n++ {
			if h.send(g, n) == nil {
				sent++
			}
		}
		if sent != ratelimit.MailsNewNetworksPerDay {
			h.Errorf("strangers sent %d in a day, want %d", sent, ratelimit.MailsNewNetworksPerDay)
		}
		own := odds.Guess{Budget: "anna", Challenge: "d", Device: "laptop"}
		for name, try := range map[string]func() error{
			"own browser": func() error { return h.send(own, 1) },
			"own network": func() error { return h.send(g, 900) },
		} {
			for i := range 7 {
				if err := try(); (err == nil) != (i < ratelimit.KnownMailsPerHour) {
					h.Errorf("%s: mail %d: %v", name, i, err)
				}
			}
		}
		h.now = h.now.Add(24 * time.Hour)
		if err := h.send(g, 1); err != nil {
			h.Errorf("a day later: %v", err)
		}
	})
}

// The wait after given-up sign-ins is of one network, and says until when.
func TestVisits(t *testing.T) {
	each(t, func(h *house) {
		for i, c := range []string{"a", "b"} {
			if err := h.debit(odds.Guess{Budget: "anna", Challenge: c, Cost: 1000}, 1); err != nil {
				h.Fatalf("%d: %v", i, err)
			}
		}
		third := odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
		var wait *ratelimit.LimitedError
		if err := h.debit(third, 1); !errors.As(err, &wait) || !wait.RetryAt.Equal(h.now.Add(30*time.Second)) {
			h.Errorf("the third at once: %v", err)
		}
		if err := h.debit(third, 2); err != nil {
			h.Errorf("from another network: %v", err)
		}
		third.Device = "laptop"
		if err := h.debit(third, 1); err != nil {
			h.Errorf("from a known browser: %v", err)
		}
		h.now = h.now.Add(30 * time.Second)
		if err := h.debit(odds.Guess{Budget: "anna", Challenge: "d", Cost: 1000}, 3); err != nil {
			h.Errorf("after the wait: %v", err)
		}
	})
}

// A known browser has ten tries in an hour and fifty in a month of its own; then it is a
// stranger, and spends what strangers may.
func TestKnownBudget(t *testing.T) {
	each(t, func(h *house) {
		g := odds.Guess{Budget: "anna", Challenge: "c", Device: "laptop", Cost: 1000}
		for range odds.KnownDeviceGuessesPerHour {
			if err := h.debit(g, 1); err != nil {
				h.Fatal(err)
			}
		}
		for i := range 21 {
			want := error(nil)
			if i == 20 {
				want = odds.ErrExhausted
			}
			if err := h.debit(g, 1); !errors.Is(err, want) {
				h.Errorf("%d beyond: got %v, want %v", i, err, want)
			}
		}
		h.now = h.now.Add(time.Hour)
		if longer, err := h.needsLongCode(g); err != nil || longer {
			h.Errorf("an hour later it is still a stranger: %v, %v", longer, err)
		}
		other := g
		other.Device = "another"
		if longer, _ := h.needsLongCode(other); longer {
			h.Error("what one browser used up is not another's")
		}
		other.Device = ""
		if longer, _ := h.needsLongCode(other); !longer {
			h.Error("strangers have something left")
		}
	})
}

// Fifty pairs of app codes in a day, ten from one network, and not one more; the next day
// again. Where the owner has been, there are ten beside them, in all such networks together.
func TestPairs(t *testing.T) {
	each(t, func(h *house) {
		const home, office = 99, 98
		h.succeed("", home)
		h.succeed("", office)
		g := odds.Guess{Budget: "anna", Challenge: "c", AppsPaired: 1}
		full := func(network int, what string) {
			var wait *ratelimit.LimitedError
			if err := h.debit(g, network); !errors.As(err, &wait) || !wait.RetryAt.Equal(h.now.Add(24*time.Hour)) {
				h.Errorf("%s: %v", what, err)
			}
		}
		pairs := func(network int) {
			for range odds.CodePairsPerNetworkDay {
				if err := h.debit(g, network); err != nil {
					h.Fatal(err)
				}
			}
			full(network, "the next one of a network")
		}
		for network := range odds.CodePairsPerDay / odds.CodePairsPerNetworkDay {
			pairs(network)
		}
		full(50, "another network")
		five := odds.Guess{Budget: "five apps", Challenge: "c", AppsPaired: 5}
		for i := range 3 {
			if err := h.debit(five, 1); (err == nil) != (i < odds.CodePairsPerNetworkDay/5) {
				h.Errorf("pair %d with five apps: %v", i, err)
			}
		}
		pairs(home)
		full(office, "another one of the owner's")
		h.now = h.now.Add(24 * time.Hour)
		if err := h.debit(g, 50); err != nil {
			h.Errorf("a day later: %v", err)
		}
	})
}

// A restore takes one renewal, and everything from an account that has none left.
func TestRestored(t *testing.T) {
	each(t, func(h *house) {
		if err := h.Store.CreateAccount(h.Context(), store.Account{ID: "anna", Email: "anna@example.com", PasswordHash: []byte{}}); err != nil {
			h.Fatal(err)
		}
		g := odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
		for n := range odds.MaxRenewalsPerYear {
			if err := h.debit(g, n); err != nil {
				h.Fatal(err)
			}
			if err := (&signin.SignIns{Store: h.Store, Now: h.Now, Accounts: h.Accounts}).InvalidateAll(h.Context()); err != nil {
				h.Fatal(err)
			}
			h.now = h.now.Add(time.Hour)
		}
		if longer, err := h.needsLongCode(g); longer || err != nil {
			h.Errorf("used up by restores: %v", err)
		}
		a := store.Account{ID: "anna"}
		err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, a, h.now) })
		if err != nil {
			h.Fatal(err)
		}
		rows, err := h.Store.ListBudgetEntries(h.Context(), "anna", time.Time{})
		if err != nil || len(rows) != 2*odds.MaxRenewalsPerYear {
			h.Errorf("%d debits, %v: what was spent before the restore still counts, and there is no renewal left", len(rows), err)
		}
		if err := (&signin.SignIns{Store: h.Store, Now: h.Now, Accounts: h.Accounts}).InvalidateAll(h.Context()); err != nil {
			h.Fatal(err)
		}
		if longer, err := h.needsLongCode(g); !longer || err != nil {
			h.Errorf("the fifth restore gives something: %v", err)
		}
	})
}

// A clock that was set back to before a renewal gives no guesses for nothing.
func TestRenewalToCome(t *testing.T) {
	each(t, func(h *house) {
		g := odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
		if err := h.debit(g, 1); err != nil {
			h.Fatal(err)
		}
		h.now = h.now.Add(time.Hour)
		if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, store.Account{ID: "anna"}, h.now) }); err != nil {
			h.Fatal(err)
		}
		h.now = h.now.Add(-24 * time.Hour)
		for i := range 20 {
			if err := h.debit(g, 1); (err == nil) != (i < 19) {
				h.Errorf("guess %d behind the renewal: %v", i, err)
			}
		}
	})
}

// A change of which the clock does not know yet renews nothing and takes no renewal.
func TestRenewBeforeTheChange(t *testing.T) {
	each(t, func(h *house) {
		renew := func(changed time.Time) {
			if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, store.Account{ID: "anna"}, changed) }); err != nil {
				h.Fatal(err)
			}
		}
		g := odds.Guess{Budget: "anna", Challenge: "c", Cost: 20_000}
		if err := h.debit(g, 1); err != nil {
			h.Fatal(err)
		}
		changed := h.now.Add(24 * time.Hour)
		for range odds.MaxRenewalsPerYear {
			renew(changed)
		}
		if rows, err := h.Store.ListBudgetEntries(h.Context(), "anna", time.Time{}); err != nil || len(rows) != 1 {
			h.Errorf("%d debits, %v: a renewal is taken that renews nothing", len(rows), err)
		}
		if longer, err := h.needsLongCode(g); err != nil || !longer {
			h.Errorf("it is renewed before its time: %v", err)
		}
		h.now = changed
		renew(changed)
		if longer, err := h.needsLongCode(g); err != nil || longer {
			h.Errorf("it is not renewed when it is time: %v", err)
		}
	})
}

// What was done by a clock that was ahead keeps nobody waiting once it is set right.
func TestClockWasAhead(t *testing.T) {
	each(t, func(h *house) {
		tries := map[string]func() error{
			"mail":         func() error { return h.send(odds.Guess{Budget: "mails", Challenge: "c"}, 1) },
			"pair":         func() error { return h.debit(odds.Guess{Budget: "pairs", Challenge: "c", AppsPaired: 1}, 1) },
			"known device": func() error { return h.send(odds.Guess{Budget: "mails", Challenge: "c", Device: "laptop"}, 1) },
		}
		known := odds.Guess{Budget: "known", Challenge: "c", Device: "laptop", Cost: 20_000}
		visit := func(c string) error { return h.debit(odds.Guess{Budget: "visits", Challenge: c, Cost: 1000}, 1) }
		day := 24 * time.Hour
		h.now = h.now.Add(100 * day)
		for what, try := range tries {
			for try() == nil {
			}
			h.Logf("%s: used up", what)
		}
		for range odds.KnownDeviceGuessesPerHour {
			if err := h.debit(known, 1); err != nil {
				h.Fatal(err)
			}
		}
		for _, c := range []string{"a", "b"} {
			if err := visit(c); err != nil {
				h.Fatal(err)
			}
		}
		h.now = h.now.Add(-100 * day)
		for what, try := range tries {
			if err := try(); err != nil {
				h.Errorf("%s: %v", what, err)
			}
		}
		if err := visit("c"); err != nil {
			h.Errorf("a visit: %v", err)
		}
		for range 2 { // as a stranger it could guess once
			if err := h.debit(known, 1); err != nil {
				h.Errorf("a known browser: %v", err)
			}
		}
	})
}

// Two servers whose clocks differ a little count as one.
func TestClocksDiffer(t *testing.T) {
	each(t, func(h *house) {
		g := odds.Guess{Budget: "anna", Challenge: "c"}
		for i := range ratelimit.MailsPerNetworkHour + 2 {
			if err := h.send(g, 1); (err == nil) != (i < ratelimit.MailsPerNetworkHour) {
				h.Errorf("mail %d: %v", i, err)
			}
			h.now = h.now.Add(-time.Second)
		}
	})
}

// Behind a proxy that nobody has named all are in one network: it has no waits and no shares of its
// own, and those of the account hold.
func TestFromNowhere(t *testing.T) {
	each(t, func(h *house) {
		for i := range ratelimit.MailsNewNetworksPerDay + 1 {
			if err := h.send(odds.Guess{Budget: "anna", Challenge: "c"}, nowhere); (err == nil) != (i < ratelimit.MailsNewNetworksPerDay) {
				h.Errorf("mail %d: %v", i, err)
			}
		}
		for i := range odds.CodePairsPerDay + 1 {
			if err := h.debit(odds.Guess{Budget: "anna", Challenge: "c", AppsPaired: 1}, nowhere); (err == nil) != (i < odds.CodePairsPerDay) {
				h.Errorf("pair %d: %v", i, err)
			}
		}
		for i, c := range []string{"a", "b", "c", "d", "e", "f"} {
			if err := h.debit(odds.Guess{Budget: "anna", Challenge: c, Cost: 1000}, nowhere); err != nil {
				h.Errorf("visit %d: %v", i, err)
			}
		}
	})
}
