package attack

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/test/e2e/live"
)

// requestLines counts the lines of the log that are about a request.
func (h *server) requestLines() int { return strings.Count(h.Log.String(), `"msg":"request"`) }

// faults counts the faults in the log.
func (h *server) faults() int { return strings.Count(h.Log.String(), `"msg":"request failed"`) }

// body is one odd form.
type body struct {
	name, kind, text string
}

// oddForms returns bodies that no page of ours sends, made of the form r.
func oddForms(r url.Values) (all []body) {
	const ours = "application/x-www-form-urlencoded"
	for field := range r {
		for name, value := range map[string]string{"NUL": "a%00b", "broken UTF-8": "%ff%fe", "cut UTF-8": "%e2%82", "surrogate": "%ed%a0%80", "overlong": "%c0%af", "twice": "x&" + field + "=y", "percent": "%zz", "semicolon": "a;b=c"} {
			rest := maps.Clone(r)
			rest.Del(field)
			all = append(all, body{field + ": " + name, ours, field + "=" + value + "&" + rest.Encode()})
		}
		all = append(all, body{field + " as an array", ours, field + "[]=x"}, body{field + " as a map", ours, field + "[a]=x"}, body{field + " in upper case", ours, strings.ToUpper(field) + "=x"})
	}
	return append(all, body{"a field more", ours, r.Encode() + "&more=1"}, body{"no name", ours, r.Encode() + "&=x"}, body{"a thousand fields", ours, strings.Repeat("x=1&", 1000)},
		body{"a megabyte", ours, "email=" + strings.Repeat("x", 1<<20)}, body{"just too large", ours, strings.Repeat("x", render.MaxBodyBytes+1)},
		body{"JSON", "application/json", `{"email":"x"}`}, body{"multipart", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nx\r\n--x--\r\n"},
		body{"text", "text/plain", r.Encode()}, body{"other charset", ours + "; charset=utf-7", r.Encode()}, body{"two types", ours + ", application/json", r.Encode()}, body{"no type", "", "email=x"})
}

// Broken text comes in any field of any form. The answer is always a clear 4xx, one line in the log,
// no row, and the same on both databases. An app gets JSON; unknown parameters are ignored (RFC 6749
// 3.2).
func TestMalformedFormsAreRefused(t *testing.T) {
	t.Parallel()
	var answers []map[string]int
	eachDatabase(t, func(h *server) {
		b := h.visitor()
		h.exec("UPDATE accounts SET role = 'operator'")
		before, got := h.contents(), map[string]int{}
		for _, r := range inventory {
			method, path := path(r.pattern)
			if method != http.MethodPost || strings.HasPrefix(path, "/inbox") {
				continue
			}
			fields, err := url.ParseQuery(r.form)
			if err != nil {
				h.T.Fatal(err)
			}
			for _, o := range oddForms(fields) {
				h.exec("DELETE FROM rate_limit_counters WHERE kind = 'wrong_client_secrets_network'")
				n := h.requestLines()
				a := b.Do(h.request(method, path, o.text, "Content-Type: "+o.kind, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin"))
				got[r.pattern+" "+o.name] = a.StatusCode
				told, clear := strings.Contains(a.Body, "<h1>"), a.StatusCode == 400 || a.StatusCode == 413 || a.StatusCode == 415
				if forApps(r.pattern) {
					told = told || strings.HasPrefix(a.Body, `{`) || a.Header.Get("Location") == "/oauth2/logout?"
					clear = clear || a.StatusCode == 401 && (readable(o.name) || r.pattern == "POST /oauth2/register") || a.Header.Get("Location") == "/oauth2/logout?"
				}
				if !clear {
					h.T.Errorf("%s, %s: %d", r.pattern, o.name, a.StatusCode)
				}
				if !told || h.requestLines() != n+1 {
					h.T.Errorf("%s, %s: %d lines in the log, page %.80q", r.pattern, o.name, h.requestLines()-n, a.Body)
				}
			}
		}
		if h.faults() != 0 || h.contents() != before {
			h.T.Errorf("%d faults; rows changed: %v", h.faults(), h.contents() != before)
		}
		answers = append(answers, got)
	}, allMethods(&phone{}))
	if len(answers) != 2 || !maps.Equal(answers[0], answers[1]) {
		t.Error("the two databases answer differently")
	}
}

// readable reports whether a body is a well-formed form with a field missing or one too many: only those
// get as far as the authentication of the app.
func readable(name string) bool {
	return strings.HasSuffix(name, " as an array") || strings.HasSuffix(name, " as a map") || strings.HasSuffix(name, " in upper case") || name == "a field more" || name == "no name"
}

var injections = []string{
	`' OR '1'='1`, `'; DROP TABLE accounts; --`, `" OR ""="`, `\' OR 1=1 --`, `%27%20OR%201=1`, `$1`, `$$`, `?`, `@p1`, `:name`, `{{.}}`, `{{"x"|printf "%s"}}`, `%s%n`, `../../etc/passwd`,
	`${jndi:ldap://x}`, "a\r\nSet-Cookie: x=1", "a\nBcc: evil@example.com", "\u202eevil", "\u0085", "\u2028", "🙂", "ß", "\ufeff", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)",
}

// Input is a command to a system further in: SQL, a template, a header, markup. It comes back as text,
// in the same words on both databases, and never causes a fault.
func TestInjectedTextStaysText(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.visitor()
		h.draftApp(b)
		for _, text := range injections {
			h.exec("DELETE FROM rate_limit_counters") // of the password, for somebody who is in
			for path, fields := range map[string][]string{
				"/signin": {"email", text, "password", text, "return_to", text}, "/forgot": {"email", text}, "/reset": {"token", text, "password", text}, "/address": {"token", text, "confirm", text},
				"/signup": {"email", text, "name", text}, "/join": {"token", text, "name", text, "password", text}, "/signin/verify": {"code", text}, "/signin/method": {"method", text},
				"/settings/password": {"email", text, "current", text, "password", text},
				"/settings/confirm":  {"password", text, "return_to", text}, "/settings/email": {"email", text}, "/settings/2step/sms": {"country", text, "number", text, "return_to", text}, "/settings/2step/app/verify": {"code", text},
			} {
				a := b.Post(path, fields...)
				if a.StatusCode != http.StatusUnprocessableEntity || strings.Contains(a.Body, "<script>alert") || strings.Contains(a.Body, "<img src=x") {
					h.T.Errorf("%s with %q: %d", path, text, a.StatusCode)
				}
			}
			r := h.request("GET", "/settings", "")
			r.Header["User-Agent"], r.Header["Accept-Language"], r.Header["Cookie"] = []string{strings.NewReplacer("\r", "", "\n", "").Replace(text)}, []string{strings.NewReplacer("\r", "", "\n", "").Replace(text)}, []string{"__Host-session=" + url.QueryEscape(text)}
			h.wantStatus(h.Browser().Do(r), http.StatusSeeOther)
		}
		agent := "<script>alert(1)</script>' OR 1=1 \u202e" + strings.Repeat("x", 9000)
		c := h.Browser()
		n := h.Mail.Len()
		h.wantStatus(h.post(c, "/signin", "email=anna%40example.com&password=correct+horse+battery", "User-Agent: "+agent), http.StatusSeeOther)
		h.wantStatus(h.post(c, "/signin/verify", "code="+h.Code(n), "User-Agent: "+agent), http.StatusSeeOther)
		if a := c.Get("/settings/sessions"); strings.Contains(a.Body, "<script>alert") || a.StatusCode != 200 {
			h.T.Errorf("the page of sessions: %d", a.StatusCode)
		}
		for _, stored := range slices.Concat(h.column("SELECT user_agent FROM sessions"), h.column("SELECT user_agent FROM attempts"), h.column("SELECT browser FROM audit_log")) {
			if len(stored) > 256 {
				h.T.Errorf("%d bytes of a browser's name are kept", len(stored))
			}
		}
		if h.faults() != 0 {
			h.T.Errorf("%d faults", h.faults())
		}
	}, allMethods(&phone{}))
}

