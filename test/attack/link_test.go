package attack

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// The Host header, or a header about it, ends up in a mail. No mail is sent for another host, and
// every URL in every mail is ours.
func TestForeignHostReachesNoMail(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	bare := strings.TrimPrefix(h.URL, "https://")
	for _, host := range []string{"evil.example", "evil.example:443", bare + ".evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", "test", "example.com", "127.0.0.1.evil.example:" + bare[strings.LastIndex(bare, ":")+1:], "[::1]"} {
		for _, path := range []string{"/forgot", "/signup", "/signin"} {
			a := h.post(h.Browser(), path, "email=anna%40example.com", "Host: "+host)
			if a.StatusCode != http.StatusMisdirectedRequest && a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusForbidden {
				t.Errorf("%s at %q: %d", path, host, a.StatusCode)
			}
		}
	}
	if n := h.count("email_links"); n != 0 {
		t.Errorf("%d links for hosts that are not ours", n)
	}
	for _, head := range []string{"Host: " + bare + "@evil.example", "Host: evil.example@" + bare, "Host: " + bare + "\r\nHost: evil.example", "X-None: 1", "Host: evil.example/" + bare, "Host: " + bare + " evil.example"} {
		if got := h.rawRequest("GET /forgot HTTP/1.1\r\n" + head + "\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400") && !strings.HasPrefix(got, "HTTP/1.1 421") {
			t.Errorf("%q: %.40q", head, got)
		}
	}
	if got := h.rawRequest("GET https://evil.example/forgot HTTP/1.1\r\nHost: " + bare + "\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 421") {
		t.Errorf("an address in the request line: %.40q", got)
	}
	for _, header := range []string{"X-Forwarded-Host: evil.example", "X-Host: evil.example", "X-Forwarded-Server: evil.example", "Forwarded: host=evil.example;proto=http", "X-Forwarded-Proto: http", "X-Forwarded-Scheme: http", "X-Forwarded-Port: 81", "X-Forwarded-Prefix: /evil", "X-Original-Host: evil.example", "X-Forwarded-For: evil.example", "Referer: https://evil.example/"} {
		h.exec("DELETE FROM email_links")
		h.exec("DELETE FROM rate_limit_counters")
		n := h.Mail.Len()
		h.wantStatus(h.post(h.Browser(), "/forgot", "email=anna%40example.com", header), http.StatusSeeOther)
		mail := strings.ReplaceAll(h.Mail.Next(n), "=\r\n", "")
		if strings.Contains(mail, "evil") || strings.Count(mail, "://") != 2 || !strings.Contains(mail, h.URL+"/reset#") || !strings.Contains(mail, "@example.com>") {
			t.Errorf("%s:\n%s", header, mail)
		}
		if a := h.Browser().Do(h.request("GET", "/", "", header)); a.Header.Get("Location") != "/settings" {
			t.Errorf("%s: to %q", header, a.Header.Get("Location"))
		}
	}
}

var offSite = []string{
	"//evil.example", `/\evil.example`, "/%2f/evil.example", "/%5cevil.example", "https://evil.example", "https:evil.example", "\thttps://evil.example", "/\t/evil.example", "/\n/evil.example", "//evil.example/%2e%2e",
	"/.//evil.example", "/x/..//evil.example", "javascript:alert(1)", "data:text/html,x", "http://127.0.0.1@evil.example", "/settings\r\nLocation: https://evil.example", "/settings%0d%0aX: 1", "///evil.example", `\\evil.example`, "settings", " /settings",
	"/settings#x", "/é", "/" + strings.Repeat("a", 2000), "/%2e%2e//evil.example", "/;//evil.example", "",
}

