package faults

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Why a step of a person did not succeed. What the server did is not known then.
var (
	errUnavailable = errors.New("503 with Retry-After")
	errClosed      = errors.New("the connection was closed")
	errRefused     = errors.New("no server listens") // nothing was sent
	errNoCode      = errors.New("no mail with a code")
	errWrong       = errors.New("a wrong answer") // which fails the test
)

// person is somebody with one browser. Servers are chosen as by a load balancer: in turn, and the next one if one does
// not listen.
type person struct {
	d       *drive
	only    *server // if not nil, no other
	name    string
	ctx     context.Context
	account *account
	jar     *cookiejar.Jar
	http    *http.Client
	turn    int
	appCode []string // the form with the last authorization code that was used
}

// account is an account, and what is known of it.
type account struct {
	email, password string
	other           string // the password, if an answer to its change was lost
	trusted         bool   // the server has said so to the browser of its person
	strayCode       bool   // a code may arrive that belongs to an earlier sign-in
	failed          bool   // an earlier sign-in was answered with 503, which hardly ever has sent a code
	mailed          int    // sign-ins with a mailed code
}

// newPerson returns a person in a network of their own.
func (d *drive) newPerson(ctx context.Context, name string, a *account) *person {
	p := &person{d: d, name: name, ctx: ctx, account: a, jar: newJar()}
	n := d.persons.Add(1)
	network := fmt.Sprintf("127.0.%d.%d", 10+n/250, 1+n%250)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(network)}, Timeout: 5 * time.Second}
	p.http = &http.Client{
		// One connection for each request: none of them outlives a server.
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       d.pace.answer,
	}
	return p
}

func newJar() *cookiejar.Jar {
	jar, _ := cookiejar.New(nil) // returns no error
	return jar
}

// renew takes an account and a browser that were not used yet.
func (p *person) renew() {
	p.account, p.jar = p.d.nextAccount(), newJar()
}

// answer is a response that was read.
type answer struct {
	status   int
	location string
	body     string
	session  bool // it sets a session cookie
}

// in reports whether the answer signs somebody in.
func (a answer) in() bool {
	return a.status == http.StatusSeeOther && a.session && !strings.HasPrefix(a.location, "/signin")
}

func (a answer) String() string { return fmt.Sprintf("%d to %q", a.status, a.location) }

func (p *person) get(path string) (answer, error) { return p.send(http.MethodGet, path, p.jar) }

func (p *person) post(path string, form ...string) (answer, error) {
	return p.send(http.MethodPost, path, p.jar, form...)
}

// insist posts a form until there is an answer, as somebody does who reloads the page. again reports whether it was
// sent more than once, so that an earlier one may have had its effect.
func (p *person) insist(path string, form ...string) (a answer, again bool, err error) {
	for deadline := time.Now().Add(20 * time.Second); ; {
		a, err = p.post(path, form...)
		if err == nil || errors.Is(err, errWrong) || time.Now().After(deadline) || !p.wait(time.Second) {
			return a, again, err
		}
		again = again || !errors.Is(err, errRefused)
	}
}

// wait waits, and reports whether the person goes on.
func (p *person) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.ctx.Done():
		return false
	}
}

// send sends a request with the cookies of a jar to one of the servers.
func (p *person) send(method, path string, jar http.CookieJar, form ...string) (answer, error) {
	servers := p.d.servers
	if p.only != nil {
		servers = []*server{p.only}
	}
	var err error
	for range servers {
		p.turn++
		var a answer
		if a, err = p.sendTo(servers[p.turn%len(servers)], method, path, jar, form...); !errors.Is(err, errRefused) {
			return a, err
		}
	}
	return answer{}, err
}

