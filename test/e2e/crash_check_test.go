package e2e

import (
	"database/sql"
	"errors"
	"path/filepath"

	"twostep.example/twostep/internal/store"
)

// halves are states that no crash may leave behind, each as a query that counts them.
// A moment is the same in every row of one transaction, so the rows are held together by
// their moments as well as by their ids.
var halves = map[string]string{
	"session without its finished sign-in, passed challenge and one used code": `
		SELECT count(*) FROM sessions WHERE NOT EXISTS (SELECT 1 FROM attempts JOIN challenges ON challenges.attempt_id = attempts.id
			WHERE attempts.id = sessions.attempt_id AND attempts.account_id = sessions.account_id AND attempts.epoch <= sessions.epoch
			AND attempts.finished_at = sessions.authenticated_at AND challenges.passed_at = sessions.authenticated_at
			AND (SELECT count(*) FROM one_time_codes WHERE one_time_codes.challenge_id = challenges.id AND one_time_codes.used_at = sessions.authenticated_at) = 1
			AND (SELECT count(*) FROM one_time_codes WHERE one_time_codes.challenge_id = challenges.id AND one_time_codes.used_at <> 0) = 1)`,
	"two sessions of one sign-in": `
		SELECT count(*) FROM (SELECT attempt_id FROM sessions GROUP BY attempt_id, epoch HAVING count(*) > 1)`,
	"session of a later time without a change of password": `
		SELECT count(*) FROM sessions JOIN attempts ON attempts.id = sessions.attempt_id WHERE attempts.epoch < sessions.epoch AND NOT EXISTS
			(SELECT 1 FROM audit_log WHERE audit_log.account = sessions.account_id AND audit_log.kind = 'password.changed')`,
	"sign-in passed by half": `
		SELECT count(*) FROM attempts JOIN challenges ON challenges.attempt_id = attempts.id WHERE attempts.finished_at <> challenges.passed_at
			OR challenges.passed_at <> (SELECT coalesce(sum(used_at), 0) FROM one_time_codes WHERE one_time_codes.challenge_id = challenges.id)`,
	"sign-in passed without a session that nobody signed out": `
		SELECT abs((SELECT count(*) FROM challenges WHERE passed_at <> 0)
			- (SELECT count(*) FROM sessions) - (SELECT count(*) FROM audit_log WHERE kind = 'session.ended'))`,
	"sign-in passed without its event, or the event without it": `
		SELECT count(*) FROM challenges WHERE (passed_at <> 0) <> (SELECT count(*) FROM audit_log
			WHERE audit_log.kind = 'session.created' AND audit_log.sign_in = challenges.attempt_id)`,
	"sign-in begun without its event": `
		SELECT count(*) FROM attempts WHERE NOT EXISTS (SELECT 1 FROM audit_log
			WHERE audit_log.kind = 'password.accepted' AND audit_log.sign_in = attempts.id)`,
	"trust decision without the event of its password": `
		SELECT count(*) FROM trust_decisions WHERE 1 <> (SELECT count(*) FROM audit_log
			WHERE audit_log.kind = 'password.accepted' AND audit_log.trace = trust_decisions.id)`,
	"password accepted without its trust decision": `
		SELECT count(*) FROM audit_log WHERE kind = 'password.accepted' AND trace NOT IN (SELECT id FROM trust_decisions)`,
	"event of a sign-in that does not exist": `
		SELECT count(*) FROM audit_log WHERE sign_in <> '' AND sign_in NOT IN (SELECT id FROM attempts)`,
	"guess without its charge, or a charge that is left of a challenge that was passed": `
		SELECT count(*) FROM challenges WHERE (SELECT count(*) FROM guess_budget_entries WHERE guess_budget_entries.challenge_id = challenges.id AND guess_budget_entries.kind = 'guess')
			<> CASE passed_at WHEN 0 THEN guesses ELSE 0 END`,
	"charge of a challenge that does not exist": `SELECT count(*) FROM guess_budget_entries WHERE kind = 'guess' AND challenge_id NOT IN (SELECT id FROM challenges)`,
	"challenge passed without a try":            `SELECT count(*) FROM challenges WHERE passed_at <> 0 AND guesses = 0`,
	"sign-in without its challenge":             `SELECT count(*) FROM attempts WHERE id NOT IN (SELECT attempt_id FROM challenges)`,
	"challenge with more or fewer codes than it sent": `
		SELECT count(*) FROM challenges WHERE messages_sent <> (SELECT count(*) FROM one_time_codes WHERE one_time_codes.challenge_id = challenges.id)`,
	"code without its message": `SELECT count(*) FROM one_time_codes WHERE message_id NOT IN (SELECT id FROM outbox_messages)`,
	"message without its code, link or notice, or one of these without it": `
		SELECT abs((SELECT count(*) FROM outbox_messages) - (SELECT count(*) FROM one_time_codes) - (SELECT count(*) FROM email_links)
			- (SELECT count(*) FROM audit_log WHERE kind IN ('password.changed', 'password.reset')))`,
	"message that was sent and is kept": `SELECT count(*) FROM outbox_messages WHERE state <> 'waiting' AND length(body) > 0`,
	"epoch that does not fit the events": `
		SELECT count(*) FROM accounts WHERE epoch <> 1 + (SELECT count(*) FROM audit_log WHERE audit_log.account = accounts.id
			AND audit_log.kind IN ('password.changed', 'password.reset', 'sessions.ended'))`,
	"reset link used without a reset, or a reset without it": `
		SELECT abs((SELECT count(*) FROM email_links WHERE purpose = 'reset' AND used_at <> 0)
			- (SELECT count(*) FROM audit_log WHERE kind = 'password.reset'))`,
	"reset without its mark on the account, or the mark without it": `
		SELECT count(*) FROM accounts WHERE password_set_by_mail_at <> (SELECT coalesce(max(used_at), 0) FROM email_links
			WHERE email_links.email = accounts.email AND email_links.purpose = 'reset')`,
	"sign-up link used without an account, or the account without it": `
		SELECT count(*) FROM email_links WHERE purpose = 'signup' AND (used_at <> 0) <> EXISTS (SELECT 1 FROM accounts
			WHERE accounts.email = email_links.email) AND NOT EXISTS (SELECT 1 FROM email_links AS other
			WHERE other.email = email_links.email AND other.used_at <> 0 AND email_links.used_at = 0)`,
	"account without its event": `
		SELECT count(*) FROM accounts WHERE 1 <> (SELECT count(*) FROM audit_log WHERE audit_log.account = accounts.id AND audit_log.kind = 'account.created')`,
	"row without the row it refers to": `SELECT count(*) FROM pragma_foreign_key_check`,
}

