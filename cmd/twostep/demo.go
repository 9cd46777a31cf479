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

// demoClock is a clock that can be advanced: the demo has buttons to let a code expire (15 minutes)
// or trust end (30 days).
//
// The offset is stored in a file. A restart that reset it would leave rate limits and codes in the
// future.
type demoClock struct {
	file   string
	mu     sync.Mutex
	offset time.Duration
}

func openDemoClock(file string) (*demoClock, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &demoClock{file: file}, nil
	}
	if err != nil {
		return nil, err
	}
	ahead, err := time.ParseDuration(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &demoClock{file: file, offset: ahead}, nil
}

// Now returns the time on this clock.
func (c *demoClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// Advance moves the clock forward by d; a negative d has no effect.
func (c *demoClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += max(d, 0)
	// A file that cannot be written matters only after a restart of a demo.
	_ = os.WriteFile(c.file, []byte(c.offset.String()), 0o600)
}

// useDemoClock gives o a clock that the inbox page can advance.
func useDemoClock(o *twostep.Options, data string) error {
	c, err := openDemoClock(filepath.Join(data, "demo-clock"))
	if err != nil {
		return err
	}
	o.Now, o.Local.AdvanceClock, o.Local.Inbox.Now = c.Now, c.Advance, c.Now
	return nil
}

// addDemoAccount creates the demo account if it does not exist. Its password is generated once and
// stored in the data folder, so that it is the same after a restart.
func addDemoAccount(ctx context.Context, server *twostep.Server, inbox *delivery.Inbox, data,
	public string) (twostep.AccountParams, error) {
	account := twostep.AccountParams{Email: "demo@example.com", Name: "Demo"}
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
	err = server.CreateAccount(ctx, account)
	switch {
	case err == nil:
		return account, inbox.Send(ctx, welcomeMessage(account, public))
	case !errors.Is(err, twostep.ErrAccountExists):
		return account, err
	case fresh: // so it is not the password of the existing account
		return account, errors.Join(fmt.Errorf("the demo account exists, but the file with its password, %s, is "+
			"missing: delete %s to start over", file, data), os.Remove(file))
	}
	return account, nil
}

// welcomeMessage is the first message of the demo: it shows where mail arrives.
func welcomeMessage(account twostep.AccountParams, public string) delivery.Message {
	return delivery.Message{
		ID:      "welcome-to-the-demo",
		Channel: delivery.Email,
		To:      account.Email,
		Subject: "Welcome to Twostep",
		Text: "Hello,\n\nThis is the inbox of your demo. The demo sends nothing. All emails\n" +
			"and text messages arrive here, with your verification codes.\n\n" +
			"Sign in: " + public + "/signin\nEmail: " + account.Email + "\nPassword: " + account.Password + "\n\n" +
			"Sample app, with 2-Step verification in its settings: " + public + "/demo/\n\n" +
			"A code is valid for 15 minutes. The buttons of this inbox move the\n" +
			"demo's clock forward, so that you can see a code expire without waiting.\n",
	}
}
