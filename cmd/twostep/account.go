package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"twostep.example/twostep"
)

type accountAddCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address of the new account"`
	Name     string   `placeholder:"NAME" help:"Name of the person"`
	Given    string   `name:"given-name" placeholder:"NAME" help:"First name, for apps that want it separately"`
	Family   string   `name:"family-name" placeholder:"NAME" help:"Last name, for apps that want it separately"`
	Operator bool     `help:"Give the account the role operator"`
	Role     string   `placeholder:"ROLE" enum:",operator,helpdesk,auditor" default:"" help:"Give the account a role on the operators' pages: operator, helpdesk or auditor"`
}

// Run prints the link on which the invited person chooses a password, so that no password appears
// on a command line. It works next to a running server: both use the same database.
func (c *accountAddCommand) Run(ctx context.Context, to console, from *settingSources) error {
	if err := checkRoleFlags(c.Operator, c.Role); err != nil {
		return err
	}
	if err := c.Settings.complete(from); err != nil {
		return usageError{err}
	}
	if err := c.Settings.checkPortIsFixed(); err != nil {
		return usageError{err}
	}
	return withServer(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		link, err := server.InvitePerson(ctx, twostep.AccountParams{
			Email: c.Email, Name: c.Name, GivenName: c.Given, FamilyName: c.Family, Operator: c.Operator,
			Role: c.Role,
		})
		if err != nil {
			return invitationError(c.Email, err)
		}
		_, err = fmt.Fprintln(to.out, link)
		return err
	})
}

type accountListCommand struct {
	Settings       settings `embed:"" group:"settings"`
	Search         string   `placeholder:"TEXT" help:"List only accounts with this ID, or whose address or a word of whose name begins with this text"`
	Group          string   `placeholder:"GROUP" help:"List only accounts in this group"`
	State          string   `enum:",active,disabled,frozen,invited" default:"" placeholder:"STATE" help:"List only accounts in this state: active, disabled or frozen; or the people who were invited and have not joined (invited)"`
	Methods        string   `enum:",email,other" default:"" placeholder:"METHODS" help:"List only accounts with email as the only method (email), or with another one (other)"`
	SignedInSince  string   `name:"signed-in-since" placeholder:"TIME" help:"List only accounts that have signed in since this time, like 2026-11-25T09:30:00Z, or 720h for 30 days ago"`
	SignedInBefore string   `name:"signed-in-before" placeholder:"TIME" help:"List only accounts whose last sign-in was before this time, or that never signed in"`
	Sort           string   `enum:"email,created,last-sign-in" default:"email" help:"Sort by email, created (newest first) or last-sign-in (latest first)"`
	Limit          int      `placeholder:"N" default:"50" help:"List at most this many accounts; 0 lists all"`
	JSON           bool     `name:"json" help:"Print JSON, one account per line"`
}

// Run lists accounts. Times of the last sign-in may be a minute old.
func (c *accountListCommand) Run(ctx context.Context, to console, from *settingSources) error {
	q := twostep.AccountQuery{
		Search: c.Search, Group: c.Group, State: twostep.AccountState(c.State),
		Methods: twostep.AccountMethods(c.Methods), Sort: twostep.AccountSort(c.Sort),
	}
	var err error
	if q.SignedInSince, err = moment("signed-in-since", c.SignedInSince, time.Now()); err != nil {
		return usageError{err}
	}
	if q.SignedInBefore, err = moment("signed-in-before", c.SignedInBefore, time.Now()); err != nil {
		return usageError{err}
	}
	if c.Limit < 0 {
		return usageError{fmt.Errorf("--limit is %d, want 1 or more, or 0 for all accounts", c.Limit)}
	}
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		list, more, err := listAccounts(ctx, server, q, c.Limit)
		if err != nil {
			return accountError("", err)
		}
		if more {
			fmt.Fprintf(to.err, "There are more accounts: add --limit 0 to list all.\n")
		}
		if c.JSON {
			for _, e := range list {
				if err := printJSON(to.out, false, e); err != nil {
					return err
				}
			}
			return nil
		}
		w := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "EMAIL\tNAME\tSTATE\tLAST SIGN-IN\tMETHODS\tGROUPS")
		for _, e := range list {
			methods := "email"
			if e.OtherMethods > 0 {
				methods = fmt.Sprintf("email and %d", e.OtherMethods)
			}
			fmt.Fprintln(w, columns(e.Email, e.Name, string(e.State), when(e.LastSignInAt), methods,
				strings.Join(e.Groups, ", ")))
		}
		return w.Flush()
	})
}

