package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
)

type overviewPage struct {
	frame
	Days          int // 1 or 30
	Total, Failed int64
	Charts        []chart
	Waiting       int
	Oldest        time.Time // of the waiting messages
	Refused       int       // messages that were not sent or not delivered today, up to maxEntries
	More          bool      // there are more
	Health        Health
	Delivery      []latencyRow
	Paid          bool   // text messages have a price
	Today, Month  string // what they have cost
}

// outcomes are the series of the chart of outcomes, in the order in which they are stacked.
var outcomes = []string{"signed_in", "password", "code", "limit"}

// outcomeOf returns the series of an event; "" for none.
func outcomeOf(c audit.Count) string {
	switch c.Kind {
	case audit.SessionCreated:
		return "signed_in"
	case audit.PasswordRejected:
		return "password"
	case audit.CodeRejected:
		return "code"
	case audit.LimitReached, audit.EventsOmitted:
		return "limit"
	}
	return ""
}

// trustedMethod is the series of sign-ins without a second step.
const trustedMethod = "trusted"

// methodOf returns the method of a sign-in; "" if the event is none.
func methodOf(c audit.Count) string {
	switch {
	case c.Kind != audit.SessionCreated:
		return ""
	case c.Reason == audit.TrustedDevice:
		return trustedMethod
	}
	return cmp.Or(c.Reason, "other")
}

// showOverview shows how many people sign in and how, what fails, and what an operator should look at.
func (s *Handlers) showOverview(w http.ResponseWriter, r *http.Request, who operator) error {
	p := overviewPage{frame: who.frame(r, "overview"), Days: 1}
	if r.URL.Query().Get("days") == "30" {
		p.Days = 30
	}
	counts, err := s.Accounts.Audit().Counts(r.Context())
	if err != nil {
		return err
	}
	words := s.Pages.Localizer(r)
	buckets := s.buckets(words, p.Days)
	byOutcome := newChart(buckets, counts, outcomes, outcomeOf)
	for i := range byOutcome.Series {
		byOutcome.Series[i].Name = words.Translate("admin.outcome." + byOutcome.Series[i].ID)
	}
	byOutcome.ID, byOutcome.Title = "outcomes", "admin.chart.outcomes"
	byMethod := newChart(buckets, counts, s.methodSeries(counts), methodOf)
	for i := range byMethod.Series {
		byMethod.Series[i].Name = s.methodName(words, byMethod.Series[i].ID)
	}
	byMethod.ID, byMethod.Title = "methods", "admin.chart.methods"
	p.Charts = []chart{byOutcome, byMethod}
	for i, one := range byOutcome.Series {
		if i == 0 {
			p.Total = one.Sum
		} else {
			p.Failed += one.Sum
		}
	}
	if p.Waiting, p.Oldest, err = s.Outbox.CountWaiting(r.Context()); err != nil {
		return err
	}
	failed, err := s.Outbox.Failed(r.Context(), maxEntries+1)
	if err != nil {
		return err
	}
	p.Refused, p.More = min(len(failed), maxEntries), len(failed) > maxEntries
	p.Health = s.Health(r.Context())
	p.Delivery = latencyRows(words, p.Health.Latencies)
	if p.Paid = s.Challenges.Texts.PricePerMessage > 0; p.Paid {
		today, month, err := s.Challenges.TextCosts(r.Context())
		if err != nil {
			return err
		}
		p.Today, p.Month = decimal(words, today, 1000, 2), decimal(words, month, 1000, 2)
	}
	return s.Pages.Render(w, r, newView("overview", "admin.overview.title", p))
}

// methodSeries are the methods that sign-ins have used, in the order of the methods of the site.
func (s *Handlers) methodSeries(counts []audit.Count) []string {
	used := map[string]bool{}
	for _, c := range counts {
		used[methodOf(c)] = true
	}
	var list []string
	for _, m := range s.Challenges.Methods {
		if name := m.Info().Method; used[name] {
			list = append(list, name)
			delete(used, name)
		}
	}
	if used[trustedMethod] {
		list = append([]string{trustedMethod}, list...)
	}
	delete(used, trustedMethod)
	delete(used, "")
	var others []string // methods that the site has no longer
	for name := range used {
		others = append(others, name)
	}
	slices.Sort(others)
	return append(list, others...)
}

// methodName returns the name of a method for people.
func (s *Handlers) methodName(words i18n.Localizer, method string) string {
	if method == trustedMethod {
		return words.Translate("admin.method.trusted")
	}
	m, ok := s.Challenges.Method(method)
	if !ok {
		return method
	}
	about := m.Info()
	if about.Implicit {
		return words.Translate("admin.channel.email")
	}
	return cmp.Or(about.WordsIn(words.Tag()).Name, method)
}

// latencyRow is a line of the table of delivery times.
type latencyRow struct {
	Name     string
	Messages int
	P50, P95 string // seconds
}

func latencyRows(words i18n.Localizer, list []Latency) (rows []latencyRow) {
	for _, l := range list {
		name := l.Name
		if key := "admin.channel." + strings.ToLower(name); words.Translate(key) != key {
			name = words.Translate(key)
		}
		seconds := func(d time.Duration) string { return decimal(words, d.Milliseconds(), 1000, 1) + " s" }
		rows = append(rows, latencyRow{name, l.Messages, seconds(l.P50), seconds(l.P95)})
	}
	return rows
}

// decimal formats n/unit with so many decimal places.
func decimal(words i18n.Localizer, n, unit int64, places int) string {
	text := strconv.FormatFloat(float64(n)/float64(unit), 'f', places, 64)
	return strings.Replace(text, ".", words.Translate("admin.decimal"), 1)
}
