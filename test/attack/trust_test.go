package attack

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const (
	firefox = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	newer   = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
	older   = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0"
	chrome  = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	month   = 30 * 24 * time.Hour

	anna = "email=anna%40example.com&password=correct+horse+battery"
	ben  = "email=ben%40example.org&password=seventeen+brown+jars"
)

// firstStep gives a password and says whether a code is wanted.
func (h *server) firstStep(b *live.Browser, who string, headers ...string) (asked bool) {
	h.T.Helper()
	h.resetLimits() // one network asks for more mails than attackers may
	b.Post("/signout")
	b.Post("/signin/cancel")
	a := h.wantStatus(h.post(b, "/signin", who, headers...), http.StatusSeeOther)
	return strings.HasPrefix(a.Header.Get("Location"), "/signin/")
}

// signInAndTrust takes both steps with the box ticked.
func (h *server) signInAndTrust(b *live.Browser, who string, headers ...string) {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	if !h.firstStep(b, who, headers...) {
		h.T.Fatal("no code is wanted")
	}
	code := h.Code(n)
	h.wantStatus(h.post(b, "/signin/verify", "trust=1&code="+code, headers...), http.StatusSeeOther)
	h.WaitForOutbox()
}

func (h *server) wantTrusted(says string, b *live.Browser, who string, headers ...string) {
	h.T.Helper()
	if h.firstStep(b, who, headers...) {
		h.T.Errorf("%s: a code is wanted", says)
	}
}

func (h *server) wantAsked(says string, b *live.Browser, who string, headers ...string) {
	h.T.Helper()
	if !h.firstStep(b, who, headers...) {
		h.T.Errorf("%s: no code is wanted", says)
	}
	h.WaitForOutbox()
}

// The device cookie opens something without the password.
func TestTrustAloneOpensNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		record := h.cookie(b, "device")
		alone := h.withCookies("device", record)
		for _, r := range inventory {
			method, path := path(r.pattern)
			if r.needs == "" || method != http.MethodGet {
				continue
			}
			if a := alone.Get(path); a.StatusCode != http.StatusSeeOther {
				h.T.Errorf("%s with the record alone: %d", r.pattern, a.StatusCode)
			}
		}
		h.wantStatus(alone.Post("/signin", "email", live.AnnaEmail, "password", "wrong horse"), http.StatusUnprocessableEntity)
		for _, name := range []string{"session", "signin"} {
			if _, in := signedIn(h.withCookies(name, record)); in {
				h.T.Errorf("the record as %s leads in", name)
			}
		}
	})
}

