package signin_test

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

const (
	officeIP = "198.51.100.7"
	homeIPv6 = "2001:db8:1:2::5"
	chromium = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	month    = 30 * 24 * time.Hour
)

// browser is a browser that an account signs in with. It keeps its cookies.
type browser struct {
	*fixture
	from            origin.Origin
	email, password string
	session         string
}

func (h *fixture) newBrowser() *browser {
	return &browser{fixture: h, from: home, email: annaEmail, password: annaPassword}
}

// at moves the browser to another address and returns it.
func (b *browser) at(address string) *browser {
	b.from.Address = netip.MustParseAddr(address)
	return b
}

// setCookies stores the cookies of a response.
func (b *browser) setCookies(e session.Cookies) {
	if e.Device != "" {
		b.from.DeviceToken = e.Device
	}
	b.session = e.Session
}

// enterPassword enters the password. If the browser is trusted, that opens a session.
func (b *browser) enterPassword() session.Cookies {
	b.Helper()
	b.advance(time.Millisecond)
	entry, err := b.start(b.email, b.password, b.from)
	if err != nil {
		b.Fatal(err)
	}
	b.setCookies(entry)
	return entry
}

// signIn completes both steps, with the box for trust ticked or not.
func (b *browser) signIn(tick bool) *browser {
	b.Helper()
	entry := b.enterPassword()
	if entry.Attempt == "" {
		b.Fatal("no second step was asked for")
	}
	b.enterCode(entry.Attempt, tick)
	return b
}

// enterCode completes the second step by email.
func (b *browser) enterCode(token string, tick bool) {
	b.Helper()
	if err := b.Choose(b.Context(), token, "email", b.from); err != nil {
		b.Fatal(err)
	}
	if err := b.SetTrust(b.Context(), token, tick); err != nil {
		b.Fatal(err)
	}
	entry, err := b.Verify(b.Context(), token, url.Values{"code": {b.codeTo(b.email)}}, b.from)
	if err != nil {
		b.Fatal(err)
	}
	b.setCookies(entry)
}

// codeTo returns the newest code that was sent to an address.
func (h *fixture) codeTo(to string) (code string) {
	h.Helper()
	for _, m := range h.mails() {
		if found := codeLine.FindString(m.Text); m.To == to && found != "" {
			code = found
		}
	}
	return code
}

// reason enters the password and returns why the second step is required; trust.Trusted if it is not.
func (b *browser) reason() trust.Reason {
	b.Helper()
	entry := b.enterPassword()
	if entry.Session != "" {
		return trust.Trusted
	}
	p, err := b.Pending(b.Context(), entry.Attempt, b.from)
	if err != nil {
		b.Fatal(err)
	}
	return p.Why.Reason
}

func (b *browser) wantReason(says string, want trust.Reason) {
	b.Helper()
	if got := b.reason(); got != want {
		b.Errorf("%s: got %q, want %q", says, got, want)
	}
}

// Trust skips the second step for exactly thirty days and sends nothing. Its session counts as
// authenticated by password only.
func TestTrust(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		began := h.clock()
		n := len(h.mails())
		entry := b.enterPassword()
		if entry.Session == "" || entry.Attempt != "" {
			h.Fatal("the second step is required in a trusted browser")
		}
		who := h.getSession(entry.Session)
		if who.RecentlyAuthenticated(h.clock()) || !who.AuthenticatedAt.IsZero() || strings.Join(who.AMR, " ") != "pwd" || who.TrustVerifiedAt.UnixMilli() != began.UnixMilli() {
			h.Errorf("a session by trust: %+v", who)
		}
		if _, err := h.SignIns.ChangePassword(h.Context(), who, annaPassword, "brand new horse", home); !errors.Is(err, session.ErrStepUpRequired) {
			h.Errorf("a session by trust changes the password: %v", err)
		}
		if len(h.mails()) != n {
			h.Error("a message was sent")
		}
		h.advance(began.Add(month).Sub(h.clock()) - time.Millisecond)
		b.wantReason("in the last millisecond of thirty days", trust.Trusted)
		b.wantReason("a millisecond later", trust.Expired)
		b.wantReason("expired trust after another sign-in", trust.Expired)
	})
}

