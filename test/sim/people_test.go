package sim_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

const (
	firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	chrome  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)

// browser is one browser, and where it is.
type browser struct {
	agent   string
	address netip.Addr
	cookie  string
}

func (b *browser) from() origin.Origin {
	return origin.Origin{Address: b.address, UserAgent: b.agent, Language: "en", DeviceToken: b.cookie}
}

// network is the n-th of all networks.
func network(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(10 + n>>16), byte(n >> 8), byte(n), 7}) // each in a large network of its own
}

// phone is an authenticator app (RFC 6238, SHA-1, 6 digits, 30 s), and how far its clock is off.
type phone struct {
	key []byte
	off time.Duration
}

func (p phone) step(at time.Time) int64 { return at.Add(p.off).Unix() / 30 }

func (p phone) code(step int64) string {
	var text [8]byte
	binary.BigEndian.PutUint64(text[:], uint64(step))
	mac := hmac.New(sha1.New, p.key)
	mac.Write(text[:])
	sum := mac.Sum(nil)
	i := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[i:])&0x7fffffff%1000000)
}

// begin gives a password.
func (w *world) begin(b *browser, c signin.Credentials) (entry session.Cookies, err error, struck bool) {
	w.Helper()
	w.book.asked.from = b.from()
	err, struck = w.call("begin", func(ctx context.Context) (err error) {
		entry, err = w.SignIns.Start(ctx, c, b.from())
		return err
	})
	if err == nil && entry.Device != "" {
		b.cookie = entry.Device
	}
	return entry, err, struck
}

// verify gives an answer. The proof is what may never be used again.
func (w *world) verify(b *browser, token, typed, proof string) (entry session.Cookies, err error, struck bool) {
	w.Helper()
	w.book.asked.from, w.book.asked.signIn, w.book.asked.proof = b.from(), token, proof
	err, struck = w.call("verify", func(ctx context.Context) (err error) {
		a, err := w.Challenges.Load(ctx, token, b.from())
		if err != nil {
			return err
		}
		entry, err = a.Verify(ctx, url.Values{"code": {typed}})
		if err == nil {
			w.learn(b, token, entry)
		}
		return err
	})
	if err == nil && entry.Device != "" {
		b.cookie = entry.Device
	}
	return entry, err, struck
}

// learn notes what a full proof has made of a browser.
func (w *world) learn(b *browser, token string, entry session.Cookies) {
	cookie := b.cookie
	if entry.Device != "" {
		cookie = entry.Device
	}
	series, _, _ := seal.SplitDeviceToken(cookie)
	var g grant
	var ticked bool
	if !w.query(`SELECT s.account_id, s.trust_requested, a.epoch FROM attempts s JOIN accounts a ON a.id = s.account_id WHERE s.token_hash = $1`, []any{seal.HashToken(token)}, &g.account, &ticked, &g.epoch) {
		return
	}
	w.book.known[series+g.account] = true
	if ticked {
		g.address, g.agent, g.at = b.address.String(), b.agent, w.now.Add(w.skew)
		w.book.grants[series] = append(w.book.grants[series], g)
	}
}

func (w *world) pending(b *browser, token string) (p challenge.State, err error, struck bool) {
	w.Helper()
	err, struck = w.call("pending", func(ctx context.Context) (err error) {
		a, err := w.Challenges.Load(ctx, token, b.from())
		if err != nil {
			return err
		}
		p = a.State
		return nil
	})
	return p, err, struck
}

func (w *world) choose(b *browser, token, method string) (error, bool) {
	w.Helper()
	w.book.asked.signIn = token
	return w.call("choose", func(ctx context.Context) error {
		a, err := w.Challenges.Load(ctx, token, b.from())
		if err != nil {
			return err
		}
		return a.Choose(ctx, method)
	})
}

func (w *world) resend(b *browser, token string) (error, bool) {
	w.Helper()
	w.book.asked.signIn = token
	return w.call("resend", func(ctx context.Context) error {
		a, err := w.Challenges.Load(ctx, token, b.from())
		if err != nil {
			return err
		}
		return a.Resend(ctx)
	})
}

// owner is somebody with an account.
type owner struct {
	*world
	id, email, password string
	method              string // by which they like to prove themselves
	phone               phone
	typos               float64 // of the codes that they type
	giveUp              float64 // after a wrong code
	trusts              bool
	watched             float64 // in how many sign-ins somebody looks over their shoulder
	waits               int     // that they were told of, with a right answer in hand
}

// visit is how a sign-in went.
type visit struct {
	session string
	trusted bool
	hard    bool
	refused string // why not, where it was not their own doing
	gaveUp  bool
}

