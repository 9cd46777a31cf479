package render

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
)

// Errors that the middleware and the handlers return for requests no page of this server sends.
var (
	// ErrNotFound means that this path has nothing for this person.
	ErrNotFound = errors.New("no such page")
	// ErrMethodNotAllowed means that the path exists, but not for this method.
	ErrMethodNotAllowed = errors.New("method not allowed")
	// ErrInvalidForm means that the form is not one that a page of this server sends.
	ErrInvalidForm = errors.New("form not readable")
	// ErrBodyTooLarge means that the body is larger than MaxBodyBytes.
	ErrBodyTooLarge = errors.New("body too large")
	// ErrHeadersTooLarge means that the headers are larger than those of a browser.
	ErrHeadersTooLarge = errors.New("headers too large")
	// ErrContentType means that the body is not a form.
	ErrContentType = errors.New("the body is not application/x-www-form-urlencoded in UTF-8")
	// ErrCrossSite means that a page of another site made the browser send the request.
	ErrCrossSite = errors.New("request from another site")
	// ErrUnknownHost means that the Host header names another host.
	ErrUnknownHost = errors.New("not our host")
	// ErrForwarded means that a proxy forwarded the request to a server in local mode.
	ErrForwarded = errors.New("this server is for its own machine only: set its public_url")
	// ErrInboxKey means that the request has no key for the inbox.
	ErrInboxKey = errors.New("no key for the inbox")
	// ErrClock means that the clock of this server is wrong.
	ErrClock = errors.New("the clock of this server is wrong")
)

// errorEntry is the status and the text for one error.
type errorEntry struct {
	err         error
	status      int
	title, text string // text keys; title "" means fault.refused.title
}

