package signin_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/spoken"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

const (
	annaEmail    = "anna@example.com"
	annaPassword = "correct horse battery"
)

var (
	home     = origin.Origin{Address: netip.MustParseAddr("203.0.113.5"), UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", Language: "en"}
	codeLine = regexp.MustCompile(`(?m)^\d{6}$`)
)

// fixture is the services on one database, with a clock that the test sets and a mailbox for all messages.
type fixture struct {
	*testing.T
	*signin.Services
	Store  *store.DB
	Keys   *seal.KeyRing
	url    string
	keys   string // content of the key file
	outbox *outbox.Outbox

	mu      sync.Mutex
	now     time.Time
	written []string // the ids of all messages, in the order in which they were written
	mail    []delivery.Message
}

func newFixture(t *testing.T, url string) *fixture {
	t.Helper()
	lines := seal.NewKeyLine()
	keys, err := seal.ParseKeyRing(lines)
	if err != nil {
		t.Fatal(err)
	}
	h := &fixture{T: t, url: url, keys: lines, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	db := storetest.Open(t, url)
	send := map[delivery.Channel]delivery.SendFunc{delivery.Email: h.send, spoken.CallChannel: h.send}
	h.outbox = outbox.New(db, keys, send, h.clock, slog.New(slog.DiscardHandler))
	h.Store, h.Keys = db, keys
	h.Services = h.services(db, keys)
	return h
}

// services returns the services of one server on a database.
func (h *fixture) services(db *store.DB, keys *seal.KeyRing) *signin.Services {
	return signin.New(signin.Config{
		Store: db, Keys: keys, Passwords: seal.NewPasswordHasher(seal.HashCost{MemoryKiB: 64, Passes: 1}, 4, 0), Now: h.clock, Log: slog.New(slog.DiscardHandler),
		Settings: account.Settings{Site: "Example", PublicURL: "https://signin.example.com", SignUp: "open", Location: time.UTC},
		Enqueue:  h.enqueue, NotifyOutbox: func() {}, Trust: trust.Policy{TTL: trust.MaxTTL}, GuessBudget: odds.AccountBudgetPerYear,
		Methods: []factor.Method{email.Method{}, spoken.Method{}, totp.Method{}, recovery.New()},
		Idle:    time.Hour, Absolute: 24 * time.Hour,
		Email: challenge.EmailPolicy{PauseAfterReset: challenge.EmailPauseAfterReset},
	})
}

// The following methods load an attempt and call the method of the same name.

func (h *fixture) Pending(ctx context.Context, token string, from origin.Origin) (challenge.State, error) {
	a, err := h.Challenges.Load(ctx, token, from)
	if err != nil {
		return challenge.State{}, err
	}
	return a.State, nil
}

func (h *fixture) Choose(ctx context.Context, token, method string, from origin.Origin) error {
	a, err := h.Challenges.Load(ctx, token, from)
	if err != nil {
		return err
	}
	return a.Choose(ctx, method)
}

func (h *fixture) Resend(ctx context.Context, token string, from origin.Origin) error {
	a, err := h.Challenges.Load(ctx, token, from)
	if err != nil {
		return err
	}
	return a.Resend(ctx)
}

func (h *fixture) SetTrust(ctx context.Context, token string, requested bool) error {
	a, err := h.Challenges.Load(ctx, token, home)
	if err != nil {
		return err
	}
	a.SetTrust(requested)
	return a.Save(ctx)
}

func (h *fixture) Verify(ctx context.Context, token string, form url.Values, from origin.Origin) (session.Cookies, error) {
	a, err := h.Challenges.Load(ctx, token, from)
	if err != nil {
		return session.Cookies{}, err
	}
	return a.Verify(ctx, form)
}

// withAccount runs a test on both databases, with Anna's account.
func withAccount(t *testing.T, f func(h *fixture)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		h := newFixture(t, url)
		h.addAccount(annaEmail, annaPassword)
		f(h)
	})
}

func (h *fixture) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *fixture) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *fixture) send(_ context.Context, m delivery.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mail = append(h.mail, m)
	return nil
}

