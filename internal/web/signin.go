package web

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/signin"
	"twostep.example/twostep/internal/trust"
)

type signInPage struct {
	Email          string
	ReturnTo       returnTo
	ClientName     string // the app they come from; "": none
	Restarted      bool   // the sign-in before has ended, and the address is its
	OffersStay     bool   // people choose whether to stay signed in
	Stay           bool   // the choice
	SignUp         bool
	CookiesBlocked bool   // the browser does not store cookies
	Domain         string // the public URL, for the browser settings
}

func (s *Handlers) showSignIn(w http.ResponseWriter, r *http.Request) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	p, err := s.requireAttempt(r)
	if err != nil && !errors.Is(err, challenge.ErrNoAttempt) {
		return err
	}
	next, err := s.resumeURL(r, p, target)
	if err != nil {
		return err
	}
	if next != "" {
		return redirect(w, r, next)
	}
	s.Pages.SetProbeCookie(w, r)
	page := signInPage{
		Email:          cmp.Or(target.LoginHint, s.rememberedEmail(r)),
		ReturnTo:       target.returnTo,
		ClientName:     target.ClientName,
		CookiesBlocked: s.cookiesBlocked(r),
	}
	if email := s.endedSignInEmail(p); email != "" && page.Email == "" {
		page.Email, page.Restarted = email, true
	}
	return s.render(w, r, signInView(s.newSignInPage(page)))
}

// maxEmailAge is how long after its start an ended sign-in still fills in the address of the next one.
const maxEmailAge = 2 * time.Hour

// endedSignInEmail returns the address of a sign-in of this browser that has ended without a session, "" if there is
// none. Its token is still in the cookie, so the address is in no URL and in no cookie.
func (s *Handlers) endedSignInEmail(p attempt) string {
	if p.Attempt == nil || p.StepUp || p.Proven || s.nextStepPath(p) != "" ||
		s.Pages.CurrentTime().Sub(p.StartedAt) > maxEmailAge {
		return ""
	}
	return p.Account().Email
}

// emailRememberedFor is how long the sign-in page fills in the address of a person who has just chosen a password.
const emailRememberedFor = 10 * time.Minute

// rememberEmail makes the sign-in page fill in an address. It is in a cookie, because URLs end up in logs.
func (s *Handlers) rememberEmail(w http.ResponseWriter, email string) {
	value := base64.RawURLEncoding.EncodeToString([]byte(email))
	s.Pages.SetPersistentCookie(w, render.EmailCookie, value, emailRememberedFor)
}

// rememberedEmail returns the address of rememberEmail, "" if there is none.
func (s *Handlers) rememberedEmail(r *http.Request) string {
	text, err := base64.RawURLEncoding.DecodeString(s.Pages.Cookie(r, render.EmailCookie))
	if err != nil {
		return ""
	}
	email, _ := account.ParseEmail(string(text)) // "" if it is not one
	return email
}

// cookiesBlocked reports whether the browser does not store cookies, see render.CookiesBlockedQuery.
func (s *Handlers) cookiesBlocked(r *http.Request) bool {
	_, stored := s.Pages.CookiesStoredSince(r)
	return r.URL.Query().Has(render.CookiesBlockedQuery) && !stored
}

// resumeURL returns where to continue if there already is an attempt p or a session; "" if not.
func (s *Handlers) resumeURL(r *http.Request, p attempt, target returnTarget) (string, error) {
	_, err := s.requireSession(r)
	hasSession := err == nil
	if errors.Is(err, session.ErrMethodRequired) {
		return target.At(render.SetupPath), nil
	}
	if !hasSession && !errors.Is(err, session.ErrNoSession) {
		return "", err
	}
	if hasSession && target.returnTo != "" {
		return string(target.returnTo), nil // a step-up that another tab has begun is for its own target
	}
	if next := s.nextStepPath(p); next != "" && hasSession == p.StepUp && serves(p, target) {
		return target.At(next), nil
	}
	if hasSession {
		return target.urlOrSettings(), nil
	}
	return "", nil
}

// serves reports whether completing an attempt p is enough for the target, in the account that it suggests.
func serves(p attempt, target returnTarget) bool {
	hint, err := account.ParseEmail(target.LoginHint)
	return target.MinLevel <= p.Level && (err != nil || hint == p.Account().Email)
}

// nextStepPath returns the page of the next step of an attempt; "" if the attempt has ended.
func (s *Handlers) nextStepPath(p attempt) string {
	if p.Attempt == nil {
		return ""
	}
	switch challenge.Next(p.State, s.Pages.CurrentTime()) {
	case challenge.StepMethod:
		return "/signin/method"
	case challenge.StepVerify:
		return "/signin/verify"
	}
	return ""
}

// newSignInPage adds what the page shows about this server.
func (s *Handlers) newSignInPage(p signInPage) signInPage {
	p.SignUp, p.Domain = s.Accounts.SignUpOpen(), s.Accounts.Settings.PublicURL
	p.OffersStay = s.Sessions.StaySignedIn
	return p
}

func signInView(p signInPage) render.View {
	focus := "email"
	if p.Email != "" {
		focus = "password"
	}
	return render.View{Template: "signin", Title: "signin.title", Focus: focus, Data: p}
}

