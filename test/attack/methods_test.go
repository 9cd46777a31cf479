package attack

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/test/e2e/live"
)

// phone takes every text message and keeps it.
type phone struct {
	mu    sync.Mutex
	texts []delivery.Message
}

func (p *phone) send(_ context.Context, m delivery.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts = append(p.texts, m)
	return nil
}

func (p *phone) all() []delivery.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]delivery.Message(nil), p.texts...)
}

// every sets a server up with all methods, and p for its text messages.
func every(p *phone) live.Setup {
	return func(o *twostep.Options) {
		o.Methods = []factor.Method{email.Method{}, totp.Method{}, sms.Method{}, recovery.New()}
		o.Send[delivery.SMS] = p.send
	}
}

// enrolls are the pages of the methods that are enrolled, with a form that each takes.
var enrolls = map[string]string{"app": "name=Phone", "sms": "country=DE&number=" + annaNumber, "recovery": ""}

const annaNumber = "015123456789"

// text is the newest text message, once everything is sent.
func (h *house) text(p *phone) delivery.Message {
	h.T.Helper()
	h.settle()
	all := p.all()
	if len(all) == 0 {
		h.T.Fatal("no text message has arrived")
	}
	return all[len(all)-1]
}

var inText = regexp.MustCompile(`#(\d{6})$`)

// texted is the code in the newest text message.
func (h *house) texted(p *phone) string {
	h.T.Helper()
	found := inText.FindStringSubmatch(h.text(p).Text)
	if found == nil {
		h.T.Fatalf("no code in %q", h.text(p).Text)
	}
	return found[1]
}

// code is what an app with this secret shows so many steps after the server's time.
func (h *house) code(secret string, steps int64) string { return codeAt(secret, h.Now(), steps) }

func codeAt(secret string, now time.Time, steps int64) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		panic(err)
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(now.Unix()/30+steps))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// calm waits for the server's clock to be away from the end of a step, where a test would
// have to say in which one it is.
func (h *house) calm() {
	if left := 30 - h.Now().Unix()%30; left < 8 {
		h.Turn(time.Duration(left+1) * time.Second)
	}
}

var codeInMail = regexp.MustCompile(`(?m)^\d{6}\r?$`)

// mailed takes a step that sends a code by mail, and returns it.
func (h *house) mailed(step func()) string {
	h.T.Helper()
	h.settle()
	n := h.Mail.Len()
	step()
	h.settle()
	for ; n < h.Mail.Len(); n++ {
		if mail := h.Mail.Next(n); codeInMail.MatchString(mail) {
			return live.Code(h.T, mail)
		}
	}
	h.T.Fatalf("no code in %d mails\n%.900s", h.Mail.Len(), h.Log)
	return ""
}

// chosen takes the first step as anybody and chooses a method.
func (h *house) chosen(b *live.Browser, email, password, method string) {
	h.T.Helper()
	h.want(b.Post("/signin", "email", email, "password", password), http.StatusSeeOther)
	h.want(b.Post("/signin/method", "method", method), http.StatusSeeOther)
}

// enter takes both steps as anybody, the second by mail, whatever else the account has.
func (h *house) enter(b *live.Browser, email, password string) *live.Browser {
	h.T.Helper()
	code := h.mailed(func() { h.chosen(b, email, password, "email") })
	h.want(b.Post("/signin/verify", "code", code), http.StatusSeeOther)
	return b
}

// anna is a new browser in which Anna is signed in.
func (h *house) anna() *live.Browser {
	h.T.Helper()
	return h.enter(h.Browser(), live.AnnaEmail, live.AnnaPassword)
}

// leads wants the answer to lead to a page, and nowhere else.
func (h *house) leads(a live.Answer, to string) live.Answer {
	h.T.Helper()
	if at := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || at != to && (to != "/settings/confirm" || !strings.HasPrefix(at, to)) {
		h.T.Errorf("%s %s: %d to %q, want %q\n%.300s", a.Request.Method, a.Request.URL.Path, a.StatusCode, at, to, a.Body)
	}
	return a
}

var inApp = regexp.MustCompile(`otpauth://totp/[^"]*secret=([A-Z2-7]+)`)

// draftApp begins to add an app and returns its secret.
func (h *house) draftApp(b *live.Browser) string {
	h.T.Helper()
	h.leads(b.Post("/settings/2step/app", "name", ""), "/settings/2step/app")
	found := inApp.FindStringSubmatch(b.Get("/settings/2step/app").Body)
	if found == nil {
		h.T.Fatal("the page of a new app has no link")
	}
	return found[1]
}

// addApp adds an app, with the step before this one.
func (h *house) addApp(b *live.Browser) string {
	h.T.Helper()
	h.calm()
	secret := h.draftApp(b)
	h.leads(b.Post("/settings/2step/app/verify", "code", h.code(secret, -1)), "/settings/2step/app/done")
	return secret
}

// addNumber adds a number.
func (h *house) addNumber(b *live.Browser, p *phone, number string) {
	h.T.Helper()
	h.leads(b.Post("/settings/2step/sms", "country", "DE", "number", number), "/settings/2step/sms")
	h.leads(b.Post("/settings/2step/sms/verify", "code", h.texted(p)), "/settings/2step/sms/done")
}

var onPaper = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// addPaper prints recovery codes and returns them.
func (h *house) addPaper(b *live.Browser) []string {
	h.T.Helper()
	h.leads(b.Post("/settings/2step/recovery"), "/settings/2step/recovery")
	codes := onPaper.FindAllString(b.Get("/settings/2step/recovery/codes.txt").Body, -1)
	if len(codes) != 10 {
		h.T.Fatalf("%d codes", len(codes))
	}
	h.leads(b.Post("/settings/2step/recovery/verify"), "/settings/2step/recovery/done")
	return codes
}

// held is what the settings hold: everything that a refused change must leave alone.
func (h *house) held() string {
	h.T.Helper()
	h.settle()
	var b strings.Builder
	for _, query := range []string{
		"SELECT id, email, name, password_hash, epoch, password_set_by_mail_at FROM accounts ORDER BY id", "SELECT id, account_id, method, slot, body, version FROM factors ORDER BY id",
		"SELECT attempt_id, session_id, method, body FROM pending_factors ORDER BY attempt_id", "SELECT id, account_id, epoch FROM sessions ORDER BY id",
	} {
		fmt.Fprintf(&b, "%q\n", h.rows(query))
	}
	return b.String()
}
