// Package web is a person's pages: sign in, settings.
//
// A handler reads the form, calls one verb of the engine and prints the next page or
// redirects to it. The package knows no SQL, and nothing here decides who may come in.
package web

import (
	"embed"
	"net/http"
	"slices"
	"sync"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
)

// Site is the pages of one server.
type Site struct {
	Accounts    *account.Accounts
	Devices     *device.Devices
	Sessions    *session.Sessions
	Challenges  *challenge.Challenges
	Enrollments *enroll.Enrollments
	SignIns     *signin.SignIns
	Pages       *page.Printer
	Grants      *grant.Grants       // nil: nobody goes to an app
	Inbox       *delivery.Inbox     // nil: there is no /inbox
	Turn        func(time.Duration) // moves the server's clock forward; nil: the inbox has no such button
}

//go:embed pages/*.html
var files embed.FS

var templates = sync.OnceValue(func() page.Templates { return page.Parse(files, "pages") })

// Routes are all pages, in the order in which a person meets them.
func (s *Site) Routes() []page.Route {
	routes := []page.Route{
		s.open("GET /{$}", goTo("/settings")),
		s.open("GET /signin", s.showSignIn),
		s.open("POST /signin", s.signIn),
		s.pending("GET /signin/method", s.showMethods),
		s.pending("POST /signin/method", s.chooseMethod),
		s.pending("GET /signin/verify", s.showVerify),
		s.pending("POST /signin/verify", s.verify),
		s.pending("POST /signin/trust", s.tickTrust),
		s.pending("POST /signin/other", s.otherMethod),
		s.open("GET /signin/status", s.deliveryStatus),
		s.pending("POST /signin/code", s.sendCode),
		s.open("POST /signin/cancel", s.cancelSignIn),

		s.open("GET /forgot", s.showForgot),
		s.open("POST /forgot", s.forgot),
		s.open("GET /forgot/sent", s.notice(forgotSent)),
		s.open("GET /reset", s.showReset),
		s.open("POST /reset", s.reset),
		s.open("GET /reset/done", s.notice(resetDone)),
		s.open("GET /undo", s.showUndo),
		s.open("POST /undo", s.undo),
		s.open("GET /undo/done", s.notice(undoDone)),
		s.open("GET /signup", s.showSignUp),
		s.open("POST /signup", s.signUp),
		s.open("GET /signup/sent", s.notice(signUpSent)),
		s.open("GET /join", s.showJoin),
		s.open("POST /join", s.join),
		s.open("GET /join/done", s.notice(joinDone)),

		s.session("GET /settings", s.showSettings),
		s.session("POST /settings/later", s.putOff),
		s.session("GET /settings/confirm", s.showStepUp),
		s.session("POST /settings/confirm", s.stepUp),
		s.session("GET /settings/password", s.showPassword),
		s.session("POST /settings/password", s.changePassword),
		s.session("GET /settings/password/done", s.passwordDone),
		s.session("GET /settings/devices", s.showDevices),
		s.session("POST /settings/devices/forget", s.forgetDevices),
		s.session("POST /settings/devices/{id}/forget", s.forgetDevice),
		s.session("GET /settings/sessions", s.showSessions),
		s.session("POST /settings/sessions/end", s.endSessions),
		s.session("POST /settings/sessions/{id}/end", s.endSession),
		s.session("GET /settings/history", s.showHistory),
		s.session("GET /settings/history/not-me", s.showNotMe),
		s.session("GET /settings/apps", s.showApps),
		s.session("POST /settings/apps/{id}/remove", s.withdraw),
		s.open("POST /signout", s.signOut),
		s.open("GET /signout/done", s.signedOut),

		s.open("GET /.well-known/change-password", goTo("/settings/password")),
		s.open("GET /robots.txt", robots),
	}
	return slices.Concat(routes, s.enrollRoutes(), s.inboxRoutes())
}

// pending is an attempt at a sign-in or a step-up. It is another type than person, so that no
// handler can take one for the other.
type pending struct {
	*challenge.Attempt
	goal goal
}

// person is somebody who is in.
type person struct {
	session.Session
}

func (s *Site) open(pattern string, h page.Handler) page.Route {
	return page.Route{Pattern: pattern, Needs: page.Nothing, Serve: h}
}

func (s *Site) pending(pattern string, h func(http.ResponseWriter, *http.Request, pending) error) page.Route {
	return page.Route{Pattern: pattern, Needs: page.SignIn, Serve: func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.onTheWay(r)
		if err == nil {
			p.goal, err = s.goal(w, r, p.ReturnTo)
		}
		if err != nil {
			return err
		}
		return h(w, r, p)
	}}
}

func (s *Site) session(pattern string, h func(http.ResponseWriter, *http.Request, person) error) page.Route {
	return page.Route{Pattern: pattern, Needs: page.Session, Serve: func(w http.ResponseWriter, r *http.Request) error {
		who, err := s.in(r)
		if err != nil {
			return err
		}
		return h(w, r, who)
	}}
}

// onTheWay is the pending sign-in of the request, or signin.ErrNoSignIn.
func (s *Site) onTheWay(r *http.Request) (pending, error) {
	token := s.Pages.Cookie(r, page.SignInCookie)
	if token == "" {
		return pending{}, challenge.ErrNoAttempt
	}
	a, err := s.Challenges.Load(r.Context(), token, s.Pages.From(r))
	return pending{Attempt: a}, err
}

// in is the session of the request, or session.ErrNoSession.
func (s *Site) in(r *http.Request) (person, error) {
	token := s.Pages.Cookie(r, page.SessionCookie)
	if token == "" {
		return person{}, session.ErrNoSession
	}
	found, err := s.Sessions.Get(r.Context(), token)
	return person{found}, err
}

// print prints a page of this room.
func (s *Site) print(w http.ResponseWriter, r *http.Request, sheet page.Sheet) error {
	sheet.Of = templates()
	return s.Pages.Print(w, r, sheet)
}

// again is the sheet with the error beside a field, or the error itself when it has no
// sentence there.
func again(sheet page.Sheet, field string, err error) (page.Sheet, error) {
	status, key, ok := page.Explain(err)
	if !ok {
		return page.Sheet{}, err
	}
	sheet.Status = status
	sheet.Problems = []page.Problem{{Field: field, Key: key}}
	return sheet, nil
}

// missing are the problems of the fields that were left empty.
func missing(form page.Values, problems ...page.Problem) []page.Problem {
	var found []page.Problem
	for _, p := range problems {
		if form[p.Field] == "" {
			found = append(found, p)
		}
	}
	return found
}

func goTo(path string) page.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return redirect(w, r, path) }
}

// redirect ends every POST, so that reload and Back are safe.
func redirect(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

func robots(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return nil
}
