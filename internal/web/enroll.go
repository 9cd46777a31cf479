package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// enrollment is a request for the page of one method below /settings/2step/, or for /settings/email, which verifies a
// new address in the same way.
//
//	form ─▶ pending factor: enter the code ─▶ done, and Continue
type enrollment struct {
	signedIn
	about      factor.Info
	fields     []factor.Field // of the form
	maxFactors int            // how many the account may have; 1: a new one replaces the old one
	words      factor.Words   // of the method, in the language of the reader
	path       string         // the path of the page: "/settings/2step/app"
	target     returnTarget   // where Continue leads
	start      func(form url.Values) error
}

// url returns the URL of a page below this one, with return_to.
func (e enrollment) url(below string) string {
	return e.target.At(e.path + below)
}

// needsNoInput reports whether every field of the form is optional.
func (e enrollment) needsNoInput() bool {
	return !slices.ContainsFunc(e.fields, func(f factor.Field) bool { return !f.Optional })
}

type enrollmentHandler func(http.ResponseWriter, *http.Request, enrollment) error

// enrollRoute is a route at or below /settings/2step/{path}, for the method with that path.
func (s *Handlers) enrollRoute(method, below string, h enrollmentHandler) render.Route {
	return s.withSetup(
		method+" /settings/2step/{path}"+below,
		func(w http.ResponseWriter, r *http.Request, who signedIn) error {
			for _, m := range s.Challenges.Methods {
				if about := m.Info(); about.Path != "" && about.Path == r.PathValue("path") {
					r, e, err := s.newEnrollment(w, r, who, about)
					if err != nil {
						return err
					}
					e.path = "/settings/2step/" + about.Path
					e.start = func(form url.Values) error {
						return s.Enrollments.Start(r.Context(), who.Session, about.Method, form, s.Pages.Origin(r))
					}
					return h(w, r, e)
				}
			}
			return render.ErrNotFound
		},
	)
}

func (s *Handlers) newEnrollment(
	w http.ResponseWriter,
	r *http.Request,
	who signedIn,
	about factor.Info,
) (*http.Request, enrollment, error) {
	r, target, err := s.parseReturnTarget(w, r, nil)
	return r, enrollment{
		signedIn: who, about: about, fields: about.Fields, maxFactors: about.MaxPerAccount,
		words: s.methodWords(s.Pages.Localizer(r), about, ""), target: target,
	}, err
}

// parseForm reads the fields of a form and return_to, which every form of an enrollment has.
func (s *Handlers) parseForm(
	w http.ResponseWriter,
	r *http.Request,
	e *enrollment,
	fields ...string,
) (*http.Request, render.FormValues, error) {
	form, err := render.ParseForm(w, r, append(fields, "return_to")...)
	if err == nil {
		r, e.target, err = s.parseReturnTarget(w, r, form)
	}
	return r, form, err
}

// showEnroll shows the pending factor, or else the form. It requires a recent step-up, so that nobody loses what they
// typed to it.
func (s *Handlers) showEnroll(w http.ResponseWriter, r *http.Request, e enrollment) error {
	if !e.MayEnroll(s.Pages.CurrentTime()) {
		return redirectToStepUp(w, r, e.url(""))
	}
	p, _, err := s.loadPendingFactorPage(r, e)
	if err == nil {
		return s.render(w, r, pendingFactorView(p))
	}
	if !errors.Is(err, enroll.ErrNoPendingFactor) {
		return err
	}
	view, err := s.enrollView(r, e, nil)
	if err != nil {
		return err
	}
	return s.render(w, r, view)
}

func (s *Handlers) handleEnroll(w http.ResponseWriter, r *http.Request, e enrollment) error {
	var fields []string
	for _, f := range e.fields {
		fields = append(fields, f.Name)
	}
	fields = append(fields, factor.ConfirmField)
	r, form, err := s.parseForm(w, r, &e, fields...)
	if err != nil {
		return err
	}
	typed := url.Values{}
	for _, name := range fields {
		typed.Set(name, form[name])
	}
	if err := e.start(typed); err != nil {
		return s.renderEnrollError(w, r, e, typed, err)
	}
	return redirect(w, r, e.url(""))
}

