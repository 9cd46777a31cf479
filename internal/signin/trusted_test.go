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

// laptop is a browser that somebody signs in with, and that keeps its cookie.
type laptop struct {
	*fixture
	from        origin.Origin
	email, word string
	session     string
}

func (h *fixture) laptop() *laptop {
	return &laptop{fixture: h, from: home, email: annaEmail, word: annaWord}
}

// at is the same laptop somewhere else.
func (l *laptop) at(address string) *laptop {
	l.from.Address = netip.MustParseAddr(address)
	return l
}

// keep takes the cookies of an answer.
func (l *laptop) keep(e session.Cookies) {
	if e.Device != "" {
		l.from.DeviceToken = e.Device
	}
	l.session = e.Session
}

// begin takes the first step. It is over where the browser is trusted.
func (l *laptop) begin() session.Cookies {
	l.Helper()
	l.turn(time.Millisecond)
	entry, err := l.SignIns.Start(l.Context(), signin.Credentials{Email: l.email, Password: l.word}, l.from)
	if err != nil {
		l.Fatal(err)
	}
	l.keep(entry)
	return entry
}

// in takes both steps, with the box ticked or not.
func (l *laptop) in(tick bool) *laptop {
	l.Helper()
	entry := l.begin()
	if entry.Attempt == "" {
		l.Fatal("no second step was asked for")
	}
	l.answer(entry.Attempt, tick)
	return l
}

// answer takes the second step by mail.
func (l *laptop) answer(token string, tick bool) {
	l.Helper()
	if err := l.Choose(l.Context(), token, "email", l.from); err != nil {
		l.Fatal(err)
	}
	if err := l.Tick(l.Context(), token, tick); err != nil {
		l.Fatal(err)
	}
	entry, err := l.Verify(l.Context(), token, url.Values{"code": {l.mailed(l.email)}}, l.from)
	if err != nil {
		l.Fatal(err)
	}
	l.keep(entry)
}

// mailed is the newest code to an address.
func (h *fixture) mailed(to string) (code string) {
	h.Helper()
	for _, m := range h.arrived() {
		if found := codeLine.FindString(m.Text); m.To == to && found != "" {
			code = found
		}
	}
	return code
}

// why signs in and says why the second step is asked for; trust.Trusted if it is not.
func (l *laptop) why() trust.Reason {
	l.Helper()
	entry := l.begin()
	if entry.Session != "" {
		return trust.Trusted
	}
	p, err := l.Pending(l.Context(), entry.Attempt, l.from)
	if err != nil {
		l.Fatal(err)
	}
	return p.Why.Reason
}

func (l *laptop) wants(says string, want trust.Reason) {
	l.Helper()
	if got := l.why(); got != want {
		l.Errorf("%s: got %q, want %q", says, got, want)
	}
}

// Trust skips the second step for thirty days to the second, sends nothing, and is no proof
// of anything but the password.
func TestTrust(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		began := h.clock()
		n := len(h.arrived())
		entry := l.begin()
		if entry.Session == "" || entry.Attempt != "" {
			h.Fatal("a trusted browser is asked")
		}
		who := h.who(entry.Session)
		if who.RecentlyAuthenticated(h.clock()) || !who.AuthenticatedAt.IsZero() || strings.Join(who.AMR, " ") != "pwd" || who.TrustVerifiedAt.UnixMilli() != began.UnixMilli() {
			h.Errorf("a session by trust: %+v", who)
		}
		if _, err := h.SignIns.ChangePassword(h.Context(), who, annaWord, "brand new horse", home); !errors.Is(err, session.ErrStepUpRequired) {
			h.Errorf("a session by trust changes the password: %v", err)
		}
		if len(h.arrived()) != n {
			h.Error("a message was sent")
		}
		h.turn(began.Add(month).Sub(h.clock()) - time.Millisecond)
		l.wants("thirty days to the second", trust.Trusted)
		l.wants("a millisecond later", trust.Expired)
		l.wants("and again: it does not slide", trust.Expired)
	})
}

// Nobody is trusted who has not asked for it, and a browser without the record never is.
func TestTrustIsAsked(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(false)
		l.wants("the box was not ticked", trust.NoRecord)
		l.in(true)
		h.laptop().wants("another browser of the same make, in the same place", trust.NoRecord)
		l.wants("the one that was ticked", trust.Trusted)
		if n := storetest.CountRows(h.T, h.url, "known_devices"); n != 1 {
			h.Errorf("the account knows %d browsers, want the one", n)
		}
	})
}

