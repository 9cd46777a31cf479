package attack

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/admin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/test/e2e/live"
)

// operatorRoute is a route of the operators' pages.
type operatorRoute struct {
	method, path, form string
	roles              []string
}

// operatorRoutes are the routes of the operators' pages, also with HEAD. ids are what stands for {id} in each folder.
func (h *server) operatorRoutes(ids map[string]string) (list []operatorRoute) {
	h.T.Helper()
	for _, r := range (&admin.Handlers{}).Routes() {
		if r.Access != render.AccessOperator || len(r.Roles) == 0 {
			h.T.Errorf("%s needs %q with the roles %q", r.Pattern, r.Access, r.Roles)
		}
		method, path, _ := strings.Cut(r.Pattern, " ")
		for folder, id := range ids {
			path = strings.Replace(path, folder+"{id}", folder+id, 1)
		}
		path = strings.Replace(path, "{item}", "nothing", 1)
		i := slices.IndexFunc(inventory, func(one route) bool { return one.pattern == r.Pattern })
		if i < 0 {
			continue // TestEveryRouteIsListed says so
		}
		list = append(list, operatorRoute{method, path, inventory[i].form, r.Roles})
		if method == http.MethodGet {
			list = append(list, operatorRoute{http.MethodHead, path, "", r.Roles})
		}
	}
	return list
}

func (h *server) requestRoute(b *live.Browser, r operatorRoute) live.Answer {
	return b.Do(h.request(r.method, r.path, r.form, form, "Origin: "+h.URL, "Sec-Fetch-Site: same-origin"))
}

// withRole returns a new browser in which a new account with the role is signed in by email.
func (h *server) withRole(role string) *live.Browser {
	h.T.Helper()
	email := "role" + role + "@example.com"
	err := h.CreateAccount(h.T.Context(), twostep.AccountParams{Email: email, Name: "Rolf", Password: benPassword, Role: role})
	if err != nil && err != twostep.ErrAccountExists {
		h.T.Fatal(err)
	}
	return h.signIn(h.Browser(), email, benPassword)
}

var allRoles = []string{"", twostep.RoleOperator, twostep.RoleHelpdesk, twostep.RoleAuditor}

// A page of the operators is requested without a session, with a session that is not finished, without the role, with a
// proof that is too old, in a trusted browser, or with the weaker of two methods.
func TestOperatorsPagesNeedRoleAndProof(t *testing.T) {
	t.Parallel()
	p := &phone{}
	eachDatabase(t, func(h *server) {
		byRole := map[string]*live.Browser{}
		for _, role := range allRoles {
			byRole[role] = h.withRole(role)
		}
		anna := h.annaSignedIn()
		h.addApp(anna)
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		byEmail := h.annaSignedIn() // she has an app
		pending := h.Browser()
		h.passwordStep(pending, "role@example.com", benPassword)
		routes := h.operatorRoutes(map[string]string{"audit/": h.anEvent(), "people/": "nobody", "apps/": "nobody"})
		want := func(what string, r operatorRoute, a live.Answer, status int, to string) {
			h.T.Helper()
			at := a.Header.Get("Location")
			if a.StatusCode != status || !strings.HasPrefix(at, to) {
				h.T.Errorf("%s %s %s: %d to %q, want %d to %q", what, r.method, r.path, a.StatusCode, at, status, to)
			}
		}
		for _, r := range routes {
			want("no session:", r, h.requestRoute(h.Browser(), r), http.StatusSeeOther, "/signin")
			want("not finished:", r, h.requestRoute(pending, r), http.StatusSeeOther, "/signin")
			want("not finished, as a session:", r, h.requestRoute(h.withCookies("session", h.cookie(pending, "signin")), r),
				http.StatusSeeOther, "/signin")
			want("weaker method:", r, h.requestRoute(byEmail, r), http.StatusSeeOther, "/settings/confirm?return_to=%2Fadmin")
			for role, b := range byRole {
				if slices.Contains(r.roles, role) {
					if a := h.requestRoute(b, r); at(a, "/signin", "/settings") || a.StatusCode == http.StatusNotFound && !strings.Contains(r.path, "nobody") && !strings.Contains(r.path, "/invitations/re") {
						h.T.Errorf("%s: %s %s: %d to %q", role, r.method, r.path, a.StatusCode, a.Header.Get("Location"))
					}
				} else {
					want("role "+role+":", r, h.requestRoute(b, r), http.StatusNotFound, "")
				}
			}
		}
		h.Turn(15*time.Minute + time.Second)
		for _, r := range routes {
			for role, b := range byRole {
				if slices.Contains(r.roles, role) {
					want("stale "+role+":", r, h.requestRoute(b, r), http.StatusSeeOther, "/settings/confirm?return_to=%2Fadmin")
				} else {
					want("stale, role "+role+":", r, h.requestRoute(b, r), http.StatusNotFound, "")
				}
			}
		}
	}, allMethods(p))
}