// A form that is shown again repeats a password or a code, or has lost what was typed.
func TestFormsKeepInputButNoSecrets(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.visitor()
	const secret, typed = "9x7-secret-9x7", "typed@here"
	for path, fields := range map[string][]string{
		"/signin": {"email", typed, "password", secret}, "/forgot": {"email", typed}, "/signup": {"email", typed, "name", "Eva"}, "/join": {"name", "Eva", "token", typed, "password", secret},
		"/reset": {"token", typed, "password", secret}, "/address": {"token", typed}, "/settings/password": {"current", secret, "password", secret}, "/signin/verify": {"code", secret},
	} {
		a := h.wantStatus(b.Post(path, fields...), http.StatusUnprocessableEntity)
		if strings.Contains(a.Body, secret) {
			t.Errorf("%s gives the secret back", path)
		}
		if slices.Contains(fields, typed) && !strings.Contains(a.Body, `value="`+typed+`"`) {
			t.Errorf("%s: what was typed is gone", path)
		}
		if path == "/signin/verify" && !strings.Contains(a.Body, `autocomplete="one-time-code"`) {
			t.Error("the field of the code has no autocomplete")
		}
	}
	token := h.signUp("eva@example.net", "Eva")
	a := h.wantStatus(b.Post("/join", "token", token, "name", typed, "password", "9x7-sec"), http.StatusUnprocessableEntity)
	if strings.Contains(a.Body, "9x7-sec") || !strings.Contains(a.Body, `value="`+typed+`"`) || !strings.Contains(a.Body, `value="`+token+`"`) {
		t.Errorf("/join of a link: %s", a.Body)
	}
	for _, path := range []string{"/signin", "/forgot", "/signup", "/join", "/reset", "/address", "/settings/password", "/signin/verify"} {
		a := h.wantStatus(b.Post(path), http.StatusUnprocessableEntity)
		if !strings.Contains(a.Body, `role="alert"`) {
			t.Errorf("%s, empty: nothing is said", path)
		}
	}
}

