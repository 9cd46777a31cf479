package admin

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

type keysPage struct {
	frame
	Keys      []grant.KeyInfo
	MayRotate bool
	RotateAt  time.Time // when new keys can be made; zero: now
}

// showKeys lists the keys that sign tokens.
func (s *Handlers) showKeys(w http.ResponseWriter, r *http.Request, who operator) error {
	keys, err := s.Grants.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	p := keysPage{who.frame(r, "keys"), keys, who.may(operatorsOnly), s.rotateAt(keys)}
	return s.Pages.Render(w, r, newView("keys", "admin.keys.title", p))
}

// rotateAt returns when new keys can be made; zero: now. Each algorithm has keys of its own.
func (s *Handlers) rotateAt(keys []grant.KeyInfo) (at time.Time) {
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.Algorithm] { // the newest comes first
			continue
		}
		seen[k.Algorithm] = true
		if next := k.CreatedAt.Add(grant.KeyRotationPause); !next.After(s.Pages.CurrentTime()) {
			return time.Time{}
		} else if at.IsZero() || next.Before(at) {
			at = next
		}
	}
	return at
}

// showRotate says what new keys do.
func (s *Handlers) showRotate(w http.ResponseWriter, r *http.Request, who operator) error {
	keys, err := s.Grants.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	if !s.rotateAt(keys).IsZero() {
		return redirect(w, r, "/admin/keys") // which says when
	}
	p := confirmPage{
		frame: who.frame(r, "keys"), Action: "/admin/keys/rotate", Back: "/admin/keys",
		Text: []string{"admin.rotate.text", "admin.rotate.after"}, Button: "admin.rotate.button",
	}
	return s.Pages.Render(w, r, newView("confirm", "admin.rotate.title", p))
}

// confirmPage says what a button will do.
type confirmPage struct {
	frame
	Action, Back string // where the form goes, and where the link leads
	Lead         string // whom it is about; "": nobody
	Email        string // a field of the form; "": there is none
	Text         []string
	Button       string
}

func (s *Handlers) handleRotate(w http.ResponseWriter, r *http.Request, who operator) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	created, err := s.Grants.RotateSigningKeys(r.Context(), who.actor(), s.Pages.Origin(r))
	if err != nil {
		return err
	}
	if created == 0 {
		return s.redirectDone(w, r, "/admin/keys", "waits")
	}
	return s.redirectDone(w, r, "/admin/keys", "rotated")
}