// The device cookie is computed from known values, shortened, lengthened, changed or sent twice.
func TestForgedTrustCookieIsRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna, firefox)
		record := h.cookie(b, "device")
		h.wantAsked("the same address and browser, no record", h.BrowserAt("127.0.0.1"), anna, firefox)
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "-" + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"anna@example.com","ip":"127.0.0.1"}`)) + "-"
		for says, forged := range map[string]string{
			"a token that signs itself": none, "nothing": "", "the name": base64.RawURLEncoding.EncodeToString([]byte(live.AnnaEmail)),
			"cut short": record[:len(record)-1], "cut in front": record[1:], "only the series": record[:26], "longer": record + "A", "twice": record + record, "much too long": strings.Repeat("A", 4000),
			"ids": h.value("SELECT id FROM devices") + h.value("SELECT id FROM devices"), "another series": strings.Repeat("A", 26) + record[26:],
		} {
			h.wantAsked(says, h.withCookies("device", forged), anna, firefox)
		}
		for _, i := range []int{0, 13, 25} { // of the series
			bent := record[:i] + string(record[i]^1) + record[i+1:]
			h.wantAsked("one bit of the series", h.withCookies("device", bent), anna, firefox)
		}
		two := h.BrowserAt("127.0.0.1")
		h.wantStatus(two.Do(h.request(http.MethodPost, "/signin", anna, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin", firefox, "Cookie: __Host-device="+record+"; __Host-device="+record)), http.StatusSeeOther)
		if _, in := signedIn(two); in {
			h.T.Error("two records are one")
		}
		h.wantTrusted("the record itself, after all that", b, anna, firefox)
		stored := h.contents()
		for _, part := range []string{record, record[:26], record[26:]} {
			if strings.Contains(stored, part) {
				h.T.Error("the record stands in the database")
			}
		}
		c := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(c, anna, firefox)
		if other := h.cookie(c, "device"); other[:26] == record[:26] || other[26:] == record[26:] {
			h.T.Error("two records share a part")
		}
	})
}

// The trust of one account helps another on the same computer, or is taken away by it.
func TestTrustIsPerAccount(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		h.wantAsked("Anna's record, Ben's password", b, ben)
		h.wantTrusted("Anna, after Ben was asked", b, anna)
		h.signInAndTrust(b, ben)
		h.wantTrusted("Ben", b, ben)
		h.wantTrusted("Anna", b, anna)
		if page := b.Get("/settings/devices").Body; strings.Contains(page, benEmail) || strings.Count(page, "/forget") != 2 {
			h.T.Error("Anna sees what is Ben's")
		}
		h.wantStatus(b.Post("/settings/devices/forget"), http.StatusSeeOther)
		h.wantAsked("Anna has forgotten it", b, anna)
		h.wantTrusted("Ben has not", b, ben)
	})
}

// Trust outlives what should end it. Each change ends it in the other browser too, and a new account
// of the same address inherits nothing.
func TestTrustEndsWithAccountChanges(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		password := live.AnnaPassword
		who := func() string {
			return "email=anna%40example.com&password=" + strings.ReplaceAll(password, " ", "+")
		}
		for says, end := range map[string]func(b *live.Browser){
			"the password was changed": func(b *live.Browser) {
				next := password + "s"
				h.wantStatus(b.Post("/settings/password", "current", password, "password", next), http.StatusSeeOther)
				password = next
			},
			"the password was reset": func(*live.Browser) {
				h.Turn(time.Hour)
				token := h.requestReset()
				password += "r"
				h.wantStatus(h.BrowserAt("127.0.0.1").Post("/reset", "token", token, "password", password), http.StatusSeeOther)
			},
			"signed out everywhere": func(b *live.Browser) { h.wantStatus(b.Post("/settings/sessions/end"), http.StatusSeeOther) },
			"forgotten":             func(b *live.Browser) { h.wantStatus(b.Post("/settings/devices/forget"), http.StatusSeeOther) },
			"disabled for a time": func(*live.Browser) {
				for _, change := range []func(context.Context, twostep.By, string) error{h.Disable, h.Enable} {
					if err := change(h.T.Context(), twostep.By{}, live.AnnaEmail); err != nil {
						h.T.Fatal(err)
					}
				}
			},
		} {
			attacker, b := h.BrowserAt("127.0.0.1"), h.BrowserAt("127.0.0.1")
			h.signInAndTrust(attacker, who())
			h.signInAndTrust(b, who())
			end(b)
			h.wantAsked(says, attacker, who())
		}
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, who())
		h.exec("DELETE FROM accounts")
		if h.count("trusted_networks")+h.count("known_devices")+h.count("trust_decisions") != 0 {
			h.T.Error("trust outlives its account")
		}
		if err := h.CreateAccount(h.T.Context(), twostep.AccountParams{Email: live.AnnaEmail, Name: "Anna", Password: password}); err != nil {
			h.T.Fatal(err)
		}
		h.wantAsked("a new account of the same name", b, who())
	})
}

// Trust is switched off or shortened in the settings, and old trust still counts.
func TestTrustSettingAppliesToOldTrust(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		keys := filepath.Join(t.TempDir(), "keys")
		const day = 24 * time.Hour
		with := func(trust time.Duration) *server {
			return start(t, url, func(o *twostep.Options) {
				o.KeyFile, o.Policy.All.Trust, o.NoBackgroundWork = keys, trust, trust != 30*day
			})
		}
		h := with(30 * day)
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		record := h.cookie(b, "device")
		off := with(twostep.TrustOff)
		other := off.withCookies("device", record)
		off.wantAsked("switched off", other, anna)
		if page := other.Get("/signin/verify").Body; strings.Contains(page, "trust") {
			t.Error("the box is offered where trust is switched off")
		}
		h.Turn(8 * 24 * time.Hour)
		short := with(7 * day)
		short.Turn(8 * 24 * time.Hour)
		short.wantAsked("seven days, after eight", short.withCookies("device", record), anna)
		h.wantTrusted("thirty days, after eight", b, anna)
	})
}

// Only the cookie ends, or use prolongs trust. The server's row decides, from the verification on,
// whatever the browser keeps.
func TestTrustEndsAfterThirtyDays(t *testing.T) {
	t.Parallel()
	clock := newClock()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		began := clock.Now()
		for range 29 {
			clock.advance(24 * time.Hour)
			h.wantTrusted("every day", b, anna)
		}
		clock.advance(began.Add(month).Sub(clock.Now()))
		h.wantTrusted("thirty days", b, anna)
		record := h.cookie(b, "device")
		clock.advance(time.Millisecond)
		h.wantAsked("a millisecond later", b, anna)
		h.wantAsked("the same cookie, kept for ten years", h.withCookies("device", record), anna)
	}, clock.set)
}

// A copy of the cookie is used elsewhere, or a neighbour behind the same address needs none. A browser
// update is no other browser, and an older version is. A copy in another browser and network ends
// trust, and the owner is told.
func TestStolenTrustCookieFailsElsewhere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna, firefox)
		copied := func() *live.Browser { return h.withCookies("device", h.cookie(b, "device")) }
		h.wantAsked("another network", copied().Move("127.0.0.2"), anna, firefox)
		h.wantAsked("another browser", copied(), anna, chrome)
		h.wantAsked("an older browser", copied(), anna, older)
		h.wantAsked("no browser", copied(), anna, "User-Agent: ")
		h.wantAsked("a neighbour", h.BrowserAt("127.0.0.1"), anna, firefox)
		h.wantTrusted("after an update", b, anna, newer)
		h.wantAsked("with the version of before", b, anna, firefox)
		h.wantTrusted("itself", b, anna, newer)
		n := h.Mail.Len()
		h.wantAsked("another browser in another network", copied().Move("127.0.0.2"), anna, chrome)
		if !h.toldOfCopy(n) {
			h.T.Error("the owner was not told")
		}
		h.wantAsked("itself, after that", b, anna, newer)
	})
}

// toldOfCopy says whether a mail after the first n tells that a record was copied.
func (h *server) toldOfCopy(n int) (told bool) {
	for i := n; i < h.Mail.Len(); i++ {
		told = told || strings.Contains(h.Mail.Next(i), "We signed you out of one of your browsers at Example")
	}
	return told
}

// The secret changes with every use. An old one ends trust and the sessions of that browser, and the
// owner is told.
func TestReusedTrustCookieEndsTrust(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		stolen := h.cookie(b, "device")
		for range 2 {
			h.Turn(10 * time.Minute)
			h.wantTrusted("the owner", b, anna)
		}
		if h.cookie(b, "device") == stolen {
			h.T.Fatal("the secret stays")
		}
		h.Turn(10 * time.Minute)
		n := h.Mail.Len()
		h.wantAsked("the copy", h.withCookies("device", stolen), anna)
		if _, in := signedIn(b); in {
			h.T.Error("the sessions of that browser live on")
		}
		h.wantAsked("the owner, too", b, anna)
		if !h.toldOfCopy(n) {
			h.T.Error("the owner was not told")
		}
	})
}

// Somebody copies the device cookie and takes turns with the owner, so that each of them always has a fresh secret.
func TestTakingTurnsWithACopiedCookieEndsTrust(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for _, every := range []time.Duration{2 * time.Minute, time.Hour, 24 * time.Hour} {
			owner := h.BrowserAt("127.0.0.1")
			h.signInAndTrust(owner, anna)
			thief := h.withCookies("device", h.cookie(owner, "device"))
			n, turns := h.Mail.Len(), []*live.Browser{owner, thief, owner, thief}
			for i, b := range turns {
				h.Turn(every)
				if h.firstStep(b, anna) {
					break
				}
				if i == len(turns)-1 {
					h.T.Errorf("every %v: nobody notices", every)
				}
			}
			h.WaitForOutbox()
			if _, in := signedIn(thief); in || !h.toldOfCopy(n) {
				h.T.Errorf("every %v: the thief is signed in, or the owner was not told", every)
			}
		}
	})
}

// Somebody copies the device cookie and signs in with the copy every 50 seconds, so that it is never old.
func TestCopiedCookieUsedEveryMinuteEndsTrust(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		owner := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(owner, anna)
		copied, n := h.cookie(owner, "device"), h.Mail.Len()
		for range 3 {
			for range 8 {
				h.Turn(50 * time.Second)
				h.firstStep(h.withCookies("device", copied), anna)
			}
			h.Turn(time.Second)
			h.firstStep(owner, anna)
		}
		h.WaitForOutbox()
		if !h.toldOfCopy(n) {
			h.T.Error("the owner was not told")
		}
		h.wantAsked("the thief", h.withCookies("device", copied), anna)
	})
}

// A script reads the device cookie or stores anything like it.
func TestTrustCookieIsHiddenFromScripts(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.BrowserAt("127.0.0.1")
	code := b.Password()
	a := b.Post("/signin/verify", "code", code, "trust", "1")
	found := false
	for _, line := range a.Header["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-device=") {
			found = true
			for _, wanted := range []string{"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age="} {
				if !strings.Contains(line, wanted) {
					t.Errorf("%s lacks %s", line, wanted)
				}
			}
		}
	}
	page := b.Get("/signin")
	if !found || strings.Contains(page.Body, "localStorage") {
		t.Error("no record in a cookie")
	}
	for _, name := range []string{"localStorage", "sessionStorage", "indexedDB", "document.cookie"} {
		if strings.Contains(h.script(b), name) {
			t.Errorf("the script uses %s", name)
		}
	}
}

// script is the one script of all pages.
func (h *server) script(b *live.Browser) string {
	h.T.Helper()
	page := h.BrowserAt("127.0.0.1").Get("/signin").Body
	_, rest, _ := strings.Cut(page, `<script src="`)
	path, _, ok := strings.Cut(rest, `"`)
	if !ok {
		h.T.Fatal("no script")
	}
	return h.wantStatus(b.Get(path), http.StatusOK).Body
}

