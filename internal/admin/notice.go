package admin

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/render"
)

// notices are what a page may say, beside the names of actions. The text keys begin with admin.done.
var notices = []string{"rotated", "waits", "over", "invited", "resent", "revoked", "app-added", "app-changed", "app-rotated",
	"app-ended", "app-removed", "desk-approved", "desk-refused", "desk-cancelled", "unsent"}

const (
	noticeTime = time.Minute      // until the page after a redirect is open
	stepUpTime = 20 * time.Minute // until the person has taken both steps
)

// maxNoticePath is how long the path of a page may be that says what was done. Cookies are limited.
const maxNoticePath = 256

// redirect answers a POST, so that reload and Back send nothing again.
func redirect(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// redirectDone answers a POST that changed something. The page at path says what was done, once: a notice in the address
// would be shown to everybody who follows a link with it.
func (s *Handlers) redirectDone(w http.ResponseWriter, r *http.Request, path, done string) error {
	s.setNotice(w, done, path, noticeTime)
	return redirect(w, r, path)
}

// setNotice lets the next page at path say what was done.
func (s *Handlers) setNotice(w http.ResponseWriter, done, path string, within time.Duration) {
	if len(path) > maxNoticePath { // no page of ours
		return
	}
	value := base64.RawURLEncoding.EncodeToString([]byte(done + " " + path))
	s.Pages.SetPersistentCookie(w, render.NoticeCookie, value, within)
}

// takeNotice returns the text key of the notice for the page of a request, and removes it; "" if there is none.
func (s *Handlers) takeNotice(w http.ResponseWriter, r *http.Request) string {
	text, err := base64.RawURLEncoding.DecodeString(s.Pages.Cookie(r, render.NoticeCookie))
	done, path, _ := strings.Cut(string(text), " ")
	if err != nil || path != r.URL.Path || r.Method != http.MethodGet {
		return ""
	}
	s.Pages.ClearCookie(w, render.NoticeCookie)
	isAction := slices.ContainsFunc(actions(), func(a action) bool { return a.name == done })
	if !isAction && !slices.Contains(notices, done) {
		return ""
	}
	return "admin.done." + done
}