// The address to return to leads to another site.
func TestReturnAddressStaysOnThisSite(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	in := h.Browser()
	in.SignIn()
	for _, back := range append(offSite, "https://evil.example/"+h.URL) {
		h.wantStatus(h.Browser().Get("/signin?return_to="+escapeQuery(back)), http.StatusOK)
		if a := in.Get("/signin?return_to=" + escapeQuery(back)); a.Header.Get("Location") != "/settings" {
			t.Errorf("signed in, to %q: %q", back, a.Header.Get("Location"))
		}
		b := h.Browser()
		n := h.Mail.Len()
		if a := b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword, "return_to", back); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/signin/verify" {
			t.Errorf("password, to %q: %d %q", back, a.StatusCode, a.Header.Get("Location"))
		}
		if a := b.Post("/signin/verify?return_to="+escapeQuery(back), "code", h.Code(n)); a.Header.Get("Location") != "/settings" {
			t.Errorf("code, to %q: %q", back, a.Header.Get("Location"))
		}
		if !strings.ContainsAny(back, "\r\n\t é") && strings.HasPrefix(back, "/") {
			a := h.Browser().Do(h.request("GET", back, ""))
			if to := a.Header.Get("Location"); to != "" && !strings.HasPrefix(to, "/signin") {
				t.Errorf("GET %q leads to %q", back, to)
			}
		}
	}
	if a := in.Get("/signin?return_to=/settings/sessions&return_to=//evil.example"); a.Header.Get("Location") != "/settings" {
		t.Errorf("two addresses: to %q", a.Header.Get("Location"))
	}
	if a := in.Get("/signin?return_to=/settings/sessions"); a.Header.Get("Location") != "/settings/sessions" {
		t.Errorf("a path of ours: to %q", a.Header.Get("Location"))
	}
}

func escapeQuery(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", " ", "%20", "\r", "%0d", "\n", "%0a", "\t", "%09", ";", "%3b", "+", "%2b").Replace(s)
}

// Setting a new password by email skips the second step.
func TestPasswordResetDoesNotSignIn(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		h.wantStatus(b.Post("/reset", "token", h.requestReset(), "password", "brand new horse"), http.StatusSeeOther)
		h.wantNoSession("after the reset", b)
		if h.cookie(b, "signin") != "" {
			h.T.Error("the reset began a sign-in")
		}
		h.passwordStep(b, live.AnnaEmail, "brand new horse")
		h.wantNoSession("after the reset and the password", b)
		h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
	})
}

// The caller names another address, beside or instead of the stored one.
func TestResetLinkGoesToTheStoredAddress(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, body := range []string{
		"email=anna%40example.com&email=evil%40evil.example", "email[]=anna%40example.com&email[]=evil%40evil.example", "email=anna%40example.com&to=evil%40evil.example", `{"email":["anna@example.com","evil@evil.example"]}`,
		"email=anna%40example.com%2Cevil%40evil.example", "email=anna%40example.com%0abcc:evil%40evil.example", "email=anna%40example.com%20evil%40evil.example", "email=anna%40example.com%00evil%40evil.example",
	} {
		if a := h.post(h.Browser(), "/forgot", body); a.StatusCode < 400 || a.StatusCode >= 500 {
			t.Errorf("%s: %d", body, a.StatusCode)
		}
	}
	if h.WaitForOutbox(); h.Mail.Len() != 0 || h.count("email_links") != 0 {
		t.Error("a mail was sent")
	}
	h.wantStatus(h.Browser().Post("/forgot", "email", " ANNA@Example.com"), http.StatusSeeOther)
	if mail := h.Mail.Next(0); !strings.Contains(mail, "To: <anna@example.com>\r\n") {
		t.Errorf("not to the stored address:\n%s", mail)
	}
}

