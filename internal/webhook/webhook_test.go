package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

var (
	oneSecret   = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	otherSecret = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{2}, 24))
)

// received is a request as the receiver has read it.
type received struct {
	header http.Header
	body   string
}

// kind returns the type of the payload.
func (r received) kind() string {
	var p struct{ Type string }
	_ = json.Unmarshal([]byte(r.body), &p)
	return p.Type
}

func (r received) id() string { return r.header.Get("webhook-id") }

// verify checks a request as a receiver has to (Standard Webhooks 1.0.0, Verifying signatures).
func verify(r received, secret string, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return err
	}
	if d := now.Unix() - seconds; d > 300 || d < -300 {
		return fmt.Errorf("the time is %d seconds away", d)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", r.header.Get("webhook-id"), seconds, r.body)
	for _, one := range strings.Split(r.header.Get("webhook-signature"), " ") {
		version, text, _ := strings.Cut(one, ",")
		signature, err := base64.StdEncoding.DecodeString(text)
		if err == nil && version == "v1" && hmac.Equal(signature, mac.Sum(nil)) {
			return nil
		}
	}
	return errors.New("no signature matches")
}

// site is a database with a receiver.
type site struct {
	*testing.T
	url   string
	db    *store.DB
	log   *audit.Log
	now   time.Time
	lines bytes.Buffer

	server *httptest.Server
	mu     sync.Mutex
	got    []received
	// answer answers a request; nil: with 204.
	answer func(w http.ResponseWriter, r received)
}

func each(t *testing.T, f func(s *site)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		s := &site{T: t, url: url, now: time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC), db: storetest.Open(t, url)}
		s.log = &audit.Log{Store: s.db, Now: func() time.Time { return s.now }}
		s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			one := received{r.Header, string(body)}
			s.mu.Lock()
			s.got = append(s.got, one)
			answer := s.answer
			s.mu.Unlock()
			if answer != nil {
				answer(w, one)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		t.Cleanup(s.server.Close)
		f(s)
	})
}

func (s *site) config() Config {
	return Config{
		Name: "crm", URL: s.server.URL + "/hooks?token=hidden", Secrets: []string{oneSecret}, Events: []string{"*"},
		AllowPrivate: true,
	}
}

func (s *site) deliverer(configs ...Config) *Deliverer {
	s.Helper()
	if err := Validate(configs, true); err != nil {
		s.Fatal(err)
	}
	return New(s.db, s.log, configs, func() time.Time { return s.now }, slog.New(slog.NewTextHandler(&s.lines, nil)))
}

// record records an event of a kind.
func (s *site) record(kind audit.Kind) {
	s.Helper()
	e := audit.Event{Kind: kind, Account: "anna", Target: "session:x", Reason: "email", Client: "wiki", SignIn: "a1"}
	from := audit.Source{Address: "203.0.113.9", Browser: "Firefox"}
	if err := s.db.Tx(s.Context(), func(tx *store.DB) error { return s.log.Record(s.Context(), tx, e, from) }); err != nil {
		s.Fatal(err)
	}
	s.now = s.now.Add(time.Millisecond)
}

