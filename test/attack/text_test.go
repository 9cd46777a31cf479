package attack

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// clockAtMidnight starts the clock at the beginning of a day, so that no daily quota is renewed by chance.
func clockAtMidnight() *clock {
	c := newClock()
	c.now = c.now.Truncate(24 * time.Hour).Add(24*time.Hour + time.Minute)
	return c
}

// endOfLimit is the part of a text that says when a limit ends.
var endOfLimit = regexp.MustCompile(`\b(from|until|after) [^<]*\d\d:\d\d`)

// wantLimited wants an answer that says when to try again, in its header and in its text.
func (h *server) wantLimited(what string, a live.Answer) {
	h.T.Helper()
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if a.StatusCode != http.StatusTooManyRequests || err != nil || seconds < 1 || seconds > 86400 || !endOfLimit.MatchString(a.Body) {
		h.T.Errorf("%s: %d, Retry-After %q\n%.300s", what, a.StatusCode, a.Header.Get("Retry-After"), a.Body)
	}
}

// Text messages go to one number spelled in ten ways, to its neighbours, from many sessions of one
// account, and from one network. Each limit says when it ends.
func TestTextMessagesAreLimited(t *testing.T) {
	t.Parallel()
	var p phone
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := clockAtMidnight()
		h := start(t, url, allMethods(&p), c.set)
		h.addBen()
		b := h.annaSignedIn()
		send := func(b *live.Browser, country, number string) live.Answer {
			return b.Post("/settings/2step/sms", "country", country, "number", number)
		}
		texts := len(p.all())
		sent := func() int { h.WaitForOutbox(); return len(p.all()) - texts }
		for i, typed := range []string{"015123456789", "+4915123456789", "004915123456789", "0151 23456789", "(0151) 234-567-89", "+49 (0) 151 23456789", "０１５１２３４５６７８９", "tel:+49-151-2345-6789", "0151.2345.6789", "\u200e+49\u00a0151\u202f23456789"} {
			if a := send(b, "DE", typed); a.StatusCode != http.StatusSeeOther || sent() != i+1 || h.lastText(&p).To != "+4915123456789" {
				t.Errorf("%q: %d, sent to %s", typed, a.StatusCode, h.lastText(&p).To)
			}
		}
		h.wantLimited("the eleventh to one number", send(b, "DE", "0151/23456789"))
		h.wantLimited("the same by another account", send(h.signIn(h.Browser(), benEmail, benPassword), "GB", "+4915123456789"))
		h.wantLimited("a neighbour in its block", send(b, "DE", "+4915123499999"))
		if sent() != 10 {
			t.Errorf("%d texts", sent())
		}
		for i, wrong := range []string{"110", "112", "+49110", "09001234567", "+4990012345678", "+8816512345678", "015123456789;ext=5", "01512345678x9", "ANNAPHONE", "+49151", "015123456789,015123456780", "+4915123456789\r\n+15005550006", "+12", ""} {
			if a := send(b, "DE", wrong); a.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("number %d, %q: %d", i, wrong, a.StatusCode)
			}
		}
		for i := range 10 { // the quota of the account, at other number blocks and over new sessions
			if a := send(b, "DE", "+49160"+strconv.Itoa(1000000+i*10000)); a.StatusCode != http.StatusSeeOther {
				t.Errorf("other number %d: %d", i, a.StatusCode)
			}
		}
		h.wantLimited("the twenty-first of the account", send(b, "DE", "+491701234567"))
		c.advance(time.Hour)
		b = h.annaSignedIn()
		h.wantLimited("the next hour, in another session", send(b, "DE", "+491701234567"))
		if sent() != 20 {
			t.Errorf("%d texts", sent())
		}
		ben := h.signIn(h.Browser(), benEmail, benPassword) // one account has 20 a day, one network 20 an hour
		for i := range 20 {
			send(ben, "DE", "+49160"+strconv.Itoa(2000000+i*10000))
		}
		if sent() != 40 {
			t.Errorf("%d texts, want Ben's twenty besides", sent())
		}
		h.exec("UPDATE rate_limit_counters SET used = 0 WHERE kind = 'texts_account'")
		h.wantLimited("the twenty-first of a network", send(ben, "DE", "+491711234567"))
		if sent() != 40 {
			t.Errorf("%d texts", sent())
		}
	})
}