// Home and office are both trusted, each for its own thirty days.
func TestPlaces(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		h.turn(10 * 24 * time.Hour)
		l.at(officeIP).wants("the office is new", trust.OtherNetwork)
		l.in(true)
		l.wants("the office", trust.Trusted)
		l.at("203.0.113.5").wants("back at home", trust.Trusted)
		h.turn(20*24*time.Hour + time.Minute)
		l.wants("home, after its thirty days", trust.Expired)
		l.at(officeIP).wants("the office has ten days left", trust.Trusted)
		h.turn(10 * 24 * time.Hour)
		l.wants("the office, after its thirty days", trust.Expired)
	})
}

// An IPv4 and an IPv6 address that were seen in the same verified sign-in are one place; one
// that was not is another.
func TestTwoFamilies(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop()
		entry := l.begin()
		l.at(homeIPv6)
		if _, err := h.Pending(h.Context(), entry.Attempt, l.from); err != nil {
			h.Fatal(err)
		}
		l.at("203.0.113.5").answer(entry.Attempt, true)
		l.at(homeIPv6).wants("the other family", trust.Trusted)
		l.at("2001:db8:1:2:ffff::1").wants("tomorrow's address of the same network", trust.Trusted)
		l.at("2001:db8:1:3::1").wants("the network next door", trust.OtherNetwork)
		devices, err := h.Devices.ListTrustedDevices(h.Context(), h.who(h.laptop().in(false).session).Owner())
		if err != nil || len(devices) != 1 || len(devices[0].Networks) != 1 || devices[0].Networks[0].String() != "203.0.113.5, 2001:db8:1:2::/64" {
			h.Errorf("devices %+v, %v", devices, err)
		}
		other := h.laptop().at(officeIP).in(true)
		other.at(homeIPv6).wants("a family that was seen in another browser's sign-in", trust.OtherNetwork)
	})
}