// inspect opens the store as the next server will and looks for half states and for
// acknowledged acts that are gone.
func (w *walk) inspect() facts {
	w.t.Helper()
	opened, err := store.Config{URL: filepath.Join(w.folder, "twostep.db"), Server: true}.Open(w.t.Context())
	if err != nil {
		w.t.Fatalf("the store does not open: %v", err)
	}
	if err := opened.Close(); err != nil {
		w.t.Error(err)
	}
	db := w.open()
	defer db.Close()
	w.check(db)
	for name, c := range w.acked {
		if n := w.count(db, c.query, c.args...); n != c.want {
			w.t.Errorf("acknowledged, and not in the store: %s: %d, want %d", name, n, c.want)
		}
	}
	return w.facts(db)
}

func (w *walk) check(db *sql.DB) {
	w.t.Helper()
	var whole string
	if err := db.QueryRowContext(w.t.Context(), `PRAGMA integrity_check`).Scan(&whole); err != nil || whole != "ok" {
		w.t.Errorf("integrity: %s %v", whole, err)
	}
	for name, query := range halves {
		if n := w.count(db, query); n != 0 {
			w.t.Errorf("%s: %d", name, n)
		}
	}
}

// facts are what the store says about where the person stands.
type facts struct {
	account     bool
	newPassword bool
	openCode    string // the message of the newest code of the browser's open sign-in
	openLink    string // the purpose of the person's unused link
}

func (w *walk) facts(db *sql.DB) (f facts) {
	w.t.Helper()
	f.account = w.count(db, `SELECT count(*) FROM accounts WHERE email = $1`, w.email) == 1
	f.newPassword = w.count(db, `SELECT count(*) FROM audit_log JOIN accounts ON accounts.id = audit_log.account
		WHERE accounts.email = $1 AND audit_log.kind IN ('password.changed', 'password.reset')`, w.email) > 0
	f.openCode = w.text(db, `SELECT one_time_codes.message_id FROM one_time_codes JOIN challenges ON challenges.id = one_time_codes.challenge_id
		JOIN attempts ON attempts.id = challenges.attempt_id WHERE attempts.token_hash = $1 AND attempts.finished_at = 0
		ORDER BY one_time_codes.sent_at DESC LIMIT 1`, w.cookie("signin"))
	f.openLink = w.text(db, `SELECT purpose FROM email_links WHERE email = $1 AND used_at = 0`, w.email)
	return f
}

// text is the one text that the query finds, "" if there is none.
func (w *walk) text(db *sql.DB, query string, args ...any) (s string) {
	w.t.Helper()
	err := db.QueryRowContext(w.t.Context(), query, args...).Scan(&s)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.t.Fatal(err)
	}
	return s
}

// delivered checks that every message in the store was accepted once or twice, and that
// none was accepted that is not there.
func (w *walk) delivered(db *sql.DB) {
	w.t.Helper()
	sends := w.mail.sends()
	rows, err := db.QueryContext(w.t.Context(), `SELECT id, state FROM outbox_messages`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, state string
		if err := rows.Scan(&id, &state); err != nil {
			w.t.Fatal(err)
		}
		// What the template has sent went to another mail server.
		if n := sends[id]; (n < 1 || n > 2 || state != store.MessageSent) && !w.before[id] {
			w.t.Errorf("message %s: %s, accepted %d times", id, state, n)
		}
		delete(sends, id)
	}
	if err := rows.Err(); err != nil {
		w.t.Error(err)
	}
	for id, n := range sends {
		w.t.Errorf("message %s was sent %d times and is not in the store", id, n)
	}
}
