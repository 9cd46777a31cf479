package web

import (
	"net/http"
	"strings"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/page"
)

// sending is a message on its way, on the pages that wait for its code.
type sending struct {
	State  string // of the delivery; "": nothing travels
	Told   string // the state as a sentence
	Again  int    // seconds until a new code may be asked for
	NoMore bool   // no new code any more
	Waited bool   // a new code was asked for too early, and the page says so already
	More   bool   // it may be heard of again after it was sent
	Silent bool   // what has become of the message is nobody's business
	// The addresses of the page, of its status, and of the button for a new code.
	Here, Status, Resend string
}

func (s *Site) sending(w i18n.Words, c challenge.Challenge) sending {
	return sending{State: c.Delivery.State, Told: s.told(w, c), Again: s.Pages.Left(c.ResendAt), NoMore: c.ResendAt.IsZero(), More: !c.About.Given}
}

// told is what has become of the message, as a sentence.
func (s *Site) told(w i18n.Words, c challenge.Challenge) string {
	key := "delivery." + c.Delivery.State
	if !c.About.Given && (c.Delivery.State == "sent" || c.Delivery.State == "refused") {
		key += ".other" // only the default of every account is known to be mail
	}
	if c.Delivery.State == "" {
		return ""
	}
	return w.Say(key, "Clock", s.Pages.Clock(w, c.Delivery.At), "Site", s.Pages.Site)
}

// soon is for how long a wait is told in seconds; beyond, the time of its end is.
const soon = 3 * time.Minute

// wait is the problem of somebody who asked too early.
func (s *Site) wait(w i18n.Words, until time.Time) page.Problem {
	if seconds := max(1, s.Pages.Left(until)); time.Duration(seconds)*time.Second <= soon {
		return page.Problem{Key: "problem.wait", Pairs: []any{"Seconds", seconds}}
	}
	return page.Problem{Key: "problem.wait.until", Pairs: []any{"Time", s.Pages.Time(w, until)}}
}

// early answers that it was too early for another message.
func (s *Site) early(w http.ResponseWriter, r *http.Request, sheet page.Sheet, until time.Time) error {
	page.RetryAfter(w, max(1, s.Pages.Left(until)))
	sheet.Status = http.StatusTooManyRequests
	sheet.Problems = []page.Problem{s.wait(s.Pages.Words(r), until)}
	return s.print(w, r, sheet)
}

// slow answers that it was wrong too often for another try now.
func (s *Site) slow(w http.ResponseWriter, r *http.Request, sheet page.Sheet, field string, until time.Time) error {
	page.RetryAfter(w, max(1, s.Pages.Left(until)))
	sheet.Status = http.StatusTooManyRequests
	sheet.Problems = []page.Problem{s.slowness(s.Pages.Words(r), field, until)}
	return s.print(w, r, sheet)
}

// slowness is the problem of somebody who was wrong too often.
func (s *Site) slowness(w i18n.Words, field string, until time.Time) page.Problem {
	p := s.wait(w, until)
	p.Field, p.Key = field, strings.Replace(p.Key, ".wait", ".slow", 1)
	return p
}

// status is what the script of a code page asks every second.
type status struct {
	State string `json:"state"`
	Text  string `json:"text"`
	Again int    `json:"again"` // seconds
}

func (s *Site) writeStatus(w http.ResponseWriter, r *http.Request, c challenge.Challenge) error {
	return page.JSON(w, http.StatusOK, status{c.Delivery.State, s.told(s.Pages.Words(r), c), s.Pages.Left(c.ResendAt)})
}

// waited is the message of somebody who was told already to wait so many seconds.
func (m sending) waited(seconds int) sending {
	m.Again, m.Waited = max(1, seconds), true
	return m
}