// round lets d deliver, and returns what the receiver has got.
func (s *site) round(d *Deliverer) []received {
	s.Helper()
	if _, err := d.Deliver(s.Context(), "crm"); err != nil {
		s.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// answers sets how the receiver answers.
func (s *site) answers(status int) {
	s.respond(func(w http.ResponseWriter, _ received) { w.WriteHeader(status) })
}

func (s *site) respond(f func(w http.ResponseWriter, r received)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *site) state(d *Deliverer) State {
	s.Helper()
	list, err := d.States(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return list[0]
}

// want compares the kinds of what was received.
func (s *site) want(what string, got []received, kinds ...audit.Kind) {
	s.Helper()
	var list []audit.Kind
	for _, r := range got {
		list = append(list, audit.Kind(r.kind()))
	}
	if !slices.Equal(list, kinds) {
		s.Errorf("%s: got %q, want %q", what, list, kinds)
	}
}

// Events arrive in order, once, signed with each secret, with the documented fields and no address.
func TestDelivery(t *testing.T) {
	each(t, func(s *site) {
		c := s.config()
		c.Secrets, c.Events = []string{otherSecret, oneSecret}, []string{"session.*", "account.created"}
		d := s.deliverer(c)
		s.record(audit.AccountCreated)
		s.record(audit.SessionsEnded) // is not selected
		s.record(audit.SessionCreated)
		s.record(audit.SessionEnded)
		got := s.round(d)
		s.want("selected", got, audit.AccountCreated, audit.SessionCreated, audit.SessionEnded)
		s.want("a second time", s.round(d))
		for _, r := range got {
			for _, secret := range c.Secrets {
				if err := verify(r, secret, s.now); err != nil {
					s.Errorf("%s: %v", r.header, err)
				}
			}
			changed := r
			changed.body += " "
			if verify(changed, oneSecret, s.now) == nil {
				s.Error("a changed body has a valid signature")
			}
		}
		list, err := s.log.List(s.Context(), audit.Filter{Kinds: []audit.Kind{audit.AccountCreated}})
		if err != nil || len(list) != 1 {
			s.Fatal(list, err)
		}
		id := list[0].ID.String()
		want := `{"type":"account.created","timestamp":"2026-11-29T10:00:00Z","data":{"id":"` + id + `","result":"success",` +
			`"reason":"email","account":"anna","actor_type":"person","actor_id":"anna","target":"session:x",` +
			`"client":"wiki","sign_in":"a1","count":1}}`
		if got[0].body != want || got[0].id() != "evt_"+id {
			s.Errorf("got %s %s\nwant %s", got[0].id(), got[0].body, want)
		}
		header := got[0].header
		if len(strings.Fields(header.Get("Webhook-Signature"))) != 2 || header.Get("Content-Type") != "application/json" {
			s.Errorf("headers: %v", header)
		}
		state := s.state(d)
		if state.Waiting != 0 || !state.DeliveredAt.Equal(s.now) || state.Host != s.server.URL {
			s.Errorf("%+v", state)
		}
	})
}

// While the receiver fails, its events wait, are tried after longer and longer pauses, and arrive in order.
func TestReceiverFails(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		s.record(audit.SessionCreated)
		s.record(audit.SessionEnded)
		s.record(audit.AccountCreated)
		s.answers(http.StatusServiceUnavailable)
		first := s.round(d)
		s.want("the first attempt", first, audit.SessionCreated)
		s.want("before the pause is over", s.round(d))
		waited := time.Duration(0)
		for n := int64(1); n < 7; n++ {
			pause := s.state(d).NextAt.Sub(s.now)
			if pause < backoff(n)*8/10 || pause > backoff(n)*12/10 {
				s.Errorf("after %d failures the pause is %s", n, pause)
			}
			s.now, waited = s.now.Add(pause), waited+pause
			got := s.round(d)
			const at = "Webhook-Timestamp"
			if got[0].id() != first[0].id() || got[0].header.Get(at) == first[0].header.Get(at) {
				s.Errorf("attempt %d: %v", n, got[0].header)
			}
		}
		state := s.state(d)
		if state.Waiting != 3 || state.Failures != 7 || state.Failure != "answered 503" ||
			!state.FailingSince.Equal(s.now.Add(-waited)) || state.Oldest.IsZero() {
			s.Errorf("%+v", state)
		}
		s.answers(http.StatusOK)
		s.now = s.now.Add(2 * time.Hour)
		s.want("when it works again", s.round(d), audit.SessionCreated, audit.SessionEnded, audit.AccountCreated)
		if state := s.state(d); state.Failures != 0 || state.Failure != "" || state.Waiting != 0 {
			s.Errorf("%+v", state)
		}
		log := s.lines.String()
		if !strings.Contains(log, "webhook=crm") || strings.Contains(log, "hidden") || strings.Contains(log, "whsec_") {
			s.Errorf("log: %s", log)
		}
	})
}

// Each way to fail is described without the URL and the response, and is no delivery.
func TestFailures(t *testing.T) {
	each(t, func(s *site) {
		closed := httptest.NewServer(nil)
		closed.Close()
		secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.Error("it was sent") }))
		secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
		s.Cleanup(secure.Close)
		s.record(audit.SessionCreated)
		block := make(chan bool)
		s.Cleanup(func() { close(block) })
		for want, c := range map[string]struct {
			url    string
			answer func(w http.ResponseWriter, r received)
		}{
			"cannot be connected to":                      {url: closed.URL + "/hidden"},
			"its certificate is not valid":                {url: secure.URL + "/hidden"},
			"answered 500":                                {answer: func(w http.ResponseWriter, _ received) { http.Error(w, "hidden", 500) }},
			"answered 404":                                {answer: func(w http.ResponseWriter, _ received) { http.Error(w, "hidden", 404) }},
			"did not answer in time":                      {answer: func(http.ResponseWriter, received) { <-block }},
			"the connection broke":                        {answer: func(http.ResponseWriter, received) { panic(http.ErrAbortHandler) }},
			"its name cannot be resolved":                 {url: "https://no-such-name.invalid/hidden"},
			"answered 302: redirects are not followed":    {answer: redirectTo("http://169.254.169.254/hidden")},
			"answered 307: redirects are not followed":    {answer: redirectWith(307, s.server.URL+"/again")},
			"answered 410: it wants no more events":       {answer: func(w http.ResponseWriter, _ received) { w.WriteHeader(410) }},
			"its address is private or reserved: set all": {url: "https://localhost:" + port(secure.URL) + "/hidden"},
		} {
			config := s.config()
			if c.url != "" {
				config.URL = c.url
			}
			config.AllowPrivate = !strings.Contains(config.URL, "localhost")
			d := s.deliverer(config)
			d.hooks[0].timeout = time.Second
			d.clock = func() time.Time { return time.Now().Add(24 * time.Hour) }
			s.respond(c.answer)
			storetest.Exec(s.T, s.url, "DELETE FROM webhooks")
			n, err := d.Deliver(s.Context(), "crm")
			state := s.state(d)
			if n != 0 || err != nil || !strings.HasPrefix(state.Failure, want) || state.Waiting == 0 {
				s.Errorf("%s: delivered %d, %v, %+v", want, n, err, state)
			}
			s.mu.Lock()
			if len(s.got) > 1 {
				s.Errorf("%s: %d requests", want, len(s.got))
			}
			s.got = nil
			s.mu.Unlock()
		}
		if log := s.lines.String(); strings.Contains(log, "hidden") {
			s.Errorf("log: %s", log)
		}
	})
}

