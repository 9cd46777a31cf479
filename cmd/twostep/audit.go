package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"twostep.example/twostep"
)

type auditCommand struct {
	Settings settings `embed:"" group:"settings"`
	Account  string   `placeholder:"EMAIL" help:"List only events of this account, by email address or ID"`
	Kind     []string `placeholder:"KIND" help:"List only these kinds of events, like session.created; see docs/audit.md"`
	Result   string   `placeholder:"RESULT" enum:",success,failure" default:"" help:"List only events with this result: success or failure"`
	Address  string   `placeholder:"ADDR" help:"List only events from this IP address"`
	Since    string   `placeholder:"TIME" help:"List only events since this time, like 2026-11-25T09:30:00Z, or 24h for a day ago"`
	Until    string   `placeholder:"TIME" help:"List only events before this time"`
	Limit    int      `placeholder:"N" default:"50" help:"List at most this many of the newest events; 0 lists all"`
	JSON     bool     `name:"json" xor:"format" help:"Print JSON, one event per line"`
	CSV      bool     `name:"csv" xor:"format" help:"Print CSV with a header"`
	Follow   bool     `help:"Print the oldest events first, then new ones as they are recorded"`
}

// Run prints audit events, newest first.
func (c *auditCommand) Run(ctx context.Context, to console, from *settingSources) error {
	filter, err := c.filter(time.Now())
	if err != nil {
		return usageError{err}
	}
	out := c.printer(to.out)
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		events, err := pages(ctx, server, filter, c.Limit)
		if errors.Is(err, twostep.ErrAccountNotFound) {
			return fmt.Errorf("there is no account %s", c.Account)
		}
		if err != nil {
			return err
		}
		if !c.Follow {
			return out.print(events)
		}
		slices.Reverse(events)
		if err := out.print(events); err != nil {
			return err
		}
		return c.follow(ctx, server, filter, out, events)
	})
}

// filter parses the flags.
func (c *auditCommand) filter(now time.Time) (f twostep.AuditFilter, err error) {
	f = twostep.AuditFilter{Account: c.Account, Kinds: c.Kind, Result: c.Result, Address: c.Address}
	for _, kind := range c.Kind {
		if !slices.Contains(twostep.AuditKinds(), kind) {
			return f, kindError(kind)
		}
	}
	if c.Address != "" {
		address, err := netip.ParseAddr(c.Address)
		if err != nil {
			return f, fmt.Errorf("--address is %q, want an IP address like 203.0.113.5", c.Address)
		}
		f.Address = address.String()
	}
	if f.Since, err = moment("since", c.Since, now); err != nil {
		return f, err
	}
	if f.Until, err = moment("until", c.Until, now); err != nil {
		return f, err
	}
	switch {
	case !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until):
		return f, errors.New("--since must be before --until")
	case c.Limit < 0:
		return f, fmt.Errorf("--limit is %d, want 1 or more, or 0 for all events", c.Limit)
	case c.Follow && c.Until != "":
		return f, errors.New("--follow waits for new events: leave out --until")
	}
	return f, nil
}

// kindError names the kinds that may have been meant, or all.
func kindError(kind string) error {
	all := twostep.AuditKinds()
	if list := similar(kind, all); len(list) > 0 {
		return fmt.Errorf("--kind is %q: did you mean %s?", kind, orList(list))
	}
	return fmt.Errorf("--kind is %q, want one of: %s", kind, strings.Join(all, " "))
}

// moment parses a time (RFC 3339), or a duration before now.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Time{}, fmt.Errorf("--%s is %q, want a time like 2026-11-25T09:30:00Z, or how long ago, like 24h", flag, text)
}

