// Package live runs a whole server for a test. It has a real database, a real mail
// server, real TLS, and a clock that is turned by hand.
package live

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/store/storetest"
)

// Anna has an account on every live server.
const (
	AnnaEmail    = "anna@example.com"
	AnnaPassword = "correct horse battery"
)

// Server is a running server with one account, Anna's.
type Server struct {
	*twostep.Server
	T        testing.TB
	URL      string // https://127.0.0.1:PORT
	Mail     *Mail
	Log      *Log
	Database string // as in its options
	KeyFile  string

	roots    *x509.CertPool
	ahead    atomic.Int64
	networks atomic.Int64 // that browsers were started in
	methods  int
	http     *httptest.Server
	opening  sync.Once
	ending   sync.Once
	beside   *sql.DB
}

// Setup changes the options of a server before it starts.
type Setup func(*twostep.Options)

// Start runs a server on the database at url ("": a new SQLite file) until the test ends.
func Start(t testing.TB, url string, setups ...Setup) *Server {
	t.Helper()
	dir := storetest.TempDir(t)
	if url == "" {
		url = filepath.Join(dir, "twostep.db")
	}
	s := &Server{T: t, Log: &Log{}, http: httptest.NewUnstartedServer(nil)}
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
	s.URL = s.http.URL
	s.roots = x509.NewCertPool()
	s.roots.AddCert(s.http.Certificate())
	s.Mail = startMail(t, s.http.TLS)
	smtp := delivery.SMTP{Host: "127.0.0.1", Port: s.Mail.Port, From: "Example <signin@example.com>", RootCAs: s.roots}
	o := twostep.Options{
		Database: url, KeyFile: filepath.Join(dir, "keys"), PublicURL: s.URL, Site: "Example",
		Methods: []factor.Method{email.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: smtp.Send},
		SignUp:  "open", Now: s.Now,
		ParsePolicy: func([]byte) (twostep.Policy, error) { return twostep.Policy{}, nil },
		Logger:      slog.New(slog.NewJSONHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, setup := range setups {
		setup(&o)
	}
	s.Database, s.KeyFile, s.methods = o.Database, o.KeyFile, len(o.Methods)
	var err error
	if s.Server, err = twostep.New(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s.http.Config.Handler = s.Server
	t.Cleanup(s.End)
	anna := twostep.AccountParams{Email: AnnaEmail, Name: "Anna", FamilyName: "Adams", Password: AnnaPassword}
	if err := s.CreateAccount(t.Context(), anna); err != nil && err != twostep.ErrAccountExists {
		t.Fatal(err)
	}
	return s
}

// Stop stops listening and returns when all requests have been handled.
func (s *Server) Stop() { s.http.Close() }

// End stops listening and closes the server, so that another one can use its database.
func (s *Server) End() {
	s.ending.Do(func() {
		s.http.Close()
		if err := s.Server.Close(); err != nil {
			s.T.Error(err)
		}
	})
}

// Now is the server's clock.
func (s *Server) Now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// Turn turns it forward.
func (s *Server) Turn(d time.Duration) { s.ahead.Add(int64(d)) }

// Client is an app's: it knows nobody, and believes the certificate of the server.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}, Timeout: 30 * time.Second}
}

// Certificate is that of the server, for programs that are to believe it (PEM).
func (s *Server) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
}

// Browser is an HTTP client with its own cookies that follows no redirect.
type Browser struct {
	*http.Client
	CodePage string // where the last password led to
	s        *Server
}

// Browser starts a new one, without any cookie, in a network of its own: what one of them has
// used up is not another's.
func (s *Server) Browser() *Browser {
	n := s.networks.Add(1)
	return s.BrowserAt(fmt.Sprintf("127.%d.%d.7", 1+n/250, 1+n%250))
}

// BrowserAt starts one that comes from an address of this machine.
func (s *Server) BrowserAt(address string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.T.Fatal(err)
	}
	b := &Browser{s: s}
	b.Client = &http.Client{
		Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Timeout: 30 * time.Second,
	}
	return b.Move(address)
}

// Move takes the browser to another network: an address of this machine.
func (b *Browser) Move(address string) *Browser {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	b.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.s.roots}, ForceAttemptHTTP2: true, DialContext: dialer.DialContext}
	return b
}

// Answer is a response that has been read.
type Answer struct {
	*http.Response
	Body string
}

// Do sends a request and reads the answer.
func (b *Browser) Do(r *http.Request) Answer {
	b.s.T.Helper()
	resp, err := b.Client.Do(r)
	if err != nil {
		b.s.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.s.T.Fatal(err)
	}
	return Answer{resp, string(body)}
}

// Get opens a page.
func (b *Browser) Get(path string) Answer {
	b.s.T.Helper()
	r, err := http.NewRequest(http.MethodGet, b.s.URL+path, nil)
	if err != nil {
		b.s.T.Fatal(err)
	}
	return b.Do(r)
}

// Post sends a form as a page of ours does: pairs are names and values. It is as patient as a
// person: told to wait a little, it does, on the server's clock, and sends the form again.
func (b *Browser) Post(path string, pairs ...string) Answer {
	b.s.T.Helper()
	a := b.PostNow(path, pairs...)
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	page, _, _ := strings.Cut(path, "?")
	if guess := page == "/signin" || strings.HasSuffix(page, "/verify"); a.StatusCode != http.StatusTooManyRequests || err != nil || !guess || seconds > 60 {
		return a
	}
	b.s.Turn(time.Duration(seconds) * time.Second)
	return b.PostNow(path, pairs...)
}

// PostNow is Post without the patience.
func (b *Browser) PostNow(path string, pairs ...string) Answer {
	b.s.T.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequest(http.MethodPost, b.s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.s.URL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Do(r)
}

// Code is the first verification code in the mails after the first n: a notice may come before it.
func (s *Server) Code(n int) string {
	s.T.Helper()
	for ; ; n++ {
		if code := strings.TrimSpace(codeLine.FindString(s.Mail.Next(n))); code != "" {
			return code
		}
	}
}

var codeLine = regexp.MustCompile(`(?m)^\d{6}\r?$`)

// Code is the verification code in a mail.
func Code(t testing.TB, mail string) string {
	t.Helper()
	code := strings.TrimSpace(codeLine.FindString(mail))
	if code == "" {
		t.Fatalf("no code in %s", mail)
	}
	return code
}

// Wrong is a code that is not this one.
func Wrong(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// Log is what a program has written. It is safe for concurrent use.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is the whole log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
