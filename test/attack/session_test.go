package attack

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/test/e2e/live"
)

// The browser comes with tokens that an attacker chose. Each step issues new ones, and the planted
// ones never work.
func TestTokensAreRenewedAtEachStep(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		planted := strings.Repeat("A", 43)
		b := h.withCookies("signin", planted, "session", planted)
		code := b.Password()
		pending := h.cookie(b, "signin")
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		session := h.cookie(b, "session")
		if pending == planted || session == planted || session == pending || len(session) != 43 || len(pending) != 43 {
			h.T.Errorf("tokens: planted %q, pending %q, session %q", planted, pending, session)
		}
		if h.cookie(b, "signin") != "" {
			h.T.Error("the pending token stays in the browser after the sign-in")
		}
		h.wantStatus(b.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), http.StatusSeeOther)
		renewed := h.cookie(b, "session")
		if renewed == session || renewed == "" {
			h.T.Error("the session keeps its token over a change of the password")
		}
		for name, token := range map[string]string{"planted": planted, "before the change": session, "pending": pending} {
			if _, in := signedIn(h.withCookies("session", token)); in {
				h.T.Errorf("the token %s leads in", name)
			}
		}
		b.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse")
		first := h.cookie(b, "signin")
		b.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse")
		if second := h.cookie(b, "signin"); second == first || h.withCookies("signin", first).Get("/signin/verify").StatusCode != http.StatusSeeOther {
			h.T.Error("the password was typed again, and the pending token of before still works")
		}
	})
}

// A token in the URL or in a form is believed.
func TestTokenInURLOrFormIsIgnored(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.SignIn()
	token := h.cookie(b, "session")
	attacker := h.Browser()
	for _, query := range []string{"?session=", "?__Host-session=", "?token=", "?sid=", ";session=", "?PHPSESSID="} {
		if a := attacker.Get("/settings" + query + token); a.StatusCode == http.StatusOK {
			t.Errorf("%s: signed in", query)
		}
	}
	h.wantStatus(attacker.Post("/settings/password", "session", token, "current", live.AnnaPassword, "password", "brand new horse"), http.StatusSeeOther)
	if h.value("SELECT epoch FROM accounts") != "1" {
		t.Error("the password was changed by a token in a form")
	}
}

// Our cookies can be planted or read by a neighbouring host, come twice, or carry more than a token.
func TestCookiesAreHostOnlyAndUnambiguous(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	a := b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword)
	code := h.Code(0)
	for _, answer := range []live.Answer{a, b.Post("/signin/verify", "code", code), b.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), b.Post("/signout")} {
		names := map[string]bool{}
		for _, line := range answer.Header["Set-Cookie"] {
			name, rest, _ := strings.Cut(line, "=")
			value, attributes, _ := strings.Cut(rest, "; ")
			if names[name] {
				t.Errorf("%s is set twice", name)
			}
			names[name] = true
			if !strings.HasPrefix(name, "__Host-") || strings.Contains(attributes, "Domain") || strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
				t.Errorf("cookie %q", line)
			}
			for _, wanted := range []string{"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
				if !strings.Contains(attributes+";", wanted) {
					t.Errorf("cookie %q lacks %s", line, wanted)
				}
			}
		}
	}
	b.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse")
	in := h.Browser()
	h.wantStatus(in.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse"), http.StatusSeeOther)
	token := h.cookie(in, "signin")
	for _, cookies := range []string{
		"__Host-signin=" + token + "; __Host-signin=" + strings.Repeat("A", 43), "__Host-signin=AAAA; __Host-signin=" + token, "__Host-signin=" + token + "; __Host-signin=" + token,
		"signin=" + token, "__Secure-signin=" + token, "__host-signin=" + token, `__Host-signin="` + token + `"`, "__Host-signin=" + token + "%20", "__Host-signin=" + strings.Repeat("A", 4000),
	} {
		h.wantStatus(h.Browser().Do(h.request("GET", "/signin/verify", "", "Cookie: "+cookies)), http.StatusSeeOther)
	}
	h.wantStatus(h.Browser().Do(h.request("GET", "/signin/verify", "", "Cookie: other=1; __Host-signin="+token)), http.StatusOK)
}

