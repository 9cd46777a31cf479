package odds_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
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

// fixture is the guess budgets on one database, with a clock that the test sets.
type fixture struct {
	*testing.T
	*odds.Budgets
	now time.Time
}

func eachDatabase(t *testing.T, f func(h *fixture)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		h := &fixture{T: t, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
		h.Budgets = budgets(t, url, func() time.Time { return h.now })
		f(h)
	})
}

// budgets returns the guess budgets on a database.
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

// unknownNetwork makes network return an origin whose network is unknown.
const unknownNetwork = -1

// network returns an origin in a network of its own for each n.
func network(n int) origin.Origin {
	if n == unknownNetwork {
		return origin.Origin{}
	}
	return origin.Origin{Address: netip.AddrFrom4([4]byte{203, byte(n / 250), byte(1 + n%250), 7})}
}

func (h *fixture) charge(g odds.Guess, n int) error {
	h.Helper()
	return h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Charge(h.Context(), tx, g, network(n)) })
}

func (h *fixture) spendMail(g odds.Guess, n int) error {
	h.Helper()
	return h.Store.Tx(h.Context(), func(tx *store.DB) error {
		b, err := h.Lock(h.Context(), tx, g.Budget)
		if err != nil {
			return err
		}
		return h.SpendMail(h.Context(), tx, b, g, network(n))
	})
}

func (h *fixture) needsLongCode(g odds.Guess) (bool, error) {
	h.Helper()
	b, err := h.Load(h.Context(), h.Store, g.Budget)
	if err != nil {
		return false, err
	}
	return b.NeedsLongCode(g)
}

func (h *fixture) passBothSteps(challenge string, n int) {
	h.Helper()
	err := h.Store.Tx(h.Context(), func(tx *store.DB) error {
		return h.Refund(h.Context(), tx, odds.Guess{Budget: "anna", Challenge: challenge}, true, network(n))
	})
	if err != nil {
		h.Fatal(err)
	}
}

// Unknown devices cause five emails per hour from one network and ten per day from all. Each new network
// adds one, up to thirty. A known device and a known network have limits of their own.
func TestSpendMailLimits(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		g := odds.Guess{Budget: "anna", Challenge: "c"}
		h.passBothSteps("before", 900) // makes the network known
		for n, want := range []int{5, 5, 1, 1} {
			for i := range 6 {
				if err := h.spendMail(g, n); (err == nil) != (i < want) {
					h.Errorf("mail %d from network %d: %v", i, n, err)
				}
			}
		}
		sent := 12
		for n := 4; n < 60; n++ {
			if h.spendMail(g, n) == nil {
				sent++
			}
		}
		if sent != ratelimit.MailsNewNetworksPerDay {
			h.Errorf("unknown devices caused %d emails in a day, want %d", sent, ratelimit.MailsNewNetworksPerDay)
		}
		own := odds.Guess{Budget: "anna", Challenge: "d", Device: "laptop"}
		for name, spend := range map[string]func() error{
			"known device":  func() error { return h.spendMail(own, 1) },
			"known network": func() error { return h.spendMail(g, 900) },
		} {
			for i := range 7 {
				if err := spend(); (err == nil) != (i < ratelimit.KnownMailsPerHour) {
					h.Errorf("%s: mail %d: %v", name, i, err)
				}
			}
		}
		h.now = h.now.Add(24 * time.Hour)
		if err := h.spendMail(g, 1); err != nil {
			h.Errorf("a day later: %v", err)
		}
	})
}

// Networks of one customer, in one large network, share the mails of a network.
func TestMailsOfALargeNetwork(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		sent := 0
		for n := range 60 {
			from := origin.Origin{Address: netip.MustParseAddr("2001:db8:1:" + strconv.Itoa(n) + "::1")}
			err := h.Store.Tx(h.Context(), func(tx *store.DB) error {
				b, err := h.Lock(h.Context(), tx, "anna")
				if err != nil {
					return err
				}
				return h.SpendMail(h.Context(), tx, b, odds.Guess{Budget: "anna", Challenge: "c"}, from)
			})
			if err == nil {
				sent++
			}
		}
		if sent != ratelimit.MailsPerNetworkHour {
			h.Errorf("%d mails, want %d", sent, ratelimit.MailsPerNetworkHour)
		}
	})
}

// The delay after abandoned sign-ins applies to one network, and its error says when it ends.
func TestAttemptDelayIsPerNetwork(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		for i, c := range []string{"a", "b"} {
			if err := h.charge(odds.Guess{Budget: "anna", Challenge: c, Cost: 1000}, 1); err != nil {
				h.Fatalf("%d: %v", i, err)
			}
		}
		third := odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
		var wait *ratelimit.LimitedError
		if err := h.charge(third, 1); !errors.As(err, &wait) || !wait.RetryAt.Equal(h.now.Add(30*time.Second)) {
			h.Errorf("the third sign-in without a delay: %v", err)
		}
		if err := h.charge(third, 2); err != nil {
			h.Errorf("from another network: %v", err)
		}
		third.Device = "laptop"
		if err := h.charge(third, 1); err != nil {
			h.Errorf("from a known device: %v", err)
		}
		h.now = h.now.Add(30 * time.Second)
		if err := h.charge(odds.Guess{Budget: "anna", Challenge: "d", Cost: 1000}, 3); err != nil {
			h.Errorf("after the delay: %v", err)
		}
	})
}