// addOwner makes an account; one that is to have an app enrolls it.
func (w *world) addOwner(name, method string) *owner {
	w.Helper()
	o := &owner{world: w, email: name + "@example.com", password: "correct horse " + name, method: method}
	if err := w.Accounts.Create(context.Background(), account.NewAccount{Email: o.email, Name: "Anna", Password: o.password}); err != nil {
		w.Fatal(err)
	}
	a, err := w.db.FindAccountByEmail(context.Background(), o.email)
	if err != nil {
		w.Fatal(err)
	}
	o.id = a.ID
	if method == "totp" {
		o.method = "email"
		v := o.signIn(&browser{agent: firefox, address: network(1)}, func(d time.Duration) { w.now = w.now.Add(d) })
		o.enroll(v.session)
		o.method = method
		w.now = w.now.Add(time.Hour)
	}
	return o
}

func (o *owner) enroll(session string) {
	o.Helper()
	ctx, from := context.Background(), (&browser{agent: firefox, address: network(1)}).from()
	who, err := o.Sessions.Get(ctx, session)
	if err != nil {
		o.Fatal(err)
	}
	if err := o.Enrollments.Start(ctx, who, "totp", url.Values{}, from); err != nil {
		o.Fatal(err)
	}
	d, err := o.Enrollments.Pending(ctx, who, "totp", from)
	if err != nil {
		o.Fatal(err)
	}
	link, err := url.Parse(d.Show.URI)
	if err != nil {
		o.Fatal(err)
	}
	if o.phone.key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(link.Query().Get("secret")); err != nil {
		o.Fatal(err)
	}
	o.book.asked.carries = true
	if err, _ := o.call("enroll", func(ctx context.Context) error {
		_, err := o.Enrollments.Confirm(ctx, who, "totp", url.Values{"code": {o.phone.code(o.phone.step(o.now))}}, from)
		return err
	}); err != nil {
		o.Fatal(err)
	}
}

// signIn comes in, as an honest person does: with what is asked for, again if it was wrong,
// later if they are told to wait.
func (o *owner) signIn(b *browser, wait func(time.Duration)) (v visit) {
	o.Helper()
	for range 6 {
		entry, err, struck := o.begin(b, signin.Credentials{Email: o.email, Password: o.password})
		switch {
		case struck && err != nil:
			wait(10 * time.Second)
			continue
		case err != nil:
			v.refused = "begin: " + err.Error()
			return v
		case entry.Session != "":
			v.session, v.trusted = entry.Session, true
			return v
		}
		wait(o.between(time.Second, 5*time.Second))
		if again := o.prove(b, entry.Attempt, &v, wait); !again {
			return v
		}
		wait(o.between(time.Second, time.Minute))
	}
	v.refused = "they gave up after six sign-ins"
	return v
}

// prove answers until it is right. It says whether to begin again.
func (o *owner) prove(b *browser, token string, v *visit, wait func(time.Duration)) (again bool) {
	o.Helper()
	for range 16 {
		p, err, struck := o.pending(b, token)
		switch {
		case err != nil && struck:
			wait(5 * time.Second)
			continue
		case err != nil, challenge.Next(p, o.clock()) == challenge.StepPassword:
			return true
		case p.Challenge == nil:
			if err, _ := o.choose(b, token, o.method); errors.Is(err, ratelimit.ErrLimited) {
				v.refused = "choose: no mail may be sent"
				return false
			}
			wait(time.Second)
			continue
		}
		typed, proof := o.answer(b, token, p, wait)
		if typed == "" {
			v.refused = "no code has come"
			return true
		}
		v.refused, v.hard = "", v.hard || p.Challenge.LongCode
		right := !o.chance(o.typos)
		if !right {
			typed = wrong(typed)
		}
		if o.trusts {
			o.call("tick", func(ctx context.Context) error {
				a, err := o.Challenges.Load(ctx, token, b.from())
				if err != nil {
					return err
				}
				a.SetTrust(true)
				return a.Save(ctx)
			})
		}
		if done, again := o.give(b, token, typed, proof, right, v, wait); done {
			return again
		}
	}
	return true
}

// give gives an answer. It says whether that is the end of this sign-in, and if so, whether
// to begin again.
func (o *owner) give(b *browser, token, typed, proof string, right bool, v *visit, wait func(time.Duration)) (done, again bool) {
	o.Helper()
	for {
		entry, err, struck := o.verify(b, token, typed, proof)
		var later *ratelimit.LimitedError
		switch {
		case err == nil && !right:
			o.Errorf("a wrong code is accepted")
			return true, false
		case err == nil:
			v.session = entry.Session
			o.replay(b, token, typed, proof)
			return true, false
		case struck:
			wait(5 * time.Second)
			return false, false
		case errors.As(err, &later):
			o.waits++
			d := later.RetryAt.Sub(o.clock())
			if d > 2*time.Minute {
				v.refused = "verify: wait for " + d.String()
				return true, false
			}
			wait(d)
		case errors.Is(err, challenge.ErrTooManyGuesses):
			return true, true
		case errors.Is(err, factor.ErrIncorrect):
			if v.refused = ""; right {
				v.refused = "verify: a right answer is refused"
			}
			if v.gaveUp = !right && o.chance(o.giveUp); v.gaveUp {
				return true, false
			}
			wait(o.between(3*time.Second, 20*time.Second))
			return false, false
		default: // it must be longer, or the sign-in is over
			wait(time.Second)
			return false, false
		}
	}
}