// enqueue writes a message to the outbox, which delivers the newest codes first and notifications last.
func (h *fixture) enqueue(ctx context.Context, tx *store.DB, m delivery.Message, until time.Time) error {
	h.mu.Lock()
	h.written = append(h.written, m.ID)
	h.mu.Unlock()
	return h.outbox.Enqueue(ctx, tx, m, until)
}

// mails delivers what is in the outbox and returns all messages so far, in the order in which they were written.
func (h *fixture) mails() []delivery.Message {
	h.Helper()
	for {
		sent, err := h.outbox.DeliverNext(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		if !sent {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.SortStableFunc(h.mail, func(a, b delivery.Message) int {
		return cmp.Compare(slices.Index(h.written, a.ID), slices.Index(h.written, b.ID))
	})
	return slices.Clone(h.mail)
}

func (h *fixture) lastMail() delivery.Message {
	h.Helper()
	mail := h.mails()
	if len(mail) == 0 {
		h.Fatal("no mail has arrived")
	}
	return mail[len(mail)-1]
}

// code returns the code in the newest message.
func (h *fixture) code() string {
	h.Helper()
	m := h.lastMail()
	code := codeLine.FindString(m.Text)
	if code == "" {
		h.Fatalf("no code in %q", m.Text)
	}
	return code
}

// linkToken returns the token of the link in the newest message.
func (h *fixture) linkToken() string {
	h.Helper()
	m := h.lastMail()
	_, rest, ok := strings.Cut(m.Text, "#")
	if !ok {
		h.Fatalf("no link in %q", m.Text)
	}
	return strings.Fields(rest)[0]
}

func (h *fixture) addAccount(email, password string) {
	h.Helper()
	if err := h.Accounts.Create(h.Context(), account.NewAccount{Email: email, Name: "Anna", Password: password}); err != nil {
		h.Fatal(err)
	}
}

// start starts a sign-in with a password.
func (h *fixture) start(email, password string, from origin.Origin) (session.Cookies, error) {
	return h.SignIns.Start(h.Context(), signin.Credentials{Email: email, Password: password}, from)
}

// enterPassword starts a sign-in and returns the token of its attempt.
func (h *fixture) enterPassword() (token string) {
	h.Helper()
	h.advance(time.Millisecond) // so that its email is the newest
	entry, err := h.start(annaEmail, annaPassword, home)
	if err != nil {
		h.Fatal(err)
	}
	return entry.Attempt
}

func (h *fixture) verify(token, code string) (sessionToken string, err error) {
	entry, err := h.Verify(h.Context(), token, url.Values{"code": {code}}, home)
	return entry.Session, err
}

// signIn completes both steps and returns the session token.
func (h *fixture) signIn() (sessionToken string) {
	h.Helper()
	token := h.enterPassword()
	sessionToken, err := h.verify(token, h.code())
	if err != nil {
		h.Fatal(err)
	}
	return sessionToken
}

// wantErr fails the test unless err is want.
func (h *fixture) wantErr(what string, err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// wrong returns a code that differs from code.
func wrong(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

func TestSignIn(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || challenge.Next(p, h.clock()) != challenge.StepVerify {
			h.Fatalf("after the password: step %v, %v", challenge.Next(p, h.clock()), err)
		}
		if p.Challenge.Masked != "a•••@example.com" || p.Challenge.Delivery.State != "waiting" {
			h.Errorf("challenge %+v", p.Challenge)
		}
		_, err = h.Sessions.Get(h.Context(), token)
		h.wantErr("the pending token as a session", err, session.ErrNoSession)
		m := h.lastMail()
		if m.To != annaEmail || !strings.HasPrefix(m.Subject, h.code()+" is your Example verification code") {
			h.Errorf("mail to %s: %s", m.To, m.Subject)
		}
		for _, want := range []string{"10:15 UTC", "Firefox on Windows", "203.0.113.5"} {
			if !strings.Contains(m.Text, want) {
				h.Errorf("the mail does not say %q:\n%s", want, m.Text)
			}
		}
		sessionToken, err := h.verify(token, h.code())
		if err != nil {
			h.Fatal(err)
		}
		who, err := h.Sessions.Get(h.Context(), sessionToken)
		if err != nil || who.Account.Email != annaEmail || strings.Join(who.AMR, " ") != "pwd email" {
			h.Errorf("session %+v, %v", who, err)
		}
		_, err = h.Pending(h.Context(), sessionToken, home)
		h.wantErr("the session token as a sign-in", err, challenge.ErrNoAttempt)
	})
}

// A code is valid for fifteen minutes after it was sent, by the server's clock. Expired, used and wrong
// codes get the same error.
func TestCodeExpiresAfter15Minutes(t *testing.T) {
	for age, want := range map[time.Duration]error{
		14*time.Minute + 59*time.Second: nil,
		15 * time.Minute:                nil,
		15*time.Minute + time.Second:    factor.ErrIncorrect,
	} {
		withAccount(t, func(h *fixture) {
			token := h.enterPassword()
			code := h.code()
			h.advance(age)
			_, err := h.verify(token, code)
			h.wantErr(age.String(), err, want)
			_, err = h.verify(token, code)
			h.wantErr("again after "+age.String(), err, factor.ErrIncorrect)
		})
	}
}

// A second code is valid for fifteen minutes of its own and does not shorten the first one's.
func TestOverlappingCodes(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		codes := []string{h.code()}
		for _, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
			h.advance(wait - time.Second)
			var early *ratelimit.LimitedError
			if err := h.Resend(h.Context(), token, home); !errors.As(err, &early) || !early.RetryAt.Equal(h.clock().Add(time.Second)) {
				h.Errorf("a second too early: %v", err)
			}
			h.advance(time.Second)
			if err := h.Resend(h.Context(), token, home); err != nil {
				h.Fatal(err)
			}
			codes = append(codes, h.code())
		}
		if n := len(h.mails()); n != 4 {
			h.Errorf("%d mails, want 4", n)
		}
		_, err := h.verify(token, codes[0])
		h.wantErr("the first of four codes", err, factor.ErrIncorrect)
		h.advance(12 * time.Minute)
		if _, err := h.verify(token, codes[1]); err != nil {
			h.Errorf("the second code, 14:30 minutes after it was sent: %v", err)
		}
	})
}

