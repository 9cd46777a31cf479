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
var ErrFailed = errors.New("not every sentence is true")

// Target is the server and the account to check it with.
type Target struct {
	URL      string // of a server in local mode: the check reads its inbox
	Email    string // "": the demo account's
	Password string
}

// Run checks each sentence of the help page and writes one line for each to out. It moves the clock of a demo server
// forward, and adds and removes factors of the account. It returns ErrUsage if the server cannot be checked, and
// ErrFailed if a sentence is not true.
func Run(ctx context.Context, target Target, out io.Writer) error {
	base, err := url.Parse(strings.TrimRight(target.URL, "/"))
	if err != nil || base.Host == "" {
		return fmt.Errorf("%w: url is %q, want one like http://127.0.0.1:8080", ErrUsage, target.URL)
	}
	v := &testUser{ctx: ctx, base: base, email: target.Email, password: target.Password}
	if err := v.connect(); err != nil {
		return err
	}
	checks := checksBySentence()
	var passed, failed, notYet int
	for _, s := range helpSentences(v.siteName, base.Scheme+"://"+base.Host) {
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
