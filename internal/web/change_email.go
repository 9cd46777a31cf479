package web

import (
	"maps"
	"net/http"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/render"
)

// changeEmailRoute is a route at or below /settings/email. A new address is verified like a new factor, with the
// implicit method: a code is sent to it.
func (s *Handlers) changeEmailRoute(method, below string, h enrollmentHandler) render.Route {
	return s.withSession(
		method+" /settings/email"+below,
		func(w http.ResponseWriter, r *http.Request, who signedIn) error {
			for _, m := range s.Challenges.Methods {
				if info := m.Info(); info.Implicit {
					r, e, err := s.newEmailChange(w, r, who, info)
					if err != nil {
						return err
					}
					return h(w, r, e)
				}
			}
			return render.ErrNotFound
		},
	)
}

// newEmailChange returns the enrollment of a new address: the form has one field, and the new address replaces the old
// one.
func (s *Handlers) newEmailChange(
	w http.ResponseWriter, r *http.Request, who signedIn, info factor.Info,
) (*http.Request, enrollment, error) {
	r, e, err := s.newEnrollment(w, r, who, info)
	if err != nil {
		return r, e, err
	}
	e.path = "/settings/email"
	e.maxFactors = 1
	e.fields = []factor.Field{{Name: "email", Kind: "email", Autocomplete: "email"}}
	e.start = func(form url.Values) error {
		return s.Enrollments.StartEmailChange(r.Context(), who.Session, form.Get("email"), s.Pages.Origin(r))
	}
	localizer := s.Pages.Localizer(r)
	e.words.Title, e.words.Button = localizer.Translate("email.title"), localizer.Translate("email.button")
	e.words.Intro = []string{localizer.Translate("email.lead")}
	messages := map[string]string{}
	maps.Copy(messages, e.words.Messages)
	messages["email"] = localizer.Translate("email.new")
	e.words.Messages = messages
	return r, e, nil
}
