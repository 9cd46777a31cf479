package attack

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const (
	compared = "does not match our records"
	refused  = "this code no longer works"
	asksLong = "need a longer code"
)

// guessUntilRefused guesses codes of a method until none is compared any more, and returns how many were.
// Each sign-in uses another browser and network, and the spellings of the name in turn.
func (h *server) guessUntilRefused(method string, names ...string) (n int) {
	h.T.Helper()
	for visit := range 40 {
		b := h.unknownDeviceAt(method, names[visit%len(names)])
		more, over := h.guessIn(b)
		if n += more; over {
			return n
		}
		h.Turn(3 * time.Hour)
	}
	h.T.Fatal("there is no end to it")
	return n
}

// unknownDeviceAt returns a new browser of somebody who knows the password, at the second step by a method.
func (h *server) unknownDeviceAt(method, name string) *live.Browser {
	h.T.Helper()
	b := h.Browser()
	h.wantStatus(b.Post("/signin", "email", name, "password", live.AnnaPassword), http.StatusSeeOther)
	if b.Get("/signin/verify").StatusCode != http.StatusOK {
		b.Post("/signin/method", "method", method)
	}
	return b
}

// guessIn guesses in one sign-in until it is over. It returns how many guesses were compared, and whether
// the budget is used up.
func (h *server) guessIn(b *live.Browser) (n int, over bool) {
	h.T.Helper()
	if strings.Contains(b.Get("/signin/verify").Body, asksLong) {
		return 0, true
	}
	for range 5 {
		switch a := b.Post("/signin/verify", "code", "000000"); {
		case strings.Contains(a.Body, compared):
			n++
		case strings.Contains(a.Body, refused):
			return n, true
		}
	}
	return n, false
}

var longCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// longerCode takes the first step as Anna in a new browser and returns the longer code.
func (h *server) longerCode(b *live.Browser) string {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
	if b.Get("/signin/verify").StatusCode != http.StatusOK {
		h.wantStatus(b.Post("/signin/method", "method", "email"), http.StatusSeeOther)
	}
	h.WaitForOutbox()
	for ; n < h.Mail.Len(); n++ {
		if code := longCode.FindString(h.Mail.Next(n)); code != "" {
			return code
		}
	}
	h.T.Fatal("no longer code was mailed")
	return ""
}

// Sign-ins are started again, cookies dropped, names spelled differently, addresses changed, and the
// owner signs in meanwhile. Twenty guesses at mailed codes in a year stay twenty.
func TestGuessesAreCountedPerAccountAndYear(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser() // three guesses and the right one give only themselves back
		code := b.Password()
		for range 3 {
			h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
		}
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		half := h.Browser()
		half.Password()
		for range 4 {
			half.Post("/signin/verify", "code", "000000")
		}
		h.Browser().SignIn() // the owner, elsewhere
		if got := h.guessUntilRefused("email", live.AnnaEmail, strings.ToUpper(live.AnnaEmail), " "+live.AnnaEmail); got != 16 {
			h.T.Errorf("4 guesses and %d more were compared, want 16 more", got)
		}
	})
}

// A restart forgets what was guessed.
func TestRestartKeepsGuesses(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		if got := h.guessUntilRefused("email", live.AnnaEmail); got != 20 {
			h.T.Errorf("%d compared, want 20", got)
		}
		h.End()
		again := start(h.T, h.Database, func(o *twostep.Options) { o.KeyFile, o.Now = h.KeyFile, h.Now })
		if got := again.guessUntilRefused("email", live.AnnaEmail); got != 0 {
			h.T.Errorf("%d more after a restart", got)
		}
	})
}

