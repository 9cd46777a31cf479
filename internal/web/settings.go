package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

type settingsPage struct {
	Account   session.Account
	Methods   []methodRow
	Recommend []methodRow // what to set up besides what every account has; none: nothing is recommended
}

// methodRow is a method with what the person has of it.
type methodRow struct {
	Name, Title string
	To          string // its page; "" if it has none
	Given       bool
	Owned       []ownedRow
}

func (s *Site) settingsSheet(r *http.Request, who session.Session, all []enroll.Enrolled) page.Sheet {
	p := settingsPage{Account: who.Account}
	alone := true
	for _, o := range all {
		said := s.spoken(s.Pages.Words(r), o.About, "")
		row := methodRow{Name: said.Name, Title: said.Title, Given: o.Given, Owned: s.ownedRows(r, said, o.Factors)}
		switch {
		case o.Given:
			row.To = "/settings/email"
		case o.Path != "":
			row.To = "/settings/2step/" + o.Path
		}
		p.Methods = append(p.Methods, row)
		if !o.Given && !o.Spare && o.Path != "" {
			p.Recommend = append(p.Recommend, row)
		}
		alone = alone && (o.Given || o.Spare || len(o.Factors) == 0)
	}
	if !alone || s.Pages.Cookie(r, page.LaterCookie) != "" {
		p.Recommend = nil
	}
	return page.Sheet{Name: "settings", Title: "settings.title", Wide: true, Page: p}
}

func (s *Site) showSettings(w http.ResponseWriter, r *http.Request, who person) error {
	all, err := s.Enrollments.List(r.Context(), who.Session)
	if err != nil {
		return err
	}
	return s.print(w, r, s.settingsSheet(r, who.Session, all))
}

// later is for how long the recommendation is put off.
const later = 90 * 24 * time.Hour

func (s *Site) putOff(w http.ResponseWriter, r *http.Request, _ person) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	s.Pages.KeepCookie(w, page.LaterCookie, "1", later)
	return redirect(w, r, "/settings")
}
