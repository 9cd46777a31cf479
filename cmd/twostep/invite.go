package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"twostep.example/twostep"
)

type inviteSendCommand struct {
	Settings  settings `embed:"" group:"settings"`
	Email     string   `arg:"" optional:"" help:"Email address of the new account"`
	Name      string   `placeholder:"NAME" help:"Name of the person"`
	Given     string   `name:"given-name" placeholder:"NAME" help:"First name, for apps that want it separately"`
	Family    string   `name:"family-name" placeholder:"NAME" help:"Last name, for apps that want it separately"`
	Group     []string `placeholder:"GROUP" help:"Put the account into this group; may be repeated"`
	Operator  bool     `help:"Give the account the role operator"`
	Role      string   `placeholder:"ROLE" enum:",operator,helpdesk,auditor" default:"" help:"Give the account a role on the operators' pages: operator, helpdesk or auditor"`
	File      string   `placeholder:"FILE" help:"Invite all people of this CSV file, with a line ADDRESS,NAME,GROUP,… for each; - is standard input"`
	SkipWrong bool     `name:"skip-wrong" help:"With --file, leave out the lines that are wrong; otherwise nobody is invited if a line is wrong"`
	Print     bool     `help:"Print the links instead of sending them by email; treat each as a secret"`
	Language  string   `enum:"en,de" default:"en" help:"Language of the emails: en or de"`
}

// person is one person to invite, with the line of the file.
type person struct {
	twostep.AccountParams
	line int // 0: from the command line
}

// Run sends invitations, or prints their links.
func (c *inviteSendCommand) Run(ctx context.Context, to console, from *settingSources) error {
	if err := checkRoleFlags(c.Operator, c.Role); err != nil {
		return err
	}
	people, err := c.people()
	if err != nil {
		return usageError{err}
	}
	if err := c.Settings.complete(from); err != nil {
		return usageError{err}
	}
	if err := c.Settings.checkPortIsFixed(); err != nil {
		return usageError{err}
	}
	return withServer(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		by := twostep.By{Language: c.Language}
		if people, err = c.checked(ctx, to, server, people); err != nil {
			return err
		}
		if c.Print {
			for _, p := range people {
				link, err := server.InvitePersonBy(ctx, by, p.AccountParams)
				if err != nil {
					return invitationError(p.Email, err)
				}
				if c.File != "" {
					link = p.Email + "\t" + link
				}
				if _, err := fmt.Fprintln(to.out, link); err != nil {
					return err
				}
			}
			return nil
		}
		if err := server.SendInvitations(ctx, by, params(people)); err != nil {
			return err
		}
		sayUnsent(to, server)
		for _, p := range people {
			if _, err := fmt.Fprintf(to.out, "invited %s\n", p.Email); err != nil {
				return err
			}
		}
		return nil
	})
}

func params(people []person) (list []twostep.AccountParams) {
	for _, p := range people {
		list = append(list, p.AccountParams)
	}
	return list
}

// checked returns the people who can be invited. It returns an error if somebody cannot, unless those are to be left
// out.
func (c *inviteSendCommand) checked(ctx context.Context, to console, server *twostep.Server, people []person) (
	[]person, error) {
	err := server.CheckInvitations(ctx, params(people))
	wrong := twostep.InvitationErrors{}
	if err == nil || !errors.As(err, &wrong) {
		return people, err
	}
	var all []error
	var right []person
	for i, p := range people {
		one := wrong[i]
		if one == nil {
			right = append(right, p)
			continue
		}
		one = invitationError(p.Email, one)
		if p.line > 0 {
			one = fmt.Errorf("line %d: %w", p.line, one)
		}
		all = append(all, one)
	}
	if !c.SkipWrong {
		if c.File != "" {
			all = append(all, errors.New("nobody was invited: correct the lines, or add --skip-wrong to invite the others"))
		}
		return nil, errors.Join(all...)
	}
	for _, one := range all {
		fmt.Fprintln(to.err, "left out:", one)
	}
	return right, nil
}

