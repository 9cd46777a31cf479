package attack

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"twostep.example/twostep/internal/render"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/test/e2e/live"
)

// A route checks the password alone and hands out a credential.
func TestPasswordAloneGivesNoCredential(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, r := range inventory {
		method, path := path(r.pattern)
		b := h.Browser()
		basic := h.request(method, path, r.form, form, "Sec-Fetch-Site: same-origin")
		basic.SetBasicAuth(live.AnnaEmail, live.AnnaPassword)
		b.Do(basic)
		if h.cookie(b, "session") != "" {
			t.Errorf("%s with Basic: a credential", r.pattern)
		}
		h.wantNoSession(r.pattern+" with Basic", b)
		b = h.Browser()
		json := `{"email":"` + live.AnnaEmail + `","password":"` + live.AnnaPassword + `"}`
		a := b.Do(h.request(method, path, json, "Content-Type: application/json", "Sec-Fetch-Site: same-origin"))
		want := http.StatusUnsupportedMediaType
		if slices.Contains(oidc.JSONBodyPaths(), path) {
			want = http.StatusUnauthorized
		}
		if method == http.MethodPost && a.StatusCode != want && a.StatusCode != http.StatusNotFound {
			t.Errorf("%s with JSON: %d", r.pattern, a.StatusCode)
		}
		h.wantNoSession(r.pattern+" with JSON", b)
	}
}

// Another spelling of a path leads past the check, or to a page that a cache takes for a file.
func TestPathSpellingsDoNotBypassChecks(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	pending, in := h.Browser(), h.Browser()
	pending.Password()
	in.SignIn()
	tricks := []string{
		"/%s/", "//%s", "/./%s", "/x/../%s", "/%%2e/%s", "/assets/../%s", "/assets/%%2e%%2e/%s", "/assets/..%%2f%s", "/%s;x=1", "/%s.css", "/%s/x.css",
		"/%s%%00", "/%s%%20", "/%s%%2f", "/%s/.", "/%s/..;/", "/%s%%5c", "/%s\\", "/%s%%0a", "/signin/../%s", "/healthz/../%s", "/.well-known/../%s", "/%s%%3f", "/%s%%23", "/;/%s",
	}
	for _, target := range []string{"settings", "settings/password", "settings/sessions"} {
		spellings := []string{"/" + strings.ToUpper(target), "/" + strings.ToUpper(target[:1]) + target[1:], "/" + target + "?", "/" + target + "?ok=1&trust=1", "/%73" + target[1:], "/" + strings.Replace(target, "s", "%53", 1), "/" + strings.Replace(target, "/", "%2f", 1) + ";"}
		for _, trick := range tricks {
			spellings = append(spellings, strings.ReplaceAll(strings.Replace(trick, "%s", target, 1), "%%", "%"))
		}
		for _, spelling := range spellings {
			a := pending.Do(h.request("GET", spelling, ""))
			if a.StatusCode < 300 || strings.Contains(a.Body, live.AnnaEmail) {
				t.Errorf("pending at %q: %d", spelling, a.StatusCode)
			}
			plain := strings.HasPrefix(spelling, "/"+target+"?") || strings.HasPrefix(spelling, "/%73")
			if a := in.Do(h.request("GET", spelling, "")); !plain && a.StatusCode != http.StatusNotFound {
				t.Errorf("signed in at %q: %d, want 404", spelling, a.StatusCode)
			} else if a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("signed in at %q: Cache-Control %q", spelling, a.Header.Get("Cache-Control"))
			}
		}
	}
}

