package forwardauth

import (
	"embed"
	"net/http"
	"sync"

	"twostep.example/twostep/internal/render"
)

//go:embed pages/*.html
var templateFiles embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(templateFiles, "pages") })

// endedPage is the page for a form that was sent without a session.
type endedPage struct{ StartURL string }

// writeEnded responds to a form that a browser has sent without a session. A redirect to the sign-in would lose what
// the person entered, so the page leads to the sign-in in a new window: its link is the start page of the app, which
// redirects there and back. The page is bare, because the app's host has none of our assets.
func (a *Authorizer) writeEnded(w http.ResponseWriter, r *http.Request, req proxiedRequest) error {
	return a.Pages.Render(w, r, render.View{
		Templates: templates(), Template: "ended", Bare: true, Status: http.StatusUnauthorized,
		Title: "forward.ended", Data: endedPage{req.origin + "/"},
	})
}
