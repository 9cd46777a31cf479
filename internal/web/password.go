package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// passwordPage has the address for password managers only.
type passwordPage struct {
	Email    string
	ReturnTo returnTo
}

func passwordView(who session.Session, g returnTarget) render.View {
	return render.View{
		Template: "password",
		Title:    "password.title",
		Focus:    "current",
		Data:     passwordPage{who.Account.Email, g.returnTo},
	}
}

func (s *Handlers) showPassword(w http.ResponseWriter, r *http.Request, who signedIn) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	if !who.RecentlyAuthenticated(s.Pages.CurrentTime()) {
		return redirectToStepUp(w, r, target.At("/settings/password"))
	}
	return s.render(w, r, passwordView(who.Session, target))
}

func (s *Handlers) handleChangePassword(w http.ResponseWriter, r *http.Request, who signedIn) error {
	// Browsers send the address for password managers. The session decides whose password it is.
	form, err := render.ParseForm(w, r, "email", "current", "password", "return_to")
	if err != nil {
		return err
	}
	r, target, err := s.parseReturnTarget(w, r, form)
	if err != nil {
		return err
	}
	view := passwordView(who.Session, target)
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "current", Key: "problem.password.empty"},
		passwordEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	token, err := s.SignIns.ChangePassword(
		r.Context(), who.Session, form["current"], form["password"], s.Pages.Origin(r),
	)
	if errors.Is(err, session.ErrStepUpRequired) {
		return redirectToStepUp(w, r, target.At("/settings/password"))
	}
	if errors.Is(err, account.ErrCredentials) {
		view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{
			{Field: "current", Key: "problem.password.current"},
		}
		return s.render(w, r, view)
	}
	if err != nil {
		return s.renderFormError(w, r, view, "password", err)
	}
	s.setSessionCookie(w, token, who.Session)
	return redirect(w, r, target.At("/settings/password/done"))
}

func (s *Handlers) showPasswordChanged(w http.ResponseWriter, r *http.Request, _ signedIn) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	done := passwordDone
	if target.returnTo != "" {
		done.Link, done.To = "draft.continue", string(target.returnTo)
	}
	return s.render(w, r, noticeView(done, ""))
}
