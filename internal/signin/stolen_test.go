package signin_test

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

const edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"

// warned is how often somebody was told that there is a copy of their cookie.
func (h *fixture) warned(email string) (n int) {
	h.Helper()
	for _, m := range h.arrived() {
		if strings.Contains(m.Subject, "Trust in one of your browsers") && m.To == email {
			n++
		}
	}
	return n
}

// wantsWarned fails unless each was told so often, in the order of anna, ben.
func (h *fixture) wantsWarned(anna, ben int) {
	h.Helper()
	if a, b := h.warned(annaEmail), h.warned(benEmail); a != anna || b != ben {
		h.Errorf("Anna was told %d times and Ben %d, want %d and %d", a, b, anna, ben)
	}
}

const benEmail, benWord = "ben@example.com", "seventeen brown jars"

// ben adds Ben, in the same browser.
func (l *laptop) ben() *laptop {
	l.Helper()
	l.add(benEmail, benWord)
	return &laptop{fixture: l.fixture, from: l.from, email: benEmail, word: benWord}
}

// copied is the same cookie in another hand.
func (l *laptop) copied() *laptop {
	return &laptop{fixture: l.fixture, from: l.from, email: l.email, word: l.word}
}

// The secret changes with every use. An answer that gets lost does no harm, and neither do
// tabs that sign in at once; a secret of before betrays a copy, ends trust and the sessions
// of that browser, and is told once.
func TestStolenDevice(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		thief := l.copied()
		l.begin()
		if a, b := thief.from.DeviceToken, l.from.DeviceToken; a == b || a[:26] != b[:26] {
			h.Fatalf("the secret stays: %q, %q", a, b)
		}
		tab := thief.copied()
		h.turn(10 * time.Second)
		if entry := tab.begin(); entry.Session == "" || entry.Device != l.from.DeviceToken {
			h.Errorf("another tab: %+v", entry)
		}
		h.turn(time.Hour)
		lost := thief.copied()
		lost.wants("the answer with the second one was lost", trust.Trusted)
		h.turn(time.Hour)
		lost.wants("the second", trust.Trusted)
		h.turn(time.Second)
		late := thief.copied()
		late.wants("a request that was on its way", trust.Trusted)
		if late.from.DeviceToken != thief.from.DeviceToken {
			h.Error("a secret of before is given a successor")
		}
		sessionToken := lost.session
		h.turn(2 * time.Minute)
		thief.wants("a copy of the first", trust.RevokedTokenReuse)
		if _, err := h.Sessions.Get(h.Context(), sessionToken); !errors.Is(err, session.ErrNoSession) {
			h.Error("the sessions of the browser live on")
		}
		thief.wants("and again", trust.RevokedTokenReuse)
		lost.wants("the browser itself is asked, and says why", trust.RevokedTokenReuse)
		h.wantsWarned(1, 0)
		lost.in(true)
		lost.wants("and is trusted again", trust.Trusted)
		thief.wants("but not with what was copied", trust.RevokedTokenReuse)
		lost.wants("which ends nothing any more", trust.Trusted)
		h.wantsWarned(1, 0)
	})
}

// A copy of a cookie of two people betrays itself to both, whoever it is shown by: even by
// somebody who has an account of their own.
func TestStolenFromTwo(t *testing.T) {
	withAnna(t, func(h *fixture) {
		anna := h.laptop().in(true)
		thief := anna.copied()
		ben := anna.ben().in(true)
		anna.from.DeviceToken = ben.from.DeviceToken
		h.turn(time.Hour)
		anna.begin()
		h.turn(time.Hour)
		anna.begin()
		ben.from.DeviceToken = anna.from.DeviceToken
		ben.wants("Ben", trust.Trusted)
		h.add("mallory@example.com", "one two three four five")
		thief.email, thief.word = "mallory@example.com", "one two three four five"
		thief.wants("Mallory", trust.RevokedTokenReuse)
		h.wantsWarned(1, 1)
		if h.warned("mallory@example.com") != 0 {
			h.Error("the one who has no part in it is told")
		}
		for _, sessionToken := range []string{anna.session, ben.session} {
			if _, err := h.Sessions.Get(h.Context(), sessionToken); !errors.Is(err, session.ErrNoSession) {
				h.Errorf("a session lives on: %v", err)
			}
		}
		anna.wants("Anna's", trust.RevokedTokenReuse)
		anna.in(true)
		thief.wants("Mallory again", trust.RevokedTokenReuse)
		anna.wants("Anna's new one", trust.Trusted)
		h.wantsWarned(1, 1)
	})
}

