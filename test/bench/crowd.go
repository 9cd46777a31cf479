package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"

	"twostep.example/twostep"
)

const (
	people      = 100 // sign in beside a flood, one after the other
	connections = 75  // of the flood
)

// flood is many sign-ins at the same time.
type flood struct {
	name      string
	addresses int    // that it comes from
	password  string // it tries
	account   string // whose; "": each address tries a name of its own
	known     bool   // in a browser that the account knows
	http2     bool
}

var floods = []flood{
	{"right passwords in one known browser", 1, secret, person, true, false},
	{"right passwords from 10 addresses, HTTP/2", 10, secret, person, false, true},
	{"wrong passwords from 1 address", 1, "not the password", "", false, false},
	{"wrong passwords from 1,000 addresses", 1000, "not the password", "", false, false},
	{"wrong passwords from 1,000 addresses, HTTP/2", 1000, "not the password", "", false, true},
}

// crowd measures how long the password of other people takes while a flood of sign-ins is under way, as a multiple of
// the time on a quiet server. It is an error if one of them is refused.
func (s *site) crowd(ctx context.Context, _ hashes) ([]item, error) {
	for i := range people {
		p := twostep.AccountParams{Email: fmt.Sprintf("person%d@example.com", i), Name: "Person", Password: secret}
		if err := s.CreateAccount(ctx, p); err != nil {
			return nil, err
		}
	}
	s.tomorrow()
	quiet, err := s.enterAll()
	if err != nil {
		return nil, err
	}
	base := quantile(quiet, 0.99)
	items := []item{{"password on a quiet server: p99", base, "ms", quantile(quiet, 0), measured}}
	for _, f := range floods {
		s.drain()
		known, err := s.in() // a day later
		if err != nil {
			return nil, err
		}
		stop := s.start(ctx, f, known)
		time.Sleep(2 * time.Second)
		times, err := s.enterAll()
		answers := stop()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		fmt.Printf("%s: %v\n", f.name, answers)
		items = append(items, item{"password beside " + f.name + ": p99 of the quiet", quantile(times, 0.99) / base, "×", 3, measured})
	}
	s.drain()
	return items, nil
}

// enterAll enters the password of each person, in a new browser at an address of their own.
func (s *site) enterAll() (times []time.Duration, err error) {
	for i := range people {
		b, err := s.browser()
		if err != nil {
			return nil, err
		}
		r, err := request(s.url+"/signin", "email", fmt.Sprintf("person%d@example.com", i), "password", secret)
		if err != nil {
			return nil, err
		}
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.7", i))
		began := time.Now()
		resp, err := b.Do(r)
		if err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther {
			return nil, fmt.Errorf("person %d: %s", i, resp.Status)
		}
	}
	return times, nil
}

// start sends the sign-ins of a flood until stop is called, which returns how many had which status.
func (s *site) start(ctx context.Context, f flood, known *http.Client) (stop func() map[int]int) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for c := range connections {
		all.Go(func() {
			client := s.connection(f, known)
			defer client.CloseIdleConnections()
			for n := c; ctx.Err() == nil; n += connections {
				resp, err := client.Do(s.flooding(f, n%f.addresses).WithContext(ctx))
				if err != nil {
					continue
				}
				resp.Body.Close()
				mu.Lock()
				answers[resp.StatusCode]++
				mu.Unlock()
			}
		})
	}
	return func() map[int]int { cancel(); all.Wait(); return answers }
}

// connection returns a client with a connection of its own.
func (s *site) connection(f flood, known *http.Client) *http.Client {
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!f.http2)
	t.Protocols.SetUnencryptedHTTP2(f.http2)
	jar, _ := cookiejar.New(nil) // without options it never fails
	client := &http.Client{Transport: t, Jar: jar, CheckRedirect: known.CheckRedirect}
	if f.known {
		client.Jar = known.Jar
	}
	return client
}

func (s *site) flooding(f flood, address int) *http.Request {
	name := f.account
	if name == "" {
		name = fmt.Sprintf("nobody%d@example.com", address)
	}
	r, err := request(s.url+"/signin", "email", name, "password", f.password)
	if err != nil {
		panic(err) // the URL is that of the server
	}
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("203.%d.%d.7", address/250, address%250))
	return r
}

// drain throws away the mails of the sign-ins.
func (s *site) drain() {
	for {
		select {
		case <-s.mail.taken:
		case <-time.After(time.Second):
			return
		}
	}
}
