package twostep

import (
	"context"
	"time"

	"twostep.example/twostep/internal/admin"
	"twostep.example/twostep/internal/metrics"
	"twostep.example/twostep/internal/webhook"
)

type (
	// Webhook is a URL that gets security events as signed requests (Standard Webhooks). docs/how-to/webhooks.md
	// describes the requests.
	Webhook = webhook.Config
	// WebhookError says what is wrong with a Webhook.
	WebhookError = webhook.ConfigError
	// WebhookState is how a webhook is, for operators.
	WebhookState = webhook.State
)

var (
	// ErrWebhookNotFound means that Options.Webhooks has no webhook of this name.
	ErrWebhookNotFound = webhook.ErrNotFound
	// ErrWebhookFailed means that the receiver did not take an event. The text of an error that is one says why.
	ErrWebhookFailed = webhook.ErrNotTaken
)

// checkWebhooks returns an *OptionError if a webhook is not valid. Only a server that delivers needs the secrets.
func (o Options) checkWebhooks() error {
	if err := webhook.Validate(o.Webhooks, !o.NoBackgroundWork); err != nil {
		return optionError("Webhooks", "has an error: %w", err)
	}
	return nil
}

// ListWebhooks returns the states of the webhooks, in the order of Options.Webhooks.
func (s *Server) ListWebhooks(ctx context.Context) ([]WebhookState, error) {
	return s.webhooks.States(ctx)
}

// TestWebhook sends a test event to a webhook at once, and records that. If the receiver takes it, the events that wait
// are due at once, also after the receiver has answered 410 Gone. TestWebhook returns ErrWebhookNotFound, a
// *WebhookError if the webhook has no secret, and an error that is ErrWebhookFailed and says why.
func (s *Server) TestWebhook(ctx context.Context, name string) error {
	return s.webhooks.Test(ctx, name, s.options.actor())
}

// ReplayWebhook lets the server that delivers send all events of a webhook since a time again, oldest first and with
// the same ids, and records that. It returns how many there are, up to 10,000. It returns ErrWebhookNotFound.
func (s *Server) ReplayWebhook(ctx context.Context, name string, since time.Time) (int64, error) {
	return s.webhooks.Replay(ctx, name, since, s.options.actor())
}

// webhookAlarmAfter is how long a webhook may fail before operators are alarmed.
const webhookAlarmAfter = time.Hour

// webhookAlarms returns the alarms about webhooks.
func (s *Server) webhookAlarms(ctx context.Context, now time.Time) (list []admin.Alarm, err error) {
	states, err := s.webhooks.States(ctx)
	for _, w := range states {
		if w.Lost > 0 {
			list = append(list, admin.Alarm{Key: "webhook_lost", Time: w.LostAt, Name: w.Name})
		}
		if w.Gone || !w.FailingSince.IsZero() && now.Sub(w.FailingSince) > webhookAlarmAfter {
			list = append(list, admin.Alarm{Key: "webhook", Time: w.FailingSince, Name: w.Name})
		}
	}
	return list, err
}

// webhookBacklogs returns the events that wait, for metrics.
func (s *Server) webhookBacklogs(ctx context.Context) (map[string]metrics.Backlog, error) {
	waiting, err := s.webhooks.Waiting(ctx)
	list := map[string]metrics.Backlog{}
	for name, one := range waiting {
		list[name] = metrics.Backlog(one)
	}
	return list, err
}
