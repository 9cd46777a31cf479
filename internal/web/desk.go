package web

import (
	"errors"
	"net/http"
	"net/url"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// deskPath is where a person enters the code that the help desk reads to them.
const deskPath = "/signin/desk"

type deskPage struct {
	ReturnTo   returnTo
	AccountTag string
}

func (s *Handlers) deskView(p attempt) render.View {
	return render.View{
		Template: "desk", Title: "desk.title", Focus: "code",
		Data: deskPage{ReturnTo: p.target.returnTo, AccountTag: s.accountTag(p.Account().ID)},
	}
}

// showDesk changes nothing. The code belongs to the first attempt in which one is entered.
func (s *Handlers) showDesk(w http.ResponseWriter, r *http.Request, p attempt) error {
	if s.nextStepPath(p) == "" {
		return challenge.ErrNoAttempt
	}
	if !p.AcceptsDeskCode() {
		return redirect(w, r, p.target.At("/signin/verify"))
	}
	return s.render(w, r, s.deskView(p))
}

// handleDesk opens a session in which the person sets up a method. A wrong, an expired, a used and another browser's
// code give the same page.
func (s *Handlers) handleDesk(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := s.parseAttemptForm(w, r, p, "code")
	if err != nil {
		return err
	}
	result, err := s.DeskCodes.Use(r.Context(), p.Attempt, url.Values{"code": {form["code"]}}, s.Pages.Origin(r))
	if err == nil {
		return s.completeSignIn(w, r, result, returnTarget{returnTo: returnTo(p.target.At(render.SetupPath))})
	}
	view := s.deskView(p)
	switch {
	case errors.Is(err, factor.ErrMalformed):
		view.Problems = []render.Problem{{Field: "code", Key: "problem.desk.malformed"}}
	case errors.Is(err, factor.ErrIncorrect):
		view.Problems = []render.Problem{{Field: "code", Key: "problem.desk"}}
	default:
		return s.renderFormError(w, r, view, "code", err)
	}
	view.Status = http.StatusUnprocessableEntity
	return s.render(w, r, view)
}

// withSetup returns a route on which a person sets up a method, also in a session in which that is all that they may
// do.
func (s *Handlers) withSetup(
	pattern string, h func(http.ResponseWriter, *http.Request, signedIn) error,
) render.Route {
	return render.Route{
		Pattern: pattern,
		Access:  render.AccessSession,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			found, err := s.Sessions.GetForSetup(r.Context(), s.Pages.Cookie(r, render.SessionCookie))
			if err != nil {
				return err
			}
			return h(w, r, signedIn{found})
		},
	}
}

type setupPage struct {
	ReturnTo  returnTo
	Methods   []setupMethod
	OnlyEmail bool // the person may remove all other methods
}

type setupMethod struct{ Name, To string }

// showSetup lists the methods, of which the person must set up one.
func (s *Handlers) showSetup(w http.ResponseWriter, r *http.Request, who signedIn) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	if !who.MethodRequired {
		return redirect(w, r, target.urlOrSettings())
	}
	setup, err := s.Enrollments.GetSetup(r.Context(), who.Session)
	if err != nil {
		return err
	}
	p := setupPage{ReturnTo: target.returnTo, OnlyEmail: setup.MayKeepEmail}
	for _, about := range setup.Methods {
		words := s.methodWords(s.Pages.Localizer(r), about, "")
		p.Methods = append(p.Methods, setupMethod{words.Title, target.At("/settings/2step/" + about.Path)})
	}
	return s.render(w, r, render.View{Template: "setup", Title: "setup.title", Data: p})
}

// handleOnlyEmail removes the other methods. The person then signs in with a code by email.
func (s *Handlers) handleOnlyEmail(w http.ResponseWriter, r *http.Request, who signedIn) error {
	form, err := render.ParseForm(w, r, "return_to")
	if err != nil {
		return err
	}
	r, target, err := s.parseReturnTarget(w, r, form)
	if err != nil {
		return err
	}
	err = s.Enrollments.KeepOnlyEmail(r.Context(), who.Session, s.Pages.Origin(r))
	if errors.Is(err, session.ErrNoSession) && !who.MethodRequired || errors.Is(err, enroll.ErrNoFactor) {
		return redirect(w, r, target.At(render.SetupPath))
	}
	if err != nil {
		return err
	}
	s.Pages.ClearSessionCookies(w)
	return redirect(w, r, target.At(onlyEmailPath))
}

// onlyEmailPath says that the other methods were removed.
const onlyEmailPath = "/signin/only-email"

var (
	onlyEmailDone = notice{
		Title: "setup.email.done.title", Texts: []string{"setup.email.done"}, Link: "signin.button", To: "/signin",
	}
	deskCancelled = notice{
		Title: "desk.cancel.done.title", Texts: []string{"desk.cancel.done"}, Link: "signin.button", To: "/signin",
	}
	deskEnded = notice{
		Title: "desk.cancel.done.title", Texts: []string{"desk.cancel.ended", "desk.cancel.check"},
		Link: "undo.forgot", To: "/forgot",
	}
)

func cancelDeskView(p resetPage) render.View {
	return render.View{Template: "deskcancel", Title: "desk.cancel.title", Focus: "token", Data: p}
}

// showCancelDesk changes nothing: mail scanners that open links must not cancel a code.
func (s *Handlers) showCancelDesk(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	return s.render(w, r, cancelDeskView(resetPage{ReturnTo: target.returnTo}))
}

// handleCancelDesk cancels a desk code with the link in a message about it. The link is enough: whoever has it can only
// make the help desk start again.
func (s *Handlers) handleCancelDesk(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "token")
	if err != nil {
		return err
	}
	view := cancelDeskView(resetPage{ReturnTo: target.returnTo, Token: form["token"]})
	if view.Problems = emptyFieldProblems(form, tokenEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	used, err := s.DeskCodes.Cancel(r.Context(), form["token"], s.Pages.Origin(r))
	switch {
	case err != nil:
		return s.renderFormError(w, r, view, "token", err)
	case used:
		return redirect(w, r, target.At("/desk/ended"))
	}
	return redirect(w, r, target.At("/desk/done"))
}

// deskRoutes returns the routes of desk codes.
func (s *Handlers) deskRoutes() []render.Route {
	return []render.Route{
		s.withAttempt("GET "+deskPath, s.showDesk),
		s.withAttempt("POST "+deskPath, s.handleDesk),
		s.withSetup("GET "+render.SetupPath, s.showSetup),
		s.withSetup("POST "+render.SetupPath+"/email", s.handleOnlyEmail),
		s.withTarget("GET "+onlyEmailPath, showNotice(s, onlyEmailDone)),
		s.withTarget("GET /desk", s.showCancelDesk),
		s.withTarget("POST /desk", s.handleCancelDesk),
		s.withTarget("GET /desk/done", showNotice(s, deskCancelled)),
		s.withTarget("GET /desk/ended", showNotice(s, deskEnded)),
	}
}
