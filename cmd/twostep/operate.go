package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"twostep.example/twostep"
)

// changeFlags are the flags of the commands that change an account and notify its owner.
type changeFlags struct {
	Settings settings `embed:"" group:"settings"`
	Account  string   `arg:"" help:"Email address or ID of the account"`
	Language string   `enum:"en,de" default:"en" help:"Language of the email to the person: en or de"`
}

// run opens the server, makes a change and prints what was done.
func (c *changeFlags) run(ctx context.Context, to console, from *settingSources, done string,
	change func(*twostep.Server, twostep.By) error) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if err := change(server, twostep.By{Language: c.Language}); err != nil {
			return accountError(c.Account, err)
		}
		sayUnsent(to, server)
		_, err := fmt.Fprintf(to.out, done+"\n", c.Account)
		return err
	})
}

// sayUnsent says that emails wait, if no server sends them. On PostgreSQL it cannot know.
func sayUnsent(to console, server *twostep.Server) {
	if running, known := server.ServerIsRunning(); known && !running {
		fmt.Fprintln(to.err, "No server is running on this database. The email is sent when one is: start it within 24 hours.")
	}
}

// accountError returns err in an operator's words, with the command that helps.
func accountError(who string, err error) error {
	switch {
	case errors.Is(err, twostep.ErrAccountNotFound):
		return fmt.Errorf("there is no account %s; search for it with: twostep account list --search TEXT", who)
	case errors.Is(err, twostep.ErrAccountDisabled):
		return fmt.Errorf("%s is disabled; to enable it: twostep account enable %s", who, who)
	case errors.Is(err, twostep.ErrAccountEnabled):
		return fmt.Errorf("%s is not disabled; see: twostep account show %s", who, who)
	case errors.Is(err, twostep.ErrAccountFrozen):
		return fmt.Errorf("%s is frozen, because someone asked to undo a change. If its owner made the change and wants to "+
			"keep it: twostep account end-freeze %s", who, who)
	case errors.Is(err, twostep.ErrAccountNotFrozen):
		return fmt.Errorf("%s is not frozen; see: twostep account show %s", who, who)
	case errors.Is(err, twostep.ErrLastOperator):
		return fmt.Errorf("%s is the last active operator. Invite another one first, with twostep invite ADDRESS --operator, "+
			"or add --force", who)
	case errors.Is(err, twostep.ErrSessionNotFound):
		return fmt.Errorf("%s has no such session; list them with: twostep session list %s", who, who)
	case errors.Is(err, twostep.ErrDeviceNotFound):
		return fmt.Errorf("%s does not trust this device; list its devices with: twostep account show %s", who, who)
	case errors.Is(err, twostep.ErrMethodNotFound):
		return fmt.Errorf("%s has no such method beside email; list its methods with: twostep account show %s", who, who)
	case errors.Is(err, twostep.ErrAccountQuery):
		return usageError{err}
	}
	return err
}

// confirm asks for "yes" on the terminal. Without a terminal it returns an error that names --yes.
func confirm(to console, yes bool, question string) error {
	if yes {
		return nil
	}
	if to.in == nil {
		return usageError{errors.New(question + " To confirm without a terminal, add --yes")}
	}
	fmt.Fprint(to.err, question+" Type yes to continue: ")
	answer, err := bufio.NewReader(to.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// terminal returns standard input if it is a terminal, and nil otherwise.
func terminal() io.Reader {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return os.Stdin
}

// printJSON prints values as JSON: one per line, or a single one over several lines.
func printJSON(out io.Writer, indent bool, values ...any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if indent {
		e.SetIndent("", "  ")
	}
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// when formats a time for people; "-" for none.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// columns joins the columns of a table. A text that a person entered may not control the terminal.
func columns(texts ...string) string {
	for i := range texts {
		texts[i] = cmp.Or(line(texts[i]), "-")
	}
	return strings.Join(texts, "\t")
}
