package web

import (
	"errors"
	"net/http"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
)

type methodPage struct {
	ReturnTo   returnTo
	AccountTag string
	AppName    string // the app they come from; "": none
	Choices    []methodChoice
	Backup     []methodChoice // recovery methods
	StepUp     bool           // the attempt is a step-up
	DeskURL    string         // where a code from the help desk is entered; "": it is not accepted
	Frozen     time.Time      // until when the account is frozen; zero: it is not
}

// methodChoice is one method to choose.
type methodChoice struct {
	Method, Name, Label string
	LastUsed            bool // it was used for the last sign-in in this browser
}

// methodView offers the methods, the last used one in this browser first, without the unavailable one ("": none).
func (s *Handlers) methodView(r *http.Request, p attempt, unavailable string) render.View {
	last := s.Pages.Cookie(r, render.MethodCookie)
	m := methodPage{
		ReturnTo: p.target.returnTo, AccountTag: s.accountTag(p.Account().ID), AppName: p.target.ClientName,
		StepUp: p.StepUp, Frozen: p.Frozen,
	}
	if p.AcceptsDeskCode() {
		m.DeskURL = p.target.At(deskPath)
	}
	for _, o := range p.Offers {
		words := s.methodWords(s.Pages.Localizer(r), o.About, o.Masked)
		c := methodChoice{o.Method, words.Name, words.ChoiceLabel, o.Method == last && !o.Backup}
		switch {
		case o.Method == unavailable:
		case o.Backup:
			m.Backup = append(m.Backup, c)
		case c.LastUsed:
			m.Choices = append([]methodChoice{c}, m.Choices...)
		default:
			m.Choices = append(m.Choices, c)
		}
	}
	return render.View{Template: "method", Title: "method.title", Data: m}
}

// showMethods shows the choice if it is the next step, and also later if there is more than one method.
func (s *Handlers) showMethods(w http.ResponseWriter, r *http.Request, p attempt) error {
	switch step := s.nextStepPath(p); {
	case step == "":
		return challenge.ErrNoAttempt
	case step == "/signin/verify" && len(p.Offers) < 2:
		return redirect(w, r, p.target.At(step))
	}
	return s.render(w, r, s.methodView(r, p, ""))
}

func (s *Handlers) handleChooseMethod(w http.ResponseWriter, r *http.Request, p attempt) error {
	form, err := s.parseAttemptForm(w, r, p, "method")
	if err != nil {
		return err
	}
	err = p.Choose(r.Context(), form["method"])
	switch {
	case needsRestart(err):
		return s.restart(w, r, p)
	case errors.Is(err, challenge.ErrTooManyGuesses):
		return s.renderVerifyError(w, r, p, err)
	}
	if waitError, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		return s.renderMethodUnavailable(w, r, p, form["method"], waitError.RetryAt)
	}
	if err != nil {
		return s.renderFormError(w, r, s.methodView(r, p, ""), "", err)
	}
	return redirect(w, r, p.target.At("/signin/verify"))
}

// renderMethodUnavailable says until when a method is unavailable, and offers the others.
func (s *Handlers) renderMethodUnavailable(
	w http.ResponseWriter,
	r *http.Request,
	p attempt,
	method string,
	until time.Time,
) error {
	localizer := s.Pages.Localizer(r)
	view := s.methodView(r, p, method)
	name := method
	for _, o := range p.Offers {
		if o.Method == method {
			name = s.methodWords(localizer, o.About, o.Masked).Name
		}
	}
	render.SetRetryAfter(w, max(1, s.Pages.SecondsUntil(until)))
	view.Status = http.StatusTooManyRequests
	view.Problems = []render.Problem{
		{Key: "method.closed", Args: []any{"Name", name, "Time", s.Pages.FormatTime(localizer, until)}},
	}
	return s.render(w, r, view)
}