// listAccounts reads up to limit accounts (0: all) page by page. more reports that there may be others.
func listAccounts(ctx context.Context, server *twostep.Server, q twostep.AccountQuery, limit int) (
	list []twostep.AccountEntry, more bool, err error) {
	const page = 1000
	for {
		q.Limit = page
		if limit > 0 {
			q.Limit = min(page, limit-len(list))
		}
		p, err := server.ListAccounts(ctx, q)
		if err != nil {
			return nil, false, err
		}
		list = append(list, p.Entries...)
		if q.After = p.Next; q.After == "" || limit > 0 && len(list) >= limit {
			return list, q.After != "", nil
		}
	}
}

type accountShowCommand struct {
	Settings settings `embed:"" group:"settings"`
	Account  string   `arg:"" help:"Email address or ID of the account"`
	JSON     bool     `name:"json" help:"Print JSON"`
}

// Run prints what an operator needs to help the owner of an account.
func (c *accountShowCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		a, err := server.ShowAccount(ctx, c.Account)
		if err != nil {
			return accountError(c.Account, err)
		}
		if c.JSON {
			return printJSON(to.out, true, a)
		}
		_, err = fmt.Fprint(to.out, formatTable(accountRows(a)))
		return err
	})
}

func accountRows(a twostep.AccountDetails) []outputRow {
	state := string(a.State)
	switch {
	case !a.DisabledAt.IsZero():
		state += " since " + when(a.DisabledAt)
	case !a.FrozenUntil.IsZero():
		state += " until " + when(a.FrozenUntil)
	}
	password := "none; the person can choose one with: Forgot your password?"
	if a.HasPassword {
		password = "set"
		if !a.PasswordChangedAt.IsZero() {
			password = "changed at " + when(a.PasswordChangedAt)
		}
	}
	rows := []outputRow{
		{"account", []string{line(a.Email)}}, {"id", []string{a.ID}}, {"name", []string{line(a.Name)}},
		{"state", []string{state}}, {"groups", []string{line(strings.Join(a.Groups, ", "))}},
		{"created", []string{when(a.CreatedAt)}}, {"last sign-in", []string{when(a.LastSignInAt)}},
		{"password", []string{password}},
	}
	if a.Role != "" {
		rows = append(rows, outputRow{"role", []string{a.Role}})
	}
	add := func(label string, n int, format func(i int) string) {
		row := outputRow{label: label}
		for i := range n {
			row.lines = append(row.lines, line(format(i)))
		}
		if n == 0 {
			row.lines = []string{"none"}
		}
		rows = append(rows, row)
	}
	add("methods", len(a.Methods), func(i int) string {
		m := a.Methods[i]
		text := m.Method
		if m.Destination != "" {
			text += " " + m.Destination
		}
		if m.ID == "" {
			return text
		}
		text += ", added " + when(m.AddedAt)
		if !m.LastUsedAt.IsZero() {
			text += ", last used " + when(m.LastUsedAt)
		}
		return text + ", method " + m.ID
	})
	add("trusted devices", len(a.Devices), func(i int) string {
		d := a.Devices[i]
		var networks []string
		for _, n := range d.Networks {
			networks = append(networks, n.Network+" until "+when(n.ExpiresAt))
		}
		return d.Browser + ", " + strings.Join(networks, ", ") + ", device " + d.ID
	})
	add("sessions", len(a.Sessions), func(i int) string {
		s := a.Sessions[i]
		return fmt.Sprintf("%s, %s, last seen %s, session %s", s.Browser, s.Address, when(s.LastSeenAt), s.ID)
	})
	add("apps", len(a.Apps), func(i int) string { return a.Apps[i].Name })
	add("codes needed", len(a.Decisions), func(i int) string {
		d := a.Decisions[i]
		reason := trustReasons[d.Reason]
		if reason == "" {
			reason = d.Reason
		}
		return when(d.At) + ", " + d.Browser + ", " + d.Address + ": " + reason
	})
	add("events", len(a.Events), func(i int) string {
		e := a.Events[i]
		text := when(e.At) + " " + e.Event + " " + e.Result
		for _, more := range []string{e.Actor, e.Address, e.Reason} {
			if more != "" && more != "person:"+a.ID {
				text += ", " + more
			}
		}
		return text
	})
	return rows
}