// Trust counts as a second step, for apps or for pages that need a recent one.
func TestTrustIsNoSecondFactor(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		h.wantTrusted("trusted", b, anna)
		if got := h.value("SELECT amr FROM sessions"); got != "pwd" {
			h.T.Errorf("amr %q", got)
		}
		if got := h.value("SELECT authenticated_at FROM sessions"); got != "0" {
			h.T.Errorf("step two proven at %s", got)
		}
		for _, path := range []string{"/settings/password", "/settings/email"} {
			if a := b.Get(path); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/settings/confirm") {
				h.T.Errorf("%s: %d", path, a.StatusCode)
			}
		}
		for path, body := range map[string]string{"/settings/password": "current=correct+horse+battery&password=brand+new+horse", "/settings/email": "email=eva%40example.com", "/settings/2step/app": "name=x", "/settings/2step/recovery": ""} {
			a := h.post(b, path, body)
			if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/settings/confirm") {
				h.T.Errorf("%s after trust: %d %s", path, a.StatusCode, a.Header.Get("Location"))
			}
		}
		if h.value("SELECT epoch FROM accounts") != "1" {
			h.T.Error("something was changed")
		}
	}, allMethods(&phone{}))
}

// The box counts on another form, or without a second step.
func TestTrustNeedsTheBoxAndASecondStep(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.wantStatus(h.post(b, "/signin", anna+"&trust=1"), http.StatusBadRequest)
		code := b.Password()
		h.wantStatus(b.Post("/signin/trust", "trust", "1"), http.StatusNoContent)
		h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code), "trust", "1"), http.StatusUnprocessableEntity)
		h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code), "trust", "yes"), http.StatusBadRequest)
		if page := b.Get("/signin/verify").Body; !strings.Contains(page, " checked") {
			h.T.Error("the box did not stay")
		}
		if n := h.count("trusted_networks") + h.count("devices"); n != 0 {
			h.T.Errorf("%d rows before a second step", n)
		}
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		if n := h.count("trusted_networks"); n != 0 {
			h.T.Error("the box was unticked, and it is trusted")
		}
		fresh := h.BrowserAt("127.0.0.1").Get("/signin/verify").Body
		if strings.Contains(fresh, " checked") {
			h.T.Error("the box is ticked before anybody has")
		}
	})
}

