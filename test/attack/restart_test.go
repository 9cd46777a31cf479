package attack

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// Somebody with the password asks for a late code again and again, so that one attempt never ends, or has more guesses
// late than at its start.
func TestLateCodesDoNotExtendAnAttemptForever(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		b.Password()
		guess := func(want int) {
			h.T.Helper()
			h.Turn(time.Minute)
			h.wantStatus(b.Post("/signin/verify", "code", "000000"), want)
		}
		guess(http.StatusUnprocessableEntity)
		guess(http.StatusUnprocessableEntity)
		for _, minutes := range []int{12, 14} { // at the minutes 14 and 28
			h.Turn(time.Duration(minutes) * time.Minute)
			h.wantRedirect(b.Post("/signin/code"), "/signin/verify")
			h.WaitForOutbox()
		}
		h.Turn(10 * time.Minute) // minute 38: the attempt lasts, because its newest code does
		for range 3 {
			guess(http.StatusUnprocessableEntity)
		}
		guess(http.StatusTooManyRequests)
		lasts := func() string { return h.value("SELECT MAX(expires_at - started_at) / 1000 FROM attempts") }
		if got := lasts(); got < "2579" || got > "2581" { // 28 minutes, and 15 for the code
			h.T.Errorf("the attempt lasts %s seconds, want 2580", got)
		}
		late := h.Browser()
		late.Password()
		for range 6 {
			h.Turn(14 * time.Minute)
			late.Post("/signin/code")
			h.WaitForOutbox()
		}
		if got, _ := strconv.Atoi(lasts()); got > 45*60 {
			h.T.Errorf("an attempt lasts %d seconds, want at most 45 minutes", got)
		}
		h.wantRedirect(late.Post("/signin/code"), "/signin")
		if got := h.value("SELECT COUNT(*) FROM attempts WHERE finished_at = 0 AND expires_at - started_at > 1800000"); got != "1" {
			h.T.Errorf("%s late attempts are open, want the one whose guesses are used up", got)
		}
	})
}

// A stranger reads an address from the sign-in page: with a token of before the address was changed, of a step-up, or
// one that was altered.
func TestEndedSignInShowsItsAddressToItsBrowserOnly(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		const changed = "anna.new@example.net"
		shown := func(b *live.Browser) bool {
			h.T.Helper()
			return strings.Contains(h.wantStatus(b.Get("/signin"), http.StatusOK).Body, `value="`+live.AnnaEmail+`"`)
		}
		stranger := h.Browser()
		stranger.Password()
		for _, extra := range []string{"", "&return_to=/settings/devices"} {
			if a := h.post(h.Browser(), "/signin/cancel", "again=1"+extra); strings.Contains(a.Header.Get("Location")+a.Body, "anna") {
				h.T.Errorf("without a token: %v", a.Header)
			}
		}
		a := h.wantRedirect(stranger.Post("/signin/cancel", "again", "1"), "/signin")
		for _, value := range a.Header {
			if text := strings.Join(value, " "); strings.Contains(text, "anna") || strings.Contains(text, base64.RawURLEncoding.EncodeToString([]byte("anna"))[:5]) {
				h.T.Errorf("the address is in a header: %s", text)
			}
		}
		token := h.cookie(stranger, "signin")
		if !shown(stranger) {
			h.T.Error("who has entered the address enters it again")
		}
		if shown(h.Browser()) || shown(h.withCookies("signin", token[:42]+"-")) || shown(h.withCookies("session", token)) {
			h.T.Error("another browser shows the address")
		}
		owner := h.annaSignedIn()
		h.wantRedirect(owner.Post("/settings/confirm", "password", live.AnnaPassword), "/signin/verify")
		stepUp := h.cookie(owner, "signin")
		h.wantStatus(owner.Post("/signin/cancel"), http.StatusSeeOther)
		if shown(h.withCookies("signin", stepUp)) {
			h.T.Error("the token of a step-up shows the address without the session")
		}
		// The stranger knows the old address. The notice to it masks the new one.
		code := h.mailedCode(func() {
			h.wantRedirect(owner.Post("/settings/email", "email", changed), "/settings/email")
		})
		h.wantStatus(owner.Post("/settings/email/verify", "code", code), http.StatusSeeOther)
		if body := stranger.Get("/signin").Body; strings.Contains(body, "anna") {
			h.T.Error("a token of before shows an address of the account")
		}
		if got := h.value("SELECT email FROM accounts"); got != changed {
			h.T.Errorf("the address is still %s", got)
		}
	})
}