// renderEnrollError renders the form with its problem.
func (s *Handlers) renderEnrollError(
	w http.ResponseWriter,
	r *http.Request,
	e enrollment,
	typed url.Values,
	cause error,
) error {
	if errors.Is(cause, session.ErrStepUpRequired) {
		return redirectToStepUp(w, r, e.url(""))
	}
	view, err := s.enrollView(r, e, typed)
	if err != nil {
		return err
	}
	if waitError, ok := errors.AsType[*ratelimit.LimitedError](cause); ok {
		return s.renderResendWait(w, r, view, waitError.RetryAt)
	}
	if fault.Temporary(cause) {
		return s.renderFormError(w, r, view, "", cause)
	}
	field := ""
	if errors.Is(cause, account.ErrEmail) {
		field = "email"
	}
	if view, err = withFieldError(view, field, cause); err != nil {
		return err
	}
	if problem, ok := s.userErrorProblem(e.words, cause); ok {
		view.Problems = []render.Problem{problem}
	}
	if question, ok := errors.AsType[*factor.UserError](cause); ok {
		page := view.Data.(enrollPage)
		page.Confirm = question.Confirm
		view.Data = page
	}
	return s.render(w, r, view)
}

// handleResendFactorCode sends a new code for the pending factor. If none can be sent any more, it starts again.
func (s *Handlers) handleResendFactorCode(w http.ResponseWriter, r *http.Request, e enrollment) error {
	r, _, err := s.parseForm(w, r, &e, "code") // the button is part of the form of the code
	if err != nil {
		return err
	}
	err = s.Enrollments.Resend(r.Context(), e.Session, e.about.Method, s.Pages.Origin(r))
	if errors.Is(err, challenge.ErrNoMoreCodes) {
		if err := s.Enrollments.Cancel(r.Context(), e.Session, e.about.Method); err != nil {
			return err
		}
		return redirect(w, r, e.url(""))
	}
	waitError, ok := errors.AsType[*ratelimit.LimitedError](err)
	if err == nil || errors.Is(err, enroll.ErrNoPendingFactor) || errors.Is(err, challenge.ErrTooManyGuesses) {
		return redirect(w, r, e.url(""))
	}
	if !ok {
		return err
	}
	p, _, err := s.loadPendingFactorPage(r, e)
	if err != nil {
		return err
	}
	p.deliveryStatus = p.withResendWait(s.Pages.SecondsUntil(waitError.RetryAt))
	return s.renderResendWait(w, r, pendingFactorView(p), waitError.RetryAt)
}

// servePendingFactorStatus answers with an empty state if nothing is pending: the script may ask while the browser
// leaves the page.
func (s *Handlers) servePendingFactorStatus(w http.ResponseWriter, r *http.Request, e enrollment) error {
	d, err := s.Enrollments.Pending(r.Context(), e.Session, e.about.Method, s.Pages.Origin(r))
	if errors.Is(err, enroll.ErrNoPendingFactor) || err == nil && d.Challenge == nil {
		return s.writeDeliveryStatus(w, r, challenge.Challenge{})
	}
	if err != nil {
		return err
	}
	return s.writeDeliveryStatus(w, r, *d.Challenge)
}

// handleConfirmFactor verifies the code of the pending factor. The session gets a new token.
func (s *Handlers) handleConfirmFactor(w http.ResponseWriter, r *http.Request, e enrollment) error {
	r, form, err := s.parseForm(w, r, &e, "code")
	if err != nil {
		return err
	}
	token, err := s.Enrollments.Confirm(
		r.Context(), e.Session, e.about.Method, url.Values{"code": {form["code"]}}, s.Pages.Origin(r),
	)
	if errors.Is(err, enroll.ErrNoPendingFactor) || errors.Is(err, challenge.ErrTooManyGuesses) ||
		errors.Is(err, session.ErrStepUpRequired) {
		return redirect(w, r, e.url("")) // the page says what happened
	}
	if err != nil {
		return s.renderConfirmError(w, r, e, err)
	}
	s.setSessionCookie(w, token, e.Session)
	return redirect(w, r, e.url("/done"))
}

