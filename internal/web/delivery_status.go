package web

import (
	"net/http"
	"strings"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/render"
)

// deliveryStatus is the state of a sent message, on pages that ask for its code.
type deliveryStatus struct {
	State           string // of the delivery; "": nothing was sent
	StateText       string // the state as a sentence
	ResendSeconds   int    // seconds until a new code can be sent
	ResendExhausted bool   // no new code can be sent in this attempt: the button starts a new one
	ResendTooEarly  bool   // a new code was requested too early, and the page already says so
	KeepPolling     bool   // the state can change after "sent"
	Hidden          bool   // the state is not shown
	RestartHint     string // text key, with ResendExhausted: what the person has to do again
	// The URLs of the page, of its status, and of the button for a new code.
	PageURL, StatusURL, ResendURL string
}

func (s *Handlers) newDeliveryStatus(w i18n.Localizer, c challenge.Challenge) deliveryStatus {
	return deliveryStatus{
		State:           c.Delivery.State,
		StateText:       s.deliveryStateText(w, c),
		ResendSeconds:   s.Pages.SecondsUntil(c.ResendAt),
		ResendExhausted: c.ResendAt.IsZero(),
		KeepPolling:     !c.About.Implicit,
		RestartHint:     "verify.again.over",
	}
}

// slowDelivery is after how long a message that was not sent yet is called late.
const slowDelivery = 10 * time.Second

// deliveryStateText returns the delivery state as a sentence, "" if nothing was sent.
func (s *Handlers) deliveryStateText(w i18n.Localizer, c challenge.Challenge) string {
	key := "delivery." + c.Delivery.State
	if !c.About.Implicit && (c.Delivery.State == "sent" || c.Delivery.State == "refused") {
		key += ".other" // only the implicit method is known to send email
	}
	switch {
	case c.Delivery.State == "":
		return ""
	case c.Delivery.State != "waiting" || s.Pages.CurrentTime().Sub(c.Delivery.RequestedAt) < slowDelivery:
	case c.HasAlternative:
		key = "delivery.slow.other"
	default:
		key = "delivery.slow"
	}
	return w.Translate(key, "Clock", s.Pages.FormatClock(w, c.Delivery.At), "Site", s.Pages.Site)
}

// maxShownWait is the longest wait that is shown in seconds; a longer one is shown as the time it ends.
const maxShownWait = 3 * time.Minute

// resendWaitProblem returns the problem of a new code that was requested too early.
func (s *Handlers) resendWaitProblem(w i18n.Localizer, until time.Time) render.Problem {
	if seconds := max(1, s.Pages.SecondsUntil(until)); time.Duration(seconds)*time.Second <= maxShownWait {
		return render.Problem{Key: "problem.wait", Args: []any{"Count", seconds}}
	}
	return render.Problem{Key: "problem.wait.until", Args: []any{"Time", s.Pages.FormatTime(w, until)}}
}

// renderResendWait renders a view with status 429 because a new message was requested too early.
func (s *Handlers) renderResendWait(w http.ResponseWriter, r *http.Request, view render.View, until time.Time) error {
	render.SetRetryAfter(w, max(1, s.Pages.SecondsUntil(until)))
	view.Status = http.StatusTooManyRequests
	view.Problems = []render.Problem{s.resendWaitProblem(s.Pages.Localizer(r), until)}
	return s.render(w, r, view)
}

// renderBackoff renders a view with status 429 because of too many wrong answers.
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

// backoffProblem returns the problem of too many wrong answers.
func (s *Handlers) backoffProblem(w i18n.Localizer, field string, until time.Time) render.Problem {
	p := s.resendWaitProblem(w, until)
	p.Field, p.Key = field, strings.Replace(p.Key, ".wait", ".slow", 1)
	return p
}

// deliveryStatusJSON is what the script of a code page polls.
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

// withResendWait returns the status of a page that already says how many seconds to wait.
func (m deliveryStatus) withResendWait(seconds int) deliveryStatus {
	m.ResendSeconds, m.ResendTooEarly = max(1, seconds), true
	return m
}
