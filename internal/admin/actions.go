package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// action is a change of an account that an operator makes. Its page says what will happen, by the text keys
// admin.act.NAME.title, .text and .button; then the form does it, and the next page says admin.done.NAME.
type action struct {
	name   string
	roles  []string
	item   bool // it is about one session, device or method
	danger bool // it cannot be undone
	beside bool // its link is beside what it changes, not in the list of actions
	typed  bool // the operator types the address of the account, so that it is the right one
	fields []field
	// seen is what the change replaces, as the form shows it: if somebody has changed it since, nothing is done.
	seen func(directory.Details) string
	// applies reports whether the account is in a state for it; nil: always.
	applies func(directory.Details) bool
	do      func(s *Handlers, ctx context.Context, by account.By, id, item string, form render.FormValues) error
}

// confirmField is the field of action.typed.
const confirmField = "confirm"

// field is an input of the page of an action.
type field struct {
	name, label string
	value       func(directory.Details) string
	optional    bool
}

func (a action) fieldNames() (names []string) {
	for _, f := range a.fields {
		names = append(names, f.name)
	}
	if a.typed {
		names = append(names, confirmField)
	}
	if a.name == "role" {
		names = append(names, "role")
	}
	if a.seen != nil {
		names = append(names, "seen")
	}
	return names
}

// actions returns all actions.
func actions() []action {
	active := func(d directory.Details) bool { return d.State != directory.StateDisabled }
	trusts := func(d directory.Details) bool { return len(d.Devices) > 0 }
	signedIn := func(d directory.Details) bool { return len(d.Sessions) > 0 || trusts(d) || len(d.Apps) > 0 }
	return []action{
		{name: "sign-out", roles: helpers, applies: signedIn, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
			return s.Sessions.EndAllBy(ctx, by, id)
		}},
		{name: "end-session", roles: helpers, item: true, do: func(s *Handlers, ctx context.Context, by account.By, id, item string, _ render.FormValues) error {
			return s.Sessions.EndBy(ctx, by, id, item)
		}},
		{name: "forget-devices", roles: helpers, applies: trusts, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
			return s.Devices.ForgetAllBy(ctx, by, id)
		}},
		{name: "forget-device", roles: helpers, item: true, do: func(s *Handlers, ctx context.Context, by account.By, id, item string, _ render.FormValues) error {
			return s.Devices.ForgetBy(ctx, by, id, item)
		}},
		{name: "remove-method", roles: helpers, item: true, do: func(s *Handlers, ctx context.Context, by account.By, id, item string, _ render.FormValues) error {
			return s.Enrollments.RemoveBy(ctx, by, id, item)
		}},
		{name: "reset-methods", roles: helpers, danger: true, applies: func(d directory.Details) bool { return d.OtherMethods > 0 },
			do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
				return s.Enrollments.ResetBy(ctx, by, id)
			}},
		{name: "reset-link", roles: helpers, applies: active, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
			return s.Accounts.SendPasswordReset(ctx, by, id)
		}},
		{name: "rename", roles: helpers, beside: true, fields: []field{
			{"name", "field.name", func(d directory.Details) string { return d.Name }, false},
			{"given_name", "field.given", func(d directory.Details) string { return d.GivenName }, true},
			{"family_name", "field.family", func(d directory.Details) string { return d.FamilyName }, true},
		}, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, form render.FormValues) error {
			return s.Accounts.Rename(ctx, by, id, account.Names{
				Name: form["name"], GivenName: form["given_name"], FamilyName: form["family_name"],
			})
		}},
		{name: "email", roles: helpers, beside: true, applies: active, fields: []field{{"email", "admin.field.email", func(directory.Details) string { return "" }, false}},
			do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, form render.FormValues) error {
				return s.Enrollments.ProposeEmail(ctx, by, id, form["email"])
			}},
		{name: "groups", roles: operatorsOnly, beside: true, seen: groupsOf, fields: []field{
			{"groups", "admin.field.groups", groupsOf, true},
		}, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, form render.FormValues) error {
			groups, err := parseGroups(form["groups"])
			if err != nil {
				return err
			}
			seen, err := parseGroups(form["seen"])
			if err != nil {
				return err
			}
			return s.Accounts.SetGroups(ctx, by, id, &seen, groups)
		}},
		{name: "role", roles: operatorsOnly, beside: true, seen: func(d directory.Details) string { return d.Role }, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, form render.FormValues) error {
			seen := form["seen"]
			return s.Accounts.ChangeRole(ctx, by, id, &seen, form["role"], false)
		}},
		{name: "unfreeze", roles: operatorsOnly, applies: func(d directory.Details) bool { return !d.FrozenUntil.IsZero() },
			do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
				return s.Enrollments.EndFreeze(ctx, by, id)
			}},
		{name: "disable", roles: helpers, applies: active, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
			return s.Accounts.Disable(ctx, by, id, false)
		}},
		{name: "enable", roles: helpers, applies: func(d directory.Details) bool { return d.State == directory.StateDisabled },
			do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
				return s.Accounts.Enable(ctx, by, id)
			}},
		{name: "delete", roles: operatorsOnly, danger: true, typed: true, do: func(s *Handlers, ctx context.Context, by account.By, id, _ string, _ render.FormValues) error {
			return s.Accounts.Delete(ctx, by, id, false)
		}},
	}
}

