package web

import (
	"net/http"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
)

// goal is where somebody goes once they are done here, and what that wants of them.
type goal struct {
	back string // "": nowhere in particular
	grant.Errand
}

// goal reads the one address to come back to: a path of this site, or an address of a
// registered app. Any other is ignored. It makes the answer one whose form may lead there,
// in the language that the app wants.
func (s *Site) goal(w http.ResponseWriter, r *http.Request, addresses ...string) (g goal, err error) {
	if len(addresses) != 1 || addresses[0] == "" {
		return g, nil
	}
	g.back = addresses[0]
	_, local := page.LocalPath(g.back)
	if s.Grants == nil {
		if !local {
			g.back = ""
		}
		return g, nil
	}
	if g.Errand, err = s.Grants.Errand(r.Context(), g.back); err != nil {
		return g, err
	}
	if !local && g.Origin == "" {
		return goal{}, nil
	}
	page.Lead(w, g.Origin)
	page.Speak(r, g.Locales)
	return g, nil
}

// home is the address itself; for whoever came from nowhere, the settings.
func (g goal) home() string {
	if g.back == "" {
		return "/settings"
	}
	return g.back
}
