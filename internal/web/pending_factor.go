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
	"twostep.example/twostep/internal/render"
)

// enrollPage is the form of a new factor, with the existing ones.
type enrollPage struct {
	Words            factor.Words
	Intro            []string
	BasePath         string
	ReturnTo         returnTo
	Fields           []enrollField
	Factors          []factorRow
	ReplacesExisting bool   // the new factor replaces the existing one
	LimitReached     bool   // the account has as many factors as it may have
	AutoSubmit       bool   // the script submits the form
	Confirm          string // confirms the input if the form is sent again, see factor.UserError
}

// FormURL returns the address of a form at or below this page.
func (p enrollPage) FormURL(below string) string { return p.ReturnTo.At(p.BasePath + below) }

// enrollField is one field of the form.
type enrollField struct {
	factor.Field
	Label, Value string
	Choices      []factor.Option
}

// factorRow is one factor of the account.
type factorRow struct {
	ID, Name   string // Name is never ""
	HasOwnName bool   // Name is this factor's, not the method's
	Details    string // when it was added and last used, and how many uses it has left
}

func (s *Handlers) enrollView(r *http.Request, e enrollment, typed url.Values) (render.View, error) {
	all, err := s.enrolledFactors(r, e)
	return s.buildEnrollView(r, e, typed, all), err
}

// buildEnrollView returns the form, filled in with what was typed; nil: nothing.
func (s *Handlers) buildEnrollView(
	r *http.Request,
	e enrollment,
	typed url.Values,
	all []enroll.EnrolledFactor,
) render.View {
	p := enrollPage{
		Words: e.words, BasePath: e.path, ReturnTo: e.target.returnTo, Factors: s.factorRows(r, e.words, all),
		ReplacesExisting: len(all) > 0 && e.maxFactors == 1,
		LimitReached:     len(all) >= e.maxFactors && e.maxFactors > 1,
		AutoSubmit:       typed == nil && len(all) == 0 && e.needsNoInput(),
	}
	if len(all) == 0 || e.maxFactors == 1 { // else the account has done these steps, and the next page repeats them
		p.Intro = e.words.Intro
	}
	if e.MethodRequired {
		p.Factors = nil // a desk code shows nobody which numbers the account has
	}
	view := render.View{Template: "enroll", TitleText: e.words.Title}
	for _, f := range e.fields {
		a := enrollField{Field: f, Label: e.words.Messages[f.Name], Value: typed.Get(f.Name)}
		if f.Options != nil {
			a.Choices = f.Options(s.Pages.Localizer(r).Tag())
		}
		if typed == nil && f.Default != nil {
			a.Value = f.Default(render.AcceptLanguage(r))
			if !slices.ContainsFunc(a.Choices, func(o factor.Option) bool { return o.Value == a.Value }) {
				a.Value = "" // else the browser would select the first one
			}
		}
		if view.Focus == "" && a.Value == "" && !f.Optional {
			view.Focus = f.Name
		}
		p.Fields = append(p.Fields, a)
	}
	view.Data = p
	return view
}

func (s *Handlers) factorRows(r *http.Request, words factor.Words, all []enroll.EnrolledFactor) []factorRow {
	w := s.Pages.Localizer(r)
	var rows []factorRow
	for _, f := range all {
		row := factorRow{
			ID: f.ID, Name: cmp.Or(f.Name, f.Destination, words.Title), HasOwnName: f.Name+f.Destination != "",
		}
		var details []string
		if f.UsesLeft >= 0 {
			details = append(details, w.Translate("enroll.left", "Count", f.UsesLeft))
		}
		if !f.AddedAt.IsZero() {
			details = append(details, w.Translate("enroll.added", "Date", s.Pages.FormatDate(w, f.AddedAt)))
		}
		switch {
		case !f.LastUsedAt.IsZero():
			details = append(details, w.Translate("enroll.used", "Date", s.Pages.FormatDate(w, f.LastUsedAt)))
		case !f.AddedAt.IsZero():
			details = append(details, w.Translate("enroll.unused"))
		}
		row.Details = strings.Join(details, " · ")
		rows = append(rows, row)
	}
	return rows
}

// pendingFactorPage is a new factor that is not verified yet. It is the only page that shows secrets.
type pendingFactorPage struct {
	deliveryStatus
	Words       factor.Words
	BasePath    string
	ReturnTo    returnTo
	Destination string
	Intro       []string
	// With a Secret, Intro is a numbered list. The QR code and the key are in one step, the field for the code in
	// another.
	ScanStep, AnswerStep int
	QR                   qrCode
	Link                 template.URL // for an app on this device
	Secret               string       // in groups of four characters
	Codes                []string
	AcknowledgeOnly      bool   // no code is needed, only a button
	AcknowledgeLabel     string // the label of that button
	codeInput
	Minutes           int
	AttemptsExhausted bool // too many wrong codes
	Email             string
	Today             time.Time
}

// FormURL returns the address of a form below this page.
func (p pendingFactorPage) FormURL(below string) string { return p.ReturnTo.At(p.BasePath + below) }

