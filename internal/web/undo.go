package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

func undoView(p resetPage) render.View {
	return render.View{Template: "undo", Title: "undo.title", Focus: "token", Data: p}
}

// showUndo changes nothing: mail scanners that open links must not undo a change.
func (s *Handlers) showUndo(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	return s.render(w, r, undoView(resetPage{ReturnTo: target.returnTo}))
}

// handleUndo undoes a change, or freezes the account. A person who has just signed in with an older method needs no
// password.
func (s *Handlers) handleUndo(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "token", "password")
	if err != nil {
		return err
	}
	request := enroll.UndoRequest{Token: form["token"], Password: form["password"]}
	who, err := s.requireSession(r)
	if err == nil {
		request.Session = &who.Session
	} else if !errors.Is(err, session.ErrNoSession) {
		return err
	}
	view := undoView(resetPage{ReturnTo: target.returnTo, Token: form["token"]})
	if view.Problems = emptyFieldProblems(form, tokenEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	frozenUntil, err := s.Enrollments.Undo(r.Context(), request, s.Pages.Origin(r))
	waitError, mustWait := errors.AsType[*ratelimit.LimitedError](err)
	switch {
	case errors.Is(err, account.ErrCredentials):
		key := "problem.password.former"
		if form["password"] == "" {
			key += ".empty"
		}
		view.Focus, view.Status = "password", http.StatusUnprocessableEntity
		view.Problems = []render.Problem{{Field: "password", Key: key}}
		return s.render(w, r, view)
	case mustWait:
		return s.renderBackoff(w, r, view, "password", waitError.RetryAt)
	case err != nil:
		return s.renderFormError(w, r, view, "token", err)
	case !frozenUntil.IsZero():
		return redirect(w, r, target.At("/undo/requested"))
	}
	return redirect(w, r, target.At("/undo/done"))
}

// handleObject keeps the changes whose undo was requested. One click is enough: the session is the proof.
func (s *Handlers) handleObject(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	if err := s.Enrollments.Object(r.Context(), who.Session, s.Pages.Origin(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings")
}
