package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/trust"
)

type verifyPage struct {
	sending
	Lead    string
	Minutes int // how long a code works; 0: it has no life of its own
	answer
	Hard    bool   // somebody has guessed, so the answer is longer
	Other   bool   // there is another way
	StepUp  bool   // for somebody who is in already
	Ended   bool   // too many wrong codes
	Restart string // where somebody who is in begins again
	Why     string // the second step is asked for; ""
	Trust   trustBox
}

// trustBox is the checkbox "Trust this device for 30 days".
type trustBox struct {
	Days   int // 0: there is none
	Ticked bool
	Closed string // why it cannot be ticked, a word key; ""
}

var errNoChallenge = errors.New("web: step verify without a challenge")

func (s *Site) verifySheet(r *http.Request, p pending) (page.Sheet, error) {
	c := p.Challenge
	if c == nil {
		return page.Sheet{}, errNoChallenge
	}
	w := s.Pages.Words(r)
	v := verifyPage{
		sending: s.sending(w, *c),
		Lead:    s.lead(w, *c),
		answer:  answerTo(*c),
		Hard:    c.LongCode,
		Minutes: int(c.CodeTTL / time.Minute),
		Other:   len(p.Offers) > 1,
		StepUp:  p.StepUp,
		Trust:   s.trustBox(r, p.Trust),
	}
	v.Here, v.Status, v.Resend = "/signin/verify", "/signin/status", "/signin/code"
	if p.Why.Reason != trust.Off { // it is what everybody expects
		v.Why = s.why(w, p.Why)
	}
	if p.StepUp {
		v.Restart = page.ConfirmFor(p.goal.home(), http.MethodGet)
	}
	return page.Sheet{Name: "verify", Title: "verify.title", Focus: "code", Page: v}, nil
}

// why is why the second step is asked for, in one line. Where the person has been before is
// not for somebody who has only given the password.
func (s *Site) why(w i18n.Words, why challenge.StepReason) string {
	if why.Reason == "" {
		return ""
	}
	return w.Say("why."+string(why.Reason), "Date", s.Pages.Date(w, why.VerifiedAt), "Count", s.Devices.Days())
}

// trustBox is the checkbox as this browser may use it: one that does not bring back the
// cookie that the page before gave it would not keep the record either.
func (s *Site) trustBox(r *http.Request, offer challenge.TrustOffer) trustBox {
	box := trustBox{Days: offer.Days, Ticked: offer.Requested}
	if _, kept := s.Pages.Probed(r); !kept {
		box.Closed = "trust.blocked"
	}
	if offer.NetworkUnknown {
		box.Closed = "trust.lost"
	}
	return box
}

func (s *Site) showVerify(w http.ResponseWriter, r *http.Request, p pending) error {
	switch step := s.step(p); step {
	case "":
		return challenge.ErrNoAttempt
	case "/signin/method":
		return redirect(w, r, step)
	}
	sheet, err := s.verifySheet(r, p)
	if err != nil {
		return err
	}
	if p.Challenge.GuessesLeft == 0 {
		sheet = endedSheet(sheet)
	}
	return s.print(w, r, sheet)
}

// methodKept is for how long a browser remembers by which method it signed in.
const methodKept = 400 * 24 * time.Hour

func (s *Site) verify(w http.ResponseWriter, r *http.Request, p pending) error {
	form, err := page.Form(w, r, "code", "trust")
	if err != nil {
		return err
	}
	if err := s.tick(&p, form); err != nil {
		return err
	}
	entry, err := p.Verify(r.Context(), url.Values{"code": {form["code"]}})
	if err != nil {
		return s.verifyAgain(w, r, p, err)
	}
	if c := p.Challenge; c != nil && !c.Spare {
		s.Pages.KeepCookie(w, page.MethodCookie, c.Method, methodKept)
	}
	return s.letIn(w, r, entry, p.goal)
}

// tick keeps whether the box was ticked when a button of its form was pressed.
func (s *Site) tick(p *pending, form page.Values) error {
	ticked := form["trust"] != ""
	if ticked && form["trust"] != "1" && form["trust"] != "on" {
		return page.ErrForm
	}
	if p.Trust.Days == 0 || p.Trust.Requested == ticked {
		return nil
	}
	p.SetTrust(ticked)
	return nil
}