// A browser is not trusted unless the box was ticked in that browser.
func TestTrustNeedsConsent(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(false)
		b.wantReason("the box was not ticked", trust.NoRecord)
		b.signIn(true)
		h.newBrowser().wantReason("another browser of the same kind in the same network", trust.NoRecord)
		b.wantReason("the browser in which the box was ticked", trust.Trusted)
		if n := storetest.CountRows(h.T, h.url, "known_devices"); n != 1 {
			h.Errorf("%d known devices, want 1", n)
		}
	})
}

// Two networks are trusted independently, each for thirty days.
func TestTrustIsPerNetwork(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		h.advance(10 * 24 * time.Hour)
		b.at(officeIP).wantReason("the office is new", trust.OtherNetwork)
		b.signIn(true)
		b.wantReason("the office", trust.Trusted)
		b.at("203.0.113.5").wantReason("back at home", trust.Trusted)
		h.advance(20*24*time.Hour + time.Minute)
		b.wantReason("home, after its thirty days", trust.Expired)
		b.at(officeIP).wantReason("the office has ten days left", trust.Trusted)
		h.advance(10 * 24 * time.Hour)
		b.wantReason("the office, after its thirty days", trust.Expired)
	})
}

// An IPv4 and an IPv6 address that were seen in the same verified sign-in are trusted together. An address
// that was not seen in it is not.
func TestTrustCoversBothAddressFamilies(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser()
		entry := b.enterPassword()
		b.at(homeIPv6)
		if _, err := h.Pending(h.Context(), entry.Attempt, b.from); err != nil {
			h.Fatal(err)
		}
		b.at("203.0.113.5").enterCode(entry.Attempt, true)
		b.at(homeIPv6).wantReason("the other family", trust.Trusted)
		b.at("2001:db8:1:2:ffff::1").wantReason("another address of the same IPv6 network", trust.Trusted)
		b.at("2001:db8:1:3::1").wantReason("a neighboring network", trust.OtherNetwork)
		devices, err := h.Devices.ListTrustedDevices(h.Context(), h.getSession(h.newBrowser().signIn(false).session).Owner())
		if err != nil || len(devices) != 1 || len(devices[0].Networks) != 1 || devices[0].Networks[0].String() != "203.0.113.5, 2001:db8:1:2::/64" {
			h.Errorf("devices %+v, %v", devices, err)
		}
		other := h.newBrowser().at(officeIP).signIn(true)
		other.at(homeIPv6).wantReason("a family that was seen in another browser's sign-in", trust.OtherNetwork)
	})
}

