package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/signin"
)

// joinPage has the token alone at first. Email and Name are known once the token was sent.
type joinPage struct {
	ReturnTo           returnTo
	Token, Email, Name string
}

func joinView(p joinPage) render.View {
	view := render.View{Template: "join", Title: "join.title", Focus: "token", Data: p}
	switch {
	case p.Email != "" && p.Name != "":
		view.Focus = "password"
	case p.Email != "":
		view.Focus = "name"
	}
	return view
}

func (s *Handlers) showJoin(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	return s.render(w, r, joinView(joinPage{ReturnTo: target.returnTo}))
}

// handleJoin takes two forms. The first has only the token, and shows which account it creates; it changes nothing. The
// second creates the account and starts its first sign-in: the password was chosen just now, so a code is next.
func (s *Handlers) handleJoin(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "token", "name", "password")
	if err != nil {
		return err
	}
	view := joinView(joinPage{ReturnTo: target.returnTo, Token: form["token"]})
	if view.Problems = emptyFieldProblems(form, tokenEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	invited, err := s.Accounts.FindInvitation(r.Context(), form["token"])
	if err != nil {
		return s.renderFormError(w, r, view, "token", err)
	}
	p := joinPage{target.returnTo, form["token"], invited.Email, invited.Name}
	if _, sent := form["password"]; !sent {
		return s.render(w, r, joinView(p))
	}
	p.Name = form["name"]
	view = joinView(p)
	if view.Problems = emptyFieldProblems(form, nameEmpty, passwordEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	err = s.Accounts.Join(r.Context(), form["token"], form["name"], form["password"], s.Pages.Origin(r))
	if errors.Is(err, account.ErrLink) { // used by another request meanwhile
		return s.renderFormError(w, r, joinView(joinPage{ReturnTo: target.returnTo, Token: form["token"]}), "token", err)
	}
	if err != nil {
		return s.renderFormError(w, r, view, mailedLinkErrorField(err), err)
	}
	return s.startFirstSignIn(w, r, target, invited.Email, form["password"])
}

// startFirstSignIn starts a sign-in to an account that was created just now, by the rules of every sign-in. If it
// cannot start, the person is told that the account is ready, and signs in on their own.
func (s *Handlers) startFirstSignIn(
	w http.ResponseWriter, r *http.Request, target returnTarget, email, password string,
) error {
	result, err := s.SignIns.Start(r.Context(), signin.Credentials{
		Email: email, Password: password, LinkQuery: linkQuery(target), Level: target.MinLevel,
		AttemptToken: s.Pages.Cookie(r, render.SignInCookie),
	}, s.Pages.Origin(r))
	if err == nil && result.Attempt != "" {
		s.Pages.SetProbeCookie(w, r)
		s.Pages.SetCookie(w, render.SignInCookie, result.Attempt)
		return redirect(w, r, target.At("/signin/verify"))
	}
	if err != nil && !errors.Is(err, ratelimit.ErrLimited) && !errors.Is(err, fairqueue.ErrFull) &&
		!fault.Temporary(err) {
		s.Accounts.Log.Error("first sign-in failed", "error", err)
	}
	s.rememberEmail(w, email)
	return redirect(w, r, target.At("/join/done"))
}
