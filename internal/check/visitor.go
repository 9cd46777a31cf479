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

// visitor is a person with a browser in front of a server in local mode, who can read
// the mail in its inbox. It sees what a person sees: pages.
type visitor struct {
	ctx      context.Context
	base     *url.URL
	site     string // the name on the pages
	email    string
	password string
	code     string        // in the newest mail
	mailedTo string        // the address it went to
	ahead    time.Duration // the server's clock, before ours
	agent    string        // the User-Agent header of the browser
	at       net.IP        // the address it comes from; nil: whatever the machine takes
	browser  *http.Client
}

// fresh is the same person with a new browser.
func (v *visitor) fresh() *visitor {
	jar, _ := cookiejar.New(nil) // never fails without options
	f := *v
	dialer := &net.Dialer{}
	if v.at != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: v.at}
	}
	f.agent = firefoxOnWindows
	f.browser = &http.Client{
		Jar:       jar,
		Timeout:   20 * time.Second,
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return &f
}

type answer struct {
	status   int
	location string
	body     string
	path     string // that was asked for
}

func (v *visitor) get(path string) (answer, error) { return v.send(http.MethodGet, path, nil) }

// follow gets a page, over redirects that stay on the server.
func (v *visitor) follow(path string) (a answer, err error) {
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

func (v *visitor) post(path string, form url.Values) (answer, error) {
	return v.send(http.MethodPost, path, form)
}

func (v *visitor) send(method, path string, form url.Values) (answer, error) {
	r, err := http.NewRequestWithContext(v.ctx, method, v.base.String()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.base.String())
	}
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("User-Agent", v.agent)
	resp, err := v.browser.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{resp.StatusCode, resp.Header.Get("Location"), html.UnescapeString(string(body)), path}, err
}

var (
	titleLine = regexp.MustCompile(`<title>.* – (.*)</title>`)
	credLines = regexp.MustCompile(`(?m)^Email: (\S+)\r?\nPassword: (\S+)`)
	messageID = regexp.MustCompile(`href="/inbox/([^"/]+)/text"`)
	textCode  = regexp.MustCompile(`(?m)^@\S+ #(\d{6})$`)
	codeLine  = regexp.MustCompile(`(?m)^(\d{6})\r?$`)
)

// arrive looks the server over and finds out whom to sign in as.
func (v *visitor) arrive() error {
	first := v.fresh()
	v.browser, v.agent = first.browser, first.agent
	a, err := v.get("/signin")
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", v.base, err)
	}
	if m := titleLine.FindStringSubmatch(a.body); m != nil {
		v.site = m[1]
	}
	ids, err := v.mails()
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
		if m := credLines.FindStringSubmatch(a.body); m != nil {
			v.email, v.password = m[1], m[2]
			return nil
		}
	}
	return fmt.Errorf("%w: no account to sign in with; start the server with serve --demo, or give --account and TWOSTEP_CHECK_PASSWORD", ErrUsage)
}

// mails are the ids of the mails in the inbox, newest first.
func (v *visitor) mails() ([]string, error) {
	a, err := v.get("/inbox")
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%w: %s/inbox answers %d; it must be in local mode, for its mail to be read", ErrUsage, v.base, a.status)
	}
	var ids []string
	for _, m := range messageID.FindAllStringSubmatch(a.body, -1) {
		ids = append(ids, m[1])
	}
	return ids, nil
}

// await waits for a message with a code that was not there before and reads it.
func (v *visitor) await(before []string) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	enough := time.After(10 * time.Second)
	for {
		if found, err := v.arrived(before); found || err != nil {
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

// arrived reads the message with a code that was not there before, if there is one;
// notices of what was changed come in between.
func (v *visitor) arrived(before []string) (bool, error) {
	ids, err := v.mails()
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if slices.Contains(before, id) {
			continue
		}
		if found, err := v.read(id); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// read takes the code out of a message; false if it has none.
func (v *visitor) read(id string) (bool, error) {
	a, err := v.get("/inbox/" + id + "/text")
	if err != nil {
		return false, err
	}
	if text := textCode.FindStringSubmatch(a.body); text != nil {
		v.code, v.mailedTo = text[1], ""
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
	v.ahead = time.Until(at)
	to, err := mail.ParseAddress(m.Header.Get("To"))
	if err != nil {
		return false, fmt.Errorf("mail %s: %w", id, err)
	}
	v.code, v.mailedTo = code[1], to.Address
	return true, nil
}

// signIn takes the first step and waits for the mail.
func (v *visitor) signIn() error {
	before, err := v.mails()
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
	return v.await(before)
}

// now is the time on the server's clock.
func (v *visitor) now() time.Time { return time.Now().Add(v.ahead) }

// enter takes both steps.
func (v *visitor) enter() error {
	if err := v.signIn(); err != nil {
		return err
	}
	a, err := v.post("/signin/verify", url.Values{"code": {v.code}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("the right code is answered with %d", a.status)
	}
	return err
}

// enterAfter signs in, lets that many minutes pass on the server's clock, and enters
// the code.
func (v *visitor) enterAfter(minutes int) (answer, error) {
	if err := v.signIn(); err != nil {
		return answer{}, err
	}
	a, err := v.post("/inbox/clock", url.Values{"minutes": {strconv.Itoa(minutes)}})
	if err != nil {
		return answer{}, err
	}
	if a.status != http.StatusSeeOther {
		return answer{}, errors.New("the clock of this server cannot be turned: start it with serve --demo")
	}
	return v.post("/signin/verify", url.Values{"code": {v.code}})
}
