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

// The results of the check whether the browser stores cookies.
const (
	storageKept    = "kept"    // the cookie came back
	storageBlocked = "blocked" // it never came back: the browser stores none
	storageDeleted = "deleted" // it came back once, but not later
)

type checkupPage struct {
	Storage          string    // kept, blocked or deleted
	Since            time.Time // since when the browser has stored the probe cookie
	Stored           time.Time // if deleted: when it had come back
	Address, Browser string
	TrustEnabled     bool
	SignedIn         bool
	ChallengeReason  string    // if signed in: why the next sign-in would ask for the second step; "": it would not
	TrustedUntil     time.Time // if signed in and trusted: until when
	LostRecordFrom   time.Time // if signed in: when a browser like this one was verified here that has lost its record
	BrowserSteps     []chapter // the steps for this browser; for every browser if it is unknown
}

// showCheckup serves three steps: the first sets a cookie, the second checks that it came back, and the third shows the
// result, also when it is opened again after the browser was restarted. The times in the query only change what this
// page says.
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

// redirectToStep redirects to the next step.
func (s *Handlers) redirectToStep(w http.ResponseWriter, r *http.Request, name string) error {
	now := strconv.FormatInt(s.Pages.CurrentTime().Unix(), 10)
	http.Redirect(w, r, "/help/trust?"+url.Values{name: {now}}.Encode(), http.StatusSeeOther)
	return nil
}

// timeParameter returns the time in a query parameter. ok is false if it is invalid or in the future.
func (s *Handlers) timeParameter(r *http.Request, name string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	at := time.Unix(seconds, 0)
	return at, err == nil && seconds > 0 && at.Before(s.Pages.CurrentTime().Add(time.Minute))
}

func (s *Handlers) renderCheckup(w http.ResponseWriter, r *http.Request, p checkupPage) error {
	localizer, from := s.Pages.Localizer(r), s.Pages.Origin(r)
	q := from.TrustRequest()
	facts := s.serverFacts(nil)
	if p.TrustEnabled = facts.Trusts(); !p.TrustEnabled {
		facts.Days = 1 // the steps help with any cookie
	}
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

// predictNextSignIn sets what the next sign-in of a signed-in person would do.
func (s *Handlers) predictNextSignIn(r *http.Request, who session.Session, p *checkupPage) error {
	localizer, from := s.Pages.Localizer(r), s.Pages.Origin(r)
	d, err := s.Devices.PreviewDecision(r.Context(), who.Owner(), from)
	if err != nil {
		return err
	}
	old, _ := d.NearestRecord()
	if d.Reason == trust.Trusted {
		p.TrustedUntil = old.VerifiedAt.Add(d.Policy.TTLOf(old))
		return nil
	}
	date := s.Pages.FormatDate(localizer, old.VerifiedAt)
	if d.Reason == trust.Expired {
		p.ChallengeReason = localizer.TranslateTime("why.expired", d.Policy.TTLOf(old), "Date", date)
	} else {
		p.ChallengeReason = localizer.Translate("why."+string(d.Reason), "Date", date)
	}
	if d.Reason == trust.NoRecord {
		p.LostRecordFrom, err = s.Devices.FindSimilarTrust(r.Context(), who.Owner(), from)
	}
	return err
}