// errorTable maps each error that reaches a page to a status and a text. The rows with 303 are never shown: the browser
// is sent to sign in. An error that is not in the table is an internal error. TestErrorTableCoversEveryError walks the
// Err variables of the packages.
//
// The first row is first because an error can be several: a fault is never told as a wrong password or a missing
// session.
var errorTable = []errorEntry{
	{err: fault.ErrUnavailable, status: 503, title: "fault.unavailable.title", text: "fault.unavailable"},
	{err: ErrNotFound, status: 404, title: "fault.notfound.title", text: "fault.notfound"},
	{err: ErrMethodNotAllowed, status: 405, title: "fault.method.title", text: "fault.method"},
	{err: ErrInvalidForm, status: 400, title: "fault.form.title", text: "fault.form"},
	{err: ErrBodyTooLarge, status: 413, title: "fault.large.title", text: "fault.large"},
	{err: ErrHeadersTooLarge, status: 431, title: "fault.headers.title", text: "fault.headers"},
	{err: ErrContentType, status: 415, title: "fault.type.title", text: "fault.type"},
	{err: ErrCrossSite, status: 403, title: "fault.crosssite.title", text: "fault.crosssite"},
	{err: ErrUnknownHost, status: 421, title: "fault.host.title", text: "fault.host"},
	{err: ErrForwarded, status: 403, title: "fault.forwarded.title", text: "fault.forwarded"},
	{err: ErrInboxKey, status: 403, title: "fault.inbox.title", text: "fault.inbox"},
	{err: ErrClock, status: 503, title: "fault.clock.title", text: "fault.clock"},

	{err: account.ErrCredentials, status: 422, text: "problem.credentials"},
	{err: challenge.ErrNoAttempt, status: 303},     // to /signin
	{err: session.ErrMethodRequired, status: 303},  // to /settings/setup, and back afterwards
	{err: session.ErrNoSession, status: 303},       // to /signin, and back afterwards
	{err: challenge.ErrSetUpRequired, status: 303}, // to /settings/required, and back afterwards
	{err: challenge.ErrNoAllowedMethod, status: 403, title: "fault.nomethod.title", text: "fault.nomethod"},
	{err: challenge.ErrUnknownMethod, status: 422, text: "problem.method"},
	{err: challenge.ErrTooManyGuesses, status: 429, text: "problem.tries"},
	{err: challenge.ErrNoMoreCodes, status: 429, text: "verify.again.over"},
	{err: challenge.ErrLongCodeNeeded, status: 422, text: "problem.longer"},
	{err: ratelimit.ErrLimited, status: 429, title: "fault.wait.title", text: "fault.wait"},
	{err: account.ErrEmail, status: 422, text: "problem.email"},
	{err: account.ErrNumber, status: 422, text: "admin.test.notnumber"},
	{err: account.ErrGivenName, status: 422, text: "problem.name"},
	{err: account.ErrFamilyName, status: 422, text: "problem.name"},
	{err: account.ErrName, status: 422, text: "problem.name"},
	{err: account.ErrExists, status: 422, text: "problem.exists"},
	{err: account.ErrUnknown, status: 422, text: "problem.unknown"},
	{err: account.ErrRole, status: 422, text: "problem.role"},
	{err: account.ErrLastOperator, status: 422, text: "problem.lastoperator"},
	{err: account.ErrTwice, status: 422, text: "admin.invite.twice"},
	{err: account.ErrInvited, status: 422, text: "admin.invite.reserved"},
	{err: account.ErrTooMany, status: 422, text: "admin.invite.many"},
	{err: account.ErrNotPermitted, status: 404, title: "fault.notfound.title", text: "fault.notfound"},
	{err: account.ErrNoInvitation, status: 422, text: "admin.done.over"},
	{err: account.ErrChanged, status: 422, text: "admin.done.over"},
	{err: account.ErrDisabled, status: 422, text: "admin.done.over"},
	{err: account.ErrEnabled, status: 422, text: "admin.done.over"},
	{err: account.ErrNotFrozen, status: 422, text: "admin.done.over"},
	{err: deskcode.ErrNone, status: 422, text: "admin.done.over"},
	{err: deskcode.ErrOwnAccount, status: 422, text: "problem.desk.own"},
	{err: deskcode.ErrSameOperator, status: 422, text: "problem.desk.same"},
	{err: deskcode.ErrOtherOperator, status: 422, text: "problem.desk.other"},
	{err: deskcode.ErrNotAllowed, status: 422, text: "problem.desk.role"},
	{err: deskcode.ErrNoPassword, status: 422, text: "problem.desk.password"},
	{err: enroll.ErrNoFactor, status: 422, text: "admin.done.over"},
	{err: account.ErrLink, status: 422, text: "problem.link"},
	{err: session.ErrStepUpRequired, status: 303}, // to /settings/confirm
	{err: enroll.ErrNoPendingFactor, status: 303}, // to /settings
	{err: enroll.ErrTooManyFactors, status: 422, text: "problem.toomany"},
	{err: account.ErrFrozen, status: 403, title: "frozen.title", text: "fault.frozen"},
	{err: account.ErrSignUpClosed, status: 404, title: "fault.notfound.title", text: "fault.notfound"},

	{err: factor.ErrIncorrect, status: 422, text: "problem.code"},
	{err: factor.ErrCannotEnroll, status: 422, text: "problem.refused"},
	{err: factor.ErrMalformed, status: 422, text: "problem.code.malformed"},

	{err: fairqueue.ErrFull, status: 503, title: "fault.busy.title", text: "fault.busy"},
	{err: seal.ErrPasswordTooShort, status: 422, text: "problem.short"},
	{err: seal.ErrPasswordTooLong, status: 422, text: "problem.long"},
	{err: seal.ErrPasswordCommon, status: 422, text: "problem.common"},
	{err: seal.ErrPasswordContextSpecific, status: 422, text: "problem.guessable"},
	{err: seal.ErrPasswordNotText, status: 422, text: "problem.nottext"},
}

func findErrorEntry(err error) (errorEntry, bool) {
	if isFault(err) {
		return errorTable[0], true
	}
	for _, e := range errorTable {
		if errors.Is(err, e.err) {
			return e, true
		}
	}
	return errorEntry{}, false
}

// FieldErrorText returns the status and the text key of an error that is shown next to a field. If ok is false, return
// err to Handle instead.
func FieldErrorText(err error) (status int, key string, ok bool) {
	e, found := findErrorEntry(err)
	return e.status, e.text, found && e.status == http.StatusUnprocessableEntity
}

// Handler answers one request or returns an error. It must not write a response before it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Handle returns h as an http.Handler that renders the errors h returns.
func (p *Renderer) Handle(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p.handleError(w, r, err)
		}
	})
}

// ErrorHandler returns a handler that renders the page of err, for middleware such as http.CrossOriginProtection.
func (p *Renderer) ErrorHandler(err error) http.Handler {
	return p.Handle(func(http.ResponseWriter, *http.Request) error { return err })
}

