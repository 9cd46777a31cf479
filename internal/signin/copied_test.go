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

// copyNotices counts the emails to an address that say that its device token was copied.
func (h *fixture) copyNotices(email string) (n int) {
	h.Helper()
	for _, m := range h.mails() {
		if strings.Contains(m.Subject, "signed you out of one of your browsers") && m.To == email {
			n++
		}
	}
	return n
}

// wantCopyNotices fails the test unless Anna and Ben have got this many emails about copied tokens.
func (h *fixture) wantCopyNotices(anna, ben int) {
	h.Helper()
	if a, b := h.copyNotices(annaEmail), h.copyNotices(benEmail); a != anna || b != ben {
		h.Errorf("Anna got %d notices and Ben %d, want %d and %d", a, b, anna, ben)
	}
}

const benEmail, benPassword = "ben@example.com", "seventeen brown jars"

// withBen adds Ben's account and returns the same browser as Ben uses it.
func (b *browser) withBen() *browser {
	b.Helper()
	b.addAccount(benEmail, benPassword)
	return &browser{fixture: b.fixture, from: b.from, email: benEmail, password: benPassword}
}

// copy returns a browser with the same cookie.
func (b *browser) copy() *browser {
	return &browser{fixture: b.fixture, from: b.from, email: b.email, password: b.password}
}

// The secret of a device token changes with every use. A lost response and parallel sign-ins do no harm. A
// secret that was replaced earlier shows that the token was copied: trust and the sessions of that device
// end, and the owner is notified once.
func TestCopiedDeviceToken(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		attacker := b.copy()
		b.enterPassword()
		if first, second := attacker.from.DeviceToken, b.from.DeviceToken; first == second || first[:26] != second[:26] {
			h.Fatalf("the secret did not change, or the series did: %q, %q", first, second)
		}
		tab := attacker.copy()
		h.advance(10 * time.Second)
		if entry := tab.enterPassword(); entry.Session == "" || entry.Device != b.from.DeviceToken {
			h.Errorf("another tab: %+v", entry)
		}
		h.advance(time.Hour)
		lost := attacker.copy()
		lost.wantReason("after the response with the second secret was lost", trust.Trusted)
		h.advance(time.Hour)
		lost.wantReason("the second secret", trust.Trusted)
		h.advance(time.Second)
		late := attacker.copy()
		late.wantReason("a delayed request", trust.Trusted)
		if late.from.DeviceToken != attacker.from.DeviceToken {
			h.Error("an older secret got a new one in return")
		}
		sessionToken := lost.session
		h.advance(2 * time.Minute)
		attacker.wantReason("a copy of the first secret", trust.RevokedTokenReuse)
		if _, err := h.Sessions.Get(h.Context(), sessionToken); !errors.Is(err, session.ErrNoSession) {
			h.Error("the session of the device has not ended")
		}
		attacker.wantReason("the copy again", trust.RevokedTokenReuse)
		lost.wantReason("the browser itself", trust.RevokedTokenReuse)
		h.wantCopyNotices(1, 0)
		lost.signIn(true)
		lost.wantReason("the browser after it was trusted again", trust.Trusted)
		attacker.wantReason("the copy after that", trust.RevokedTokenReuse)
		lost.wantReason("the browser after the copy was used again", trust.Trusted)
		h.wantCopyNotices(1, 0)
	})
}

// A copied token of a browser that two people use ends trust for both, even if somebody with another
// account sends it.
func TestCopiedDeviceTokenOfTwoAccounts(t *testing.T) {
	withAccount(t, func(h *fixture) {
		anna := h.newBrowser().signIn(true)
		attacker := anna.copy()
		ben := anna.withBen().signIn(true)
		anna.from.DeviceToken = ben.from.DeviceToken
		h.advance(time.Hour)
		anna.enterPassword()
		h.advance(time.Hour)
		anna.enterPassword()
		ben.from.DeviceToken = anna.from.DeviceToken
		ben.wantReason("Ben", trust.Trusted)
		h.addAccount("mallory@example.com", "one two three four five")
		attacker.email, attacker.password = "mallory@example.com", "one two three four five"
		attacker.wantReason("Mallory", trust.RevokedTokenReuse)
		h.wantCopyNotices(1, 1)
		if h.copyNotices("mallory@example.com") != 0 {
			h.Error("the sender of the copied token got a notice")
		}
		for _, sessionToken := range []string{anna.session, ben.session} {
			if _, err := h.Sessions.Get(h.Context(), sessionToken); !errors.Is(err, session.ErrNoSession) {
				h.Errorf("a session has not ended: %v", err)
			}
		}
		anna.wantReason("Anna's", trust.RevokedTokenReuse)
		anna.signIn(true)
		attacker.wantReason("Mallory with the copy again", trust.RevokedTokenReuse)
		anna.wantReason("Anna's new trust", trust.Trusted)
		h.wantCopyNotices(1, 1)
	})
}