// Every event that changes what proves a person ends trust everywhere but in the browser it
// was done in, and the next sign-in says which it was.
func TestTrustEnds(t *testing.T) {
	type scene struct {
		*fixture
		did, other *laptop
	}
	fresh := func(s *scene) session.Session { return s.who(s.did.session) }
	for _, row := range []struct {
		says  string
		do    func(s *scene)
		other trust.Reason
		keeps bool // the browser it was done in is still trusted
	}{
		{"the password is changed", func(s *scene) {
			_, err := s.SignIns.ChangePassword(s.Context(), fresh(s), annaWord, "brand new horse", s.did.from)
			s.refused("change", err, nil)
			s.did.word, s.other.word = "brand new horse", "brand new horse"
		}, trust.RevokedPasswordChanged, true},
		{"the password is reset", func(s *scene) {
			s.turn(time.Second)
			s.refused("forgot", s.Accounts.RequestPasswordReset(s.Context(), annaEmail, home), nil)
			s.refused("reset", s.Accounts.ResetPassword(s.Context(), s.linkToken(), "brand new horse", home), nil)
			s.did.word, s.other.word = "brand new horse", "brand new horse"
		}, trust.RevokedPasswordChanged, false},
		{"a factor is added", func(s *scene) { s.app(s.did.session) }, trust.RevokedFactorChanged, true},
		{"a number is added and replaced", func(s *scene) { s.enroll(s.enroll(s.did.session, "+15550100"), "+15550101") }, trust.RevokedFactorChanged, true},
		{"a factor is removed", func(s *scene) {
			sessionToken := s.enroll(s.did.session, "+15550100")
			all, err := s.Enrollments.List(s.Context(), s.who(sessionToken))
			s.refused("factors", err, nil)
			for _, o := range all {
				if o.Method == "spoken" {
					_, err = s.Enrollments.Remove(s.Context(), s.who(sessionToken), o.Factors[0].ID, home)
					s.refused("remove", err, nil)
				}
			}
		}, trust.RevokedFactorChanged, true},
		{"the address is changed", func(s *scene) {
			s.refused("change", s.Enrollments.StartEmailChange(s.Context(), fresh(s), "eva@example.com", home), nil)
			_, err := s.confirm(s.did.session, "email", s.mailed("eva@example.com"))
			s.refused("confirm", err, nil)
			s.did.email, s.other.email = "eva@example.com", "eva@example.com"
		}, trust.RevokedFactorChanged, true},
		{"a recovery code is used", func(s *scene) {
			sessionToken := s.did.session
			s.refused("enroll", s.Enrollments.Start(s.Context(), s.who(sessionToken), "recovery", url.Values{}, home), nil)
			d, err := s.Enrollments.Pending(s.Context(), s.who(sessionToken), "recovery", home)
			s.refused("draft", err, nil)
			_, err = s.confirm(sessionToken, "recovery", "")
			s.refused("confirm", err, nil)
			s.turn(time.Minute)
			s.other.in(true) // the new factor has ended it there
			entry := s.laptop().begin()
			s.refused("choose", s.Choose(s.Context(), entry.Attempt, "recovery", home), nil)
			_, err = s.Verify(s.Context(), entry.Attempt, url.Values{"code": {d.Show.Codes[0]}}, home)
			s.refused("verify", err, nil)
		}, trust.RevokedRecoveryCodeUsed, false},
		{"signed out everywhere", func(s *scene) {
			s.refused("out", s.Sessions.EndAll(s.Context(), fresh(s), home), nil)
		}, trust.RevokedSignOutEverywhere, false},
		{"all browsers are forgotten", func(s *scene) {
			s.refused("forget", s.Devices.RevokeAllDevices(s.Context(), fresh(s).Owner(), home), nil)
		}, trust.RevokedByOwner, false},
		{"the operator ends it", func(s *scene) { s.refused("distrust", s.Accounts.ForgetDevices(s.Context(), annaEmail), nil) }, trust.RevokedByOperator, false},
		{"the account was disabled for a time", func(s *scene) {
			s.refused("disable", s.Accounts.Disable(s.Context(), annaEmail), nil)
			_, err := s.SignIns.Start(s.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, s.other.from)
			s.refused("begin", err, account.ErrCredentials)
			s.refused("enable", s.Accounts.Enable(s.Context(), annaEmail), nil)
		}, trust.RevokedAccountDisabled, false},
		{"the change was taken back", func(s *scene) {
			s.turn(time.Second)
			s.app(s.did.session)
			s.refused("undo", s.Accounts.UndoChange(s.Context(), s.linkToken(), home), nil)
			s.turn(time.Second)
			s.refused("forgot", s.Accounts.RequestPasswordReset(s.Context(), annaEmail, home), nil)
			s.refused("reset", s.Accounts.ResetPassword(s.Context(), s.linkToken(), "brand new horse", home), nil)
			s.did.word, s.other.word = "brand new horse", "brand new horse"
		}, trust.RevokedFactorChanged, false},
		{"a backup was brought back", func(s *scene) { s.refused("restored", s.SignIns.InvalidateAll(s.Context()), nil) }, trust.RevokedBackupRestored, false},
		{"only signed out", func(s *scene) { s.refused("out", s.Sessions.SignOut(s.Context(), s.did.session, home), nil) }, trust.Trusted, true},
	} {
		t.Run(row.says, func(t *testing.T) {
			t.Parallel()
			storetest.EachDatabase(t, func(t *testing.T, url string) {
				h := open(t, url)
				h.add(annaEmail, annaWord)
				s := &scene{h, h.laptop().in(true), h.laptop().in(true)}
				row.do(s)
				s.other.wants("the other browser", row.other)
				if got := s.did.why(); (got == trust.Trusted) != row.keeps {
					h.Errorf("the browser it was done in: %q", got)
				}
			})
		})
	}
}

// One browser, two people: each has a trust of their own, and none helps the other.
func TestTwoAccounts(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.add("ben@example.com", "seventeen brown jars")
		anna := h.laptop().in(true)
		ben := &laptop{fixture: h, from: anna.from, email: "ben@example.com", word: "seventeen brown jars"}
		ben.wants("Anna's record for Ben", trust.NoRecord)
		ben.in(true)
		ben.wants("Ben", trust.Trusted)
		anna.from.DeviceToken = ben.from.DeviceToken // it is one browser
		anna.wants("Anna", trust.Trusted)
		if err := h.Devices.RevokeAllDevices(h.Context(), h.who(anna.session).Owner(), home); err != nil {
			h.Fatal(err)
		}
		ben.from.DeviceToken = anna.from.DeviceToken
		anna.wants("Anna has forgotten it", trust.RevokedByOwner)
		ben.wants("Ben has not", trust.Trusted)
		if n := storetest.CountRows(h.T, h.url, "devices"); n != 1 {
			h.Errorf("%d browsers, want one", n)
		}
	})
}

