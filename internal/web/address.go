package web

import (
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/render"
)

// addressPage has the token alone at first. Email, the new address, is known once the token was sent. The page does not
// name the account: an operator may have mistyped the address, and then the reader is a stranger.
type addressPage struct {
	ReturnTo     returnTo
	Token, Email string
}

func addressView(p addressPage) render.View {
	view := render.View{Template: "address", Title: "address.title", Data: p}
	if p.Email == "" {
		view.Focus = "token"
	}
	return view
}

// showAddress changes nothing: mail scanners that open links must not confirm an address.
func (s *Handlers) showAddress(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	return s.render(w, r, addressView(addressPage{ReturnTo: target.returnTo}))
}

// handleAddress takes two forms. The first has only the token, and shows the new address; it changes nothing. The second
// changes the address of the account. It does not sign in: access to a mailbox is one factor, not two.
func (s *Handlers) handleAddress(w http.ResponseWriter, r *http.Request, target returnTarget) error {
	form, err := render.ParseForm(w, r, "token", "confirm")
	if err != nil {
		return err
	}
	p := addressPage{ReturnTo: target.returnTo, Token: form["token"]}
	view := addressView(p)
	if view.Problems = emptyFieldProblems(form, tokenEmpty); view.Problems != nil {
		view.Status = http.StatusUnprocessableEntity
		return s.render(w, r, view)
	}
	if p.Email, err = s.Enrollments.FindProposedEmail(r.Context(), form["token"]); err != nil {
		return s.renderFormError(w, r, view, "token", err)
	}
	if form["confirm"] == "" {
		return s.render(w, r, addressView(p))
	}
	err = s.Enrollments.ConfirmProposedEmail(r.Context(), form["token"], s.Pages.Origin(r))
	if errors.Is(err, account.ErrLink) { // used by another request meanwhile
		return s.renderFormError(w, r, view, "token", err)
	}
	if err != nil {
		return s.renderFormError(w, r, addressView(p), "", err)
	}
	s.rememberEmail(w, p.Email)
	return redirect(w, r, target.At("/address/done"))
}
