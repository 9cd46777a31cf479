package web

import (
	"errors"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

// stepUpPage has the address for password managers only.
type stepUpPage struct {
	Email        string
	ReturnTo     returnTo
	ClientName   string // the app that requires it; "": this site
	RequestToken string // of the waiting authorization request; "": it cannot be declined
	SubjectFixed bool   // another account cannot be used
	Operators    bool   // it leads to the operators' pages
}

func stepUpView(who session.Session, g returnTarget) render.View {
	return render.View{
		Template: "stepup",
		Title:    "confirm.title",
		Focus:    "password",
		Data: stepUpPage{
			who.Account.Email, g.returnTo, g.ClientName, g.RequestToken, g.SubjectFixed, leadsToOperators(who, g),
		},
	}
}

// showStepUp asks for the password before a change of how the person signs in. The second step follows as in a sign-in.
func (s *Handlers) showStepUp(w http.ResponseWriter, r *http.Request, who signedIn) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	if target, err = s.withOperatorLevel(r, who, target); err != nil {
		return err
	}
	// An app decides how recent the authentication must be, and redirects here only if it is not.
	allowed := who.Allows(s.Sessions.Rules.For(who.Account.Groups, ""))
	fresh := session.FreshFor
	if leadsToOperators(who.Session, target) {
		fresh = min(fresh, s.Sessions.OperatorFreshFor(who.Session))
	}
	if target.ClientName == "" && who.AuthenticatedAs(target.MinLevel, fresh, s.Pages.CurrentTime()) && allowed {
		return redirect(w, r, target.urlOrSettings())
	}
	return s.render(w, r, stepUpView(who.Session, target))
}

func (s *Handlers) handleStepUp(w http.ResponseWriter, r *http.Request, who signedIn) error {
	form, err := render.ParseForm(w, r, "email", "password", "return_to")
	if err != nil {
		return err
	}
	r, target, err := s.parseReturnTarget(w, r, form)
	if err != nil {
		return err
	}
	if target, err = s.withOperatorLevel(r, who, target); err != nil {
		return err
	}
	view := stepUpView(who.Session, target)
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "password",
		Key: "problem.password.empty"}); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	token, err := s.SignIns.StepUp(
		r.Context(),
		who.Session,
		signin.StepUpRequest{
			Password: form["password"], LinkQuery: linkQuery(target), Level: target.MinLevel, App: target.ClientID,
			AttemptToken: s.Pages.Cookie(r, render.SignInCookie),
		},
		s.Pages.Origin(r),
	)
	if errors.Is(err, account.ErrCredentials) {
		view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{
			{Field: "password", Key: "problem.password.wrong"},
		}
		return s.render(w, r, view)
	}
	if err != nil {
		return s.renderFormError(w, r, view, "password", err)
	}
	s.Pages.SetCookie(w, render.SignInCookie, token)
	return redirect(w, r, target.At("/signin/verify"))
}

// withOperatorLevel returns the target with the level that the operators' pages require, if it is one of them.
func (s *Handlers) withOperatorLevel(r *http.Request, who signedIn, target returnTarget) (returnTarget, error) {
	if !leadsToOperators(who.Session, target) {
		return target, nil
	}
	level, err := s.Challenges.OperatorLevel(r.Context(), who.Session)
	target.MinLevel = max(target.MinLevel, level)
	return target, err
}

// leadsToOperators reports whether the target is one of the operators' pages, for somebody who may open some.
func leadsToOperators(who session.Session, target returnTarget) bool {
	path, _, _ := strings.Cut(string(target.returnTo), "?")
	return who.Account.Role != "" && (path == render.OperatorPath || strings.HasPrefix(path, render.OperatorPath+"/"))
}

// redirectToStepUp redirects to the step-up page, which leads back to address.
func redirectToStepUp(w http.ResponseWriter, r *http.Request, address string) error {
	return redirect(w, r, render.StepUpURL(address, http.MethodGet))
}
