package web

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// returnTo is the return target of a page, as return_to in the address of that page and of all its forms and links has
// it; "": the settings. It belongs to the page and not to the browser: each tab leads to its own target.
type returnTo string

// At returns a path of this site that carries the target on.
func (t returnTo) At(path string) string {
	if t == "" {
		return path
	}
	return path + "?" + url.Values{"return_to": {string(t)}}.Encode()
}

// returnTarget is where the person goes after a sign-in or a change, and what that requires.
type returnTarget struct {
	returnTo
	grant.ReturnTarget
}

// parseReturnTarget reads the one return_to of a page, from its address or its form: a path of this site, or an
// authorization request of a registered app. It ignores any other or longer address, and several ones. It lets the
// forms of the response lead there, and returns the request in the language that the app asks for.
func (s *Handlers) parseReturnTarget(
	w http.ResponseWriter, r *http.Request, form render.FormValues,
) (*http.Request, returnTarget, error) {
	addresses := r.URL.Query()["return_to"]
	if sent := form["return_to"]; sent != "" && !slices.Contains(addresses, sent) {
		addresses = append(addresses, sent)
	}
	if len(addresses) != 1 || addresses[0] == "" || len(addresses[0]) > render.MaxReturnToLength {
		return r, returnTarget{}, nil
	}
	target := returnTarget{returnTo: returnTo(addresses[0])}
	_, local := render.LocalPath(addresses[0])
	if s.Grants == nil {
		if !local {
			target.returnTo = ""
		}
		return r, target, nil
	}
	var err error
	if target.ReturnTarget, err = s.Grants.ResolveReturnTarget(
		r.Context(), addresses[0], s.Pages.Browsers(r),
	); err != nil {
		return r, target, err
	}
	if !local && target.Origin == "" {
		return r, returnTarget{}, nil
	}
	render.AllowFormAction(w, target.Origin)
	if target.RequestToken != "" {
		render.KeepOpener(w)
	}
	return render.WithUILocales(r, target.UILocales), target, nil
}

// urlOrSettings returns the address to return to, /settings if there is none.
func (g returnTarget) urlOrSettings() string {
	if g.returnTo == "" {
		return "/settings"
	}
	return string(g.returnTo)
}

// linkQuery returns the query of links in mails that continue the sign-in of a page; "" if it leads to no app. It has
// no text that somebody else could choose.
func linkQuery(target returnTarget) string {
	if target.RequestToken == "" {
		return ""
	}
	return returnTo(grant.ContinueURL(target.RequestToken)).At("")
}

// accountTag is the field with the tag of the account that a page is about, in its forms and in what its script asks. A
// browser has one attempt and one session, and other tabs may have replaced them.
const accountTag = "page"

// errOtherAccount means that a form is from a page about another account. It is never used for this one.
var errOtherAccount = errors.New("web: the form of another account")

// accountTag returns the tag of an account.
func (s *Handlers) accountTag(accountID string) string {
	return base64.RawURLEncoding.EncodeToString(s.Challenges.Keys.MAC("page", accountID))
}

// checkAccountTag returns errOtherAccount if the tag is that of another account. A form without one may be sent.
func (s *Handlers) checkAccountTag(tag, accountID string) error {
	mac, err := base64.RawURLEncoding.DecodeString(tag)
	if tag != "" && (err != nil || !s.Challenges.Keys.VerifyMAC(mac, "page", accountID)) {
		return errOtherAccount
	}
	return nil
}

// parseAttemptForm reads a form of a page of an attempt. It returns errOtherAccount if it is of another account.
func (s *Handlers) parseAttemptForm(
	w http.ResponseWriter, r *http.Request, p attempt, fields ...string,
) (render.FormValues, error) {
	form, err := render.ParseForm(w, r, append(fields, accountTag)...)
	if err != nil {
		return nil, err
	}
	return form, s.checkAccountTag(cmp.Or(form[accountTag], r.URL.Query().Get(accountTag)), p.Account().ID)
}

// replacedView says that the form was not used, because another tab is in another account.
func replacedView(target returnTarget) render.View {
	view := noticeView(replaced, target.returnTo)
	view.Status = http.StatusConflict
	return view
}