// The database dies while somebody is guessing, and its replica takes over. Whatever was compared is
// counted there, and the year goes on with what is left.
func TestFailoverKeepsGuesses(t *testing.T) {
	t.Parallel()
	url, failover := storetest.NewReplicatedPostgres(t)
	h := start(t, url)
	var visits []*live.Browser
	for range 4 {
		h.Turn(3 * time.Minute) // until the next mail; a code lives for fifteen
		visits = append(visits, h.unknownDeviceAt("email", live.AnnaEmail))
	}
	h.WaitForOutbox()
	var before atomic.Int64
	var second string
	some := make(chan struct{})
	atOnce(5, func(i int) {
		if i == 4 {
			<-some
			second = failover()
			return
		}
		for range 4 {
			if a := visits[i].PostNow("/signin/verify", "code", "000000"); strings.Contains(a.Body, compared) && before.Add(1) == 3 {
				close(some)
			}
		}
	})
	again := start(t, second, func(o *twostep.Options) { o.KeyFile, o.Now = h.KeyFile, h.Now })
	counted := again.count("guess_budget_entries WHERE kind = 'guess'")
	if int64(counted) < before.Load() || counted > 16 {
		t.Errorf("%d were compared, and %d are counted", before.Load(), counted)
	}
	if more := again.guessUntilRefused("email", live.AnnaEmail); counted+more != 20 {
		t.Errorf("%d were counted and %d more compared, want 20 in all", counted, more)
	}
	t.Logf("%d compared before, %d counted", before.Load(), counted)
}

// A hundred guesses at app codes at the same moment, at two servers: ten are compared, which is the whole
// budget. A request that ran out of time after its charge was counted and not answered.
func TestAppGuessesAtOnceStayInBudgetAtTwoServers(t *testing.T) {
	t.Parallel()
	url := storetest.NewPostgres(t)
	first := start(t, url, allMethods(&phone{}))
	second := start(t, url, allMethods(&phone{}), func(o *twostep.Options) { o.KeyFile = first.KeyFile })
	owner := first.annaSignedIn()
	key := first.draftApp(owner)
	first.wantRedirect(owner.Post("/settings/2step/app/verify", "code", codeAt(key, first.Now(), 0)), "/settings/2step/app/done")
	var visits []*live.Browser
	for i := range 50 {
		visits = append(visits, []*server{first, second}[i%2].askedForApp())
	}
	var right, wrong, longer, late atomic.Int64
	atOnce(100, func(i int) {
		a := visits[i%50].PostNow("/signin/verify", "code", "000000")
		switch {
		case a.StatusCode == http.StatusSeeOther:
			right.Add(1)
		case a.StatusCode >= http.StatusInternalServerError:
			late.Add(1)
		case strings.Contains(a.Body, compared):
			wrong.Add(1)
		case strings.Contains(a.Body, refused):
			longer.Add(1)
		}
	})
	if wrong.Load() > 10 || wrong.Load()+late.Load() < 10 || right.Load() != 0 || longer.Load()+late.Load() == 0 {
		t.Errorf("%d compared, %d right, %d asked for more, %d out of time, want 10 compared", wrong.Load(), right.Load(), longer.Load(), late.Load())
	}
	if got := first.count("guess_budget_entries WHERE kind = 'guess'"); got != 10 {
		t.Errorf("%d charges, want 10", got)
	}
}