// The help desk changes an account with a role, somebody changes their own account, or an auditor changes anything.
func TestRolesLimitWhatIsDoneToPeople(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		byRole := map[string]*live.Browser{}
		ids := map[string]string{}
		for _, role := range allRoles {
			byRole[role] = h.withRole(role)
			ids[role] = h.value("SELECT id FROM accounts WHERE role = '" + role + "' AND email LIKE 'role%'")
		}
		before := h.value("SELECT COUNT(*) FROM accounts WHERE disabled_at = 0")
		for _, r := range (&admin.Handlers{}).Routes() {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if method != http.MethodPost || !strings.HasPrefix(path, "/admin/people/{id}/") || strings.HasSuffix(path, "/export") {
				continue
			}
			i := slices.IndexFunc(inventory, func(one route) bool { return one.pattern == r.Pattern })
			for _, role := range allRoles[1:] {
				for _, target := range allRoles {
					allowed := target != role && (role == twostep.RoleOperator || role == twostep.RoleHelpdesk && target == "" && slices.Contains(r.Roles, role))
					if allowed {
						continue
					}
					for _, m := range []string{http.MethodGet, http.MethodPost} {
						body := inventory[i].form
						if m == http.MethodGet && !slices.ContainsFunc(inventory, func(one route) bool { return one.pattern == "GET "+path }) {
							continue // the form is on another page
						}
						if m == http.MethodGet {
							body = ""
						}
						to := strings.NewReplacer("{id}", ids[target], "{item}", "nothing").Replace(path)
						h.wantStatus(h.requestRoute(byRole[role], operatorRoute{method: m, path: to, form: body}), http.StatusNotFound)
					}
				}
			}
		}
		if after := h.value("SELECT COUNT(*) FROM accounts WHERE disabled_at = 0"); after != before {
			h.T.Errorf("%s of %s accounts are left", after, before)
		}
	})
}