// loadPendingFactorPage returns the page of the pending factor, or enroll.ErrNoPendingFactor.
func (s *Handlers) loadPendingFactorPage(
	r *http.Request,
	e enrollment,
) (pendingFactorPage, enroll.PendingFactor, error) {
	d, err := s.Enrollments.Pending(r.Context(), e.Session, e.about.Method, s.Pages.Origin(r))
	if err != nil {
		return pendingFactorPage{}, d, err
	}
	p, err := s.newPendingFactorPage(r, e, d)
	return p, d, err
}

func (s *Handlers) newPendingFactorPage(
	r *http.Request,
	e enrollment,
	d enroll.PendingFactor,
) (pendingFactorPage, error) {
	p := pendingFactorPage{
		Words: e.words, BasePath: e.path, ReturnTo: e.target.returnTo, Destination: d.Destination,
		Codes: d.Show.Codes, Secret: groupByFour(d.Show.Secret),
		Link: otpauthURL(
			d.Show.URI,
		), AcknowledgeOnly: d.Challenge == nil, codeInput: codeInput{Digits: hasNumericCode(e.about)},
		Email: e.Account.Email, Today: s.Pages.CurrentTime(),
		AcknowledgeLabel: cmp.Or(e.words.Messages["saved"], s.Pages.Localizer(r).Translate("codes.saved")),
	}
	if c := d.Challenge; c != nil {
		p.codeInput = codeInputFor(*c)
		p.deliveryStatus, p.Minutes = s.newDeliveryStatus(s.Pages.Localizer(r), *c), int(c.CodeTTL/time.Minute)
		p.AttemptsExhausted = c.GuessesLeft == 0
	}
	if d.Destination == "" && !p.AttemptsExhausted {
		p.Intro = e.words.Intro
	}
	// If the address already has an account, no email is sent. The page must not reveal that.
	p.Hidden = e.about.Implicit
	p.RestartHint = "draft.again.over"
	p.PageURL, p.StatusURL, p.ResendURL = e.url(""), e.url("/status"), e.url("/code")
	if p.Secret != "" && len(p.Intro) == 0 {
		p.Intro = []string{s.Pages.Localizer(r).Translate("draft.step")}
	}
	if p.AnswerStep = len(p.Intro) - 1; p.AnswerStep == 2 {
		p.ScanStep = 1
	} else {
		p.ScanStep = p.AnswerStep
	}
	if d.Show.URI != "" {
		var err error
		if p.QR, err = drawQR(d.Show.URI); err != nil {
			return pendingFactorPage{}, err
		}
	}
	return p, nil
}

func pendingFactorView(p pendingFactorPage) render.View {
	view := render.View{Template: "draft", TitleText: p.Words.Title, Focus: "code", Data: p}
	if p.Secret != "" { // focus would scroll past the QR code; the script sets it where the page fits
		view.Focus, view.Wide = "", true
	}
	if p.AttemptsExhausted {
		view.Status, view.Problems = http.StatusTooManyRequests, []render.Problem{{Key: "problem.tries"}}
	}
	return view
}

// otpauthURL returns a link for an authenticator app as a template.URL, which html/template would replace otherwise. It
// returns "" for any other scheme.
func otpauthURL(link string) template.URL {
	if !strings.HasPrefix(link, "otpauth://") {
		return ""
	}
	return template.URL(link)
}

// groupByFour splits a secret into groups of four characters, to be read and typed.
func groupByFour(secret string) string {
	var list []string
	for group := range slices.Chunk([]rune(strings.Join(strings.Fields(secret), "")), 4) {
		list = append(list, string(group))
	}
	return strings.Join(list, " ")
}

// serveCodesFile serves the codes of the pending factor as a text file.
func (s *Handlers) serveCodesFile(w http.ResponseWriter, r *http.Request, e enrollment) error {
	d, err := s.Enrollments.Pending(r.Context(), e.Session, e.about.Method, s.Pages.Origin(r))
	if err != nil {
		return err
	}
	if len(d.Show.Codes) == 0 {
		return render.ErrNotFound
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+e.about.Method+`-codes.txt"`)
	fmt.Fprintf(w, "%s: %s\n%s\n%s\n\n%s\n", s.Pages.Site, e.words.Title, e.Account.Email,
		s.Pages.FormatDate(s.Pages.Localizer(r), s.Pages.CurrentTime()), strings.Join(d.Show.Codes, "\n"))
	return nil
}

type enrolledPage struct {
	Words       factor.Words
	ContinueURL string
	Email       string // the new address, if that was verified
	// EmailStopped says that codes by email are no second step any more. PauseHours is how many hours they are none
	// after a password reset by email.
	EmailStopped bool
	PauseHours   int
}

// enrolledView returns the page after a factor was verified, with the link Continue.
func (s *Handlers) enrolledView(e enrollment, choice enroll.EmailSecondStep) render.View {
	p := enrolledPage{Words: e.words, ContinueURL: e.target.urlOrSettings()}
	switch {
	case e.about.Implicit:
		p.Email = e.Account.Email
	case choice.UntilAnother && !e.about.Backup:
		p.EmailStopped = true
	default:
		p.PauseHours = s.pauseHours()
	}
	return render.View{Template: "enrolled", TitleText: e.words.Title, Data: p}
}