type accountExportCommand struct {
	Settings settings `embed:"" group:"settings"`
	Account  string   `arg:"" help:"Email address or ID of the account"`
}

// Run prints all data of a person as JSON.
func (c *accountExportCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		a, err := server.ExportAccount(ctx, twostep.By{}, c.Account)
		if err != nil {
			return accountError(c.Account, err)
		}
		return printJSON(to.out, true, a)
	})
}

type accountDisableCommand struct {
	changeFlags
	Force bool `help:"Also disable the last active operator"`
}

// Run disables an account and ends all its sessions.
func (c *accountDisableCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, "%s is disabled.", func(server *twostep.Server, by twostep.By) error {
		by.Force = c.Force
		return server.Disable(ctx, by, c.Account)
	})
}

type accountEnableCommand struct{ changeFlags }

// Run enables a disabled account. Its trusted devices stay revoked.
func (c *accountEnableCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, "%s is enabled.", func(server *twostep.Server, by twostep.By) error {
		return server.Enable(ctx, by, c.Account)
	})
}

type accountRemoveCommand struct {
	changeFlags
	Yes   bool `help:"Do not ask"`
	Force bool `help:"Also remove the last active operator"`
}

// Run deletes an account.
func (c *accountRemoveCommand) Run(ctx context.Context, to console, from *settingSources) error {
	question := fmt.Sprintf("This deletes the account %s for good. Apps treat the person as a new one if they come back.",
		c.Account)
	if err := confirm(to, c.Yes, question); err != nil {
		return err
	}
	return c.run(ctx, to, from, "%s is removed.", func(server *twostep.Server, by twostep.By) error {
		by.Force = c.Force
		return server.DeleteAccount(ctx, by, c.Account)
	})
}

type accountRenameCommand struct {
	changeFlags
	Name   string `arg:"" help:"New name of the person"`
	Given  string `name:"given-name" placeholder:"NAME" help:"First name, for apps that want it separately (default: none)"`
	Family string `name:"family-name" placeholder:"NAME" help:"Last name, for apps that want it separately (default: none)"`
}

// Run replaces the names of a person.
func (c *accountRenameCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, "%s is renamed.", func(server *twostep.Server, by twostep.By) error {
		names := twostep.AccountNames{Name: c.Name, GivenName: c.Given, FamilyName: c.Family}
		return server.RenameAccount(ctx, by, c.Account, names)
	})
}

type accountGroupsCommand struct {
	changeFlags
	Groups []string `arg:"" optional:"" name:"group" help:"All groups of the account; without any, it is in no group"`
}

// Run replaces the groups of an account. They apply from its next request to a host, and from the
// next token refresh of an app.
func (c *accountGroupsCommand) Run(ctx context.Context, to console, from *settingSources) error {
	done := "%s is in no group."
	if len(c.Groups) > 0 {
		done = "%s is in " + strings.ReplaceAll(strings.Join(c.Groups, ", "), "%", "%%") + "."
	}
	return c.run(ctx, to, from, done, func(server *twostep.Server, by twostep.By) error {
		return server.SetGroups(ctx, by, c.Account, c.Groups)
	})
}

// checkRoleFlags returns a usage error if --operator and --role are both set.
func checkRoleFlags(operator bool, role string) error {
	if operator && role != "" {
		return usageError{errors.New("use --operator or --role, not both: --operator is short for --role operator")}
	}
	return nil
}

type accountRoleCommand struct {
	changeFlags
	Role  string `arg:"" enum:"operator,helpdesk,auditor,none" help:"What the person may do on the operators' pages: operator, helpdesk, auditor or none"`
	Force bool   `help:"Also take the role from the last active operator"`
}

// Run replaces the role of an account. It applies from its next request.
func (c *accountRoleCommand) Run(ctx context.Context, to console, from *settingSources) error {
	role, done := c.Role, "%s has the role "+c.Role+" now."
	if role == "none" {
		role, done = "", "%s has no role now."
	}
	return c.run(ctx, to, from, done, func(server *twostep.Server, by twostep.By) error {
		by.Force = c.Force
		return server.SetRole(ctx, by, c.Account, role)
	})
}

type accountResetPasswordCommand struct{ changeFlags }