// A known device has ten guesses per hour and fifty per month of its own. After that it counts as unknown.
func TestKnownDeviceGuesses(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		g := odds.Guess{Budget: "anna", Challenge: "c", Device: "laptop", Cost: 1000}
		for range odds.KnownDeviceGuessesPerHour {
			if err := h.charge(g, 1); err != nil {
				h.Fatal(err)
			}
		}
		for i := range 21 {
			want := error(nil)
			if i == 20 {
				want = odds.ErrExhausted
			}
			if err := h.charge(g, 1); !errors.Is(err, want) {
				h.Errorf("guess %d as an unknown device: got %v, want %v", i, err, want)
			}
		}
		h.now = h.now.Add(time.Hour)
		if longer, err := h.needsLongCode(g); err != nil || longer {
			h.Errorf("an hour later the device still counts as unknown: %v, %v", longer, err)
		}
		other := g
		other.Device = "another"
		if longer, _ := h.needsLongCode(other); longer {
			h.Error("another known device needs a long code")
		}
		other.Device = ""
		if longer, _ := h.needsLongCode(other); !longer {
			h.Error("unknown devices need no long code")
		}
	})
}

// Fifty pairs of app codes may be compared per day, ten of them from one network. Known networks share ten
// more.
func TestCodePairLimits(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		const home, office = 99, 98
		h.passBothSteps("", home)
		h.passBothSteps("", office)
		g := odds.Guess{Budget: "anna", Challenge: "c", AppsPaired: 1}
		full := func(network int, what string) {
			var wait *ratelimit.LimitedError
			if err := h.charge(g, network); !errors.As(err, &wait) || !wait.RetryAt.Equal(h.now.Add(24*time.Hour)) {
				h.Errorf("%s: %v", what, err)
			}
		}
		pairs := func(network int) {
			for range odds.CodePairsPerNetworkDay {
				if err := h.charge(g, network); err != nil {
					h.Fatal(err)
				}
			}
			full(network, "one more pair from the same network")
		}
		for network := range odds.CodePairsPerDay / odds.CodePairsPerNetworkDay {
			pairs(network)
		}
		full(50, "a pair from another network")
		five := odds.Guess{Budget: "five apps", Challenge: "c", AppsPaired: 5}
		for i := range 3 {
			if err := h.charge(five, 1); (err == nil) != (i < odds.CodePairsPerNetworkDay/5) {
				h.Errorf("pair %d with five apps: %v", i, err)
			}
		}
		pairs(home)
		full(office, "a pair from another known network")
		h.now = h.now.Add(24 * time.Hour)
		if err := h.charge(g, 50); err != nil {
			h.Errorf("a day later: %v", err)
		}
	})
}

// Restoring a backup uses one renewal of each account, or what is left of the budget if none is left.
func TestRestoreUsesRenewal(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		if err := h.Store.CreateAccount(h.Context(), store.Account{ID: "anna", Email: "anna@example.com", PasswordHash: []byte{}}); err != nil {
			h.Fatal(err)
		}
		g := odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
		for n := range odds.MaxRenewalsPerYear {
			if err := h.charge(g, n); err != nil {
				h.Fatal(err)
			}
			if err := (&signin.SignIns{Store: h.Store, Now: h.Now, Accounts: h.Accounts}).InvalidateAll(h.Context()); err != nil {
				h.Fatal(err)
			}
			h.now = h.now.Add(time.Hour)
		}
		if longer, err := h.needsLongCode(g); longer || err != nil {
			h.Errorf("four restores use up the budget: %v", err)
		}
		a := store.Account{ID: "anna"}
		err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, a, h.now) })
		if err != nil {
			h.Fatal(err)
		}
		rows, err := h.Store.ListBudgetEntries(h.Context(), "anna", time.Time{})
		if err != nil || len(rows) != 2*odds.MaxRenewalsPerYear {
			h.Errorf("%d entries, %v, want %d: there is still a renewal left", len(rows), err, 2*odds.MaxRenewalsPerYear)
		}
		if err := (&signin.SignIns{Store: h.Store, Now: h.Now, Accounts: h.Accounts}).InvalidateAll(h.Context()); err != nil {
			h.Fatal(err)
		}
		if longer, err := h.needsLongCode(g); !longer || err != nil {
			h.Errorf("the fifth restore leaves some of the budget: %v", err)
		}
	})
}