func (p *person) sendTo(s *server, method, path string, jar http.CookieJar, form ...string) (answer, error) {
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	r, err := http.NewRequest(method, "http://"+s.address+path, strings.NewReader(values.Encode()))
	if err != nil {
		p.d.Error(err)
		return answer{}, errWrong
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", p.d.public)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Host = strings.TrimPrefix(p.d.public, "http://")
	for _, c := range jar.Cookies(home) {
		r.AddCookie(c)
	}
	began := time.Now()
	resp, err := p.http.Do(r)
	if err != nil {
		return answer{}, p.noAnswer(err, method, path, time.Since(began))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, p.noAnswer(err, method, path, time.Since(began))
	}
	a := answer{status: resp.StatusCode, location: resp.Header.Get("Location"), body: string(body)}
	for _, c := range resp.Cookies() {
		a.session = a.session || c.Name == "session" && c.MaxAge >= 0 && c.Value != ""
	}
	jar.SetCookies(home, resp.Cookies())
	switch {
	case a.status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		p.d.count(&p.d.seen.unavailable)
		return a, errUnavailable
	case a.status >= 500:
		p.d.count(&p.d.seen.internal)
		p.wrong("%s %s: %d, Retry-After %q", method, path, a.status, resp.Header.Get("Retry-After"))
		return a, errUnavailable
	}
	p.d.count(&p.d.seen.answered)
	return a, nil
}

// home is where all cookies belong: ports do not matter.
var home = &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/"}

// noAnswer tells how a request ended that has no answer.
func (p *person) noAnswer(err error, method, path string, took time.Duration) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		p.d.count(&p.d.seen.refused)
		return errRefused
	}
	p.d.count(&p.d.seen.closed)
	if took > p.d.pace.answer-time.Second {
		p.wrong("%s %s: no answer within %v", method, path, p.d.pace.answer)
	}
	return errClosed
}

// wrong records an answer that no fault excuses.
func (p *person) wrong(format string, args ...any) error {
	p.d.Helper()
	p.d.wrong(p.name + ": " + fmt.Sprintf(format, args...))
	return errWrong
}

// code waits for a code that is in none of the first n mails to the address.
func (p *person) code(n int) (string, error) {
	late := time.After(p.d.pace.patience)
	for {
		mails, more := p.d.mail.box(p.account.email)
		for _, mail := range mails[min(n, len(mails)):] {
			if code := codeIn(mail); code != "" {
				return code, nil
			}
		}
		select {
		case <-more:
		case <-late:
			return "", errNoCode
		case <-p.ctx.Done():
			return "", p.ctx.Err()
		}
	}
}

// first enters the password, and reports whether that was enough.
func (p *person) first() (in bool, err error) {
	a, err := p.post("/signin", "email", p.account.email, "password", p.account.password)
	switch {
	case errors.Is(err, errRefused):
		return false, err
	case errors.Is(err, errUnavailable):
		p.account.failed = true
		return false, err
	case err != nil:
		p.account.strayCode = true
		return false, err
	case a.in():
		return true, nil
	case a.status == http.StatusSeeOther && a.location == "/signin/verify":
		return false, nil
	}
	return false, p.wrong("the right password: %v", a)
}

// signIn takes both steps in a browser that is not trusted. If trust is true, it asks to trust the browser.
func (p *person) signIn(trust bool) error {
	if p.account.strayCode || p.account.trusted || p.account.mailed >= 4 {
		p.renew() // at most 5 mails with codes an hour
	}
	mails, _ := p.d.mail.box(p.account.email)
	in, err := p.first()
	if err != nil {
		return err
	}
	if in {
		return p.wrong("signed in without a code")
	}
	p.account.mailed++
	code, err := p.code(len(mails))
	if err != nil {
		p.account.strayCode = true
		return err
	}
	attempt := copyOf(p.jar)
	form := []string{"code", code}
	if trust {
		form = append(form, "trust", "on")
	}
	p.account.strayCode = true // until the answer
	a, again, err := p.insist("/signin/verify", form...)
	switch {
	case err != nil:
		return err
	case !a.in() && (again || p.account.failed):
		return errClosed // an earlier one has used the code, or it belongs to an earlier sign-in
	case !a.in():
		return p.wrong("the right code: %v", a)
	}
	p.account.strayCode, p.account.trusted = false, trust
	twice := p.neverAgain(attempt, form)
	p.d.acknowledged(usedCode, "code "+code+" of "+p.account.email, twice)
	p.isIn()
	if err := twice(); err != nil {
		return err
	}
	return p.inside()
}

// neverAgain checks that the cookies of a finished attempt and its code sign nobody in.
func (p *person) neverAgain(attempt *cookiejar.Jar, form []string) func() error {
	return func() error {
		a, err := p.send(http.MethodPost, "/signin/verify", copyOf(attempt), form...)
		if err == nil && a.in() {
			return p.wrong("a code was accepted twice: %v", a)
		}
		return err
	}
}