// Run sends the person a link to choose a new password.
func (c *accountResetPasswordCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.run(ctx, to, from, "%s gets an email with a link to choose a new password. The link works for 30 minutes.",
		func(server *twostep.Server, by twostep.By) error { return server.SendPasswordReset(ctx, by, c.Account) })
}

type accountResetMethodsCommand struct {
	changeFlags
	Method string `placeholder:"ID" help:"Remove only this method; twostep account show prints its ID"`
	Yes    bool   `help:"Do not ask"`
}

// Run removes verification methods, so that codes by email work.
func (c *accountResetMethodsCommand) Run(ctx context.Context, to console, from *settingSources) error {
	what, done := "all verification methods", "%s now has only email. All its sessions have ended."
	if c.Method != "" {
		what, done = "the verification method "+c.Method, "The method of %s is removed. All sessions have ended."
	}
	question := fmt.Sprintf("This removes %s of %s. Check first that you're talking to the owner of the account.", what, c.Account)
	if err := confirm(to, c.Yes, question); err != nil {
		return err
	}
	return c.run(ctx, to, from, done, func(server *twostep.Server, by twostep.By) error {
		if c.Method != "" {
			return server.RemoveMethod(ctx, by, c.Account, c.Method)
		}
		return server.ResetMethods(ctx, by, c.Account)
	})
}

type accountEndFreezeCommand struct {
	changeFlags
	Yes bool `help:"Do not ask"`
}

// Run ends the freeze of an account and keeps the change that somebody wanted to undo.
func (c *accountEndFreezeCommand) Run(ctx context.Context, to console, from *settingSources) error {
	question := fmt.Sprintf("This keeps the change to %s that someone asked to undo. Check first that you're talking to the owner "+
		"of the account.", c.Account)
	if err := confirm(to, c.Yes, question); err != nil {
		return err
	}
	return c.run(ctx, to, from, "%s is not frozen any more. The change is kept.",
		func(server *twostep.Server, by twostep.By) error { return server.EndFreeze(ctx, by, c.Account) })
}

type sessionListCommand struct {
	Settings settings `embed:"" group:"settings"`
	Account  string   `arg:"" help:"Email address or ID of the account"`
	JSON     bool     `name:"json" help:"Print JSON, one session per line"`
}

// Run lists the sessions of an account.
func (c *sessionListCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		a, err := server.ShowAccount(ctx, c.Account)
		if err != nil {
			return accountError(c.Account, err)
		}
		w := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(w, "SESSION\tSTARTED\tLAST SEEN\tADDRESS\tBROWSER")
		}
		for _, s := range a.Sessions {
			if c.JSON {
				if err := printJSON(to.out, false, s); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintln(w, columns(s.ID, when(s.StartedAt), when(s.LastSeenAt), s.Address, s.Browser))
		}
		return w.Flush()
	})
}

type sessionEndCommand struct {
	changeFlags
	Session string `arg:"" optional:"" help:"ID of the session, from twostep session list"`
	All     bool   `help:"End all sessions of the account, and trust in all its devices"`
}

// Run ends one session or all sessions of an account.
func (c *sessionEndCommand) Run(ctx context.Context, to console, from *settingSources) error {
	if (c.Session == "") != c.All {
		return usageError{errors.New("give either the ID of a session, from twostep session list, or --all")}
	}
	if c.All {
		return c.run(ctx, to, from, "All sessions of %s have ended, and no device is trusted.",
			func(server *twostep.Server, by twostep.By) error { return server.EndSessions(ctx, by, c.Account) })
	}
	return c.run(ctx, to, from, "The session of %s has ended.", func(server *twostep.Server, by twostep.By) error {
		return server.EndSession(ctx, by, c.Account, c.Session)
	})
}

type deviceForgetCommand struct {
	changeFlags
	Device string `placeholder:"ID" help:"Remove only this device; twostep account show prints its ID"`
}

// Run revokes the trust in one device or all devices of an account.
func (c *deviceForgetCommand) Run(ctx context.Context, to console, from *settingSources) error {
	if c.Device != "" {
		return c.run(ctx, to, from, "The device of %s is not trusted any more.",
			func(server *twostep.Server, by twostep.By) error {
				return server.ForgetDevice(ctx, by, c.Account, c.Device)
			})
	}
	return c.run(ctx, to, from, "No device of %s is trusted any more.",
		func(server *twostep.Server, by twostep.By) error { return server.RevokeTrust(ctx, by, c.Account) })
}