// An operator does what each page of a person offers. The person hears of each, the event names the operator, and what
// was done is done.
func TestOperatorsHelpPeople(t *testing.T) {
	t.Parallel()
	p := &phone{}
	eachDatabase(t, func(h *server) {
		b := h.withRole(twostep.RoleOperator)
		me := h.value("SELECT id FROM accounts WHERE role = 'operator'")
		anna := h.Browser()
		h.wantRedirect(anna.Post("/signin/verify", "code", anna.Password(), "trust", "1"), "/settings")
		id := h.value("SELECT id FROM accounts WHERE email = 'anna@example.com'")
		do := func(name, form, kind string) {
			h.T.Helper()
			h.WaitForOutbox()
			mails := h.Mail.Len()
			path := "/admin/people/" + id + "/" + name
			h.wantStatus(b.Get(path), http.StatusOK)
			a := h.post(b, path, form)
			if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/admin/people/"+id {
				h.T.Errorf("%s: %d to %q\n%.500s", name, a.StatusCode, a.Header.Get("Location"), a.Body)
			}
			for i, want := range []bool{true, false} { // once
				page := b.Get("/admin/people/" + id).Body
				if said := strings.Contains(page, `role="status"`); said != want || strings.Contains(page, "Nothing was changed") {
					h.T.Errorf("%s: view %d says that it was done: %v", name, i+1, said)
				}
			}
			h.WaitForOutbox()
			if h.Mail.Len() == mails {
				h.T.Errorf("%s: nobody was told", name)
			}
			events, err := h.AuditEvents(h.T.Context(), twostep.AuditFilter{Kinds: []string{kind}, Limit: 1})
			if err != nil || len(events) != 1 || events[0].ActorType != "operator" || events[0].ActorID != me || events[0].Account != id {
				h.T.Errorf("%s: %v %+v", name, err, events)
			}
		}
		do("forget-devices", "", "devices.forgotten")
		secret := h.addApp(anna)
		export := h.wantStatus(b.Post("/admin/people/"+id+"/export"), http.StatusOK)
		for _, page := range []string{export.Body, h.wantStatus(b.Get("/admin/people/"+id), http.StatusOK).Body} {
			for _, hidden := range []string{secret, live.AnnaPassword, "argon2", h.cookie(anna, "session")} {
				if strings.Contains(page, hidden) {
					h.T.Errorf("an operator sees %q", hidden)
				}
			}
		}
		do("rename", "name=Anne&given_name=&family_name=", "name.changed")
		do("groups", "groups=staff%2C+wiki", "account.groups_changed")
		do("role", "role=auditor&seen=", "account.role_changed")
		do("role", "role=&seen=auditor", "account.role_changed")
		do("reset-link", "", "password.reset_requested")
		do("email", "email=anne%40example.net", "email.change_proposed")
		do("end-session/"+h.value("SELECT id FROM sessions WHERE account_id = '"+id+"' LIMIT 1"), "", "session.ended")
		do("remove-method/"+h.value("SELECT id FROM factors WHERE account_id = '"+id+"'"), "", "factor.removed")
		h.wantRedirect(h.post(b, "/admin/people/"+id+"/sign-out", ""), "/admin/people/"+id) // nothing is left to end
		if page := b.Get("/admin/people/" + id).Body; !strings.Contains(page, "Nothing was changed") || strings.Contains(page, "/sign-out") {
			h.T.Error("signing out somebody who is not signed in is offered")
		}
		h.signIn(h.Browser(), "anna@example.com", live.AnnaPassword)
		do("sign-out", "", "sessions.ended")
		do("disable", "", "account.disabled")
		do("enable", "", "account.enabled")
		if got := h.value("SELECT name || ' ' || group_names FROM accounts WHERE id = '" + id + "'"); got != "Anne staff,wiki" {
			h.T.Errorf("name and groups: %q", got)
		}
		for _, typed := range []string{"", "confirm=", "confirm=anna", "confirm=boss%40example.com"} {
			if a := h.post(b, "/admin/people/"+id+"/delete", typed); a.StatusCode != http.StatusUnprocessableEntity ||
				!strings.Contains(a.Body, "This isn&#39;t the email address of the account.") {
				h.T.Errorf("delete with %q: %d", typed, a.StatusCode)
			}
		}
		h.wantRedirect(h.post(b, "/admin/people/"+id+"/delete", "confirm=+Anna%40example.com"), "/admin/people")
		if said := b.Get("/admin/people").Body; !strings.Contains(said, "The account was deleted.") {
			h.T.Error("the page does not say that the account was deleted")
		}
		if said := b.Get("/admin/people?done=delete").Body; strings.Contains(said, "The account was deleted.") {
			h.T.Error("an address says that the account was deleted")
		}
		if n := h.value("SELECT COUNT(*) FROM accounts WHERE id = '" + id + "'"); n != "0" {
			h.T.Error("the account is still there")
		}
		h.wantStatus(b.Get("/admin/people/"+id), http.StatusNotFound)
	}, allMethods(p))
}