// A person who is late gets a new code in the same sign-in, which then lasts as long as that code. The guesses and
// messages stay counted, and no code is sent later than TTL after the start.
func TestLateCode(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		old := h.code()
		for range 3 {
			h.advance(15 * time.Second)
			_, err := h.verify(token, wrong(old))
			h.wantErr("a wrong code", err, factor.ErrIncorrect)
		}
		h.advance(challenge.TTL - 45*time.Second)
		_, err := h.verify(token, old)
		h.wantErr("an expired code", err, factor.ErrIncorrect)
		if err := h.Resend(h.Context(), token, home); err != nil {
			h.Fatal(err)
		}
		code := h.code()
		h.advance(challenge.MaxCodeTTL)
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || challenge.Next(p, h.clock()) != challenge.StepVerify || p.Challenge.GuessesLeft != 1 {
			h.Errorf("when the late code expires: %+v, %v", p.Challenge, err)
		}
		err = h.Resend(h.Context(), token, home)
		h.wantErr("a code after TTL", err, challenge.ErrNoMoreCodes)
		h.wantErr("a code after TTL", err, ratelimit.ErrLimited)
		if _, err := h.verify(token, code); err != nil {
			h.Errorf("the late code: %v", err)
		}
	})
}

// One sign-in sends five codes. After that the person starts again.
func TestNoMoreCodes(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		for range challenge.MaxMessages - 1 {
			h.advance(2 * time.Minute)
			if err := h.Resend(h.Context(), token, home); err != nil {
				h.Fatal(err)
			}
		}
		h.advance(2 * time.Minute)
		h.wantErr("one more", h.Resend(h.Context(), token, home), challenge.ErrNoMoreCodes)
	})
}

// A sign-in has five guesses. A new code gives no new guesses.
func TestFiveGuesses(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		code := h.code()
		for i := range 5 {
			if i == 3 {
				h.advance(time.Minute)
				if err := h.Resend(h.Context(), token, home); err != nil {
					h.Fatal(err)
				}
			}
			h.advance(15 * time.Second)
			_, err := h.verify(token, wrong(code))
			h.wantErr("wrong", err, factor.ErrIncorrect)
		}
		_, err := h.verify(token, code)
		h.wantErr("the right code after five wrong ones", err, challenge.ErrTooManyGuesses)
		h.advance(time.Minute)
		h.wantErr("a new code", h.Resend(h.Context(), token, home), challenge.ErrTooManyGuesses)
	})
}