func port(url string) string { return url[strings.LastIndex(url, ":")+1:] }

func redirectTo(url string) func(http.ResponseWriter, received) { return redirectWith(302, url) }

func redirectWith(status int, url string) func(http.ResponseWriter, received) {
	return func(w http.ResponseWriter, _ received) {
		w.Header().Set("Location", url)
		w.WriteHeader(status)
	}
}

// A webhook reaches no address of this machine or of a private network unless that is allowed, in any spelling, also if
// a name resolves to it.
func TestPrivateAddresses(t *testing.T) {
	reached := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	defer server.Close()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c := Config{Name: "crm", Secrets: []string{oneSecret}, Events: []string{"*"}}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "127.1", "0x7f000001"} {
		c.URL = "https://" + host + ":" + port(server.URL)
		if host != "localhost" && host != "127.1" && host != "0x7f000001" && c.Check() == nil {
			t.Errorf("%s: the URL is accepted", c.URL)
		}
		d := newDeliverer(nil, nil, []Config{c}, time.Now, slog.New(slog.DiscardHandler), roots)
		err := d.hooks[0].send(t.Context(), message{id: "evt_x", body: []byte("{}")}, time.Now())
		if err == nil || reached {
			t.Errorf("%s: %v, reached: %v", c.URL, err, reached)
		}
		if (host == "127.0.0.1" || host == "localhost") && !strings.Contains(err.Error(), "private") {
			t.Errorf("%s: %v", c.URL, err)
		}
	}
	c.URL, c.AllowPrivate = "https://127.0.0.1:"+port(server.URL), true
	d := newDeliverer(nil, nil, []Config{c}, time.Now, slog.New(slog.DiscardHandler), roots)
	if err := d.hooks[0].send(t.Context(), message{id: "evt_x", body: []byte("{}")}, time.Now()); err != nil || !reached {
		t.Errorf("it is allowed: %v, reached: %v", err, reached)
	}
}

