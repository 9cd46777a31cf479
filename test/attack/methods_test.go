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

// phone receives text messages and keeps them.
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

// allMethods sets a server up with all methods; its text messages go to p.
func allMethods(p *phone) live.Setup {
	return func(o *twostep.Options) {
		o.Methods = []factor.Method{email.Method{}, totp.Method{}, sms.Method{}, recovery.New()}
		o.Senders[delivery.SMS] = p.send
	}
}

// enrolForms are the paths of the methods that are enrolled, each with a form that it accepts.
var enrolForms = map[string]string{"app": "name=Phone", "sms": "country=DE&number=" + annaNumber, "recovery": ""}

const annaNumber = "015123456789"

// lastText returns the newest text message, once everything is sent.
func (h *server) lastText(p *phone) delivery.Message {
	h.T.Helper()
	h.WaitForOutbox()
	all := p.all()
	if len(all) == 0 {
		h.T.Fatal("no text message has arrived")
	}
	return all[len(all)-1]
}

var codeInText = regexp.MustCompile(`#(\d{6})$`)

// textedCode returns the code in the newest text message.
func (h *server) textedCode(p *phone) string {
	h.T.Helper()
	found := codeInText.FindStringSubmatch(h.lastText(p).Text)
	if found == nil {
		h.T.Fatalf("no code in %q", h.lastText(p).Text)
	}
	return found[1]
}

// code returns what an app with this secret shows so many time steps after the server's time.
func (h *server) code(secret string, steps int64) string { return codeAt(secret, h.Now(), steps) }

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

// avoidStepEnd advances the server's clock if a time step is about to end, so that a test stays within it.
func (h *server) avoidStepEnd() {
	if left := 30 - h.Now().Unix()%30; left < 8 {
		h.Turn(time.Duration(left+1) * time.Second)
	}
}

var codeInMail = regexp.MustCompile(`(?m)^\d{6}\r?$`)

// mailedCode runs a step that sends a code by email, and returns the code.
func (h *server) mailedCode(step func()) string {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	step()
	h.WaitForOutbox()
	for ; n < h.Mail.Len(); n++ {
		if mail := h.Mail.Next(n); codeInMail.MatchString(mail) {
			return live.Code(h.T, mail)
		}
	}
	h.T.Fatalf("no code in %d mails\n%.900s", h.Mail.Len(), h.Log)
	return ""
}

// choose takes the first step and chooses a method.
func (h *server) choose(b *live.Browser, email, password, method string) {
	h.T.Helper()
	h.wantStatus(b.Post("/signin", "email", email, "password", password), http.StatusSeeOther)
	h.wantStatus(b.Post("/signin/method", "method", method), http.StatusSeeOther)
}

// signIn takes both steps, the second by email whatever other methods the account has, and returns b.
func (h *server) signIn(b *live.Browser, email, password string) *live.Browser {
	h.T.Helper()
	h.WaitForOutbox()
	b.SignInAs(email, password)
	return b
}

// annaSignedIn returns a new browser in which Anna is signed in.
func (h *server) annaSignedIn() *live.Browser {
	h.T.Helper()
	return h.signIn(h.Browser(), live.AnnaEmail, live.AnnaPassword)
}

// wantRedirect fails the test if an answer does not redirect to this path, with any return target.
func (h *server) wantRedirect(a live.Answer, to string) live.Answer {
	h.T.Helper()
	if at := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || at != to && !strings.HasPrefix(at, to+"?return_to=") {
		h.T.Errorf("%s %s: %d to %q, want %q\n%.300s", a.Request.Method, a.Request.URL.Path, a.StatusCode, at, to, a.Body)
	}
	return a
}

var otpauthLink = regexp.MustCompile(`otpauth://totp/[^"]*secret=([A-Z2-7]+)`)

// draftApp starts to add an authenticator app and returns its secret.
func (h *server) draftApp(b *live.Browser) string {
	h.T.Helper()
	h.wantRedirect(b.Post("/settings/2step/app", "name", ""), "/settings/2step/app")
	found := otpauthLink.FindStringSubmatch(b.Get("/settings/2step/app").Body)
	if found == nil {
		h.T.Fatal("the page of a new app has no link")
	}
	return found[1]
}

// addApp adds an authenticator app with the code of the previous time step, and returns its secret.
func (h *server) addApp(b *live.Browser) string {
	h.T.Helper()
	h.avoidStepEnd()
	secret := h.draftApp(b)
	h.wantRedirect(b.Post("/settings/2step/app/verify", "code", h.code(secret, -1)), "/settings/2step/app/done")
	return secret
}

// addNumber adds a phone number.
func (h *server) addNumber(b *live.Browser, p *phone, number string) {
	h.T.Helper()
	h.wantRedirect(b.Post("/settings/2step/sms", "country", "DE", "number", number), "/settings/2step/sms")
	h.wantRedirect(b.Post("/settings/2step/sms/verify", "code", h.textedCode(p)), "/settings/2step/sms/done")
}

var recoveryCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// addRecoveryCodes creates recovery codes and returns them.
func (h *server) addRecoveryCodes(b *live.Browser) []string {
	h.T.Helper()
	h.wantRedirect(b.Post("/settings/2step/recovery"), "/settings/2step/recovery")
	codes := recoveryCode.FindAllString(b.Get("/settings/2step/recovery/codes.txt").Body, -1)
	if len(codes) != 10 {
		h.T.Fatalf("%d codes", len(codes))
	}
	h.wantRedirect(b.Post("/settings/2step/recovery/verify"), "/settings/2step/recovery/done")
	return codes
}

// factorState returns everything that a refused change of a factor must leave alone.
func (h *server) factorState() string {
	h.T.Helper()
	h.WaitForOutbox()
	var b strings.Builder
	for _, query := range []string{
		"SELECT id, email, name, password_hash, epoch, password_set_by_mail_at FROM accounts ORDER BY id", "SELECT id, account_id, method, slot, body, version FROM factors ORDER BY id",
		"SELECT attempt_id, session_id, method, body FROM pending_factors ORDER BY attempt_id", "SELECT id, account_id, epoch FROM sessions ORDER BY id",
	} {
		fmt.Fprintf(&b, "%q\n", h.rows(query))
	}
	return b.String()
}