// Every change to the password, factors or address ends trust in all browsers but the one it was made in,
// and the next sign-in says why.
func TestTrustEnds(t *testing.T) {
	type scene struct {
		*fixture
		did, other *browser
	}
	fresh := func(s *scene) session.Session { return s.getSession(s.did.session) }
	for _, row := range []struct {
		says  string
		do    func(s *scene)
		other trust.Reason
		keeps bool // the browser of the change is still trusted
	}{
		{"the password is changed", func(s *scene) {
			_, err := s.SignIns.ChangePassword(s.Context(), fresh(s), annaPassword, "brand new horse", s.did.from)
			s.wantErr("change", err, nil)
			s.did.password, s.other.password = "brand new horse", "brand new horse"
		}, trust.RevokedPasswordChanged, true},
		{"the password is reset", func(s *scene) {
			s.advance(time.Second)
			s.wantErr("forgot", s.Accounts.RequestPasswordReset(s.Context(), annaEmail, "", home), nil)
			s.wantErr("reset", s.Accounts.ResetPassword(s.Context(), s.linkToken(), "brand new horse", home), nil)
			s.did.password, s.other.password = "brand new horse", "brand new horse"
		}, trust.RevokedPasswordChanged, false},
		{"a factor is added", func(s *scene) { s.enrollApp(s.did.session) }, trust.RevokedFactorChanged, true},
		{"a number is added and replaced", func(s *scene) { s.enrollNumber(s.enrollNumber(s.did.session, "+15550100"), "+15550101") }, trust.RevokedFactorChanged, true},
		{"a factor is removed", func(s *scene) {
			sessionToken := s.enrollNumber(s.did.session, "+15550100")
			all, err := s.Enrollments.List(s.Context(), s.getSession(sessionToken))
			s.wantErr("factors", err, nil)
			for _, o := range all {
				if o.Method == "spoken" {
					_, err = s.Enrollments.Remove(s.Context(), s.getSession(sessionToken), o.Factors[0].ID, home)
					s.wantErr("remove", err, nil)
				}
			}
		}, trust.RevokedFactorChanged, true},
		{"the address is changed", func(s *scene) {
			s.wantErr("change", s.Enrollments.StartEmailChange(s.Context(), fresh(s), "eva@example.com", home), nil)
			_, err := s.confirm(s.did.session, "email", s.codeTo("eva@example.com"))
			s.wantErr("confirm", err, nil)
			s.did.email, s.other.email = "eva@example.com", "eva@example.com"
		}, trust.RevokedFactorChanged, true},
		{"a recovery code is used", func(s *scene) {
			sessionToken := s.did.session
			s.wantErr("enroll", s.startEnrollment(sessionToken, "recovery", url.Values{}), nil)
			d, err := s.Enrollments.Pending(s.Context(), s.getSession(sessionToken), "recovery", home)
			s.wantErr("pending", err, nil)
			_, err = s.confirm(sessionToken, "recovery", "")
			s.wantErr("confirm", err, nil)
			s.advance(time.Minute)
			s.other.signIn(true) // the new factor has ended trust there
			entry := s.newBrowser().enterPassword()
			s.wantErr("choose", s.Choose(s.Context(), entry.Attempt, "recovery", home), nil)
			_, err = s.Verify(s.Context(), entry.Attempt, url.Values{"code": {d.Show.Codes[0]}}, home)
			s.wantErr("verify", err, nil)
		}, trust.RevokedRecoveryCodeUsed, false},
		{"signed out everywhere", func(s *scene) {
			s.wantErr("sign out", s.Sessions.EndAll(s.Context(), fresh(s), home), nil)
		}, trust.RevokedSignOutEverywhere, false},
		{"all browsers are forgotten", func(s *scene) {
			s.wantErr("forget", s.Devices.RevokeAllDevices(s.Context(), fresh(s).Owner(), home), nil)
		}, trust.RevokedByOwner, false},
		{"the operator ends it", func(s *scene) {
			s.wantErr("distrust", s.Devices.ForgetAllBy(s.Context(), s.Accounts.OperatorBy(""), annaEmail), nil)
		}, trust.RevokedByOperator, false},
		{"the account was disabled for a time", func(s *scene) {
			s.wantErr("disable", s.Accounts.Disable(s.Context(), s.Accounts.OperatorBy(""), annaEmail, false), nil)
			_, err := s.start(annaEmail, annaPassword, s.other.from)
			s.wantErr("begin", err, account.ErrCredentials)
			s.wantErr("enable", s.Accounts.Enable(s.Context(), s.Accounts.OperatorBy(""), annaEmail), nil)
		}, trust.RevokedAccountDisabled, false},
		{"the change was taken back", func(s *scene) {
			s.advance(time.Second)
			s.enrollApp(s.did.session)
			s.wantErr("undo", s.undo(s.linkToken(), annaPassword), nil)
			s.advance(time.Second)
			s.wantErr("forgot", s.Accounts.RequestPasswordReset(s.Context(), annaEmail, "", home), nil)
			s.wantErr("reset", s.Accounts.ResetPassword(s.Context(), s.linkToken(), "brand new horse", home), nil)
			s.did.password, s.other.password = "brand new horse", "brand new horse"
		}, trust.RevokedFactorChanged, false},
		{"a backup is restored", func(s *scene) { s.wantErr("InvalidateAll", s.SignIns.InvalidateAll(s.Context()), nil) }, trust.RevokedBackupRestored, false},
		{"the person signs out", func(s *scene) { s.wantErr("sign out", s.Sessions.SignOut(s.Context(), s.did.session, home), nil) }, trust.Trusted, true},
	} {
		t.Run(row.says, func(t *testing.T) {
			t.Parallel()
			storetest.EachDatabase(t, func(t *testing.T, url string) {
				h := newFixture(t, url)
				h.addAccount(annaEmail, annaPassword)
				s := &scene{h, h.newBrowser().signIn(true), h.newBrowser().signIn(true)}
				row.do(s)
				s.other.wantReason("the other browser", row.other)
				if got := s.did.reason(); (got == trust.Trusted) != row.keeps {
					h.Errorf("the browser of the change: %q", got)
				}
			})
		})
	}
}

