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
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// book is what this side has seen itself, to hold against what the engine has written down.
type book struct {
	asked    asked              // what the call at hand is about
	compares []compare          // that were not given back
	spent    map[string]int     // compares of a challenge
	lost     map[string]int     // tries of a challenge that were debited and, by a fault, not compared
	used     map[string]string  // the proofs that were accepted, and by which session
	sessions map[string]bool    // by id
	grants   map[string][]grant // trust, by the series of the browser's cookie
	known    map[string]bool    // series and account in which both steps were taken
	guesses  map[string]int     // compares of strangers, by account and kind: "email", "totp", "hard"
	debits   map[string]int     // in which call each was first seen
	calls    int
	late     map[string]int // right answers that were given too late, by invariant
	in, past int            // sessions by both steps, and by trust
}

func newBook() book {
	return book{spent: map[string]int{}, lost: map[string]int{}, used: map[string]string{}, sessions: map[string]bool{},
		grants: map[string][]grant{}, known: map[string]bool{}, late: map[string]int{}, guesses: map[string]int{}, debits: map[string]int{}}
}

// asked is a call.
type asked struct {
	signIn  string // the token
	from    account.From
	proof   string // what is typed, as nobody may ever use it again: "" if it may well be
	begins  time.Time
	carries bool // a session goes on under another token

	compared  bool
	challenge string
	fits      []string // the AMR of the method that found the answer right
	odds      limit.Odds
}

