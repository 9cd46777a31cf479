package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/trust"
)

type signInPage struct {
	Email, ReturnTo string
	App             string // that they come from; "" if from none
	SignUp          bool
	Blocked         bool   // this browser keeps no cookies
	Domain          string // that it must allow to
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request) error {
	goal, err := s.goal(w, r, r.URL.Query()["return_to"]...)
	if err != nil {
		return err
	}
	ahead, err := s.ahead(r, goal)
	if err != nil {
		return err
	}
	if ahead != "" {
		return redirect(w, r, ahead)
	}
	s.Pages.Probe(w, r)
	return s.print(w, r, signInSheet(s.signInPage(signInPage{Email: goal.Hint, ReturnTo: goal.back, App: goal.App, Blocked: s.blocked(r)})))
}

// blocked tells whether somebody came here because their browser keeps no cookies, see
// page.BlockedQuery.
func (s *Site) blocked(r *http.Request) bool {
	_, kept := s.Pages.Probed(r)
	return r.URL.Query().Has(page.BlockedQuery) && !kept
}

// ahead is where somebody belongs who is on the way in or in already; "" for anybody else.
func (s *Site) ahead(r *http.Request, goal goal) (string, error) {
	_, err := s.in(r)
	in := err == nil
	if !in && !errors.Is(err, session.ErrNoSession) {
		return "", err
	}
	p, err := s.onTheWay(r)
	switch ahead := s.step(p); {
	case errors.Is(err, challenge.ErrNoAttempt):
	case err != nil:
		return "", err
	case ahead != "" && in == p.StepUp && (goal.App == "" || goal.back == p.ReturnTo): // not on the way to another app
		return ahead, nil
	}
	if in {
		return goal.home(), nil
	}
	return "", nil
}

// step is the page of the step that is next; "" when this sign-in is over.
func (s *Site) step(p pending) string {
	if p.Attempt == nil {
		return ""
	}
	switch challenge.Next(p.State, s.Pages.Clocked()) {
	case challenge.StepMethod:
		return "/signin/method"
	case challenge.StepVerify:
		return "/signin/verify"
	}
	return ""
}

// signInPage adds what the page says of this server.
func (s *Site) signInPage(p signInPage) signInPage {
	p.SignUp, p.Domain = s.Accounts.SignUpOpen(), s.Accounts.Settings.PublicURL
	return p
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
	goal, err := s.goal(w, r, form["return_to"])
	if err != nil {
		return err
	}
	sheet := signInSheet(s.signInPage(signInPage{Email: form["email"], ReturnTo: goal.back, App: goal.App}))
	if sheet.Problems = missing(form, page.Problem{Field: "email", Key: "problem.email.empty"}, page.Problem{Field: "password", Key: "problem.password.empty"}); sheet.Problems != nil {
		sheet.Status = http.StatusUnprocessableEntity
		return s.print(w, r, sheet)
	}
	entry, err := s.SignIns.Start(r.Context(), signin.Credentials{Email: form["email"], Password: form["password"],
		ReturnTo: goal.back, SkipTrust: goal.Full, Level: goal.Level, AttemptToken: s.Pages.Cookie(r, page.SignInCookie)}, s.Pages.From(r))
	if early, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		return s.slow(w, r, sheet, "password", early.RetryAt)
	}
	if err != nil {
		return s.reprint(w, r, sheet, "", err)
	}
	if entry.Session != "" {
		return s.letIn(w, r, entry, goal)
	}
	s.Pages.Probe(w, r)
	s.Pages.SetCookie(w, page.SignInCookie, entry.Attempt)
	return redirect(w, r, "/signin/verify")
}

// deviceKept is for how long a browser is known.
const deviceKept = trust.Known

// letIn gives the browser its session. The one that it was in goes with its cookie: nobody
// would see it any more, and a stolen copy would still open it.
func (s *Site) letIn(w http.ResponseWriter, r *http.Request, entry session.Cookies, goal goal) error {
	s.Pages.ClearCookie(w, page.SignInCookie)
	s.Pages.SetCookie(w, page.SessionCookie, entry.Session)
	if entry.Device != "" {
		s.Pages.KeepCookie(w, page.DeviceCookie, entry.Device, deviceKept)
	}
	if err := s.Sessions.SignOut(r.Context(), s.Pages.Cookie(r, page.SessionCookie), s.Pages.From(r)); err != nil {
		return err
	}
	return redirect(w, r, goal.home())
}

// reprint prints the form again with the error beside a field ("": the whole form).
func (s *Site) reprint(w http.ResponseWriter, r *http.Request, sheet page.Sheet, field string, err error) error {
	sheet, err = again(sheet, field, err)
	if err != nil {
		return err
	}
	return s.print(w, r, sheet)
}

// cancelSignIn works without a pending sign-in too: the wish is to have none.
func (s *Site) cancelSignIn(w http.ResponseWriter, r *http.Request) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	token := s.Pages.Cookie(r, page.SignInCookie)
	s.Pages.ClearCookie(w, page.SignInCookie)
	if token != "" {
		if err := s.Challenges.Cancel(r.Context(), token); err != nil {
			return err
		}
	}
	return redirect(w, r, "/signin")
}
