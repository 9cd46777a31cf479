// Package web is a person's pages: sign in, settings.
//
// A handler parses the form, calls one method of a service, and renders the next page or redirects to it. The package
// has no SQL and makes no decision about access.
package web

import (
	"embed"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

// Handlers serves the pages of one server.
type Handlers struct {
	Accounts     *account.Accounts
	Devices      *device.Devices
	Sessions     *session.Sessions
	Challenges   *challenge.Challenges
	Enrollments  *enroll.Enrollments
	DeskCodes    *deskcode.DeskCodes
	SignIns      *signin.SignIns
	Pages        *render.Renderer
	Grants       *grant.Grants       // nil: no apps
	Inbox        *delivery.Inbox     // nil: there is no /inbox
	InboxKey     string              // opens /inbox
	AdvanceClock func(time.Duration) // moves the clock of the server forward; nil: the inbox has no form for it
}

//go:embed pages/*.html
var templateFiles embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(templateFiles, "pages") })

// Routes returns the routes of every page.
func (s *Handlers) Routes() []render.Route {
	routes := []render.Route{
		s.public("GET /{$}", redirectTo("/settings")),
		s.public("GET /signin", s.showSignIn),
		s.public("POST /signin", s.handleSignIn),
		s.withAttempt("GET /signin/method", s.showMethods),
		s.withAttempt("POST /signin/method", s.handleChooseMethod),
		s.withAttempt("GET /signin/verify", s.showVerify),
		s.withAttempt("POST /signin/verify", s.handleVerify),
		s.withAttempt("POST /signin/trust", s.handleTrustChoice),
		s.withAttempt("POST /signin/other", s.handleOtherMethod),
		s.public("GET "+statusPath, s.serveDeliveryStatus),
		s.withAttempt("POST /signin/code", s.handleResendCode),
		s.public("POST /signin/cancel", s.handleCancelSignIn),

		s.withTarget("GET /forgot", s.showForgotPassword),
		s.withTarget("POST /forgot", s.handleForgotPassword),
		s.withTarget("GET /forgot/sent", showNotice(s, forgotSent)),
		s.withTarget("GET /reset", s.showResetPassword),
		s.withTarget("POST /reset", s.handleResetPassword),
		s.withTarget("GET /reset/done", showNotice(s, resetDone)),
		s.withTarget("GET /undo", s.showUndo),
		s.withTarget("POST /undo", s.handleUndo),
		s.withTarget("GET /undo/done", showNotice(s, undoDone)),
		s.withTarget("GET /undo/requested", showNotice(s, undoRequested)),
		s.withTarget("GET /signup", s.showSignUp),
		s.withTarget("POST /signup", s.handleSignUp),
		s.withTarget("GET /signup/sent", showNotice(s, signUpSent)),
		s.withTarget("GET /join", s.showJoin),
		s.withTarget("POST /join", s.handleJoin),
		s.withTarget("GET /join/done", showNotice(s, joinDone)),
		s.withTarget("GET /address", s.showAddress),
		s.withTarget("POST /address", s.handleAddress),
		s.withTarget("GET /address/done", showNotice(s, addressDone)),

		s.withSession("GET /settings", s.showSettings),
		s.withSession("POST /settings/later", s.handleDismissRecommendation),
		s.withSession("POST /settings/keep", s.handleObject),
		s.withSession("GET "+secondStepPath, s.showSecondStep),
		s.withSession("POST "+secondStepPath, s.handleSecondStep),
		s.withSession("GET /settings/confirm", s.showStepUp),
		s.withSession("POST /settings/confirm", s.handleStepUp),
		s.withSession("GET /settings/name", s.showName),
		s.withSession("POST /settings/name", s.handleChangeName),
		s.withSession("GET /settings/password", s.showPassword),
		s.withSession("POST /settings/password", s.handleChangePassword),
		s.withSession("GET /settings/password/done", s.showPasswordChanged),
		s.withSession("GET /settings/devices", s.showDevices),
		s.withSession("POST /settings/devices/forget", s.handleForgetAllDevices),
		s.withSession("POST /settings/devices/{id}/forget", s.handleForgetDevice),
		s.withSession("GET /settings/sessions", s.showSessions),
		s.withSession("POST /settings/sessions/end", s.handleSignOutEverywhere),
		s.withSession("POST /settings/sessions/{id}/end", s.handleEndSession),
		s.withSession("GET "+render.RequiredMethodPath, s.showSetUp),
		s.withSession("GET /settings/history", s.showHistory),
		s.withSession("GET /settings/history/not-me", s.showNotMe),
		s.withSession("GET /settings/apps", s.showApps),
		s.withSession("POST /settings/apps/{id}/remove", s.handleRevokeApp),
		s.public("POST /signout", s.handleSignOut),
		s.public("GET /signout/done", s.showSignedOut),

		s.public("GET /.well-known/change-password", redirectTo("/settings/password")),
		s.public("GET /robots.txt", serveRobots),
	}
	return slices.Concat(routes, s.deskRoutes(), s.enrollRoutes(), s.inboxRoutes())
}

