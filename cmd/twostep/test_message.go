package main

import (
	"context"
	"fmt"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
)

type mailTestCommand struct {
	Settings settings `embed:"" group:"settings"`
	Address  string   `arg:"" help:"Email address that gets the message"`
}

// Run sends an email at once, with the settings that the server has.
func (c *mailTestCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return sendTest(ctx, &c.Settings, to, from, delivery.Email, c.Address)
}

type smsTestCommand struct {
	Settings settings `embed:"" group:"settings"`
	Number   string   `arg:"" help:"Phone number that gets the message, in international form: +4915112345678"`
}

// Run sends a text message at once, through the gateways that the server has.
func (c *smsTestCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return sendTest(ctx, &c.Settings, to, from, delivery.SMS, c.Number)
}

func sendTest(ctx context.Context, s *settings, to console, from *settingSources, channel delivery.Channel,
	recipient string) error {
	if err := s.complete(from); err != nil {
		return usageError{err}
	}
	if channel == delivery.SMS && s.SMS.Gateways == "" && !s.isLocal() {
		return usageError{fmt.Errorf("no gateway is set, so there are no text messages: %s", howToSet("sms-gateways"))}
	}
	return withExistingDatabase(ctx, s, to, from, func(server *twostep.Server) error {
		if err := server.SendTest(ctx, channel, recipient); err != nil {
			return fmt.Errorf("the message to %s was not sent: %w", recipient, err)
		}
		_, err := fmt.Fprintf(to.out, "A message to %s was sent. Check that it arrives, and not in the spam folder.\n", recipient)
		return err
	})
}