// A clock that was set back to before a renewal gives no extra guesses.
func TestRenewalInFuture(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		g := odds.Guess{Budget: "anna", Challenge: "c", Cost: 1000}
		if err := h.charge(g, 1); err != nil {
			h.Fatal(err)
		}
		h.now = h.now.Add(time.Hour)
		if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, store.Account{ID: "anna"}, h.now) }); err != nil {
			h.Fatal(err)
		}
		h.now = h.now.Add(-24 * time.Hour)
		for i := range 20 {
			if err := h.charge(g, 1); (err == nil) != (i < 19) {
				h.Errorf("guess %d before the renewal: %v", i, err)
			}
		}
	})
}

// A password change in the future (the clock was set back) renews nothing and uses no renewal.
func TestRenewBeforeChange(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		renew := func(changed time.Time) {
			if err := h.Store.Tx(h.Context(), func(tx *store.DB) error { return h.Renew(h.Context(), tx, store.Account{ID: "anna"}, changed) }); err != nil {
				h.Fatal(err)
			}
		}
		g := odds.Guess{Budget: "anna", Challenge: "c", Cost: 20_000}
		if err := h.charge(g, 1); err != nil {
			h.Fatal(err)
		}
		changed := h.now.Add(24 * time.Hour)
		for range odds.MaxRenewalsPerYear {
			renew(changed)
		}
		if rows, err := h.Store.ListBudgetEntries(h.Context(), "anna", time.Time{}); err != nil || len(rows) != 1 {
			h.Errorf("%d entries, %v: a renewal is used that renews nothing", len(rows), err)
		}
		if longer, err := h.needsLongCode(g); err != nil || !longer {
			h.Errorf("renewed before the change: %v", err)
		}
		h.now = changed
		renew(changed)
		if longer, err := h.needsLongCode(g); err != nil || longer {
			h.Errorf("not renewed after the change: %v", err)
		}
	})
}

// Entries made by a clock that was ahead do not delay anybody once the clock is set right.
func TestClockWasAhead(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		actions := map[string]func() error{
			"email":        func() error { return h.spendMail(odds.Guess{Budget: "emails", Challenge: "c"}, 1) },
			"pair":         func() error { return h.charge(odds.Guess{Budget: "pairs", Challenge: "c", AppsPaired: 1}, 1) },
			"known device": func() error { return h.spendMail(odds.Guess{Budget: "emails", Challenge: "c", Device: "laptop"}, 1) },
		}
		known := odds.Guess{Budget: "known", Challenge: "c", Device: "laptop", Cost: 20_000}
		guess := func(c string) error { return h.charge(odds.Guess{Budget: "guesses", Challenge: c, Cost: 1000}, 1) }
		day := 24 * time.Hour
		h.now = h.now.Add(100 * day)
		for what, do := range actions {
			for do() == nil {
			}
			h.Logf("%s: used up", what)
		}
		for range odds.KnownDeviceGuessesPerHour {
			if err := h.charge(known, 1); err != nil {
				h.Fatal(err)
			}
		}
		for _, c := range []string{"a", "b"} {
			if err := guess(c); err != nil {
				h.Fatal(err)
			}
		}
		h.now = h.now.Add(-100 * day)
		for what, do := range actions {
			if err := do(); err != nil {
				h.Errorf("%s: %v", what, err)
			}
		}
		if err := guess("c"); err != nil {
			h.Errorf("a guess: %v", err)
		}
		for range 2 { // as an unknown device it could guess once
			if err := h.charge(known, 1); err != nil {
				h.Errorf("a known device: %v", err)
			}
		}
	})
}

// Limits hold for two servers whose clocks differ by seconds.
func TestClocksDiffer(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		g := odds.Guess{Budget: "anna", Challenge: "c"}
		for i := range ratelimit.MailsPerNetworkHour + 2 {
			if err := h.spendMail(g, 1); (err == nil) != (i < ratelimit.MailsPerNetworkHour) {
				h.Errorf("mail %d: %v", i, err)
			}
			h.now = h.now.Add(-time.Second)
		}
	})
}

// Behind a proxy that is not configured all clients have the same unknown network: it has no delays and
// limits of its own, but those of the account apply.
func TestUnknownNetworkHasNoLimitOfItsOwn(t *testing.T) {
	eachDatabase(t, func(h *fixture) {
		for i := range ratelimit.MailsNewNetworksPerDay + 1 {
			if err := h.spendMail(odds.Guess{Budget: "anna", Challenge: "c"}, unknownNetwork); (err == nil) != (i < ratelimit.MailsNewNetworksPerDay) {
				h.Errorf("mail %d: %v", i, err)
			}
		}
		for i := range odds.CodePairsPerDay + 1 {
			if err := h.charge(odds.Guess{Budget: "anna", Challenge: "c", AppsPaired: 1}, unknownNetwork); (err == nil) != (i < odds.CodePairsPerDay) {
				h.Errorf("pair %d: %v", i, err)
			}
		}
		for i, c := range []string{"a", "b", "c", "d", "e", "f"} {
			if err := h.charge(odds.Guess{Budget: "anna", Challenge: c, Cost: 1000}, unknownNetwork); err != nil {
				h.Errorf("sign-in %d: %v", i, err)
			}
		}
	})
}