// Somebody who passes once makes their browser trusted, and the owner does not notice.
func TestOwnerIsToldOfTrust(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		n := h.Mail.Len()
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna, firefox)
		h.WaitForOutbox()
		told := false
		for i := n; i < h.Mail.Len(); i++ {
			mail := h.Mail.Next(i)
			told = told || strings.Contains(mail, "New trusted device for your account at Example") && strings.Contains(mail, "/settings/devices")
		}
		if !told {
			h.T.Error("the owner was not told")
		}
		page := b.Get("/settings/devices").Body
		for _, wanted := range []string{"Firefox on Windows", "127.0.0.1", "This browser", "/settings/devices/" + h.value("SELECT id FROM devices") + "/forget"} {
			if !strings.Contains(page, wanted) {
				h.T.Errorf("the list does not say %q", wanted)
			}
		}
	})
}

// A header supplies the client address. Only a configured proxy is believed, only for what it has
// written itself, and only if that can be read.
func TestOnlyNamedProxiesSupplyTheAddress(t *testing.T) {
	t.Parallel()
	named := func(o *twostep.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} }
	eachDatabase(t, func(h *server) {
		const home = "X-Forwarded-For: 203.0.113.5"
		b := h.BrowserAt("127.0.0.2")
		h.signInAndTrust(b, anna, home)
		h.wantTrusted("through the proxy, at home", b, anna, home)
		h.wantTrusted("what the client wrote stands left of it", b, anna, "X-Forwarded-For: 198.51.100.7, 203.0.113.5")
		h.wantTrusted("the same address in another form", b, anna, "X-Forwarded-For: [::ffff:203.0.113.5]:4711")
		h.wantTrusted("Forwarded says the same", b, anna, "Forwarded: for=203.0.113.5")
		record := func() *live.Browser { return h.withCookies("device", h.cookie(b, "device")) }
		for says, header := range map[string]string{
			"from somewhere else": "X-Forwarded-For: 198.51.100.7", "the client claims to be at home": "X-Forwarded-For: 203.0.113.5, 198.51.100.7",
			"garbage": "X-Forwarded-For: 203.0.113.5, garbage", "empty": "X-Forwarded-For: ", "a number too large": "X-Forwarded-For: 999.1.1.1",
			"another header": "X-Real-IP: 203.0.113.5", "yet another": "X-Client-IP: 203.0.113.5", "hidden": "Forwarded: for=_hidden", "a quote that swallows what the proxy adds": `Forwarded: for=203.0.113.5;x=", for=198.51.100.7`,
			"the other one": "CF-Connecting-IP: 203.0.113.5", "and another": "True-Client-IP: 203.0.113.5",
		} {
			h.wantAsked("through the proxy: "+says, record().Move("127.0.0.2"), anna, header)
		}
		h.wantAsked("the two headers contradict each other", record().Move("127.0.0.2"), anna, home, "Forwarded: for=198.51.100.7")
		for _, header := range []string{home, "Forwarded: for=203.0.113.5", "X-Forwarded-For: 127.0.0.2"} {
			h.wantAsked("not through the proxy: "+header, record().Move("127.0.0.3"), anna, header)
		}
		h.wantTrusted("at home, after all that", b, anna, home)
	}, named)
	for _, wide := range []string{"0.0.0.0/0", "::/0", "128.0.0.0/1", "::ffff:0.0.0.0/96"} {
		dir := t.TempDir()
		o := twostep.Options{Database: filepath.Join(dir, "db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: "https://signin.example.com",
			Methods: []factor.Method{email.Method{}}, Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: delivery.Inbox{Dir: dir}.Send}, Logger: slog.New(slog.DiscardHandler),
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix(wide)}}
		if s, err := twostep.New(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: started", wide)
		}
	}
	for _, text := range []string{"*", "all", "0.0.0.0/0"} {
		if p, err := twostep.ParseProxies(text); err == nil {
			t.Errorf("%q: %v", text, p)
		}
	}
}

