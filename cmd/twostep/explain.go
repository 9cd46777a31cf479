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

// Run prints the trust decision for a sign-in with the correct password: trusted, or the first
// reason why not. It changes and sends nothing.
func (c *explainCommand) Run(ctx context.Context, to console, from *settingSources) error {
	q, err := c.trustQuery()
	if err != nil {
		return usageError{err}
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		var all []twostep.TrustDecision
		if c.Trace != "" {
			var one twostep.TrustDecision
			one, err = server.ReplayDecision(ctx, c.Trace)
			all = append(all, one)
		} else {
			all, err = server.ExplainTrust(ctx, q)
		}
		if errors.Is(err, twostep.ErrAccountNotFound) {
			return fmt.Errorf("nothing is known of %s%s", c.Account, c.Trace)
		}
		if err != nil {
			return err
		}
		for i, e := range all {
			if c.Trace == "" {
				fmt.Fprintln(to.out, decisionHeading(i, len(all)))
			}
			fmt.Fprint(to.out, formatDecision(e))
		}
		return nil
	})
}

func (c *explainCommand) trustQuery() (q twostep.TrustQuery, err error) {
	q = twostep.TrustQuery{Email: c.Account, UserAgent: c.UserAgent, ClientHints: c.Hints}
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

// decisionHeading says which device a decision is about: the last one has no record.
func decisionHeading(i, n int) string {
	before := ""
	if i > 0 {
		before = "\n"
	}
	if i == n-1 {
		return before + "in a browser that has no record:"
	}
	return fmt.Sprintf("%sin browser %d of %d that were verified:", before, i+1, n-1)
}

// formatDecision formats a decision for people; equal decisions have equal texts.
func formatDecision(e twostep.TrustDecision) string {
	var b strings.Builder
	verdict := "asked: " + e.Reason
	if e.Reason == "trusted" {
		verdict = e.Reason
	}
	fmt.Fprintf(&b, "%s\n  trace    %s\n  at       %s\n  address  %s\n  browser  %s\n", verdict, e.Trace,
		e.At.UTC().Format(time.RFC3339Nano), orNone(e.Address), orNone(e.Browser))
	if len(e.Records) == 0 {
		fmt.Fprintln(&b, "  record   none")
	}
	for _, r := range e.Records {
		marker := " "
		if r.Decisive {
			marker = "→"
		}
		fmt.Fprintf(&b, "%s record   %s: verified %s from %s with %s\n", marker, r.Reason,
			r.VerifiedAt.UTC().Format(time.RFC3339Nano), orNone(r.Network), orNone(r.Browser))
	}
	return b.String()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
