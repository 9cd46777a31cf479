package web

import (
	"net/http"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// returnTarget is where somebody goes once they are done here, and what that wants of them.
type returnTarget struct {
	returnTo string // "": nowhere in particular
	grant.ReturnTarget
}

// parseReturnTarget reads the one address to come back to: a path of this site, or an address of a
// registered app. Any other is ignored. It makes the answer one whose form may lead there,
// in the language that the app wants.
func (s *Handlers) parseReturnTarget(
	w http.ResponseWriter,
	r *http.Request,
	addresses ...string,
) (*http.Request, returnTarget, error) {
	var target returnTarget
	if len(addresses) != 1 || addresses[0] == "" {
		return r, target, nil
	}
	target.returnTo = addresses[0]
	_, local := render.LocalPath(target.returnTo)
	if s.Grants == nil {
		if !local {
			target.returnTo = ""
		}
		return r, target, nil
	}
	var err error
	if target.ReturnTarget, err = s.Grants.ResolveReturnTarget(r.Context(), target.returnTo); err != nil {
		return r, target, err
	}
	if !local && target.Origin == "" {
		return r, returnTarget{}, nil
	}
	render.AllowFormAction(w, target.Origin)
	return render.WithUILocales(r, target.UILocales), target, nil
}

// urlOrSettings is the address itself; for whoever came from nowhere, the settings.
func (g returnTarget) urlOrSettings() string {
	if g.returnTo == "" {
		return "/settings"
	}
	return g.returnTo
}