// A made-up secret with the series of one's own token notifies nobody else.
func TestForgedTokenSecretNotifiesOnlyItsOwner(t *testing.T) {
	withAccount(t, func(h *fixture) {
		mallory := &browser{fixture: h, from: home, email: "mallory@example.com", password: "one two three four five"}
		h.addAccount(mallory.email, mallory.password)
		mallory.signIn(true)
		mallory.email, mallory.password = annaEmail, annaPassword // an attacker who has the password
		for range 5 {
			mallory.from.DeviceToken = mallory.from.DeviceToken[:26] + strings.Repeat("A", 43)
			mallory.enterPassword()
		}
		h.wantCopyNotices(0, 0)
		if n := h.copyNotices("mallory@example.com"); n != 1 {
			h.Errorf("Mallory got %d notices", n)
		}
	})
}

// A current token from another kind of browser and another network was copied. If only one of them
// differs, the browser was updated or the device was moved.
func TestTokenFromOtherBrowserAndNetwork(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser()
		b.from.UserAgent = chromium
		b.signIn(true)
		b.copy().at(officeIP).wantReason("at the office", trust.OtherNetwork)
		other := b.copy()
		other.from.UserAgent = edge
		other.wantReason("in another browser at home", trust.OtherBrowser)
		b.wantReason("the browser itself, still trusted", trust.Trusted)
		h.wantCopyNotices(0, 0)
		unknown := other.copy()
		unknown.from.Address = h.newBrowser().from.Address.Prev()
		unknown.from.UserAgent = "curl"
		unknown.wantReason("in a browser of unknown kind", trust.OtherBrowser)
		h.wantCopyNotices(0, 0)
		other.at(officeIP).wantReason("in another browser at the office", trust.OtherBrowser)
		h.wantCopyNotices(1, 0)
		b.wantReason("the browser itself", trust.RevokedTokenReuse)
	})
}

// A browser that crashes before it has stored its newest cookies sends older ones, and a response may
// arrive after a later one. Neither counts as a copy.
func TestOldTokenAfterCrash(t *testing.T) {
	withAccount(t, func(h *fixture) {
		anna := h.newBrowser().signIn(true)
		ben := anna.withBen().signIn(true)
		anna.from.DeviceToken = ben.from.DeviceToken
		h.advance(time.Hour)
		written := anna.copy()
		anna.enterPassword()
		ben.from.DeviceToken = anna.from.DeviceToken
		h.advance(10 * time.Second)
		ben.enterPassword()
		h.advance(time.Hour)
		written.wantReason("after a crash", trust.Trusted)
		h.advance(time.Hour)
		first := written.copy()
		second := written.copy()
		first.enterPassword()
		h.advance(50 * time.Second)
		second.enterPassword()
		if first.from.DeviceToken != second.from.DeviceToken {
			h.Error("two secrets for one")
		}
		h.advance(2 * time.Minute)
		second.wantReason("when the first response came last", trust.Trusted)
		h.wantCopyNotices(0, 0)
	})
}

// Trust that is revoked while the browser is verified from a third network does not come back with that
// verification.
func TestRevokeWhileVerifying(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for range 20 {
			h.advance(24 * time.Hour)
			b := h.newBrowser().signIn(true)
			b.at(officeIP).signIn(true)
			owner := h.getSession(b.session).Owner()
			b.at("192.0.2.77")
			token := b.enterPassword().Attempt
			h.wantErr("choose", h.Choose(h.Context(), token, "email", b.from), nil)
			h.wantErr("tick", h.SetTrust(h.Context(), token, true), nil)
			code := h.codeTo(annaEmail)
			verify := make(chan session.Cookies, 1)
			done := make(chan error, 2)
			go func() {
				entry, err := h.Verify(h.Context(), token, url.Values{"code": {code}}, b.from)
				verify <- entry
				done <- err
			}()
			go func() { done <- h.Devices.RevokeAllDevices(h.Context(), owner, b.from) }()
			if err := errors.Join(<-done, <-done); err != nil {
				h.Fatal(err)
			}
			b.setCookies(<-verify)
			for _, address := range []string{"203.0.113.5", officeIP} {
				if b.at(address).reason() == trust.Trusted {
					h.Fatalf("%s is trusted again", address)
				}
			}
			h.advance(2 * time.Minute)
		}
	})
}

// A restored backup knows older secrets than the browsers have. That does not count as a copy.
func TestRestoredBackupAndNewerTokens(t *testing.T) {
	h := newFixture(t, filepath.Join(t.TempDir(), "twostep.db"))
	h.addAccount(annaEmail, annaPassword)
	b := h.newBrowser().signIn(true)
	backup := filepath.Join(t.TempDir(), "backup.db")
	storetest.Exec(t, h.url, "VACUUM INTO $1", backup)
	for range 3 {
		h.advance(time.Hour)
		b.wantReason("after the backup", trust.Trusted)
	}
	h.Store = storetest.Open(t, backup)
	h.outbox = outbox.New(h.Store, h.Keys, map[delivery.Channel]delivery.SendFunc{delivery.Email: h.send}, h.clock, h.Accounts.Log)
	h.Services = h.services(h.Store, h.Keys)
	h.advance(time.Hour)
	if err := h.SignIns.InvalidateAll(h.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantReason("after the restore", trust.RevokedBackupRestored)
	h.wantCopyNotices(0, 0)
	b.signIn(true)
	b.wantReason("after it was trusted again", trust.Trusted)
}