// maxWaitInSeconds is the longest wait that is shown in seconds; a longer one is shown as the time it ends.
const maxWaitInSeconds = 90

func (p *Renderer) handleError(w http.ResponseWriter, r *http.Request, err error) {
	e, known := findErrorEntry(err)
	switch {
	case errors.Is(r.Context().Err(), context.Canceled) && (errors.Is(err, context.Canceled) || fault.Temporary(err)):
		w.WriteHeader(statusClientClosedRequest) // the client has closed the connection
	case fault.Temporary(err):
		p.renderKnownError(w, r, e, err)
	case errors.Is(err, session.ErrMethodRequired):
		http.Redirect(w, r, withTargets(SetupPath, targetsOf(r)), http.StatusSeeOther)
	case errors.Is(err, session.ErrNoSession):
		// Keep the cookie: another tab may have received a new one meanwhile, and an ended session grants nothing.
		http.Redirect(w, r, signInURL(targetsOf(r)...), http.StatusSeeOther)
	case errors.Is(err, session.ErrStepUpRequired):
		http.Redirect(w, r, StepUpURL(r.URL.RequestURI(), r.Method), http.StatusSeeOther)
	case errors.Is(err, challenge.ErrSetUpRequired):
		http.Redirect(w, r, RequiredMethodURL(r.URL.RequestURI(), r.Method), http.StatusSeeOther)
	case errors.Is(err, enroll.ErrNoPendingFactor):
		http.Redirect(w, r, "/settings", http.StatusSeeOther)
	case errors.Is(err, challenge.ErrNoAttempt):
		http.Redirect(w, r, p.restartSignInURL(w, r), http.StatusSeeOther)
	case known:
		p.renderKnownError(w, r, e, err)
	default:
		p.renderInternalError(w, r, err)
	}
}

// statusClientClosedRequest is the status in the log when the client closed the connection before the response.
const statusClientClosedRequest = 499

// StepUpURL returns the path of the step-up page. It leads back to address if that is a local path and the method is
// GET.
func StepUpURL(address, method string) string {
	if returnTo, ok := LocalPath(address); ok && method == http.MethodGet {
		return stepUpPath + "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return stepUpPath
}

// RequiredMethodURL returns the path of the page that leads through the set-up of another method. It leads back to
// address as StepUpURL does.
func RequiredMethodURL(address, method string) string {
	if returnTo, ok := LocalPath(address); ok && method == http.MethodGet {
		return RequiredMethodPath + "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return RequiredMethodPath
}

// RequiredMethodPath is the page that leads people through the set-up of a method that the policy requires.
const RequiredMethodPath = "/settings/required"

// CookiesBlockedQuery is the query parameter that restartSignInURL adds if the browser followed a link on this site but
// sent no cookie.
const CookiesBlockedQuery = "blocked"

// restartSignInURL returns the sign-in page for a request without an attempt, with its return target. If the browser
// does not seem to store cookies, it sets the probe cookie, and the sign-in page checks whether that comes back.
func (p *Renderer) restartSignInURL(w http.ResponseWriter, r *http.Request) string {
	followedOwnLink := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	if !followedOwnLink || p.Cookie(r, ProbeCookie) != "" || p.Cookie(r, SignInCookie) != "" {
		return signInURL(r.URL.Query()["return_to"]...)
	}
	p.SetProbeCookie(w, r)
	to := signInURL(r.URL.Query()["return_to"]...)
	if strings.Contains(to, "?") {
		return to + "&" + CookiesBlockedQuery
	}
	return to + "?" + CookiesBlockedQuery
}

// SetupPath is the page on which a person whom a desk code has signed in sets up a method, before anything else.
const SetupPath = "/settings/setup"

// stepUpPath is the page that asks for both steps again, and leads on.
const stepUpPath = "/settings/confirm"

// targetsOf returns where a person goes after signing in for a request: to the page, or on from a form or from the
// step-up that the sign-in makes needless.
func targetsOf(r *http.Request) []string {
	if r.Method == http.MethodGet && r.URL.Path != stepUpPath {
		return []string{r.URL.RequestURI()}
	}
	return r.URL.Query()["return_to"]
}

// signInURL returns the sign-in page that leads to the one target, if there is one. That page checks it.
func signInURL(targets ...string) string { return withTargets("/signin", targets) }

// withTargets returns a page that leads to the one target, if there is one.
func withTargets(page string, targets []string) string {
	if len(targets) != 1 || targets[0] == "" {
		return page
	}
	return page + "?" + url.Values{"return_to": targets}.Encode()
}

func (p *Renderer) renderKnownError(w http.ResponseWriter, r *http.Request, e errorEntry, err error) {
	data := errorPage{Text: e.text, Description: e.err.Error(), CanReload: e.status == http.StatusServiceUnavailable &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead)}
	if wait, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		data.Seconds = max(1, p.SecondsUntil(wait.RetryAt))
		if data.Seconds > maxWaitInSeconds {
			data.Text, data.Time = "fault.wait.until", p.FormatTime(p.Localizer(r), wait.RetryAt)
		}
	}
	if frozen, ok := errors.AsType[*account.FrozenError](err); ok {
		data.Time = p.FormatTime(p.Localizer(r), frozen.Until)
	}
	if e.status == http.StatusServiceUnavailable {
		data.Seconds = fault.RetrySeconds
		p.LogFault(err)
	}
	if data.Seconds > 0 {
		SetRetryAfter(w, data.Seconds)
	}
	p.renderError(w, r, e.status, e.title, data)
}

