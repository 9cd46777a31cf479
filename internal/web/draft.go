package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/page"
)

// enrollPage is the form of a new factor, with those that there are.
type enrollPage struct {
	Said    factor.Words
	Base    string
	Back    string
	Fields  []asked
	Owned   []ownedRow
	Replace bool // the new one takes the place of the old one
	Full    bool // there are as many as there may be
	Auto    bool // the script begins by itself
}

// asked is one field of the form as it is printed.
type asked struct {
	factor.Field
	Label, Value string
	Choices      []factor.Option
}

// ownedRow is one factor as its owner sees it.
type ownedRow struct {
	ID, Name string // the name is never empty
	Own      bool   // and belongs to this factor alone
	Facts    string // when it was added and used, and what is left of it
}

func (s *Site) enrollSheet(r *http.Request, e enrolment, typed url.Values) (page.Sheet, error) {
	all, err := s.owned(r, e)
	return s.printEnroll(r, e, typed, all), err
}

// printEnroll is the form, filled in with what was typed (nil: nothing was).
func (s *Site) printEnroll(r *http.Request, e enrolment, typed url.Values, all []enroll.EnrolledFactor) page.Sheet {
	p := enrollPage{Said: e.said, Base: e.base, Back: e.goal.back, Owned: s.ownedRows(r, e.said, all)}
	p.Replace = len(all) > 0 && e.about.Most == 1
	p.Full = len(all) >= e.about.Most && e.about.Most > 1
	p.Auto = typed == nil && len(all) == 0 && e.needless()
	sheet := page.Sheet{Name: "enroll", Titled: e.said.Title, Page: p}
	for _, f := range e.about.Fields {
		a := asked{Field: f, Label: e.said.Says[f.Name], Value: typed.Get(f.Name)}
		if f.Options != nil {
			a.Choices = f.Options(s.Pages.Words(r).Tag())
		}
		if typed == nil && f.Guess != nil {
			a.Value = f.Guess(r.Header.Get("Accept-Language"))
			if !slices.ContainsFunc(a.Choices, func(o factor.Option) bool { return o.Value == a.Value }) {
				a.Value = "" // or the browser would choose the first one
			}
		}
		if sheet.Focus == "" && a.Value == "" && !f.Optional {
			sheet.Focus = f.Name
		}
		p.Fields = append(p.Fields, a)
	}
	sheet.Page = p
	return sheet
}

func (s *Site) ownedRows(r *http.Request, said factor.Words, all []enroll.EnrolledFactor) []ownedRow {
	w := s.Pages.Words(r)
	var rows []ownedRow
	for _, f := range all {
		row := ownedRow{ID: f.ID, Name: cmp.Or(f.Name, f.Destination, said.Title), Own: f.Name+f.Destination != ""}
		var facts []string
		if f.UsesLeft >= 0 {
			facts = append(facts, w.Say("enroll.left", "Count", f.UsesLeft))
		}
		if !f.AddedAt.IsZero() {
			facts = append(facts, w.Say("enroll.added", "Date", s.Pages.Date(w, f.AddedAt)))
		}
		switch {
		case !f.LastUsedAt.IsZero():
			facts = append(facts, w.Say("enroll.used", "Date", s.Pages.Date(w, f.LastUsedAt)))
		case !f.AddedAt.IsZero():
			facts = append(facts, w.Say("enroll.unused"))
		}
		row.Facts = strings.Join(facts, " · ")
		rows = append(rows, row)
	}
	return rows
}

// draftPage is a new factor that waits for its proof. Secrets are on it, and on no
// other page.
type draftPage struct {
	sending
	Said        factor.Words
	Base, Back  string
	Destination string
	Intro       []string
	QR          qrCode
	Link        template.URL // for an app on this very device
	Secret      string       // in groups of four
	Codes       []string
	Seen        bool   // no proof is needed but that it was seen
	Saved       string // the button for that
	answer
	Minutes int
	Ended   bool // too many wrong codes
	Email   string
	Day     time.Time
}