// pages reads up to limit events, newest first; 0 is all.
func pages(ctx context.Context, server *twostep.Server, f twostep.AuditFilter, limit int) (all []twostep.AuditEvent,
	err error) {
	const page = 1000
	for {
		f.Limit = page
		if limit > 0 {
			f.Limit = min(page, limit-len(all))
		}
		events, err := server.AuditEvents(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
		if len(events) < f.Limit || limit > 0 && len(all) >= limit {
			return all, nil
		}
		f.Before = &all[len(all)-1]
	}
}

const (
	followEvery = time.Second
	// followLate is how late an event may appear: its time is the start of its transaction, and it
	// is visible after the commit.
	followLate = time.Minute
)

// follow prints new events until ctx ends. It looks back by followLate each time and skips what it
// has printed.
func (c *auditCommand) follow(ctx context.Context, server *twostep.Server, f twostep.AuditFilter, out printer,
	printed []twostep.AuditEvent) error {
	latest := time.Now()
	if len(printed) > 0 {
		latest = printed[len(printed)-1].Time
	}
	seen := map[string]time.Time{}
	for _, e := range printed {
		seen[e.ID] = e.Time
	}
	since := f.Since
	if c.Limit > 0 && len(printed) == c.Limit && printed[0].Time.After(since) {
		since = printed[0].Time // older events were cut off by the limit
	}
	for tick := time.NewTicker(followEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
		if f.Since = latest.Add(-followLate); f.Since.Before(since) {
			f.Since = since
		}
		events, err := pages(ctx, server, f, 0)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		events = slices.DeleteFunc(events, func(e twostep.AuditEvent) bool { _, ok := seen[e.ID]; return ok })
		slices.Reverse(events)
		if err := out.print(events); err != nil {
			return err
		}
		for _, e := range events {
			seen[e.ID] = e.Time
			if e.Time.After(latest) {
				latest = e.Time
			}
		}
		for id, at := range seen {
			if at.Before(f.Since) {
				delete(seen, id)
			}
		}
	}
}

// printer prints events; it is called again for more.
type printer interface {
	print([]twostep.AuditEvent) error
}

func (c *auditCommand) printer(out io.Writer) printer {
	switch {
	case c.JSON:
		return jsonPrinter{out}
	case c.CSV:
		return &csvPrinter{out: csv.NewWriter(out)}
	}
	return &tablePrinter{out: out}
}

type jsonPrinter struct{ out io.Writer }

func (p jsonPrinter) print(events []twostep.AuditEvent) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	for _, one := range events {
		if err := e.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

type csvPrinter struct {
	out   *csv.Writer
	begun bool
}

func (p *csvPrinter) print(events []twostep.AuditEvent) error {
	if !p.begun {
		p.begun = true
		if err := p.out.Write(twostep.AuditCSVHeader()); err != nil {
			return err
		}
	}
	for _, e := range events {
		if err := p.out.Write(e.CSV()); err != nil {
			return err
		}
	}
	p.out.Flush()
	return p.out.Error()
}

type tablePrinter struct {
	out   io.Writer
	begun bool
}

func (p *tablePrinter) print(events []twostep.AuditEvent) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	if !p.begun {
		p.begun = true
		fmt.Fprintln(w, "TIME\tEVENT\tRESULT\tACCOUNT\tACTOR\tADDRESS\tDETAIL")
	}
	for _, e := range events {
		columns := []string{e.Time.Format(time.RFC3339), e.Event, e.Result, cmp.Or(e.Email, e.Account), actor(e),
			e.Address, detail(e)}
		for i, text := range columns {
			columns[i] = cmp.Or(line(text), "-")
		}
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	return w.Flush()
}

// actor returns who did it; "" for the owner of the account, who is in the column next to it.
func actor(e twostep.AuditEvent) string {
	switch {
	case e.ActorType == "person" && e.ActorID == e.Account:
		return ""
	case e.ActorID == "":
		return e.ActorType
	}
	return e.ActorType + ":" + e.ActorID
}

func detail(e twostep.AuditEvent) string {
	var parts []string
	for _, one := range []string{e.Reason, e.Target} {
		if one != "" {
			parts = append(parts, one)
		}
	}
	if e.Count > 1 {
		parts = append(parts, fmt.Sprintf("%d times", e.Count))
	}
	return strings.Join(parts, ", ")
}

// line removes what would break the table or control the terminal.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
