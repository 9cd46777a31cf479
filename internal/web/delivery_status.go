package web

import (
	"net/http"
	"strings"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/render"
)

// deliveryStatus is a message on its way, on the pages that wait for its code.
type deliveryStatus struct {
	State           string // of the delivery; "": nothing travels
	StateText       string // the state as a sentence
	ResendSeconds   int    // seconds until a new code may be asked for
	ResendExhausted bool   // no new code any more
	ResendTooEarly  bool   // a new code was asked for too early, and the page says so already
	KeepPolling     bool   // it may be heard of again after it was sent
	Hidden          bool   // what has become of the message is nobody's business
	// The addresses of the page, of its status, and of the button for a new code.
	PageURL, StatusURL, ResendURL string
}

func (s *Handlers) newDeliveryStatus(w i18n.Localizer, c challenge.Challenge) deliveryStatus {
	return deliveryStatus{
		State:           c.Delivery.State,
		StateText:       s.deliveryStateText(w, c),
		ResendSeconds:   s.Pages.SecondsUntil(c.ResendAt),
		ResendExhausted: c.ResendAt.IsZero(),
		KeepPolling:     !c.About.Implicit,
	}
}

// deliveryStateText is what has become of the message, as a sentence.
func (s *Handlers) deliveryStateText(w i18n.Localizer, c challenge.Challenge) string {
	key := "delivery." + c.Delivery.State
	if !c.About.Implicit && (c.Delivery.State == "sent" || c.Delivery.State == "refused") {
		key += ".other" // only the default of every account is known to be mail
	}
	if c.Delivery.State == "" {
		return ""
	}
	return w.Translate(key, "Clock", s.Pages.FormatClock(w, c.Delivery.At), "Site", s.Pages.Site)
}

// maxWaitInSeconds is for how long a wait is told in seconds; beyond, the time of its end is.
const maxWaitInSeconds = 3 * time.Minute

// resendWaitProblem is the problem of somebody who asked too early.
func (s *Handlers) resendWaitProblem(w i18n.Localizer, until time.Time) render.Problem {
	if seconds := max(1, s.Pages.SecondsUntil(until)); time.Duration(seconds)*time.Second <= maxWaitInSeconds {
		return render.Problem{Key: "problem.wait", Args: []any{"Seconds", seconds}}
	}
	return render.Problem{Key: "problem.wait.until", Args: []any{"Time", s.Pages.FormatTime(w, until)}}
}

// renderResendWait answers that it was too early for another message.
func (s *Handlers) renderResendWait(w http.ResponseWriter, r *http.Request, view render.View, until time.Time) error {
	render.SetRetryAfter(w, max(1, s.Pages.SecondsUntil(until)))
	view.Status = http.StatusTooManyRequests
	view.Problems = []render.Problem{s.resendWaitProblem(s.Pages.Localizer(r), until)}
	return s.render(w, r, view)
}

// renderBackoff answers that it was wrong too often for another try now.
func (s *Handlers) renderBackoff(
	w http.ResponseWriter,
	r *http.Request,
	view render.View,
	field string,
	until time.Time,
) error {
	render.SetRetryAfter(w, max(1, s.Pages.SecondsUntil(until)))
	view.Status = http.StatusTooManyRequests
	view.Problems = []render.Problem{s.backoffProblem(s.Pages.Localizer(r), field, until)}
	return s.render(w, r, view)
}

// backoffProblem is the problem of somebody who was wrong too often.
func (s *Handlers) backoffProblem(w i18n.Localizer, field string, until time.Time) render.Problem {
	p := s.resendWaitProblem(w, until)
	p.Field, p.Key = field, strings.Replace(p.Key, ".wait", ".slow", 1)
	return p
}

// deliveryStatusJSON is what the script of a code page asks every second.
type deliveryStatusJSON struct {
	State         string `json:"state"`
	Text          string `json:"text"`
	ResendSeconds int    `json:"again"` // seconds
}

func (s *Handlers) writeDeliveryStatus(w http.ResponseWriter, r *http.Request, c challenge.Challenge) error {
	return render.JSON(
		w,
		http.StatusOK,
		deliveryStatusJSON{
			c.Delivery.State, s.deliveryStateText(s.Pages.Localizer(r), c), s.Pages.SecondsUntil(c.ResendAt),
		},
	)
}

// withResendWait is the message of somebody who was told already to wait so many seconds.
func (m deliveryStatus) withResendWait(seconds int) deliveryStatus {
	m.ResendSeconds, m.ResendTooEarly = max(1, seconds), true
	return m
}