// compare is an answer of a stranger that was compared.
type compare struct {
	account, challenge string
	at                 time.Time
	odds               limit.Odds
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

func (m mailbox) Verify(ctx context.Context, f *factor.Factor, a factor.Answer) error {
	m.w.comparing(m.About(), a)
	return m.w.compared(m.About(), m.Method.Verify(ctx, f, a))
}

type app struct {
	totp.Method
	w *world
}

func (m app) Verify(ctx context.Context, f *factor.Factor, a factor.Answer) error {
	m.w.comparing(m.About(), a)
	return m.w.compared(m.About(), m.Method.Verify(ctx, f, a))
}

type paper struct {
	*recovery.Method
	w *world
}

func newPaper(w *world) paper { return paper{recovery.New(), w} }

func (m paper) Verify(ctx context.Context, f *factor.Factor, a factor.Answer) error {
	m.w.comparing(m.About(), a)
	return m.w.compared(m.About(), m.Method.Verify(ctx, f, a))
}

func (w *world) compared(about factor.About, err error) error {
	if err == nil {
		w.book.asked.fits = about.AMR
	}
	return err
}

// comparing is called at the moment before an answer is compared, and looks whether all of
// what it costs is paid: INV-004, and INV-003 over all that was ever compared.
func (w *world) comparing(about factor.About, a factor.Answer) {
	w.Helper()
	ask := &w.book.asked
	if ask.signIn == "" {
		return // the proof of a new factor: its ledger is another's
	}
	var who string
	if !w.query(`SELECT challenges.id, signins.account FROM signins JOIN challenges ON challenges.signin = signins.id WHERE signins.token = $1`,
		[]any{seal.Hash(ask.signIn)}, &ask.challenge, &who) {
		w.Errorf("INV-004: something is compared for no challenge")
		return
	}
	odds := w.oddsOf(about, a)
	if about.Spare || about.Right == 0 && odds == 0 {
		return // nobody guesses it, or every code is too old: nothing is right
	}
	ask.compared = true
	ask.odds += odds
	w.book.spent[ask.challenge]++
	debits, cost, device := w.debits(ask.challenge)
	if debits < w.book.spent[ask.challenge]+w.book.lost[ask.challenge] {
		w.Errorf("INV-004: %d answers compared for a challenge, %d debited", w.book.spent[ask.challenge], debits)
	}
	if cost < ask.odds {
		w.Errorf("INV-004: odds of %d compared, %d debited", ask.odds, cost)
	}
	switch series, _, _ := seal.SplitDevice(ask.from.Device); {
	case device == "", device == "near": // a place is no secret
		w.strangers(who, about.Method, odds, a.Hard)
	case !w.book.known[series+who]:
		w.Errorf("INV-003: a stranger guesses as if in a known browser")
	}
}

// oddsOf is what of all answers is right now, as one guess has it. The engine compares with the codes that it
// has read and debited, which may be before the clock was set back: one that was over then is not among them.
func (w *world) oddsOf(about factor.About, a factor.Answer) limit.Odds {
	if about.Method == "totp" {
		if a.Hard {
			return 0
		}
		return 2000
	}
	var live int64
	w.query(`SELECT COUNT(*) FROM codes WHERE challenge = $1 AND method = $2 AND used_at = 0 AND ends_at >= $3 AND cost > 0`,
		[]any{w.book.asked.challenge, about.Method, max(store.Millis(w.book.asked.begins), store.Millis(a.Now))}, &live)
	return limit.Odds(1000 * live)
}

// debits are those of a challenge: how many, what they cost together, and of which browser is the one that
// this call has made. Its time does not tell, for the clock may have been set back since the one before.
func (w *world) debits(challenge string) (n int, cost limit.Odds, device string) {
	w.Helper()
	rows, err := w.rows.Query(`SELECT id, cost, device FROM debits WHERE challenge = $1 AND kind IN ('guess', 'pair')`, challenge)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, of string
		var odds limit.Odds
		if err := rows.Scan(&id, &odds, &of); err != nil {
			w.Fatal(err)
		}
		if call, ok := w.book.debits[id]; !ok || call == w.book.calls {
			w.book.debits[id], device = w.book.calls, of
		}
		n, cost = n+1, cost+odds
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return n, cost, device
}

// strangers counts what a stranger has compared: INV-003.
func (w *world) strangers(who, method string, odds limit.Odds, hard bool) {
	w.Helper()
	if hard {
		w.book.guesses[who+" hard"]++
	} else {
		w.book.guesses[who+" "+method]++
	}
	now := w.now.Add(w.skew)
	since := now.Add(-limit.Year)
	w.book.compares = append(w.book.compares, compare{who, w.book.asked.challenge, now, odds})
	var sum, renewals limit.Odds
	for _, c := range w.book.compares {
		if c.account == who && c.at.After(since) {
			sum += c.odds
		}
	}
	w.query(`SELECT COUNT(*) FROM debits WHERE ledger = $1 AND kind = 'renewal' AND at > $2`, []any{who, store.Millis(since)}, &renewals)
	if sum > limit.PerYear*(1+renewals) || sum > limit.Ceiling {
		w.Errorf("INV-003: strangers had odds of %d compared in a year, with %d renewals; the clock is off by %v", sum, renewals, w.skew)
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

// checkChallenge: INV-004 once more, and INV-011.
func (w *world) checkChallenge(what string, struck bool) {
	w.Helper()
	ask := w.book.asked
	var id string
	var tries, sends, live int
	var hard bool
	if !w.query(`SELECT challenges.id, tries, sends, hard, (SELECT COUNT(*) FROM codes WHERE challenge = challenges.id AND used_at = 0 AND ends_at >= $2)
		FROM signins JOIN challenges ON challenges.signin = signins.id WHERE signins.token = $1`,
		[]any{seal.Hash(ask.signIn), store.Millis(w.now.Add(w.skew))}, &id, &tries, &sends, &hard, &live) {
		return
	}
	most := limit.Sends
	if hard { // the one that says so
		most++
	}
	if tries > limit.Tries || sends > most || live > limit.LiveCodes {
		w.Errorf("INV-011: %s: a challenge has %d tries, %d sends and %d live codes", what, tries, sends, live)
	}
	n, _, _ := w.debits(id)
	over := n - w.book.spent[id] - w.book.lost[id]
	if over > 0 && struck {
		w.book.lost[id] += over // debited, and then something went wrong
	} else if over > 0 {
		w.Errorf("INV-004: %s: a guess is debited and was not compared", what)
	}
}

// session is a new row of the table, with the sign-in it came from.
type session struct {
	id, account, signIn, amr, device, event   string
	epoch, proved, trusted                    int64
	current                                   int64 // the account's epoch
	challenge                                 string
	passed, finished, signInEpoch, signInEnds int64
	others                                    int // sessions of the same sign-in
}

func (w *world) newSessions() (list []session) {
	w.Helper()
	rows, err := w.rows.Query(`SELECT s.id, s.account, s.signin, s.amr, s.device, s.epoch, s.proved_at, s.trusted_at, a.epoch,
			COALESCE(c.id, ''), COALESCE(c.passed_at, 0), COALESCE(i.finished_at, 0), COALESCE(i.epoch, 0), COALESCE(i.ends_at, 0),
			COALESCE((SELECT MIN(kind) FROM audit_events e WHERE e.account = s.account AND e.time >= s.began_at AND e.kind = 'session.created'), ''),
			(SELECT COUNT(*) FROM sessions o WHERE o.signin = s.signin AND o.id <> s.id)
		FROM sessions s JOIN accounts a ON a.id = s.account LEFT JOIN signins i ON i.id = s.signin AND s.signin <> '' LEFT JOIN challenges c ON c.signin = i.id`)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s session
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

// checkSession: INV-001, -002, -006, -007, -008, -009 and -013 of somebody who is in since this call.
func (w *world) checkSession(what string, s session) {
	w.Helper()
	ask := w.book.asked
	no := func(format string, args ...any) { w.Errorf("%s: %s", what, fmt.Sprintf(format, args...)) }
	if s.epoch != s.current {
		no("INV-006: a session of the epoch %d in the epoch %d", s.epoch, s.current)
	}
	if ask.carries {
		return // of a session that was looked at
	}
	if s.event == "" && !w.now.Add(w.skew).Before(ask.begins) { // unless the clock was set back between the two
		no("INV-009: nobody wrote down that somebody signed in")
	}
	if s.trusted != 0 {
		w.book.past++
		if s.amr != "pwd" || s.proved != 0 {
			no("INV-013: trust claims %q, proved at %d", s.amr, s.proved)
		}
		if !w.granted(ask.from, s) {
			no("INV-008: trust that nobody has given: %+v", ask.from)
		}
		return
	}
	w.book.in++
	if s.passed == 0 || s.finished == 0 || s.challenge == "" || s.challenge != ask.challenge || ask.fits == nil {
		no("INV-001: a session without a proof: %+v", s)
	}
	if s.others > 0 || ask.proof == "" || w.book.used[ask.proof] != "" {
		no("INV-002: %q is accepted twice", ask.proof)
	}
	w.book.used[ask.proof] = s.id
	if want := strings.Join(append([]string{"pwd"}, ask.fits...), " "); s.amr != want {
		no("INV-013: it claims %q, and %q was proven", s.amr, want)
	}
	if s.signInEpoch != s.current {
		no("INV-006: a sign-in of the epoch %d is accepted in the epoch %d", s.signInEpoch, s.current)
	}
	earliest := min(store.Millis(ask.begins), store.Millis(w.now.Add(w.skew)))
	if s.signInEnds < earliest {
		no("INV-007: a sign-in is accepted after its end")
	}
	var late int
	w.query(`SELECT COUNT(*) FROM codes WHERE challenge = $1 AND used_at >= $2 AND ends_at < $2`, []any{s.challenge, earliest}, &late)
	if late > 0 {
		no("INV-007: a code is accepted after its end")
	}
	w.refunded(what, s.challenge)
}

// refunded: what a challenge that was passed has cost is given back, and nothing else.
func (w *world) refunded(what, challenge string) {
	w.Helper()
	if n, _, _ := w.debits(challenge); n != 0 {
		w.Errorf("%s: %d debits are left of a challenge that was passed", what, n)
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

// granted says whether this side knows of such trust: INV-008.
func (w *world) granted(from account.From, s session) bool {
	series, _, _ := seal.SplitDevice(from.Device)
	now := min(w.book.asked.begins.UnixMilli(), w.now.Add(w.skew).UnixMilli()) // the clock may jump within the call
	for _, g := range w.book.grants[series] {
		age := time.UnixMilli(now).Sub(g.at)
		if g.account == s.account && g.address == from.AddressText() && family(g.agent) == family(from.UserAgent) && g.epoch == s.current && age <= trust.Life+time.Second {
			return true
		}
	}
	return false
}

// family tells the browsers of this package from each other.
func family(agent string) bool { return strings.Contains(agent, "Firefox") }