// A link is used for another purpose or another account.
func TestLinkWorksForItsPurposeOnly(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		reset, signUp := h.requestReset(), h.signUp("eva@example.net", "Eva")
		invite, err := h.Invite(h.T.Context(), "fay@example.net", "Fay", true)
		if err != nil {
			h.T.Fatal(err)
		}
		_, invited, _ := strings.Cut(invite, "#")
		n := h.Mail.Len()
		h.wantStatus(h.Browser().Post("/signup", "email", benEmail, "name", "Ben"), http.StatusSeeOther)
		h.Mail.Next(n)
		before := h.contents()
		for _, token := range []string{signUp, invited} {
			h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "brand new horse"), http.StatusUnprocessableEntity)
			h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "brand new horse", "email", live.AnnaEmail), http.StatusBadRequest)
		}
		h.wantStatus(h.Browser().Post("/join", "token", reset, "name", "Eva", "password", "brand new horse"), http.StatusUnprocessableEntity)
		for _, token := range []string{reset, signUp, invited} {
			c := h.withCookies("signin", token, "session", token)
			h.wantStatus(c.Get("/settings"), http.StatusSeeOther)
			h.wantStatus(c.Get("/signin/verify"), http.StatusSeeOther)
		}
		if h.contents() != before {
			h.T.Error("a link for something else changed a row")
		}
		h.wantStatus(h.Browser().Post("/reset", "token", reset, "password", "brand new horse"), http.StatusSeeOther)
		h.wantStatus(h.Browser().Post("/signin", "email", benEmail, "password", benPassword), http.StatusSeeOther)
		h.wantStatus(h.Browser().Post("/join", "token", signUp, "name", "Eva", "password", "brand new horse"), http.StatusSeeOther)
		if h.value("SELECT role FROM accounts WHERE email = 'eva@example.net'") == h.value("SELECT role FROM email_links WHERE email = 'fay@example.net'") {
			h.T.Error("who signed up is an operator")
		}
		// The purpose alone decides, whatever the account looks like.
		signUp = h.signUp("gil@example.net", "Gil")
		if err := h.CreateAccount(h.T.Context(), twostep.AccountParams{Email: "gil@example.net", Name: "Gil", Password: benPassword}); err != nil {
			h.T.Fatal(err)
		}
		h.exec("UPDATE accounts SET epoch = 0 WHERE email = 'gil@example.net'")
		h.wantStatus(h.Browser().Post("/reset", "token", signUp, "password", "brand new horse"), http.StatusUnprocessableEntity)
		reset = h.requestReset()
		h.exec("DELETE FROM accounts WHERE email = 'anna@example.com'")
		h.wantStatus(h.Browser().Post("/join", "token", reset, "name", "Anna", "password", "brand new horse"), http.StatusUnprocessableEntity)
	})
}

// A link works a millisecond too long, after it was used, or after a newer one was used.
func TestLinkExpiresAndWorksOnce(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := newClock()
		h := start(t, url, c.set)
		for _, row := range []struct {
			after time.Duration
			want  int
		}{{30 * time.Minute, 303}, {30*time.Minute + time.Millisecond, 422}, {30*time.Hour - 1, 422}} {
			reset, join := h.requestReset(), h.signUp("eva@example.net", "Eva")
			c.advance(row.after)
			h.wantStatus(h.Browser().Post("/reset", "token", reset, "password", "brand new horse"), row.want)
			h.wantStatus(h.Browser().Post("/join", "token", join, "name", "Eva", "password", "brand new horse"), row.want)
			h.exec("DELETE FROM accounts WHERE email = 'eva@example.net'")
			h.exec("DELETE FROM email_links")
		}
		for _, after := range []time.Duration{7 * 24 * time.Hour, 7*24*time.Hour + time.Millisecond} {
			link, err := h.Invite(t.Context(), "fay@example.net", "Fay", false)
			if err != nil {
				t.Fatal(err)
			}
			_, token, _ := strings.Cut(link, "#")
			c.advance(after)
			want := map[bool]int{true: 303, false: 422}[after == 7*24*time.Hour]
			h.wantStatus(h.Browser().Post("/join", "token", token, "name", "Fay", "password", "brand new horse"), want)
			h.exec("DELETE FROM accounts WHERE email = 'fay@example.net'")
		}
		first, second := h.requestReset(), h.requestReset()
		h.wantStatus(h.Browser().Post("/reset", "token", second, "password", "other new horse"), http.StatusSeeOther)
		for _, token := range []string{first, second} {
			h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "third new horse"), http.StatusUnprocessableEntity)
		}
	})
}