// at reports whether an answer redirects to one of the paths.
func at(a live.Answer, paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(a.Header.Get("Location"), p) })
}

// anEvent returns the id of an event.
func (h *server) anEvent() string {
	h.T.Helper()
	events, err := h.AuditEvents(h.T.Context(), twostep.AuditFilter{Limit: 1})
	if err != nil || len(events) != 1 {
		h.T.Fatal(err)
	}
	return events[0].ID
}

// must fails the test if err is not nil.
func (h *server) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// A trusted browser opens the operators' pages without the second step.
func TestTrustOpensNoOperatorsPage(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		b := h.Browser()
		code := b.Password()
		h.wantRedirect(b.Post("/signin/verify", "code", code, "trust", "1"), "/settings")
		h.wantStatus(b.Get("/admin"), http.StatusOK)
		h.wantStatus(b.Post("/signout"), http.StatusSeeOther)
		h.wantRedirect(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), "/settings")
		for _, r := range h.operatorRoutes(map[string]string{"audit/": h.anEvent(), "people/": "nobody", "apps/": "nobody"}) {
			if a := h.requestRoute(b, r); a.StatusCode != http.StatusSeeOther || !at(a, "/settings/confirm") {
				h.T.Errorf("%s %s: %d to %q", r.method, r.path, a.StatusCode, a.Header.Get("Location"))
			}
		}
	})
}

// A twin of a route, or a path that begins like one, is there without the role.
func TestTwinsOfOperatorsPagesDoNotExist(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.withRole(twostep.RoleOperator)
	h.wantStatus(b.Get("/admin"), http.StatusOK)
	for _, who := range []*live.Browser{b, h.withRole(""), h.Browser()} {
		for _, path := range []string{"/administrator", "/admins", "/admin.", "/Admin", "/ADMIN/audit", "/admin/", "/admin/audit/",
			"//admin", "/admin//audit", "/admin/../admin", "/admin;/audit", "/admin/audit.xml", "/admin/audit.csv/", "/settings/admin"} {
			h.wantStatus(who.Do(h.request("GET", path, "")), http.StatusNotFound)
			h.wantStatus(who.Do(h.request("HEAD", path, "")), http.StatusNotFound)
		}
	}
}

// A role that was taken away is used with the session that had it.
func TestRoleEndsWithTheNextRequest(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		b := h.withRole(twostep.RoleHelpdesk)
		h.wantStatus(b.Get("/admin"), http.StatusOK)
		h.wantStatus(b.Get("/admin/keys"), http.StatusNotFound)
		h.must(h.SetRole(h.T.Context(), twostep.By{}, "rolehelpdesk@example.com", twostep.RoleAuditor))
		h.wantStatus(b.Get("/admin/keys"), http.StatusOK)
		h.must(h.SetRole(h.T.Context(), twostep.By{}, "rolehelpdesk@example.com", ""))
		h.wantStatus(b.Get("/admin"), http.StatusNotFound)
		h.wantStatus(b.Get("/settings"), http.StatusOK)
	})
}

// The last operator loses the role, or two operators take it from each other at once.
func TestLastOperatorKeepsTheRole(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		for _, role := range []string{"", twostep.RoleHelpdesk} {
			if err := h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, role); !errors.Is(err, twostep.ErrLastOperator) {
				h.T.Errorf("to %q: %v", role, err)
			}
		}
		h.must(h.SetRole(h.T.Context(), twostep.By{}, benEmail, twostep.RoleOperator))
		errs := make([]error, 2)
		atOnce(2, func(i int) {
			errs[i] = h.SetRole(h.T.Context(), twostep.By{}, []string{live.AnnaEmail, benEmail}[i], "")
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			h.T.Errorf("both at once: %v", errs)
		}
		if n := h.value("SELECT COUNT(*) FROM accounts WHERE role = 'operator'"); n != "1" {
			h.T.Errorf("%s operators are left", n)
		}
		last := h.value("SELECT email FROM accounts WHERE role = 'operator'")
		h.must(h.SetRole(h.T.Context(), twostep.By{Force: true}, last, ""))
	})
}