// attempt is a sign-in or a step-up in progress. Its type differs from signedIn, so that no handler can mistake one for
// the other.
type attempt struct {
	*challenge.Attempt
	target returnTarget
}

// signedIn is the session of a request.
type signedIn struct {
	session.Session
}

func (s *Handlers) public(pattern string, h render.Handler) render.Route {
	return render.Route{Pattern: pattern, Access: render.AccessPublic, Handler: h}
}

func (s *Handlers) withAttempt(pattern string, h func(http.ResponseWriter, *http.Request, attempt) error) render.Route {
	return render.Route{
		Pattern: pattern,
		Access:  render.AccessAttempt,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			r, target, err := s.parseReturnTarget(w, r, nil)
			if err != nil {
				return err
			}
			p, err := s.requireAttempt(r)
			if errors.Is(err, challenge.ErrNoAttempt) {
				return s.answerWithoutAttempt(w, r, target)
			}
			if err != nil {
				return err
			}
			p.target, p.LinkQuery = target, linkQuery(target)
			p.SetApp(target.ClientID)
			switch err = h(w, r, p); {
			case errors.Is(err, challenge.ErrNoAttempt):
				return redirect(w, r, restartURL(p))
			case errors.Is(err, errOtherAccount):
				return s.render(w, r, replacedView(target))
			}
			return err
		},
	}
}

// answerWithoutAttempt answers a page of an attempt that the browser is not in any more. If another tab has completed
// the sign-in, the sign-in page leads on to the return target, but not from a page about another account.
func (s *Handlers) answerWithoutAttempt(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	if r.Method != http.MethodPost {
		return challenge.ErrNoAttempt
	}
	form, err := render.ParseForm(w, r, accountTag, "method", "code", "trust")
	if err != nil || form[accountTag] == "" {
		return challenge.ErrNoAttempt
	}
	who, err := s.requireSession(r)
	if err != nil && !errors.Is(err, session.ErrNoSession) {
		return err
	}
	if err == nil && s.checkAccountTag(form[accountTag], who.Account.ID) != nil {
		return s.render(w, r, replacedView(target))
	}
	return challenge.ErrNoAttempt
}

// targetHandler answers a page with a return target.
type targetHandler func(http.ResponseWriter, *http.Request, returnTarget) error

func (s *Handlers) withTarget(pattern string, h targetHandler) render.Route {
	return s.public(pattern, func(w http.ResponseWriter, r *http.Request) error {
		r, target, err := s.parseReturnTarget(w, r, nil)
		if err != nil {
			return err
		}
		return h(w, r, target)
	})
}

func (s *Handlers) withSession(
	pattern string,
	h func(http.ResponseWriter, *http.Request, signedIn) error,
) render.Route {
	return render.Route{
		Pattern: pattern,
		Access:  render.AccessSession,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			who, err := s.requireSession(r)
			if err != nil {
				return err
			}
			return h(w, r, who)
		},
	}
}

// requireAttempt returns the attempt of the request, or challenge.ErrNoAttempt.
func (s *Handlers) requireAttempt(r *http.Request) (attempt, error) {
	token := s.Pages.Cookie(r, render.SignInCookie)
	if token == "" {
		return attempt{}, challenge.ErrNoAttempt
	}
	a, err := s.Challenges.Load(r.Context(), token, s.Pages.Origin(r))
	return attempt{Attempt: a}, err
}

// requireSession returns the session of the request, or session.ErrNoSession.
func (s *Handlers) requireSession(r *http.Request) (signedIn, error) {
	token := s.Pages.Cookie(r, render.SessionCookie)
	if token == "" {
		return signedIn{}, session.ErrNoSession
	}
	found, err := s.Sessions.Get(r.Context(), token)
	return signedIn{found}, err
}

// render renders a page of this package.
func (s *Handlers) render(w http.ResponseWriter, r *http.Request, view render.View) error {
	view.Templates = templates()
	return s.Pages.Render(w, r, view)
}

// withFieldError returns the view with the error next to a field, or err itself if it has no text for a field.
func withFieldError(view render.View, field string, err error) (render.View, error) {
	status, key, ok := render.FieldErrorText(err)
	if !ok {
		return render.View{}, err
	}
	if errors.Is(err, account.ErrLink) && view.Template != "reset" {
		key += "." + view.Template // a new link is requested elsewhere, or not at all
	}
	view.Status = status
	view.Problems = []render.Problem{{Field: field, Key: key}}
	return view, nil
}

// emptyFieldProblems returns the problems whose field is empty.
func emptyFieldProblems(form render.FormValues, problems ...render.Problem) []render.Problem {
	var found []render.Problem
	for _, p := range problems {
		if form[p.Field] == "" {
			found = append(found, p)
		}
	}
	return found
}

func redirectTo(path string) render.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return redirect(w, r, path) }
}

// redirect answers a POST that changed something (303), so that reload and Back send nothing again.
func redirect(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

func serveRobots(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return nil
}
