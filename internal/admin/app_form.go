package admin

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// Kinds of inputs of the form of an app.
const (
	kindText   = "text"
	kindList   = "list" // one value per line
	kindBool   = "bool"
	kindChoice = "choice"
)

// appField is an input of the form of an app, by the JSON name of the field. Its label is the text admin.app.f. and name.
type appField struct {
	name, kind string
	choices    []string
}

// appSection is a part of the form. The first is always open.
type appSection struct {
	name   string // its title is the text admin.app.s. and name
	fields []appField
}

// appSections returns the parts of the form of an app.
func appSections() []appSection {
	return []appSection{
		{"", []appField{
			{"id", kindText, nil}, {"name", kindText, nil}, {"redirects", kindList, nil}, {"hosts", kindList, nil},
			{"groups", kindList, nil}, {"public", kindBool, nil}, {"foreign", kindBool, nil},
		}},
		{"signin", []appField{{"acr", kindChoice, session.ACRs()}, {"max_age", kindText, nil}}},
		{"signout", []appField{{"signed_out", kindList, nil}, {"back_channel", kindText, nil}}},
		{"hosts", []appField{
			{"public_paths", kindList, nil}, {"public_preflight", kindBool, nil},
			{"header_encoding", kindChoice, []string{client.HeaderUTF8, client.HeaderPercent, client.HeaderRFC2047}},
		}},
		{"tokens", []appField{
			{"id_token_ttl", kindText, nil}, {"access_token_ttl", kindText, nil}, {"refresh_token_ttl", kindText, nil},
			{"refresh_token_idle", kindText, nil}, {"algorithm", kindChoice, []string{"RS256", "ES256", "EdDSA"}},
			{"pairwise", kindBool, nil}, {"id_token_claims", kindList, nil}, {"map_claims", kindList, nil},
			{"map_groups", kindList, nil}, {"claims", kindList, nil},
		}},
		{"protocol", []appField{
			{"keys", kindList, nil}, {"pkce", kindChoice, []string{client.PKCEAuto, client.PKCERequired, client.PKCEOff}},
			{"response_types", kindList, nil}, {"schemes", kindList, nil}, {"insecure_http", kindBool, nil},
			{"introspects", kindBool, nil}, {"device_grant", kindBool, nil},
		}},
	}
}

// appFields returns all inputs of the form of an app.
func appFields() (list []appField) {
	for _, section := range appSections() {
		list = append(list, section.fields...)
	}
	return list
}

type appFormPage struct {
	frame
	Action, Back string
	Lead         string // which app is changed; "": a new one
	Version      string // of the app that is changed
	Sections     []appFormSection
}

type appFormSection struct {
	Title  string // text key; "": the first
	Open   bool
	Inputs []appInput
}

// appInput is an input with what is in it.
type appInput struct {
	Name, Label, Hint string // Hint is a text key; "": there is none
	Flag              string // of twostep app, which sets the same
	Kind, Value       string
	Checked, Wrong    bool
	About             string // IDs of what describes it
	Choices           []string
}

// hinted are the fields whose input has a hint, the text admin.app.h. and name.
var hinted = []string{
	"id", "redirects", "hosts", "groups", "public", "foreign", "max_age", "pairwise", "map_claims", "map_groups", "claims",
	"keys", "schemes", "insecure_http", "device_grant", "public_paths",
}

// newAppForm returns the form with the values of form. A section is open if something in it is set or wrong.
func newAppForm(form render.FormValues, isNew bool, wrong string) (list []appFormSection) {
	for _, section := range appSections() {
		s := appFormSection{}
		if section.name != "" {
			s.Title = "admin.app.s." + section.name
		}
		for _, f := range section.fields {
			if f.name == "id" && !isNew {
				continue
			}
			in := appInput{
				Name: f.name, Label: "admin.app.f." + f.name, Flag: client.Flag(f.name), Kind: f.kind, Choices: f.choices,
				Value: form[f.name], Checked: form[f.name] != "",
			}
			var about []string
			if in.Wrong = f.name == wrong; in.Wrong {
				about = append(about, f.name+"-wrong")
			}
			if slices.Contains(hinted, f.name) {
				in.Hint = "admin.app.h." + f.name
				about = append(about, f.name+"-hint")
			}
			in.About = strings.Join(about, " ")
			s.Open = s.Open || in.Checked || in.Wrong
			s.Inputs = append(s.Inputs, in)
		}
		list = append(list, s)
	}
	return list
}

// appFormValues returns what the form has for an app.
func appFormValues(cl client.Client) render.FormValues {
	form := render.FormValues{"id": cl.ID}
	for _, f := range appFields() {
		if f.name != "id" {
			form[f.name] = strings.Join(cl.Typed(f.name), "\n")
		}
	}
	if cl.AuthMethod() == "public" {
		form["public"] = "1"
	}
	return form
}

// appChange returns the change that a form makes to an app.
func appChange(form render.FormValues, cl client.Client) client.Change {
	ch := client.Change{Fields: map[string][]string{}, ByFlag: true}
	for _, f := range appFields() {
		value := strings.TrimSpace(form[f.name])
		switch {
		case f.name == "id", f.name == "public":
		case f.name == "keys": // JSON, of several lines
			ch.Fields[f.name] = []string{value}
		case f.kind == kindBool:
			if value != "" {
				value = "true"
			}
			ch.Fields[f.name] = []string{value}
		case f.kind == kindList:
			ch.Fields[f.name] = []string{}
			for line := range strings.Lines(value) {
				ch.Fields[f.name] = append(ch.Fields[f.name], strings.TrimSpace(line))
			}
		default:
			ch.Fields[f.name] = []string{value}
		}
	}
	// An app with hosts alone has no credentials and is not called public, so the box says nothing about it.
	if public := form["public"] != ""; public != (cl.AuthMethod() == "public") {
		ch.Public = &public
	}
	return ch
}

