package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

type settingsPage struct {
	Account            session.Account
	Methods            []methodRow
	RecommendedMethods []methodRow // methods to set up besides the implicit one; none: nothing is recommended
	EmailUntilAnother  bool        // codes by email are no second step beside another method
	OffersSecondStep   bool        // there is another method, or EmailUntilAnother
	FrozenUntil        time.Time   // zero: the account is not frozen
	Policy             []string    // what holds for the person, in sentences
	SetUp              string      // which method the person must set up until when; "": none
}

// methodRow is a method with the factors that the account has.
type methodRow struct {
	Name, Title string
	To          string // its page; "" if it has none
	Implicit    bool
	Factors     []factorRow
}

func (s *Handlers) settingsView(r *http.Request, p settingsPage, all []enroll.Enrolled) render.View {
	onlyImplicit := true
	for _, o := range all {
		words := s.methodWords(s.Pages.Localizer(r), o.Info, "")
		row := methodRow{
			Name: words.Name, Title: words.Title, Implicit: o.Implicit, Factors: s.factorRows(r, words, o.Factors),
		}
		switch {
		case o.Implicit:
			row.To = "/settings/email"
		case o.Path != "":
			row.To = "/settings/2step/" + o.Path
		}
		p.Methods = append(p.Methods, row)
		if !o.Implicit && !o.Backup && o.Path != "" {
			p.RecommendedMethods = append(p.RecommendedMethods, row)
		}
		onlyImplicit = onlyImplicit && (o.Implicit || o.Backup || len(o.Factors) == 0)
	}
	if !onlyImplicit || s.Pages.Cookie(r, render.RecommendationDismissedCookie) != "" {
		p.RecommendedMethods = nil
	}
	p.OffersSecondStep = !onlyImplicit || p.EmailUntilAnother
	return render.View{Template: "settings", Title: "settings.title", Wide: true, Data: p}
}

func (s *Handlers) showSettings(w http.ResponseWriter, r *http.Request, who signedIn) error {
	all, err := s.Enrollments.List(r.Context(), who.Session)
	if err != nil {
		return err
	}
	choice, err := s.Enrollments.GetEmailSecondStep(r.Context(), who.Session)
	if err != nil {
		return err
	}
	p := settingsPage{
		Account: who.Account, EmailUntilAnother: choice.UntilAnother, FrozenUntil: choice.FrozenUntil,
	}
	localizer, limits := s.Pages.Localizer(r), s.Sessions.Rules.For(who.Account.Groups, "")
	missing, err := s.Challenges.FindSetUp(r.Context(), who.Session, limits)
	if err != nil {
		return err
	}
	if missing != nil && len(missing.Methods) > 0 {
		p.SetUp = s.setUpText(localizer, *missing)
	}
	p.Policy = s.policyTexts(localizer, limits)
	return s.render(w, r, s.settingsView(r, p, all))
}

// recommendationDismissedFor is how long "Not now" hides the recommendation.
const recommendationDismissedFor = 90 * 24 * time.Hour

func (s *Handlers) handleDismissRecommendation(w http.ResponseWriter, r *http.Request, _ signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	s.Pages.SetPersistentCookie(w, render.RecommendationDismissedCookie, "1", recommendationDismissedFor)
	return redirect(w, r, "/settings")
}
