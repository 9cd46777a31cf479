package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"twostep.example/twostep"
)

// existingAppCommand is embedded in the commands about one existing app.
type existingAppCommand struct {
	Settings settings `embed:"" group:"settings"`
	ID       string   `arg:"" help:"Client ID of the app"`
}

// withApp opens the server, finds the app and calls f.
func (c *existingAppCommand) withApp(ctx context.Context, to console, from *settingSources,
	f func(*twostep.Server, twostep.App) error) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		a, err := server.GetApp(ctx, c.ID)
		if err == nil {
			err = f(server, a)
		}
		return appError(c.ID, err)
	})
}

// appError returns err in an operator's words, with the command that helps.
func appError(id string, err error) error {
	switch {
	case errors.Is(err, twostep.ErrAppNotFound):
		return fmt.Errorf("there is no app %s; list all with: twostep app list", id)
	case errors.Is(err, twostep.ErrAppExists):
		return fmt.Errorf("the app %s already exists; change it with: twostep app set %s", id, id)
	case errors.Is(err, twostep.ErrAppReadOnly):
		return fmt.Errorf("the app %s is in the configuration file: change it there and restart the server. "+
			"Create a new secret for it with: twostep app secret", id)
	case errors.Is(err, twostep.ErrAppChanged):
		return fmt.Errorf("somebody else changed the app %s at the same time; look at it with: twostep app show %s, and try again",
			id, id)
	case errors.As(err, new(*twostep.AppError)):
		return usageError{err}
	}
	return err
}

// isConfiguredApp reports whether an app is in the configuration file.
func (s *settings) isConfiguredApp(id string) bool {
	return slices.ContainsFunc(s.apps, func(a twostep.App) bool { return a.ID == id })
}

type appAddCommand struct {
	Settings settings `embed:"" group:"settings"`
	ID       string   `arg:"" help:"Client ID: lower-case letters, digits, dots, dashes and underscores"`
	appFlags
}

// Run adds an app to the database, where a running server finds it. It prints the secret; only its
// hash is stored.
func (c *appAddCommand) Run(ctx context.Context, to console, from *settingSources) error {
	a := twostep.App{ID: c.ID}
	secret, err := c.apply(&a)
	if err == nil {
		err = a.Validate() // before anything is created
	}
	if err == nil {
		err = c.Settings.complete(from)
	}
	if err = cmp.Or(err, c.Settings.checkPortIsFixed()); err != nil {
		return usageError{err}
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if c.Settings.isConfiguredApp(c.ID) {
			return appError(c.ID, twostep.ErrAppReadOnly)
		}
		if err := server.CreateApp(ctx, a); err != nil {
			return appError(c.ID, err)
		}
		_, err := fmt.Fprint(to.out, formatCredentials(a, secret, server.Issuer()))
		return err
	})
}

type appSetCommand struct {
	existingAppCommand
	appFlags
}

// Run changes an app and prints its new settings.
func (c *appSetCommand) Run(ctx context.Context, to console, from *settingSources) error {
	if reflect.ValueOf(c.appFlags).IsZero() {
		return usageError{errors.New("nothing to change: give at least one flag, like --name; an empty value removes a setting")}
	}
	return c.withApp(ctx, to, from, func(server *twostep.Server, a twostep.App) error {
		was := a
		secret, err := c.apply(&a)
		if err != nil {
			return usageError{err}
		}
		if err := server.UpdateApp(ctx, a); err != nil {
			return err
		}
		var rows []outputRow
		if secret != "" {
			rows = append(rows, outputRow{"client secret", []string{secret}})
		}
		if a.Pairwise != was.Pairwise {
			fmt.Fprintln(to.err, "The subject identifiers of this app have changed: it will treat everybody as a new person.")
		}
		if c.MapGroup != nil && len(a.GroupNames) > 0 {
			fmt.Fprintln(to.err, groupNamesRemark(a))
		}
		_, err = fmt.Fprint(to.out, formatTable(append(rows, appDetails(a, false)...)))
		return err
	})
}

type appListCommand struct {
	Settings settings `embed:"" group:"settings"`
}

