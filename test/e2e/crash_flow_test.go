package e2e

import (
	"net/http"
	"time"

	"twostep.example/twostep/test/e2e/live"
)

// flow is one way through the pages.
type flow struct {
	name   string
	inside bool // the walk begins with a session
	do     func(*walk) error
}

// flows are together every act of a person.
var flows = []flow{
	{"sign in, resend, sign out", false, func(w *walk) error {
		return inTurn(w.enter, w.guessWrong, w.resend, w.enterCode, w.settings, w.signOut)
	}},
	{"sign in twice", false, func(w *walk) error {
		return inTurn(w.enter, w.enter, w.enterCode)
	}},
	{"change the password, sign out everywhere", true, func(w *walk) error {
		return inTurn(w.change, w.settings, w.signOutEverywhere)
	}},
	{"reset the password", true, func(w *walk) error { return inTurn(w.forgot, w.reset) }},
	{"sign up", false, func(w *walk) error {
		w.email, w.password = "berta@example.com", nextPassword
		return inTurn(w.signUp, w.join)
	}},
}

func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// enter takes the first step.
func (w *walk) enter() error {
	delete(w.acked, "sign-in") // a sign-in that goes on gets a new token
	delete(w.acked, "tries")
	if err := w.step(http.StatusSeeOther, "/signin", "email", w.email, "password", w.password); err != nil {
		return err
	}
	w.acked["sign-in"] = claim{`SELECT count(*) FROM attempts WHERE token_hash = $1`, []any{w.cookie("signin")}, 1}
	return nil
}

// guessWrong waits for the code and enters another one.
func (w *walk) guessWrong() error {
	code, err := w.code()
	if err != nil {
		return err
	}
	if err := w.step(http.StatusUnprocessableEntity, "/signin/verify", "code", live.Wrong(code)); err != nil {
		return err
	}
	w.tries++
	w.acked["tries"] = claim{`SELECT count(*) FROM challenges JOIN attempts ON attempts.id = challenges.attempt_id
		WHERE attempts.token_hash = $1 AND challenges.guesses >= $2`, []any{w.cookie("signin"), w.tries}, 1}
	return nil
}

func (w *walk) code() (string, error) {
	w.t.Helper()
	mail, err := w.nextMail()
	if err != nil {
		return "", err
	}
	return live.Code(w.t, mail), nil
}

// turn moves the server's clock forward.
func (w *walk) turn(by time.Duration) {
	w.ahead += by
	w.life.control("/crash/turn", "by", by.String())
}

// resend asks for another code as soon as it may.
func (w *walk) resend() error {
	w.turn(31 * time.Second)
	if err := w.step(http.StatusSeeOther, "/signin/code"); err != nil {
		return err
	}
	w.acked["second code"] = claim{`SELECT count(*) FROM challenges JOIN attempts ON attempts.id = challenges.attempt_id
		WHERE attempts.token_hash = $1 AND challenges.messages_sent = 2`, []any{w.cookie("signin")}, 1}
	return nil
}

// enterCode takes the second step with the next code that arrives.
func (w *walk) enterCode() error {
	code, err := w.code()
	if err != nil {
		return err
	}
	return w.verify(code)
}

func (w *walk) verify(code string) error {
	w.turn(15 * time.Second) // it may be the third try
	if err := w.step(http.StatusSeeOther, "/signin/verify", "code", code); err != nil {
		return err
	}
	w.acked["session"] = w.session(1)
	return nil
}

// session claims that the session of the cookie is live, or is not there.
func (w *walk) session(want int) claim {
	return claim{`SELECT count(*) FROM sessions JOIN accounts ON accounts.id = sessions.account_id AND accounts.epoch = sessions.epoch
		WHERE sessions.token_hash = $1`, []any{w.cookie("session")}, want}
}

func (w *walk) settings() error { return w.page("/settings") }