// The end of a long password does not count, or two ways to write one password differ.
func TestWholePasswordCounts(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	long := strings.Repeat("horse ", 166)
	for i, row := range []struct {
		set, typed string
		in         bool
	}{{long + "a", long + "b", false}, {long + "a", long, false}, {long + "a", long + "a", true}, {"cafe\u0301 au lait noir", "caf\u00e9 au lait noir", true}, {"brown jars\u00a0and more", "brown jars and more", true}} {
		email := fmt.Sprintf("p%d@example.net", i)
		if err := h.CreateAccount(t.Context(), twostep.AccountParams{Email: email, Name: "P", Password: row.set}); err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{true: 303, false: 422}[row.in]
		h.wantStatus(h.Browser().Post("/signin", "email", email, "password", row.typed), want)
	}
	token := h.signUp("eva@example.net", "Eva")
	h.wantStatus(h.Browser().Post("/join", "token", token, "name", "Eva", "password", strings.Repeat("horse ", 171)), http.StatusUnprocessableEntity)
}

// Two hundred passwords at once. Those that find no place in the queue are told so at once, and when
// to come back.
func TestBusyServerTurnsPasswordsAway(t *testing.T) {
	live.FullCost(t)
	h := start(t, "")
	b := h.Browser()
	var answers status
	atOnce(200, func(int) {
		a := b.Post("/signin", "email", "nobody@example.com", "password", "wrong horse battery")
		answers.add(a.StatusCode)
		if a.StatusCode/100 != 4 && a.Header.Get("Retry-After") == "" {
			t.Error("busy, and not until when")
		}
	})
	if answers.n[422]+answers.n[429]+answers.n[503] != 200 || answers.n[503] == 0 {
		t.Errorf("200 passwords at once: %v", answers.n)
	}
	h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
}

