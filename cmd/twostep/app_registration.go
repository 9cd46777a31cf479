package main

import (
	"context"
	"fmt"
	"time"

	"twostep.example/twostep"
)

type appRegistrationTokenCommand struct {
	Settings settings      `embed:"" group:"settings"`
	Uses     int64         `default:"1" placeholder:"N" help:"Let N apps register, 1 to 1000"`
	Valid    time.Duration `default:"1h" placeholder:"TIME" help:"Let them register within this time, one minute to 30 days"`
	End      bool          `help:"Create no token, and end all that exist"`
}

// Run creates a token with which apps register themselves, or ends all tokens.
func (c *appRegistrationTokenCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if c.End {
			n, err := server.EndRegistrationTokens(ctx)
			if err == nil {
				_, err = fmt.Fprintf(to.out, "%d registration tokens were ended.\n", n)
			}
			return err
		}
		token, err := server.CreateRegistrationToken(ctx, c.Uses, c.Valid)
		if err != nil {
			return usageError{err}
		}
		_, err = fmt.Fprint(to.out, formatTable([]outputRow{
			{"registration token", []string{token}}, {"endpoint", []string{server.Issuer() + "/oauth2/register"}},
		})+"\nThe token is shown only once. People are asked for consent to apps that register with it.\n")
		return err
	})
}