// After 410 nothing is sent until an operator tests the webhook; then what has waited arrives.
func TestGone(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		s.record(audit.SessionCreated)
		s.answers(http.StatusGone)
		s.want("gone", s.round(d), audit.SessionCreated)
		s.now = s.now.Add(100 * time.Hour)
		s.record(audit.SessionEnded)
		s.want("after it", s.round(d))
		state := s.state(d)
		if !state.Gone || state.Lost != 0 || state.Waiting != 3 {
			s.Errorf("%+v", state)
		}
		operator := audit.Actor{Type: audit.TypeOperator, ID: "root"}
		if err := d.Test(s.Context(), "crm", operator); err == nil || !s.state(d).Gone {
			s.Errorf("a test that fails: %v", err)
		}
		s.answers(http.StatusOK)
		if err := d.Test(s.Context(), "crm", operator); err != nil {
			s.Error(err)
		}
		s.mu.Lock()
		s.got = nil
		s.mu.Unlock()
		s.want("after the test", s.round(d), audit.SessionCreated, audit.WebhookFailed, audit.SessionEnded,
			audit.WebhookTested, audit.WebhookTested)
	})
}

// A test event is signed like the others, and recorded with the operator and the result.
func TestTest(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		operator := audit.Actor{Type: audit.TypeOperator, ID: "root"}
		if err := d.Test(s.Context(), "crm", operator); err != nil {
			s.Fatal(err)
		}
		s.want("the test", s.got, audit.WebhookTested)
		if err := verify(s.got[0], oneSecret, s.now); err != nil || strings.Contains(s.got[0].id(), ".") {
			s.Errorf("%v: %v", s.got[0].header, err)
		}
		s.answers(http.StatusBadGateway)
		if err := d.Test(s.Context(), "crm", operator); err == nil || err.Error() != "answered 502" {
			s.Errorf("got %v", err)
		}
		if err := d.Test(s.Context(), "other", operator); !errors.Is(err, ErrNotFound) {
			s.Errorf("got %v", err)
		}
		list, err := s.log.List(s.Context(), audit.Filter{Kinds: []audit.Kind{audit.WebhookTested}})
		if err != nil || len(list) != 2 || list[0].Result == list[1].Result || list[0].Actor != operator ||
			list[0].Target != "webhook:crm" {
			s.Errorf("%+v, %v", list, err)
		}
	})
}

// If the process ends after the receiver has answered and before that is recorded, the event is sent again with the same
// id, and none is lost.
func TestCrashAfterSend(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		s.round(d) // holds the lease
		s.record(audit.SessionCreated)
		s.record(audit.SessionEnded)
		var stop func()
		s.respond(func(w http.ResponseWriter, _ received) {
			stop = storetest.FailWrites(s.db)
			w.WriteHeader(http.StatusOK)
		})
		if _, err := d.Deliver(s.Context(), "crm"); err == nil {
			s.Fatal("the database fails, and the delivery is recorded")
		}
		stop()
		first := s.got
		s.got = nil
		s.respond(nil)
		next := s.deliverer(s.config())
		next.hooks[0].rivalSince = time.Now()
		s.want("while the lease may be alive", s.round(next))
		next.clock = func() time.Time { return time.Now().Add(time.Hour) }
		got := s.round(next)
		s.want("after the crash", got, audit.SessionCreated, audit.SessionEnded)
		if got[0].id() != first[0].id() {
			s.Errorf("got the id %s, then %s", first[0].id(), got[0].id())
		}
	})
}

