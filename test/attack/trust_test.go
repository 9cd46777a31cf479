package attack

import (
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
func (h *house) firstStep(b *live.Browser, who string, headers ...string) (asked bool) {
	h.T.Helper()
	h.forget() // one network asks for more mails than strangers may
	b.Post("/signout")
	b.Post("/signin/cancel")
	a := h.want(h.post(b, "/signin", who, headers...), http.StatusSeeOther)
	return strings.HasPrefix(a.Header.Get("Location"), "/signin/")
}

// tick takes both steps with the box ticked.
func (h *house) tick(b *live.Browser, who string, headers ...string) {
	h.T.Helper()
	h.settle()
	n := h.Mail.Len()
	if !h.firstStep(b, who, headers...) {
		h.T.Fatal("no code is wanted")
	}
	code := h.Code(n)
	h.want(h.post(b, "/signin/verify", "trust=1&code="+code, headers...), http.StatusSeeOther)
	h.settle()
}

func (h *house) trusted(says string, b *live.Browser, who string, headers ...string) {
	h.T.Helper()
	if h.firstStep(b, who, headers...) {
		h.T.Errorf("%s: a code is wanted", says)
	}
}

func (h *house) wanted(says string, b *live.Browser, who string, headers ...string) {
	h.T.Helper()
	if !h.firstStep(b, who, headers...) {
		h.T.Errorf("%s: no code is wanted", says)
	}
	h.settle()
}

// Staying signed in, or trust alone, opens anything without the password.
func TestTrustAloneOpensNothing(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		record := h.cookie(b, "device")
		alone := h.with("device", record)
		for _, r := range inventory {
			method, path := path(r.pattern)
			if r.needs == "" || method != http.MethodGet {
				continue
			}
			if a := alone.Get(path); a.StatusCode != http.StatusSeeOther {
				h.T.Errorf("%s with the record alone: %d", r.pattern, a.StatusCode)
			}
		}
		h.want(alone.Post("/signin", "email", live.AnnaEmail, "password", "wrong horse"), http.StatusUnprocessableEntity)
		for _, name := range []string{"session", "signin"} {
			if _, in := isIn(h.with(name, record)); in {
				h.T.Errorf("the record as %s leads in", name)
			}
		}
	})
}

