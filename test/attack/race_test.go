package attack

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep/test/e2e/live"
)

// status counts answers by their status.
type status struct {
	mu sync.Mutex
	n  map[int]int
}

func (s *status) add(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = map[int]int{}
	}
	s.n[code]++
}

func sum(all []status, code int) (n int) {
	for i := range all {
		n += all[i].n[code]
	}
	return n
}

// codeFromEither returns the code of the mail that one of two servers has sent.
func codeFromEither(t *testing.T, a *server, n int, b *server, m int) string {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		switch {
		case a.Mail.Len() > n:
			return a.Code(n)
		case b.Mail.Len() > m:
			return b.Code(m)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no mail from either server")
		}
	}
}

var linkToken = regexp.MustCompile(`#([A-Z2-7]{20,})`)

// tokenOfLink returns the token of the link in a mail.
func tokenOfLink(t testing.TB, mail string) string {
	t.Helper()
	found := linkToken.FindStringSubmatch(strings.ReplaceAll(mail, "=\r\n", ""))
	if found == nil {
		t.Fatalf("no link in %s", mail)
	}
	return found[1]
}

// requestReset asks for a link for Anna and returns its token.
func (h *server) requestReset() string {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	h.wantStatus(h.Browser().Post("/forgot", "email", live.AnnaEmail), http.StatusSeeOther)
	return tokenOfLink(h.T, h.Mail.Next(n))
}

// signUp asks for a link for somebody new and returns its token.
func (h *server) signUp(email, name string) string {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	h.wantStatus(h.Browser().Post("/signup", "email", email, "name", name), http.StatusSeeOther)
	return tokenOfLink(h.T, h.Mail.Next(n))
}

// The same right code is sent 32 times at once, or the session cookie is handed out again.
func TestCodeAtOnceGivesOneSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for range 3 {
			h.exec("DELETE FROM sessions")
			b := h.Browser()
			code := b.Password()
			token := h.cookie(b, "signin")
			var answers status
			var cookies sync.Map
			atOnce(32, func(int) {
				c := h.withCookies("signin", token)
				answers.add(c.Post("/signin/verify", "code", code).StatusCode)
				if s := h.cookie(c, "session"); s != "" {
					cookies.Store(s, true)
				}
			})
			handed := 0
			cookies.Range(func(any, any) bool { handed++; return true })
			if n := h.count("sessions"); n != 1 || handed != 1 || answers.n[http.StatusSeeOther] != 1 {
				h.T.Errorf("32 times the right code: %d sessions, %d cookies, answers %v", n, handed, answers.n)
			}
			for _, path := range []string{"/signin/verify", "/signin", "/signin/status", "/settings"} {
				c := h.withCookies("signin", token)
				c.Get(path)
				if h.cookie(c, "session") != "" {
					h.T.Errorf("GET %s hands out a session", path)
				}
			}
		}
	})
}

// Forty guesses arrive before the first is counted.
func TestGuessesAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := b.Password()
		var answers status
		atOnce(40, func(int) { answers.add(b.Post("/signin/verify", "code", live.Wrong(code)).StatusCode) })
		n := answers.n[http.StatusUnprocessableEntity]
		if n > 5 || n+answers.n[http.StatusTooManyRequests] != 40 || h.tries() != fmt.Sprint(n) {
			h.T.Errorf("40 guesses: %v, %s tries spent; want 5 compared at most", answers.n, h.tries())
		}
		for ; n < 5; n++ { // those for which nobody waited long enough
			h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
		}
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusTooManyRequests)
		h.wantNoSession("after 40 guesses", b)
	})
}