// In a public installation a loopback or private address stands for everybody behind a proxy that is
// not configured, so it cannot be trusted.
func TestPrivateAddressesAreNotTrusted(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.PublicURL = "https://signin.example.com"
	})
	host := "Host: signin.example.com"
	for _, header := range []string{"X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: fd00::1", "X-Forwarded-For: 100.64.1.1", "X-Forwarded-For: 64:ff9b:1::1", "X-Nothing: x"} {
		b := h.BrowserAt("127.0.0.1")
		n := h.Mail.Len()
		origin := "Origin: https://signin.example.com"
		a := b.Do(h.request(http.MethodPost, "/signin", anna, form, origin, "Sec-Fetch-Site: same-origin", host, header))
		h.wantStatus(a, http.StatusSeeOther)
		page := b.Do(h.request(http.MethodGet, "/signin/verify", "", host, header)).Body
		if !strings.Contains(page, "tell which network you") || !strings.Contains(page, " disabled") {
			t.Errorf("%s: the box is offered", header)
		}
		code := h.Code(n)
		h.wantStatus(b.Do(h.request(http.MethodPost, "/signin/verify", "trust=1&code="+code, form, origin, "Sec-Fetch-Site: same-origin", host, header)), http.StatusSeeOther)
		h.WaitForOutbox()
		if n := h.count("trusted_networks"); n != 0 {
			t.Errorf("%s: a place", header)
		}
	}
}