// The record is made by somebody else: computed from what
// they know, written in a form that is believed, derived, or bent.
func TestForgedTrustCookieIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna, firefox)
		record := h.cookie(b, "device")
		h.wanted("the same address and browser, no record", h.BrowserAt("127.0.0.1"), anna, firefox)
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "-" + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"anna@example.com","ip":"127.0.0.1"}`)) + "-"
		for says, forged := range map[string]string{
			"a token that signs itself": none, "nothing": "", "the name": base64.RawURLEncoding.EncodeToString([]byte(live.AnnaEmail)),
			"cut short": record[:len(record)-1], "cut in front": record[1:], "only the series": record[:26], "longer": record + "A", "twice": record + record, "much too long": strings.Repeat("A", 4000),
			"ids": h.one("SELECT id FROM devices") + h.one("SELECT id FROM devices"), "another series": strings.Repeat("A", 26) + record[26:],
		} {
			h.wanted(says, h.with("device", forged), anna, firefox)
		}
		for _, i := range []int{0, 13, 25} { // of the series
			bent := record[:i] + string(record[i]^1) + record[i+1:]
			h.wanted("one bit of the series", h.with("device", bent), anna, firefox)
		}
		two := h.BrowserAt("127.0.0.1")
		h.want(two.Do(h.request(http.MethodPost, "/signin", anna, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin", firefox, "Cookie: __Host-device="+record+"; __Host-device="+record)), http.StatusSeeOther)
		if _, in := isIn(two); in {
			h.T.Error("two records are one")
		}
		h.trusted("the record itself, after all that", b, anna, firefox)
		stored := h.contents()
		for _, part := range []string{record, record[:26], record[26:]} {
			if strings.Contains(stored, part) {
				h.T.Error("the record stands in the database")
			}
		}
		c := h.BrowserAt("127.0.0.1")
		h.tick(c, anna, firefox)
		if other := h.cookie(c, "device"); other[:26] == record[:26] || other[26:] == record[26:] {
			h.T.Error("two records share a part")
		}
	})
}

// The record of one person helps another at the same computer, or is taken
// from them.
func TestTrustIsPerAccount(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.addBen()
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		h.wanted("Anna's record, Ben's password", b, ben)
		h.trusted("Anna, after Ben was asked", b, anna)
		h.tick(b, ben)
		h.trusted("Ben", b, ben)
		h.trusted("Anna", b, anna)
		if page := b.Get("/settings/devices").Body; strings.Contains(page, benEmail) || strings.Count(page, "/forget") != 2 {
			h.T.Error("Anna sees what is Ben's")
		}
		h.want(b.Post("/settings/devices/forget"), http.StatusSeeOther)
		h.wanted("Anna has forgotten it", b, anna)
		h.trusted("Ben has not", b, ben)
	})
}

// The record outlives what should end it. Each ends it in the other browser
// too, and a new account of the same name inherits nothing.
func TestTrustEndsWithAccountChanges(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		password := live.AnnaPassword
		who := func() string {
			return "email=anna%40example.com&password=" + strings.ReplaceAll(password, " ", "+")
		}
		for says, end := range map[string]func(b *live.Browser){
			"the password was changed": func(b *live.Browser) {
				next := password + "s"
				h.want(b.Post("/settings/password", "current", password, "password", next), http.StatusSeeOther)
				password = next
			},
			"the password was reset": func(*live.Browser) {
				h.Turn(time.Hour)
				token := h.forgot()
				password += "r"
				h.want(h.BrowserAt("127.0.0.1").Post("/reset", "token", token, "password", password), http.StatusSeeOther)
			},
			"signed out everywhere": func(b *live.Browser) { h.want(b.Post("/settings/sessions/end"), http.StatusSeeOther) },
			"forgotten":             func(b *live.Browser) { h.want(b.Post("/settings/devices/forget"), http.StatusSeeOther) },
			"disabled for a time": func(*live.Browser) {
				for _, on := range []bool{true, false} {
					if err := h.Disable(h.T.Context(), live.AnnaEmail, on); err != nil {
						h.T.Fatal(err)
					}
				}
			},
		} {
			thief, b := h.BrowserAt("127.0.0.1"), h.BrowserAt("127.0.0.1")
			h.tick(thief, who())
			h.tick(b, who())
			end(b)
			h.wanted(says, thief, who())
		}
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, who())
		h.exec("DELETE FROM accounts")
		if h.count("places")+h.count("owners")+h.count("decisions") != 0 {
			h.T.Error("trust outlives its account")
		}
		if err := h.AddAccount(h.T.Context(), twostep.NewAccount{Email: live.AnnaEmail, Name: "Anna", Password: password}); err != nil {
			h.T.Fatal(err)
		}
		h.wanted("a new account of the same name", b, who())
	})
}

// The feature is switched off, or shortened, and old records still count.
func TestTrustSettingAppliesToOldTrust(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		keys := filepath.Join(t.TempDir(), "keys")
		with := func(days int) *house {
			return start(t, url, func(o *twostep.Options) { o.KeyFile, o.TrustDays = keys, days })
		}
		h := with(30)
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		record := h.cookie(b, "device")
		off := with(-1)
		other := off.with("device", record)
		off.wanted("switched off", other, anna)
		if page := other.Get("/signin/verify").Body; strings.Contains(page, "trust") {
			t.Error("the box is offered where trust is switched off")
		}
		h.Turn(8 * 24 * time.Hour)
		short := with(7)
		short.Turn(8 * 24 * time.Hour)
		short.wanted("seven days, after eight", short.with("device", record), anna)
		h.trusted("thirty days, after eight", b, anna)
	})
}

// Only the cookie ends, or use makes it last for ever. The server's row
// decides, from the verification, whatever the browser keeps.
func TestTrustEndsAfterThirtyDays(t *testing.T) {
	t.Parallel()
	clock := stopped()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		began := clock.Now()
		for range 29 {
			clock.turn(24 * time.Hour)
			h.trusted("every day", b, anna)
		}
		clock.turn(began.Add(month).Sub(clock.Now()))
		h.trusted("thirty days", b, anna)
		record := h.cookie(b, "device")
		clock.turn(time.Millisecond)
		h.wanted("a millisecond later", b, anna)
		h.wanted("the same cookie, kept for ten years", h.with("device", record), anna)
	}, clock.set)
}

// A copy is used elsewhere, or a neighbour behind the same address
// needs none; an update is no other browser, and an older one is. Another browser in another
// place has a copy for certain: that ends the record, and its owner is told.
func TestStolenTrustCookieFailsElsewhere(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna, firefox)
		copied := func() *live.Browser { return h.with("device", h.cookie(b, "device")) }
		h.wanted("another network", copied().Move("127.0.0.2"), anna, firefox)
		h.wanted("another browser", copied(), anna, chrome)
		h.wanted("an older browser", copied(), anna, older)
		h.wanted("no browser", copied(), anna, "User-Agent: ")
		h.wanted("a neighbour", h.BrowserAt("127.0.0.1"), anna, firefox)
		h.trusted("after an update", b, anna, newer)
		h.wanted("with the version of before", b, anna, firefox)
		h.trusted("itself", b, anna, newer)
		n := h.Mail.Len()
		h.wanted("another browser in another network", copied().Move("127.0.0.2"), anna, chrome)
		if !h.warned(n) {
			h.T.Error("the owner was not told")
		}
		h.wanted("itself, after that", b, anna, newer)
	})
}

// warned says whether a mail after the first n tells that a record was copied.
func (h *house) warned(n int) (told bool) {
	for i := n; i < h.Mail.Len(); i++ {
		told = told || strings.Contains(h.Mail.Next(i), "Trust in one of your browsers at Example was ended")
	}
	return told
}

// Nobody notices that there are two of it. The secret changes with every use; one of
// before ends trust and the sessions of that browser, and the owner is told.
func TestReusedTrustCookieEndsTrust(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		stolen := h.cookie(b, "device")
		for range 2 {
			h.Turn(10 * time.Minute)
			h.trusted("the owner", b, anna)
		}
		if h.cookie(b, "device") == stolen {
			h.T.Fatal("the secret stays")
		}
		h.Turn(10 * time.Minute)
		n := h.Mail.Len()
		h.wanted("the copy", h.with("device", stolen), anna)
		if _, in := isIn(b); in {
			h.T.Error("the sessions of that browser live on")
		}
		h.wanted("the owner, too", b, anna)
		if !h.warned(n) {
			h.T.Error("the owner was not told")
		}
	})
}

// A script reads the record, or anything like it.
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
func (h *house) script(b *live.Browser) string {
	h.T.Helper()
	page := h.BrowserAt("127.0.0.1").Get("/signin").Body
	_, rest, _ := strings.Cut(page, `<script src="`)
	path, _, ok := strings.Cut(rest, `"`)
	if !ok {
		h.T.Fatal("no script")
	}
	return h.want(b.Get(path), http.StatusOK).Body
}