// A cookie that is forged, cut short or of nobody is the same as none, in any of its parts.
func TestForgedDevice(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		token := l.from.DeviceToken
		forged := []string{"", "x", token[:68], token + "A", token[1:], strings.ToLower(token), strings.Repeat("A", 69), seal.NewDeviceToken(), token[26:] + token[:26]}
		for i := 0; i < 26; i++ { // the series
			forged = append(forged, token[:i]+string(token[i]^1)+token[i+1:])
		}
		for _, one := range forged {
			if one == token {
				continue
			}
			thief := h.laptop()
			thief.from.DeviceToken = one
			thief.wants(one, trust.NoRecord)
		}
		l.wants("the real one", trust.Trusted)
	})
}

// Sixteen tabs of one trusted browser sign in at the same moment: all come in, and the cookie
// that the browser ends up with is good, whichever answer was the last.
func TestTabsAtOnce(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		entries := make(chan session.Cookies, 16)
		atOnce(16, func() {
			entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from)
			if err != nil {
				h.Error(err)
			}
			entries <- entry
		})
		close(entries)
		before := l.from.DeviceToken
		for e := range entries {
			if e.Session == "" {
				h.Error("a tab was asked")
			}
			if e.Device != "" {
				if l.from.DeviceToken != before && l.from.DeviceToken != e.Device {
					h.Error("two secrets were given out")
				}
				l.from.DeviceToken = e.Device
			}
		}
		if l.from.DeviceToken == before {
			h.Error("no secret was given out")
		}
		h.turn(time.Hour)
		l.wants("afterwards", trust.Trusted)
	})
}

// A sign-in by trust and the end of that trust at the same moment: none of them fails, and
// afterwards it has ended.
func TestTrustEndsMeanwhile(t *testing.T) {
	withAnna(t, func(h *fixture) {
		for range 10 {
			h.turn(24 * time.Hour)
			l := h.laptop().in(true)
			owner := h.who(l.session).Owner()
			var turn atomic.Int64
			atOnce(8, func() {
				var err error
				if turn.Add(1)%2 == 0 {
					err = h.Devices.RevokeAllDevices(h.Context(), owner, home)
				} else {
					_, err = h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from)
				}
				if err != nil {
					h.Error(err)
				}
			})
			l.wants("afterwards", trust.RevokedByOwner)
		}
	})
}

// Somebody who began before the password was changed does not leave trust behind.
func TestTrustOfYesterday(t *testing.T) {
	withAnna(t, func(h *fixture) {
		thief := h.laptop()
		entry := thief.begin()
		code := h.mailed(annaEmail)
		l := h.laptop().in(false)
		if _, err := h.SignIns.ChangePassword(h.Context(), h.who(l.session), annaWord, "brand new horse", home); err != nil {
			h.Fatal(err)
		}
		h.refused("tick", h.Tick(h.Context(), entry.Attempt, true), challenge.ErrNoAttempt)
		_, err := h.Verify(h.Context(), entry.Attempt, url.Values{"code": {code}}, thief.from)
		h.refused("verify", err, challenge.ErrNoAttempt)
		if n := storetest.CountRows(h.T, h.url, "trusted_networks"); n != 0 {
			h.Errorf("%d places", n)
		}
	})
}

// The box stays as it was over a wrong code, a new one and another method; it is not there
// with a recovery code, and nothing comes of it where nobody knows the network.
func TestTick(t *testing.T) {
	withAnna(t, func(h *fixture) {
		h.enroll(h.in(), "+15550100")
		l := h.laptop()
		token := l.begin().Attempt
		h.refused("choose", h.Choose(h.Context(), token, "email", l.from), nil)
		h.refused("tick", h.Tick(h.Context(), token, true), nil)
		ticked := func(says string, want bool) {
			p, err := h.Pending(h.Context(), token, l.from)
			if err != nil || p.Trust.Requested != want || p.Trust.Days != 30 {
				h.Errorf("%s: %+v, %v", says, p.Trust, err)
			}
		}
		_, err := h.Verify(h.Context(), token, url.Values{"code": {wrong(h.mailed(annaEmail))}}, l.from)
		h.refused("wrong", err, factor.ErrIncorrect)
		ticked("after a wrong code", true)
		h.turn(time.Minute)
		h.refused("resend", h.Resend(h.Context(), token, l.from), nil)
		ticked("after a new code", true)
		h.turn(time.Minute)
		h.refused("another way", h.Choose(h.Context(), token, "spoken", l.from), nil)
		ticked("with another method", true)
		h.refused("untick", h.Tick(h.Context(), token, false), nil)
		ticked("unticked", false)
		h.refused("tick", h.Tick(h.Context(), token, true), nil)
		l.from.Address = netip.Addr{}
		p, err := h.Pending(h.Context(), token, l.from)
		if err != nil || !p.Trust.NetworkUnknown || p.Trust.Requested {
			h.Errorf("nobody knows the network: %+v, %v", p.Trust, err)
		}
		entry, err := h.Verify(h.Context(), token, url.Values{"code": {h.last().Text}}, l.from)
		if err != nil || entry.Device == "" {
			h.Fatalf("%+v, %v", entry, err)
		}
		if n := storetest.CountRows(h.T, h.url, "trusted_networks"); n != 0 {
			h.Errorf("%d places that nobody knows", n)
		}
	})
}

