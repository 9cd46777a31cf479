package web

import (
	"net/http"

	"twostep.example/twostep/internal/render"
)

// notice is a page that says what was done and where to continue. It has a path of its own, so that none of its text
// comes from a request.
type notice struct {
	Title    string // this and the other texts are text keys
	Texts    []string
	Link, To string // the button
	More     string // a second link; "": none
	MoreTo   string
}

var (
	forgotSent = notice{Title: "forgot.sent.title", Texts: []string{"forgot.sent.text", "forgot.sent.none"},
		Link: "forgot.back", To: "/signin", More: "forgot.again", MoreTo: "/forgot"}
	signUpSent = notice{Title: "signup.sent.title", Texts: []string{"signup.sent.text", "forgot.sent.none"},
		Link: "forgot.back", To: "/signin", More: "signup.again", MoreTo: "/signup"}
	resetDone = notice{
		Title: "reset.done.title", Texts: []string{"reset.done.text"}, Link: "signin.button", To: "/signin",
	}
	joinDone = notice{
		Title: "join.done.title", Texts: []string{"join.done.text"}, Link: "signin.button", To: "/signin",
	}
	addressDone = notice{
		Title: "address.done.title", Texts: []string{"address.done.text"}, Link: "signin.button", To: "/signin",
	}
	signOutDone = notice{
		Title: "signout.done.title", Texts: []string{"signout.done.text"}, Link: "signin.button", To: "/signin",
	}
	undoDone      = notice{Title: "undo.done.title", Texts: []string{"undo.done"}, Link: "undo.forgot", To: "/forgot"}
	undoRequested = notice{Title: "undo.requested.title", Texts: []string{"undo.requested", "undo.requested.then"},
		Link: "undo.signin", To: "/signin"}
	replaced = notice{
		Title: "replaced.title", Texts: []string{"replaced.text"}, Link: "replaced.button", To: "/signin",
	}
	passwordDone = notice{
		Title: "password.done.title", Texts: []string{"password.done.text"}, Link: "settings.back", To: "/settings",
	}
)

// noticeView returns the page of a notice, whose links carry the return target on.
func noticeView(n notice, back returnTo) render.View {
	n.To, n.MoreTo = back.At(n.To), back.At(n.MoreTo)
	return render.View{Template: "notice", Title: n.Title, Data: n}
}

func showNotice(s *Handlers, n notice) targetHandler {
	return func(w http.ResponseWriter, r *http.Request, target returnTarget) error {
		return s.render(w, r, noticeView(n, target.returnTo))
	}
}
