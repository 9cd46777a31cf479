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
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/session"
)

// enrolment is somebody on the page of one method below /settings/2step/, or on the
// page of their address, which is proven in the same way.
//
//	form ─▶ draft: the code, or what is to be seen ─▶ done, and Continue
type enrolment struct {
	person
	about factor.About
	said  factor.Words // of the method, in the reader's language
	base  string       // the address of the page: "/settings/2step/app"
	goal  goal         // where Continue leads to
	begin func(form url.Values) error
}

// at is an address below the page, and knows the way back.
func (e enrolment) at(below string) string {
	if e.goal.back == "" {
		return e.base + below
	}
	return e.base + below + "?" + url.Values{"return_to": {e.goal.back}}.Encode()
}

// needless tells whether the page can begin without asking for anything.
func (e enrolment) needless() bool {
	return !slices.ContainsFunc(e.about.Fields, func(f factor.Field) bool { return !f.Optional })
}

// enrolling is a page below that of a method.
func (s *Site) enrolling(method, below string, h func(http.ResponseWriter, *http.Request, enrolment) error) page.Route {
	return s.session(method+" /settings/2step/{path}"+below, func(w http.ResponseWriter, r *http.Request, who person) error {
		for _, m := range s.Challenges.Methods {
			if about := m.About(); about.Path != "" && about.Path == r.PathValue("path") {
				e, err := s.enrolment(w, r, who, about)
				if err != nil {
					return err
				}
				e.base = "/settings/2step/" + about.Path
				e.begin = func(form url.Values) error {
					return s.Enrollments.Start(r.Context(), who.Session, about.Method, form, s.Pages.From(r))
				}
				return h(w, r, e)
			}
		}
		return page.ErrNotFound
	})
}

func (s *Site) enrolment(w http.ResponseWriter, r *http.Request, who person, about factor.About) (enrolment, error) {
	goal, err := s.goal(w, r, r.URL.Query()["return_to"]...)
	return enrolment{person: who, about: about, said: s.spoken(s.Pages.Words(r), about, ""), goal: goal}, err
}

// form reads the fields of a form and return_to, which every form here carries along.
func (s *Site) form(w http.ResponseWriter, r *http.Request, e *enrolment, fields ...string) (page.Values, error) {
	form, err := page.Form(w, r, append(fields, "return_to")...)
	if back := form["return_to"]; back != "" && err == nil {
		e.goal, err = s.goal(w, r, back)
	}
	return form, err
}

// showEnroll shows what waits for its proof, or else the form, to somebody who has
// proven both steps lately; so nobody is asked after they have typed.
func (s *Site) showEnroll(w http.ResponseWriter, r *http.Request, e enrolment) error {
	if !e.RecentlyAuthenticated(s.Pages.Clocked()) {
		return confirmFirst(w, r, e.at(""))
	}
	sheet, _, err := s.draftSheet(r, e)
	if err == nil {
		return s.print(w, r, sheet)
	}
	if !errors.Is(err, enroll.ErrNoPendingFactor) {
		return err
	}
	if sheet, err = s.enrollSheet(r, e, nil); err != nil {
		return err
	}
	return s.print(w, r, sheet)
}

func (s *Site) enroll(w http.ResponseWriter, r *http.Request, e enrolment) error {
	var fields []string
	for _, f := range e.about.Fields {
		fields = append(fields, f.Name)
	}
	form, err := s.form(w, r, &e, fields...)
	if err != nil {
		return err
	}
	typed := url.Values{}
	for _, name := range fields {
		typed.Set(name, form[name])
	}
	if err := e.begin(typed); err != nil {
		return s.enrollAgain(w, r, e, typed, err)
	}
	return redirect(w, r, e.at(""))
}

// enrollAgain prints the form with what was wrong with it.
func (s *Site) enrollAgain(w http.ResponseWriter, r *http.Request, e enrolment, typed url.Values, wrong error) error {
	if errors.Is(wrong, session.ErrStepUpRequired) {
		return confirmFirst(w, r, e.at(""))
	}
	sheet, err := s.enrollSheet(r, e, typed)
	if err != nil {
		return err
	}
	if early, ok := errors.AsType[*ratelimit.LimitedError](wrong); ok {
		return s.early(w, r, sheet, early.RetryAt)
	}
	field := ""
	if errors.Is(wrong, account.ErrEmail) {
		field = "email"
	}
	if sheet, err = again(sheet, field, wrong); err != nil {
		return err
	}
	if problem, ok := s.refusal(e.said, wrong); ok {
		sheet.Problems = []page.Problem{problem}
	}
	return s.print(w, r, sheet)
}

// sendDraftCode sends a new code for what waits for its proof.
func (s *Site) sendDraftCode(w http.ResponseWriter, r *http.Request, e enrolment) error {
	if _, err := s.form(w, r, &e, "code"); err != nil { // the button stands in the form of the code
		return err
	}
	err := s.Enrollments.Resend(r.Context(), e.Session, e.about.Method, s.Pages.From(r))
	early, ok := errors.AsType[*ratelimit.LimitedError](err)
	if err == nil || errors.Is(err, enroll.ErrNoPendingFactor) || errors.Is(err, challenge.ErrTooManyGuesses) {
		return redirect(w, r, e.at(""))
	}
	if !ok {
		return err
	}
	sheet, _, err := s.draftSheet(r, e)
	if err != nil {
		return err
	}
	if p, ok := sheet.Page.(draftPage); ok {
		p.sending = p.waited(s.Pages.Left(early.RetryAt))
		sheet.Page = p
	}
	return s.early(w, r, sheet, early.RetryAt)
}

