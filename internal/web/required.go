package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/render"
)

type setUpPage struct {
	ReturnTo returnTo
	Lead     string
	Methods  []setUpMethod
	Later    string // where "Later" leads; "": the person cannot put it off
}

// setUpMethod is a method that would do.
type setUpMethod struct{ Title, To string }

// showSetUp shows which methods the person can set up, and how many days are left. Without anything to set up it leads on.
func (s *Handlers) showSetUp(w http.ResponseWriter, r *http.Request, who signedIn) error {
	r, target, err := s.parseReturnTarget(w, r, nil)
	if err != nil {
		return err
	}
	limits := s.Sessions.Rules.For(who.Account.Groups, target.ClientID)
	missing, err := s.Challenges.FindSetUp(r.Context(), who.Session, limits)
	if err != nil {
		return err
	}
	if missing == nil || len(missing.Methods) == 0 {
		return redirect(w, r, target.urlOrSettings())
	}
	return s.render(w, r, s.setUpView(r, *missing, target))
}

func (s *Handlers) setUpView(r *http.Request, missing challenge.SetUp, target returnTarget) render.View {
	localizer := s.Pages.Localizer(r)
	p := setUpPage{ReturnTo: target.returnTo, Lead: s.setUpText(localizer, missing)}
	for _, about := range missing.Methods {
		p.Methods = append(p.Methods, setUpMethod{
			s.methodWords(localizer, about, "").Title, target.At("/settings/2step/" + about.Path),
		})
	}
	if !missing.Due {
		p.Later = target.urlOrSettings()
	}
	return render.View{Template: "required", Title: "required.title", Data: p}
}

// setUpText says why another method is needed, and how many days are left.
func (s *Handlers) setUpText(w i18n.Localizer, missing challenge.SetUp) string {
	switch {
	case missing.From.IsZero():
		return w.Translate("required.allowed")
	case missing.Due:
		return w.Translate("required.due")
	}
	return w.Translate("required.days", "Date", w.FormatDate(missing.From), "Count", s.daysUntil(missing.From))
}

// daysUntil returns how many days are left, the last one that has begun included.
func (s *Handlers) daysUntil(t time.Time) int {
	const day = 24 * time.Hour
	return int((t.Sub(s.Pages.CurrentTime()) + day - 1) / day)
}

// remindFor is how long before a method is required people are reminded at each sign-in. The settings say it at any time.
const remindFor = 30 * 24 * time.Hour

// afterSignIn returns where a person goes who has just signed in: through the set-up of a method that is required now or
// soon, or else to the target.
func (s *Handlers) afterSignIn(r *http.Request, token string, target returnTarget) (string, error) {
	to := target.urlOrSettings()
	if !s.Sessions.Rules.Requires() { // saves two reads
		return to, nil
	}
	who, err := s.Sessions.Get(r.Context(), token)
	if err != nil {
		return "", err
	}
	limits := s.Sessions.Rules.For(who.Account.Groups, target.ClientID)
	missing, err := s.Challenges.FindSetUp(r.Context(), who, limits)
	if err != nil || missing == nil || len(missing.Methods) == 0 {
		return to, err
	}
	if missing.Due || missing.From.Sub(s.Pages.CurrentTime()) <= remindFor {
		return target.At(render.RequiredMethodPath), nil
	}
	return to, nil
}

// policyTexts say what holds for a person, in whole sentences.
func (s *Handlers) policyTexts(w i18n.Localizer, l policy.Limits) (list []string) {
	if d := s.Devices.TrustTime(l); d > 0 {
		list = append(list, w.Translate("policy.trust", "Time", w.FormatDuration(d)))
	} else {
		list = append(list, w.Translate("policy.trust.off"))
	}
	list = append(list, w.Translate("policy.session", "Idle", w.FormatDuration(l.Idle.Within(s.Sessions.Idle)),
		"Absolute", w.FormatDuration(l.Absolute.Within(s.Sessions.Absolute))))
	if l.Methods.Names != nil {
		list = append(list, w.Translate("policy.methods", "Methods", s.methodNames(w, l)))
	}
	if !l.Require.From.IsZero() {
		list = append(list, w.Translate("policy.require", "Date", w.FormatDate(l.Require.From)))
	}
	return list
}

// methodNames lists the methods that are allowed.
func (s *Handlers) methodNames(w i18n.Localizer, l policy.Limits) string {
	text := ""
	for _, m := range s.Challenges.Methods {
		about := m.Info()
		if !l.Allows(about.Method) {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += s.methodWords(w, about, "").Name
	}
	return text
}