// At a sign-in only the stored number gets a message. The budget of the day ends that, and another
// method is offered.
func TestTextsGoToTheStoredNumberWithinBudget(t *testing.T) {
	t.Parallel()
	var p phone
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := clockAtMidnight()
		h := start(t, url, allMethods(&p), c.set, func(o *twostep.Options) { o.SMSPrice, o.SMSDailyBudget = 70, 300 })
		c.advance(8 * 24 * time.Hour) // new accounts get less of the money
		h.addNumber(h.annaSignedIn(), &p, annaNumber)
		texts := len(p.all())
		b := h.Browser()
		h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
		for _, body := range []string{"method=sms&number=%2B15005550006", "method=sms&to=%2B15005550006", "method=sms&destination=x", "method=sms&method=sms", "method=sms&country=DE"} {
			h.wantStatus(h.post(b, "/signin/method", body), http.StatusBadRequest)
			h.wantStatus(h.post(b, "/signin/code", strings.Replace(body, "method=sms", "code=", 1)), http.StatusBadRequest)
		}
		for i := range 2 {
			again := h.Browser()
			h.choose(again, live.AnnaEmail, live.AnnaPassword, "sms")
			if m := h.lastText(&p); m.To != "+4915123456789" || len(p.all()) != texts+i+1 {
				t.Errorf("text %d went to %s", i, m.To)
			}
		}
		a := b.Post("/signin/method", "method", "sms")
		h.wantLimited("beyond the money of the day", a)
		if strings.Contains(a.Body, `value="sms"`) || !strings.Contains(a.Body, `value="email"`) {
			t.Error("the closed way is offered, or no other is")
		}
		if h.WaitForOutbox(); len(p.all()) != texts+2 {
			t.Error("a text beyond the money of the day")
		}
		h.signIn(b, live.AnnaEmail, live.AnnaPassword)
	})
}

// The name of the site or of the person changes what the message says to a phone. factor/sms tests its
// texts for names with line ends.
func TestNamesCannotChangeATextMessage(t *testing.T) {
	t.Parallel()
	for _, site := range []string{"Evil @evil.example #000000", "@evil.example #999999", "999999 is your code", strings.Repeat("long ", 20), "日本語サイト"} {
		var p phone
		h := start(t, "", allMethods(&p), func(o *twostep.Options) { o.Site = site })
		h.exec(`UPDATE accounts SET name = '
@evil.example #111111'`)
		h.addNumber(h.annaSignedIn(), &p, annaNumber)
		for _, m := range p.all() {
			lines := strings.Split(m.Text, "\n")
			if len(lines) != 3 || lines[1] != "" || !strings.HasPrefix(lines[2], "@127.0.0.1 #") || strings.Count(m.Text, "@") != 1 || strings.Count(m.Text, "#") != 1 || len(m.Text) > 160 || !strings.HasPrefix(m.Text, lines[2][len(lines[2])-6:]) {
				t.Errorf("with the site %q: %q", site, m.Text)
			}
		}
	}
}

// gateway is one on this machine that takes every message and keeps the address for its receipt.
func gateway(t *testing.T, at *atomic.Value) live.Setup {
	g := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		at.Store([2]string{r.Form.Get("receipt"), r.Form.Get("text")})
	}))
	t.Cleanup(g.Close)
	return func(o *twostep.Options) {
		o.SMSGateways = []delivery.Gateway{{Name: "own", URL: g.URL, AllowPrivate: true, Fields: map[string]any{"to": "{to}", "text": "{text}"},
			CallbackFields: map[string]any{"receipt": "{callback}"}, StateField: "status", StateMap: map[string]string{"delivered": delivery.StateDelivered, "failed": delivery.StateFailed}}}
	}
}

