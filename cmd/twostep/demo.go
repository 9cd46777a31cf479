package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
)

// clock is a clock that can be turned forward. Nobody waits 15 minutes to see a code expire, or
// 30 days to see the trust in a browser end: in the demo, a button shows both.
//
// How far it was turned is kept in a file. A restart that turned it back would leave waits and
// codes from the future, and the person would have to wait for real.
type clock struct {
	file  string
	mu    sync.Mutex
	ahead time.Duration
}

func openClock(file string) (*clock, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &clock{file: file}, nil
	}
	if err != nil {
		return nil, err
	}
	ahead, err := time.ParseDuration(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &clock{file: file, ahead: ahead}, nil
}

// Now returns the time on this clock.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Turn moves the clock forward by d, never back.
func (c *clock) Turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += max(d, 0)
	// A file that cannot be written matters only after a restart of a demo.
	_ = os.WriteFile(c.file, []byte(c.ahead.String()), 0o600)
}

// turnable gives o a clock that its inbox page can turn forward.
func turnable(o *twostep.Options, data string) error {
	c, err := openClock(filepath.Join(data, "demo-clock"))
	if err != nil {
		return err
	}
	o.Now, o.Local.Turn, o.Local.Inbox.Now = c.Now, c.Turn, c.Now
	return nil
}

// addDemoAccount makes sure that the demo account exists. Its password is made once and kept in
// the data folder, so that it is the same after a restart.
func addDemoAccount(ctx context.Context, server *twostep.Server, inbox *delivery.Inbox, data, public string) (twostep.NewAccount, error) {
	account := twostep.NewAccount{Email: "demo@example.com", Name: "Demo"}
	file := filepath.Join(data, "demo-account")
	text, err := os.ReadFile(file)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case fresh:
		account.Password = strings.ToLower(rand.Text()[:16])
		err = os.WriteFile(file, []byte(account.Email+" "+account.Password+"\n"), 0o600)
	case err == nil:
		_, account.Password, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
	}
	if err != nil {
		return account, err
	}
	err = server.AddAccount(ctx, account)
	switch {
	case err == nil:
		return account, inbox.Send(ctx, welcome(account, public))
	case !errors.Is(err, twostep.ErrExists):
		return account, err
	case fresh: // and so not the password of the account that exists
		return account, errors.Join(fmt.Errorf("the demo account exists, but %s with its password is gone: remove %s to start afresh", file, data), os.Remove(file))
	}
	return account, nil
}

// welcome is the first message of the demo: it shows where mail arrives.
func welcome(account twostep.NewAccount, public string) delivery.Message {
	return delivery.Message{
		ID:      "welcome-to-the-demo",
		Channel: delivery.Email,
		To:      account.Email,
		Subject: "Welcome to Twostep",
		Text: "Hello,\n\nthis is the inbox of your demo. No mail leaves this machine: what the server would\n" +
			"send arrives here, and so will your verification code when you sign in.\n\n" +
			"Sign in: " + public + "/signin\nEmail: " + account.Email + "\nPassword: " + account.Password + "\n\n" +
			"An app that you come in to by it, whose settings lead to 2-Step verification: " + public + "/demo/\n\n" +
			"The code is valid for 15 minutes. The buttons of this inbox turn the demo's clock forward,\n" +
			"so you can see it expire without waiting.\n",
	}
}