// The script of the page sends the token of a link at once, and so does a mail scanner that runs scripts. That form
// changes nothing, and it shows whose link it is for a link of its own purpose only.
func TestFirstFormOfALinkChangesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		reset, signUp := h.requestReset(), h.signUp("eva@example.net", "Eva")
		h.WaitForOutbox()
		before := h.contents()
		for range 3 {
			for _, path := range []string{"/reset", "/join"} {
				for _, token := range []string{reset, signUp, "x", reset[:20]} {
					own := token == reset && path == "/reset" || token == signUp && path == "/join"
					want := map[bool]int{true: http.StatusOK, false: http.StatusUnprocessableEntity}[own]
					a := h.wantStatus(h.Browser().Post(path, "token", token), want)
					if strings.Contains(a.Body, "anna@") && token != reset || strings.Contains(a.Body, "@example") != own {
						h.T.Errorf("%s of %.5s…: %v", path, token, a.Body)
					}
					if a.Header.Get("Cache-Control") != "no-store" || len(a.Header["Set-Cookie"]) > 0 {
						h.T.Errorf("%s of %.5s…: %v", path, token, a.Header)
					}
				}
			}
		}
		if h.contents() != before {
			h.T.Error("a row changed")
		}
		h.wantStatus(h.Browser().Post("/join", "token", signUp, "name", "Eva", "password", ""), http.StatusUnprocessableEntity)
		b := h.Browser()
		h.wantRedirect(b.Post("/join", "token", signUp, "name", "Eva", "password", "brand new horse"), "/signin/verify")
		h.wantNoSession("after the link and the password", b)
		h.wantStatus(h.Browser().Post("/join", "token", signUp), http.StatusUnprocessableEntity)
		h.exec("UPDATE accounts SET disabled_at = 1")
		if a := h.wantStatus(h.Browser().Post("/reset", "token", reset), http.StatusUnprocessableEntity); strings.Contains(a.Body, "anna") {
			h.T.Error("a link of a disabled account shows its address")
		}
	})
}

// The position in the list of sessions is text of the browser.
func TestListPositionShowsOwnSessionsOnly(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		ben := h.signIn(h.Browser(), benEmail, benPassword)
		h.Turn(time.Minute)
		anna := h.annaSignedIn()
		id := h.value("SELECT sessions.id FROM sessions JOIN accounts ON accounts.id = sessions.account_id WHERE email = '" + benEmail + "'")
		began := h.value("SELECT started_at FROM sessions WHERE id = '" + id + "'")
		at, err := strconv.ParseInt(began, 10, 64)
		if err != nil {
			h.T.Fatal(err)
		}
		for _, before := range []string{
			"", began + "-" + id, fmt.Sprint(at+1) + "-" + id, "9223372036854775807-A", "253402300800000-7", "1-A",
			"-1-A", "1-'", "1-%00", "1-A&before=" + began + "-" + id, strings.Repeat("7", 4000),
		} {
			a := h.wantStatus(anna.Get("/settings/sessions?before="+before), http.StatusOK)
			if strings.Contains(a.Body, id) {
				h.T.Errorf("before %q: a session of somebody else", before)
			}
		}
		anna.Post("/settings/sessions/" + id + "/end")
		h.wantStatus(ben.Get("/settings"), http.StatusOK)
		if faults := h.faults(); faults > 0 {
			h.T.Errorf("%d faults", faults)
		}
	})
}