// Trust counts as a second step, for apps or for pages that want a fresh one.
func TestTrustIsNoSecondFactor(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		h.trusted("trusted", b, anna)
		if got := h.one("SELECT amr FROM sessions"); got != "pwd" {
			h.T.Errorf("amr %q", got)
		}
		if got := h.one("SELECT proved_at FROM sessions"); got != "0" {
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
		if h.one("SELECT epoch FROM accounts") != "1" {
			h.T.Error("something was changed")
		}
	}, every(&phone{}))
}

// The box counts on another form, or without a second step.
func TestTrustNeedsTheBoxAndASecondStep(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.want(h.post(b, "/signin", anna+"&trust=1"), http.StatusBadRequest)
		code := b.Password()
		h.want(b.Post("/signin/trust", "trust", "1"), http.StatusNoContent)
		h.want(b.Post("/signin/verify", "code", live.Wrong(code), "trust", "1"), http.StatusUnprocessableEntity)
		h.want(b.Post("/signin/verify", "code", live.Wrong(code), "trust", "yes"), http.StatusBadRequest)
		if page := b.Get("/signin/verify").Body; !strings.Contains(page, " checked") {
			h.T.Error("the box did not stay")
		}
		if n := h.count("places") + h.count("devices"); n != 0 {
			h.T.Errorf("%d rows before a second step", n)
		}
		h.want(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		if n := h.count("places"); n != 0 {
			h.T.Error("the box was unticked, and it is trusted")
		}
		fresh := h.BrowserAt("127.0.0.1").Get("/signin/verify").Body
		if strings.Contains(fresh, " checked") {
			h.T.Error("the box is ticked before anybody has")
		}
	})
}

