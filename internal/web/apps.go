package web

import (
	"net/http"
	"slices"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

type appsPage struct{ Apps []appRow }

// appRow is one app on the page.
type appRow struct {
	ID, Name  string   // ID is the PathID of the app
	ScopeKeys []string // text keys
	Since     time.Time
}

func appsView(allowed []grant.AuthorizedClient) render.View {
	var rows []appRow
	for _, a := range allowed {
		row := appRow{ID: a.Client.PathID(), Name: a.Client.DisplayName(), Since: a.AuthorizedAt}
		for _, scope := range []string{"email", "profile", "groups", "offline_access"} {
			if slices.Contains(a.Scope, scope) {
				row.ScopeKeys = append(row.ScopeKeys, "apps.knows."+scope)
			}
		}
		rows = append(rows, row)
	}
	return render.View{Template: "apps", Title: "apps.title", Wide: true, Data: appsPage{rows}}
}

func (s *Handlers) showApps(w http.ResponseWriter, r *http.Request, who signedIn) error {
	allowed, err := s.Grants.ListAuthorizedClients(r.Context(), who.Session)
	if err != nil {
		return err
	}
	return s.render(w, r, appsView(allowed))
}

// handleRevokeApp revokes the consent and the tokens of an app. At its next authorization request the person signs in
// again, and is asked for consent again if the app requires it.
func (s *Handlers) handleRevokeApp(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	id := r.PathValue("id")
	allowed, err := s.Grants.ListAuthorizedClients(r.Context(), who.Session)
	if err != nil {
		return err
	}
	for _, a := range allowed {
		if a.Client.PathID() == id {
			id = a.Client.ID
		}
	}
	if err := s.Grants.RevokeClientAccess(r.Context(), who.Session, id, s.Pages.Origin(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/apps")
}
