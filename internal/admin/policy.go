package admin

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/render"
)

// policyRoutes returns the routes of the preview of a policy. They do not exist if the program cannot read one.
func (s *Handlers) policyRoutes() []render.Route {
	return []render.Route{
		s.withRole("GET /admin/policy", operatorsOnly, s.showPolicy),
		s.withRole("POST /admin/policy", operatorsOnly, s.handleTryPolicy),
	}
}

// policyPeopleShown is how many people the page names.
const policyPeopleShown = 50

type policyPage struct {
	frame
	Text    string // the policy to try
	Wrong   string // what is wrong with it; "": nothing
	Preview *directory.Preview
	More    int // people who are not shown
	Changed int // questions more, or fewer if negative
	Presets []policy.Preset
}

func (s *Handlers) policyView(p policyPage) render.View {
	p.Presets = policy.Presets()
	return newView("policy", "admin.policy.title", p)
}

// showPolicy asks for a policy to try.
func (s *Handlers) showPolicy(w http.ResponseWriter, r *http.Request, who operator) error {
	if s.ParsePolicy == nil {
		return render.ErrNotFound
	}
	return s.Pages.Render(w, r, s.policyView(policyPage{frame: who.frame(r, "settings")}))
}

// handleTryPolicy shows what the sign-ins of the last 60 days would have been under a policy. It changes nothing.
func (s *Handlers) handleTryPolicy(w http.ResponseWriter, r *http.Request, who operator) error {
	if s.ParsePolicy == nil {
		return render.ErrNotFound
	}
	form, err := render.ParseForm(w, r, "policy")
	if err != nil {
		return err
	}
	p := policyPage{frame: who.frame(r, "settings"), Text: form["policy"]}
	preview, err := s.tryPolicy(r, p.Text)
	if wrong := new(wrongPolicy); errors.As(err, &wrong) {
		p.Wrong = wrong.Error()
		view := s.policyView(p)
		view.Status = http.StatusUnprocessableEntity
		return s.Pages.Render(w, r, view)
	}
	if err != nil {
		return err
	}
	p.Preview, p.Changed, p.More = &preview, preview.WouldAsk-preview.Asked, preview.Omitted
	if n := len(preview.People); n > policyPeopleShown {
		preview.People, p.More = preview.People[:policyPeopleShown], p.More+n-policyPeopleShown
	}
	return s.Pages.Render(w, r, s.policyView(p))
}

// wrongPolicy is an error in the text of a policy.
type wrongPolicy struct{ error }

func (s *Handlers) tryPolicy(r *http.Request, text string) (directory.Preview, error) {
	other, err := s.ParsePolicy([]byte(text))
	if err != nil {
		return directory.Preview{}, &wrongPolicy{err}
	}
	preview, err := s.Directory.Preview(r.Context(), other)
	if wrong := new(policy.Error); errors.As(err, &wrong) {
		return preview, &wrongPolicy{err}
	}
	return preview, err
}