// An address that looks like another's, or can be read in two ways, reaches somebody else's account or
// mailbox.
func TestLookAlikeAddressesReachNobody(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		if err := h.CreateAccount(h.T.Context(), twostep.AccountParams{Email: "mike@kiss.example", Name: "Mike", Password: benPassword}); err != nil {
			h.T.Fatal(err)
		}
		mails := h.Mail.Len()
		for _, email := range []string{
			"m\u0131ke@kiss.example", "mi\u212ae@kiss.example", "\u217fike@kiss.example", "mike\u0301@kiss.example", `"mike@kiss.example"@evil.example`, "mike@kiss.example@evil.example", "mike@kiss.example,evil@evil.example",
			"mike@kiss.example evil@evil.example", "Mike <mike@kiss.example>", "mike(x)@kiss.example", "mike@[127.0.0.1]", "mike@kiss", "=?utf-8?q?mike?=@kiss.example\r\nBcc: x@y.example", "m\u0456ke@kiss.example", "mike\u200d@kiss.example", "..@kiss.example",
			"mike@-kiss.example", "mike@kiss.example.", "mike@xn--a.example", "@kiss.example", "mike@", strings.Repeat("m", 65) + "@kiss.example", "m@" + strings.Repeat("k.", 127) + "example", "mike@127.1",
		} {
			for path, more := range map[string][]string{"/forgot": nil, "/signup": {"name", "Eva"}} {
				h.wantStatus(h.Browser().Post(path, append([]string{"email", email}, more...)...), http.StatusUnprocessableEntity)
			}
			h.wantStatus(h.Browser().Post("/signin", "email", email, "password", benPassword), http.StatusUnprocessableEntity)
		}
		for _, other := range []string{"mike@ki\u00df.example", "mike@kis\u0455.example"} {
			h.wantStatus(h.Browser().Post("/signin", "email", other, "password", benPassword), http.StatusUnprocessableEntity)
		}
		if h.WaitForOutbox(); h.Mail.Len() != mails || h.count("email_links") != 0 {
			h.T.Error("a look-alike got a mail")
		}
		h.wantStatus(h.Browser().Post("/forgot", "email", "MIKE@\u212aISS.example"), http.StatusSeeOther)
		if mail := h.Mail.Next(mails); !strings.Contains(mail, "To: <mike@kiss.example>") {
			h.T.Errorf("the mail did not go to the stored address:\n%s", mail)
		}
	}, allMethods(&phone{}))
}

// An address with dots where a dot-atom has none is written to that mailbox alone. One on the machine of the mail server
// gets no mail.
func TestUnusualAddressesReachTheirMailbox(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) { o.SignUp = "open" })
	for _, email := range []string{"mike..x@docomo.example", ".mike@docomo.example", "mike.@docomo.example", "mike@r3---sn.example"} {
		n := h.Mail.Len()
		h.wantStatus(h.Browser().Post("/signup", "email", email, "name", "Mike"), http.StatusSeeOther)
		local, domain, _ := strings.Cut(email, "@")
		mail := h.Mail.Next(n)
		if !strings.Contains(mail, "To: <"+email+">\r\n") && !strings.Contains(mail, `To: <"`+local+`"@`+domain+">\r\n") {
			t.Errorf("%s: the mail goes elsewhere:\n%s", email, mail)
		}
	}
	n := h.Mail.Len()
	anna := h.annaSignedIn()
	sent := h.Mail.Len()
	for _, email := range []string{"root@localhost", "Root@LOCALHOST", "root@ℓocalhost"} {
		h.wantStatus(h.Browser().Post("/signup", "email", email, "name", "Mike"), http.StatusUnprocessableEntity)
		h.wantStatus(anna.Post("/settings/email", "email", email), http.StatusUnprocessableEntity)
	}
	if h.WaitForOutbox(); h.Mail.Len() != sent || sent < n {
		t.Errorf("%d mails to the machine of the mail server", h.Mail.Len()-sent)
	}
}

// Many or long headers, cookies and fields get a plain answer and never cause a fault.
func TestOversizedRequestsCauseNoFault(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for name, value := range map[string]string{
		"Accept-Language": strings.Repeat("en-a-b-c,", 50_000), "Cookie": strings.Repeat("a=b; ", 20_000), "User-Agent": strings.Repeat("Mozilla/5.0 (", 40_000), "Content-Type": strings.Repeat("a/b;", 50_000), "Origin": strings.Repeat("https://", 50_000),
	} {
		for _, method := range []string{"GET", "POST"} {
			r := h.request(method, "/signin", "", "Sec-Fetch-Site: same-origin")
			r.Header.Set(name, value)
			if a := h.Browser().Do(r); a.StatusCode >= 500 {
				t.Errorf("%s with %d bytes of %s: %d", method, len(value), name, a.StatusCode)
			}
		}
	}
	h.wantStatus(h.Browser().Get("/signin?"+strings.Repeat("a=b&", 5000)), http.StatusBadRequest)
	h.wantStatus(h.Browser().Get("/"+strings.Repeat("a", 20_000)), http.StatusNotFound)
	h.wantStatus(h.Browser().Get("/"+strings.Repeat("a/", 10_000)), http.StatusNotFound)
	if h.faults() != 0 {
		t.Errorf("%d faults", h.faults())
	}
}
