package web

import (
	"errors"
	"net/http"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/ratelimit"
)

type methodPage struct {
	Choices []choice
	Spare   []choice // for when nothing else is at hand
	StepUp  bool     // for somebody who is in already
}

// choice is one way to prove it is you.
type choice struct {
	Method, Name, Does string
	Last               bool // this browser signed in by it last
}

// methodSheet offers the ways, that of the last time in this browser first, without the
// one that is closed for now ("": none is).
func (s *Site) methodSheet(r *http.Request, p pending, closed string) page.Sheet {
	last := s.Pages.Cookie(r, page.MethodCookie)
	m := methodPage{StepUp: p.StepUp}
	for _, o := range p.Offers {
		said := s.spoken(s.Pages.Words(r), o.About, o.Masked)
		c := choice{o.Method, said.Name, said.Does, o.Method == last && !o.Spare}
		switch {
		case o.Method == closed:
		case o.Spare:
			m.Spare = append(m.Spare, c)
		case c.Last:
			m.Choices = append([]choice{c}, m.Choices...)
		default:
			m.Choices = append(m.Choices, c)
		}
	}
	return page.Sheet{Name: "method", Title: "method.title", Page: m}
}

// showMethods shows the choice when it is next, and also later to somebody who wants
// another way and has one.
func (s *Site) showMethods(w http.ResponseWriter, r *http.Request, p pending) error {
	switch step := s.step(p); {
	case step == "":
		return challenge.ErrNoAttempt
	case step == "/signin/verify" && len(p.Offers) < 2:
		return redirect(w, r, step)
	}
	return s.print(w, r, s.methodSheet(r, p, ""))
}

func (s *Site) chooseMethod(w http.ResponseWriter, r *http.Request, p pending) error {
	form, err := page.Form(w, r, "method")
	if err != nil {
		return err
	}
	err = p.Choose(r.Context(), form["method"])
	if early, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		return s.methodClosed(w, r, p, form["method"], early.RetryAt)
	}
	if err != nil {
		return s.reprint(w, r, s.methodSheet(r, p, ""), "", err)
	}
	return redirect(w, r, "/signin/verify")
}

// methodClosed says when a way opens again, and offers the others.
func (s *Site) methodClosed(w http.ResponseWriter, r *http.Request, p pending, method string, until time.Time) error {
	words := s.Pages.Words(r)
	sheet := s.methodSheet(r, p, method)
	name := method
	for _, o := range p.Offers {
		if o.Method == method {
			name = s.spoken(words, o.About, o.Masked).Name
		}
	}
	page.RetryAfter(w, max(1, s.Pages.Left(until)))
	sheet.Status = http.StatusTooManyRequests
	sheet.Problems = []page.Problem{{Key: "method.closed", Pairs: []any{"Name", name, "Time", s.Pages.Time(words, until)}}}
	return s.print(w, r, sheet)
}