// draftSheet is the page of what waits for its proof. signin.ErrNoDraft.
func (s *Site) draftSheet(r *http.Request, e enrolment) (page.Sheet, enroll.PendingFactor, error) {
	d, err := s.Enrollments.Pending(r.Context(), e.Session, e.about.Method, s.Pages.From(r))
	if err != nil {
		return page.Sheet{}, d, err
	}
	sheet, err := s.printDraft(r, e, d)
	return sheet, d, err
}

func (s *Site) printDraft(r *http.Request, e enrolment, d enroll.PendingFactor) (page.Sheet, error) {
	p := draftPage{
		Said: e.said, Base: e.base, Back: e.goal.back, Destination: d.Destination, Codes: d.Show.Codes, Secret: groups(d.Show.Secret),
		Link: appLink(d.Show.Link), Seen: d.Challenge == nil, answer: answer{Digits: digits(e.about)},
		Email: e.Account.Email, Day: s.Pages.Clocked(),
		Saved: cmp.Or(e.said.Says["saved"], s.Pages.Words(r).Say("codes.saved")),
	}
	sheet := page.Sheet{Name: "draft", Titled: e.said.Title, Focus: "code"}
	if c := d.Challenge; c != nil {
		p.answer = answerTo(*c)
		p.sending, p.Minutes = s.sending(s.Pages.Words(r), *c), int(c.CodeTTL/time.Minute)
		if p.Ended = c.GuessesLeft == 0; p.Ended {
			sheet.Status, sheet.Problems = http.StatusTooManyRequests, []page.Problem{{Key: "problem.tries"}}
		}
	}
	if d.Destination == "" && !p.Ended {
		p.Intro = e.said.Intro
	}
	// An address that has an account gets no mail, and must not be told apart by that.
	p.Silent = e.about.Given
	p.Here, p.Status, p.Resend = e.at(""), e.at("/status"), e.at("/code")
	if d.Show.Link != "" {
		var err error
		if p.QR, err = drawQR(d.Show.Link); err != nil {
			return page.Sheet{}, err
		}
	}
	sheet.Page = p
	return sheet, nil
}

// appLink is the link for an authenticator app, which the template would take for a
// script. Nothing but what begins like one is believed.
func appLink(link string) template.URL {
	if !strings.HasPrefix(link, "otpauth://") {
		return ""
	}
	return template.URL(link)
}

// groups sets a secret in groups of four, to be read and typed.
func groups(secret string) string {
	var list []string
	for group := range slices.Chunk([]rune(strings.Join(strings.Fields(secret), "")), 4) {
		list = append(list, string(group))
	}
	return strings.Join(list, " ")
}

// downloadCodes gives the codes as a text file, while they may be seen.
func (s *Site) downloadCodes(w http.ResponseWriter, r *http.Request, e enrolment) error {
	_, d, err := s.draftSheet(r, e)
	if err != nil {
		return err
	}
	if len(d.Show.Codes) == 0 {
		return page.ErrNotFound
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+e.about.Method+`-codes.txt"`)
	fmt.Fprintf(w, "%s: %s\n%s\n%s\n\n%s\n", s.Pages.Site, e.said.Title, e.Account.Email,
		s.Pages.Date(s.Pages.Words(r), s.Pages.Clocked()), strings.Join(d.Show.Codes, "\n"))
	return nil
}

type enrolledPage struct {
	Said     factor.Words
	Continue string
	Email    string // the address, where that was proven
}

// enrolledSheet is where Continue works.
func enrolledSheet(e enrolment) page.Sheet {
	p := enrolledPage{Said: e.said, Continue: e.goal.home()}
	if e.about.Given {
		p.Email = e.Account.Email
	}
	return page.Sheet{Name: "enrolled", Titled: e.said.Title, Page: p}
}