// Somebody else signs in over a session, and gets its token or its page.
func TestSigningInAsAnotherReplacesTheSession(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	h.addBen()
	b := h.Browser()
	b.SignIn()
	anna := h.cookie(b, "session")
	code := h.passwordStep(b, benEmail, benPassword)
	if body, _ := signedIn(b); !strings.Contains(body, live.AnnaEmail) {
		t.Error("the password of another ended the session")
	}
	h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
	if h.cookie(b, "session") == anna {
		t.Error("the token is the one of before")
	}
	if body, _ := signedIn(b); !strings.Contains(body, benEmail) || strings.Contains(body, live.AnnaEmail) {
		t.Error("not Ben's page")
	}
}

// A session or a sign-in can be changed by its id, without its secret.
func TestIDsAreNoTokens(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.SignIn()
	h.Browser().Password()
	for _, query := range []string{"SELECT id FROM sessions", "SELECT id FROM attempts", "SELECT id FROM accounts", "SELECT id FROM challenges", "SELECT id FROM one_time_codes", "SELECT id FROM audit_log"} {
		for _, id := range h.column(query) {
			for _, name := range []string{"session", "signin"} {
				c := h.withCookies(name, id)
				h.wantStatus(c.Get("/settings"), http.StatusSeeOther)
				h.wantStatus(c.Get("/signin/verify"), http.StatusSeeOther)
				h.wantStatus(c.Post("/signout"), http.StatusSeeOther)
				h.wantStatus(c.Post("/signin/cancel"), http.StatusSeeOther)
			}
			h.wantStatus(b.Post("/settings/sessions/end", "id", id), http.StatusBadRequest)
			if page := b.Get("/settings/sessions").Body + b.Get("/settings").Body; strings.Contains(page, id) {
				t.Errorf("an id of %q stands in a page", query)
			}
		}
	}
	if _, in := signedIn(b); !in || h.value("SELECT count(*) FROM attempts WHERE finished_at = 0") != "1" {
		t.Error("something ended by its id")
	}
}

// Calls come in an order that no page leads to. A session appears only after the right code of this
// browser's own sign-in.
func TestCallsOutOfOrderGiveNoSession(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	calls := []func(b *live.Browser){
		func(b *live.Browser) { b.Post("/signin/verify", "code", "000000") },
		func(b *live.Browser) { b.Post("/signin/method", "method", "email") },
		func(b *live.Browser) { b.Post("/signin/code") },
		func(b *live.Browser) { b.Post("/signin/cancel") },
		func(b *live.Browser) { b.Get("/signin/verify") },
		func(b *live.Browser) { b.Post("/signout") },
		func(b *live.Browser) { b.Get("/settings/password/done") },
		func(b *live.Browser) { h.Turn(20 * time.Second) },
		func(b *live.Browser) { b.Get("/signin?return_to=/settings/password/done") },
	}
	seed := uint32(20261123)
	for range 20 {
		b := h.Browser()
		code := b.Password()
		cancelled := false
		for range 8 {
			seed = seed*1664525 + 1013904223
			i := int(seed>>16) % len(calls)
			calls[i](b)
			cancelled = cancelled || i == 3
			h.wantNoSession("out of order", b)
		}
		b.Post("/signin/verify", "code", code)
		if _, in := signedIn(b); in && cancelled {
			t.Error("a sign-in that was given up led in")
		}
		h.exec("DELETE FROM sessions")
	}
}

