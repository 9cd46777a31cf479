package check

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// testUser is a person with a browser, at a server in local mode, who reads the messages in its inbox.
type testUser struct {
	ctx         context.Context
	base        *url.URL
	inboxKey    string // opens the inbox
	siteName    string // the name in the page titles
	menu        string // the menu of the owner's app that the help page names; "": none
	email       string
	password    string
	code        string        // of the newest message
	codeSentTo  string        // the address it was sent to
	clockOffset time.Duration // how far the clock of the server is ahead
	userAgent   string        // the User-Agent header
	localIP     net.IP        // the local address of connections; nil: any
	httpClient  *http.Client

	patience *patience // shared by all browsers
}

// patience is how long the check waits for a message. After one that has not arrived it waits less, so that a server
// that sends nothing does not fail one sentence after another, each after 10 seconds.
type patience struct {
	first, later time.Duration
	missed       bool // a message has not arrived
}

func (p *patience) duration() time.Duration {
	if p.missed {
		return p.later
	}
	return p.first
}

// newBrowser returns the same person with a new browser.
func (v *testUser) newBrowser() *testUser {
	jar, _ := cookiejar.New(nil) // without options it never fails
	f := *v
	dialer := &net.Dialer{}
	if v.localIP != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: v.localIP}
	}
	f.userAgent = firefoxOnWindows
	f.httpClient = &http.Client{
		Jar:       jar,
		Timeout:   20 * time.Second,
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return &f
}

type response struct {
	status   int
	location string
	body     string
	path     string // of the request
}

func (v *testUser) get(path string) (response, error) { return v.send(http.MethodGet, path, nil) }

// follow gets a page and follows redirects within the server.
func (v *testUser) follow(path string) (a response, err error) {
	for range 10 {
		if a, err = v.get(path); err != nil || a.location == "" {
			return a, err
		}
		if path = strings.TrimPrefix(a.location, v.base.String()); !strings.HasPrefix(path, "/") {
			return a, fmt.Errorf("%s leads away, to %s", a.path, a.location)
		}
	}
	return a, fmt.Errorf("%s leads from one page to the next", path)
}

func (v *testUser) post(path string, form url.Values) (response, error) {
	return v.send(http.MethodPost, path, form)
}

func (v *testUser) send(method, path string, form url.Values) (response, error) {
	r, err := http.NewRequestWithContext(v.ctx, method, v.base.String()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return response{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.base.String())
	}
	if strings.HasPrefix(path, "/inbox") || path == AccountPath {
		r.AddCookie(&http.Cookie{Name: InboxCookie, Value: v.inboxKey})
	}
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("User-Agent", v.userAgent)
	resp, err := v.httpClient.Do(r)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return response{resp.StatusCode, resp.Header.Get("Location"), html.UnescapeString(string(body)), path}, err
}

var (
	titleLine = regexp.MustCompile(`<title>.* – (.*)</title>`)
	menuSteps = regexp.MustCompile(`<li>Browse to ([^<]+)</li>\s*<li>Select [^<]+ which will open in a new window</li>`)
	pageTag   = regexp.MustCompile(`<[^>]*>`)
	// What a page says about a message that has not arrived: an error, or the state of its delivery.
	messageState = regexp.MustCompile(`<p[^>]* (?:role="alert"|id="delivery")[^>]*>(.*?)</p>`)
	messageID    = regexp.MustCompile(`href="/inbox/([^"/]+)/text"`)
	textCode     = regexp.MustCompile(`(?m)^@\S+ #(\d{6})$`)
	codeLine     = regexp.MustCompile(`(?m)^(\d{6})\r?$`)
)

// connect checks that the server is in local mode, and that the check can sign in with a code sent by email.
func (v *testUser) connect() error {
	first := v.newBrowser()
	v.httpClient, v.userAgent = first.httpClient, first.userAgent
	a, err := v.get("/signin")
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", v.base, err)
	}
	if m := titleLine.FindStringSubmatch(a.body); m != nil {
		v.siteName = m[1]
	}
	if _, err := v.inboxIDs(); err != nil {
		return err
	}
	if a, err = v.get("/help"); err != nil {
		return err
	}
	if m := menuSteps.FindStringSubmatch(a.body); m != nil {
		v.menu = strings.ReplaceAll(m[1], "→", "->")
	}
	if v.email == "" {
		if err := v.createAccount(); err != nil {
			return err
		}
	}
	return v.newBrowser().trySignIn()
}

// createAccount creates an account for this run, so that it does not depend on what the demo account has, and changes
// nothing of it.
func (v *testUser) createAccount() error {
	a, err := v.post(AccountPath, nil)
	if err != nil {
		return err
	}
	var account Account
	if a.status == http.StatusForbidden {
		return v.wrongKey()
	}
	if a.status != http.StatusCreated || json.Unmarshal([]byte(a.body), &account) != nil || account.Email == "" {
		return fmt.Errorf("%w: there is no account to sign in with: start the server with serve --demo, "+
			"or give --account and TWOSTEP_CHECK_PASSWORD", ErrUsage)
	}
	v.email, v.password = account.Email, account.Password
	return nil
}