// A secret that was made up, behind the beginning of one's own cookie, alarms nobody else.
func TestAlarmOnDemand(t *testing.T) {
	withAnna(t, func(h *fixture) {
		mallory := &laptop{fixture: h, from: home, email: "mallory@example.com", word: "one two three four five"}
		h.add(mallory.email, mallory.word)
		mallory.in(true)
		mallory.email, mallory.word = annaEmail, annaWord // which they know
		for range 5 {
			mallory.from.DeviceToken = mallory.from.DeviceToken[:26] + strings.Repeat("A", 43)
			mallory.begin()
		}
		h.wantsWarned(0, 0)
		if n := h.warned("mallory@example.com"); n != 1 {
			h.Errorf("Mallory was told %d times", n)
		}
	})
}

// A right secret from another kind of browser and another place is a copy; from the one or
// the other it is a browser that was changed, or carried about.
func TestElsewhere(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop()
		l.from.UserAgent = chromium
		l.in(true)
		l.copied().at(officeIP).wants("at the office", trust.OtherNetwork)
		other := l.copied()
		other.from.UserAgent = edge
		other.wants("in another browser at home", trust.OtherBrowser)
		l.wants("nothing has ended", trust.Trusted)
		h.wantsWarned(0, 0)
		nobody := other.copied()
		nobody.from.Address = h.laptop().from.Address.Prev()
		nobody.from.UserAgent = "curl"
		nobody.wants("in something that has no name", trust.OtherBrowser)
		h.wantsWarned(0, 0)
		other.at(officeIP).wants("in another browser at the office", trust.OtherBrowser)
		h.wantsWarned(1, 0)
		l.wants("the browser itself", trust.RevokedTokenReuse)
	})
}

// A browser that breaks down before it has written its newest cookies comes back with older
// ones; an answer may arrive long after a later one. Neither is a theft.
func TestNoFalseAlarm(t *testing.T) {
	withAnna(t, func(h *fixture) {
		anna := h.laptop().in(true)
		ben := anna.ben().in(true)
		anna.from.DeviceToken = ben.from.DeviceToken
		h.turn(time.Hour)
		written := anna.copied()
		anna.begin()
		ben.from.DeviceToken = anna.from.DeviceToken
		h.turn(10 * time.Second)
		ben.begin()
		h.turn(time.Hour)
		written.wants("after a crash", trust.Trusted)
		h.turn(time.Hour)
		first := written.copied()
		second := written.copied()
		first.begin()
		h.turn(2 * time.Minute)
		second.begin()
		if first.from.DeviceToken != second.from.DeviceToken {
			h.Error("two answers to one question")
		}
		h.turn(2 * time.Minute)
		second.wants("the first answer came last", trust.Trusted)
		h.wantsWarned(0, 0)
	})
}

// What ended while a browser was verified from a third place does not come back with it:
// neither at home nor at the office.
func TestForgetWhileVerifying(t *testing.T) {
	withAnna(t, func(h *fixture) {
		for range 20 {
			h.turn(24 * time.Hour)
			l := h.laptop().in(true)
			l.at(officeIP).in(true)
			owner := h.who(l.session).Owner()
			l.at("192.0.2.77")
			token := l.begin().Attempt
			h.refused("choose", h.Choose(h.Context(), token, "email", l.from), nil)
			h.refused("tick", h.Tick(h.Context(), token, true), nil)
			code := h.mailed(annaEmail)
			verify := make(chan session.Cookies, 1)
			done := make(chan error, 2)
			go func() {
				entry, err := h.Verify(h.Context(), token, url.Values{"code": {code}}, l.from)
				verify <- entry
				done <- err
			}()
			go func() { done <- h.Devices.RevokeAllDevices(h.Context(), owner, l.from) }()
			if err := errors.Join(<-done, <-done); err != nil {
				h.Fatal(err)
			}
			l.keep(<-verify)
			for _, place := range []string{"203.0.113.5", officeIP} {
				if l.at(place).why() == trust.Trusted {
					h.Fatalf("%s is trusted again", place)
				}
			}
			h.turn(2 * time.Minute)
		}
	})
}

// A database that is brought back knows the secrets of yesterday: that is no theft.
func TestRestoredCopy(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "twostep.db"))
	h.add(annaEmail, annaWord)
	l := h.laptop().in(true)
	backup := filepath.Join(t.TempDir(), "backup.db")
	storetest.Exec(t, h.url, "VACUUM INTO $1", backup)
	for range 3 {
		h.turn(time.Hour)
		l.wants("after the backup", trust.Trusted)
	}
	h.Store = storetest.Open(t, backup)
	h.outbox = outbox.New(h.Store, h.Keys, map[delivery.Channel]delivery.SendFunc{delivery.Email: h.send}, h.clock, h.Accounts.Log)
	h.Services = h.services(h.Store, h.Keys)
	h.turn(time.Hour)
	if err := h.SignIns.InvalidateAll(h.Context()); err != nil {
		t.Fatal(err)
	}
	l.wants("brought back", trust.RevokedBackupRestored)
	h.wantsWarned(0, 0)
	l.in(true)
	l.wants("and trusted again", trust.Trusted)
}
