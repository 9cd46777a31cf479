package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
)

const (
	burst      = 1000 // sign-ins
	burstUsers = 40   // so that none of them reaches a limit
	burstWide  = 4    // at once
)

// memoryUse is in MB.
type memoryUse struct{ start, peak, later, demo float64 }

// memories measures the memory of the program as the system counts it, also after it has hashed passwords.
func memories(ctx context.Context, binary, dir string) (m memoryUse, err error) {
	data := filepath.Join(dir, "memory")
	p, _, err := start(ctx, binary, data)
	if err != nil {
		return m, err
	}
	if err := errors.Join(p.end(), joinAll(ctx, data)); err != nil {
		return m, err
	}
	if p, _, err = start(ctx, binary, data); err != nil {
		return m, err
	}
	time.Sleep(time.Second)
	m.start, err = p.memory()
	if err == nil {
		err = p.signInAll()
	}
	if err == nil {
		m.peak, err = p.status("VmHWM:")
	}
	if err == nil {
		time.Sleep(10 * time.Second)
		m.later, err = p.memory()
	}
	if err := errors.Join(err, p.end()); err != nil {
		return m, err
	}
	demo, _, err := start(ctx, binary, filepath.Join(dir, "demo"), "--demo")
	if err != nil {
		return m, err
	}
	time.Sleep(10 * time.Second)
	m.demo, err = demo.memory()
	return m, errors.Join(err, demo.end())
}

func burstUser(i int) string { return fmt.Sprintf("user%d@example.com", i) }

// joinAll creates the accounts.
func joinAll(ctx context.Context, data string) error {
	s, err := twostep.New(ctx, twostep.Options{
		Database: filepath.Join(data, "twostep.db"), KeyFile: filepath.Join(data, "keys"), PublicURL: "http://127.0.0.1:1",
		NoBackgroundWork: true, Methods: []factor.Method{email.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{
			delivery.Email: func(context.Context, delivery.Message) error { return nil },
		},
	})
	if err != nil {
		return err
	}
	for i := range burstUsers {
		a := twostep.AccountParams{Email: burstUser(i), Name: "User", Password: secret}
		if err := s.CreateAccount(ctx, a); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.Close()
}

// signInAll enters correct passwords and opens the page for the code.
func (p *process) signInAll() error {
	var all sync.WaitGroup
	failed := make(chan error, burstWide)
	for n := range burstWide {
		all.Go(func() {
			for i := n; i < burst; i += burstWide {
				if err := p.signIn(burstUser(i % burstUsers)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func (p *process) signIn(email string) error {
	b := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	defer b.CloseIdleConnections()
	r, err := request(p.url+"/signin", "email", email, "password", secret)
	if err != nil {
		return err
	}
	w, err := b.Do(r)
	if err != nil {
		return err
	}
	w.Body.Close()
	if w.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("a sign-in of %s: %s", email, w.Status)
	}
	if r, err = get(p.url+"/signin/verify", w.Cookies()); err != nil {
		return err
	}
	if w, err = b.Do(r); err != nil {
		return err
	}
	defer w.Body.Close()
	_, err = io.Copy(io.Discard, w.Body)
	return err
}