// copyOf returns a jar with the same cookies.
func copyOf(jar *cookiejar.Jar) *cookiejar.Jar {
	other := newJar()
	other.SetCookies(home, jar.Cookies(home))
	return other
}

// isIn records that the server has acknowledged the session of the browser.
func (p *person) isIn() {
	jar, email := p.jar, p.account.email // the person may take others
	p.d.acknowledged(madeSession, "session of "+email, func() error { return p.seesSettings(jar, email) })
}

// inside checks that the browser is signed in.
func (p *person) inside() error { return p.seesSettings(p.jar, p.account.email) }

func (p *person) seesSettings(jar *cookiejar.Jar, email string) error {
	a, err := p.send(http.MethodGet, "/settings", jar)
	if err == nil && a.status != http.StatusOK {
		return p.wrong("%s is signed in, and /settings is %v", email, a)
	}
	return err
}

// signOut signs out. What the browser has kept works never again.
func (p *person) signOut() error {
	before, email := copyOf(p.jar), p.account.email
	p.d.forget("session of " + email) // until the answer it is either
	if _, _, err := p.insist("/signout"); err != nil {
		return err
	}
	ended := func() error {
		a, err := p.send(http.MethodGet, "/settings", copyOf(before))
		if err == nil && a.status == http.StatusOK {
			return p.wrong("%s has signed out, and the session lives", email)
		}
		return err
	}
	p.d.acknowledged(signedOut, "session of "+email, ended)
	return ended()
}

// comesAndGoes signs in with a mailed code and signs out.
func (p *person) comesAndGoes() error {
	if err := p.signIn(false); err != nil {
		return err
	}
	return p.signOut()
}

// returns signs in with a code once and trusts the browser. From then on the password is enough.
func (p *person) returns() error {
	if !p.account.trusted {
		if err := p.signIn(true); err != nil {
			return err
		}
		p.d.acknowledged(trustedBrowser, "trust of "+p.account.email, p.passwordIsEnough)
		return p.signOut()
	}
	if err := p.passwordIsEnough(); err != nil {
		return err
	}
	p.isIn()
	return p.signOut()
}

// passwordIsEnough signs in without a code.
func (p *person) passwordIsEnough() error {
	in, err := p.first()
	if err == nil && !in {
		return p.wrong("the browser of %s is trusted, and was asked for a code", p.account.email)
	}
	return err
}

// stays signs in once and opens a page now and then.
func (p *person) stays() error {
	if p.account.mailed > 0 && !p.account.strayCode {
		return p.inside()
	}
	return p.signIn(false)
}

// changesPassword signs in, changes the password and signs out.
func (p *person) changesPassword() error {
	if p.account.other != "" {
		p.renew()
	}
	if err := p.signIn(false); err != nil {
		return err
	}
	was, next := p.account.password, fmt.Sprintf("%s %d", password, p.account.mailed)
	who := p.account
	key := "password of " + who.email
	who.other = next
	p.d.forget("session of " + who.email) // a change gives the session a new token
	p.d.acknowledged(unknown, key, func() error { return p.hasPassword(who.email, was, next) })
	a, err := p.post("/settings/password", "current", was, "password", next)
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther || a.location != "/settings/password/done" {
		return p.wrong("change of the password: %v", a)
	}
	who.password, who.other = next, ""
	p.d.acknowledged(newPassword, key, func() error { return p.hasPassword(who.email, next) })
	p.isIn()
	if err := p.inside(); err != nil {
		return err
	}
	return p.signOut()
}

// hasPassword checks that one of the passwords is that of the account.
func (p *person) hasPassword(email string, passwords ...string) error {
	visitor := p.d.newPerson(p.d.Context(), "check", &account{email: email})
	for _, text := range passwords {
		visitor.account.password = text
		a, err := visitor.post("/signin", "email", email, "password", text)
		if err != nil || a.status == http.StatusSeeOther {
			return err
		}
	}
	return p.wrong("the password of %s is none of the %d that may be right", email, len(passwords))
}

var appLink = regexp.MustCompile(`otpauth://totp/[^"]*secret=([A-Z2-7]+)`)

