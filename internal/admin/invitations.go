package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
)

// invitationsShown is how many invitations the page shows.
const invitationsShown = 20

// maxReads is how many pages of invitations it reads for that, of exportPage each: few may be in the state.
const maxReads = 4

type invitationsPage struct {
	frame
	Invitations []invitationRow
	State       string // of those in the list; "": of any
	States      []account.InvitationState
	Next        string // the URL of the next page; "": there is none
	Partial     bool   // only some were read, and more may match
}

type invitationRow struct {
	account.Invitation
	State   string // text key
	RoleKey string
	Open    bool   // it can be sent again
	Ends    bool   // if Open: it can be revoked
	Resend  string // URL
	Revoke  string // URL
	Groups  string
}

// showInvitations lists invitations, newest first.
func (s *Handlers) showInvitations(w http.ResponseWriter, r *http.Request, who operator) error {
	p := invitationsPage{
		frame: who.frame(r, "people"), State: r.URL.Query().Get("state"),
		States: []account.InvitationState{account.InvitationPending, account.InvitationExpired, account.InvitationJoined},
	}
	if p.State != "" && !slices.Contains(p.States, account.InvitationState(p.State)) {
		return render.ErrInvalidForm
	}
	list, next, err := s.invitationsIn(r, account.InvitationState(p.State))
	if err != nil {
		return err
	}
	if next != "" {
		v := url.Values{"after": {next}}
		if p.State != "" {
			v.Set("state", p.State)
		}
		p.Next, p.Partial = address("/admin/invitations", v), len(list) < invitationsShown
	}
	for _, i := range list {
		state := i.State(s.Pages.CurrentTime())
		p.Invitations = append(p.Invitations, invitationRow{
			Invitation: i, State: "admin.invitation." + string(state), RoleKey: roleKey(i.Role),
			Open:   state != account.InvitationJoined && (i.Role == "" || who.may(operatorsOnly)),
			Ends:   i.Groups == nil || who.may(operatorsOnly),
			Resend: address("/admin/invitations/resend", url.Values{"email": {i.Email}}),
			Revoke: address("/admin/invitations/revoke", url.Values{"email": {i.Email}}), Groups: strings.Join(i.Groups, ", "),
		})
	}
	return s.Pages.Render(w, r, newView("invitations", "admin.invitations.title", p))
}

// invitationsIn returns a page of the invitations in a state ("": in any), and the position of the next page ("": there is
// none). It reads a limited number of invitations, and may return fewer than a page has.
func (s *Handlers) invitationsIn(
	r *http.Request, state account.InvitationState,
) (list []account.Invitation, next string, err error) {
	after, _ := account.ParseInvitationCursor(r.URL.Query().Get("after")) // an invalid one starts at the newest
	for range maxReads {
		page, err := s.Accounts.ListInvitations(r.Context(), after, exportPage)
		if err != nil {
			return nil, "", err
		}
		for _, i := range page {
			if state != "" && state != i.State(s.Pages.CurrentTime()) {
				after = i.Cursor()
				continue
			}
			if len(list) == invitationsShown { // another one follows
				return list, after.String(), nil
			}
			list, after = append(list, i), i.Cursor()
		}
		if len(page) < exportPage {
			return list, "", nil
		}
	}
	return list, after.String(), nil
}

type invitePage struct {
	frame
	Text    string
	Groups  bool // groups may be set
	Preview []previewRow
	Wrong   []lineProblem
	TooMany bool // people in the list
}

// previewRow is somebody whom the list would invite.
type previewRow struct {
	account.NewAccount
	Again bool // they have an invitation, whose link stops working
}

// lineProblem is what is wrong with a line of the list.
type lineProblem struct {
	Line int
	Text string // of the line
	Key  string // text key
}

// showInvite shows the form for a list of people.
func (s *Handlers) showInvite(w http.ResponseWriter, r *http.Request, who operator) error {
	p := invitePage{frame: who.frame(r, "people"), Groups: who.may(operatorsOnly)}
	return s.Pages.Render(w, r, newView("invite", "admin.invite.title", p))
}

