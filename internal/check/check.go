// Package check runs the help page as a test against a running server.
// It uses the pages, like a person with a browser.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// ErrUsage means that the server cannot be checked, or that there is no account to sign in with.
var ErrUsage = errors.New("cannot check this server")

// ErrFailed means that at least one sentence is not true of the server.
var ErrFailed = errors.New("not every sentence of the help page is true of this server")

// Target is the server and the account to check it with.
type Target struct {
	URL      string // of a server in local mode: the check reads its inbox
	InboxKey string // opens the inbox of the server; delivery.Inbox.Key returns it
	Email    string // "": a new account, which a demo server creates at AccountPath
	Password string // of Email
}

// AccountPath is where serve --demo creates an account for one run of the check. It answers a POST with Account as
// JSON.
const AccountPath = "/demo/check-account"

// InboxCookie is the cookie in which a browser stores the key of the inbox.
const InboxCookie = "inbox"

// Account is a new account for one run.
type Account struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// Run checks each sentence of the help page and writes one line for each to out. It moves the clock of a demo server
// forward, by more than 30 days, and adds and removes factors of the account. It returns ErrUsage if the server or the
// account cannot be checked, and ErrFailed if a sentence is not true.
func Run(ctx context.Context, target Target, out io.Writer) error {
	return run(ctx, target, out, patience{first: 10 * time.Second, later: time.Second / 2})
}

func run(ctx context.Context, target Target, out io.Writer, wait patience) error {
	base, err := url.Parse(strings.TrimRight(target.URL, "/"))
	if err != nil || base.Host == "" {
		return fmt.Errorf("%w: url is %q, want one like http://127.0.0.1:8080", ErrUsage, target.URL)
	}
	if target.Email != "" && target.Password == "" {
		return fmt.Errorf("%w: set TWOSTEP_CHECK_PASSWORD to the password of %s", ErrUsage, target.Email)
	}
	v := &testUser{ctx: ctx, base: base, inboxKey: target.InboxKey, email: target.Email, password: target.Password, patience: &wait}
	if err := v.connect(); err != nil {
		return err
	}
	checks := checksBySentence()
	var passed, failed, notYet int
	for _, s := range helpSentences(v.siteName, base.Scheme+"://"+base.Host, v.menu) {
		check, ok := checks[s.ID]
		if !ok {
			notYet++
			fmt.Fprintf(out, "not yet  %s\n", s.Text)
			continue
		}
		_ = v.advanceClock(
			6 * time.Hour,
		) // so that send limits have passed; fails on a server without a demo clock
		if err := check(v.newBrowser()); err != nil {
			failed++
			fmt.Fprintf(out, "fail     %s\n         %v\n", s.Text, strings.ReplaceAll(err.Error(), "\n", "\n         "))
			continue
		}
		passed++
		fmt.Fprintf(out, "pass     %s\n", s.Text)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d not yet\n", passed, failed, notYet)
	if failed > 0 {
		return ErrFailed
	}
	return nil
}
