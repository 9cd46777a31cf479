package web

import (
	"errors"
	"net/http"

	"twostep/internal/page"
	"twostep/internal/signin"
)

type signInPage struct {
	Email, ReturnTo string
	SignUp          bool
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request) error {
	back := returnTo(r.URL.Query()["return_to"]...)
	ahead, err := s.ahead(r, back)
	if err != nil {
		return err
	}
	if ahead != "" {
		return redirect(w, r, ahead)
	}
	return s.print(w, r, signInSheet(signInPage{ReturnTo: back, SignUp: s.Engine.SignUpOpen()}))
}

// ahead is where somebody belongs who is on the way in or in already; "" for anybody else.
func (s *Site) ahead(r *http.Request, back string) (string, error) {
	_, err := s.in(r)
	in := err == nil
	if !in && !errors.Is(err, signin.ErrNoSession) {
		return "", err
	}
	p, err := s.onTheWay(r)
	switch ahead := s.step(p); {
	case errors.Is(err, signin.ErrNoSignIn):
	case err != nil:
		return "", err
	case ahead != "" && in == p.StepUp:
		return ahead, nil
	}
	if in {
		return home(back), nil
	}
	return "", nil
}

// step is the page of the step that is next; "" when this sign-in is over.
func (s *Site) step(p pending) string {
	switch signin.Next(p.Pending, s.Pages.Clocked()) {
	case signin.StepMethod:
		return "/signin/method"
	case signin.StepVerify:
		return "/signin/verify"
	}
	return ""
}

func signInSheet(p signInPage) page.Sheet {
	focus := "email"
	if p.Email != "" {
		focus = "password"
	}
	return page.Sheet{Name: "signin", Title: "signin.title", Focus: focus, Page: p}
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request) error {
	form, err := page.Form(w, r, "email", "password", "return_to")
	if err != nil {
		return err
	}
	back := returnTo(form["return_to"])
	sheet := signInSheet(signInPage{Email: form["email"], ReturnTo: back, SignUp: s.Engine.SignUpOpen()})
	if sheet.Problems = missing(form, page.Problem{Field: "email", Key: "problem.email.empty"}, page.Problem{Field: "password", Key: "problem.password.empty"}); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	token, err := s.Engine.Begin(r.Context(), signin.Credentials{Email: form["email"], Password: form["password"],
		ReturnTo: back, Current: s.Pages.Cookie(r, page.SignInCookie)}, s.from(r))
	if err != nil {
		return s.reprint(w, r, sheet, "", err)
	}
	s.Pages.SetCookie(w, page.SignInCookie, token)
	return redirect(w, r, "/signin/verify")
}

// reprint prints the form again with the error beside a field ("": the whole form).
func (s *Site) reprint(w http.ResponseWriter, r *http.Request, sheet page.Sheet, field string, err error) error {
	sheet, err = again(sheet, field, err)
	if err != nil {
		return err
	}
	return s.print(w, r, sheet)
}

// returnTo is the one address to come back to, "" unless it is a path of this site.
func returnTo(addresses ...string) string {
	if len(addresses) != 1 {
		return ""
	}
	back, _ := page.LocalPath(addresses[0])
	return back
}

// home is where somebody goes who has come in. The address is checked again: it was
// stored for a while.
func home(back string) string {
	if back, ok := page.LocalPath(back); ok {
		return back
	}
	return "/settings"
}

// cancelSignIn works without a pending sign-in too: the wish is to have none.
func (s *Site) cancelSignIn(w http.ResponseWriter, r *http.Request) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	token := s.Pages.Cookie(r, page.SignInCookie)
	s.Pages.ClearCookie(w, page.SignInCookie)
	if token != "" {
		if err := s.Engine.Cancel(r.Context(), token); err != nil {
			return err
		}
	}
	return redirect(w, r, "/signin")
}