// A restart and a new key in front of the old one leave trust as it was; without the old
// key a browser is asked, and nothing breaks.
func TestTrustOverKeys(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		new := seal.NewKeyLine()
		for _, lines := range []string{h.keys, new + "\n" + h.keys} {
			keys, err := seal.ParseKeyRing(lines)
			if err != nil {
				h.Fatal(err)
			}
			restarted := h.services(storetest.Open(h.T, h.url), keys)
			entry, err := restarted.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from)
			if err != nil || entry.Session == "" {
				h.Errorf("%d lines of keys: %+v, %v", strings.Count(lines, "\n")+1, entry, err)
			}
			l.keep(entry)
		}
		if strings.HasPrefix(h.url, "postgres") {
			storetest.Exec(h.T, h.url, `UPDATE trusted_networks SET body = '\\x0102'::bytea`)
		} else {
			storetest.Exec(h.T, h.url, "UPDATE trusted_networks SET body = x'0102'")
		}
		h.turn(time.Hour)
		l.wants("a place that does not open", trust.RevokedEpochChanged)
	})
}

// With a clock that was set back nobody is trusted until it has caught up, or the operator
// says that the database was restored.
func TestClockSetBack(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		h.turn(20 * 24 * time.Hour)
		if err := h.Store.AdvanceLatestTime(h.Context(), h.clock()); err != nil {
			h.Fatal(err)
		}
		l.wants("in time", trust.Trusted)
		h.turn(-10 * 24 * time.Hour)
		l.wants("ten days back", trust.ClockSetBack)
		if err := h.Store.AdvanceLatestTime(h.Context(), h.clock()); err != nil {
			h.Fatal(err)
		}
		l.wants("what was noted stays", trust.ClockSetBack)
		h.turn(10 * 24 * time.Hour)
		l.wants("it has caught up", trust.Trusted)
		h.turn(-10 * 24 * time.Hour)
		if err := h.SignIns.InvalidateAll(h.Context()); err != nil {
			h.Fatal(err)
		}
		l.wants("restored", trust.RevokedBackupRestored)
		l.in(true)
		l.wants("and trusted anew", trust.Trusted)
	})
}

// At most eight places for a browser, and ten browsers for an account: the oldest leaves.
func TestMost(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop()
		for i := range 9 {
			h.turn(time.Minute)
			l.at("192.0.2." + string(rune('1'+i))).in(true)
		}
		l.at("192.0.2.1").wants("the oldest place", trust.OtherNetwork)
		l.at("192.0.2.2").wants("the next", trust.Trusted)
		l.at("192.0.2.9").wants("the newest", trust.Trusted)
		for range 10 {
			h.turn(time.Minute)
			h.laptop().in(true)
		}
		l.at("192.0.2.9").wants("the oldest of eleven browsers", trust.NoRecord)
		devices, err := h.Devices.ListTrustedDevices(h.Context(), h.who(h.laptop().in(false).session).Owner())
		if err != nil || len(devices) != 10 {
			h.Errorf("%d browsers, %v, want 10", len(devices), err)
		}
	})
}