// Of two servers one delivers. The other takes over when the first no longer renews its lease, and the first then
// records nothing. A server that stops hands over at once.
func TestTwoServers(t *testing.T) {
	each(t, func(s *site) {
		began := time.Now()
		at := began
		clock := func() time.Time { return at }
		one, two := s.deliverer(s.config()), s.deliverer(s.config())
		one.clock, two.clock = clock, clock
		s.record(audit.SessionCreated)
		s.want("the first", s.round(one), audit.SessionCreated)
		for range 20 { // the first renews its lease
			at = at.Add(renewInterval)
			s.record(audit.SessionEnded)
			s.want("the second", s.round(two))
			s.want("the first", s.round(one), audit.SessionEnded)
		}
		s.record(audit.AccountCreated)
		at = at.Add(takeoverTime - time.Second)
		s.want("too early", s.round(two))
		at = at.Add(2 * takeoverTime)
		s.want("the second takes over", s.round(two), audit.AccountCreated)
		s.record(audit.AccountDisabled)
		s.want("the first has lost it", s.round(one))
		s.want("the second", s.round(two), audit.AccountDisabled)
		two.release(s.Context(), two.hooks[0])
		s.record(audit.AccountEnabled)
		s.want("handed over", s.round(one), audit.AccountEnabled)

		// The first hangs while it sends. The second takes over, and the first records nothing afterwards.
		s.record(audit.SessionCreated)
		s.respond(func(w http.ResponseWriter, r received) {
			s.respond(nil)
			at = at.Add(time.Second)
			_, _ = two.Deliver(s.Context(), "crm") // sees the lease
			at = at.Add(2 * takeoverTime)
			if n, err := two.Deliver(s.Context(), "crm"); n != 1 || err != nil {
				s.Errorf("the second delivers %d, %v", n, err)
			}
		})
		if n, err := one.Deliver(s.Context(), "crm"); n != 0 || err != nil {
			s.Errorf("the first delivers %d, %v", n, err)
		}
		if n := storetest.CountRows(s.T, s.url, "webhook_deliveries WHERE failures > 0"); n != 0 || s.state(two).Waiting != 0 {
			s.Errorf("%d deferred, %+v", n, s.state(two))
		}

		// The second notices only before an attempt that a third one has taken over. None of this is a fault.
		s.record(audit.SessionEnded)
		if err := s.db.ClaimWebhook(s.Context(), "crm", two.hooks[0].lease, "of a third server"); err != nil {
			s.Fatal(err)
		}
		s.got = nil
		two.clock = func() time.Time { at = at.Add(renewInterval - time.Second); return at }
		if n, err := two.deliver(s.Context(), two.hooks[0]); n != 0 || err != nil || len(s.got) != 0 {
			s.Errorf("after the third has taken over, %d are delivered, %d sent, %v", n, len(s.got), err)
		}
	})
}

// An event whose transaction is committed late, after newer events were delivered, is delivered once.
func TestLateCommit(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		late := audit.Event{Kind: audit.AccountDisabled, Account: "anna"}
		record := func(tx *store.DB) error { return s.log.Record(s.Context(), tx, late, audit.Source{}) }
		recorded, commit, done := make(chan bool), make(chan bool), make(chan error)
		if strings.HasPrefix(s.url, "postgres") {
			go func() {
				done <- s.db.Tx(s.Context(), func(tx *store.DB) error {
					err := record(tx)
					recorded <- true
					<-commit
					return err
				})
			}()
			<-recorded
		}
		began := s.now
		s.now = s.now.Add(time.Second)
		for range 3 {
			s.record(audit.SessionCreated)
			s.want("in time", s.round(d), audit.SessionCreated)
			s.now = s.now.Add(90 * time.Second)
			s.round(d)
		}
		if strings.HasPrefix(s.url, "postgres") {
			close(commit)
			if err := <-done; err != nil {
				s.Fatal(err)
			}
		} else { // one writer: its clock was behind
			now := s.now
			s.now = began
			if err := s.db.Tx(s.Context(), record); err != nil {
				s.Fatal(err)
			}
			s.now = now
		}
		s.want("late", s.round(d), audit.AccountDisabled)
		s.want("again", s.round(d))
		// Once the position has passed them, no row of a delivery is left.
		s.now = s.now.Add(2 * Lateness)
		s.want("later", s.round(d))
		if n := storetest.CountRows(s.T, s.url, "webhook_deliveries"); n != 0 {
			s.Errorf("%d rows are left", n)
		}
		s.want("after the rows were deleted", s.round(d))
	})
}