// The same link is used six times at once: one password is set, one account is created.
func TestLinkAtOnceWorksOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		token := h.requestReset()
		var reset, join status
		atOnce(6, func(i int) {
			reset.add(h.Browser().Post("/reset", "token", token, "password", "brand new horse "+string(rune('a'+i))).StatusCode)
		})
		if reset.n[http.StatusSeeOther] != 1 || reset.n[http.StatusUnprocessableEntity] != 5 {
			h.T.Errorf("six resets by one link: %v", reset.n)
		}
		if epoch := h.value("SELECT epoch FROM accounts"); epoch != "2" {
			h.T.Errorf("the password was set more than once: epoch %s", epoch)
		}
		token = h.signUp("eva@example.net", "Eva")
		atOnce(6, func(i int) {
			join.add(h.Browser().Post("/join", "token", token, "name", "Eva", "password", "brand new horse "+string(rune('a'+i))).StatusCode)
		})
		if join.n[http.StatusSeeOther] != 1 || join.n[http.StatusUnprocessableEntity] != 5 || h.count("accounts") != 2 {
			h.T.Errorf("six accounts by one link: %v", join.n)
		}
		// A used link is dead by itself, not only because the account has moved on.
		h.exec("DELETE FROM accounts WHERE email = 'eva@example.net'")
		h.wantStatus(h.Browser().Post("/join", "token", token, "name", "Eva", "password", "brand new horse"), http.StatusUnprocessableEntity)
		token = h.requestReset()
		h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "other new horse"), http.StatusSeeOther)
		h.exec("UPDATE accounts SET epoch = epoch - 1")
		h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "third new horse"), http.StatusUnprocessableEntity)
	})
}

// A token is cut short or changed in one place.
func TestAlteredTokensAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	pending, in := h.Browser(), h.Browser()
	pending.Password()
	in.SignIn()
	reset := h.requestReset()
	b := h.Browser()
	try := func(name, token string) {
		c := h.withCookies(name, token)
		if a := c.Get(map[string]string{"signin": "/signin/verify", "session": "/settings"}[name]); a.StatusCode == http.StatusOK {
			t.Errorf("the %s token changed to %q is believed", name, token)
		}
	}
	for _, name := range []string{"signin", "session"} {
		token := h.cookie(map[string]*live.Browser{"signin": pending, "session": in}[name], name)
		for i := range token {
			try(name, token[:i])
			for _, r := range "A_z" {
				if byte(r) != token[i] {
					try(name, token[:i]+string(r)+token[i+1:])
				}
			}
		}
		try(name, token+"A")
		try(name, token+"=")
	}
	for i := range reset {
		for _, changed := range []string{reset[:i], reset[:i] + "7" + reset[i+1:], reset[:i] + strings.ToLower(reset[i:])} {
			if changed != reset && changed != "" {
				h.wantStatus(b.Post("/reset", "token", changed, "password", "brand new horse"), http.StatusUnprocessableEntity)
			}
		}
	}
	h.wantStatus(b.Post("/reset", "token", reset, "password", "brand new horse"), http.StatusSeeOther)
}

// The account is disabled, or its password changes, while somebody is signed in or signing in. Nothing
// that was given before works afterwards.
func TestDisabledAccountKeepsNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for _, change := range []string{"disabled_at = 1", "epoch = epoch + 1"} {
			in, pending := h.Browser(), h.Browser()
			in.SignIn()
			code := pending.Password()
			reset := h.requestReset()
			h.exec("UPDATE accounts SET " + change)
			h.wantStatus(in.Get("/settings"), http.StatusSeeOther)
			h.wantStatus(in.Post("/settings/password", "current", live.AnnaPassword, "password", "brand new horse"), http.StatusSeeOther)
			pending.Post("/signin/verify", "code", code)
			if _, in := signedIn(pending); in {
				h.T.Errorf("after %s: a pending sign-in led in", change)
			}
			h.wantStatus(h.Browser().Post("/reset", "token", reset, "password", "brand new horse"), http.StatusUnprocessableEntity)
			h.exec("UPDATE accounts SET disabled_at = 0")
			h.exec("DELETE FROM sessions")
		}
	})
}

// The second click of the same person opens a second session.
func TestDoubleClickGivesOneSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := b.Password()
		token := h.cookie(b, "signin")
		h.wantStatus(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
		h.withCookies("signin", token).Post("/signin/verify", "code", code)
		if n := h.count("sessions"); n != 1 {
			h.T.Errorf("two clicks: %d sessions", n)
		}
		if _, in := signedIn(b); !in {
			h.T.Error("the second click threw the first one out")
		}
	})
}