func TestMalformedIsNotCounted(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		for _, text := range []string{"", "12345", "1234567", "abcdef", "12345a", strings.Repeat("1", 1000), "123456 123457"} {
			_, err := h.verify(token, text)
			h.wantErr(text, err, factor.ErrMalformed)
		}
		code := h.code()
		if _, err := h.verify(token, " "+code[:3]+"-"+code[3:]+"\u00a0"); err != nil {
			h.Errorf("pasted with a space and a dash: %v", err)
		}
	})
}

// atOnce runs f n times at the same time.
func atOnce(n int, f func()) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for range n {
		all.Go(func() { <-start; f() })
	}
	close(start)
	all.Wait()
}

// Of many right answers at the same time one opens a session.
func TestParallelCodesOpenOneSession(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token, code := h.enterPassword(), h.code()
		var sessions, others atomic.Int64
		atOnce(32, func() {
			switch _, err := h.verify(token, code); {
			case err == nil:
				sessions.Add(1)
			case errors.Is(err, factor.ErrIncorrect), errors.Is(err, challenge.ErrTooManyGuesses), errors.Is(err, ratelimit.ErrLimited):
			default:
				others.Add(1)
				t.Log(err)
			}
		})
		if sessions.Load() != 1 || others.Load() != 0 {
			h.Errorf("%d sessions and %d errors, want 1 and 0", sessions.Load(), others.Load())
		}
	})
}

// counting counts the comparisons of a verification method.
type counting struct {
	email.Method
	compared *atomic.Int64
}

func (c counting) Verify(ctx context.Context, f *factor.Factor, a factor.Response) error {
	c.compared.Add(1)
	return c.Method.Verify(ctx, f, a)
}

func TestParallelGuessesAreDelayed(t *testing.T) {
	withAccount(t, func(h *fixture) {
		var compared atomic.Int64
		h.Challenges.Methods = []factor.Method{counting{compared: &compared}}
		token := h.enterPassword()
		guess := wrong(h.code())
		for _, want := range []int64{2, 3, 4, 5, 5} { // two without a delay, then one after each delay
			atOnce(40, func() { h.verify(token, guess) })
			if compared.Load() != want {
				h.Errorf("%d compared, want %d", compared.Load(), want)
			}
			h.advance(15 * time.Second)
		}
	})
}

// Reloading the page or opening a second tab sends nothing. Entering the password again continues the same
// attempt under a new token.
func TestNoSecondMessage(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		for range 3 {
			if _, err := h.Pending(h.Context(), token, home); err != nil {
				h.Fatal(err)
			}
		}
		again, err := h.SignIns.Start(h.Context(), signin.Credentials{Email: annaEmail, Password: annaPassword, AttemptToken: token}, home)
		if err != nil || again.Attempt == token {
			h.Fatalf("again: %v", err)
		}
		if n := len(h.mails()); n != 1 {
			h.Errorf("%d mails, want 1", n)
		}
		_, err = h.Pending(h.Context(), token, home)
		h.wantErr("the old token", err, challenge.ErrNoAttempt)
		if _, err := h.verify(again.Attempt, h.code()); err != nil {
			h.Error(err)
		}
	})
}

// Parallel requests for a new code send one email.
func TestParallelResendsSendOneMail(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		h.advance(time.Minute)
		var sent atomic.Int64
		atOnce(16, func() {
			if h.Resend(h.Context(), token, home) == nil {
				sent.Add(1)
			}
		})
		if n := len(h.mails()); sent.Load() != 1 || n != 2 {
			h.Errorf("%d accepted and %d mails, want 1 and 2", sent.Load(), n)
		}
	})
}