// people returns the people of the command line or the file.
func (c *inviteSendCommand) people() ([]person, error) {
	if (c.Email == "") == (c.File == "") {
		return nil, errors.New("give either an email address, like twostep invite anna@example.com, or --file")
	}
	if c.File == "" {
		return []person{{twostep.AccountParams{
			Email: c.Email, Name: c.Name, GivenName: c.Given, FamilyName: c.Family, Operator: c.Operator, Role: c.Role,
			Groups: c.Group,
		}, 0}}, nil
	}
	if c.Name != "" || c.Given != "" || c.Family != "" || c.Operator || c.Role != "" {
		return nil, errors.New("with --file the names are in the file, and nobody gets a role: leave out --name, --operator and --role")
	}
	file := os.Stdin
	if c.File != "-" {
		var err error
		if file, err = os.Open(c.File); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	return parsePeople(file, c.Group)
}

// parsePeople reads a line ADDRESS,NAME,GROUP,… for each person. Everybody is also in the groups.
func parsePeople(from io.Reader, groups []string) (people []person, err error) {
	r := csv.NewReader(from)
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment = -1, true, '#'
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		number, _ := r.FieldPos(0)
		p := person{twostep.AccountParams{Email: strings.TrimSpace(fields[0]), Groups: slices.Clone(groups)}, number}
		if len(fields) > 1 {
			p.Name = strings.TrimSpace(fields[1])
		}
		for _, group := range fields[min(2, len(fields)):] {
			if group = strings.TrimSpace(group); group != "" {
				p.Groups = append(p.Groups, group)
			}
		}
		people = append(people, p)
	}
	if len(people) == 0 {
		return nil, errors.New("--file has no line with an address, want lines like anna@example.com,Anna Adams,staff")
	}
	return people, nil
}

// invitationError returns err in an operator's words.
func invitationError(email string, err error) error {
	switch {
	case errors.Is(err, twostep.ErrAccountExists):
		return fmt.Errorf("%s already has an account; see: twostep account show %s", email, email)
	case errors.Is(err, twostep.ErrNoInvitation):
		return fmt.Errorf("%s has no invitation; list them with: twostep invite list", email)
	}
	return fmt.Errorf("%q: %w", email, err)
}

type inviteListCommand struct {
	Settings settings `embed:"" group:"settings"`
	State    string   `enum:",pending,expired,joined" default:"" placeholder:"STATE" help:"List only invitations in this state: pending, expired or joined"`
	JSON     bool     `name:"json" help:"Print JSON, one invitation per line"`
}

// Run lists invitations, newest first.
func (c *inviteListCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		const page = 1000
		w := tabwriter.NewWriter(to.out, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(w, "EMAIL\tNAME\tSTATE\tINVITED\tEXPIRES\tROLE\tGROUPS")
		}
		for after := (*twostep.Invitation)(nil); ; {
			list, err := server.ListInvitations(ctx, after, page)
			if err != nil {
				return err
			}
			for _, i := range list {
				state := i.State(server.Now())
				if c.State != "" && c.State != string(state) {
					continue
				}
				if !c.JSON {
					fmt.Fprintln(w, columns(i.Email, i.Name, string(state), when(i.InvitedAt), when(i.ExpiresAt), i.Role,
						strings.Join(i.Groups, ", ")))
					continue
				}
				err := printJSON(to.out, false, struct {
					Email     string   `json:"email"`
					Name      string   `json:"name"`
					State     string   `json:"state"`
					Role      string   `json:"role"`
					Groups    []string `json:"groups"`
					InvitedAt string   `json:"invited_at"`
					ExpiresAt string   `json:"expires_at"`
				}{i.Email, i.Name, string(state), i.Role, append([]string{}, i.Groups...), when(i.InvitedAt), when(i.ExpiresAt)})
				if err != nil {
					return err
				}
			}
			if len(list) < page {
				return w.Flush()
			}
			after = &list[len(list)-1]
		}
	})
}

type inviteResendCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address that was invited"`
}

// Run sends a new link to an invited address.
func (c *inviteResendCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if err := server.ResendInvitation(ctx, twostep.By{}, c.Email); err != nil {
			return invitationError(c.Email, err)
		}
		sayUnsent(to, server)
		_, err := fmt.Fprintf(to.out, "invited %s again; the earlier link does not work any more\n", c.Email)
		return err
	})
}

type inviteRevokeCommand struct {
	Settings settings `embed:"" group:"settings"`
	Email    string   `arg:"" help:"Email address that was invited"`
}

// Run ends the invitation of an address.
func (c *inviteRevokeCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return withExistingDatabase(ctx, &c.Settings, to, from, func(server *twostep.Server) error {
		if err := server.RevokeInvitation(ctx, twostep.By{}, c.Email); err != nil {
			return invitationError(c.Email, err)
		}
		_, err := fmt.Fprintf(to.out, "The invitation of %s is revoked.\n", c.Email)
		return err
	})
}
