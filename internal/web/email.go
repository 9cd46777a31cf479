package web

import (
	"net/http"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/page"
)

// readdressing is a page below that of the person's address. A new one is proven like a
// factor: by the method that every account has.
func (s *Site) readdressing(method, below string, h func(http.ResponseWriter, *http.Request, enrolment) error) page.Route {
	return s.session(method+" /settings/email"+below, func(w http.ResponseWriter, r *http.Request, who person) error {
		for _, m := range s.Challenges.Methods {
			if about := m.About(); about.Given {
				e, err := s.enrolment(w, r, who, about)
				if err != nil {
					return err
				}
				s.askForEmail(r, &e)
				e.begin = func(form url.Values) error {
					return s.Enrollments.StartEmailChange(r.Context(), who.Session, form.Get("email"), s.Pages.From(r))
				}
				return h(w, r, e)
			}
		}
		return page.ErrNotFound
	})
}

// askForEmail makes the page of a method the page of the address.
func (s *Site) askForEmail(r *http.Request, e *enrolment) {
	w := s.Pages.Words(r)
	e.base = "/settings/email"
	e.about.Most = 1
	e.about.Fields = []factor.Field{{Name: "email", Kind: "email", Autocomplete: "email"}}
	says := map[string]string{"email": w.Say("email.new")}
	for key, text := range e.said.Says {
		if says[key] == "" {
			says[key] = text
		}
	}
	e.said.Title, e.said.Button, e.said.Says = w.Say("email.title"), w.Say("email.button"), says
	e.said.Intro = []string{w.Say("email.lead")}
}