// TemporaryProblem returns the problem of a form that was refused by an error that passes, and sets the Retry-After
// header. Show the form again with status 503 and what was typed. It returns false for every other error.
func (p *Renderer) TemporaryProblem(w http.ResponseWriter, err error) (Problem, bool) {
	e, known := findErrorEntry(err)
	if !known || e.status != http.StatusServiceUnavailable {
		return Problem{}, false
	}
	p.LogFault(err)
	SetRetryAfter(w, fault.RetrySeconds)
	return Problem{Key: e.text}, true
}

// isFault reports whether err is a fault that passes. A full queue is none, also if a request has run out of time in
// it.
func isFault(err error) bool { return fault.Temporary(err) && !errors.Is(err, fairqueue.ErrFull) }

// LogFault logs a fault that passes, once a minute.
func (p *Renderer) LogFault(err error) {
	if p.Faults != nil && isFault(err) {
		p.Faults.Failed(err)
	}
}

// SetRetryAfter sets the Retry-After header.
func SetRetryAfter(w http.ResponseWriter, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// renderInternalError logs the error in full and shows only the request id.
func (p *Renderer) renderInternalError(w http.ResponseWriter, r *http.Request, err error) {
	id := RequestID(r.Context())
	p.logger().LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request", id), slog.Any("error", err))
	p.renderError(
		w,
		r,
		http.StatusInternalServerError,
		"fault.title",
		errorPage{Text: "fault.text", Description: "a fault of the server, number " + id, ID: id},
	)
}

// errorPage is the data of error.html.
type errorPage struct {
	Text        string // text key
	Description string // error_description for programs: the text of the error, nothing of the request
	Seconds     int
	Time        string
	CanReload   bool   // opening the page again may help
	ID          string // the request id of an internal error
}

func (p *Renderer) renderError(w http.ResponseWriter, r *http.Request, status int, title string, data errorPage) {
	if responseStarted(w) {
		return // the handler failed after it wrote a response
	}
	if p.JSONErrors != nil && p.JSONErrors(r.URL.Path) {
		if status == http.StatusNotFound && p.NotFoundHint != "" {
			data.Description += ": " + p.NotFoundHint
		}
		p.writeJSONError(w, status, data.Description)
		return
	}
	if title == "" {
		title = "fault.refused.title"
	}
	err := p.Render(
		w, r, View{Templates: errorTemplates(), Template: "error", Status: status, Title: title, Data: data},
	)
	if err != nil {
		p.logger().Error("rendering the error page failed", "request", data.ID, "error", err)
		http.Error(w, http.StatusText(status)+" "+data.ID, status)
	}
}

// writeJSONError writes an error for programs (RFC 6749 5.2).
func (p *Renderer) writeJSONError(w http.ResponseWriter, status int, cause string) {
	code := "invalid_request"
	switch {
	case status == http.StatusServiceUnavailable:
		code = "temporarily_unavailable"
	case status >= http.StatusInternalServerError:
		code = "server_error"
	}
	AllowCORS(w)
	_ = JSON(w, status, map[string]string{"error": code, "error_description": cause})
}
