package check

import (
	"context"
	"errors"
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
	"strconv"
	"strings"
	"time"
)

// testUser is a person with a browser, at a server in local mode, who reads the messages in its inbox.
type testUser struct {
	ctx         context.Context
	base        *url.URL
	siteName    string // the name in the page titles
	email       string
	password    string
	code        string        // of the newest message
	codeSentTo  string        // the address it was sent to
	clockOffset time.Duration // how far the clock of the server is ahead
	userAgent   string        // the User-Agent header
	localIP     net.IP        // the local address of connections; nil: any
	httpClient  *http.Client
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
	titleLine       = regexp.MustCompile(`<title>.* – (.*)</title>`)
	credentialLines = regexp.MustCompile(`(?m)^Email: (\S+)\r?\nPassword: (\S+)`)
	messageID       = regexp.MustCompile(`href="/inbox/([^"/]+)/text"`)
	textCode        = regexp.MustCompile(`(?m)^@\S+ #(\d{6})$`)
	codeLine        = regexp.MustCompile(`(?m)^(\d{6})\r?$`)
)

// connect checks that the server is in local mode, and finds the account to sign in with.
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
	ids, err := v.inboxIDs()
	if err != nil {
		return err
	}
	if v.email != "" && v.password != "" {
		return nil
	}
	for _, id := range ids {
		a, err := v.get("/inbox/" + id + "/text")
		if err != nil {
			return err
		}
		if m := credentialLines.FindStringSubmatch(a.body); m != nil {
			v.email, v.password = m[1], m[2]
			return nil
		}
	}
	return fmt.Errorf(
		"%w: no account to sign in with; start the server with serve --demo, or give --account and TWOSTEP_CHECK_PASSWORD",
		ErrUsage,
	)
}

// inboxIDs returns the ids of the messages in the inbox, newest first.
func (v *testUser) inboxIDs() ([]string, error) {
	a, err := v.get("/inbox")
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf(
			"%w: %s/inbox answers %d; it must be in local mode, for its mail to be read", ErrUsage, v.base, a.status,
		)
	}
	var ids []string
	for _, m := range messageID.FindAllStringSubmatch(a.body, -1) {
		ids = append(ids, m[1])
	}
	return ids, nil
}

// waitForCode waits for a message with a code that is not in before, and reads it.
func (v *testUser) waitForCode(before []string) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	enough := time.After(10 * time.Second)
	for {
		if found, err := v.readNewCode(before); found || err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-enough:
			return errors.New("no mail has arrived")
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
	before, err := v.inboxIDs()
	if err != nil {
		return err
	}
	a, err := v.post("/signin", url.Values{"email": {v.email}, "password": {v.password}})
	if err != nil {
		return err
	}
	if a.status != http.StatusSeeOther || a.location != "/signin/verify" {
		return fmt.Errorf("the right password is answered with %d %s", a.status, a.location)
	}
	return v.waitForCode(before)
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
	a, err := v.post("/inbox/clock", url.Values{"minutes": {strconv.Itoa(minutes)}})
	if err != nil {
		return response{}, err
	}
	if a.status != http.StatusSeeOther {
		return response{}, errors.New("the clock of this server cannot be turned: start it with serve --demo")
	}
	return v.post("/signin/verify", url.Values{"code": {v.code}})
}