// Events that are recorded after a clock that was a day ahead is right again are delivered.
func TestClockIsSetBack(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		s.record(audit.SessionCreated)
		s.want("before", s.round(d), audit.SessionCreated)
		right := s.now
		s.now = s.now.Add(24 * time.Hour)
		s.round(d)
		s.record(audit.SessionUpgraded)
		s.want("ahead", s.round(d), audit.SessionUpgraded)
		s.now = right.Add(Lateness * 2)
		s.round(d)
		s.record(audit.SessionEnded)
		s.want("right again", s.round(d), audit.SessionEnded)
		s.want("no more", s.round(d))
	})
}

// An event that the receiver cannot take does not hold up the others: it is tried again by itself, and given up after
// GiveUpAfter.
func TestOneEventIsRefused(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		s.respond(func(w http.ResponseWriter, r received) {
			if r.kind() == string(audit.AccountCreated) {
				w.WriteHeader(http.StatusBadRequest)
			}
		})
		s.record(audit.AccountCreated)
		s.record(audit.SessionCreated)
		s.record(audit.SessionEnded)
		s.want("first", s.round(d), audit.AccountCreated)
		s.now = s.now.Add(time.Minute)
		s.want("second", s.round(d), audit.AccountCreated)
		s.now = s.now.Add(time.Minute)
		s.want("third", s.round(d), audit.AccountCreated, audit.SessionCreated, audit.SessionEnded)
		if state := s.state(d); state.Waiting != 1 || state.Failures != 0 || state.Oldest.IsZero() {
			s.Errorf("%+v", state)
		}
		s.now = s.now.Add(time.Minute)
		s.record(audit.SessionUpgraded)
		s.want("again", s.round(d), audit.AccountCreated, audit.SessionUpgraded)
		s.now = s.now.Add(GiveUpAfter)
		s.want("the last time", s.round(d), audit.AccountCreated)
		state := s.state(d)
		if state.Lost != 1 || !state.LostAt.Equal(s.now) || state.Waiting != 1 {
			s.Errorf("%+v", state)
		}
		s.want("what is reported", s.round(d), audit.WebhookFailed)
		s.now = s.now.Add(24 * time.Hour)
		s.want("no more", s.round(d))
	})
}

