package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"twostep.example/twostep"
)

// webhookFlags are the flags of all commands about webhooks.
type webhookFlags struct {
	Settings settings `embed:"" group:"settings"`
	JSON     bool     `name:"json" help:"Print JSON, one webhook per line"`
}

// run opens the server and calls f with the names of the chosen webhooks: all if name is "".
func (c *webhookFlags) run(ctx context.Context, to console, from *settingSources, name string,
	f func(server *twostep.Server, names []string) error) error {
	if err := c.Settings.complete(from); err != nil {
		return usageError{err}
	}
	var names []string
	for _, w := range c.Settings.webhooks {
		names = append(names, w.Name)
	}
	switch {
	case len(names) == 0:
		return usageError{errors.New("there are no webhooks: add one to the configuration file, with its keys below " +
			"[webhook.NAME]")}
	case name != "" && !slices.Contains(names, name):
		return usageError{fmt.Errorf("there is no webhook %s, want %s", name, orList(names))}
	case name != "":
		names = []string{name}
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error { return f(server, names) })
}

type webhookListCommand struct {
	webhookFlags
}

// webhookLine is a webhook in JSON.
type webhookLine struct {
	Name         string     `json:"name"`
	Host         string     `json:"host"`
	Events       []string   `json:"events"`
	DeliveredAt  *time.Time `json:"delivered_at"`
	Waiting      int64      `json:"waiting"`
	Oldest       *time.Time `json:"oldest_waiting_at"`
	Failures     int64      `json:"failures"`
	FailingSince *time.Time `json:"failing_since"`
	Failure      string     `json:"failure"`
	NextAt       *time.Time `json:"next_attempt_at"`
	Gone         bool       `json:"gone"`
	Lost         int64      `json:"given_up"`
	LostAt       *time.Time `json:"given_up_at"`
}

// timeOrNull returns nil for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Run prints the webhooks and how far their events were delivered.
func (c *webhookListCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, "", func(server *twostep.Server, _ []string) error {
		list, err := server.ListWebhooks(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			var lines []any
			for _, w := range list {
				lines = append(lines, webhookLine{
					Name: w.Name, Host: w.Host, Events: w.Events, DeliveredAt: timeOrNull(w.DeliveredAt), Waiting: w.Waiting,
					Oldest: timeOrNull(w.Oldest), Failures: w.Failures, FailingSince: timeOrNull(w.FailingSince), Failure: w.Failure,
					NextAt: timeOrNull(w.NextAt), Gone: w.Gone, Lost: w.Lost, LostAt: timeOrNull(w.LostAt),
				})
			}
			return printJSON(to.out, false, lines...)
		}
		table := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "NAME\tHOST\tEVENTS\tDELIVERED\tWAITING\tGIVEN UP\tSTATE")
		for _, w := range list {
			fmt.Fprintln(table, columns(w.Name, w.Host, strings.Join(w.Events, " "), when(w.DeliveredAt), fmt.Sprint(w.Waiting),
				fmt.Sprint(w.Lost), webhookState(w)))
		}
		return table.Flush()
	})
}

// webhookState describes how a webhook is.
func webhookState(w twostep.WebhookState) string {
	switch {
	case w.Gone:
		return "stopped: it answered 410 Gone; to start it again: twostep webhook test " + w.Name
	case w.Failures > 0:
		return fmt.Sprintf("fails since %s (%d attempts, next %s): %s", when(w.FailingSince), w.Failures, when(w.NextAt),
			w.Failure)
	}
	return "works"
}

type webhookTestCommand struct {
	webhookFlags
	Name string `arg:"" optional:"" help:"Name of the webhook; all if it is left out"`
}

// Run sends a test event at once.
func (c *webhookTestCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, c.Name, func(server *twostep.Server, names []string) error {
		if err := c.Settings.webhookSecretErrs; err != nil {
			return usageError{err}
		}
		failed := 0
		for _, name := range names {
			err := server.TestWebhook(ctx, name)
			if err != nil && !errors.Is(err, twostep.ErrWebhookFailed) {
				return err
			}
			text := ""
			if err != nil {
				text = err.Error()
				failed++
			}
			switch {
			case c.JSON:
				err = printJSON(to.out, false, struct {
					Name      string `json:"name"`
					Delivered bool   `json:"delivered"`
					Failure   string `json:"failure"`
				}{name, text == "", text})
			case text == "":
				_, err = fmt.Fprintf(to.out, "%s has taken the test event.\n", name)
			default:
				_, err = fmt.Fprintf(to.out, "%s has not taken the test event: %s\n", name, text)
			}
			if err != nil {
				return err
			}
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d webhooks did not take the test event", failed, len(names))
		}
		return nil
	})
}

type webhookReplayCommand struct {
	webhookFlags
	Name  string `arg:"" optional:"" help:"Name of the webhook; all if it is left out"`
	Since string `placeholder:"TIME" required:"" help:"Send the events since this time, like 2026-11-25T09:30:00Z, or 24h for a day ago"`
}

// Run lets the running server send events again.
func (c *webhookReplayCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, c.Name, func(server *twostep.Server, names []string) error {
		since, err := moment("since", c.Since, server.Now())
		if err != nil {
			return usageError{err}
		}
		for _, name := range names {
			n, err := server.ReplayWebhook(ctx, name, since)
			if err != nil {
				return err
			}
			if c.JSON {
				err = printJSON(to.out, false, struct {
					Name   string    `json:"name"`
					Since  time.Time `json:"since"`
					Events int64     `json:"events"`
				}{name, since.UTC(), n})
			} else {
				_, err = fmt.Fprintf(to.out, "%s: %d events since %s will be sent again.\n", name, n, when(since))
			}
			if err != nil {
				return err
			}
		}
		if running, known := server.ServerIsRunning(); known && !running {
			fmt.Fprintln(to.err, "No server is running on this database. The events are sent when one is.")
		}
		return nil
	})
}