// Two accounts with the same password share a hash or a sealed value.
func TestSamePasswordIsStoredDifferently(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	token := h.signUp("eva@example.net", "Eva")
	h.wantStatus(h.Browser().Post("/join", "token", token, "name", "Eva", "password", live.AnnaPassword), http.StatusSeeOther)
	sealed := h.column("SELECT password_hash FROM accounts")
	if len(sealed) != 2 || sealed[0] == sealed[1] {
		t.Error("the same password is stored alike")
	}
	h.exec("UPDATE accounts SET password_hash = (SELECT password_hash FROM accounts WHERE email = 'anna@example.com')")
	if a := h.Browser().Post("/signin", "email", "eva@example.net", "password", live.AnnaPassword); a.StatusCode == http.StatusSeeOther {
		t.Error("a password that was copied to another row opens it")
	}
}

// After signing out the cookie still works somewhere, or the browser shows the page again.
func TestSignOutEndsTheSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for _, end := range []string{"/signout", "/settings/sessions/end"} {
			b := h.Browser()
			b.SignIn()
			token := h.cookie(b, "session")
			other := h.Browser()
			other.SignIn()
			a := h.wantStatus(b.Post(end), http.StatusSeeOther)
			if h.cookie(b, "session") != "" || a.Header.Get("Clear-Site-Data") != `"cache"` {
				h.T.Errorf("%s: cookie %q, Clear-Site-Data %q", end, h.cookie(b, "session"), a.Header.Get("Clear-Site-Data"))
			}
			for _, r := range inventory {
				if method, path := path(r.pattern); r.needs == render.AccessSession {
					h.wantStatus(h.withCookies("session", token).Do(h.request(method, path, r.form, form, "Sec-Fetch-Site: same-origin")), http.StatusSeeOther)
				}
			}
			if _, in := signedIn(other); in != (end == "/signout") {
				h.T.Errorf("%s: the other browser is in: %v", end, in)
			}
		}
	})
}

// A session alone changes the password, or other sessions outlive the change.
func TestPasswordChangeNeedsThePasswordAndEndsSessions(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b, attacker, pending := h.Browser(), h.Browser(), h.Browser()
		b.SignIn()
		attacker.SignIn()
		code := pending.Password()
		for _, current := range []string{"", "wrong horse battery", "brand new horse", benPassword} {
			h.wantStatus(attacker.Post("/settings/password", "current", current, "password", "brand new horse"), http.StatusUnprocessableEntity)
		}
		h.wantStatus(attacker.Post("/settings/password", "password", "brand new horse"), http.StatusUnprocessableEntity)
		reset := h.requestReset()
		h.wantStatus(b.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), http.StatusSeeOther)
		if _, in := signedIn(attacker); in {
			h.T.Error("the other session outlives the change of the password")
		}
		if _, in := signedIn(b); !in {
			h.T.Error("who changed the password was thrown out")
		}
		pending.Post("/signin/verify", "code", code)
		if _, in := signedIn(pending); in {
			h.T.Error("a sign-in begun with the old password led in")
		}
		h.wantStatus(h.Browser().Post("/reset", "token", reset, "password", "another new horse"), http.StatusUnprocessableEntity)
		h.WaitForOutbox()
		told := false
		for i := range h.Mail.Len() {
			told = told || strings.Contains(h.Mail.Next(i), "Subject: Your password at Example was changed")
		}
		if !told {
			h.T.Error("the owner was not told")
		}
	})
}

// Signing in again in the same browser leaves the first session behind, which a stolen cookie still
// opens.
func TestSecondSignInEndsTheFirstSession(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.SignIn()
	old := h.cookie(b, "session")
	b.SignIn()
	if _, in := signedIn(h.withCookies("session", old)); in {
		t.Error("the session of before lives on")
	}
}

// maxAge returns how long the browser keeps the cookie of an answer, 0 for until it is closed.
func (h *server) maxAge(a live.Answer, name string) time.Duration {
	h.T.Helper()
	for _, c := range a.Cookies() {
		if c.Name == "__Host-"+name && c.Value != "" {
			return time.Duration(c.MaxAge) * time.Second
		}
	}
	h.T.Fatalf("no cookie %s: %v", name, a.Header["Set-Cookie"])
	return 0
}