// Somebody whose account is disabled comes back by a reset link.
func TestDisabledAccountCannotReset(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		token := h.requestReset()
		h.exec("UPDATE accounts SET disabled_at = 1")
		h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "brand new horse"), http.StatusUnprocessableEntity)
		n := h.Mail.Len()
		h.wantStatus(h.Browser().Post("/forgot", "email", live.AnnaEmail), http.StatusSeeOther)
		if h.WaitForOutbox(); h.Mail.Len() != n {
			h.T.Error("a mail to somebody who was shut out")
		}
		h.wantStatus(h.Browser().Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		h.exec("UPDATE accounts SET disabled_at = 0")
		if h.value("SELECT epoch FROM accounts") != "1" {
			h.T.Error("the password was changed")
		}
	})
}

// A mail scanner opens the link. Only the button uses it, and its token is in the fragment, which no
// server sees.
func TestOpeningALinkDoesNotUseIt(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	token := h.requestReset()
	for range 3 {
		for _, path := range []string{"/reset", "/reset?token=" + token, "/reset/" + token, "/join?token=" + token} {
			if a := h.Browser().Get(path); strings.Contains(a.Body, token) {
				t.Errorf("%.10s… shows the token", path)
			}
			h.Browser().Do(h.request("HEAD", path, ""))
		}
	}
	weak := h.Browser().Post("/reset", "token", token, "password", "12345678")
	h.wantStatus(weak, http.StatusUnprocessableEntity)
	done := h.wantStatus(h.Browser().Post("/reset", "token", token, "password", "brand new horse"), http.StatusSeeOther)
	if strings.Contains(done.Header.Get("Location")+done.Body, token) || done.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Error("the token goes on after the reset")
	}
}

// The name that is given at sign-up reaches the mail to an attacker.
func TestSignUpNameStaysOutOfMail(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, name := range []string{"Win a prize at evil.example", "<a href=https://evil.example>x</a>", "https://evil.example"} {
		n := h.Mail.Len()
		h.wantStatus(h.Browser().Post("/signup", "email", "eva@example.net", "name", name), http.StatusSeeOther)
		if mail := h.Mail.Next(n); strings.Contains(mail, "evil") || strings.Contains(mail, "prize") {
			t.Errorf("the name %q is in the mail:\n%s", name, mail)
		}
		h.exec("DELETE FROM email_links")
	}
	for _, name := range []string{"a\r\nBcc: evil@evil.example", "a\u2028b", "\u202e", strings.Repeat("x", 65), "\x7f", "\u200b"} {
		h.wantStatus(h.Browser().Post("/signup", "email", "eva@example.net", "name", name), map[bool]int{true: 303, false: 422}[strings.HasPrefix(name, "a")]) // a line's end becomes a blank
	}
	if err := h.CreateAccount(t.Context(), twostep.AccountParams{Email: "x@example.com\r\nRCPT TO:<y@example.com>", Name: "x", Password: benPassword}); err == nil {
		t.Error("an address with a command in it has an account")
	}
}

// An attacker asks for links to Anna's address for three days. She must still get some.
func TestResetMailsCannotBeUsedUp(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	const hours = 3 * 24
	for range hours {
		h.wantStatus(h.Browser().Post("/forgot", "email", live.AnnaEmail), http.StatusSeeOther)
		h.WaitForOutbox() // before the clock turns, or the worker could send it twice
		h.Turn(time.Hour + time.Second)
	}
	if n := h.Mail.Len(); n < hours-2 {
		t.Errorf("%d mails in three days, want one an hour: 10 a day, and 20 for new networks", n)
	}
}