// When a receiver has failed for GiveUpAfter, events that are as old are given up, with a log line and a security event.
// A replay sends them all.
func TestGiveUpAndReplay(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		given := int64(0)
		d.Observe = func(name string, r Result, events int64) {
			if r == GivenUp && name == "crm" {
				given += events
			}
		}
		began := s.now
		s.answers(http.StatusInternalServerError)
		s.record(audit.SessionCreated)
		s.record(audit.SessionEnded)
		s.round(d)
		attempts := 0
		for s.now.Sub(began) < GiveUpAfter-2*time.Hour {
			s.now = s.now.Add(2 * time.Hour)
			attempts += len(s.round(d))
		}
		if state := s.state(d); state.Lost != 0 || state.Waiting != 2 || attempts < 30 {
			s.Errorf("%d attempts, %+v", attempts, state)
		}
		s.record(audit.AccountCreated)
		s.now = began.Add(GiveUpAfter + time.Hour)
		s.round(d)
		state := s.state(d)
		if state.Lost != 2 || given != 2 || state.Waiting != 2 || !strings.Contains(s.lines.String(), "given up") {
			s.Errorf("%d, %+v, log %s", given, state, s.lines.String())
		}
		s.answers(http.StatusOK)
		s.now = s.now.Add(2 * time.Hour)
		s.want("what is younger", s.round(d), audit.AccountCreated, audit.WebhookFailed)
		operator := audit.Actor{Type: audit.TypeOperator, ID: "root"}
		n, err := d.Replay(s.Context(), "crm", began, operator)
		if err != nil || n != 4 {
			s.Errorf("replays %d, %v", n, err)
		}
		got := s.round(d)
		s.want("replayed", got, audit.SessionCreated, audit.SessionEnded, audit.AccountCreated, audit.WebhookFailed,
			audit.WebhookReplayed)
		s.want("once", s.round(d))
		if state := s.state(d); state.Lost != 0 || state.Waiting != 0 {
			s.Errorf("%+v", state)
		}
		// A replay of a short time sends nothing older.
		s.now = s.now.Add(time.Hour)
		s.record(audit.SessionUpgraded)
		s.round(d)
		if n, err := d.Replay(s.Context(), "crm", s.now.Add(-time.Minute), operator); err != nil || n != 1 {
			s.Errorf("replays %d, %v", n, err)
		}
		s.want("the last minute", s.round(d), audit.SessionUpgraded, audit.WebhookReplayed)
		if _, err := d.Replay(s.Context(), "other", began, operator); !errors.Is(err, ErrNotFound) {
			s.Errorf("got %v", err)
		}
		for range batch + 30 { // more than one round
			s.record(audit.SessionUpgraded)
		}
		if got := len(s.round(d)) + len(s.round(d)); got != batch+30 {
			s.Errorf("got %d events", got)
		}
	})
}

// A receiver may ask to wait, but not for long.
func TestRetryAfter(t *testing.T) {
	each(t, func(s *site) {
		d := s.deliverer(s.config())
		s.record(audit.SessionCreated)
		for _, row := range []struct {
			header      string
			least, most time.Duration
		}{
			{"600", 10 * time.Minute, 10 * time.Minute}, {"99999999", time.Hour, time.Hour}, {"-5", 0, time.Minute},
			{"soon", 0, time.Minute}, {"1", 5 * time.Second, time.Minute},
			{s.now.Add(20 * time.Minute).Format(http.TimeFormat), 19 * time.Minute, 21 * time.Minute},
		} {
			storetest.Exec(s.T, s.url, "UPDATE webhooks SET failures = 0, due_at = 0")
			s.respond(func(w http.ResponseWriter, _ received) {
				w.Header().Set("Retry-After", row.header)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			if len(s.round(d)) != 1 {
				s.Errorf("%s: no attempt", row.header)
			}
			if pause := s.state(d).NextAt.Sub(s.now); pause < row.least || pause > row.most {
				s.Errorf("%s: the pause is %s", row.header, pause)
			}
		}
	})
}

// Run delivers to each webhook by itself: one that does not answer does not hold up another.
func TestRun(t *testing.T) {
	each(t, func(s *site) {
		slow := s.config()
		slow.Name = "slow"
		slow.URL = s.server.URL + "/slow"
		block, blocked := make(chan bool), make(chan bool, 10)
		arrived := make(chan received, 10)
		s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				blocked <- true
				<-block
				return
			}
			arrived <- received{header: r.Header}
		})
		d := s.deliverer(slow, s.config())
		s.record(audit.SessionCreated)
		ctx, stop := context.WithCancel(s.Context())
		ended := make(chan bool)
		go func() { d.Run(ctx); close(ended) }()
		<-blocked
		<-arrived
		stop()
		close(block) // an attempt that has begun ends
		<-ended
		for _, h := range d.hooks {
			w, err := s.db.GetWebhook(s.Context(), h.Name)
			if err != nil || w.Lease != "" || w.DeliveredAt.IsZero() {
				s.Errorf("%+v, %v", w, err)
			}
		}
	})
}