func groupsOf(d directory.Details) string { return strings.Join(d.Groups, ", ") }

// errGroup means that the name of a group is not valid.
var errGroup = errors.New("not a group")

// parseGroups parses names that are separated by commas.
func parseGroups(text string) (groups []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if account.ValidateGroup(name) != nil {
			return nil, errGroup
		}
		groups = append(groups, name)
	}
	return groups, nil
}

// mayDo reports whether the operator may do it to the account. The help desk changes no account with a role, and nobody
// changes their own here: they could shut themselves out.
func (o operator) mayDo(a action, d directory.Details) bool {
	return o.may(a.roles) && d.ID != o.Account.ID && (d.Role == "" || o.Account.Role == account.RoleOperator)
}

// fits reports whether the account is in a state for the action.
func (a action) fits(d directory.Details) bool { return a.applies == nil || a.applies(d) }

// by returns who makes a change, for its event and the email to the person.
func (s *Handlers) by(r *http.Request, who operator) account.By {
	return account.By{
		Actor: who.actor(), Name: who.Account.Name, From: s.Pages.Origin(r), Account: who.Account.ID,
	}
}

func (s *Handlers) actionRoutes() (routes []render.Route) {
	for _, a := range actions() {
		path := "/admin/people/{id}/" + a.name
		if a.item {
			path += "/{item}"
		}
		routes = append(routes,
			s.withRole("GET "+path, a.roles, func(w http.ResponseWriter, r *http.Request, who operator) error {
				return s.showAction(w, r, who, a)
			}),
			s.withRole("POST "+path, a.roles, func(w http.ResponseWriter, r *http.Request, who operator) error {
				return s.handleAction(w, r, who, a)
			}))
	}
	return routes
}

type actionPage struct {
	frame
	Name, ID, Email string // Name is that of the action
	Person          string
	Item            string // what it is about; "": the whole account
	Action          string
	Danger          bool
	Seen            string
	HasSeen         bool
	Confirm         string // the field for the address of the account; "": there is none
	Inputs          []actionInput
	Roles           []roleChoice
}

type actionInput struct {
	Name, Label, Value string
	Optional           bool
}

type roleChoice struct {
	Value, Key, Does string
	Selected         bool
}

// errOver means that somebody has changed the account, so that the action is of no use.
var errOver = errors.New("the account is no longer in a state for it")

// actionView returns the page of an action. It returns render.ErrNotFound if the operator may not do it, and errOver.
func (s *Handlers) actionView(r *http.Request, who operator, a action) (render.View, error) {
	d, err := s.details(r)
	if err != nil {
		return render.View{}, err
	}
	if !who.mayDo(a, d) {
		return render.View{}, render.ErrNotFound
	}
	if !a.fits(d) {
		return render.View{}, errOver
	}
	p := actionPage{
		frame: who.frame(r, "people"), Name: a.name, ID: d.ID, Email: d.Email, Person: d.Name, Danger: a.danger,
		Action: r.URL.Path,
	}
	if a.item {
		if p.Item = s.itemName(r, d, a); p.Item == "" {
			return render.View{}, render.ErrNotFound
		}
	}
	if a.seen != nil {
		p.HasSeen, p.Seen = true, a.seen(d)
	}
	for _, f := range a.fields {
		p.Inputs = append(p.Inputs, actionInput{f.name, f.label, f.value(d), f.optional})
	}
	if a.typed {
		p.Confirm = confirmField
	}
	if a.name == "role" {
		for _, role := range []string{"", account.RoleAuditor, account.RoleHelpdesk, account.RoleOperator} {
			name := role
			if name == "" {
				name = "none"
			}
			p.Roles = append(p.Roles, roleChoice{role, "role." + name, "admin.role." + name, role == d.Role})
		}
	}
	return newView("action", "admin.act."+a.name+".title", p), nil
}

