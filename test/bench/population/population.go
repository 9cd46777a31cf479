// Package population makes databases with many accounts that have been used for a year, for benchmarks.
//
// A few accounts live through a year in a real server, whose clock is turned. Their rows are then copied, with other
// ids, addresses and times. So each row is one that the program writes, and each table has as many as a year leaves.
package population

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/totp"
	"twostep.example/twostep/internal/grant"
)

const (
	// PublicURL is the address of a Site. Its handler is called without a network.
	PublicURL = "https://signin.example.com"
	// Host is behind a reverse proxy of a Site.
	Host = "wiki.example.com"

	password    = "correct horse battery"
	appID       = "books"
	redirectURI = "https://books.example.com/callback"
	userAgent   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	day         = 24 * time.Hour
)

// Site is a server in this process. Its clock is turned with Advance.
type Site struct {
	*twostep.Server
	ahead   atomic.Int64 // of the clock of the machine, in nanoseconds
	mailbox sync.Map     // chan string with the text of the last mail, by address
	secret  string       // of the app
}

// Open opens a server on a database, whose clock is ahead of that of the machine. dir has its key file.
func Open(ctx context.Context, database, dir string, ahead time.Duration) (*Site, error) {
	s := &Site{}
	s.ahead.Store(int64(ahead))
	var hash string
	s.secret, hash = twostep.NewAppSecret()
	var err error
	s.Server, err = twostep.New(ctx, twostep.Options{
		Database: database, KeyFile: filepath.Join(dir, "keys"), PublicURL: PublicURL, Site: "Example",
		Methods: []factor.Method{email.Method{}, totp.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: s.receive},
		Now:     s.now, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Apps: []twostep.App{
			{ID: appID, RedirectURIs: []string{redirectURI}, SecretHashes: []string{hash}, IDTokenAlg: "ES256"},
			{ID: "wiki", Hosts: []string{Host}},
		},
	})
	return s, err
}

