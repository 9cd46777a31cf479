package help

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/trust"
)

// What became of a cookie that the browser was given.
const (
	kept    = "kept"    // it came back
	blocked = "blocked" // it never came back: nothing is stored
	deleted = "deleted" // it came back once, and later no more
)

type checkupPage struct {
	Storage          string    // kept, blocked or deleted
	Since            time.Time // when the browser first kept a cookie of ours
	Stored           time.Time // deleted: when it had come back
	Address, Browser string
	Days             int // that trust lasts; 0: it is switched off
	In               bool
	Asked            string    // signed in: the next sign-in would ask, and why; "" if it would not
	Until            time.Time // signed in: it would not ask until then
	Lost             time.Time // signed in: a browser like this one was verified here, and has no record any more
	Guide            []chapter // the steps for this browser, or for all
}

// showCheckup is three addresses: the first sets a cookie, the second looks whether it came
// back, and the third says what is known and can be opened again after the browser was
// closed. What stands in the address is a time and harms nobody who believes it.
func (s *Site) showCheckup(w http.ResponseWriter, r *http.Request) error {
	since, stored := s.Pages.Probed(r)
	set, wasSet := s.moment(r, "set")
	seen, wasSeen := s.moment(r, "kept")
	switch {
	case wasSeen:
		p := checkupPage{Storage: kept, Since: since}
		if !stored || since.After(seen.Add(time.Minute)) {
			p = checkupPage{Storage: deleted, Stored: seen, Since: since}
		}
		return s.printCheckup(w, r, p)
	case wasSet && !stored:
		return s.printCheckup(w, r, checkupPage{Storage: blocked, Stored: set})
	case wasSet:
		return s.onward(w, r, "kept")
	}
	s.Pages.Probe(w, r)
	return s.onward(w, r, "set")
}

// onward leads to the next of the three addresses.
func (s *Site) onward(w http.ResponseWriter, r *http.Request, name string) error {
	now := strconv.FormatInt(s.Pages.Clocked().Unix(), 10)
	http.Redirect(w, r, "/help/trust?"+url.Values{name: {now}}.Encode(), http.StatusSeeOther)
	return nil
}

// moment is a time in the address, if it is one that has been.
func (s *Site) moment(r *http.Request, name string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	at := time.Unix(seconds, 0)
	return at, err == nil && seconds > 0 && at.Before(s.Pages.Clocked().Add(time.Minute))
}

func (s *Site) printCheckup(w http.ResponseWriter, r *http.Request, p checkupPage) error {
	words, from := s.Pages.Words(r), s.Pages.From(r)
	q := from.TrustRequest()
	facts := s.facts()
	p.Days = facts.Days
	facts.Days = max(facts.Days, 1) // the steps help with every cookie
	p.Address, p.Browser = origin.DescribeAddress(from.AddressString(), words.Tag()), origin.DescribeBrowser(q.Browser, words.Tag())
	own := guide(q.Browser)
	for _, c := range chapters(words.Tag(), own, facts) {
		if c.Level == browserLevel && (c.Open || own == "" || c.ID == "private") {
			p.Guide = append(p.Guide, c)
		}
	}
	who, err := s.Sessions.Get(r.Context(), s.Pages.Cookie(r, page.SessionCookie))
	if err != nil && !errors.Is(err, session.ErrNoSession) {
		return err
	}
	if p.In = err == nil; p.In {
		if err := s.outlook(r, who, &p); err != nil {
			return err
		}
	}
	return s.Pages.Print(w, r, page.Sheet{Of: templates(), Name: "checkup", Title: "checkup.title", Wide: true, Page: p})
}

// outlook is what the next sign-in would do, for somebody who is in.
func (s *Site) outlook(r *http.Request, who session.Session, p *checkupPage) error {
	words, from := s.Pages.Words(r), s.Pages.From(r)
	d, err := s.Devices.Outlook(r.Context(), who.Owner(), from)
	if err != nil {
		return err
	}
	old, _ := d.Old()
	if d.Reason == trust.Trusted {
		p.Until = old.Verified.Add(d.Policy.Life)
		return nil
	}
	p.Asked = words.Say("why."+string(d.Reason), "Date", s.Pages.Date(words, old.Verified), "Count", p.Days)
	if d.Reason == trust.NoRecord {
		p.Lost, err = s.Devices.Lost(r.Context(), who.Owner(), from)
	}
	return err
}