// tickTrust keeps the box as the script tells it, so that it is there after a reload.
func (s *Site) tickTrust(w http.ResponseWriter, r *http.Request, p pending) error {
	form, err := page.Form(w, r, "trust")
	if err == nil {
		err = s.tick(&p, form)
	}
	if err == nil {
		err = p.Save(r.Context())
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// otherMethod leads to the choice of methods and takes the box along.
func (s *Site) otherMethod(w http.ResponseWriter, r *http.Request, p pending) error {
	form, err := page.Form(w, r, "code", "trust")
	if err != nil {
		return err
	}
	if err := s.tick(&p, form); err != nil {
		return err
	}
	if err := p.Save(r.Context()); err != nil {
		return err
	}
	return redirect(w, r, "/signin/method")
}

// verifyAgain prints the code page with what was wrong. A wrong, an expired and a used
// code are one error and look the same to the byte.
func (s *Site) verifyAgain(w http.ResponseWriter, r *http.Request, p pending, wrong error) error {
	ended := errors.Is(wrong, challenge.ErrTooManyGuesses)
	early, wait := errors.AsType[*ratelimit.LimitedError](wrong)
	longer := errors.Is(wrong, challenge.ErrLongCodeNeeded)
	if !ended && !wait && !longer && !errors.Is(wrong, factor.ErrIncorrect) && !errors.Is(wrong, factor.ErrMalformed) {
		return wrong
	}
	if longer { // the question is another one now
		again, err := s.onTheWay(r)
		if err != nil {
			return err
		}
		p.Attempt = again.Attempt
	}
	if p.Challenge == nil {
		return wrong // nothing was asked: the error page says it
	}
	sheet, err := s.verifySheet(r, p)
	if err != nil {
		return err
	}
	if ended {
		return s.print(w, r, endedSheet(sheet))
	}
	if wait {
		return s.slow(w, r, sheet, "code", early.RetryAt)
	}
	sheet.Status, sheet.Problems = http.StatusUnprocessableEntity, []page.Problem{s.codeProblem(r, *p.Challenge, wrong)}
	return s.print(w, r, sheet)
}

// codeProblem is what stands beside the field of a code that is not right.
func (s *Site) codeProblem(r *http.Request, c challenge.Challenge, wrong error) page.Problem {
	problem, ok := s.refusal(s.spoken(s.Pages.Words(r), c.About, ""), wrong)
	if !ok {
		_, problem.Key, _ = page.Explain(wrong)
	}
	if errors.Is(wrong, factor.ErrMalformed) && !answerTo(c).Digits {
		problem.Key = "problem.code.text"
	}
	problem.Field = "code"
	return problem
}

// endedSheet leaves nothing to do but to start again.
func endedSheet(sheet page.Sheet) page.Sheet {
	sheet.Status = http.StatusTooManyRequests
	sheet.Title, sheet.Problems = "verify.over", []page.Problem{{Key: "problem.tries"}}
	sheet.Page = verifyPage{Ended: true, Restart: sheet.Page.(verifyPage).Restart}
	return sheet
}

func (s *Site) sendCode(w http.ResponseWriter, r *http.Request, p pending) error {
	form, err := page.Form(w, r, "code", "trust") // the button stands in the form of the code
	if err != nil {
		return err
	}
	if err := s.tick(&p, form); err != nil {
		return err
	}
	err = p.Resend(r.Context())
	if early, ok := errors.AsType[*ratelimit.LimitedError](err); ok && p.Challenge != nil {
		return s.tooEarly(w, r, p, early.RetryAt)
	}
	if err != nil {
		return err
	}
	return redirect(w, r, "/signin/verify")
}

func (s *Site) tooEarly(w http.ResponseWriter, r *http.Request, p pending, until time.Time) error {
	sheet, err := s.verifySheet(r, p)
	if err != nil {
		return err
	}
	v := sheet.Page.(verifyPage)
	v.sending = v.waited(s.Pages.Left(until))
	sheet.Page = v
	return s.early(w, r, sheet, until)
}

// deliveryStatus answers a script, which a redirect to a page would not help. Without a
// pending sign-in there is nothing to tell: it was asked while the code was being checked.
func (s *Site) deliveryStatus(w http.ResponseWriter, r *http.Request) error {
	c, err := s.Challenges.LoadDelivery(r.Context(), s.Pages.Cookie(r, page.SignInCookie), s.Pages.From(r))
	if errors.Is(err, challenge.ErrNoAttempt) || err == nil && c == nil {
		return s.writeStatus(w, r, challenge.Challenge{})
	}
	if err != nil {
		return err
	}
	return s.writeStatus(w, r, *c)
}