func (s *Site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// Advance turns the clock forward.
func (s *Site) Advance(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *Site) receive(_ context.Context, m delivery.Message) error {
	box := s.box(m.To)
	select { // only the last mail is kept
	case <-box:
	default:
	}
	box <- m.Text
	return nil
}

func (s *Site) box(address string) chan string {
	box, _ := s.mailbox.LoadOrStore(address, make(chan string, 1))
	return box.(chan string)
}

// Person is somebody with an account, and the browser in front of them.
type Person struct {
	Site    *Site
	Email   string
	Address string // of the network

	cookies map[string]string
	key     []byte // of the authenticator app; nil: codes come by email
}

// NewPerson creates an account, signs in and adds an authenticator app.
func (s *Site) NewPerson(ctx context.Context, email, address string) (*Person, error) {
	p := &Person{Site: s, Email: email, Address: address, cookies: map[string]string{}}
	err := s.CreateAccount(ctx, twostep.AccountParams{Email: email, Name: "Anna", Password: password})
	if err != nil {
		return nil, err
	}
	if _, err := p.SignIn(true); err != nil {
		return nil, err
	}
	return p, p.addApp()
}

var appLink = regexp.MustCompile(`otpauth://totp/[^"]*secret=([A-Z2-7]+)`)

func (p *Person) addApp() error {
	if _, err := p.post("/settings/2step/app", "name", ""); err != nil {
		return err
	}
	w, err := p.send(http.MethodGet, "/settings/2step/app", nil)
	if err != nil {
		return err
	}
	found := appLink.FindStringSubmatch(w.Body.String())
	if found == nil {
		return errors.New("population: the page of a new app has no link")
	}
	if p.key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(found[1]); err != nil {
		return err
	}
	_, err = p.post("/settings/2step/app/verify", "code", p.appCode())
	return err
}

// appCode returns the code that the authenticator app shows (RFC 6238 4).
func (p *Person) appCode() string {
	mac := hmac.New(sha1.New, p.key)
	_ = binary.Write(mac, binary.BigEndian, p.Site.now().Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

var sixDigits = regexp.MustCompile(`(?m)^\d{6}\r?$`)

// SignIn signs in, and trusts the device if trust is true. It returns how long the server took for its requests,
// without the wait for a mail.
func (p *Person) SignIn(trust bool) (took time.Duration, err error) {
	delete(p.cookies, "__Host-session")
	began := time.Now()
	w, err := p.post("/signin", "email", p.Email, "password", password)
	took = time.Since(began)
	if err != nil || p.cookies["__Host-session"] != "" { // trust skipped the second step
		return took, err
	}
	began = time.Now()
	w, err = p.send(http.MethodGet, w.Header().Get("Location"), nil)
	if err == nil && w.Code == http.StatusSeeOther { // there is a choice
		_, err = p.post("/signin/method", "method", totp.Method{}.Info().Method)
	}
	if err != nil {
		return took, err
	}
	took += time.Since(began)
	code := ""
	if p.key != nil {
		code = p.appCode()
	} else if code, err = p.mailedCode(); err != nil {
		return took, err
	}
	form := []string{"code", code}
	if trust {
		form = append(form, "trust", "on")
	}
	began = time.Now()
	_, err = p.post("/signin/verify", form...)
	if err == nil && p.cookies["__Host-session"] == "" {
		err = errors.New("population: the code gives no session")
	}
	return took + time.Since(began), err
}

func (p *Person) mailedCode() (string, error) {
	for late := time.After(20 * time.Second); ; {
		select {
		case text := <-p.Site.box(p.Email):
			if code := sixDigits.FindString(text); code != "" {
				return strings.TrimSpace(code), nil
			}
		case <-late:
			return "", errors.New("population: no mail in 20 s")
		}
	}
}

// VisitApp gets a code for an app and exchanges it for tokens. The person must be signed in.
func (p *Person) VisitApp() error {
	const verifier = "a-code-verifier-that-is-long-enough-for-rfc-7636"
	w, err := p.send(http.MethodGet, "/oauth2/authorize?"+url.Values{
		"client_id": {appID}, "response_type": {"code"}, "redirect_uri": {redirectURI}, "scope": {"openid email"},
		"nonce": {"n"}, "code_challenge": {grant.S256Challenge(verifier)}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	if err != nil {
		return err
	}
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		return err
	}
	if to.Query().Get("code") == "" {
		return fmt.Errorf("population: no code in the redirect to %s", to.Path)
	}
	r := form("/oauth2/token", "grant_type", "authorization_code", "code", to.Query().Get("code"),
		"redirect_uri", redirectURI, "code_verifier", verifier)
	r.SetBasicAuth(appID, p.Site.secret)
	_, err = p.Site.Serve(r)
	return err
}

// VisitHost opens a page of the host behind the reverse proxy. It returns the cookie that the browser gets for it. The
// person must be signed in.
func (p *Person) VisitHost() (*http.Cookie, error) {
	w, err := p.Site.Serve(CheckRequest(""))
	if err != nil {
		return nil, err
	}
	kept := w.Result().Cookies()
	to := w.Header().Get("Location")
	for strings.HasPrefix(to, "/") || strings.HasPrefix(to, PublicURL) {
		if w, err = p.send(http.MethodGet, strings.TrimPrefix(to, PublicURL), nil); err != nil {
			return nil, err
		}
		to = w.Header().Get("Location")
	}
	r := CheckRequest(strings.TrimPrefix(to, "https://"+Host))
	for _, c := range kept {
		r.AddCookie(c)
	}
	if w, err = p.Site.Serve(r); err != nil {
		return nil, err
	}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			return c, nil
		}
	}
	return nil, errors.New("population: no cookie at the host")
}

// CheckRequest returns the request of a reverse proxy about a page of the host.
func CheckRequest(uri string, cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, PublicURL+"/auth/check", nil)
	for name, value := range map[string]string{"Method": "GET", "Proto": "https", "Host": Host, "Uri": "/" + strings.TrimPrefix(uri, "/")} {
		r.Header.Set("X-Forwarded-"+name, value)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.RemoteAddr = "127.0.0.1:1"
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func (p *Person) post(path string, pairs ...string) (*httptest.ResponseRecorder, error) {
	return p.send(http.MethodPost, path, form(path, pairs...))
}

func form(path string, pairs ...string) *http.Request {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, PublicURL+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "127.0.0.1:1"
	return r
}

// send sends a request of the person's browser; nil means a GET.
func (p *Person) send(method, path string, r *http.Request) (*httptest.ResponseRecorder, error) {
	if r == nil {
		r = httptest.NewRequest(method, PublicURL+path, nil)
	}
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("X-Forwarded-For", p.Address)
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w, err := p.Site.Serve(r)
	for _, c := range w.Result().Cookies() {
		if p.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(p.cookies, c.Name)
		}
	}
	return w, err
}

// Serve calls the handler. It returns an error if the status is an error.
func (s *Site) Serve(r *http.Request) (*httptest.ResponseRecorder, error) {
	r.RequestURI = r.URL.RequestURI() // as a server reads it
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code >= http.StatusBadRequest {
		return w, fmt.Errorf("population: %s %s: %d: %.200s", r.Method, r.URL.Path, w.Code, w.Body)
	}
	return w, nil
}

// Models is how many accounts live through a year.
const Models = 8

// year lets Models accounts live through the year that ends now: they join, come back in its last month in the same
// device, or every fourth in a new one, and visit an app and a host. One of them does so today. Then what has expired is
// deleted.
func year(ctx context.Context, database, dir string) error {
	s, err := Open(ctx, database, dir, -365*day)
	if err != nil {
		return err
	}
	var people []*Person
	for i := range Models {
		p, err := s.NewPerson(ctx, fmt.Sprintf("model%d@example.com", i), fmt.Sprintf("203.0.113.%d", i))
		if err != nil {
			return errors.Join(err, s.Close())
		}
		people = append(people, p)
	}
	s.Advance(365*day - 3*day*Models)
	for i, p := range people {
		s.Advance(3 * day)
		if i%4 == 0 { // a new browser
			p.cookies = map[string]string{}
		}
		if err := p.visit(); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	return deleteExpired(ctx, database, dir)
}

func (p *Person) visit() error {
	if _, err := p.SignIn(true); err != nil {
		return err
	}
	if err := p.VisitApp(); err != nil {
		return err
	}
	_, err := p.VisitHost()
	return err
}

// deleteExpired lets a server delete what has expired.
func deleteExpired(ctx context.Context, database, dir string) error {
	s, err := Open(ctx, database, dir, 0)
	if err != nil {
		return err
	}
	_, err = s.WaitForDeletion()
	return errors.Join(err, s.Close())
}

// WaitForDeletion waits until the server has deleted what had expired when it was opened. It returns how long that took.
func (s *Site) WaitForDeletion() (time.Duration, error) {
	for late := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		for _, job := range s.Jobs() {
			if job.Name == "expired" && job.Runs > 0 {
				return job.Longest, nil
			}
		}
		if time.Now().After(late) {
			return 0, errors.New("population: expired rows are being deleted for ten minutes")
		}
	}
}
