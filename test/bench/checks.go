package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	clients = 8
	window  = 3 * time.Second
)

// checks measures pages that need a session beside a bare server that does no more than
// a session needs: parse the cookie, hash it, look it up.
func (s *site) checks(context.Context, hashes) ([]item, error) {
	b, err := s.in()
	if err != nil {
		return nil, err
	}
	cookies := s.cookies(b)
	if len(cookies) == 0 {
		return nil, errors.New("no session cookie")
	}
	bare := bareServer(cookies[0])
	defer bare.Close()
	settings := func(url string) func() (*http.Request, error) {
		return func() (*http.Request, error) {
			return get(url+"/settings", cookies)
		}
	}
	most, err := rate(settings(bare.URL))
	if err != nil {
		return nil, err
	}
	ours, err := rate(settings(s.url))
	return []item{
		{"session check with its page", ours, "/s", most, measured},
		{"session check, part of a bare server's", ours / most, "", 1, measured},
	}, err
}

func get(address string, cookies []*http.Cookie) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r, nil
}

func (s *site) cookies(b *http.Client) []*http.Cookie {
	at, err := url.Parse(s.url)
	if err != nil {
		return nil
	}
	return b.Jar.Cookies(at)
}

func bareServer(known *http.Cookie) *httptest.Server {
	people := map[[32]byte]string{sha256.Sum256([]byte(known.Value)): person}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(known.Name)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		who, ok := people[sha256.Sum256([]byte(c.Value))]
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, who)
	}))
}

// rate is how many requests a second are answered with 200 to some clients at once. They
// run on the same processors, beside the bare server as well.
func rate(asking func() (*http.Request, error)) (float64, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	return perSecond(clients, func() error {
		r, err := asking()
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", r.URL, resp.Status)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	})
}

// perSecond is how often a second so many at once can do something.
func perSecond(many int, do func() error) (float64, error) {
	var all sync.WaitGroup
	var n atomic.Int64
	failed := make(chan error, many)
	began := time.Now()
	for range many {
		all.Go(func() {
			for time.Since(began) < window {
				if err := do(); err != nil {
					failed <- err
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(began).Seconds()
	close(failed)
	return float64(n.Load()) / took, <-failed
}

// signIns measures whole sign-ins, password and code, from the first click to the
// session. The machine's own ceiling is the hashes it computes.
func (s *site) signIns(_ context.Context, h hashes) ([]item, error) {
	// Each person waits for a mail with the code of their own sign-in: with one account
	// for all, a mail does not say whose it is, so they come one after the other here.
	one, err := perSecond(1, func() error { _, err := s.in(); return err })
	return []item{
		{"whole sign-ins, one after the other", one, "/s", h.perSecond / float64(runtime.GOMAXPROCS(0)), measured},
	}, err
}
