package forwardauth

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed pages/ended.html
var endedHTML string

var endedTemplate = template.Must(template.New("ended").Parse(endedHTML))

// endedPage is the page for a form that was sent after the session had ended.
type endedPage struct{ Lang, Site, Title, Text, StartURL, Link, Back string }

// writeEnded responds to a form that a browser has sent without a session. A redirect to the sign-in would lose what the
// person entered, so the page leads to the sign-in in a new window: its link is the start page of the app, which
// redirects there and back. The page has no style sheet, because none can be loaded on the app's host.
func (a *Authorizer) writeEnded(w http.ResponseWriter, r *http.Request, req proxiedRequest) error {
	words := a.Pages.Localizer(r)
	var body bytes.Buffer
	err := endedTemplate.Execute(&body, endedPage{
		Lang: words.Tag(), Site: a.Pages.Site, StartURL: req.origin + "/",
		Title: words.Translate("forward.ended"), Text: words.Translate("forward.ended.text"),
		Link: words.Translate("forward.ended.link"), Back: words.Translate("forward.ended.back"),
	})
	if err != nil {
		return fmt.Errorf("forwardauth: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", words.Tag())
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(body.Bytes()) // an error means that the client has gone
	return nil
}