// Home and office are both trusted, so that people whose address changes are not asked each time.
func TestSeveralNetworksAreTrusted(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		h.signInAndTrust(b.Move("127.0.0.2"), anna)
		h.wantTrusted("office", b, anna)
		h.wantTrusted("home", b.Move("127.0.0.1"), anna)
		h.wantTrusted("office again", b.Move("127.0.0.2"), anna)
		h.wantAsked("a client's office", b.Move("127.0.0.3"), anna)
	})
}

// A backup brings back trust that was taken away, and sessions that had ended.
func TestRestoredBackupRevivesNoTrust(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.1")
		h.signInAndTrust(b, anna)
		session := h.cookie(b, "session")
		sessions := h.rows("SELECT id, last_seen_at FROM sessions")
		h.wantStatus(b.Post("/settings/devices/forget"), http.StatusSeeOther)
		h.wantAsked("forgotten", b, anna)
		h.exec("UPDATE trusted_networks SET revoked_at = 0, revoke_reason = ''") // what the backup of yesterday says
		h.wantTrusted("brought back", b, anna)
		if err := h.InvalidateAfterRestore(h.T.Context()); err != nil {
			h.T.Fatal(err)
		}
		if _, in := signedIn(b); in {
			h.T.Error("a session of before the restore is alive")
		}
		h.wantAsked("after the operator has said so", b, anna)
		if session == "" || len(sessions) != 1 {
			h.T.Error("there was nothing to bring back")
		}
	})
}

// The network and browser of a trusted device can be read in the database.
func TestTrustStoresNoReadableAddress(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.BrowserAt("127.0.0.77")
		h.signInAndTrust(b, anna, firefox)
		for _, row := range h.rows("SELECT body FROM trusted_networks UNION ALL SELECT body FROM trust_decisions") {
			if strings.Contains(row[0], "127.0.0") || strings.Contains(row[0], "Firefox") {
				h.T.Error("a place can be read in the database")
			}
		}
	})
}
