package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/trust"
)

type verifyPage struct {
	deliveryStatus
	Lead    string
	Minutes int // how long a code works; 0: it has no life of its own
	codeInput
	LongCode          bool   // somebody has guessed, so the answer is longer
	HasOtherMethods   bool   // there is another way
	StepUp            bool   // for somebody who is in already
	AttemptsExhausted bool   // too many wrong codes
	RestartURL        string // where somebody who is in begins again
	Reason            string // the second step is asked for; ""
	Trust             trustCheckbox
}

// trustCheckbox is the checkbox "Trust this device for 30 days".
type trustCheckbox struct {
	Days           int // 0: there is none
	Checked        bool
	DisabledReason string // why it cannot be ticked, a word key; ""
}

var errNoChallenge = errors.New("web: step verify without a challenge")

func (s *Handlers) newVerifyPage(r *http.Request, p attempt) (verifyPage, error) {
	c := p.Challenge
	if c == nil {
		return verifyPage{}, errNoChallenge
	}
	w := s.Pages.Localizer(r)
	v := verifyPage{
		deliveryStatus:  s.newDeliveryStatus(w, *c),
		Lead:            s.promptText(w, *c),
		codeInput:       codeInputFor(*c),
		LongCode:        c.LongCode,
		Minutes:         int(c.CodeTTL / time.Minute),
		HasOtherMethods: len(p.Offers) > 1,
		StepUp:          p.StepUp,
		Trust:           s.newTrustCheckbox(r, p.Trust),
	}
	v.PageURL, v.StatusURL, v.ResendURL = "/signin/verify", "/signin/status", "/signin/code"
	if p.Why.Reason != trust.TrustDisabled { // it is what everybody expects
		v.Reason = s.reasonText(w, p.Why)
	}
	if p.StepUp {
		v.RestartURL = render.StepUpURL(p.target.urlOrSettings(), http.MethodGet)
	}
	return v, nil
}

func verifyView(v verifyPage) render.View {
	return render.View{Template: "verify", Title: "verify.title", Focus: "code", Data: v}
}

// reasonText is why the second step is asked for, in one line. Where the person has been before is
// not for somebody who has only given the password.
func (s *Handlers) reasonText(w i18n.Localizer, why challenge.StepReason) string {
	if why.Reason == "" {
		return ""
	}
	return w.Translate(
		"why."+string(why.Reason), "Date", s.Pages.FormatDate(w, why.VerifiedAt), "Count", s.Devices.TrustDays(),
	)
}

// newTrustCheckbox is the checkbox as this browser may use it: one that does not bring back the
// cookie that the page before gave it would not keep the record either.
func (s *Handlers) newTrustCheckbox(r *http.Request, offer challenge.TrustOffer) trustCheckbox {
	checkbox := trustCheckbox{Days: offer.Days, Checked: offer.Requested}
	if _, stored := s.Pages.CookiesStoredSince(r); !stored {
		checkbox.DisabledReason = "trust.blocked"
	}
	if offer.NetworkUnknown {
		checkbox.DisabledReason = "trust.lost"
	}
	return checkbox
}

func (s *Handlers) showVerify(w http.ResponseWriter, r *http.Request, p attempt) error {
	switch step := s.nextStepPath(p); step {
	case "":
		return challenge.ErrNoAttempt
	case "/signin/method":
		return redirect(w, r, step)
	}
	v, err := s.newVerifyPage(r, p)
	if err != nil {
		return err
	}
	if p.Challenge.GuessesLeft == 0 {
		return s.render(w, r, attemptsExhaustedView(v))
	}
	return s.render(w, r, verifyView(v))
}

// methodCookieMaxAge is for how long a browser remembers by which method it signed in.
const methodCookieMaxAge = 400 * 24 * time.Hour

func (s *Handlers) handleVerify(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := render.ParseForm(w, r, "code", "trust")
	if err != nil {
		return err
	}
	if err := s.saveTrustChoice(&p, form); err != nil {
		return err
	}
	result, err := p.Verify(r.Context(), url.Values{"code": {form["code"]}})
	if err != nil {
		return s.renderVerifyError(w, r, p, err)
	}
	if c := p.Challenge; c != nil && !c.Spare {
		s.Pages.SetPersistentCookie(w, render.MethodCookie, c.Method, methodCookieMaxAge)
	}
	return s.completeSignIn(w, r, result, p.target)
}

// saveTrustChoice keeps whether the box was ticked when a button of its form was pressed.
func (s *Handlers) saveTrustChoice(p *attempt, form render.FormValues) error {
	checked := form["trust"] != ""
	if checked && form["trust"] != "1" && form["trust"] != "on" {
		return render.ErrInvalidForm
	}
	if p.Trust.Days == 0 || p.Trust.Requested == checked {
		return nil
	}
	p.SetTrust(checked)
	return nil
}