func appFormFields() (names []string) {
	for _, f := range appFields() {
		names = append(names, f.name)
	}
	return append(names, "version")
}

// showAddApp shows the form of a new app.
func (s *Handlers) showAddApp(w http.ResponseWriter, r *http.Request, who operator) error {
	p := appFormPage{
		frame: who.frame(r, "apps"), Action: "/admin/new-app", Back: "/admin/apps", Sections: newAppForm(nil, true, ""),
	}
	view := newView("app_form", "admin.app.add", p)
	view.Focus = "id"
	return s.Pages.Render(w, r, view)
}

// handleAddApp registers an app, and shows its secret.
func (s *Handlers) handleAddApp(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, appFormFields()...)
	if err != nil {
		return err
	}
	cl := client.Client{ID: strings.TrimSpace(form["id"])}
	change := appChange(form, cl)
	secret, err := change.Apply(&cl)
	if err == nil {
		err = s.clients().Create(r.Context(), s.by(r, who), cl)
	}
	if errors.Is(err, client.ErrExists) {
		err = cl.CheckConflict(client.Client{ID: cl.ID}) // says so
	}
	if err != nil {
		p := appFormPage{frame: who.frame(r, "apps"), Action: "/admin/new-app", Back: "/admin/apps"}
		return s.refuseApp(w, r, p, form, err, true)
	}
	return s.afterApp(w, r, who, cl, secret, "app-added")
}

// showEditApp shows the form of an app.
func (s *Handlers) showEditApp(w http.ResponseWriter, r *http.Request, who operator) error {
	a, err := s.changeableApp(r)
	if err != nil {
		return err
	}
	p := s.editPage(r, who, a)
	p.Sections = newAppForm(appFormValues(a.Client), false, "")
	return s.Pages.Render(w, r, newView("app_form", "admin.app.edit", p))
}

func (s *Handlers) editPage(r *http.Request, who operator, a app) appFormPage {
	return appFormPage{
		frame: who.frame(r, "apps"), Action: "/admin/apps/" + a.ID + "/edit", Back: "/admin/apps/" + a.ID,
		Lead: appLead(a.Client), Version: a.Version(),
	}
}

// appLead names an app with its ID.
func appLead(cl client.Client) string {
	if cl.DisplayName() == cl.ID {
		return cl.ID
	}
	return cl.DisplayName() + " · " + cl.ID
}

// handleEditApp changes an app. If it needs a secret now, the secret is shown.
func (s *Handlers) handleEditApp(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, appFormFields()...)
	if err != nil {
		return err
	}
	a, err := s.changeableApp(r)
	if err != nil {
		return err
	}
	cl := a.Client
	change := appChange(form, cl)
	secret, err := change.Apply(&cl)
	if err == nil {
		err = s.clients().Update(r.Context(), s.by(r, who), cl, formVersion(form))
	}
	if isAppOver(err) {
		return s.redirectDone(w, r, "/admin/apps/"+a.ID, "over")
	}
	if err != nil {
		p := s.editPage(r, who, a)
		p.Version = form["version"]
		return s.refuseApp(w, r, p, form, err, false)
	}
	return s.afterApp(w, r, who, cl, secret, "app-changed")
}

// formVersion returns the version of the app that a form changes. A form without one changes nothing.
func formVersion(form render.FormValues) string { return cmp.Or(form["version"], "none") }

// isAppOver reports whether a change failed because somebody else was faster.
func isAppOver(err error) bool {
	return errors.Is(err, client.ErrChanged) || errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrNoSecret)
}

// refuseApp shows the form again, with what is wrong beside its field. It returns other errors.
func (s *Handlers) refuseApp(
	w http.ResponseWriter, r *http.Request, p appFormPage, form render.FormValues, err error, isNew bool,
) error {
	invalid, ok := errors.AsType[*client.ValidationError](err)
	if !ok {
		return err
	}
	if invalid.Field == "keys" { // it may be a private key
		form["keys"] = ""
	}
	p.Sections = newAppForm(form, isNew, invalid.Field)
	title := "admin.app.edit"
	if isNew {
		title = "admin.app.add"
	}
	view := newView("app_form", title, p)
	view.Status = http.StatusUnprocessableEntity
	view.Problems = []render.Problem{{Field: invalid.Field, Text: asSentence(invalid.Translate(s.Pages.Localizer(r)))}}
	return s.Pages.Render(w, r, view)
}

// asSentence begins a text with a capital letter and ends it with a full stop. The name of a flag or a field at the start
// stays as it is.
func asSentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	word, _, _ := strings.Cut(text, " ")
	isName := strings.ContainsAny(word, "_-\"") && !strings.ContainsFunc(word, unicode.IsUpper)
	if !isName && client.Flag(word) == "" {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

type appSecretPage struct {
	frame
	client.Client
	Secret, Issuer string
	KeptOld        bool
}

// afterApp shows a new secret, once: it is neither stored nor in an address. Without one it goes on to the page of the
// app.
func (s *Handlers) afterApp(
	w http.ResponseWriter, r *http.Request, who operator, cl client.Client, secret, done string,
) error {
	if secret == "" {
		return s.redirectDone(w, r, "/admin/apps/"+cl.ID, done)
	}
	p := appSecretPage{who.frame(r, "apps"), cl, secret, s.Grants.Issuer, len(cl.SecretHashes) > 1}
	p.Notice = "admin.done." + done
	return s.Pages.Render(w, r, newView("app_secret", "admin.appsecret.title", p))
}