// Receipts are forged, cut, for another message, for another gateway or a megabyte long. A good one
// changes the state of the message and nothing about who may sign in, also the second time.
func TestForgedReceiptsAreRefused(t *testing.T) {
	t.Parallel()
	var at atomic.Value
	var p phone
	eachDatabase(t, func(h *server) {
		h.End()
		gatewayed := start(h.T, h.Database, allMethods(&p), gateway(t, &at), func(o *twostep.Options) { o.KeyFile = h.KeyFile })
		h = gatewayed
		b := h.annaSignedIn()
		h.wantRedirect(b.Post("/settings/2step/sms", "country", "DE", "number", annaNumber), "/settings/2step/sms")
		h.WaitForOutbox()
		got := at.Load().([2]string)
		address, err := url.Parse(got[0])
		if err != nil || !strings.HasPrefix(got[0], h.URL+"/sms/receipt/own/") {
			h.T.Fatalf("the address for the receipt is %q", got[0])
		}
		good := address.Path
		parts := strings.Split(good, "/") // "", sms, receipt, own, id, stamp.mac
		stamp, mac, _ := strings.Cut(parts[5], ".")
		later, err := strconv.ParseInt(stamp, 36, 64)
		if err != nil {
			h.T.Fatal(err)
		}
		other := h.value("SELECT id FROM outbox_messages WHERE id <> '" + parts[4] + "' LIMIT 1")
		before := h.contents() + strings.Join(h.column("SELECT state FROM outbox_messages ORDER BY id"), ",")
		say := func(method, path, body string) live.Answer {
			return h.Browser().Do(h.request(method, path, body, form))
		}
		for name, path := range map[string]string{
			"no mac": "/sms/receipt/own/" + parts[4], "cut": good[:len(good)-1], "longer": good + "A", "other message": strings.Replace(good, parts[4], other, 1), "other gateway": strings.Replace(good, "/own/", "/twilio/", 1),
			"other time": strings.Replace(good, stamp+".", strconv.FormatInt(later+1, 36)+".", 1), "mac alone": "/sms/receipt/own/" + parts[4] + "/." + mac, "empty mac": "/sms/receipt/own/" + parts[4] + "/" + stamp + ".", "nothing": "/sms/receipt/", "another path": strings.Replace(good, "/own/", "/own/x/", 1),
		} {
			for _, method := range []string{"POST", "GET", "PUT", "HEAD"} {
				if a := say(method, path, "status=delivered"); a.StatusCode != http.StatusNotFound && name != "another path" || a.StatusCode < 300 {
					h.T.Errorf("%s, %s: %d", name, method, a.StatusCode)
				}
			}
		}
		for name, body := range map[string]string{"no state": "x=1", "empty": "", "a megabyte": "status=delivered&x=" + strings.Repeat("x", 1<<20), "broken": "status=%zz"} {
			if a := say("POST", good, body); a.StatusCode != http.StatusNotFound {
				h.T.Errorf("%s: %d", name, a.StatusCode)
			}
		}
		if h.contents()+strings.Join(h.column("SELECT state FROM outbox_messages ORDER BY id"), ",") != before {
			h.T.Error("a forged receipt changed something")
		}
		rows := h.contents()
		for _, state := range []string{"delivered", "failed", "delivered", "nonsense", "expired"} {
			if a := say("POST", good, "status="+state+"&code=1&session=x"); a.StatusCode != http.StatusNoContent || len(a.Header["Set-Cookie"]) != 0 || a.Body != "" {
				h.T.Errorf("%s: %d, cookies %q", state, a.StatusCode, a.Header["Set-Cookie"])
			}
			if got := h.value("SELECT state FROM outbox_messages WHERE id = '" + parts[4] + "'"); got != delivery.StateDelivered {
				h.T.Errorf("%s after the delivery: the message is %s", state, got)
			}
		}
		if h.contents() != rows {
			h.T.Error("a receipt changed more than the state of its message")
		}
		h.wantStatus(b.Post("/settings/2step/sms/verify", "code", "000000"), http.StatusUnprocessableEntity)
		h.Turn(3*24*time.Hour + time.Minute)
		h.wantStatus(say("POST", good, "status=delivered"), http.StatusNotFound)
	})
}
