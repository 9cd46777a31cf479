package help

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/trust"
)

// What became of a cookie that the browser was given.
const (
	storageKept    = "kept"    // it came back
	storageBlocked = "blocked" // it never came back: nothing is stored
	storageDeleted = "deleted" // it came back once, and later no more
)

type checkupPage struct {
	Storage          string    // kept, blocked or deleted
	Since            time.Time // when the browser first kept a cookie of ours
	Stored           time.Time // deleted: when it had come back
	Address, Browser string
	TrustDays        int // that trust lasts; 0: it is switched off
	SignedIn         bool
	ChallengeReason  string    // signed in: the next sign-in would ask, and why; "" if it would not
	TrustedUntil     time.Time // signed in: it would not ask until then
	LostRecordFrom   time.Time // signed in: a browser like this one was verified here, and has no record any more
	BrowserSteps     []chapter // the steps for this browser, or for all
}

// showCheckup is three addresses: the first sets a cookie, the second looks whether it came
// back, and the third says what is known and can be opened again after the browser was
// closed. What stands in the address is a time and harms nobody who believes it.
func (s *Handlers) showCheckup(w http.ResponseWriter, r *http.Request) error {
	since, stored := s.Pages.CookiesStoredSince(r)
	set, wasSet := s.timeParameter(r, "set")
	seen, wasSeen := s.timeParameter(r, "kept")
	switch {
	case wasSeen:
		p := checkupPage{Storage: storageKept, Since: since}
		if !stored || since.After(seen.Add(time.Minute)) {
			p = checkupPage{Storage: storageDeleted, Stored: seen, Since: since}
		}
		return s.renderCheckup(w, r, p)
	case wasSet && !stored:
		return s.renderCheckup(w, r, checkupPage{Storage: storageBlocked, Stored: set})
	case wasSet:
		return s.redirectToStep(w, r, "kept")
	}
	s.Pages.SetProbeCookie(w, r)
	return s.redirectToStep(w, r, "set")
}

// redirectToStep leads to the next of the three addresses.
func (s *Handlers) redirectToStep(w http.ResponseWriter, r *http.Request, name string) error {
	now := strconv.FormatInt(s.Pages.CurrentTime().Unix(), 10)
	http.Redirect(w, r, "/help/trust?"+url.Values{name: {now}}.Encode(), http.StatusSeeOther)
	return nil
}

// timeParameter is a time in the address, if it is one that has been.
func (s *Handlers) timeParameter(r *http.Request, name string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	at := time.Unix(seconds, 0)
	return at, err == nil && seconds > 0 && at.Before(s.Pages.CurrentTime().Add(time.Minute))
}

func (s *Handlers) renderCheckup(w http.ResponseWriter, r *http.Request, p checkupPage) error {
	localizer, from := s.Pages.Localizer(r), s.Pages.Origin(r)
	q := from.TrustRequest()
	facts := s.serverFacts()
	p.TrustDays = facts.Days
	facts.Days = max(facts.Days, 1) // the steps help with every cookie
	p.Address, p.Browser = origin.DescribeAddress(
		from.AddressString(), localizer.Tag(),
	), origin.DescribeBrowser(q.Browser, localizer.Tag())
	own := browserSection(q.Browser)
	for _, c := range chapters(localizer.Tag(), own, facts) {
		if c.Level == browserLevel && (c.Open || own == "" || c.ID == "private") {
			p.BrowserSteps = append(p.BrowserSteps, c)
		}
	}
	who, err := s.Sessions.Get(r.Context(), s.Pages.Cookie(r, render.SessionCookie))
	if err != nil && !errors.Is(err, session.ErrNoSession) {
		return err
	}
	if p.SignedIn = err == nil; p.SignedIn {
		if err := s.predictNextSignIn(r, who, &p); err != nil {
			return err
		}
	}
	return s.Pages.Render(
		w, r, render.View{Templates: templates(), Template: "checkup", Title: "checkup.title", Wide: true, Data: p},
	)
}

// predictNextSignIn is what the next sign-in would do, for somebody who is in.
func (s *Handlers) predictNextSignIn(r *http.Request, who session.Session, p *checkupPage) error {
	localizer, from := s.Pages.Localizer(r), s.Pages.Origin(r)
	d, err := s.Devices.PreviewDecision(r.Context(), who.Owner(), from)
	if err != nil {
		return err
	}
	old, _ := d.NearestRecord()
	if d.Reason == trust.Trusted {
		p.TrustedUntil = old.VerifiedAt.Add(d.Policy.TTL)
		return nil
	}
	p.ChallengeReason = localizer.Translate(
		"why."+string(d.Reason), "Date", s.Pages.FormatDate(localizer, old.VerifiedAt), "Count", p.TrustDays,
	)
	if d.Reason == trust.NoRecord {
		p.LostRecordFrom, err = s.Devices.FindSimilarTrust(r.Context(), who.Owner(), from)
	}
	return err
}