// Whoever passes once makes their browser trusted, and nobody notices.
func TestOwnerIsToldOfTrust(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		n := h.Mail.Len()
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna, firefox)
		h.settle()
		told := false
		for i := n; i < h.Mail.Len(); i++ {
			mail := h.Mail.Next(i)
			told = told || strings.Contains(mail, "A device is trusted at Example") && strings.Contains(mail, "/settings/devices")
		}
		if !told {
			h.T.Error("the owner was not told")
		}
		page := b.Get("/settings/devices").Body
		for _, wanted := range []string{"Firefox on Windows", "127.0.0.1", "This one", "/settings/devices/" + h.one("SELECT id FROM devices") + "/forget"} {
			if !strings.Contains(page, wanted) {
				h.T.Errorf("the list does not say %q", wanted)
			}
		}
	})
}

// A header supplies the address. Only a named
// proxy is believed, only what it has written itself, and only if it can be read.
func TestOnlyNamedProxiesSupplyTheAddress(t *testing.T) {
	t.Parallel()
	named := func(o *twostep.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} }
	each(t, func(h *house) {
		const home = "X-Forwarded-For: 203.0.113.5"
		b := h.BrowserAt("127.0.0.2")
		h.tick(b, anna, home)
		h.trusted("through the proxy, at home", b, anna, home)
		h.trusted("what the client wrote stands left of it", b, anna, "X-Forwarded-For: 198.51.100.7, 203.0.113.5")
		h.trusted("the same address in another form", b, anna, "X-Forwarded-For: [::ffff:203.0.113.5]:4711")
		h.trusted("Forwarded says the same", b, anna, "Forwarded: for=203.0.113.5")
		record := func() *live.Browser { return h.with("device", h.cookie(b, "device")) }
		for says, header := range map[string]string{
			"from somewhere else": "X-Forwarded-For: 198.51.100.7", "the client claims to be at home": "X-Forwarded-For: 203.0.113.5, 198.51.100.7",
			"garbage": "X-Forwarded-For: 203.0.113.5, garbage", "empty": "X-Forwarded-For: ", "a number too large": "X-Forwarded-For: 999.1.1.1",
			"another header": "X-Real-IP: 203.0.113.5", "yet another": "X-Client-IP: 203.0.113.5", "hidden": "Forwarded: for=_hidden", "a quote that swallows what the proxy adds": `Forwarded: for=203.0.113.5;x=", for=198.51.100.7`,
			"the other one": "CF-Connecting-IP: 203.0.113.5", "and another": "True-Client-IP: 203.0.113.5",
		} {
			h.wanted("through the proxy: "+says, record().Move("127.0.0.2"), anna, header)
		}
		h.wanted("the two headers contradict each other", record().Move("127.0.0.2"), anna, home, "Forwarded: for=198.51.100.7")
		for _, header := range []string{home, "Forwarded: for=203.0.113.5", "X-Forwarded-For: 127.0.0.2"} {
			h.wanted("not through the proxy: "+header, record().Move("127.0.0.3"), anna, header)
		}
		h.trusted("at home, after all that", b, anna, home)
	}, named)
	for _, wide := range []string{"0.0.0.0/0", "::/0", "128.0.0.0/1", "::ffff:0.0.0.0/96"} {
		dir := t.TempDir()
		o := twostep.Options{Database: filepath.Join(dir, "db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: "https://signin.example.com",
			Methods: []factor.Method{email.Method{}}, Send: map[delivery.Channel]delivery.Send{delivery.Email: delivery.Inbox{Dir: dir}.Send}, Log: slog.New(slog.DiscardHandler),
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix(wide)}}
		if s, err := twostep.New(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: started", wide)
		}
	}
	for _, text := range []string{"*", "all", "0.0.0.0/0"} {
		if p, err := twostep.Proxies(text); err == nil {
			t.Errorf("%q: %v", text, p)
		}
	}
}

