package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"twostep.example/twostep"
)

type explainCommand struct {
	Settings  settings `embed:"" group:"settings"`
	Account   string   `placeholder:"EMAIL" help:"The account."`
	Address   string   `placeholder:"ADDR" help:"The network address somebody comes from; none: nobody knows it."`
	UserAgent string   `name:"user-agent" placeholder:"TEXT" help:"The header User-Agent of their browser."`
	Hints     string   `name:"sec-ch-ua" placeholder:"TEXT" help:"The header Sec-CH-UA of their browser, if it sends one."`
	At        string   `placeholder:"TIME" help:"When, like 2026-11-25T09:30:00Z. Default: now. For what has been decided, give --trace: records may have been replaced since."`
	Trace     string   `placeholder:"TRACE" help:"Instead of all that: the trace of a decision that was made, from the log or the history."`
}

// Run prints what is decided about a right password, and by what: trusted, or the first
// reason why the second step is asked for. It decides and sends nothing.
func (c *explainCommand) Run(ctx context.Context, to console, from *sources) error {
	q, err := c.question()
	if err != nil {
		return usageError{err}
	}
	return withExisting(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		var all []twostep.Explanation
		if c.Trace != "" {
			var one twostep.Explanation
			one, err = server.Replay(ctx, c.Trace)
			all = append(all, one)
		} else {
			all, err = server.Explain(ctx, q)
		}
		if errors.Is(err, twostep.ErrUnknown) {
			return fmt.Errorf("nothing is known of %s%s", c.Account, c.Trace)
		}
		if err != nil {
			return err
		}
		for i, e := range all {
			if c.Trace == "" {
				fmt.Fprintln(to.out, heading(i, len(all)))
			}
			fmt.Fprint(to.out, printed(e))
		}
		return nil
	})
}

func (c *explainCommand) question() (q twostep.Question, err error) {
	q = twostep.Question{Email: c.Account, UserAgent: c.UserAgent, Hints: c.Hints}
	if (c.Account == "") == (c.Trace == "") {
		return q, errors.New("give --account, or --trace")
	}
	if c.Address != "" {
		if q.Address, err = netip.ParseAddr(c.Address); err != nil {
			return q, fmt.Errorf("address is %q, want one like 203.0.113.5", c.Address)
		}
	}
	if c.At != "" {
		if q.At, err = time.Parse(time.RFC3339Nano, c.At); err != nil {
			return q, fmt.Errorf("at is %q, want a time like 2026-11-25T09:30:00Z", c.At)
		}
	}
	return q, nil
}

// heading says which browser a decision is about: the last one has no record.
func heading(i, n int) string {
	before := ""
	if i > 0 {
		before = "\n"
	}
	if i == n-1 {
		return before + "in a browser that has no record:"
	}
	return fmt.Sprintf("%sin browser %d of %d that were verified:", before, i+1, n-1)
}

// printed is a decision for people, and the same text for the same decision.
func printed(e twostep.Explanation) string {
	var b strings.Builder
	verdict := "asked: " + e.Reason
	if e.Reason == "trusted" {
		verdict = e.Reason
	}
	fmt.Fprintf(&b, "%s\n  trace    %s\n  at       %s\n  address  %s\n  browser  %s\n", verdict, e.Trace, e.At.UTC().Format(time.RFC3339Nano), orNone(e.Address), orNone(e.Browser))
	if len(e.Records) == 0 {
		fmt.Fprintln(&b, "  record   none")
	}
	for _, r := range e.Records {
		mark := " "
		if r.Decided {
			mark = "→"
		}
		fmt.Fprintf(&b, "%s record   %s: verified %s from %s with %s\n", mark, r.Reason, r.Verified.UTC().Format(time.RFC3339Nano), orNone(r.Place), orNone(r.Browser))
	}
	return b.String()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