// Guesses at passwords wait by name and network. All addresses of an IPv6 network count as one, a name
// without an account is no different, and neither another network nor a known browser has to wait with
// them.
func TestPasswordGuessesWaitByNameAndNetwork(t *testing.T) {
	t.Parallel()
	c := newClock() // stands still, so that no delay ends by itself
	proxied := func(o *twostep.Options) {
		var err error
		if o.TrustedProxies, err = twostep.ParseProxies("127.0.0.0/8"); err != nil {
			t.Fatal(err)
		}
	}
	eachDatabase(t, func(h *server) {
		owner := h.Browser()
		owner.SignIn()
		try := func(b *live.Browser, name, word, address string) live.Answer {
			return h.post(b, "/signin", "email="+name+"&password="+word, "X-Forwarded-For: "+address)
		}
		for _, name := range []string{live.AnnaEmail, "nobody@example.com"} {
			var got []string
			for i := range 6 {
				a := try(h.Browser(), name, "wrong+word", "2001:db8:1:2::"+strconv.Itoa(i+1))
				got = append(got, strconv.Itoa(a.StatusCode)+" "+a.Header.Get("Retry-After"))
				if a.StatusCode == http.StatusTooManyRequests && !strings.Contains(a.Body, `value="`+name+`"`) {
					h.T.Error("the name that was typed is lost")
				}
			}
			if strings.Join(got, ",") != "422 ,422 ,422 ,429 1,429 1,429 1" {
				h.T.Errorf("%s: %q", name, got)
			}
		}
		word := strings.ReplaceAll(live.AnnaPassword, " ", "+")
		if a := try(h.Browser(), live.AnnaEmail, word, "2001:db8:1:2::ffff"); a.StatusCode != http.StatusTooManyRequests {
			h.T.Errorf("the right password in the same network: %d", a.StatusCode)
		}
		if a := try(h.Browser(), live.AnnaEmail, word, "2001:db8:1:3::1"); a.StatusCode != http.StatusSeeOther {
			h.T.Errorf("the owner in another network: %d", a.StatusCode)
		}
		if a := try(owner, live.AnnaEmail, word, "2001:db8:1:2::ffff"); a.StatusCode != http.StatusSeeOther {
			h.T.Errorf("the owner's browser in the same network: %d", a.StatusCode)
		}
		now := c.Now() // the limit is of whole minutes: begin with one
		c.advance(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
		for i := range 40 { // many names, one network
			a := try(h.Browser(), "name"+strconv.Itoa(i)+"@example.com", "x", "198.51.100.9")
			if want := map[bool]int{true: 422, false: 429}[i < 30]; a.StatusCode != want {
				h.T.Errorf("name %d of one network: %d, want %d", i, a.StatusCode, want)
			}
		}
	}, proxied, c.set)
}

// One guess each at very many accounts. All of them are counted: for an hour every new browser needs a
// longer code, and that is all the harm that can be done on purpose.
func TestGuessesAtManyAccountsRaiseTheAlarm(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		known := h.Browser()
		known.SignIn()
		h.exec("DELETE FROM rate_limit_counters WHERE kind = 'site_guesses'")
		for _, window := range []time.Duration{time.Hour, 24 * time.Hour} { // the day bounds what its hours can say
			ends := h.Now().Truncate(window).Add(window).UnixMilli()
			h.exec(fmt.Sprintf("INSERT INTO rate_limit_counters (kind, subject, window_ms, ends_at, used) "+
				"VALUES ('site_guesses', 'new', %d, %d, 1000000)", window.Milliseconds(), ends))
		}
		b := h.Browser()
		code := h.passwordStep(b, benEmail, benPassword)
		h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
		if got := b.Post("/signin/verify", "code", code); !strings.Contains(got.Body, refused) {
			h.T.Errorf("an attacker is compared after the alarm: %d", got.StatusCode)
		}
		if code := h.longerCode(h.Browser()); code == "" {
			h.T.Error("a new browser of Anna needs no longer code")
		}
		h.Turn(time.Minute)
		known.SignIn() // with six digits
		if !strings.Contains(h.Log.String(), "site-wide guessing alarm raised") {
			h.T.Error("nobody is alarmed")
		}
		h.Turn(time.Hour)
		h.Browser().SignIn()
	})
}

// The owner is told once, and is led to a new password by a link of ours.
func TestOwnerIsToldOfGuesses(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for range 3 {
			h.guessIn(h.unknownDeviceAt("email", live.AnnaEmail))
			h.Turn(3 * time.Hour)
		}
		first, second := h.unknownDeviceAt("email", live.AnnaEmail), h.unknownDeviceAt("email", live.AnnaEmail)
		h.guessIn(first)
		if a := second.Post("/signin/verify", "code", "000000"); !strings.Contains(a.Body, refused) {
			h.T.Errorf("one guess more than there are: %d", a.StatusCode)
		}
		h.WaitForOutbox()
		told := map[string]int{}
		for n := range h.Mail.Len() {
			mail := h.Mail.Next(n)
			for _, subject := range []string{"entering wrong codes", "is guessing codes"} {
				if strings.Contains(mail, subject) {
					told[subject]++
					if !strings.Contains(mail, h.URL+"/forgot") {
						h.T.Errorf("no way to a new password in\n%s", mail)
					}
				}
			}
		}
		if told["entering wrong codes"] == 0 || told["is guessing codes"] != 1 {
			h.T.Errorf("told %v", told)
		}
	})
}

