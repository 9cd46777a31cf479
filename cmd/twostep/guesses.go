package main

import (
	"context"
	"fmt"

	"twostep.example/twostep"
)

type guessesForgetCommand struct {
	Settings settings `embed:"" group:"settings"`
}

// Run resets the site-wide guessing alarm, for an operator who knows its cause. The next wrong code
// does not raise it again.
func (c *guessesForgetCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if err := server.ResetSiteGuesses(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(to.out, "The site-wide guessing alarm is reset. Accounts with too many wrong codes "+
			"of their own still need a longer code in new browsers.")
		return err
	})
}
