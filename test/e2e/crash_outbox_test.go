package e2e

import (
	"net/http"
	"testing"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// A server that is killed between "accepted by the mail server" and "written down" sends
// the mail once more, and never a third time, even if it is killed there again.
func TestCrashOutbox(t *testing.T) {
	for _, c := range []struct {
		name  string
		kills []string // one server after the other dies there
		sends int
		state string
	}{
		{"accepted", []string{accepted}, 2, store.MessageSent},
		{"accepted twice", []string{accepted, accepted}, 2, store.MessageUnknown},
		{"before", []string{beforeSend}, 1, store.MessageSent},
		{"before, then accepted", []string{beforeSend, accepted}, 1, store.MessageUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWalk(t, storetest.TempDir(t))
			w.add = true
			for i, point := range c.kills {
				o := w.order()
				o.Kill, o.Only = 1, point
				w.life = begin(t, o)
				if i == 0 {
					_ = w.enter() // the answer may come before the end or not
				}
				w.life.await()
				if w.life.died != point {
					t.Fatalf("died of %q, want %q\n%s", w.life.died, point, w.life.said.String())
				}
				w.inspect()
			}
			w.start()
			db := w.open()
			defer db.Close()
			w.must(w.quiet(db))
			for id, n := range w.mail.sends() {
				if n != c.sends {
					t.Errorf("%s: accepted %d times, want %d", id, n, c.sends)
				}
			}
			if n := w.count(db, `SELECT count(*) FROM outbox_messages WHERE state = $1`, c.state); n != 1 {
				t.Errorf("%d messages are %s, want 1", n, c.state)
			}
			w.finishAfter(c.sends)
			w.check(db)
		})
	}
}

// finishAfter signs in with the code of the mail that arrived so often.
func (w *walk) finishAfter(times int) {
	w.t.Helper()
	mails, _ := w.mail.all()
	if len(mails) != times {
		w.t.Fatalf("%d mails, want %d", len(mails), times)
	}
	for _, mail := range mails[1:] {
		if live.Code(w.t, mail) != live.Code(w.t, mails[0]) {
			w.t.Error("the second mail has another code")
		}
	}
	if w.cookie("signin") == nil { // the first server died before its answer
		w.must(w.enterAgain())
		return
	}
	w.must(w.step(http.StatusSeeOther, "/signin/verify", "code", live.Code(w.t, mails[0])))
}
