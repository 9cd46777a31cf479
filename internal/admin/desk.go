package admin

import (
	"context"
	"errors"
	"net/http"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/render"
)

// mayGiveCode reports whether the operator may request a desk code for an account. Package deskcode decides it again.
func (o operator) mayGiveCode(d directory.Details) bool {
	return o.mayDo(action{roles: helpers}, d) && d.State != directory.StateDisabled
}

func (s *Handlers) deskRoutes() []render.Route {
	const path = "/admin/people/{id}/desk-code"
	return []render.Route{
		s.withRole("GET /admin/desk-codes", helpers, s.showDeskCodes),
		s.withRole("GET "+path, helpers, s.showDeskCode),
		s.withRole("POST "+path, helpers, s.handleAskDeskCode),
		s.withRole("POST "+path+"/show", helpers, s.handleShowDeskCode),
		s.withRole("POST "+path+"/approve", helpers, s.handleApproveDeskCode),
		s.withRole("POST "+path+"/refuse", helpers, s.handleRefuseDeskCode),
		s.withRole("POST "+path+"/cancel", helpers, s.handleCancelDeskCode),
	}
}

type deskListPage struct {
	frame
	Waiting []deskcode.Request
}

// showDeskCodes lists the requests that wait for a second operator.
func (s *Handlers) showDeskCodes(w http.ResponseWriter, r *http.Request, who operator) error {
	waiting, err := s.DeskCodes.List(r.Context())
	if err != nil {
		return err
	}
	return s.Pages.Render(w, r, newView("desk", "admin.desk.title", deskListPage{who.frame(r, "desk"), waiting}))
}

type deskPage struct {
	frame
	ID, Person, Email string
	State             string // of the request; "": there is none
	Mine              bool   // the operator has requested it
	Second            bool   // a second operator must approve a new request
	Code              string // to read out; "": none is shown
	deskcode.Request
}

// deskView returns the page of the desk code of an account, with what the operator may do. It returns
// render.ErrNotFound if that is nothing.
func (s *Handlers) deskView(r *http.Request, who operator) (render.View, error) {
	d, err := s.details(r)
	if err != nil {
		return render.View{}, err
	}
	if !who.mayGiveCode(d) {
		return render.View{}, render.ErrNotFound
	}
	p := deskPage{
		frame: who.frame(r, "people"), ID: d.ID, Person: d.Name, Email: d.Email,
		Second: s.DeskCodes.SecondOperator || d.Role != "",
	}
	open, err := s.DeskCodes.Find(r.Context(), d.ID)
	if err == nil {
		p.Request, p.State, p.Mine = open, open.State, open.IsBy(who.actor())
	} else if !errors.Is(err, deskcode.ErrNone) {
		return render.View{}, err
	}
	return newView("deskcode", p.title(), p), nil
}

// title returns the text key of the title.
func (p deskPage) title() string {
	switch p.State {
	case "":
		return "admin.desk.open"
	case deskcode.Waiting, deskcode.Approved, deskcode.Valid:
		return "admin.desk." + p.State + ".title"
	}
	return "admin.desk.title"
}

func (s *Handlers) showDeskCode(w http.ResponseWriter, r *http.Request, who operator) error {
	view, err := s.deskView(r, who)
	if err != nil {
		return err
	}
	return s.Pages.Render(w, r, view)
}

// handleAskDeskCode requests a code. If no second operator is needed, it shows the code: it is in this response only.
func (s *Handlers) handleAskDeskCode(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.changeDeskCode(w, r, who, "", s.DeskCodes.Ask)
}

func (s *Handlers) handleShowDeskCode(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.changeDeskCode(w, r, who, "", s.DeskCodes.Reveal)
}

func (s *Handlers) handleApproveDeskCode(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.changeDeskCode(w, r, who, "desk-approved", withoutCode(s.DeskCodes.Approve))
}

func (s *Handlers) handleRefuseDeskCode(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.changeDeskCode(w, r, who, "desk-refused", withoutCode(s.DeskCodes.Refuse))
}

func (s *Handlers) handleCancelDeskCode(w http.ResponseWriter, r *http.Request, who operator) error {
	return s.changeDeskCode(w, r, who, "desk-cancelled", withoutCode(s.DeskCodes.Withdraw))
}

// deskChange is a change of the desk code of an account.
type deskChange func(ctx context.Context, by account.By, who string) (deskcode.Shown, error)

func withoutCode(change func(context.Context, account.By, string) error) deskChange {
	return func(ctx context.Context, by account.By, who string) (deskcode.Shown, error) {
		return deskcode.Shown{}, change(ctx, by, who)
	}
}

// changeDeskCode makes a change, and shows the code or redirects to the page of the request, which says what was done.
func (s *Handlers) changeDeskCode(
	w http.ResponseWriter, r *http.Request, who operator, done string, change deskChange,
) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	view, err := s.deskView(r, who)
	if err != nil {
		return err
	}
	p := view.Data.(deskPage)
	here := "/admin/people/" + p.ID + "/desk-code"
	shown, err := change(r.Context(), s.by(r, who), p.ID)
	switch problem, ok := s.deskProblem(r, err); {
	case err == nil && shown.Code != "":
		p.Code, p.Request, p.State, p.Mine = shown.Code, shown.Request, shown.State, true
		return s.Pages.Render(w, r, newView("deskcode", "admin.desk.code.title", p))
	case err == nil && done != "":
		return s.redirectDone(w, r, here, done)
	case err == nil:
		return redirect(w, r, here)
	case errors.Is(err, deskcode.ErrNone):
		return s.redirectDone(w, r, here, "over")
	case ok:
		view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{problem}
		return s.Pages.Render(w, r, view)
	}
	return err
}

// deskProblem returns the text of an error that is shown with the request.
func (s *Handlers) deskProblem(r *http.Request, err error) (render.Problem, bool) {
	words := s.Pages.Localizer(r)
	if frozen, ok := errors.AsType[*account.FrozenError](err); ok {
		return render.Problem{Key: "problem.desk.frozen", Args: []any{"Time", s.Pages.FormatTime(words, frozen.Until)}}, true
	}
	if limited, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		at := s.Pages.FormatTime(words, limited.RetryAt)
		return render.Problem{Key: "problem.desk.limit", Args: []any{"Time", at}}, true
	}
	_, key, ok := render.FieldErrorText(err)
	return render.Problem{Key: key}, ok
}
