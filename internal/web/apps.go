package web

import (
	"net/http"
	"slices"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

type appsPage struct{ Apps []appRow }

// appRow is an app as the person sees it who uses it.
type appRow struct {
	ID, Name string
	Knows    []string // word keys
	Since    time.Time
}

func appsSheet(given []grant.Allowed) page.Sheet {
	var rows []appRow
	for _, a := range given {
		row := appRow{ID: a.App.ID, Name: a.App.Title(), Since: a.Since}
		for _, scope := range []string{"email", "profile", "groups", "offline_access"} {
			if slices.Contains(a.Scope, scope) {
				row.Knows = append(row.Knows, "apps.knows."+scope)
			}
		}
		rows = append(rows, row)
	}
	return page.Sheet{Name: "apps", Title: "apps.title", Wide: true, Page: appsPage{rows}}
}

func (s *Site) showApps(w http.ResponseWriter, r *http.Request, who person) error {
	given, err := s.Grants.Given(r.Context(), who.Session)
	if err != nil {
		return err
	}
	return s.print(w, r, appsSheet(given))
}

// withdraw takes from an app what the person has allowed it. The next time it asks, they sign
// in to it anew, and say again whether it may know them if it is somebody else's.
func (s *Site) withdraw(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	if err := s.Grants.Withdraw(r.Context(), who.Session, r.PathValue("id"), s.Pages.From(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/apps")
}
