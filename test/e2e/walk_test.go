package e2e

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// walker is Anna with a browser that follows redirects over all origins, sends a form that would
// send itself, and takes both steps where she is asked to.
type walker struct {
	*live.Browser
	s     *live.Server
	t     *testing.T
	asked int // how often for the steps
}

func newWalker(t *testing.T, s *live.Server) *walker { return &walker{s.Browser(), s, t, 0} }

var (
	ownForm     = regexp.MustCompile(`<form method="post" action="([^"]+)" data-go>`)
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
)

// to goes to an address, and on until an app answers, or a page from which no way leads back to one.
func (w *walker) to(address string) live.Answer {
	w.t.Helper()
	a := w.send(http.MethodGet, address, nil)
	for range 20 {
		at := a.Request.URL
		form := ownForm.FindStringSubmatch(a.Body)
		switch {
		case a.StatusCode/100 == 3:
			next, err := at.Parse(a.Header.Get("Location"))
			if err != nil {
				w.t.Fatal(err)
			}
			a = w.send(http.MethodGet, next.String(), nil)
		case form != nil:
			values := url.Values{}
			for _, m := range hiddenField.FindAllStringSubmatch(a.Body, -1) {
				values.Set(m[1], html.UnescapeString(m[2]))
			}
			a = w.send(http.MethodPost, html.UnescapeString(form[1]), values)
		case (at.Path == "/signin" || at.Path == "/settings/confirm") && a.StatusCode == http.StatusOK && at.Query().Has("return_to"):
			a = w.steps(at.RequestURI())
		default:
			return a
		}
	}
	w.t.Fatalf("%s leads from one page to the next, lastly to %s", address, a.Request.URL)
	return a
}

// steps takes both, on the page that an app led to.
func (w *walker) steps(path string) live.Answer {
	w.t.Helper()
	w.asked++
	return w.BothSteps(path, "email", live.AnnaEmail, "password", live.AnnaPassword)
}

func (w *walker) send(method, address string, form url.Values) live.Answer {
	w.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html") // some clients send only somebody who reads pages to sign in
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return w.Do(r)
}

// says wants an answer to be from an app, and to hold the texts.
func (w *walker) says(a live.Answer, app string, texts ...string) {
	w.t.Helper()
	if at := a.Request.URL; at.Scheme+"://"+at.Host != app {
		w.t.Fatalf("%s answers (%d), not the app\n%s", at, a.StatusCode, a.Body)
	}
	for _, text := range texts {
		if !strings.Contains(a.Body, text) {
			w.t.Fatalf("the app does not say %q\n%s", text, a.Body)
		}
	}
}