// handleTrustChoice keeps the box as the script tells it, so that it is there after a reload.
func (s *Handlers) handleTrustChoice(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := render.ParseForm(w, r, "trust")
	if err == nil {
		err = s.saveTrustChoice(&p, form)
	}
	if err == nil {
		err = p.Save(r.Context())
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// handleOtherMethod leads to the choice of methods and takes the box along.
func (s *Handlers) handleOtherMethod(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := render.ParseForm(w, r, "code", "trust")
	if err != nil {
		return err
	}
	if err := s.saveTrustChoice(&p, form); err != nil {
		return err
	}
	if err := p.Save(r.Context()); err != nil {
		return err
	}
	return redirect(w, r, "/signin/method")
}

// renderVerifyError prints the code page with what was wrong. A wrong, an expired and a used
// code are one error and look the same to the byte.
func (s *Handlers) renderVerifyError(w http.ResponseWriter, r *http.Request, p attempt, cause error) error {
	exhausted := errors.Is(cause, challenge.ErrTooManyGuesses)
	waitError, mustWait := errors.AsType[*ratelimit.LimitedError](cause)
	needsLongCode := errors.Is(cause, challenge.ErrLongCodeNeeded)
	if !exhausted && !mustWait && !needsLongCode && !errors.Is(cause, factor.ErrIncorrect) &&
		!errors.Is(cause, factor.ErrMalformed) {
		return cause
	}
	if needsLongCode { // the question is another one now
		reloaded, err := s.requireAttempt(r)
		if err != nil {
			return err
		}
		p.Attempt = reloaded.Attempt
	}
	if p.Challenge == nil {
		return cause // nothing was asked: the error page says it
	}
	v, err := s.newVerifyPage(r, p)
	if err != nil {
		return err
	}
	if exhausted {
		return s.render(w, r, attemptsExhaustedView(v))
	}
	view := verifyView(v)
	if mustWait {
		return s.renderBackoff(w, r, view, "code", waitError.RetryAt)
	}
	view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{s.codeProblem(r, *p.Challenge, cause)}
	return s.render(w, r, view)
}

// codeProblem is what stands beside the field of a code that is not right.
func (s *Handlers) codeProblem(r *http.Request, c challenge.Challenge, cause error) render.Problem {
	problem, ok := s.userErrorProblem(s.methodWords(s.Pages.Localizer(r), c.About, ""), cause)
	if !ok {
		_, problem.Key, _ = render.FieldErrorText(cause)
	}
	if errors.Is(cause, factor.ErrMalformed) && !codeInputFor(c).Digits {
		problem.Key = "problem.code.text"
	}
	problem.Field = "code"
	return problem
}

// attemptsExhaustedView leaves nothing to do but to start again.
func attemptsExhaustedView(v verifyPage) render.View {
	return render.View{
		Template: "verify", Title: "verify.over", Focus: "code",
		Status: http.StatusTooManyRequests, Problems: []render.Problem{{Key: "problem.tries"}},
		Data: verifyPage{AttemptsExhausted: true, RestartURL: v.RestartURL},
	}
}

func (s *Handlers) handleResendCode(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := render.ParseForm(w, r, "code", "trust") // the button stands in the form of the code
	if err != nil {
		return err
	}
	if err := s.saveTrustChoice(&p, form); err != nil {
		return err
	}
	err = p.Resend(r.Context())
	if waitError, ok := errors.AsType[*ratelimit.LimitedError](err); ok && p.Challenge != nil {
		return s.renderVerifyResendWait(w, r, p, waitError.RetryAt)
	}
	if err != nil {
		return err
	}
	return redirect(w, r, "/signin/verify")
}

func (s *Handlers) renderVerifyResendWait(w http.ResponseWriter, r *http.Request, p attempt, until time.Time) error {
	v, err := s.newVerifyPage(r, p)
	if err != nil {
		return err
	}
	v.deliveryStatus = v.withResendWait(s.Pages.SecondsUntil(until))
	return s.renderResendWait(w, r, verifyView(v), until)
}

// serveDeliveryStatus answers a script, which a redirect to a page would not help. Without a
// pending sign-in there is nothing to tell: it was asked while the code was being checked.
func (s *Handlers) serveDeliveryStatus(w http.ResponseWriter, r *http.Request) error {
	c, err := s.Challenges.LoadDelivery(r.Context(), s.Pages.Cookie(r, render.SignInCookie), s.Pages.Origin(r))
	if errors.Is(err, challenge.ErrNoAttempt) || err == nil && c == nil {
		return s.writeDeliveryStatus(w, r, challenge.Challenge{})
	}
	if err != nil {
		return err
	}
	return s.writeDeliveryStatus(w, r, *c)
}
