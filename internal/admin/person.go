package admin

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
)

type personPage struct {
	frame
	directory.Details
	RoleKey string
	Self    bool // it is the account of the operator
	May     map[string]bool
	Actions []string // those about the whole account, in the list at the end
	Export  bool
	Barred  bool   // only operators may change it
	Back    string // the URL of the list from which the page was opened
	Devices []deviceRow
	Signed  []sessionRow
	Ways    []methodRow
	Asked   []decisionRow
	Events  []eventRow
}

type methodRow struct {
	directory.Method
	Title string
}

// PasswordKey returns the text key that says what the password is.
func (p personPage) PasswordKey() string {
	switch {
	case !p.HasPassword:
		return "admin.person.passwordnone"
	case p.PasswordChangedAt.IsZero():
		return "admin.person.passwordset"
	}
	return "admin.person.passwordat"
}

type sessionRow struct {
	directory.Session
	Device, Place string
}

type deviceRow struct {
	directory.Device
	Name string
}

type decisionRow struct {
	directory.Decision
	Text, Place string
}

// showPerson shows everything about an account.
func (s *Handlers) showPerson(w http.ResponseWriter, r *http.Request, who operator) error {
	d, err := s.details(r)
	if err != nil {
		return err
	}
	words := s.Pages.Localizer(r)
	p := personPage{
		frame: who.frame(r, "people"), Details: d, RoleKey: roleKey(d.Role), Self: d.ID == who.Account.ID,
		May: map[string]bool{}, Export: who.may(exporters), Back: address("/admin/people", parseFrom(r)),
		Barred: d.Role != "" && who.Account.Role == account.RoleHelpdesk && d.ID != who.Account.ID,
	}
	for _, a := range actions() {
		p.May[a.name] = who.mayDo(a, d) && a.fits(d)
		if p.May[a.name] && !a.item && !a.beside {
			p.Actions = append(p.Actions, a.name)
		}
	}
	p.May["desk-code"] = who.mayGiveCode(d)
	for _, m := range d.Methods {
		p.Ways = append(p.Ways, methodRow{m, s.methodName(words, m.Method)})
	}
	for _, one := range d.Sessions {
		p.Signed = append(p.Signed, sessionRow{
			one, one.Browser, origin.DescribeAddress(one.Address, words.Tag()),
		})
	}
	for _, one := range d.Devices {
		p.Devices = append(p.Devices, deviceRow{one, one.Browser})
	}
	for _, one := range d.Decisions {
		row := decisionRow{Decision: one, Text: reasonText(words, one.Reason)}
		if one.Address != "" {
			row.Place = origin.DescribeAddress(one.Address, words.Tag())
		}
		p.Asked = append(p.Asked, row)
	}
	for _, e := range d.Events {
		p.Events = append(p.Events, eventRow{
			ID: e.ID, Kind: e.Event, Name: kindName(words, e.Event), Reason: e.Reason, At: e.At, Failed: e.Result == "failure",
		})
	}
	view := newView("person", "", p)
	view.TitleText = d.Name
	return s.Pages.Render(w, r, view)
}

// details returns the account of a request, or render.ErrNotFound.
func (s *Handlers) details(r *http.Request) (directory.Details, error) {
	d, err := s.Directory.Describe(r.Context(), r.PathValue("id"))
	if errors.Is(err, account.ErrUnknown) || err == nil && d.ID != r.PathValue("id") { // an address is no id
		return d, render.ErrNotFound
	}
	return d, err
}

// reasonText says why a code was needed.
func reasonText(words i18n.Localizer, reason string) string {
	key := "admin.why." + reason
	if text := words.Translate(key); text != key {
		return text
	}
	return reason
}