// In a public installation nobody is at home on this machine or in a private network:
// that would be everybody behind a proxy that nobody has named.
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
		h.want(a, http.StatusSeeOther)
		page := b.Do(h.request(http.MethodGet, "/signin/verify", "", host, header)).Body
		if !strings.Contains(page, "this server cannot see which network you come from") || !strings.Contains(page, " disabled") {
			t.Errorf("%s: the box is offered", header)
		}
		code := h.Code(n)
		h.want(b.Do(h.request(http.MethodPost, "/signin/verify", "trust=1&code="+code, form, origin, "Sec-Fetch-Site: same-origin", host, header)), http.StatusSeeOther)
		h.settle()
		if n := h.count("places"); n != 0 {
			t.Errorf("%s: a place", header)
		}
	}
}

// Addresses that change make people switch the feature off. Home and office are both
// kept, and the last eight.
func TestSeveralNetworksAreTrusted(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		h.tick(b.Move("127.0.0.2"), anna)
		h.trusted("office", b, anna)
		h.trusted("home", b.Move("127.0.0.1"), anna)
		h.trusted("office again", b.Move("127.0.0.2"), anna)
		h.wanted("a client's office", b.Move("127.0.0.3"), anna)
	})
}

// A backup brings trust back that had been taken away, and sessions that had ended.
func TestRestoredBackupRevivesNoTrust(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.1")
		h.tick(b, anna)
		session := h.cookie(b, "session")
		sessions := h.rows("SELECT id, seen_at FROM sessions")
		h.want(b.Post("/settings/devices/forget"), http.StatusSeeOther)
		h.wanted("forgotten", b, anna)
		h.exec("UPDATE places SET ended_at = 0, ended = ''") // what the backup of yesterday says
		h.trusted("brought back", b, anna)
		if err := h.Restored(h.T.Context()); err != nil {
			h.T.Fatal(err)
		}
		if _, in := isIn(b); in {
			h.T.Error("a session of before the restore is alive")
		}
		h.wanted("after the operator has said so", b, anna)
		if session == "" || len(sessions) != 1 {
			h.T.Error("there was nothing to bring back")
		}
	})
}

// Where people were is kept for years, or the records by which they are trusted can
// be read out of the database.
func TestTrustStoresNoReadableAddress(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		b := h.BrowserAt("127.0.0.77")
		h.tick(b, anna, firefox)
		for _, row := range h.rows("SELECT body FROM places UNION ALL SELECT body FROM decisions") {
			if strings.Contains(row[0], "127.0.0") || strings.Contains(row[0], "Firefox") {
				h.T.Error("a place can be read in the database")
			}
		}
	})
}
