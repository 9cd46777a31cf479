// Package check runs the help page as a test against a running server.
// It sees what a person with a browser sees: pages.
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

// ErrUsage says that the server is not one that can be checked so, or that nobody said whom
// to sign in as.
var ErrUsage = errors.New("cannot check this server")

// ErrFailed says that not every sentence is true.
var ErrFailed = errors.New("not every sentence is true")

// Target is the person who walks through the server.
type Target struct {
	URL      string // of the server, in local mode: its inbox is read
	Email    string // "": the demo account
	Password string
}

// Run tries each sentence and writes what came of it. It turns the clock of a demo forward,
// and adds and removes factors of the account. ErrUsage, ErrFailed.
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
		) // the mails of the tries before count no more; the clock of a real server stands
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