// The same decision has the same trace in the log, in the history and when it is explained;
// the history has the whole reason, and the page before it has not.
func TestDecisions(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		h.turn(time.Hour)
		l.at(officeIP).wants("the office", trust.OtherNetwork)
		at := h.clock()
		l.in(false)
		questions, err := h.Devices.ListSecondStepDecisions(h.Context(), h.who(l.session).Owner())
		if err != nil || len(questions) != 3 {
			h.Fatalf("%d questions, %v", len(questions), err)
		}
		q := questions[1]
		old, ok := q.NearestRecord()
		if q.Reason != trust.OtherNetwork || q.Request.Address.String() != officeIP || !ok || old.Network.String() != "203.0.113.5" || old.Browser.Family != "Firefox" {
			h.Errorf("question %+v", q)
		}
		h.turn(time.Hour)
		explained, err := h.Devices.ExplainTrust(h.Context(), annaEmail, l.from.TrustRequest(), at)
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
		if _, err := h.Devices.ExplainTrust(h.Context(), "nobody@example.com", l.from.TrustRequest(), at); !errors.Is(err, account.ErrUnknown) {
			h.Error(err)
		}
		outlook, err := h.Devices.PreviewDecision(h.Context(), h.who(l.session).Owner(), l.from)
		if err != nil || outlook.Reason != trust.OtherNetwork {
			h.Errorf("outlook %+v, %v", outlook, err)
		}
	})
}

// What the owner sees: their browsers with their places, this one first, and one they can
// forget; whose storage was deleted is told from whom nobody knows.
func TestTrustedList(t *testing.T) {
	withAnna(t, func(h *fixture) {
		phone := h.laptop()
		phone.from.UserAgent = chromium
		phone.in(true)
		h.turn(time.Minute)
		l := h.laptop().in(true)
		l.at(officeIP).in(true)
		l.begin()
		owner := h.who(phone.session).Owner()
		devices, err := h.Devices.ListTrustedDevices(h.Context(), owner)
		if err != nil || len(devices) != 2 || !devices[0].Current || devices[0].Browser.Family != "Chrome" || len(devices[1].Networks) != 2 {
			h.Fatalf("devices %+v, %v", devices, err)
		}
		if p := devices[1].Networks; p[0].String() != officeIP || p[0].LastUsedAt.IsZero() || !p[1].LastUsedAt.IsZero() || p[0].ExpiresAt.Sub(p[0].VerifiedAt) != month {
			h.Errorf("places %+v", p)
		}
		if err := h.Devices.RevokeDevice(h.Context(), owner, devices[1].ID, home); err != nil {
			h.Fatal(err)
		}
		l.wants("forgotten", trust.RevokedByOwner)
		phone.wants("not that one", trust.Trusted)
		if err := h.Devices.RevokeDevice(h.Context(), device.SessionDevice{AccountRef: store.AccountRef{ID: "somebody else"}, DeviceID: owner.DeviceID}, devices[0].ID, home); err != nil {
			h.Fatal(err)
		}
		phone.wants("somebody else forgets nothing of mine", trust.Trusted)
		bare := h.laptop()
		bare.from.UserAgent = chromium
		lost, err := h.Devices.FindSimilarTrust(h.Context(), owner, bare.from)
		if err != nil || lost.IsZero() {
			h.Errorf("a browser like it, whose record is gone: %v, %v", lost, err)
		}
		if lost, err := h.Devices.FindSimilarTrust(h.Context(), owner, bare.at("192.0.2.99").from); err != nil || !lost.IsZero() {
			h.Errorf("somewhere else: %v, %v", lost, err)
		}
	})
}

// A new record is told by mail, a renewed one is not.
func TestTrustIsTold(t *testing.T) {
	withAnna(t, func(h *fixture) {
		told := func() (n int) {
			for _, m := range h.arrived() {
				if strings.Contains(m.Subject, "A device is trusted") && strings.Contains(m.Text, "Trust this device for 30 days") {
					n++
				}
			}
			return n
		}
		l := h.laptop().in(true)
		if told() != 1 {
			h.Errorf("told %d times of a new browser", told())
		}
		l.at(officeIP).in(true)
		if told() != 2 {
			h.Errorf("told %d times of a new place", told())
		}
		h.turn(month + time.Hour)
		l.in(true)
		if told() != 2 {
			h.Errorf("told %d times after it was renewed", told())
		}
	})
}

// A store that does not answer is a fault, never trust.
func TestTrustNeedsStore(t *testing.T) {
	withAnna(t, func(h *fixture) {
		l := h.laptop().in(true)
		storetest.Exec(h.T, h.url, "DROP TABLE trust_decisions")
		if entry, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from); err == nil {
			h.Errorf("in without a record of the decision: %+v", entry)
		}
		storetest.Exec(h.T, h.url, "DROP TABLE trusted_networks")
		if entry, err := h.SignIns.Start(context.Background(), signin.Credentials{Email: annaEmail, Password: annaWord}, l.from); err == nil {
			h.Errorf("in without places: %+v", entry)
		}
	})
}
