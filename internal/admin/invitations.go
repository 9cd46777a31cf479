package admin

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

// invitationsShown is how many invitations the page shows.
const invitationsShown = 20

type invitationsPage struct {
	frame
	Invitations []invitationRow
	Next        string // the URL of the next page; "": there is none
}

type invitationRow struct {
	account.Invitation
	State   string // text key
	RoleKey string
	Open    bool   // it can be sent again and revoked
	Resend  string // URL
	Revoke  string // URL
	Groups  string
}

// showInvitations lists invitations, newest first.
func (s *Handlers) showInvitations(w http.ResponseWriter, r *http.Request, who operator) error {
	after, _ := account.ParseInvitationCursor(r.URL.Query().Get("after")) // an invalid one starts at the newest
	list, err := s.Accounts.ListInvitations(r.Context(), after, invitationsShown+1)
	if err != nil {
		return err
	}
	p := invitationsPage{frame: who.frame(r, "people")}
	if len(list) > invitationsShown {
		list = list[:invitationsShown]
		p.Next = address("/admin/invitations", url.Values{"after": {list[invitationsShown-1].Cursor().String()}})
	}
	for _, i := range list {
		state := i.State(s.Pages.CurrentTime())
		p.Invitations = append(p.Invitations, invitationRow{
			Invitation: i, State: "admin.invitation." + string(state), RoleKey: roleKey(i.Role),
			Open:   state != account.InvitationJoined && (i.Role == "" || who.may(onlyMaster)),
			Resend: address("/admin/invitations/resend", url.Values{"email": {i.Email}}),
			Revoke: address("/admin/invitations/revoke", url.Values{"email": {i.Email}}), Groups: strings.Join(i.Groups, ", "),
		})
	}
	return s.Pages.Render(w, r, newView("invitations", "admin.invitations.title", p))
}

type invitePage struct {
	frame
	Text    string
	Groups  bool // groups may be set
	Preview []account.NewAccount
	Wrong   []lineProblem
}

// lineProblem is what is wrong with a line of the list.
type lineProblem struct {
	Line int
	Text string // of the line
	Key  string // text key
}

// showInvite shows the form for a list of people.
func (s *Handlers) showInvite(w http.ResponseWriter, r *http.Request, who operator) error {
	p := invitePage{frame: who.frame(r, "people"), Groups: who.may(onlyMaster)}
	return s.Pages.Render(w, r, newView("invite", "admin.invite.title", p))
}

// handleInvite shows whom a list would invite, and invites them once that was confirmed.
func (s *Handlers) handleInvite(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "people", "confirm")
	if err != nil {
		return err
	}
	p := invitePage{frame: who.frame(r, "people"), Text: form["people"], Groups: who.may(onlyMaster)}
	people, lines, wrong := parsePeopleList(form["people"], p.Groups, s.Pages.Origin(r).Language)
	p.Wrong = wrong
	if len(wrong) == 0 && len(people) > 0 {
		err = s.Accounts.CheckInvitations(r.Context(), people)
		if err == nil && form["confirm"] != "" {
			err = s.Accounts.SendInvitations(r.Context(), s.by(r, who), people)
			if err == nil {
				return redirect(w, r, "/admin/invitations?done=invited")
			}
		}
		if each := (account.InvitationErrors{}); errors.As(err, &each) {
			for i, one := range each {
				p.Wrong = append(p.Wrong, lineProblem{lines[i], people[i].Email, inviteErrorKey(one)})
			}
			slices.SortFunc(p.Wrong, func(a, b lineProblem) int { return a.Line - b.Line })
		} else if err != nil {
			return err
		}
	}
	view := newView("invite", "admin.invite.title", nil)
	switch {
	case len(people) == 0 && len(p.Wrong) == 0:
		view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{{Field: "people", Key: "admin.invite.empty"}}
	case len(p.Wrong) > 0:
		view.Status = http.StatusUnprocessableEntity
		view.Problems = []render.Problem{{Field: "people", Key: "admin.invite.wrong", Args: []any{"Count", len(p.Wrong)}}}
	default:
		p.Preview = people
	}
	view.Data = p
	return s.Pages.Render(w, r, view)
}