// itemName describes the session, device or method of a request; "" if the account has none such.
func (s *Handlers) itemName(r *http.Request, d directory.Details, a action) string {
	id, words := r.PathValue("item"), s.Pages.Localizer(r)
	switch a.name {
	case "end-session":
		for _, one := range d.Sessions {
			if one.ID == id {
				return one.Browser
			}
		}
	case "forget-device":
		for _, one := range d.Devices {
			if one.ID == id {
				return one.Browser
			}
		}
	case "remove-method":
		for _, one := range d.Methods {
			if one.ID == id && id != "" {
				return strings.TrimSpace(s.methodName(words, one.Method) + " " + one.Name + " " + one.Destination)
			}
		}
	}
	return ""
}

func (s *Handlers) showAction(w http.ResponseWriter, r *http.Request, who operator, a action) error {
	view, err := s.actionView(r, who, a)
	if errors.Is(err, errOver) {
		return s.redirectDone(w, r, "/admin/people/"+r.PathValue("id"), "over")
	}
	if err != nil {
		return err
	}
	return s.Pages.Render(w, r, view)
}

func (s *Handlers) handleAction(w http.ResponseWriter, r *http.Request, who operator, a action) error {
	form, err := render.ParseForm(w, r, a.fieldNames()...)
	if err != nil {
		return err
	}
	view, err := s.actionView(r, who, a)
	if errors.Is(err, errOver) {
		return s.redirectDone(w, r, "/admin/people/"+r.PathValue("id"), "over")
	}
	if err != nil {
		return err
	}
	p := view.Data.(actionPage)
	if a.typed && !strings.EqualFold(strings.TrimSpace(form[confirmField]), p.Email) {
		view.Status = http.StatusUnprocessableEntity
		view.Problems = []render.Problem{{Field: confirmField, Key: "admin.problem.confirm"}}
		return s.Pages.Render(w, r, view)
	}
	err = a.do(s, r.Context(), s.by(r, who), p.ID, r.PathValue("item"), form)
	if errors.Is(err, account.ErrNotPermitted) { // since the page was read
		return render.ErrNotFound
	}
	to := "/admin/people/" + p.ID
	if a.name == "delete" {
		to = "/admin/people"
	}
	if err == nil {
		return s.redirectDone(w, r, to, a.name)
	}
	if isOver(err) {
		return s.redirectDone(w, r, "/admin/people/"+p.ID, "over")
	}
	problem, ok := actionProblem(err)
	if !ok {
		return err
	}
	p.Seen = form["seen"]
	for i := range p.Inputs {
		p.Inputs[i].Value = form[p.Inputs[i].Name]
	}
	view.Data, view.Status, view.Problems = p, http.StatusUnprocessableEntity, []render.Problem{problem}
	return s.Pages.Render(w, r, view)
}

// isOver reports whether an action failed because somebody else was faster.
func isOver(err error) bool {
	for _, one := range []error{
		account.ErrChanged, account.ErrDisabled, account.ErrEnabled, account.ErrNotFrozen, session.ErrNoSession,
		device.ErrNoDevice, enroll.ErrNoFactor,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// actionProblem returns the text of an error that is shown with the form.
func actionProblem(err error) (render.Problem, bool) {
	for _, one := range []struct {
		err   error
		field string
	}{
		{account.ErrGivenName, "given_name"}, {account.ErrFamilyName, "family_name"}, {account.ErrName, "name"},
		{account.ErrEmail, "email"}, {account.ErrExists, "email"},
	} {
		if errors.Is(err, one.err) {
			_, key, ok := render.FieldErrorText(err)
			return render.Problem{Field: one.field, Key: key}, ok
		}
	}
	switch {
	case errors.Is(err, errGroup):
		return render.Problem{Field: "groups", Key: "admin.problem.group"}, true
	case errors.Is(err, account.ErrLastOperator):
		return render.Problem{Key: "problem.lastoperator"}, true
	case errors.Is(err, account.ErrRole):
		return render.Problem{Key: "problem.role"}, true
	}
	return render.Problem{}, false
}