// A stolen session changes the name again and again, so that nobody finds the other events of the account.
func TestNameChangesAreLimited(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		b, ben := h.annaSignedIn(), h.signIn(h.Browser(), benEmail, benPassword)
		for i := range 20 {
			h.wantRedirect(b.Post("/settings/name", "name", fmt.Sprintf("Anna %d", i)), "/settings")
		}
		for range 5 {
			h.wantStatus(b.Post("/settings/name", "name", "One more"), http.StatusTooManyRequests)
		}
		if got := h.value("SELECT COUNT(*) FROM audit_log WHERE kind = 'name.changed'"); got != "20" {
			h.T.Errorf("%s changes were recorded", got)
		}
		if got := h.value("SELECT name FROM accounts WHERE email = '" + live.AnnaEmail + "'"); got != "Anna 19" {
			h.T.Errorf("the name is %q", got)
		}
		h.wantRedirect(ben.Post("/settings/name", "name", "Benno"), "/settings")
		for _, bad := range []string{"\u202eanna", "a\u200b", "\x7f", "a\x1b[2J", strings.Repeat("x", 65), " \t "} {
			h.wantStatus(ben.Post("/settings/name", "name", bad), http.StatusUnprocessableEntity)
		}
		h.Turn(time.Hour)
		h.wantRedirect(h.annaSignedIn().Post("/settings/name", "name", "Anna"), "/settings")
	})
}

// People type a password into the field of the address. Lines about sign-ins name the addresses of accounts only.
func TestLogNamesNoUnknownAddress(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, typed := range []string{live.AnnaPassword, "typed-by-mistake@example.com", "s3cret!"} {
		for range 5 { // the last ones are refused by the backoff
			h.Browser().Post("/signin", "email", typed, "password", "wrong horse battery")
		}
		h.Browser().Post("/forgot", "email", typed)
	}
	h.Browser().Post("/signin", "email", live.AnnaEmail, "password", "wrong horse battery")
	text := h.Log.String()
	for _, typed := range []string{live.AnnaPassword, "typed-by-mistake", "s3cret"} {
		if strings.Contains(text, typed) {
			t.Errorf("the log holds %q", typed)
		}
	}
	if !strings.Contains(text, live.AnnaEmail) {
		t.Error("the log does not name the account of a wrong password")
	}
}

// The name of the site, the footer and an address have markup, and the mail is HTML.
func TestMailsHoldNoForeignMarkup(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) {
		o.Site = `<img src="x">&"'`
		o.Brand = twostep.Brand{Footer: "</td><script>alert(1)</script>", Support: "https://example.com/?a='b&<c>"}
	})
	b := h.annaSignedIn()
	code := h.mailedCode(func() {
		h.wantRedirect(b.Post("/settings/email", "email", "o'neil&co@example.net"), "/settings/email")
	})
	h.wantStatus(b.Post("/settings/email/verify", "code", code), http.StatusSeeOther)
	h.WaitForOutbox()
	if h.Mail.Len() < 4 { // two codes, and a notice to each address
		t.Errorf("%d mails", h.Mail.Len())
	}
	for n := range h.Mail.Len() {
		_, page, ok := strings.Cut(decoded(h.Mail.Next(n)), "<!doctype html>")
		if page, _, _ = strings.Cut(page, "</html>"); !ok || !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("mail %d: no HTML part with the footer", n)
		}
		for _, markup := range []string{"<script", `<img src="x`, `'b&`, "<c>", "o'neil", "neil&co"} {
			if strings.Contains(page, markup) {
				t.Errorf("mail %d has %q:\n%s", n, markup, page)
			}
		}
	}
}

// decoded returns a mail without its transfer encoding.
func decoded(mail string) string {
	text, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(mail))) // parts in another encoding stay
	return string(text)
}