// A user agent or the header of a health check switches a check off.
func TestHeadersDoNotBypassChecks(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.Password()
	for _, agent := range []string{
		"kube-probe/1.31", "Go-http-client/2.0", "AtlassianMobileApp", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "curl/8", "Twostep", "", "Googlebot/2.1",
		"Prometheus/3", "Consul Health Check", "nginx", "Uptime-Kuma", "facebookexternalhit", "Mozilla/5.0 (iPhone)", "Wget", "okhttp", "monitor",
		"Mozilla/5.0 (compatible; MSIE 6.0)", "internal", "localhost", "Zabbix", "Pingdom", "Blackbox", "Envoy/HC", "Varnish", "HAProxy", "test", "e2e", "admin",
	} {
		for _, header := range []string{"X-None: 1", "X-Health-Check: 1", "X-Forwarded-User: anna@example.com", "Remote-User: anna@example.com", "X-Original-URL: /settings", "X-Rewrite-URL: /settings"} {
			r := h.request("GET", "/settings", "", header)
			r.Header.Set("User-Agent", agent)
			h.wantStatus(b.Do(r), http.StatusSeeOther)
		}
	}
}

// The sign-in expires while its page is open. Reloading must not lead in.
func TestExpiredSignInLeadsNowhere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := b.Password()
		h.Turn(challenge.TTL + time.Second)
		for _, path := range []string{"/signin/verify", "/signin/method", "/signin/verify"} {
			if a := b.Get(path); a.Header.Get("Location") != "/signin" {
				h.T.Errorf("%s after the end: %d to %q", path, a.StatusCode, a.Header.Get("Location"))
			}
		}
		h.wantNoSession("right code after the end", h.withCookies("signin", h.cookie(b, "signin")))
		b = h.Browser()
		late := b.Password()
		h.Turn(challenge.TTL + time.Second)
		for _, c := range []string{late, code} {
			if a := b.Post("/signin/verify", "code", c); a.StatusCode == http.StatusSeeOther && a.Header.Get("Location") != "/signin" {
				h.T.Errorf("code after the end: to %q", a.Header.Get("Location"))
			}
		}
		h.wantNoSession("right code after the end", b)
	})
}

// unusedByCode are the tables that a right code neither reads nor writes, and why; without one of them
// it gives a session all the same. Without any other it must not, audit_events among them.
var unusedByCode = map[string]string{
	"email_links":            "links by mail",
	"account_keys":           "the operator's list of accounts",
	"pending_factors":        "factors that are being enrolled",
	"audit_counters":         "the limit of recorded failures; a success is always recorded",
	"audit_browsers":         "written with the password, once a day for each browser",
	"trust_decisions":        "written with the password, before the code is asked for",
	"trusted_networks":       "read with a device cookie, and written if the person wants trust",
	"failed_passwords":       "read and written with the password",
	"desk_codes":             "the help desk",
	"webhooks":               "events that are sent to other programs, in the background",
	"webhook_deliveries":     "events that are sent to other programs, in the background",
	"client_uses":            "relying parties, in the background",
	"clients":                "relying parties",
	"authorization_requests": "relying parties",
	"device_authorizations":  "relying parties",
	"registration_tokens":    "relying parties",
	"client_documents":       "relying parties",
	"client_rejections":      "relying parties",
	"grants":                 "relying parties",
	"tokens":                 "relying parties",
	"consents":               "relying parties",
	"signing_keys":           "relying parties",
}

// Each table in turn is missing, before the password, before the code and before the reset. There is
// never a session, and the page shows a reference and nothing of the cause.
func TestStoreFailureGivesNoSession(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		opened := map[string]bool{}
		for i, table := range h.tables() {
			// An account each, so that a late mail is not taken for that of the next table.
			email := fmt.Sprintf("%d@example.com", i)
			b := h.Browser()
			code := h.codeOfNewAccount(b, email)
			h.exec("ALTER TABLE " + table + " RENAME TO gone")
			for _, step := range []func() live.Answer{
				func() live.Answer { return b.Post("/signin/verify", "code", code) },
				func() live.Answer { return b.Post("/signin", "email", email, "password", live.AnnaPassword) },
				func() live.Answer { return b.Post("/forgot", "email", "nobody@example.com") },
				func() live.Answer { return b.Get("/signin/verify") },
				func() live.Answer { return b.Get("/settings") },
				func() live.Answer { return b.Post("/oauth2/token", "client_id", "nobody", "code", "x") },
			} {
				h.wantNoDetails(step(), table)
				opened[table] = opened[table] || h.cookie(b, "session") != ""
			}
			h.exec("ALTER TABLE gone RENAME TO " + table)
			h.exec("DELETE FROM sessions")
			h.exec("DELETE FROM email_links")
		}
		for table, session := range opened {
			if unused := unusedByCode[table] != ""; session != unused {
				h.T.Errorf("without %s: a session: %v, want %v", table, session, unused)
			}
		}
		for table := range unusedByCode {
			if _, ok := opened[table]; !ok {
				h.T.Errorf("there is no table %s", table)
			}
		}
	})
}

