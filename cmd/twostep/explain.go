package main

import (
	"cmp"
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
	Account   string   `placeholder:"EMAIL" help:"Explain a sign-in to this account"`
	Address   string   `placeholder:"ADDR" help:"Use this client address (default: unknown)"`
	UserAgent string   `name:"user-agent" placeholder:"TEXT" help:"Use this User-Agent header of the browser"`
	Hints     string   `name:"sec-ch-ua" placeholder:"TEXT" help:"Use this Sec-CH-UA header of the browser"`
	At        string   `placeholder:"TIME" help:"Explain a sign-in at this time, like 2026-11-25T09:30:00Z (default: now); to explain a past sign-in, use --trace"`
	Trace     string   `placeholder:"TRACE" help:"Explain the past sign-in with this trace, from the log or the page Trusted devices; replaces all other flags"`
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
			return c.notFound()
		}
		if err != nil {
			return err
		}
		for i, e := range all {
			if c.Trace == "" {
				fmt.Fprintln(to.out, decisionHeading(i, len(all)))
			}
			fmt.Fprint(to.out, formatDecision(e, c.Trace != ""))
		}
		return nil
	})
}

func (c *explainCommand) trustQuery() (q twostep.TrustQuery, err error) {
	q = twostep.TrustQuery{Email: c.Account, UserAgent: c.UserAgent, ClientHints: c.Hints}
	if (c.Account == "") == (c.Trace == "") {
		return q, errors.New("give either --account, like --account anna@example.com, or --trace")
	}
	if c.Address != "" {
		if q.Address, err = netip.ParseAddr(c.Address); err != nil {
			return q, fmt.Errorf("--address is %q, want an IP address like 203.0.113.5", c.Address)
		}
	}
	if c.At != "" {
		if q.At, err = time.Parse(time.RFC3339Nano, c.At); err != nil {
			return q, fmt.Errorf("--at is %q, want a time like 2026-11-25T09:30:00Z", c.At)
		}
	}
	return q, nil
}

func (c *explainCommand) notFound() error {
	if c.Trace != "" {
		return fmt.Errorf("there is no decision with the trace %s; decisions are kept for 60 days", c.Trace)
	}
	return fmt.Errorf("there is no account with the email address %s", c.Account)
}

// decisionHeading says which browser a decision is about: the last one has no record.
func decisionHeading(i, n int) string {
	before := ""
	if i > 0 {
		before = "\n"
	}
	if i == n-1 {
		return before + "In a browser that is new to the account:"
	}
	return fmt.Sprintf("%sIn browser %d of the %d known to the account:", before, i+1, n-1)
}

// trustReasons say why a code is needed, by the reason of a decision.
var trustReasons = map[string]string{
	"off":       "trusted devices are switched off (trust.days is 0)",
	"none":      "this browser is not a trusted device of the account",
	"password":  "the password was changed after the device was trusted",
	"factor":    "a verification method was added, changed or removed after the device was trusted",
	"recovery":  "a recovery code was used after the device was trusted",
	"desk":      "a code from the help desk was used after the device was trusted",
	"revoked":   "the owner of the account removed the device",
	"signedout": "the owner of the account signed out everywhere",
	"operator":  "an operator removed the device",
	"disabled":  "the account was disabled after the device was trusted",
	"restored":  "the database was restored from a backup after the device was trusted",
	"stolen":    "a copy of the device cookie was used",
	"changed":   "the account was changed after the device was trusted",
	"browser":   "the device was trusted with another browser or system",
	"older":     "the device was trusted with a newer version of the browser",
	"unknown":   "the client address is unknown",
	"network":   "the device was not trusted on this network",
	"clock":     "the clock of the server was set back",
	"expired":   "the trust has expired",
}

// formatDecision formats a decision for people; equal decisions have equal texts.
func formatDecision(e twostep.TrustDecision, past bool) string {
	var b strings.Builder
	is := "is"
	if past {
		is = "was"
	}
	if e.Reason == "trusted" {
		fmt.Fprintf(&b, "No code %s needed: the device %s trusted on this network.\n", is, is)
	} else {
		fmt.Fprintf(&b, "A code %s needed: %s.\n", is, cmp.Or(trustReasons[e.Reason], e.Reason))
	}
	fmt.Fprintf(&b, "  trace    %s\n  time     %s\n  address  %s\n  browser  %s\n", e.Trace,
		e.At.UTC().Format(time.RFC3339Nano), cmp.Or(e.Address, "unknown"), cmp.Or(e.Browser, "unknown"))
	if len(e.Records) == 0 {
		fmt.Fprintln(&b, "  network  none is trusted")
	}
	for _, r := range e.Records {
		marker, reason := " ", "trusted"
		if r.Decisive {
			marker = "→"
		}
		if r.Reason != "trusted" {
			reason = "not trusted, because " + cmp.Or(trustReasons[r.Reason], r.Reason)
		}
		fmt.Fprintf(&b, "%s network  %s, verified at %s with %s: %s\n", marker, cmp.Or(r.Network, "unknown"),
			r.VerifiedAt.UTC().Format(time.RFC3339Nano), cmp.Or(r.Browser, "an unknown browser"), reason)
	}
	return b.String()
}
