package sim_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/trust"
)

// book is what this side has seen itself, to hold against what the engine has written down.
type book struct {
	asked    asked              // what the call at hand is about
	compares []compare          // that were not given back
	spent    map[string]int     // compares of a challenge
	lost     map[string]int     // guesses at a challenge that were charged and, by a fault, not compared
	used     map[string]string  // the proofs that were accepted, and by which session
	sessions map[string]bool    // by id
	grants   map[string][]grant // trust, by the series of the browser's cookie
	known    map[string]bool    // series and account in which both steps were taken
	guesses  map[string]int     // comparisons by unknown devices, by account and kind: "email", "totp", "hard"
	charges  map[string]int     // in which call each was first seen
	calls    int
	late     map[string]int // right answers that were given too late, by what was wrong
	in, past int            // sessions by both steps, and by trust
}

func newBook() book {
	return book{spent: map[string]int{}, lost: map[string]int{}, used: map[string]string{}, sessions: map[string]bool{},
		grants: map[string][]grant{}, known: map[string]bool{}, late: map[string]int{}, guesses: map[string]int{}, charges: map[string]int{}}
}

// asked is a call.
type asked struct {
	signIn  string // the token
	from    origin.Origin
	proof   string // what is typed, as nobody may ever use it again: "" if it may well be
	begins  time.Time
	carries bool // a session goes on under another token

	compared  bool
	challenge string
	fits      []string // the AMR of the method that found the answer right
	odds      odds.Chance
}

// compare is an answer of an unknown device that was compared.
type compare struct {
	account, challenge string
	at                 time.Time
	odds               odds.Chance
}

// grant is what a browser was trusted for.
type grant struct {
	account, address, agent string
	at                      time.Time
	epoch                   int64
}

func (b *book) before(w *world) {
	b.calls++
	b.asked.begins, b.asked.compared, b.asked.challenge, b.asked.fits, b.asked.odds = w.now.Add(w.skew), false, "", nil, 0
}

type mailbox struct {
	email.Method
	w *world
}

func (m mailbox) Verify(ctx context.Context, f *factor.Factor, a factor.Response) error {
	m.w.comparing(m.Info(), a)
	return m.w.compared(m.Info(), m.Method.Verify(ctx, f, a))
}

type app struct {
	totp.Method
	w *world
}

func (m app) Verify(ctx context.Context, f *factor.Factor, a factor.Response) error {
	m.w.comparing(m.Info(), a)
	return m.w.compared(m.Info(), m.Method.Verify(ctx, f, a))
}

type recoveryCodes struct {
	*recovery.Method
	w *world
}

func newRecoveryCodes(w *world) recoveryCodes { return recoveryCodes{recovery.New(), w} }

func (m recoveryCodes) Verify(ctx context.Context, f *factor.Factor, a factor.Response) error {
	m.w.comparing(m.Info(), a)
	return m.w.compared(m.Info(), m.Method.Verify(ctx, f, a))
}

func (w *world) compared(about factor.Info, err error) error {
	if err == nil {
		w.book.asked.fits = about.AMR
	}
	return err
}

// comparing is called at the moment before an answer is compared, and looks whether all of
// what it costs is charged, for this challenge and over all that was ever compared.
func (w *world) comparing(about factor.Info, a factor.Response) {
	w.Helper()
	ask := &w.book.asked
	if ask.signIn == "" {
		return // the proof of a new factor: its guess budget is another's
	}
	var who string
	if !w.query(`SELECT challenges.id, attempts.account_id FROM attempts JOIN challenges ON challenges.attempt_id = attempts.id WHERE attempts.token_hash = $1`,
		[]any{seal.HashToken(ask.signIn)}, &ask.challenge, &who) {
		w.Errorf("something is compared for no challenge")
		return
	}
	chance := w.oddsOf(about, a)
	if about.Backup || about.ValidAnswers == 0 && chance == 0 {
		return // nobody guesses it, or every code is too old: nothing is right
	}
	ask.compared = true
	ask.odds += chance
	w.book.spent[ask.challenge]++
	charges, cost, device := w.charges(ask.challenge)
	if charges < w.book.spent[ask.challenge]+w.book.lost[ask.challenge] {
		w.Errorf("%d answers compared for a challenge, %d charged", w.book.spent[ask.challenge], charges)
	}
	if cost < ask.odds {
		w.Errorf("odds of %d compared, %d charged", ask.odds, cost)
	}
	switch series, _, _ := seal.SplitDeviceToken(ask.from.DeviceToken); {
	case device == "":
		w.chargeUnknownDevice(who, about.Method, chance, a.LongCode)
	case !w.book.known[series+who]:
		w.Errorf("an unknown device guesses as if in a known browser")
	}
}

