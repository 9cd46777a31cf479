package forwardauth

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"unicode"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/session"
)

// verdict is where a request stands: grant.Request.Next decides here as for OpenID Connect.
type verdict struct {
	grant.Standing
	grant   string // the id of the grant of the host's cookie
	step    grant.Step
	refusal string
}

// scope is what a host learns of a person, for the page on which somebody allows an app of
// somebody else's.
func scope() []string { return []string{"email", "profile", "groups"} }

// answer is yes with who it is, or no.
func (s *Site) answer(w http.ResponseWriter, r *http.Request, app grant.App, about asked, began moment) error {
	v, err := s.decide(r, app, about)
	switch {
	case err != nil:
		return err
	case v.step == grant.StepAllowed:
		said := told(v.Standing)
		began.basis = began.basis.Of(v.grant, *v.Who)
		s.memory.keep(s.browser(r, about), began, said)
		said.say(w)
		return nil
	case v.step == grant.StepRefused:
		if v.Who != nil && about.navigates(r) { // not for each part of a page
			if err := s.Grants.Deny(r.Context(), *v.Who, app.ID, v.refusal, s.Pages.From(r)); err != nil {
				return err
			}
		}
		return s.no(w, r, app, v.refusal)
	case about.quiet || !about.navigates(r):
		return s.say(w, r, http.StatusUnauthorized, "forward.signin")
	}
	return s.leave(w, r, about)
}

// decide says what is missing until the host may answer this browser.
func (s *Site) decide(r *http.Request, app grant.App, about asked) (v verdict, err error) {
	who, id, err := s.who(r, app, about)
	if err != nil {
		return v, err
	}
	v.grant = id
	request := grant.Request{App: app.ID, Redirect: about.redirect(), Scope: scope(), Asked: s.Grants.Now()}
	if v.Standing, err = s.Grants.Standing(r.Context(), request, who); err != nil {
		return v, err
	}
	v.step, v.refusal = request.Next(v.Standing)
	return v, nil
}

// who is the person whose session the host's cookie goes back to, and the id of the cookie's grant; nil: nobody.
func (s *Site) who(r *http.Request, app grant.App, about asked) (who *session.Session, id string, err error) {
	token := s.Pages.Cookie(r, page.AppCookie)
	if token == "" {
		return nil, "", nil
	}
	of, err := s.Grants.AtHost(r.Context(), token)
	if errors.Is(err, grant.ErrInvalid) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if of.App != app.ID || of.Redirect() != about.redirect() {
		return nil, "", nil // it is another host's
	}
	found, err := s.Sessions.GetByID(r.Context(), of.Session)
	if errors.Is(err, session.ErrNoSession) {
		return nil, "", nil
	}
	if err != nil || found.Account.ID != of.Account {
		return nil, "", err
	}
	return &found, of.ID, nil
}

// yes is who it is, as headers. Every header is there in every yes, if need be empty, so that a
// proxy that copies them overwrites what a client has sent under these names.
type yes map[string][]string

func told(of grant.Standing) yes {
	who := of.Who.Account
	return yes{
		"Remote-User": {visible(of.Subject)}, "Remote-Email": {visible(who.Email)}, "Remote-Name": {visible(who.Name)},
		"Remote-Groups": {visible(strings.Join(who.Groups, ","))}, "Remote-Amr": {strings.Join(of.Who.AMR, " ")}, "Remote-Acr": {of.Who.Level().ACR()},
	}
}

func (y yes) say(w http.ResponseWriter) {
	maps.Copy(w.Header(), y)
	w.WriteHeader(http.StatusOK)
}

// visible is a text without what would end a header.
func visible(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}

// no is for somebody whom signing in again would not help.
func (s *Site) no(w http.ResponseWriter, r *http.Request, app grant.App, refusal string) error {
	key := "forward.denied"
	if refusal == "unmet_authentication_requirements" {
		key = "forward.unmet"
	}
	return s.say(w, r, http.StatusForbidden, key, "App", app.Title())
}