// Two accounts in one browser are trusted independently.
func TestTrustIsPerAccount(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.addAccount("ben@example.com", "seventeen brown jars")
		anna := h.newBrowser().signIn(true)
		ben := &browser{fixture: h, from: anna.from, email: "ben@example.com", password: "seventeen brown jars"}
		ben.wantReason("Anna's record for Ben", trust.NoRecord)
		ben.signIn(true)
		ben.wantReason("Ben", trust.Trusted)
		anna.from.DeviceToken = ben.from.DeviceToken // the cookie of the one browser
		anna.wantReason("Anna", trust.Trusted)
		if err := h.Devices.RevokeAllDevices(h.Context(), h.getSession(anna.session).Owner(), home); err != nil {
			h.Fatal(err)
		}
		ben.from.DeviceToken = anna.from.DeviceToken
		anna.wantReason("Anna after she removed it", trust.RevokedByOwner)
		ben.wantReason("Ben after that", trust.Trusted)
		if n := storetest.CountRows(h.T, h.url, "devices"); n != 1 {
			h.Errorf("%d browsers, want one", n)
		}
	})
}

// A forged or altered device token is treated like none.
func TestForgedDeviceToken(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		token := b.from.DeviceToken
		forged := []string{"", "x", token[:68], token + "A", token[1:], strings.ToLower(token), strings.Repeat("A", 69), seal.NewDeviceToken(), token[26:] + token[:26]}
		for i := 0; i < 26; i++ { // the series
			forged = append(forged, token[:i]+string(token[i]^1)+token[i+1:])
		}
		for _, one := range forged {
			if one == token {
				continue
			}
			attacker := h.newBrowser()
			attacker.from.DeviceToken = one
			attacker.wantReason(one, trust.NoRecord)
		}
		b.wantReason("the real token", trust.Trusted)
	})
}

// Sixteen tabs of a trusted browser sign in at the same time: all get a session, and the cookie that the
// browser keeps is valid, whichever response was last.
func TestParallelTrustedSignIns(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		entries := make(chan session.Cookies, 16)
		atOnce(16, func() {
			entry, err := h.start(annaEmail, annaPassword, b.from)
			if err != nil {
				h.Error(err)
			}
			entries <- entry
		})
		close(entries)
		before := b.from.DeviceToken
		for e := range entries {
			if e.Session == "" {
				h.Error("the second step was required in a tab")
			}
			if e.Device != "" {
				if b.from.DeviceToken != before && b.from.DeviceToken != e.Device {
					h.Error("two new secrets")
				}
				b.from.DeviceToken = e.Device
			}
		}
		if b.from.DeviceToken == before {
			h.Error("no new secret")
		}
		h.advance(time.Hour)
		b.wantReason("afterwards", trust.Trusted)
	})
}

// Trusted sign-ins and the end of that trust at the same time: none of them fails, and afterwards trust
// has ended.
func TestRevokeDuringTrustedSignIns(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for range 10 {
			h.advance(24 * time.Hour)
			b := h.newBrowser().signIn(true)
			owner := h.getSession(b.session).Owner()
			var turn atomic.Int64
			atOnce(8, func() {
				var err error
				if turn.Add(1)%2 == 0 {
					err = h.Devices.RevokeAllDevices(h.Context(), owner, home)
				} else {
					_, err = h.start(annaEmail, annaPassword, b.from)
				}
				if err != nil {
					h.Error(err)
				}
			})
			b.wantReason("afterwards", trust.RevokedByOwner)
		}
	})
}

