package web

import (
	"net/http"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// returnTarget is where the person goes after a sign-in or a change, and what that requires.
type returnTarget struct {
	returnTo string // "": the settings
	grant.ReturnTarget
}

// parseReturnTarget reads the one address to return to: a path of this site, or an authorization request of a
// registered app. It ignores any other address. It lets the forms of the response lead there, and returns the request
// in the language that the app asks for.
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

// urlOrSettings returns the address to return to, /settings if there is none.
func (g returnTarget) urlOrSettings() string {
	if g.returnTo == "" {
		return "/settings"
	}
	return g.returnTo
}