// What an operator does on a page is done in the name of somebody else, or of nobody.
func TestOperatorsAreTheActorsOfWhatTheyDo(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.withRole(twostep.RoleOperator)
		id := h.value("SELECT id FROM accounts WHERE role = 'operator'")
		h.wantStatus(b.Post("/admin/delivery", "email", "test@example.net"), http.StatusSeeOther)
		h.wantStatus(b.Post("/admin/keys/rotate"), http.StatusSeeOther)
		for _, kind := range []string{"delivery.tested", "signing_key.created"} {
			events, err := h.AuditEvents(h.T.Context(), twostep.AuditFilter{Kinds: []string{kind}})
			if err != nil || len(events) == 0 {
				h.T.Errorf("%s: %d events, %v", kind, len(events), err)
			}
			for _, e := range events {
				if e.ActorType != "operator" || e.ActorID != id || e.Address == "" {
					h.T.Errorf("%s: %+v", kind, e)
				}
			}
		}
	})
}

// A list of people, or of events, is downloaded and nobody knows by whom.
func TestDownloadsAreEvents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.withRole(twostep.RoleAuditor)
		me := h.value("SELECT id FROM accounts WHERE role = 'auditor'")
		for path, want := range map[string]string{
			"/admin/people.csv?q=anna&state=active": "people.exported 1 rows; q, state=active",
			"/admin/audit.csv?kind=account.created": "events.exported 2 rows; kind=account.created",
			"/admin/audit.json?person=" + me:        "events.exported 3 rows; person",
		} {
			h.exec("DELETE FROM audit_events WHERE kind IN (95, 96)")
			h.wantStatus(b.Do(h.request("HEAD", path, "")), http.StatusOK)
			if n := h.value("SELECT COUNT(*) FROM audit_events WHERE kind IN (95, 96)"); n != "0" {
				h.T.Errorf("%s: an event without a download", path)
			}
			h.wantStatus(b.Get(path), http.StatusOK)
			events, err := h.AuditEvents(h.T.Context(), twostep.AuditFilter{Kinds: []string{"people.exported", "events.exported"}, Limit: 9})
			h.must(err)
			if len(events) != 1 || events[0].Event+" "+events[0].Reason != want || events[0].ActorID != me || events[0].Address == "" {
				h.T.Errorf("%s: %+v, want %q", path, events, want)
			}
		}
	})
}

// A test text message goes to a number that is none, or by somebody who may not send one.
func TestTestTextMessages(t *testing.T) {
	t.Parallel()
	p := &phone{}
	h := start(t, "", allMethods(p))
	b := h.withRole(twostep.RoleOperator)
	for _, number := range []string{"", "12345678", "+0123456789", "+49 151 x", "+4915112345678901234", "anna@example.com"} {
		h.wantStatus(b.Post("/admin/delivery", "number", number), http.StatusUnprocessableEntity)
	}
	for _, role := range []string{"", twostep.RoleHelpdesk, twostep.RoleAuditor} {
		h.wantStatus(h.withRole(role).Post("/admin/delivery", "number", "+4915112345678"), http.StatusNotFound)
	}
	if n := h.value("SELECT COUNT(*) FROM audit_log WHERE kind = 'delivery.tested'"); n != "0" {
		t.Errorf("%s tests of refused requests", n)
	}
	a := b.Post("/admin/delivery", "number", "+49 151 1234-5678")
	if a.StatusCode != http.StatusSeeOther || !at(a, "/admin/delivery?message=") {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}