// oddsOf is what of all answers is right now, as one guess has it. The engine compares with the codes that it
// has read and charged, which may be before the clock was set back: one that was over then is not among them.
func (w *world) oddsOf(about factor.Info, a factor.Response) odds.Chance {
	if about.Method == "totp" {
		if a.LongCode {
			return 0
		}
		return 2000
	}
	var live int64
	w.query(`SELECT COUNT(*) FROM one_time_codes WHERE challenge_id = $1 AND method = $2 AND used_at = 0 AND expires_at >= $3 AND guess_cost > 0`,
		[]any{w.book.asked.challenge, about.Method, max(w.book.asked.begins.UnixMilli(), a.Now.UnixMilli())}, &live)
	return odds.Chance(1000 * live)
}

// charges are those of a challenge: how many, what they cost together, and of which browser is the one that
// this call has made. Its time does not tell, for the clock may have been set back since the one before.
func (w *world) charges(challenge string) (n int, cost odds.Chance, device string) {
	w.Helper()
	rows, err := w.rows.Query(`SELECT id, cost, device_id FROM guess_budget_entries WHERE challenge_id = $1 AND kind IN ('guess', 'pair')`, challenge)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, of string
		var chance odds.Chance
		if err := rows.Scan(&id, &chance, &of); err != nil {
			w.Fatal(err)
		}
		if call, ok := w.book.charges[id]; !ok || call == w.book.calls {
			w.book.charges[id], device = w.book.calls, of
		}
		n, cost = n+1, cost+chance
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return n, cost, device
}

// chargeUnknownDevice counts what an unknown device has compared, and checks the budget of a year.
func (w *world) chargeUnknownDevice(who, method string, chance odds.Chance, hard bool) {
	w.Helper()
	if hard {
		w.book.guesses[who+" hard"]++
	} else {
		w.book.guesses[who+" "+method]++
	}
	now := w.now.Add(w.skew)
	since := now.Add(-odds.Year)
	w.book.compares = append(w.book.compares, compare{who, w.book.asked.challenge, now, chance})
	var sum, renewals odds.Chance
	for _, c := range w.book.compares {
		if c.account == who && c.at.After(since) {
			sum += c.odds
		}
	}
	w.query(`SELECT COUNT(*) FROM guess_budget_entries WHERE budget = $1 AND kind = 'renewal' AND created_at > $2`, []any{who, since.UnixMilli()}, &renewals)
	if sum > odds.AccountBudgetPerYear*(1+renewals) || sum > odds.MaxAccountBudgetPerYear {
		w.Errorf("unknown devices had odds of %d compared in a year, with %d renewals; the clock is off by %v", sum, renewals, w.skew)
	}
}

// check looks whether everything holds after a call.
func (w *world) check(what string, struck bool) {
	w.Helper()
	ask := w.book.asked
	if ask.compared && ask.fits == nil || ask.signIn != "" {
		w.checkChallenge(what, struck)
	}
	for _, s := range w.newSessions() {
		w.book.sessions[s.id] = true
		w.checkSession(what, s)
	}
	w.book.asked = asked{}
}

// checkChallenge checks the charges of a challenge, and its limits.
func (w *world) checkChallenge(what string, struck bool) {
	w.Helper()
	ask := w.book.asked
	var id string
	var tries, sends, live int
	var hard bool
	if !w.query(`SELECT challenges.id, guesses, messages_sent, needs_long_code,
			(SELECT COUNT(*) FROM one_time_codes WHERE challenge_id = challenges.id AND used_at = 0 AND expires_at >= $2)
		FROM attempts JOIN challenges ON challenges.attempt_id = attempts.id WHERE attempts.token_hash = $1`,
		[]any{seal.HashToken(ask.signIn), w.now.Add(w.skew).UnixMilli()}, &id, &tries, &sends, &hard, &live) {
		return
	}
	most := challenge.MaxMessages
	if hard { // the one that says so
		most++
	}
	if tries > challenge.MaxGuesses || sends > most || live > challenge.MaxLiveCodes {
		w.Errorf("%s: a challenge has %d tries, %d sends and %d live codes", what, tries, sends, live)
	}
	n, _, _ := w.charges(id)
	over := n - w.book.spent[id] - w.book.lost[id]
	if over > 0 && struck {
		w.book.lost[id] += over // charged, and then something went wrong
	} else if over > 0 {
		w.Errorf("%s: a guess is charged and was not compared", what)
	}
}

// sessionRow is a new row of the table, with the sign-in it came from.
type sessionRow struct {
	id, account, signIn, amr, device, event   string
	epoch, proved, trusted                    int64
	current                                   int64 // the account's epoch
	challenge                                 string
	passed, finished, signInEpoch, signInEnds int64
	others                                    int // sessions of the same sign-in
}

