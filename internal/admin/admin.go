// Package admin is the operators' pages: what happens on the site, its people, events, messages, keys and settings.
//
// A page needs a session of an account with a role, in which the person took both steps recently. To everybody else the
// pages do not exist. The package has no SQL and decides nothing else: what a role may do to whom is decided by the
// services.
package admin

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/webhook"
)

// Handlers serves the operators' pages of one server.
type Handlers struct {
	Accounts    *account.Accounts
	Sessions    *session.Sessions
	Challenges  *challenge.Challenges
	Devices     *device.Devices
	Enrollments *enroll.Enrollments
	DeskCodes   *deskcode.DeskCodes
	Directory   *directory.Directory
	Grants      *grant.Grants
	Outbox      *outbox.Outbox
	Webhooks    *webhook.Deliverer
	Pages       *render.Renderer
	Health      func(context.Context) Health
	Settings    []Setting
	// ParsePolicy reads a policy that an operator wants to try. nil: there is no such page.
	ParsePolicy func(text []byte) (policy.Policy, error)

	exports atomic.Int32 // that are being written
}

// Health is the state of the server that answers.
type Health struct {
	Version  string // "": not known
	Database string // its kind, like SQLite
	Alarms   []Alarm
	Jobs     []Job
	// Latencies are those of the channels and then of the gateways, since the start of the server.
	Latencies []Latency
}

// Latency is how long the last messages of a channel or gateway took.
type Latency struct {
	Name     string
	Messages int
	P50, P95 time.Duration
}

// Alarm is something that an operator should look at. Its text is that of the key admin.alarm. and Key.
type Alarm struct {
	Key  string
	Time time.Time // since when; zero: not known
	Ends bool      // Time is when it ends, like a certificate
	Name string    // of the webhook that it is about; "": none
}

// Messages reports whether the page Messages says more.
func (a Alarm) Messages() bool { return slices.Contains([]string{"mail", "sms", "waiting"}, a.Key) }

// Job is work that the server repeats in the background.
type Job struct {
	Name           string
	Runs, Failures int64
	EndedAt        time.Time // when the last run ended; zero: none has
	Last, Longest  time.Duration
}

// Setting is a setting in force.
type Setting struct {
	Name, Value, Source string // Source is "" for a default
}

//go:embed pages
var templateFiles embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(templateFiles, "pages") })

// The roles of the routes.
var (
	anyRole       = []string{account.RoleOperator, account.RoleHelpdesk, account.RoleAuditor}
	exporters     = []string{account.RoleOperator, account.RoleAuditor}
	helpers       = []string{account.RoleOperator, account.RoleHelpdesk}
	operatorsOnly = []string{account.RoleOperator}
)

// Routes returns the routes of the operators' pages.
func (s *Handlers) Routes() []render.Route {
	return append(slices.Concat(s.actionRoutes(), s.appRoutes(), s.deskRoutes(), s.policyRoutes()),
		s.withRole("GET /admin", anyRole, s.showOverview),
		s.withRole("GET /admin/people", anyRole, s.showPeople),
		s.withRole("GET /admin/people.csv", exporters, s.exportPeople),
		s.withRole("GET /admin/people/{id}", anyRole, s.showPerson),
		s.withRole("GET /admin/people/{id}/export", exporters, s.showExport),
		s.withRole("POST /admin/people/{id}/export", exporters, s.handleExport),
		s.withRole("GET /admin/invitations", helpers, s.showInvitations),
		s.withRole("GET /admin/invitations/new", helpers, s.showInvite),
		s.withRole("POST /admin/invitations/new", helpers, s.handleInvite),
		s.withRole("GET /admin/invitations/resend", helpers, s.showResend),
		s.withRole("POST /admin/invitations/resend", helpers, s.handleResend),
		s.withRole("GET /admin/invitations/revoke", helpers, s.showRevoke),
		s.withRole("POST /admin/invitations/revoke", helpers, s.handleRevoke),
		s.withRole("GET /admin/audit", anyRole, s.showAudit),
		s.withRole("GET /admin/audit/{id}", anyRole, s.showEvent),
		s.withRole("GET /admin/audit.csv", exporters, s.exportCSV),
		s.withRole("GET /admin/audit.json", exporters, s.exportJSON),
		s.withRole("GET /admin/delivery", anyRole, s.showDelivery),
		s.withRole("POST /admin/delivery", operatorsOnly, s.handleSendTest),
		s.withRole("GET /admin/keys", exporters, s.showKeys),
		s.withRole("GET /admin/keys/rotate", operatorsOnly, s.showRotate),
		s.withRole("POST /admin/keys/rotate", operatorsOnly, s.handleRotate),
		s.withRole("GET /admin/settings", exporters, s.showSettings),
	)
}