// replay is somebody who has looked over the shoulder: the same answer again, at once.
func (o *owner) replay(b *browser, token, typed, proof string) {
	o.Helper()
	if !o.chance(o.watched) {
		return
	}
	if _, err, _ := o.verify(b, token, typed, proof); err == nil {
		o.Errorf("%s is accepted again, in the same sign-in", proof)
	}
	attacker := &browser{agent: b.agent, address: network(99_999)}
	entry, err, _ := o.begin(attacker, signin.Credentials{Email: o.email, Password: o.password})
	if err != nil || entry.Attempt == "" {
		return
	}
	if p, err, _ := o.pending(attacker, entry.Attempt); err != nil || p.Challenge == nil {
		if err, _ := o.choose(attacker, entry.Attempt, o.method); err != nil {
			return
		}
	}
	if _, err, _ := o.verify(attacker, entry.Attempt, typed, proof); err == nil {
		o.Errorf("%s is accepted again", proof)
	}
}

// answer reads a code from the phone or from the mailbox, when it has come.
func (o *owner) answer(b *browser, token string, p challenge.State, wait func(time.Duration)) (typed, proof string) {
	o.Helper()
	if p.Challenge.Method == "totp" {
		return o.fromPhone(p.Challenge.LongCode, wait)
	}
	for range 4 {
		wait(o.between(5*time.Second, 40*time.Second))
		letters := o.inbox[o.email]
		for i := len(letters) - 1; i >= 0; i-- {
			l := letters[i]
			code := strings.ReplaceAll(codeLine.FindString(l.Text), "-", "")
			if code == "" || l.arrives.After(o.now) || o.now.Sub(l.sent) > 15*time.Minute || !strings.Contains(l.Text, b.address.String()) || (len(code) == seal.LongCodeLength) != p.Challenge.LongCode {
				continue
			}
			return code, "mail " + l.ID
		}
		wait(time.Minute)
		o.deliver()
		if err, _ := o.resend(b, token); err != nil && !errors.Is(err, ratelimit.ErrLimited) {
			break
		}
	}
	return "", ""
}

func (o *owner) fromPhone(hard bool, wait func(time.Duration)) (typed, proof string) {
	step := o.phone.step(o.now)
	for o.book.used[o.appProof(step)] != "" || hard && o.book.used[o.appProof(step+1)] != "" {
		wait(10 * time.Second) // that one was used, or the pair before ended with it
		step = o.phone.step(o.now)
	}
	if !hard {
		wait(o.between(2*time.Second, 15*time.Second))
		return o.phone.code(step), o.appProof(step)
	}
	for o.phone.step(o.now) == step {
		wait(5 * time.Second)
	}
	wait(o.between(2*time.Second, 15*time.Second))
	return o.phone.code(step) + o.phone.code(step+1), o.appProof(step + 1)
}

func (o *owner) appProof(step int64) string { return fmt.Sprintf("app %s %d", o.email, step) }

// changePassword chooses a new password, in a session that has just begun.
func (o *owner) changePassword(b *browser, token, password string) {
	o.Helper()
	o.book.asked.from, o.book.asked.carries = b.from(), true
	err, _ := o.call("new password", func(ctx context.Context) error {
		who, err := o.Sessions.Get(ctx, token)
		if err != nil {
			return err
		}
		var before int64
		o.query(`SELECT epoch FROM accounts WHERE id = $1`, []any{o.id}, &before)
		if _, err = o.SignIns.ChangePassword(ctx, who, o.password, password, b.from()); err != nil {
			return err
		}
		o.password = password
		series, _, _ := seal.SplitDeviceToken(b.cookie)
		for i, g := range o.book.grants[series] { // the browser in which it is done keeps its trust
			if g.account == o.id && g.epoch == before {
				o.book.grants[series][i].epoch++
			}
		}
		return nil
	})
	if err == nil || errors.Is(err, errLost) {
		if _, err := o.Sessions.Get(context.Background(), token); !errors.Is(err, session.ErrNoSession) {
			o.Errorf("a token of before the new password: %v", err)
		}
	}
}

// wrong is an answer that is not this one.
func wrong(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}