// codeOfNewAccount creates an account, gives its password in b and returns the code that is mailed to it.
func (h *server) codeOfNewAccount(b *live.Browser, email string) string {
	h.T.Helper()
	account := twostep.AccountParams{Email: email, Name: "X", Password: live.AnnaPassword}
	if err := h.CreateAccount(h.T.Context(), account); err != nil {
		h.T.Fatal(err)
	}
	n := h.Mail.Len()
	h.wantStatus(b.Post("/signin", "email", email, "password", live.AnnaPassword), http.StatusSeeOther)
	for ; ; n++ {
		if mail := h.Mail.Next(n); strings.Contains(mail, email) {
			return live.Code(h.T, mail)
		}
	}
}

// faultReference is that of a fault or a decision, or a random value of a form or an address. It may hold any word.
var faultReference = regexp.MustCompile(`\b[A-Z2-7]{12,26}\b|(value="|page=)[A-Za-z0-9_-]{16,}`)

// wantNoDetails checks that an answer shows nothing of a fault but its number.
func (h *server) wantNoDetails(a live.Answer, table string) {
	h.T.Helper()
	low := strings.ToLower(faultReference.ReplaceAllString(a.Body, ""))
	for _, word := range []string{"sql", "no such table", "relation", "goroutine", ".go:", "select ", "store:", table + "."} {
		if strings.Contains(low, word) {
			i := strings.Index(low, word)
			h.T.Errorf("%s without %s: the page says %q: %s", a.Request.URL.Path, table, word,
				low[max(0, i-80):min(len(low), i+80)])
		}
	}
	if a.StatusCode == http.StatusInternalServerError && !strings.Contains(a.Body, "<h1>") && !strings.Contains(a.Body, `"server_error"`) {
		h.T.Errorf("%s without %s: a bare 500", a.Request.URL.Path, table)
	}
}

// A method that does not exist, or no method, counts as done.
func TestUnknownMethodIsRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		b.Password()
		before := h.contents()
		for _, name := range []string{"", "none", "EMAIL", "totp", "../email", "email ", "sms", "passkey", "recovery", "*", "null", "0", "email\tx", strings.Repeat("x", 10_000)} {
			h.wantStatus(b.Post("/signin/method", "method", name), http.StatusUnprocessableEntity)
		}
		h.wantStatus(b.Post("/signin/method", "method", "totp\x00"), http.StatusBadRequest)
		h.wantStatus(b.Post("/signin/method"), http.StatusUnprocessableEntity)
		if h.contents() != before {
			h.T.Error("an unknown method changed a row")
		}
		h.wantNoSession("unknown method", b)
	})
}

var emptyAnswers = []string{"", "null", "undefined", "nil", "NaN", "0", "000000", "false", "[]", "{}", " ", "\t"}

// Empty and odd answers meet no challenge, an expired one and a used one: nothing must not equal
// nothing. The test judges by requesting a protected page.
func TestEmptyAnswersAreRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		answers := func(what string, b *live.Browser) {
			for _, code := range emptyAnswers {
				b.Post("/signin/verify", "code", code)
				h.wantNoSession(what+" "+code, b)
			}
			b.Post("/signin/verify")
			h.wantNoSession(what+" without the field", b)
		}
		answers("no sign-in", h.Browser())
		b := h.Browser()
		b.Password()
		h.exec("DELETE FROM one_time_codes")
		answers("no code", b)
		h.exec("DELETE FROM challenges")
		answers("no challenge", b)
		b = h.Browser()
		b.Password()
		h.Turn(16 * time.Minute)
		answers("expired", b)
		b = h.Browser()
		b.SignIn()
		token := h.cookie(b, "session")
		b.Post("/signout")
		if token == "" {
			h.T.Fatal("not signed in")
		}
		answers("used", b)
	})
}

