package web

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/render"
)

// changeEmailRoute is a page below that of the person's address. A new one is proven like a
// factor: by the method that every account has.
func (s *Handlers) changeEmailRoute(method, below string, h func(http.ResponseWriter, *http.Request, enrollment) error) render.Route {
	return s.withSession(method+" /settings/email"+below, func(w http.ResponseWriter, r *http.Request, who signedIn) error {
		for _, m := range s.Challenges.Methods {
			if about := m.Info(); about.Implicit {
				e, err := s.newEnrollment(w, r, who, about)
				if err != nil {
					return err
				}
				s.useEmailChangeForm(r, &e)
				e.start = func(form url.Values) error {
					return s.Enrollments.StartEmailChange(r.Context(), who.Session, form.Get("email"), s.Pages.Origin(r))
				}
				return h(w, r, e)
			}
		}
		return render.ErrNotFound
	})
}

// useEmailChangeForm makes the page of a method the page of the address.
func (s *Handlers) useEmailChangeForm(r *http.Request, e *enrollment) {
	w := s.Pages.Localizer(r)
	e.path = "/settings/email"
	e.about.MaxPerAccount = 1
	e.about.Fields = []factor.Field{{Name: "email", Kind: "email", Autocomplete: "email"}}
	says := map[string]string{"email": w.Translate("email.new")}
	for key, text := range e.words.Messages {
		if says[key] == "" {
			says[key] = text
		}
	}
	e.words.Title, e.words.Button, e.words.Messages = w.Translate("email.title"), w.Translate("email.button"), says
	e.words.Intro = []string{w.Translate("email.lead")}
}