// handleInvite shows whom a list would invite, and invites them once that was confirmed.
func (s *Handlers) handleInvite(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "people", "confirm", "edit")
	if err != nil {
		return err
	}
	p := invitePage{frame: who.frame(r, "people"), Text: form["people"], Groups: who.may(operatorsOnly)}
	if form["edit"] != "" {
		view := newView("invite", "admin.invite.title", p)
		view.Focus = "people"
		return s.Pages.Render(w, r, view)
	}
	people, lines, wrong := parsePeopleList(form["people"], p.Groups, s.Pages.Origin(r).Language)
	p.Wrong = wrong
	if len(people) > 0 {
		by := s.by(r, who)
		err = s.Accounts.CheckInvitations(r.Context(), by, people)
		if err == nil && len(wrong) == 0 && form["confirm"] != "" {
			err = s.Accounts.SendInvitations(r.Context(), by, people)
			if err == nil {
				return s.redirectDone(w, r, "/admin/invitations", "invited")
			}
		}
		if each := (account.InvitationErrors{}); errors.As(err, &each) {
			for i, one := range each {
				if slices.ContainsFunc(wrong, func(l lineProblem) bool { return l.Line == lines[i] }) {
					continue
				}
				p.Wrong = append(p.Wrong, lineProblem{lines[i], people[i].Email, inviteErrorKey(one)})
			}
			slices.SortFunc(p.Wrong, func(a, b lineProblem) int { return a.Line - b.Line })
		} else if errors.Is(err, account.ErrTooMany) {
			p.TooMany = true
		} else if err != nil {
			return err
		}
	}
	view := newView("invite", "admin.invite.title", nil)
	switch {
	case p.TooMany:
		view.Status = http.StatusUnprocessableEntity
		view.Problems = []render.Problem{{Field: "people", Key: "admin.invite.many", Args: []any{"Count", account.MaxInvitations}}}
	case len(people) == 0 && len(p.Wrong) == 0:
		view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{{Field: "people", Key: "admin.invite.empty"}}
	case len(p.Wrong) > 0:
		view.Status = http.StatusUnprocessableEntity
		view.Problems = []render.Problem{{Field: "people", Key: "admin.invite.wrong", Args: []any{"Count", len(p.Wrong)}}}
	default:
		if p.Preview, err = s.preview(r.Context(), people); err != nil {
			return err
		}
	}
	view.Data = p
	return s.Pages.Render(w, r, view)
}

// inviteErrorKey returns the text of an error about a person who cannot be invited.
func inviteErrorKey(err error) string {
	for _, one := range []struct {
		err error
		key string
	}{
		{account.ErrTwice, "admin.invite.twice"}, {account.ErrNotPermitted, "admin.invite.nogroups"},
		{account.ErrInvited, "admin.invite.reserved"}, {ratelimit.ErrLimited, "admin.invite.limited"},
	} {
		if errors.Is(err, one.err) {
			return one.key
		}
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
		if who.notice != "" {
			s.setNotice(w, "unsent", "/admin/invitations", noticeTime)
		}
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
	i, err := s.Accounts.OpenInvitation(r.Context(), s.by(r, who), email)
	if errors.Is(err, account.ErrNoInvitation) || errors.Is(err, account.ErrNotPermitted) {
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
	return s.afterInvitation(w, r, err, "resent")
}

func (s *Handlers) handleRevoke(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "email")
	if err == nil {
		_, err = s.invitation(r, who, form["email"])
	}
	if err == nil {
		err = s.Accounts.RevokeInvitation(r.Context(), s.by(r, who), form["email"])
	}
	return s.afterInvitation(w, r, err, "revoked")
}

// afterInvitation redirects to the list, also if somebody else was faster.
func (s *Handlers) afterInvitation(w http.ResponseWriter, r *http.Request, err error, done string) error {
	if errors.Is(err, account.ErrNoInvitation) || errors.Is(err, account.ErrExists) {
		err, done = nil, "over"
	}
	if errors.Is(err, account.ErrNotPermitted) {
		return render.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.redirectDone(w, r, "/admin/invitations", done)
}

// showExport says what the export of a person has.
func (s *Handlers) showExport(w http.ResponseWriter, r *http.Request, who operator) error {
	d, err := s.details(r)
	if err != nil {
		return err
	}
	p := confirmPage{
		frame: who.frame(r, "people"), Action: r.URL.Path, Back: "/admin/people/" + d.ID, Lead: d.Name + " · " + d.Email,
		Text: []string{"admin.export.text"}, Button: "admin.export.button",
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
	end, err := s.beginExport()
	if err != nil {
		return err
	}
	defer end()
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