func (w *walk) signOut() error {
	gone := w.session(0) // the answer takes the cookie away
	delete(w.acked, "session")
	if err := w.step(http.StatusSeeOther, "/signout"); err != nil {
		return err
	}
	w.acked["session"] = gone
	return nil
}

func (w *walk) signOutEverywhere() error {
	gone := w.session(0)
	delete(w.acked, "session")
	if err := w.step(http.StatusSeeOther, "/settings/sessions/end"); err != nil {
		return err
	}
	w.acked["session"] = gone
	w.acked["everywhere"] = w.happened("sessions.ended")
	return nil
}

func (w *walk) happened(kind string) claim {
	return claim{`SELECT count(*) FROM audit_log JOIN accounts ON accounts.id = audit_log.account
		WHERE accounts.email = $1 AND audit_log.kind = $2`, []any{w.email, kind}, 1}
}

func (w *walk) change() error {
	delete(w.acked, "session")
	if err := w.step(http.StatusSeeOther, "/settings/password", "current", w.password, "password", nextPassword); err != nil {
		return err
	}
	w.acked["change"] = w.happened("password.changed")
	w.acked["session"] = w.session(1)
	return nil
}

func (w *walk) forgot() error {
	if err := w.step(http.StatusSeeOther, "/forgot", "email", w.email); err != nil {
		return err
	}
	w.acked["link"] = w.linked("reset")
	return nil
}

func (w *walk) linked(purpose string) claim {
	return claim{`SELECT count(*) FROM email_links WHERE email = $1 AND purpose = $2`, []any{w.email, purpose}, 1}
}

func (w *walk) reset() error {
	mail, err := w.nextMail()
	if err != nil {
		return err
	}
	delete(w.acked, "session") // all of them end
	if err := w.step(http.StatusSeeOther, "/reset", "token", tokenIn(w.t, mail), "password", nextPassword); err != nil {
		return err
	}
	w.acked["reset"] = w.happened("password.reset")
	w.acked["session"] = w.session(0)
	return nil
}

func (w *walk) signUp() error {
	if err := w.step(http.StatusSeeOther, "/signup", "email", w.email, "name", "Berta"); err != nil {
		return err
	}
	w.acked["link"] = w.linked("signup")
	return nil
}

func (w *walk) join() error {
	mail, err := w.nextMail()
	if err != nil {
		return err
	}
	if err := w.step(http.StatusSeeOther, "/join", "token", tokenIn(w.t, mail), "name", "Berta", "password", w.password); err != nil {
		return err
	}
	w.acked["account"] = w.happened("account.created")
	return nil
}

// goOn is what the person does when the server is back: goes on where the browser
// stands, or begins again, and is in at the end.
func (w *walk) goOn(f facts) {
	w.t.Helper()
	w.read = 0 // a link is the first mail of its flow, and may have been read before the end
	if w.acked["session"].want == 1 {
		w.must(w.settings())
	}
	switch {
	case f.openCode != "":
		w.must(w.verify(live.Code(w.t, w.mailOf(f.openCode))))
	case f.openLink == "reset":
		w.must(w.reset())
		w.password = nextPassword
		w.must(w.enterAgain())
	case f.openLink == "signup":
		w.must(w.join())
		w.must(w.enterAgain())
	case !f.account:
		w.must(inTurn(w.signUp, w.join, w.enterAgain))
	default:
		if f.newPassword {
			w.password = nextPassword
		}
		w.must(w.enterAgain())
	}
	w.must(w.settings())
}

// enterAgain takes both steps, with the code of this sign-in and not of one before.
func (w *walk) enterAgain() error {
	w.t.Helper()
	w.must(w.enter())
	db := w.open()
	defer db.Close()
	return w.verify(live.Code(w.t, w.mailOf(w.facts(db).openCode)))
}

func (w *walk) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("a server that was not told to die: %v\n%s", err, w.life.said.String())
	}
}