// The browser supplies the value it is checked against, or a field that the form does not have.
func TestFormsRefuseUnknownFields(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	code := b.Password()
	for _, field := range []string{"expected", "hash", "secret", "account", "email", "user_id", "challenge", "method", "trust", "Code", "CODE", "code[]", "verified", "epoch", "operator", "_method", "code "} {
		h.wantStatus(b.Post("/signin/verify", "code", code, field, code), http.StatusBadRequest)
	}
	for _, r := range inventory {
		if method, path := path(r.pattern); method == http.MethodPost && r.needs != render.AccessOperator && !strings.HasPrefix(path, "/settings") && !strings.HasPrefix(path, "/inbox") && !forApps(r.pattern) {
			h.wantStatus(h.post(b, path, r.form+"&operator=1"), http.StatusBadRequest)
			h.wantStatus(h.post(b, path, r.form+"&Email=ben%40example.org"), http.StatusBadRequest)
		}
	}
	if h.tries() != "0" {
		t.Error("a form that is not ours was counted")
	}
	h.wantNoSession("with fields of its own", b)
	cookies := h.withCookies("signin", h.cookie(b, "signin"), "code", "111111", "verified", "1", "session", "1", "account", "x")
	h.wantStatus(cookies.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
	h.wantNoSession("with cookies of its own", cookies)
}

// One request holds several codes, or a code that is no text.
func TestRequestHoldsOneCode(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.Browser()
		code := b.Password()
		other := live.Wrong(code)
		for body, status := range map[string]int{
			"code=" + other + "&code=" + code: 400, "code=" + code + "&code=" + code: 400, "code[]=" + other + "&code[]=" + code: 400, "code[0]=" + code: 400,
			"code=" + other + ";code=" + code: 400, "code%5B%5D=" + code: 400, "code=%zz": 400, "code=" + code + "%00": 400, "code=" + code + "%ff": 400,
			"code=" + other + "%20" + code: 422, "code=" + other + "%2C" + code: 422, "code=1e5": 422, "code=1.0e6": 422, "code=0x1E240": 422, "code=%2B" + code: 422,
			"code=12345": 422, "code=" + code + "0": 422, "code=%5B%22" + code + "%22%5D": 422, "code=" + strings.Repeat("1", 40_000): 422, "code=" + code + strings.Repeat("%20", 60): 422,
		} {
			h.wantStatus(h.post(b, "/signin/verify", body), status)
		}
		for _, kind := range []string{"application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-16", ""} {
			r := h.request("POST", "/signin/verify", `{"code":["`+code+`"]}`, "Content-Type: "+kind, "Sec-Fetch-Site: same-origin")
			h.wantStatus(b.Do(r), http.StatusUnsupportedMediaType)
		}
		if h.tries() != "0" {
			h.T.Errorf("no code was compared, but %s tries are spent", h.tries())
		}
		h.wantNoSession("odd codes", b)
	})
}

// Two accounts sign in, in one browser or in two. Only the code of the sign-in whose cookie comes with
// it opens a session, and for that account.
func TestCodeFromAnotherSignInIsRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		b := h.Browser()
		anna := b.Password()
		first := h.cookie(b, "signin")
		ben := h.passwordStep(b, benEmail, benPassword)
		second := h.cookie(b, "signin")
		again := h.Browser()
		other := again.Password() // Anna once more, elsewhere
		for anna == other || ben == anna || ben == other {
			h.T.Fatal("two codes alike: one in a million")
		}
		for _, mix := range [][2]string{{first, ben}, {second, anna}, {first, other}, {h.cookie(again, "signin"), anna}, {second, other}} {
			c := h.withCookies("signin", mix[0])
			h.wantStatus(c.Post("/signin/verify", "code", mix[1]), http.StatusUnprocessableEntity)
			h.wantNoSession("a code of another sign-in", c)
		}
		c := h.withCookies("signin", second)
		h.wantStatus(c.Post("/signin/verify", "code", ben), http.StatusSeeOther)
		if page, in := signedIn(c); !in || !strings.Contains(page, benEmail) || strings.Contains(page, live.AnnaEmail) {
			h.T.Error("Ben's code did not lead to Ben")
		}
	})
}