// addsApp signs in to a new account, adds an authenticator app and signs out.
func (p *person) addsApp() error {
	if p.account.mailed > 0 {
		p.renew()
	}
	if err := p.signIn(false); err != nil {
		return err
	}
	if a, err := p.post("/settings/2step/app", "name", ""); err != nil || a.status != http.StatusSeeOther {
		return orWrong(p, err, "a new app: %v", a)
	}
	a, err := p.get("/settings/2step/app")
	if err != nil {
		return err
	}
	found := appLink.FindStringSubmatch(a.body)
	if found == nil {
		return p.wrong("the page of a new app: %v", a)
	}
	email := p.account.email
	p.d.forget("session of " + email) // a new factor gives the session a new token
	a, err = p.post("/settings/2step/app/verify", "code", codeAt(found[1], time.Now()))
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther || a.location != "/settings/2step/app/done" {
		return p.wrong("the code of a new app: %v", a)
	}
	words := p.account.password
	p.d.acknowledged(addedApp, "app of "+email, func() error { return p.hasApp(email, words) })
	p.isIn()
	if err := p.inside(); err != nil {
		return err
	}
	return p.signOut()
}

// hasApp checks that a code of the app is one of the methods of a sign-in.
func (p *person) hasApp(email, password string) error {
	visitor := p.d.newPerson(p.d.Context(), "check", &account{email: email, password: password})
	if in, err := visitor.first(); err != nil || in {
		return orWrong(p, err, "signed in to %s without a code", email)
	}
	a, err := visitor.get("/signin/method")
	if err == nil && !strings.Contains(a.body, `value="totp"`) {
		return p.wrong("the app of %s was added, and is no method of a sign-in: %v", email, a)
	}
	return err
}

// The app that people sign in to. It has no secret, as an app on a phone.
const (
	appID       = "phone"
	appRedirect = "http://127.0.0.1/callback"
	verifier    = "a-code-verifier-of-at-least-forty-three-characters" // RFC 7636 4.1
)

var accessToken = regexp.MustCompile(`"access_token":"([^"]+)"`)

// usesApp signs in once, and then signs in to an app with OpenID Connect again and again.
func (p *person) usesApp() error {
	if p.account.mailed == 0 || p.account.strayCode {
		p.appCode = nil
		if err := p.signIn(false); err != nil {
			return err
		}
	}
	if a, err := p.get("/oauth2/jwks"); err != nil || a.status != http.StatusOK {
		return orWrong(p, err, "the keys of ID tokens: %v", a)
	}
	challenge := sha256.Sum256([]byte(verifier))
	a, err := p.get("/oauth2/authorize?" + url.Values{
		"client_id": {appID}, "redirect_uri": {appRedirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {"x"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		return err
	}
	to, err := url.Parse(a.location)
	if err != nil || !strings.HasPrefix(a.location, appRedirect) || to.Query().Get("code") == "" {
		return p.wrong("no code for the app: %v", a)
	}
	form := []string{
		"grant_type", "authorization_code", "client_id", appID, "redirect_uri", appRedirect, "code_verifier", verifier,
		"code", to.Query().Get("code"),
	}
	if a, err = p.post("/oauth2/token", form...); err != nil {
		return err // a second try would end the tokens (RFC 6749 4.1.2)
	}
	found := accessToken.FindStringSubmatch(a.body)
	if a.status != http.StatusOK || found == nil {
		return p.wrong("no token for the app: %v", a)
	}
	p.d.acknowledged(issuedToken, "token of "+p.account.email, func() error {
		a, err := p.post("/oauth2/userinfo", "access_token", found[1])
		if err == nil && a.status != http.StatusOK {
			return p.wrong("a token was issued, and userinfo says %v", a)
		}
		return err
	})
	// The code before this one: its second use ends the tokens that were issued for it.
	if p.appCode != nil {
		if a, err = p.post("/oauth2/token", p.appCode...); err == nil && a.status != http.StatusBadRequest {
			return p.wrong("an authorization code was accepted twice: %v", a)
		}
	}
	p.appCode = form
	return err
}

// orWrong returns err, or records a wrong answer if there is none.
func orWrong(p *person, err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return p.wrong(format, args...)
}

// codeAt returns the code of an authenticator app (RFC 6238 4).
func codeAt(secret string, now time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		panic(err)
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(now.Unix()/30))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}