// renderConfirmError renders the pending factor with the problem of the code.
func (s *Handlers) renderConfirmError(w http.ResponseWriter, r *http.Request, e enrollment, cause error) error {
	status, key, ok := render.FieldErrorText(cause)
	waitError, mustWait := errors.AsType[*ratelimit.LimitedError](cause)
	temporary := fault.Temporary(cause)
	if !ok && !mustWait && !temporary {
		return cause
	}
	p, d, err := s.loadPendingFactorPage(r, e)
	if errors.Is(err, enroll.ErrNoPendingFactor) {
		return redirect(w, r, e.url("")) // another tab has changed it
	}
	if err != nil {
		return err
	}
	view := pendingFactorView(p)
	if p.AttemptsExhausted { // the page has no field any more
		return s.render(w, r, view)
	}
	view.Status, view.Problems = status, []render.Problem{{Key: key}}
	switch {
	case temporary:
		return s.renderFormError(w, r, view, "", cause)
	case mustWait:
		return s.renderBackoff(w, r, view, "code", waitError.RetryAt)
	case d.Challenge != nil && (errors.Is(cause, factor.ErrIncorrect) || errors.Is(cause, factor.ErrMalformed)):
		view.Problems = []render.Problem{s.codeProblem(r, *d.Challenge, cause)}
		if view.Problems[0].Key == "problem.code.app" {
			view.Problems[0].Key = "problem.code.scan"
		}
	}
	return s.render(w, r, view)
}

// handleCancelPendingFactor deletes the pending factor. A form without required fields would start again at once, so it
// leaves the page unless the person chose to start again.
func (s *Handlers) handleCancelPendingFactor(w http.ResponseWriter, r *http.Request, e enrollment) error {
	r, form, err := s.parseForm(w, r, &e, "again")
	if err != nil {
		return err
	}
	if err := s.Enrollments.Cancel(r.Context(), e.Session, e.about.Method); err != nil {
		return err
	}
	if e.needsNoInput() && form["again"] == "" {
		return redirect(w, r, e.target.urlOrSettings())
	}
	return redirect(w, r, e.url(""))
}

// handleRemoveFactor removes one factor of this method. The session gets a new token.
func (s *Handlers) handleRemoveFactor(w http.ResponseWriter, r *http.Request, e enrollment) error {
	r, form, err := s.parseForm(w, r, &e, "id")
	if err != nil {
		return err
	}
	all, err := s.enrolledFactors(r, e)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(f enroll.EnrolledFactor) bool { return f.ID != "" && f.ID == form["id"] }) {
		return redirect(w, r, e.url("")) // another tab has changed it
	}
	token, err := s.Enrollments.Remove(r.Context(), e.Session, form["id"], s.Pages.Origin(r))
	if errors.Is(err, session.ErrStepUpRequired) {
		return redirectToStepUp(w, r, e.url(""))
	}
	if err != nil {
		return err
	}
	s.setSessionCookie(w, token, e.Session)
	return redirect(w, r, "/settings")
}

// enrolledFactors returns the factors of the method that the account has.
func (s *Handlers) enrolledFactors(r *http.Request, e enrollment) ([]enroll.EnrolledFactor, error) {
	all, err := s.Enrollments.List(r.Context(), e.Session)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if o.Method == e.about.Method {
			return o.Factors, nil
		}
	}
	return nil, nil
}

// showEnrolled says that the new factor is verified, with a link to continue.
func (s *Handlers) showEnrolled(w http.ResponseWriter, r *http.Request, e enrollment) error {
	all, err := s.enrolledFactors(r, e)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return redirect(w, r, e.url(""))
	}
	choice, err := s.Enrollments.GetEmailSecondStep(r.Context(), e.Session)
	if err != nil {
		return err
	}
	return s.render(w, r, s.enrolledView(e, choice))
}

// enrollRoutes returns the routes of enrolling a factor of any method and of changing the address.
func (s *Handlers) enrollRoutes() []render.Route {
	var routes []render.Route
	for _, route := range []func(string, string, enrollmentHandler) render.Route{s.enrollRoute, s.changeEmailRoute} {
		routes = append(routes,
			route("GET", "", s.showEnroll),
			route("POST", "", s.handleEnroll),
			route("POST", "/code", s.handleResendFactorCode),
			route("POST", "/verify", s.handleConfirmFactor),
			route("POST", "/cancel", s.handleCancelPendingFactor),
			route("GET", "/done", s.showEnrolled),
		)
	}
	return append(routes,
		s.enrollRoute("GET", "/status", s.servePendingFactorStatus),
		s.enrollRoute("GET", "/codes.txt", s.serveCodesFile),
		s.enrollRoute("POST", "/remove", s.handleRemoveFactor),
	)
}
