package admin

import (
	"net/http"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

type keysPage struct {
	frame
	Keys      []grant.KeyInfo
	MayRotate bool
}

// showKeys lists the keys that sign tokens.
func (s *Handlers) showKeys(w http.ResponseWriter, r *http.Request, who operator) error {
	keys, err := s.Grants.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	p := keysPage{who.frame(r, "keys"), keys, who.may(onlyMaster)}
	return s.Pages.Render(w, r, newView("keys", "admin.keys.title", p))
}

// showRotate says what new keys do.
func (s *Handlers) showRotate(w http.ResponseWriter, r *http.Request, who operator) error {
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
		return redirect(w, r, "/admin/keys?done=waits")
	}
	return redirect(w, r, "/admin/keys?done=rotated")
}