// An attempt that started before a password change leaves no trust behind.
func TestAttemptFromBeforePasswordChange(t *testing.T) {
	withAccount(t, func(h *fixture) {
		attacker := h.newBrowser()
		entry := attacker.enterPassword()
		code := h.codeTo(annaEmail)
		b := h.newBrowser().signIn(false)
		if _, err := h.SignIns.ChangePassword(h.Context(), h.getSession(b.session), annaPassword, "brand new horse", home); err != nil {
			h.Fatal(err)
		}
		h.wantErr("tick", h.SetTrust(h.Context(), entry.Attempt, true), challenge.ErrNoAttempt)
		_, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {code}}, attacker.from)
		h.wantErr("verify", err, challenge.ErrNoAttempt)
		if n := storetest.CountRows(h.T, h.url, "trusted_networks"); n != 0 {
			h.Errorf("%d trusted networks", n)
		}
	})
}

// The box stays as it was after a wrong code, a new code and another method. It has no effect if the
// network is unknown.
func TestTrustBoxIsKept(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.enrollNumber(h.signIn(), "+15550100")
		b := h.newBrowser()
		token := b.enterPassword().Attempt
		h.wantErr("choose", h.Choose(h.Context(), token, "email", b.from), nil)
		h.wantErr("tick", h.SetTrust(h.Context(), token, true), nil)
		ticked := func(says string, want bool) {
			p, err := h.Pending(h.Context(), token, b.from)
			if err != nil || p.Trust.Requested != want || p.Trust.For != trust.MaxTTL {
				h.Errorf("%s: %+v, %v", says, p.Trust, err)
			}
		}
		_, err := h.Verify(h.Context(), token, url.Values{"code": {wrong(h.codeTo(annaEmail))}}, b.from)
		h.wantErr("wrong", err, factor.ErrIncorrect)
		ticked("after a wrong code", true)
		h.advance(time.Minute)
		h.wantErr("resend", h.Resend(h.Context(), token, b.from), nil)
		ticked("after a new code", true)
		h.advance(time.Minute)
		h.wantErr("another method", h.Choose(h.Context(), token, "spoken", b.from), nil)
		ticked("with another method", true)
		h.wantErr("untick", h.SetTrust(h.Context(), token, false), nil)
		ticked("unticked", false)
		h.wantErr("tick", h.SetTrust(h.Context(), token, true), nil)
		b.from.Address = netip.Addr{}
		p, err := h.Pending(h.Context(), token, b.from)
		if err != nil || !p.Trust.NetworkUnknown || p.Trust.Requested {
			h.Errorf("unknown network: %+v, %v", p.Trust, err)
		}
		entry, err := h.Verify(h.Context(), token, url.Values{"code": {h.lastMail().Text}}, b.from)
		if err != nil || entry.Device == "" {
			h.Fatalf("%+v, %v", entry, err)
		}
		if n := storetest.CountRows(h.T, h.url, "trusted_networks"); n != 0 {
			h.Errorf("%d trusted networks without an address", n)
		}
	})
}

// A restart and a new key in front of the old one keep trust. Data that cannot be decrypted ends trust
// without an error.
func TestTrustAfterRestartAndKeyRotation(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		new := seal.NewKeyLine()
		for _, lines := range []string{h.keys, new + "\n" + h.keys} {
			keys, err := seal.ParseKeyRing(lines)
			if err != nil {
				h.Fatal(err)
			}
			restarted := h.services(storetest.Open(h.T, h.url), keys)
			entry, err := restarted.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaPassword}, b.from)
			if err != nil || entry.Session == "" {
				h.Errorf("%d lines of keys: %+v, %v", strings.Count(lines, "\n")+1, entry, err)
			}
			b.setCookies(entry)
		}
		if strings.HasPrefix(h.url, "postgres") {
			storetest.Exec(h.T, h.url, `UPDATE trusted_networks SET body = '\\x0102'::bytea`)
		} else {
			storetest.Exec(h.T, h.url, "UPDATE trusted_networks SET body = x'0102'")
		}
		h.advance(time.Hour)
		b.wantReason("a trusted network that cannot be decrypted", trust.RevokedEpochChanged)
	})
}