// A configuration that is wrong is refused, and the error names the field and quotes no secret and no URL.
func TestCheck(t *testing.T) {
	good := Config{
		Name: "crm", URL: "https://crm.example.com/hooks", Secrets: []string{oneSecret}, Events: []string{"session.*"},
	}
	if err := Validate([]Config{good}, true); err != nil {
		t.Fatal(err)
	}
	private := good
	private.URL, private.AllowPrivate = "http://10.0.0.7:8080/x", true
	if err := private.Check(); err != nil {
		t.Error(err)
	}
	for _, row := range []struct {
		field string
		edit  func(c *Config)
	}{
		{"name", func(c *Config) { c.Name = "" }}, {"name", func(c *Config) { c.Name = "CRM" }},
		{"name", func(c *Config) { c.Name = strings.Repeat("a", 33) }}, {"name", func(c *Config) { c.Name = "a-" }},
		{"url", func(c *Config) { c.URL = "" }}, {"url", func(c *Config) { c.URL = "http://crm.example.com/hidden" }},
		{"url", func(c *Config) { c.URL = "ftp://crm.example.com/hidden" }},
		{"url", func(c *Config) { c.URL = "https://anna:hidden@crm.example.com" }},
		{"url", func(c *Config) { c.URL = "https:///hidden" }}, {"url", func(c *Config) { c.URL = "https://x/#hidden" }},
		{"url", func(c *Config) { c.URL = "https://:443/hidden" }}, {"url", func(c *Config) { c.URL = "%hidden" }},
		{"url", func(c *Config) { c.URL = "https://127.0.0.1/hidden" }},
		{"url", func(c *Config) { c.URL = "https://[::ffff:10.0.0.1]/hidden" }},
		{"url", func(c *Config) { c.URL, c.AllowPrivate = "https://169.254.169.254/hidden", true }},
		{"url", func(c *Config) { c.URL, c.AllowPrivate = "http://93.184.215.14/hidden", true }},
		{"url", func(c *Config) { c.URL = "https://x/" + strings.Repeat("hidden", 500) }},
		{"events", func(c *Config) { c.Events = nil }}, {"events", func(c *Config) { c.Events = []string{"session"} }},
		{"events", func(c *Config) { c.Events = []string{"session.*", "no.*"} }},
		{"events", func(c *Config) { c.Events = []string{"session.[a-z]*"} }},
		{"secret", func(c *Config) { c.Secrets = nil }}, {"secret", func(c *Config) { c.Secrets = []string{"hidden"} }},
		{"secret", func(c *Config) { c.Secrets = []string{"whsec_hidden!"} }},
		{"secret", func(c *Config) { c.Secrets = []string{"whsec_aGlkZGVu"} }},
		{"secret", func(c *Config) { c.Secrets = []string{oneSecret, otherSecret, oneSecret} }},
		{"secret", func(c *Config) {
			c.Secrets = []string{"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65))}
		}},
	} {
		c := good
		row.edit(&c)
		err := Validate([]Config{c}, true)
		flaw := new(ConfigError)
		if !errors.As(err, &flaw) || flaw.Field != row.field || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%+v: %v, want an error of %s", c, err, row.field)
		}
	}
	if err := Validate([]Config{good, good}, true); err == nil {
		t.Error("two webhooks have one name")
	}
	good.Secrets = nil
	if err := Validate([]Config{good}, false); err != nil {
		t.Errorf("a program that sends nothing: %v", err)
	}
}

// Patterns select kinds of events.
func TestKinds(t *testing.T) {
	for pattern, want := range map[string]string{
		"session.created": "session.created", "session.*": "session.created,session.upgraded,session.ended",
		"session*.ended": "session.ended,sessions.ended", "webhook.*": "webhook.tested,webhook.replayed,webhook.failed",
		"": "", "Session.*": "", "session.created,": "",
	} {
		if got := joinKinds([]string{pattern}); got != want {
			t.Errorf("%q selects %q, want %q", pattern, got, want)
		}
	}
	if n := len(kinds([]string{"*", "session.*"})); n != len(audit.Describe()) {
		t.Errorf("* selects %d kinds", n)
	}
}
