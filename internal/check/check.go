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

// Visitor is the person who walks through the server.
type Visitor struct {
	URL      string // of the server, in local mode: its inbox is read
	Email    string // "": the demo account
	Password string
}

// Walk tries each sentence and writes what came of it. It turns the clock of a demo forward,
// and adds and removes factors of the account. ErrUsage, ErrFailed.
func Walk(ctx context.Context, who Visitor, out io.Writer) error {
	base, err := url.Parse(strings.TrimRight(who.URL, "/"))
	if err != nil || base.Host == "" {
		return fmt.Errorf("%w: url is %q, want one like http://127.0.0.1:8080", ErrUsage, who.URL)
	}
	v := &visitor{ctx: ctx, base: base, email: who.Email, password: who.Password}
	if err := v.arrive(); err != nil {
		return err
	}
	tries := tries()
	var passed, failed, notYet int
	for _, s := range sentences(v.site, base.Scheme+"://"+base.Host) {
		try, ok := tries[s.ID]
		if !ok {
			notYet++
			fmt.Fprintf(out, "not yet  %s\n", s.Text)
			continue
		}
		_ = v.turn(6 * time.Hour) // the mails of the tries before count no more; the clock of a real server stands
		if err := try(v.fresh()); err != nil {
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