// While the clock is behind the latest time that was seen, no browser is trusted, until the operator says
// that a backup was restored.
func TestClockSetBack(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		h.advance(20 * 24 * time.Hour)
		if err := h.Store.AdvanceLatestTime(h.Context(), h.clock()); err != nil {
			h.Fatal(err)
		}
		b.wantReason("before the clock was set back", trust.Trusted)
		h.advance(-10 * 24 * time.Hour)
		b.wantReason("ten days back", trust.ClockSetBack)
		if err := h.Store.AdvanceLatestTime(h.Context(), h.clock()); err != nil {
			h.Fatal(err)
		}
		b.wantReason("after the clock ran on", trust.ClockSetBack)
		h.advance(10 * 24 * time.Hour)
		b.wantReason("when the clock has caught up", trust.Trusted)
		h.advance(-10 * 24 * time.Hour)
		if err := h.SignIns.InvalidateAll(h.Context()); err != nil {
			h.Fatal(err)
		}
		b.wantReason("after InvalidateAll", trust.RevokedBackupRestored)
		b.signIn(true)
		b.wantReason("after it was trusted again", trust.Trusted)
	})
}

// At most eight networks are trusted per browser and ten browsers per account. The oldest is removed.
func TestDeviceAndNetworkLimits(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser()
		for i := range 9 {
			h.advance(time.Minute)
			b.at("192.0.2." + string(rune('1'+i))).signIn(true)
		}
		b.at("192.0.2.1").wantReason("the oldest network", trust.OtherNetwork)
		b.at("192.0.2.2").wantReason("the next", trust.Trusted)
		b.at("192.0.2.9").wantReason("the newest", trust.Trusted)
		for range 10 {
			h.advance(time.Minute)
			h.newBrowser().signIn(true)
		}
		b.at("192.0.2.9").wantReason("the oldest of eleven browsers", trust.NoRecord)
		devices, err := h.Devices.ListTrustedDevices(h.Context(), h.getSession(h.newBrowser().signIn(false).session).Owner())
		if err != nil || len(devices) != 10 {
			h.Errorf("%d browsers, %v, want 10", len(devices), err)
		}
	})
}

// A decision has the same trace ID in the history and when it is explained or replayed. The history has
// the details.
func TestTrustDecisions(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		h.advance(time.Hour)
		b.at(officeIP).wantReason("the office", trust.OtherNetwork)
		at := h.clock()
		b.signIn(false)
		questions, err := h.Devices.ListSecondStepDecisions(h.Context(), h.getSession(b.session).Owner())
		if err != nil || len(questions) != 3 {
			h.Fatalf("%d decisions, %v", len(questions), err)
		}
		q := questions[1]
		old, ok := q.NearestRecord()
		if q.Reason != trust.OtherNetwork || q.Request.Address.String() != officeIP || !ok || old.Network.String() != "203.0.113.5" || old.Browser.Family != "Firefox" {
			h.Errorf("decision %+v", q)
		}
		h.advance(time.Hour)
		explained, err := h.Devices.ExplainTrust(h.Context(), annaEmail, "", b.from.TrustRequest(), at)
		if err != nil || len(explained) != 2 || explained[0].Trace != q.Trace || explained[0].Reason != trust.OtherNetwork || explained[1].Reason != trust.NoRecord {
			h.Errorf("explained %+v, %v, want trace %s", explained, err, q.Trace)
		}
		replayed, err := h.Devices.ReplayDecision(h.Context(), q.Trace)
		if err != nil || replayed.Reason != q.Reason || replayed.Trace != q.Trace || !replayed.At.Equal(q.At) {
			h.Errorf("replayed %+v, %v", replayed, err)
		}
		again := trust.Decide(replayed.Records, replayed.Request, replayed.Policy, replayed.At)
		if again.Reason != q.Reason {
			h.Errorf("decided again: %q", again.Reason)
		}
		if _, err := h.Devices.ReplayDecision(h.Context(), "NOSUCHTRACE"); !errors.Is(err, account.ErrUnknown) {
			h.Error(err)
		}
		if _, err := h.Devices.ExplainTrust(h.Context(), "nobody@example.com", "", b.from.TrustRequest(), at); !errors.Is(err, account.ErrUnknown) {
			h.Error(err)
		}
		outlook, err := h.Devices.PreviewDecision(h.Context(), h.getSession(b.session).Owner(), b.from)
		if err != nil || outlook.Reason != trust.OtherNetwork {
			h.Errorf("preview %+v, %v", outlook, err)
		}
	})
}