// draftStatus says nothing once there is nothing to tell: a script may ask while the
// page it belongs to is being left.
func (s *Site) draftStatus(w http.ResponseWriter, r *http.Request, e enrolment) error {
	d, err := s.Enrollments.Pending(r.Context(), e.Session, e.about.Method, s.Pages.From(r))
	if errors.Is(err, enroll.ErrNoPendingFactor) || err == nil && d.Challenge == nil {
		return s.writeStatus(w, r, challenge.Challenge{})
	}
	if err != nil {
		return err
	}
	return s.writeStatus(w, r, *d.Challenge)
}

// confirmDraft takes the proof. The session goes on under a new token.
func (s *Site) confirmDraft(w http.ResponseWriter, r *http.Request, e enrolment) error {
	form, err := s.form(w, r, &e, "code")
	if err != nil {
		return err
	}
	token, err := s.Enrollments.Confirm(r.Context(), e.Session, e.about.Method, url.Values{"code": {form["code"]}}, s.Pages.From(r))
	if errors.Is(err, enroll.ErrNoPendingFactor) || errors.Is(err, challenge.ErrTooManyGuesses) || errors.Is(err, session.ErrStepUpRequired) {
		return redirect(w, r, e.at("")) // which says so
	}
	if err != nil {
		return s.confirmAgain(w, r, e, err)
	}
	s.Pages.SetCookie(w, page.SessionCookie, token)
	return redirect(w, r, e.at("/done"))
}

// confirmAgain prints what waits for its proof with what was wrong with the code.
func (s *Site) confirmAgain(w http.ResponseWriter, r *http.Request, e enrolment, wrong error) error {
	status, key, ok := page.Explain(wrong)
	early, wait := errors.AsType[*ratelimit.LimitedError](wrong)
	if !ok && !wait {
		return wrong
	}
	sheet, d, err := s.draftSheet(r, e)
	if errors.Is(err, enroll.ErrNoPendingFactor) {
		return redirect(w, r, e.at("")) // another tab was faster
	}
	if err != nil {
		return err
	}
	if p, ok := sheet.Page.(draftPage); ok && p.Ended {
		return s.print(w, r, sheet) // that was the last try: there is no field to say more beside
	}
	sheet.Status, sheet.Problems = status, []page.Problem{{Key: key}}
	switch {
	case wait:
		return s.slow(w, r, sheet, "code", early.RetryAt)
	case d.Challenge != nil && (errors.Is(wrong, factor.ErrIncorrect) || errors.Is(wrong, factor.ErrMalformed)):
		sheet.Problems = []page.Problem{s.codeProblem(r, *d.Challenge, wrong)}
	}
	return s.print(w, r, sheet)
}

// dropDraft forgets what waits for its proof. Where there is nothing to change, the
// page would only begin anew; so it is left, unless that is what is wanted.
func (s *Site) dropDraft(w http.ResponseWriter, r *http.Request, e enrolment) error {
	form, err := s.form(w, r, &e, "again")
	if err != nil {
		return err
	}
	if err := s.Enrollments.Cancel(r.Context(), e.Session, e.about.Method); err != nil {
		return err
	}
	if e.needless() && form["again"] == "" {
		return redirect(w, r, e.goal.home())
	}
	return redirect(w, r, e.at(""))
}

// removeFactor removes one factor of this method. The session goes on under a new token.
func (s *Site) removeFactor(w http.ResponseWriter, r *http.Request, e enrolment) error {
	form, err := s.form(w, r, &e, "id")
	if err != nil {
		return err
	}
	all, err := s.owned(r, e)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(f enroll.EnrolledFactor) bool { return f.ID != "" && f.ID == form["id"] }) {
		return redirect(w, r, e.at("")) // another tab was faster
	}
	token, err := s.Enrollments.Remove(r.Context(), e.Session, form["id"], s.Pages.From(r))
	if errors.Is(err, session.ErrStepUpRequired) {
		return confirmFirst(w, r, e.at(""))
	}
	if err != nil {
		return err
	}
	s.Pages.SetCookie(w, page.SessionCookie, token)
	return redirect(w, r, "/settings")
}

// owned are the factors of the method that the person has.
func (s *Site) owned(r *http.Request, e enrolment) ([]enroll.EnrolledFactor, error) {
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

// showDone is where the person has proven a new factor, and goes on.
func (s *Site) showDone(w http.ResponseWriter, r *http.Request, e enrolment) error {
	all, err := s.owned(r, e)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return redirect(w, r, e.at(""))
	}
	return s.print(w, r, enrolledSheet(e))
}

// enrollRoutes are the pages of a new factor, of any method, and of a new address, in
// the order in which a person meets them.
func (s *Site) enrollRoutes() []page.Route {
	var routes []page.Route
	for _, place := range []func(string, string, func(http.ResponseWriter, *http.Request, enrolment) error) page.Route{s.enrolling, s.readdressing} {
		routes = append(routes,
			place("GET", "", s.showEnroll),
			place("POST", "", s.enroll),
			place("POST", "/code", s.sendDraftCode),
			place("POST", "/verify", s.confirmDraft),
			place("POST", "/cancel", s.dropDraft),
			place("GET", "/done", s.showDone),
		)
	}
	return append(routes,
		s.enrolling("GET", "/status", s.draftStatus),
		s.enrolling("GET", "/codes.txt", s.downloadCodes),
		s.enrolling("POST", "/remove", s.removeFactor),
	)
}
