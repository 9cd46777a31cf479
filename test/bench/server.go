package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
)

const (
	person = "anna@example.com"
	secret = "correct horse battery"
)

// site is a server in this process, on plain http on loopback, with a clock that is
// turned by hand and a mail server that speaks STARTTLS.
type site struct {
	*twostep.Server
	url   string
	mail  *mailServer
	smtp  delivery.SMTP
	ahead atomic.Int64
	http  *httptest.Server

	secret string // of the app
}

func open(ctx context.Context, database, dir string) (*site, error) {
	s := &site{http: httptest.NewUnstartedServer(nil)}
	s.http.Config.Protocols = new(http.Protocols)
	s.http.Config.Protocols.SetHTTP1(true)
	s.http.Config.Protocols.SetUnencryptedHTTP2(true)
	s.http.Start()
	s.url = s.http.URL
	certified := httptest.NewTLSServer(nil) // only for its certificate
	defer certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	var err error
	if s.mail, err = startMail(certified.TLS); err != nil {
		return nil, err
	}
	s.smtp = delivery.SMTP{Host: "127.0.0.1", Port: s.mail.port, From: "Example <signin@example.com>", RootCAs: roots}
	o := twostep.Options{
		Database: database, KeyFile: filepath.Join(dir, "keys"), PublicURL: s.url, Site: "Example",
		Methods: []factor.Method{email.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: s.smtp.Send},
		Now:     func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
		Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		// Requests of a flood name their addresses themselves.
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	var hash string
	s.secret, hash = twostep.NewAppSecret()
	behind(&o, hash)
	if s.Server, err = twostep.New(ctx, o); err != nil {
		return nil, err
	}
	s.http.Config.Handler = s.Server
	return s, s.CreateAccount(ctx, twostep.AccountParams{Email: person, Name: "Anna", Password: secret})
}

func (s *site) close() error {
	s.http.Close()
	return errors.Join(s.Close(), s.mail.stop())
}

// server measures everything that goes through the pages and the store.
func server(ctx context.Context, store, database, dir string, h hashes, quick bool) (items []item, err error) {
	parts := []func(*site, context.Context, hashes) ([]item, error){
		(*site).clicks, (*site).work, (*site).checks, (*site).hosts, (*site).codes, (*site).signIns,
	}
	if !quick {
		parts = append(parts, (*site).crowd)
	}
	if items, err = measureParts(ctx, store, database, dir, h, parts); err != nil {
		return nil, err
	}
	some, err := trusts(ctx, database)
	for i := range some {
		some[i].Name += ", " + store
	}
	return append(items, some...), err
}

// measureParts measures some parts of a server on a new database.
func measureParts(ctx context.Context, store, database, dir string, h hashes,
	parts []func(*site, context.Context, hashes) ([]item, error)) (items []item, err error) {
	s, err := open(ctx, database, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, part := range parts {
		some, err := part(s, ctx, h)
		if err != nil {
			return nil, err
		}
		items = append(items, some...)
	}
	for i := range items {
		items[i].Name += ", " + store
	}
	return items, nil
}

// browser is a client with cookies that follows no redirect.
func (s *site) browser() (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, err
}

// post sends a form and insists on the status.
func (s *site) post(b *http.Client, status int, path string, pairs ...string) error {
	r, err := request(s.url+path, pairs...)
	if err != nil {
		return err
	}
	resp, err := b.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != status {
		return fmt.Errorf("POST %s: %s, want %d", path, resp.Status, status)
	}
	return nil
}

func request(url string, pairs ...string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form(pairs...)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r, nil
}

func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

// next is the next mail that the mail server takes.
func (s *site) next() (mail, error) {
	select {
	case m := <-s.mail.taken:
		return m, nil
	case <-time.After(20 * time.Second):
		return mail{}, errors.New("no mail in 20 s")
	}
}

var sixDigits = regexp.MustCompile(`(?m)^\d{6}\r?$`)

func code(m mail) string { return strings.TrimSpace(sixDigits.FindString(m.text)) }

// in is a browser whose person is in.
func (s *site) in() (*http.Client, error) {
	s.tomorrow()
	b, err := s.browser()
	if err != nil {
		return nil, err
	}
	if err := s.post(b, http.StatusSeeOther, "/signin", "email", person, "password", secret); err != nil {
		return nil, err
	}
	m, err := s.next()
	if err == nil {
		err = s.settle(b)
	}
	if err != nil {
		return nil, err
	}
	return b, s.post(b, http.StatusSeeOther, "/signin/verify", "code", code(m))
}