// The owner sees their trusted browsers with their networks, this one first, and can remove each. A
// browser that has lost its cookie is told about a similar trusted browser.
func TestListTrustedDevices(t *testing.T) {
	withAccount(t, func(h *fixture) {
		phone := h.newBrowser()
		phone.from.UserAgent = chromium
		phone.signIn(true)
		h.advance(time.Minute)
		b := h.newBrowser().signIn(true)
		b.at(officeIP).signIn(true)
		b.enterPassword()
		owner := h.getSession(phone.session).Owner()
		devices, err := h.Devices.ListTrustedDevices(h.Context(), owner)
		if err != nil || len(devices) != 2 || !devices[0].Current || devices[0].Browser.Family != "Chrome" || len(devices[1].Networks) != 2 {
			h.Fatalf("devices %+v, %v", devices, err)
		}
		if p := devices[1].Networks; p[0].String() != officeIP || p[0].LastUsedAt.IsZero() || !p[1].LastUsedAt.IsZero() || p[0].ExpiresAt.Sub(p[0].VerifiedAt) != month {
			h.Errorf("networks %+v", p)
		}
		if err := h.Devices.RevokeDevice(h.Context(), owner, devices[1].ID, home); err != nil {
			h.Fatal(err)
		}
		b.wantReason("the removed browser", trust.RevokedByOwner)
		phone.wantReason("the other browser", trust.Trusted)
		if err := h.Devices.RevokeDevice(h.Context(), device.SessionDevice{AccountRef: store.AccountRef{ID: "somebody else"}, DeviceID: owner.DeviceID}, devices[0].ID, home); err != nil {
			h.Fatal(err)
		}
		phone.wantReason("after a removal by another account", trust.Trusted)
		bare := h.newBrowser()
		bare.from.UserAgent = chromium
		lost, err := h.Devices.FindSimilarTrust(h.Context(), owner, bare.from)
		if err != nil || lost.IsZero() {
			h.Errorf("a similar browser without its cookie: %v, %v", lost, err)
		}
		if lost, err := h.Devices.FindSimilarTrust(h.Context(), owner, bare.at("192.0.2.99").from); err != nil || !lost.IsZero() {
			h.Errorf("in another network: %v, %v", lost, err)
		}
	})
}

// The owner is notified of new trust, and not when it is renewed.
func TestTrustIsNotified(t *testing.T) {
	withAccount(t, func(h *fixture) {
		notices := func() (n int) {
			for _, m := range h.mails() {
				if strings.Contains(m.Subject, "New trusted device") && strings.Contains(m.Text, "Trust this device for 30 days") {
					n++
				}
			}
			return n
		}
		b := h.newBrowser().signIn(true)
		if notices() != 1 {
			h.Errorf("%d notices after a new browser", notices())
		}
		b.at(officeIP).signIn(true)
		if notices() != 2 {
			h.Errorf("%d notices after a new network", notices())
		}
		h.advance(month + time.Hour)
		b.signIn(true)
		if notices() != 2 {
			h.Errorf("%d notices after a renewal", notices())
		}
	})
}

// If the store fails, the sign-in fails; the browser is not trusted.
func TestTrustNeedsStore(t *testing.T) {
	withAccount(t, func(h *fixture) {
		b := h.newBrowser().signIn(true)
		storetest.Exec(h.T, h.url, "DROP TABLE trust_decisions")
		if entry, err := h.start(annaEmail, annaPassword, b.from); err == nil {
			h.Errorf("signed in without a record of the decision: %+v", entry)
		}
		storetest.Exec(h.T, h.url, "DROP TABLE trusted_networks")
		if entry, err := h.SignIns.Start(context.Background(), signin.Credentials{Email: annaEmail, Password: annaPassword}, b.from); err == nil {
			h.Errorf("signed in without trusted networks: %+v", entry)
		}
	})
}
