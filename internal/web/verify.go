package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/trust"
)

type verifyPage struct {
	deliveryStatus
	ReturnTo   returnTo
	AccountTag string
	TrustURL   string // saves the checkbox
	AppName    string // the app they come from; "": none
	Lead       string
	Minutes    int // how long a code is valid; 0: no limit of its own
	codeInput
	LongCode          bool   // the guess budget is used up, so the answer is longer
	HasOtherMethods   bool   // another method can be chosen
	StepUp            bool   // the attempt is a step-up
	DeskURL           string // where a code from the help desk is entered; "": it is not accepted
	AttemptsExhausted bool   // too many wrong codes
	RestartURL        string // where a step-up starts again
	Reason            string // why the second step is asked for; "": not said
	Trust             trustCheckbox
}

// trustCheckbox is the checkbox "Trust this device for 30 days".
type trustCheckbox struct {
	Days           int // 0: no checkbox
	Checked        bool
	DisabledReason string // text key of why it is disabled; "": it is not
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
		ReturnTo:        p.target.returnTo,
		AccountTag:      s.accountTag(p.Account().ID),
		AppName:         p.target.ClientName,
		Lead:            s.promptText(w, *c),
		codeInput:       codeInputFor(*c),
		LongCode:        c.LongCode,
		Minutes:         int(c.CodeTTL / time.Minute),
		HasOtherMethods: len(p.Offers) > 1,
		StepUp:          p.StepUp,
		Trust:           s.newTrustCheckbox(r, p.Trust),
	}
	v.PageURL, v.ResendURL = p.target.At("/signin/verify"), p.target.At("/signin/code")
	tagged := "?" + url.Values{accountTag: {v.AccountTag}}.Encode()
	v.StatusURL, v.TrustURL = statusPath+tagged, "/signin/trust"+tagged
	if p.Why.Reason != trust.TrustDisabled { // nothing to explain
		v.Reason = s.reasonText(w, p.Why)
	}
	if p.AcceptsDeskCode() {
		v.DeskURL = p.target.At(deskPath)
	}
	if p.StepUp {
		v.RestartURL = render.StepUpURL(p.target.urlOrSettings(), http.MethodGet)
	}
	return v, nil
}

func verifyView(v verifyPage) render.View {
	return render.View{Template: "verify", Title: "verify.title", Focus: "code", Data: v}
}

// reasonText says why the second step is asked for, in one line. It names no earlier network: the person has only
// entered a password.
func (s *Handlers) reasonText(w i18n.Localizer, why challenge.StepReason) string {
	if why.Reason == "" {
		return ""
	}
	return w.Translate(
		"why."+string(why.Reason), "Date", s.Pages.FormatDate(w, why.VerifiedAt), "Count", s.Devices.TrustDays(),
	)
}

// newTrustCheckbox returns the checkbox. It is disabled if the browser did not send back the probe cookie of the page
// before, because it would not store the device token either, and if the network is unknown.
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
		return redirect(w, r, p.target.At(step))
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

// methodCookieMaxAge is how long a browser remembers the method of its last sign-in.
const methodCookieMaxAge = 400 * 24 * time.Hour

func (s *Handlers) handleVerify(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := s.parseAttemptForm(w, r, p, "code", "trust")
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
	if c := p.Challenge; !c.Backup {
		s.Pages.SetPersistentCookie(w, render.MethodCookie, c.Method, methodCookieMaxAge)
	}
	return s.completeSignIn(w, r, result, p.target)
}

// saveTrustChoice sets the choice of the checkbox in the attempt. It does not save the attempt.
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