// A code is accepted only in the sign-in that it was sent for.
func TestCodeOfAnotherSignIn(t *testing.T) {
	withAccount(t, func(h *fixture) {
		first := h.enterPassword()
		codeOfFirst := h.code()
		second := h.enterPassword()
		for h.code() == codeOfFirst { // equal by chance: one in a million
			second = h.enterPassword()
		}
		_, err := h.verify(second, codeOfFirst)
		h.wantErr("the code of another sign-in", err, factor.ErrIncorrect)
		if _, err := h.verify(first, codeOfFirst); err != nil {
			h.Error(err)
		}
	})
}

func TestSignInEnds(t *testing.T) {
	withAccount(t, func(h *fixture) {
		token := h.enterPassword()
		h.advance(challenge.TTL)
		p, err := h.Pending(h.Context(), token, home)
		if err != nil || challenge.Next(p, h.clock()) != challenge.StepVerify {
			h.Errorf("at its end: step %v, %v", challenge.Next(p, h.clock()), err)
		}
		h.advance(time.Millisecond)
		if p, _ := h.Pending(h.Context(), token, home); challenge.Next(p, h.clock()) != challenge.StepPassword {
			h.Errorf("after its end: step %v", challenge.Next(p, h.clock()))
		}
		h.wantErr("resend after the end", h.Resend(h.Context(), token, home), challenge.ErrNoAttempt)
		other := h.enterPassword()
		if err := h.Challenges.Cancel(h.Context(), other); err != nil {
			h.Fatal(err)
		}
		_, err = h.verify(other, h.code())
		h.wantErr("a code for a canceled sign-in", err, factor.ErrIncorrect)
	})
}

func TestWrongPassword(t *testing.T) {
	withAccount(t, func(h *fixture) {
		for _, c := range []signin.Credentials{
			{Email: annaEmail, Password: "wrong horse battery"},
			{Email: annaEmail, Password: ""},
			{Email: "nobody@example.com", Password: annaPassword},
			{Email: "not an address", Password: annaPassword},
			{Email: "\u212anna@example.com", Password: annaPassword}, // Kelvin sign
		} {
			_, err := h.SignIns.Start(h.Context(), c, home)
			h.wantErr(c.Email, err, account.ErrCredentials)
		}
		for _, same := range []string{" anna@example.com ", "Anna@Example.COM"} {
			if _, err := h.start(same, annaPassword, home); err != nil {
				h.Errorf("%q: %v", same, err)
			}
		}
		if n := len(h.mails()); n != 2 {
			h.Errorf("%d mails, want 2: only the right password sends", n)
		}
	})
}

// A session ends after an hour without use, and after a day in any case.
func TestSessionEnds(t *testing.T) {
	withAccount(t, func(h *fixture) {
		sessionToken := h.signIn()
		alive := func(d time.Duration) bool {
			h.advance(d)
			_, err := h.Sessions.Get(h.Context(), sessionToken)
			return err == nil
		}
		for range 24 {
			if !alive(59 * time.Minute) {
				h.Fatal("ended though it was used every hour")
			}
		}
		if alive(25 * time.Minute) {
			h.Error("the session has not ended after 24 hours")
		}
		sessionToken = h.signIn()
		if !alive(time.Hour) || alive(time.Hour+time.Millisecond) {
			h.Error("an idle session does not end after one hour")
		}
	})
}

func TestSignOut(t *testing.T) {
	withAccount(t, func(h *fixture) {
		first, second := h.signIn(), h.signIn()
		pending := h.enterPassword()
		if err := h.Sessions.SignOut(h.Context(), first, home); err != nil {
			h.Fatal(err)
		}
		_, err := h.Sessions.Get(h.Context(), first)
		h.wantErr("signed out", err, session.ErrNoSession)
		who, err := h.Sessions.Get(h.Context(), second)
		if err != nil {
			h.Fatalf("the other browser: %v", err)
		}
		if list, err := h.Sessions.ListOthers(h.Context(), who, session.Cursor{}, 9); err != nil || len(list) != 0 {
			h.Errorf("%d other sessions, %v, want none", len(list), err)
		}
		if err := h.Sessions.EndAll(h.Context(), who, home); err != nil {
			h.Fatal(err)
		}
		_, err = h.Sessions.Get(h.Context(), second)
		h.wantErr("signed out everywhere", err, session.ErrNoSession)
		_, err = h.verify(pending, h.code())
		h.wantErr("an attempt that was running", err, challenge.ErrNoAttempt)
	})
}