// postPassword enters the password. before are the messages that were in the inbox.
func (v *testUser) postPassword() (before []string, a response, err error) {
	if before, err = v.inboxIDs(); err != nil {
		return nil, response{}, err
	}
	a, err = v.post("/signin", url.Values{"email": {v.email}, "password": {v.password}})
	return before, a, err
}

// trySignIn enters the password once and waits for the code. It returns ErrUsage if that does not work: then no
// sentence could be checked.
func (v *testUser) trySignIn() error {
	before, a, err := v.postPassword()
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther {
		return fmt.Errorf("%w: %s cannot sign in: the server answers %d%s", ErrUsage, v.email, a.status, reason(a.body))
	}
	if a, err = v.get("/signin/verify"); err != nil {
		return err
	}
	if a.status == http.StatusOK { // the code page, not the choice of a method
		err := v.waitForCode(before, "/signin/verify")
		switch {
		case err != nil:
			return fmt.Errorf("%w: signing in as %s: %w", ErrUsage, v.email, err)
		case v.codeSentTo == v.email:
			return nil
		}
	}
	return fmt.Errorf("%w: %s has other verification methods than email: remove them under %s/settings, "+
		"or run the check without --account on a server with --demo", ErrUsage, v.email, v.base)
}

// reason returns what a page says about the problem, with a colon before it; "" if it says nothing.
func reason(page string) string {
	m := messageState.FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return ": " + strings.Join(strings.Fields(pageTag.ReplaceAllString(m[1], "")), " ")
}

// inboxIDs returns the ids of the messages in the inbox, newest first.
func (v *testUser) inboxIDs() ([]string, error) {
	a, err := v.get("/inbox")
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusForbidden {
		return nil, v.wrongKey()
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf(
			"%w: %s/inbox answers %d: it must be in local mode, so that the check can read its messages",
			ErrUsage, v.base, a.status,
		)
	}
	var ids []string
	for _, m := range messageID.FindAllStringSubmatch(a.body, -1) {
		ids = append(ids, m[1])
	}
	return ids, nil
}

// wrongKey is the error if the server refuses the key of the inbox.
func (v *testUser) wrongKey() error {
	return fmt.Errorf("%w: %s has another key for its inbox: give the data folder of this server, like --data ./twostep-data",
		ErrUsage, v.base)
}

// waitForCode waits for a message with a code that is not in before, and reads it. If none arrives, the error has what
// the page says about it.
func (v *testUser) waitForCode(before []string, page string) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	enough := time.After(v.patience.duration())
	for {
		if found, err := v.readNewCode(before); found || err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-enough:
			v.patience.missed = true
			a, err := v.get(page)
			if err != nil {
				return err
			}
			return fmt.Errorf("no message with a 6-digit code has arrived%s", reason(a.body))
		case <-v.ctx.Done():
			return v.ctx.Err()
		}
	}
}

// readNewCode reads a message with a code that is not in before, if there is one. Notifications without a code may come
// in between.
func (v *testUser) readNewCode(before []string) (bool, error) {
	ids, err := v.inboxIDs()
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if slices.Contains(before, id) {
			continue
		}
		if found, err := v.readCode(id); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// readCode reads the code of a message; false if it has none.
func (v *testUser) readCode(id string) (bool, error) {
	a, err := v.get("/inbox/" + id + "/text")
	if err != nil {
		return false, err
	}
	if text := textCode.FindStringSubmatch(a.body); text != nil {
		v.code, v.codeSentTo = text[1], ""
		return true, nil
	}
	code := codeLine.FindStringSubmatch(a.body)
	if code == nil {
		return false, nil
	}
	m, err := mail.ReadMessage(strings.NewReader(a.body))
	if err != nil {
		return false, fmt.Errorf("mail %s: %w", id, err)
	}
	at, err := m.Header.Date()
	if err != nil {
		return false, fmt.Errorf("mail %s: %w", id, err)
	}
	v.clockOffset = time.Until(at)
	to, err := mail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return false, fmt.Errorf("mail %s: %w", id, err)
	}
	v.code, v.codeSentTo = code[1], to.Address
	return true, nil
}

// enterPassword enters the password and waits for the code.
func (v *testUser) enterPassword() error {
	before, a, err := v.postPassword()
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther || a.location != "/signin/verify" {
		return fmt.Errorf("the right password is answered with %d %s%s", a.status, a.location, reason(a.body))
	}
	return v.waitForCode(before, "/signin/verify")
}

// now returns the time on the clock of the server.
func (v *testUser) now() time.Time { return time.Now().Add(v.clockOffset) }

// signInWithCode signs in with both steps.
func (v *testUser) signInWithCode() error {
	if err := v.enterPassword(); err != nil {
		return err
	}
	a, err := v.post("/signin/verify", url.Values{"code": {v.code}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("the right code is answered with %d", a.status)
	}
	return err
}

// enterCodeAfter enters the password, moves the clock of the server forward, and enters the code.
func (v *testUser) enterCodeAfter(minutes int) (response, error) {
	if err := v.enterPassword(); err != nil {
		return response{}, err
	}
	if err := v.advanceClock(time.Duration(minutes) * time.Minute); err != nil {
		return response{}, err
	}
	return v.post("/signin/verify", url.Values{"code": {v.code}})
}