func (w *world) newSessions() (list []sessionRow) {
	w.Helper()
	rows, err := w.rows.Query(`SELECT s.id, s.account_id, s.attempt_id, s.amr, s.device_id, s.epoch, s.authenticated_at, s.trust_verified_at, a.epoch,
			COALESCE(c.id, ''), COALESCE(c.passed_at, 0), COALESCE(i.finished_at, 0), COALESCE(i.epoch, 0), COALESCE(i.expires_at, 0),
			COALESCE((SELECT MIN(kind) FROM audit_log e WHERE e.account = s.account_id AND e.time >= s.started_at AND e.kind = 'session.created'), ''),
			(SELECT COUNT(*) FROM sessions o WHERE o.attempt_id = s.attempt_id AND o.id <> s.id)
		FROM sessions s JOIN accounts a ON a.id = s.account_id
		LEFT JOIN attempts i ON i.id = s.attempt_id AND s.attempt_id <> '' LEFT JOIN challenges c ON c.attempt_id = i.id`)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s sessionRow
		if err := rows.Scan(&s.id, &s.account, &s.signIn, &s.amr, &s.device, &s.epoch, &s.proved, &s.trusted, &s.current,
			&s.challenge, &s.passed, &s.finished, &s.signInEpoch, &s.signInEnds, &s.event, &s.others); err != nil {
			w.Fatal(err)
		}
		if !w.book.sessions[s.id] {
			list = append(list, s)
		}
	}
	return list
}

// checkSession checks a session that was created by this call: what was proven, when and for which epoch,
// that no proof is used twice, that trust was given, and that there is an event.
func (w *world) checkSession(what string, s sessionRow) {
	w.Helper()
	ask := w.book.asked
	no := func(format string, args ...any) { w.Errorf("%s: %s", what, fmt.Sprintf(format, args...)) }
	if s.epoch != s.current {
		no("a session of the epoch %d in the epoch %d", s.epoch, s.current)
	}
	if ask.carries {
		return // of a session that was looked at
	}
	if s.event == "" && !w.now.Add(w.skew).Before(ask.begins) { // unless the clock was set back between the two
		no("nobody wrote down that somebody signed in")
	}
	if s.trusted != 0 {
		w.book.past++
		if s.amr != "pwd" || s.proved != 0 {
			no("trust claims %q, proved at %d", s.amr, s.proved)
		}
		if !w.granted(ask.from, s) {
			no("trust that nobody has given: %+v", ask.from)
		}
		return
	}
	w.book.in++
	if s.passed == 0 || s.finished == 0 || s.challenge == "" || s.challenge != ask.challenge || ask.fits == nil {
		no("a session without a proof: %+v", s)
	}
	if s.others > 0 || ask.proof == "" || w.book.used[ask.proof] != "" {
		no("%q is accepted twice", ask.proof)
	}
	w.book.used[ask.proof] = s.id
	if want := strings.Join(append([]string{"pwd"}, ask.fits...), " "); s.amr != want {
		no("it claims %q, and %q was proven", s.amr, want)
	}
	if s.signInEpoch != s.current {
		no("a sign-in of the epoch %d is accepted in the epoch %d", s.signInEpoch, s.current)
	}
	earliest := min(ask.begins.UnixMilli(), w.now.Add(w.skew).UnixMilli())
	if s.signInEnds < earliest {
		no("a sign-in is accepted after its end")
	}
	var late int
	w.query(`SELECT COUNT(*) FROM one_time_codes WHERE challenge_id = $1 AND used_at >= $2 AND expires_at < $2`, []any{s.challenge, earliest}, &late)
	if late > 0 {
		no("a code is accepted after its end")
	}
	w.refunded(what, s.challenge)
}

// refunded: what a challenge that was passed has cost is given back, and nothing else.
func (w *world) refunded(what, challenge string) {
	w.Helper()
	if n, _, _ := w.charges(challenge); n != 0 {
		w.Errorf("%s: %d charges are left of a challenge that was passed", what, n)
	}
	kept := w.book.compares[:0]
	for _, c := range w.book.compares {
		if c.challenge != challenge {
			kept = append(kept, c)
		}
	}
	w.book.compares = kept
	delete(w.book.spent, challenge)
	delete(w.book.lost, challenge)
}

// granted says whether the test knows of such trust.
func (w *world) granted(from origin.Origin, s sessionRow) bool {
	series, _, _ := seal.SplitDeviceToken(from.DeviceToken)
	now := min(w.book.asked.begins.UnixMilli(), w.now.Add(w.skew).UnixMilli()) // the clock may jump within the call
	for _, g := range w.book.grants[series] {
		age := time.UnixMilli(now).Sub(g.at)
		if g.account == s.account && g.address == from.AddressString() && family(g.agent) == family(from.UserAgent) && g.epoch == s.current && age <= trust.MaxTTL+time.Second {
			return true
		}
	}
	return false
}

// family tells the browsers of this package from each other.
func family(agent string) bool { return strings.Contains(agent, "Firefox") }