// handleTrustChoice saves the checkbox when the script sends it, so that a reload keeps it.
func (s *Handlers) handleTrustChoice(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := s.parseAttemptForm(w, r, p, "trust")
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

// handleOtherMethod saves the checkbox and redirects to the choice of methods.
func (s *Handlers) handleOtherMethod(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := s.parseAttemptForm(w, r, p, "code", "trust")
	if err != nil {
		return err
	}
	if err := s.saveTrustChoice(&p, form); err != nil {
		return err
	}
	if err := p.Save(r.Context()); err != nil {
		return err
	}
	return redirect(w, r, p.target.At("/signin/method"))
}

// renderVerifyError renders the code page with the problem. A wrong, an expired and a used code give the same page.
func (s *Handlers) renderVerifyError(w http.ResponseWriter, r *http.Request, p attempt, cause error) error {
	if fault.Temporary(cause) {
		return s.renderVerifyFault(w, r, p, cause)
	}
	exhausted := errors.Is(cause, challenge.ErrTooManyGuesses)
	waitError, mustWait := errors.AsType[*ratelimit.LimitedError](cause)
	needsLongCode := errors.Is(cause, challenge.ErrLongCodeNeeded)
	if !exhausted && !mustWait && !needsLongCode && !errors.Is(cause, factor.ErrIncorrect) &&
		!errors.Is(cause, factor.ErrMalformed) {
		return cause
	}
	if needsLongCode { // the challenge has changed
		reloaded, err := s.requireAttempt(r)
		if err != nil {
			return err
		}
		p.Attempt = reloaded.Attempt
	}
	if p.Challenge == nil {
		return cause // no challenge: the error page says it
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

// renderVerifyFault renders the code page with an error that passes. It says nothing about the code.
func (s *Handlers) renderVerifyFault(w http.ResponseWriter, r *http.Request, p attempt, cause error) error {
	v, err := s.newVerifyPage(r, p)
	if err != nil {
		return cause
	}
	return s.renderFormError(w, r, verifyView(v), "", cause)
}

// codeProblem returns the problem of the code field. A new code is advised only where one can be sent.
func (s *Handlers) codeProblem(r *http.Request, c challenge.Challenge, cause error) render.Problem {
	problem, ok := s.userErrorProblem(s.methodWords(s.Pages.Localizer(r), c.About, ""), cause)
	if !ok {
		_, problem.Key, _ = render.FieldErrorText(cause)
	}
	switch {
	case ok:
	case errors.Is(cause, factor.ErrMalformed) && !codeInputFor(c).Digits:
		problem.Key = "problem.code.text"
	case errors.Is(cause, factor.ErrIncorrect) && c.About.CodeTTL == 0 && hasNumericCode(c.About):
		problem.Key = "problem.code.app"
	case errors.Is(cause, factor.ErrIncorrect) && c.About.CodeTTL == 0:
		problem.Key = "problem.code.kept"
	}
	problem.Field = "code"
	return problem
}

// attemptsExhaustedView offers only to start again.
func attemptsExhaustedView(v verifyPage) render.View {
	return render.View{
		Template: "verify", Title: "verify.over", Focus: "code",
		Status: http.StatusTooManyRequests, Problems: []render.Problem{{Key: "problem.tries"}},
		Data: verifyPage{ReturnTo: v.ReturnTo, AccountTag: v.AccountTag, AttemptsExhausted: true, RestartURL: v.RestartURL},
	}
}

// needsRestart reports whether a person who asks for a code can get one only in a new attempt.
func needsRestart(err error) bool {
	return errors.Is(err, challenge.ErrNoMoreCodes) || errors.Is(err, challenge.ErrNoAttempt)
}

// handleResendCode sends a new code. If the attempt can send none any more, the person starts again.
func (s *Handlers) handleResendCode(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := s.parseAttemptForm(w, r, p, "code", "trust") // the button is part of the form of the code
	if err != nil {
		return err
	}
	if err := s.saveTrustChoice(&p, form); err != nil {
		return err
	}
	err = p.Resend(r.Context())
	switch {
	case needsRestart(err):
		return s.restart(w, r, p)
	case errors.Is(err, challenge.ErrTooManyGuesses):
		return s.renderVerifyError(w, r, p, err)
	}
	if waitError, ok := errors.AsType[*ratelimit.LimitedError](err); ok && p.Challenge != nil {
		return s.renderVerifyResendWait(w, r, p, waitError.RetryAt)
	}
	if err != nil {
		return err
	}
	return redirect(w, r, p.target.At("/signin/verify"))
}

func (s *Handlers) renderVerifyResendWait(w http.ResponseWriter, r *http.Request, p attempt, until time.Time) error {
	v, err := s.newVerifyPage(r, p)
	if err != nil {
		return err
	}
	v.deliveryStatus = v.withResendWait(s.Pages.SecondsUntil(until))
	return s.renderResendWait(w, r, verifyView(v), until)
}

// statusPath is where the script of the code page asks for the state of the delivery.
const statusPath = "/signin/status"

// serveDeliveryStatus answers the script, which cannot follow a redirect to a page. Without an attempt it answers with
// an empty state: the code may have been accepted meanwhile.
func (s *Handlers) serveDeliveryStatus(w http.ResponseWriter, r *http.Request) error {
	c, err := s.Challenges.LoadDelivery(r.Context(), s.Pages.Cookie(r, render.SignInCookie), s.Pages.Origin(r))
	if errors.Is(err, challenge.ErrNoAttempt) ||
		err == nil && (c == nil || s.checkAccountTag(r.URL.Query().Get(accountTag), c.AccountID) != nil) {
		return s.writeDeliveryStatus(w, r, challenge.Challenge{})
	}
	if err != nil {
		return err
	}
	return s.writeDeliveryStatus(w, r, *c)
}