// When the budget is used up the longer code cannot be guessed either. The owner is not locked out:
// not in a known browser, not in a new one, not with the app. No other account is affected.
func TestGuessesDoNotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	var p phone
	eachDatabase(t, func(h *server) {
		h.addBen()
		known := h.Browser()
		known.SignIn()
		owner := h.annaSignedIn()
		secret := h.draftApp(owner)
		h.wantRedirect(owner.Post("/settings/2step/app/verify", "code", codeAt(secret, h.Now(), 0)), "/settings/2step/app/done")
		h.Turn(time.Minute)
		if got := h.guessUntilRefused("totp", live.AnnaEmail); got != 10 {
			h.T.Errorf("%d guesses at the app, want 10", got)
		}
		b := h.Browser()
		code := h.longerCode(b)
		for range 4 {
			if a := b.Post("/signin/verify", "code", "0000000000000"); !strings.Contains(a.Body, compared) {
				h.T.Errorf("a wrong longer code: %d", a.StatusCode)
			}
		}
		if a := b.Post("/signin/verify", "code", "123456"); a.StatusCode != http.StatusUnprocessableEntity || strings.Contains(a.Body, compared) {
			h.T.Error("six digits are compared with the longer code")
		}
		h.wantStatus(b.Post("/signin/verify", "code", strings.ToLower(strings.ReplaceAll(code, "-", " "))), http.StatusSeeOther)
		app := h.askedForApp()
		first := codeAt(secret, h.Now(), 0)
		h.Turn(30 * time.Second)
		h.wantStatus(app.Post("/signin/verify", "code", first+codeAt(secret, h.Now(), 0)), http.StatusSeeOther)
		if n := h.count("factors"); n != 1 {
			h.T.Errorf("%d apps are left", n)
		}
		h.signIn(known, live.AnnaEmail, live.AnnaPassword)
		h.signIn(h.Browser(), benEmail, benPassword)
	}, allMethods(&p))
}

// Passwords arrive from very many networks while the owner signs in, in a known browser and in a new
// one. The environment variable FLOOD sets how many.
func TestOwnerSignsInDuringAPasswordFlood(t *testing.T) {
	live.FullCost(t)
	networks := 1000
	flood, err := strconv.Atoi(os.Getenv("FLOOD"))
	if err != nil {
		networks, flood = 200, 4000
	}
	h := start(t, "")
	known := h.Browser()
	known.SignIn()
	var bots []*live.Browser
	for range networks {
		bots = append(bots, h.Browser())
	}
	answers := make([]status, networks)
	done := make(chan struct{})
	go func() {
		defer close(done)
		atOnce(networks, func(i int) {
			for n := range flood / networks {
				name := live.AnnaEmail
				if n%2 == 1 {
					name = "name" + strconv.Itoa(n) + "@example.com"
				}
				answers[i].add(bots[i].PostNow("/signin", "email", name, "password", "wrong "+strconv.Itoa(n)).StatusCode)
			}
		})
	}()
	in := func(where string, b *live.Browser, most int) {
		began := time.Now()
		var code int
		for n := 0; n < most && code != http.StatusSeeOther; n++ {
			code = b.PostNow("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword).StatusCode
		}
		if code != http.StatusSeeOther {
			t.Errorf("the owner in %s meanwhile: %d", where, code)
		}
		t.Logf("the owner in %s: %s", where, time.Since(began).Round(time.Millisecond))
	}
	for range 5 {
		in("a known browser", known, 1)
		in("a new one, who comes back when told to", h.Browser(), 100)
	}
	<-done
	t.Logf("%d tries: %d compared, %d told to wait, %d told to come back", flood, sum(answers, 422), sum(answers, 429), sum(answers, 503))
}