// parsePeopleList parses lines of CSV: an address, a name, and groups. It returns the line of each person.
func parsePeopleList(text string, groups bool, language string) (people []account.NewAccount, lines []int, wrong []lineProblem) {
	in := csv.NewReader(strings.NewReader(text))
	in.FieldsPerRecord, in.TrimLeadingSpace = -1, true
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return people, lines, wrong
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			return people, lines, append(wrong, lineProblem{parse.Line, "", "admin.invite.csv"})
		}
		line, _ := in.FieldPos(0)
		n := account.NewAccount{Email: strings.TrimSpace(record[0]), Language: language}
		if len(record) > 1 {
			n.Name = strings.TrimSpace(record[1])
		}
		for _, group := range record[min(len(record), 2):] {
			if group = strings.TrimSpace(group); group != "" {
				n.Groups = append(n.Groups, group)
			}
		}
		if len(n.Groups) > 0 && !groups {
			wrong = append(wrong, lineProblem{line, n.Email, "admin.invite.nogroups"})
		}
		people, lines = append(people, n), append(lines, line)
	}
}

// inviteErrorKey returns the text of an error about a person who cannot be invited.
func inviteErrorKey(err error) string {
	if errors.Is(err, account.ErrTwice) {
		return "admin.invite.twice"
	}
	if _, key, ok := render.FieldErrorText(err); ok {
		return key
	}
	return "admin.problem.group"
}

// invitation returns the page that confirms what is done to the invitation of the address in the query.
func (s *Handlers) showInvitationAction(w http.ResponseWriter, r *http.Request, who operator, name string) error {
	email := r.URL.Query().Get("email")
	if email == "" { // after a step-up that a form began
		return redirect(w, r, "/admin/invitations")
	}
	if _, err := s.invitation(r, who, email); err != nil {
		return err
	}
	p := confirmPage{
		frame: who.frame(r, "people"), Action: "/admin/invitations/" + name, Back: "/admin/invitations", Email: email,
		Text: []string{"admin." + name + ".text"}, Button: "admin." + name + ".button",
	}
	return s.Pages.Render(w, r, newView("confirm", "admin."+name+".title", p))
}

// invitation returns the invitation of an address, or render.ErrNotFound if there is none that the operator may change.
func (s *Handlers) invitation(r *http.Request, who operator, email string) (account.Invitation, error) {
	i, err := s.Accounts.OpenInvitation(r.Context(), email)
	if errors.Is(err, account.ErrNoInvitation) || err == nil && i.Role != "" && !who.may(onlyMaster) {
		return i, render.ErrNotFound
	}
	return i, err
}

func (s *Handlers) showResend(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.showInvitationAction(w, r, who, "resend")
}

func (s *Handlers) showRevoke(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.showInvitationAction(w, r, who, "revoke")
}

func (s *Handlers) handleResend(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "email")
	if err == nil {
		_, err = s.invitation(r, who, form["email"])
	}
	if err == nil {
		err = s.Accounts.ResendInvitation(r.Context(), s.by(r, who), form["email"])
	}
	return afterInvitation(w, r, err, "resent")
}

func (s *Handlers) handleRevoke(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "email")
	if err == nil {
		_, err = s.invitation(r, who, form["email"])
	}
	if err == nil {
		err = s.Accounts.RevokeInvitation(r.Context(), s.by(r, who), form["email"])
	}
	return afterInvitation(w, r, err, "revoked")
}

// afterInvitation redirects to the list, also if somebody else was faster.
func afterInvitation(w http.ResponseWriter, r *http.Request, err error, done string) error {
	if errors.Is(err, account.ErrNoInvitation) || errors.Is(err, account.ErrExists) {
		err, done = nil, "over"
	}
	if err != nil {
		return err
	}
	return redirect(w, r, "/admin/invitations?done="+done)
}

// showExport says what the export of a person has.
func (s *Handlers) showExport(w http.ResponseWriter, r *http.Request, who operator) error {
	d, err := s.details(r)
	if err != nil {
		return err
	}
	p := confirmPage{
		frame: who.frame(r, "people"), Action: r.URL.Path, Back: "/admin/people/" + d.ID, Lead: d.Name + " · " + d.Email,
		Text: []string{"admin.export.text", "admin.act.told"}, Button: "admin.export.button",
	}
	return s.Pages.Render(w, r, newView("confirm", "admin.export.title", p))
}

// handleExport sends all data of a person as JSON.
func (s *Handlers) handleExport(w http.ResponseWriter, r *http.Request, who operator) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	d, err := s.details(r)
	if err != nil {
		return err
	}
	all, err := s.Directory.Export(r.Context(), s.by(r, who), d.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+d.ID+`.json"`)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(all) // an error means that the client has gone
	return nil
}