// A closed browser keeps a session only as long as the owner or the person said, and a new token does not prolong it.
func TestSessionCookieLastsAsChosen(t *testing.T) {
	t.Parallel()
	stays := func(o *twostep.Options) { o.StaySignedIn = true }
	long := func(o *twostep.Options) { o.Policy.All.Idle, o.Policy.All.Absolute = 720*time.Hour, 720*time.Hour }
	c := newClock()
	for name, row := range map[string]struct {
		configure []live.Setup
		stay      string
		want      time.Duration
	}{
		"default":                      {nil, "", 0},
		"ticked without the setting":   {nil, "1", 0},
		"sessions of 30 days":          {[]live.Setup{long}, "", 720 * time.Hour},
		"not ticked":                   {[]live.Setup{stays}, "", 0},
		"ticked":                       {[]live.Setup{stays}, "1", 24 * time.Hour},
		"ticked, sessions of 30 days":  {[]live.Setup{stays, long}, "1", 720 * time.Hour},
		"not ticked, sessions of 30 d": {[]live.Setup{stays, long}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, "", append(row.configure, behindProxy, c.set)...)
			anna := h.proxiedUser(h.Browser())
			code := anna.person.FirstStep("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword, "stay", row.stay)
			a := h.wantRedirect(anna.person.Post("/signin/verify", "code", code, "trust", "1"), "/settings")
			if got := h.maxAge(a, "session"); got != row.want {
				t.Fatalf("the cookie lasts %s, want %s", got, row.want)
			}
			// The host of an app and a new token have the rest of it.
			c.advance(5 * time.Minute)
			rest := max(0, row.want-5*time.Minute)
			a = h.wantStatus(anna.ask("GET", wiki, anna.enterURL(wiki, "/"), navigate), http.StatusFound)
			if got := h.maxAge(a, "twostep-app"); got != rest {
				t.Errorf("the cookie of the host lasts %s, want %s", got, rest)
			}
			a = h.wantStatus(anna.person.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), http.StatusSeeOther)
			if got := h.maxAge(a, "session"); got != rest {
				t.Errorf("the new cookie lasts %s, want %s", got, rest)
			}
			n := h.Mail.Len()
			h.wantRedirect(anna.person.Post("/settings/confirm", "password", "brand new horse"), "/signin/verify")
			a = h.wantStatus(anna.person.Post("/signin/verify", "code", h.Code(n)), http.StatusSeeOther)
			if got := h.maxAge(a, "session"); got != rest {
				t.Errorf("the cookie after a step-up lasts %s, want %s", got, rest)
			}
			for _, cookie := range h.wantStatus(anna.person.Post("/signout"), http.StatusSeeOther).Cookies() {
				if cookie.MaxAge >= 0 {
					t.Errorf("after the sign-out: %v", cookie)
				}
			}
			// A trusted browser that skips the code does as it was told this time.
			a = anna.person.Post("/signin", "email", live.AnnaEmail, "password", "brand new horse", "stay", row.stay)
			h.wantRedirect(a, "/settings")
			if got := h.maxAge(a, "session"); got != row.want {
				t.Errorf("the cookie of a trusted browser lasts %s, want %s", got, row.want)
			}
		})
	}
}

// A cookie that the browser keeps does not keep the session: it ends after the idle time, and at its end.
func TestKeptCookieDoesNotProlongTheSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		signIn := func() *live.Browser {
			b := h.Browser()
			code := b.FirstStep("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword, "stay", "1")
			h.wantRedirect(b.Post("/signin/verify", "code", code), "/settings")
			return b
		}
		idle := signIn()
		h.Turn(61 * time.Minute)
		if _, in := signedIn(idle); in {
			h.T.Error("in after the idle time")
		}
		used := signIn()
		for range 36 {
			h.Turn(40 * time.Minute)
			used.Get("/settings")
		}
		h.Turn(time.Minute)
		if _, in := signedIn(used); in {
			h.T.Error("in a day later")
		}
	}, func(o *twostep.Options) { o.StaySignedIn = true })
}