// operator is the session of somebody who may use a route.
type operator struct {
	session.Session
	notice string // text key of what the page says was done; "": nothing
}

// actor returns the operator as the actor of events.
func (o operator) actor() audit.Actor {
	return audit.Actor{Type: audit.TypeOperator, ID: o.Account.ID}
}

func (o operator) may(roles []string) bool { return slices.Contains(roles, o.Account.Role) }

// withRole returns a route for sessions of accounts with one of the roles.
func (s *Handlers) withRole(
	pattern string, roles []string, h func(http.ResponseWriter, *http.Request, operator) error,
) render.Route {
	return render.Route{
		Pattern: pattern,
		Access:  render.AccessOperator,
		Roles:   roles,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			who, err := s.requireRole(r, roles)
			if r.Method != http.MethodGet {
				form := formPath(r.URL.Path)
				switch {
				case errors.Is(err, session.ErrStepUpRequired):
					s.setNotice(w, "unsent", form, stepUpTime)
					return redirect(w, r, render.StepUpURL(form, http.MethodGet))
				case errors.Is(err, challenge.ErrSetUpRequired):
					s.setNotice(w, "unsent", form, stepUpTime)
					return redirect(w, r, render.RequiredMethodURL(form, http.MethodGet))
				}
			}
			if err != nil {
				return err
			}
			who.notice = s.takeNotice(w, r)
			return h(w, r, who)
		},
	}
}

// formPath returns the path of the page with the form that is sent to path. For most forms it is the same.
func formPath(path string) string {
	if person, _, ok := strings.Cut(path, "/desk-code/"); ok {
		return person + "/desk-code"
	}
	return path
}

// requireRole returns the session of the request. It returns session.ErrNoSession without one, render.ErrNotFound if its
// account has none of the roles, session.ErrStepUpRequired if the person has to take both steps again, and the errors
// of challenge.CheckPolicy.
func (s *Handlers) requireRole(r *http.Request, roles []string) (operator, error) {
	found, err := s.Sessions.Get(r.Context(), s.Pages.Cookie(r, render.SessionCookie))
	if err != nil {
		return operator{}, err
	}
	who := operator{Session: found}
	if !who.may(roles) {
		return operator{}, render.ErrNotFound
	}
	// Most sessions that fail, fail here, without another read.
	if !found.AuthenticatedAs(session.LevelEmail, s.Sessions.OperatorFreshFor(found), s.Pages.CurrentTime()) {
		return operator{}, session.ErrStepUpRequired
	}
	if rules := s.Sessions.Rules; rules.Requires() {
		if err := s.Challenges.CheckPolicy(r.Context(), found, rules.For(found.Account.Groups, "")); err != nil {
			return operator{}, err
		}
	}
	level, err := s.Challenges.OperatorLevel(r.Context(), found)
	if err != nil {
		return operator{}, err
	}
	if !found.AuthenticatedAs(level, s.Sessions.OperatorFreshFor(found), s.Pages.CurrentTime()) {
		return operator{}, session.ErrStepUpRequired
	}
	return who, nil
}

// frame is what every page has.
type frame struct {
	Role, Here string // Here is the part of the pages that is open, as in links
	Path       string // of the page
	Notice     string // text key of what was done; "": nothing
}

// Links are the parts of the pages that the role may open.
func (f frame) Links() []navLink {
	var list []navLink
	for _, l := range []struct {
		name, path string
		roles      []string
	}{
		{"overview", "/admin", anyRole},
		{"people", "/admin/people", anyRole},
		{"desk", "/admin/desk-codes", helpers},
		{"apps", "/admin/apps", exporters},
		{"audit", "/admin/audit", anyRole},
		{"delivery", "/admin/delivery", anyRole},
		{"keys", "/admin/keys", exporters},
		{"settings", "/admin/settings", exporters},
	} {
		if slices.Contains(l.roles, f.Role) {
			current := ""
			if l.path == f.Path {
				current = "page"
			} else if l.name == f.Here {
				current = "true"
			}
			list = append(list, navLink{l.path, "admin." + l.name + ".title", current})
		}
	}
	return list
}

// navLink is a link to a part of the pages.
type navLink struct {
	Path, Key string
	Current   string // of aria-current: "page", "true" for a page below it, "" for none
}

// frame returns the frame of a page. here is the name of its part.
func (o operator) frame(r *http.Request, here string) frame {
	return frame{Role: o.Account.Role, Here: here, Path: r.URL.Path, Notice: o.notice}
}

// newView returns the view of a page of this package.
func newView(template, title string, data any) render.View {
	return render.View{
		Templates: templates(), Template: template, Title: title, Wide: true, Style: "admin.css", Data: data,
	}
}
