package admin

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/render"
)

// appConfirmPage says what a button will do to an app.
type appConfirmPage struct {
	frame
	Action, Back string
	Lead         string
	Version      string
	Text         []string // sentences
	Keep         bool     // there is a box to keep the old secret
	Danger       bool
	Button       string // text key
}

// confirmApp shows a page that confirms what is done to the app of a request, with the texts of a name.
func (s *Handlers) confirmApp(w http.ResponseWriter, r *http.Request, who operator, a app, name string, p appConfirmPage) error {
	p.frame, p.Action, p.Back = who.frame(r, "apps"), "/admin/apps/"+a.ID+"/"+name, "/admin/apps/"+a.ID
	p.Lead, p.Version, p.Button = appLead(a.Client), a.Version(), "admin.app."+name+".button"
	p.Text = append([]string{s.Pages.Localizer(r).Translate("admin.app." + name + ".text")}, p.Text...)
	return s.Pages.Render(w, r, newView("app_confirm", "admin.app."+name+".title", p))
}

// showRotateApp says what a new secret does.
func (s *Handlers) showRotateApp(w http.ResponseWriter, r *http.Request, who operator) error {
	a, err := s.changeableApp(r)
	if err == nil && len(a.SecretHashes) == 0 {
		err = render.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.confirmApp(w, r, who, a, "rotate", appConfirmPage{Keep: true})
}

// handleRotateApp gives an app a new secret and shows it.
func (s *Handlers) handleRotateApp(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "version", "keep")
	if err != nil {
		return err
	}
	a, err := s.changeableApp(r)
	if err != nil {
		return err
	}
	secret, err := s.clients().RotateSecret(r.Context(), s.by(r, who), a.ID, form["keep"] != "", formVersion(form))
	if isAppOver(err) {
		return s.redirectDone(w, r, "/admin/apps/"+a.ID, "over")
	}
	if err != nil {
		return err
	}
	cl, err := s.clients().Get(r.Context(), a.ID)
	if err != nil { // the secret is valid, so it is shown
		cl = a.Client
	}
	return s.afterApp(w, r, who, cl, secret, "app-rotated")
}

// showEndOldSecret says what the end of the old secret does.
func (s *Handlers) showEndOldSecret(w http.ResponseWriter, r *http.Request, who operator) error {
	a, err := s.changeableApp(r)
	if err == nil && len(a.SecretHashes) < 2 {
		err = render.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.confirmApp(w, r, who, a, "end-old", appConfirmPage{})
}

// handleEndOldSecret ends the old secret of an app.
func (s *Handlers) handleEndOldSecret(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "version")
	if err != nil {
		return err
	}
	a, err := s.changeableApp(r)
	if err != nil {
		return err
	}
	done := "app-ended"
	if err := s.clients().EndOldSecrets(r.Context(), s.by(r, who), a.ID, formVersion(form)); isAppOver(err) {
		done = "over"
	} else if err != nil {
		return err
	}
	return s.redirectDone(w, r, "/admin/apps/"+a.ID, done)
}

// showRemoveApp says what ends with an app, and for how many people.
func (s *Handlers) showRemoveApp(w http.ResponseWriter, r *http.Request, who operator) error {
	a, err := s.changeableApp(r)
	if err != nil {
		return err
	}
	n, err := s.clients().CountPeople(r.Context(), a.ID, peopleCounted+1)
	if err != nil {
		return err
	}
	words := s.Pages.Localizer(r)
	people := words.Translate("admin.app.people", "Number", n)
	if n > peopleCounted {
		people = words.Translate("admin.app.manypeople", "Number", peopleCounted)
	}
	return s.confirmApp(w, r, who, a, "remove", appConfirmPage{
		Text: []string{people, words.Translate("admin.app.remove.own"), words.Translate("admin.app.remove.undo")}, Danger: true,
	})
}

// handleRemoveApp removes an app with its tokens, its grants and the consents for it.
func (s *Handlers) handleRemoveApp(w http.ResponseWriter, r *http.Request, who operator) error {
	if _, err := render.ParseForm(w, r, "version"); err != nil {
		return err
	}
	a, err := s.changeableApp(r)
	if err != nil {
		return err
	}
	done := "app-removed"
	if err := s.clients().Delete(r.Context(), s.by(r, who), a.ID); errors.Is(err, client.ErrNotFound) {
		done = "over"
	} else if err != nil {
		return err
	}
	return s.redirectDone(w, r, "/admin/apps", done)
}