// A client address in a header is believed, or breaks the check.
func TestClientAddressHeadersAreIgnored(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	for _, value := range []string{"a", "999.1.1.1", "1.2.3.4, a", "::1%25x", "127.0.0.1", "10.0.0.1", "[::1]:80", "unknown", strings.Repeat("1.2.3.4, ", 1400)} {
		h.resetLimits()
		b := h.BrowserAt("127.0.0.1")
		var headers []string
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Client-IP"} {
			headers = append(headers, name+": "+value)
		}
		headers = append(headers, "Forwarded: for="+value[:min(len(value), 20)])
		h.wantStatus(h.post(b, "/signin", "email=anna%40example.com&password=correct+horse+battery", headers...), http.StatusSeeOther)
		h.wantStatus(b.Do(h.request("GET", "/settings", "", headers...)), http.StatusSeeOther)
		h.wantNoSession("with "+value[:min(len(value), 20)], b)
	}
	for _, address := range h.column("SELECT DISTINCT address FROM attempts") {
		if address != "127.0.0.1" {
			t.Errorf("the address %q came from a header", address)
		}
	}
}

// The mail server is down or refuses. Nobody gets in without a code.
func TestNoMailMeansNoSignIn(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	h.Mail.Refuse(errors.New("no"))
	b := h.Browser()
	h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
	for _, code := range append(emptyAnswers, "123456") {
		b.Post("/signin/verify", "code", code)
		h.wantNoSession("without mail", b)
	}
	for range 3 {
		h.Turn(time.Minute)
		b.Post("/signin/code")
		h.wantNoSession("without mail, asked again", b)
	}
}

// Another spelling of the same address reaches the account without its limits.
func TestSpellingsOfAnAddressAreOneAccount(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for _, name := range []string{"ANNA@EXAMPLE.COM", " anna@example.com ", "Anna@Example.Com", "anna@example。com", "anna@ｅxample.com", "anna@example.com\u200b"} {
			b := h.Browser()
			h.passwordStep(b, name, live.AnnaPassword)
			h.wantNoSession(name, b)
		}
		if n := h.column("SELECT DISTINCT account_id FROM attempts"); len(n) != 1 {
			h.T.Errorf("one address led to %d accounts", len(n))
		}
		for _, name := range []string{"anna+x@example.com", "an.na@example.com", "anna@example.com.", "anna", "\"anna\"@example.com", "anna\u200b@example.com"} {
			h.wantStatus(h.Browser().Post("/signin", "email", name, "password", live.AnnaPassword), http.StatusUnprocessableEntity)
		}
	})
}

// Two people sign in at the same time, again and again. Everybody sees their own sign-in.
func TestSignInsAtOnceStaySeparate(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	h.addBen()
	people := [][2]string{{live.AnnaEmail, live.AnnaPassword}, {benEmail, benPassword}}
	atOnce(16, func(i int) {
		who := people[i%2]
		b := h.Browser()
		if a := b.Post("/signin", "email", who[0], "password", who[1]); a.StatusCode != http.StatusSeeOther {
			t.Errorf("password: %d", a.StatusCode)
		}
		page, _ := signedIn(b)
		other := people[1-i%2][0]
		verify := b.Get("/signin/verify").Body
		if strings.Contains(page+verify, other) || !strings.Contains(verify, "•••"+who[0][strings.IndexByte(who[0], '@'):]) {
			t.Errorf("%s sees the way of another", who[0])
		}
	})
	if n := h.count("attempts"); n != 16 {
		t.Errorf("%d sign-ins, want 16", n)
	}
}