// Run prints one line for each app, those of the configuration file first.
func (c *appListCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		apps, err := server.ListApps(ctx)
		if err != nil {
			return err
		}
		if len(apps) == 0 {
			fmt.Fprintln(to.err, "There are no apps. Register one with: twostep app add ID --redirect URL")
		}
		w := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', 0)
		for _, a := range apps {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s", a.ID, a.DisplayName(), a.AuthMethod(),
				strings.Join(slices.Concat(a.RedirectURIs, a.Hosts), " "))
			if c.Settings.isConfiguredApp(a.ID) {
				fmt.Fprint(w, "\tfrom the configuration file")
			}
			if a.SelfRegistered {
				fmt.Fprint(w, "\tregistered itself")
			}
			fmt.Fprintln(w)
		}
		return w.Flush()
	})
}

type appShowCommand struct {
	existingAppCommand
	JSON bool `name:"json" help:"Print JSON"`
}

// Run prints an app without its hashes: people paste the output into tickets.
func (c *appShowCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.withApp(ctx, to, from, func(_ *twostep.Server, a twostep.App) error {
		fixed := c.Settings.isConfiguredApp(a.ID)
		if !c.JSON {
			_, err := fmt.Fprint(to.out, formatTable(appDetails(a, fixed)))
			return err
		}
		out := struct {
			twostep.App
			Kind    string `json:"kind"`
			Secrets int    `json:"secret_count"`
			Fixed   bool   `json:"from_settings"`
		}{a, a.AuthMethod(), len(a.SecretHashes), fixed}
		out.App.SecretHashes = nil
		e := json.NewEncoder(to.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(out)
	})
}

type appRotateCommand struct {
	existingAppCommand
	KeepOld bool `name:"keep-old" xor:"old" help:"Keep the current secret valid until --drop-old"`
	DropOld bool `name:"drop-old" xor:"old" help:"Create no secret, and end the one that --keep-old kept"`
}

// Run rotates an app's secret. With --keep-old, followed by --drop-old, the app is never without a
// valid one.
func (c *appRotateCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.withApp(ctx, to, from, func(server *twostep.Server, a twostep.App) error {
		switch {
		case c.Settings.isConfiguredApp(c.ID):
			return twostep.ErrAppReadOnly
		case len(a.SecretHashes) == 0 && len(a.JWKSet) > 0:
			return usageError{fmt.Errorf("the app %s has keys instead of a secret; replace them with: "+
				"twostep app set %s --keys FILE", c.ID, c.ID)}
		case len(a.SecretHashes) == 0:
			return usageError{fmt.Errorf("the app %s has no secret; create one with: twostep app set %s --public=false",
				c.ID, c.ID)}
		case c.DropOld:
			if err := server.EndOldAppSecrets(ctx, c.ID); err != nil {
				return err
			}
			_, err := fmt.Fprintf(to.out, "Only the newest secret of %s is valid now.\n", c.ID)
			return err
		}
		secret, err := server.RotateAppSecret(ctx, c.ID, c.KeepOld)
		if err != nil {
			return err
		}
		old := "The old secret is no longer valid."
		if c.KeepOld {
			old = "The old secret stays valid until you run: twostep app rotate " + c.ID + " --drop-old"
		}
		_, err = fmt.Fprintf(to.out, "%s\n%s\n%s\n", formatTable([]outputRow{{"client secret", []string{secret}}}),
			secretShownOnce, old)
		return err
	})
}

type appRemoveCommand struct{ existingAppCommand }

// Run removes an app and prints what it was, so that a mistyped ID is noticed while its settings
// are still on the screen.
func (c *appRemoveCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.withApp(ctx, to, from, func(server *twostep.Server, a twostep.App) error {
		if err := server.DeleteApp(ctx, c.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(to.out, "%s\n%s is removed. Its tokens are invalid, and the consents for it are deleted.\n",
			formatTable(appDetails(a, false)), c.ID)
		return err
	})
}

type appSecretCommand struct{}

// Run prints a secret for the app, and its hash for the configuration file.
func (appSecretCommand) Run(to console) error {
	secret, hash := twostep.NewAppSecret()
	_, err := fmt.Fprintf(to.out, "%s\nEnter the secret in the app, and its hash in the configuration file: secrets = [%q]\n",
		formatTable([]outputRow{{"client secret", []string{secret}}, {"hash", []string{hash}}}), hash)
	return err
}
