package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"twostep.example/twostep/delivery"
)

const (
	visits  = 30 // sign-ins
	resends = 4  // new codes in each; challenge.MaxMessages is 5
)

// clicks measures from the click to "accepted by the mail server". The machine's own
// ceiling is the conversation with the mail server alone.
func (s *site) clicks(ctx context.Context, h hashes) ([]item, error) {
	alone, err := s.conversations(ctx, visits*resends)
	if err != nil {
		return nil, err
	}
	var entered, resent []time.Duration
	for range visits {
		s.tomorrow()
		b, err := s.browser()
		if err != nil {
			return nil, err
		}
		took, err := s.click(b, "/signin", "email", person, "password", secret)
		if err != nil {
			return nil, err
		}
		entered = append(entered, took)
		for range resends {
			if err := s.settle(b); err != nil {
				return nil, err
			}
			s.ahead.Add(int64(121 * time.Second)) // the longest that anybody waits for the next code
			took, err := s.click(b, "/signin/code")
			if err != nil {
				return nil, err
			}
			resent = append(resent, took)
		}
		if err := s.settle(b); err != nil {
			return nil, err
		}
	}
	return []item{
		{"a mail to the mail server, STARTTLS, nothing else: median", median(alone), "ms", quantile(alone, 0), measured},
		{"click on Send a new code to accepted: median", median(resent), "ms", 20, atMost},
		{"click on Send a new code to accepted: p99", quantile(resent, 0.99), "ms", quantile(alone, 0.99), measured},
		{"click on Sign in, password hash included, to accepted: median", median(entered), "ms", median(alone) + millis(h.one), measured},
		{"click on Sign in, password hash included, to accepted: p99", quantile(entered, 0.99), "ms", quantile(alone, 0.99) + millis(h.one), measured},
	}, nil
}

// tomorrow turns the clock to where nothing counts that was sent or guessed before.
func (s *site) tomorrow() { s.ahead.Add(int64(25 * time.Hour)) }

// click posts a form and waits for the mail it causes.
func (s *site) click(b *http.Client, path string, pairs ...string) (time.Duration, error) {
	began := time.Now()
	if err := s.post(b, http.StatusSeeOther, path, pairs...); err != nil {
		return 0, err
	}
	m, err := s.next()
	return m.at.Sub(began), err
}

// settle waits until the outbox has written down that the mail was accepted. A clock that
// is turned before would make the message look abandoned, and it would be sent again.
func (s *site) settle(b *http.Client) error {
	late := time.After(20 * time.Second)
	for look := time.NewTicker(time.Millisecond); ; {
		resp, err := b.Get(s.url + "/signin/status")
		if err != nil {
			return err
		}
		var now struct{ State string }
		err = json.NewDecoder(resp.Body).Decode(&now)
		resp.Body.Close()
		if err != nil || now.State == "sent" {
			look.Stop()
			return err
		}
		select {
		case <-look.C:
		case <-late:
			return errors.New("a message waits for ever")
		}
	}
}

func (s *site) conversations(ctx context.Context, n int) ([]time.Duration, error) {
	var times []time.Duration
	for range n {
		began := time.Now()
		m := delivery.Message{ID: "bench", Channel: delivery.Email, To: person, Subject: "123456", Text: "123456\n"}
		if err := s.smtp.Send(ctx, m); err != nil {
			return nil, err
		}
		taken, err := s.next()
		if err != nil {
			return nil, err
		}
		times = append(times, taken.at.Sub(began))
	}
	return times, nil
}