func (s *Handlers) handleSignIn(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "email", "password", "return_to", "stay")
	if err != nil {
		return err
	}
	r, target, err := s.parseReturnTarget(w, r, form)
	if err != nil {
		return err
	}
	view := signInView(s.newSignInPage(signInPage{
		Email: form["email"], ReturnTo: target.returnTo, ClientName: target.ClientName, Stay: form["stay"] != "",
	}))
	if view.Problems = emptyFieldProblems(form, render.Problem{Field: "email", Key: "problem.email.empty"},
		render.Problem{Field: "password", Key: "problem.password.empty"}); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	done, err := s.isSignedInFor(r, target, form["email"])
	if err != nil {
		return err
	}
	if done {
		return redirect(w, r, target.urlOrSettings())
	}
	result, err := s.SignIns.Start(r.Context(), signin.Credentials{
		Email: form["email"], Password: form["password"], LinkQuery: linkQuery(target),
		SkipTrust: target.NeedsFullSignIn, Level: target.MinLevel,
		AttemptToken: s.Pages.Cookie(r, render.SignInCookie), StaySignedIn: form["stay"] != "",
	}, s.Pages.Origin(r))
	if waitError, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		return s.renderBackoff(w, r, view, "password", waitError.RetryAt)
	}
	if err != nil {
		return s.renderFormError(w, r, view, "", err)
	}
	if s.Pages.Cookie(r, render.EmailCookie) != "" {
		s.Pages.ClearCookie(w, render.EmailCookie)
	}
	if result.Session != "" {
		return s.completeSignIn(w, r, result, target)
	}
	s.Pages.SetProbeCookie(w, r)
	s.Pages.SetCookie(w, render.SignInCookie, result.Attempt)
	return redirect(w, r, target.At("/signin/verify"))
}

// setSessionCookie replaces the cookie of a session that has a new token. The cookie ends when it did before.
func (s *Handlers) setSessionCookie(w http.ResponseWriter, token string, who session.Session) {
	s.Pages.SetPersistentCookie(w, render.SessionCookie, token, who.CookieMaxAge(s.Pages.CurrentTime()))
}

// isSignedInFor reports whether another tab has signed this account in, so that this one goes on to its target, which
// checks what it requires. A second session would end the first one, and with it the grants of apps.
func (s *Handlers) isSignedInFor(r *http.Request, target returnTarget, address string) (bool, error) {
	email, err := account.ParseEmail(address)
	if target.returnTo == "" || err != nil {
		return false, nil
	}
	who, err := s.requireSession(r)
	if errors.Is(err, session.ErrNoSession) {
		return false, nil
	}
	return err == nil && email == who.Account.Email, err
}

// deviceCookieMaxAge is how long a device is known.
const deviceCookieMaxAge = trust.KnownDeviceTTL

// completeSignIn sets the cookies of the session that a sign-in created or a step-up renewed. It ends the session that
// the browser had before: its cookie is replaced, and a stolen copy would still work. After a step-up that changes
// nothing, because the session has a new token by then.
func (s *Handlers) completeSignIn(
	w http.ResponseWriter,
	r *http.Request,
	result session.Cookies,
	target returnTarget,
) error {
	s.Pages.ClearCookie(w, render.SignInCookie)
	s.Pages.SetPersistentCookie(w, render.SessionCookie, result.Session, result.MaxAge)
	if result.Device != "" {
		s.Pages.SetPersistentCookie(w, render.DeviceCookie, result.Device, deviceCookieMaxAge)
	}
	if err := s.Sessions.SignOut(r.Context(), s.Pages.Cookie(r, render.SessionCookie), s.Pages.Origin(r)); err != nil {
		return err
	}
	return redirect(w, r, target.urlOrSettings())
}

// renderFormError renders the form again with the error next to a field; "": for the whole form. An error that passes
// is shown for the whole form, so that the person can send it again.
func (s *Handlers) renderFormError(
	w http.ResponseWriter,
	r *http.Request,
	view render.View,
	field string,
	err error,
) error {
	if problem, ok := s.Pages.TemporaryProblem(w, err); ok {
		view.Status, view.Problems = http.StatusServiceUnavailable, []render.Problem{problem}
		return s.render(w, r, view)
	}
	view, err = withFieldError(view, field, err)
	if err != nil {
		return err
	}
	return s.render(w, r, view)
}

// restart ends an attempt and redirects to where its person starts again. The browser keeps the token: it no longer
// leads to a session, but the sign-in page fills in the address. All limits of the account stay as they are.
func (s *Handlers) restart(w http.ResponseWriter, r *http.Request, p attempt) error {
	if err := s.Challenges.Cancel(r.Context(), s.Pages.Cookie(r, render.SignInCookie)); err != nil {
		return err
	}
	return redirect(w, r, restartURL(p))
}

// restartURL returns the page where the person of an ended attempt starts again, with the same return target.
func restartURL(p attempt) string {
	if p.StepUp {
		return render.StepUpURL(p.target.urlOrSettings(), http.MethodGet)
	}
	return p.target.At("/signin")
}

// handleCancelSignIn ends the attempt, so that somebody else can sign in. It succeeds without an attempt too. With
// "again", the same person starts again, see restart.
func (s *Handlers) handleCancelSignIn(w http.ResponseWriter, r *http.Request) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	form, err := render.ParseForm(w, r, "again", accountTag)
	if err != nil {
		return err
	}
	p, err := s.requireAttempt(r)
	p.target = target
	switch {
	case err == nil && s.checkAccountTag(form[accountTag], p.Account().ID) != nil:
		return s.render(w, r, replacedView(target))
	case err == nil && form["again"] != "":
		return s.restart(w, r, p)
	case err == nil:
		err = s.Challenges.Cancel(r.Context(), s.Pages.Cookie(r, render.SignInCookie))
	case errors.Is(err, challenge.ErrNoAttempt) && form["again"] == "":
		err = nil
	}
	if err != nil {
		return err
	}
	s.Pages.ClearCookie(w, render.SignInCookie)
	if p.Attempt != nil && p.StepUp && target.RequestToken == "" { // the page that requires the step-up would ask again
		return redirect(w, r, "/settings")
	}
	return redirect(w, r, target.At("/signin"))
}
