package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"time"
)

// work measures how much processor a refused password and a code take. The handler is
// called without a network, so that the work of a client is not counted as ours.
func (s *site) work(_ context.Context, h hashes) ([]item, error) {
	const passwords = 50
	wrong, err := spent(passwords, func(int) error {
		s.tomorrow() // nobody waits here
		return s.direct(http.StatusUnprocessableEntity, "/signin", nil, "email", person, "password", "wrong horse battery")
	})
	if err != nil {
		return nil, err
	}
	var refused, taken time.Duration
	for range visits {
		one, right, err := s.answers()
		if err != nil {
			return nil, err
		}
		refused, taken = refused+one/visits, taken+right/visits
	}
	return []item{
		{"processor for a wrong password", millis(wrong), "ms", millis(h.one), measured},
		{"processor for a wrong code", millis(refused), "ms", millis(h.one), measured},
		{"processor for the right code", millis(taken), "ms", millis(h.one), measured},
	}, nil
}

// answers is how much processor a wrong code and the right one take in a sign-in.
func (s *site) answers() (refused, taken time.Duration, err error) {
	s.tomorrow()
	b, err := s.browser()
	if err != nil {
		return 0, 0, err
	}
	if err := s.post(b, http.StatusSeeOther, "/signin", "email", person, "password", secret); err != nil {
		return 0, 0, err
	}
	m, err := s.next()
	if err == nil {
		err = s.settle(b)
	}
	if err != nil {
		return 0, 0, err
	}
	const guesses = 2 // whoever tries a third time must wait
	refused, err = spent(guesses, func(int) error {
		return s.direct(http.StatusUnprocessableEntity, "/signin/verify", s.cookies(b), "code", other(code(m)))
	})
	if err != nil {
		return 0, 0, err
	}
	s.ahead.Add(int64(3 * time.Second))
	taken, err = spent(1, func(int) error {
		return s.direct(http.StatusSeeOther, "/signin/verify", s.cookies(b), "code", code(m))
	})
	return refused, taken, err
}

// other is another code than this one.
func other(code string) string {
	if strings.HasPrefix(code, "0") {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

// direct sends a form with serve.
func (s *site) direct(status int, path string, cookies []*http.Cookie, pairs ...string) error {
	r, err := request(s.url+path, pairs...)
	if err != nil {
		return err
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	_, err = s.serve(r, status)
	return err
}

// serve calls the handler without a network and insists on the status.
func (s *site) serve(r *http.Request, status int) (*httptest.ResponseRecorder, error) {
	r.RemoteAddr, r.RequestURI = "127.0.0.1:1", r.URL.RequestURI()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != status {
		return nil, fmt.Errorf("%s %s: %d, want %d: %s", r.Method, r.URL.Path, w.Code, status, w.Body)
	}
	return w, nil
}

// spent is the processor time of this process for each of n calls.
func spent(n int, call func(int) error) (time.Duration, error) {
	before, err := processor()
	if err != nil {
		return 0, err
	}
	for i := range n {
		if err := call(i); err != nil {
			return 0, err
		}
	}
	after, err := processor()
	return each(after-before, n), err
}

func processor() (time.Duration, error) {
	var used syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), err
}
