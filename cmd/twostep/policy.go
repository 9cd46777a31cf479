package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"twostep.example/twostep"
)

type policyTryCommand struct {
	Settings settings `embed:"" group:"settings"`
	File     string   `arg:"" placeholder:"FILE" help:"A configuration file with the tables of the other policy; the rest of it is ignored"`
}

// Run prints what the sign-ins of the last 60 days would have been under the policy of a file. It changes nothing.
func (c *policyTryCommand) Run(ctx context.Context, to console, from *settingSources) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return usageError{err}
	}
	other, err := parsePolicy(c.File, text)
	if err != nil {
		return usageError{err}
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		preview, err := server.PreviewPolicy(ctx, other)
		if err != nil {
			return err
		}
		return writePreview(to.out, preview)
	})
}

func writePreview(w io.Writer, p twostep.PolicyPreview) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sign-ins of %d people since %s\n", p.Decisions, p.Accounts, p.Since.UTC().Format("2006-01-02"))
	fmt.Fprintf(&b, "asked for a code: %d\nwould have been asked: %d (%+d)\n", p.Asked, p.WouldAsk, p.WouldAsk-p.Asked)
	fmt.Fprintf(&b, "people who would have to set up a method: %d\npeople who would have no way in: %d\n", p.SetUp,
		p.NoWayIn)
	if p.Inexact > 0 {
		fmt.Fprintf(&b, "sign-ins that cannot be decided again: %d\n", p.Inexact)
	}
	for _, one := range p.People {
		fmt.Fprintf(&b, "%s: %d sign-ins, asked %d times, would have been %d times", one.Email, one.Decisions, one.Asked,
			one.WouldAsk)
		switch {
		case one.NoWayIn:
			b.WriteString(", would have no way in")
		case one.SetUp && one.From.IsZero():
			b.WriteString(", would have to set up a method at once")
		case one.SetUp:
			fmt.Fprintf(&b, ", would have to set up a method by %s", one.From.Format("2006-01-02"))
		}
		b.WriteString("\n")
	}
	if p.Omitted > 0 {
		fmt.Fprintf(&b, "and %d more people\n", p.Omitted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type policyPresetsCommand struct{}

// Run prints the presets, each setting with its source.
func (c *policyPresetsCommand) Run(to console) error {
	var b strings.Builder
	for i, p := range twostep.PolicyPresets() {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Title)
		for _, s := range p.Settings {
			fmt.Fprintf(&b, "  %s = %q\n    %s\n    %s\n", s.Key, s.Value, s.Source, s.URL)
		}
	}
	_, err := io.WriteString(to.out, b.String())
	return err
}

// formatPolicy says what holds and which rule set it.
func formatPolicy(lines []twostep.PolicyLine) string {
	var b strings.Builder
	for _, l := range lines {
		if l.Value == "" {
			continue
		}
		fmt.Fprintf(&b, "  %-16s %s, from %s\n", l.Key, l.Value, l.By)
	}
	return b.String()
}
