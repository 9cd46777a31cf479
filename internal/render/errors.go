package render

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
)

// What a door refuses before any handler reads it.
var (
	// ErrNotFound says that there is nothing at this address for this person.
	ErrNotFound = errors.New("no such page")
	// ErrMethodNotAllowed says that the address exists and the method does not.
	ErrMethodNotAllowed = errors.New("method not allowed")
	// ErrInvalidForm says that the form is not one that our pages send.
	ErrInvalidForm = errors.New("form not readable")
	// ErrBodyTooLarge says that the body is over MaxBody.
	ErrBodyTooLarge = errors.New("body too large")
	// ErrContentType says that the body is not a form.
	ErrContentType = errors.New("the body is not application/x-www-form-urlencoded in UTF-8")
	// ErrCrossSite says that another site made the browser send this.
	ErrCrossSite = errors.New("request from another site")
	// ErrUnknownHost says that the request names a host that this server is not.
	ErrUnknownHost = errors.New("not our host")
)

// errorEntry is what a person is told about one sentinel.
type errorEntry struct {
	err         error
	status      int
	title, text string // word keys; no title: "That did not work"
}

// errorTable is the only place where an error becomes a status and a sentence. An error
// that is not in it is a fault of ours. A test walks all Err… values of the rooms.
var errorTable = []errorEntry{
	{err: ErrNotFound, status: 404, title: "fault.notfound.title", text: "fault.notfound"},
	{err: ErrMethodNotAllowed, status: 405, title: "fault.method.title", text: "fault.method"},
	{err: ErrInvalidForm, status: 400, title: "fault.form.title", text: "fault.form"},
	{err: ErrBodyTooLarge, status: 413, title: "fault.large.title", text: "fault.large"},
	{err: ErrContentType, status: 415, title: "fault.type.title", text: "fault.type"},
	{err: ErrCrossSite, status: 403, title: "fault.crosssite.title", text: "fault.crosssite"},
	{err: ErrUnknownHost, status: 421, title: "fault.host.title", text: "fault.host"},

	{err: account.ErrCredentials, status: 422, text: "problem.credentials"},
	{err: challenge.ErrNoAttempt, status: 303}, // to /signin
	{err: session.ErrNoSession, status: 303},   // to /signin, and back afterwards
	{err: challenge.ErrUnknownMethod, status: 422, text: "problem.method"},
	{err: challenge.ErrTooManyGuesses, status: 429, text: "problem.tries"},
	{err: challenge.ErrLongCodeNeeded, status: 422, text: "problem.longer"},
	{err: ratelimit.ErrLimited, status: 429, title: "fault.wait.title", text: "fault.wait"},
	{err: account.ErrEmail, status: 422, text: "problem.email"},
	{err: account.ErrName, status: 422, text: "problem.name"},
	{err: account.ErrExists, status: 422, text: "problem.exists"},
	{err: account.ErrUnknown, status: 422, text: "problem.unknown"},
	{err: account.ErrLink, status: 422, text: "problem.link"},
	{err: session.ErrStepUpRequired, status: 303}, // to /settings/confirm
	{err: enroll.ErrNoPendingFactor, status: 303}, // to /settings
	{err: enroll.ErrTooManyFactors, status: 422, text: "problem.toomany"},
	{err: account.ErrSignUpClosed, status: 404, title: "fault.notfound.title", text: "fault.notfound"},

	{err: factor.ErrIncorrect, status: 422, text: "problem.code"},
	{err: factor.ErrCannotEnroll, status: 422, text: "problem.refused"},
	{err: factor.ErrMalformed, status: 422, text: "problem.code.malformed"},

	{err: seal.ErrHashQueueFull, status: 503, title: "fault.busy.title", text: "fault.busy"},
	{err: seal.ErrPasswordTooShort, status: 422, text: "problem.short"},
	{err: seal.ErrPasswordTooLong, status: 422, text: "problem.long"},
	{err: seal.ErrPasswordCommon, status: 422, text: "problem.common"},
	{err: seal.ErrPasswordContextSpecific, status: 422, text: "problem.guessable"},
	{err: seal.ErrPasswordNotText, status: 422, text: "problem.nottext"},
}

func findErrorEntry(err error) (errorEntry, bool) {
	for _, e := range errorTable {
		if errors.Is(err, e.err) {
			return e, true
		}
	}
	return errorEntry{}, false
}

// FieldErrorText is the status and the word key of an error that stands beside a field. An
// error without a sentence comes back as ok = false and is to be returned to Handle.
func FieldErrorText(err error) (status int, key string, ok bool) {
	e, found := findErrorEntry(err)
	return e.status, e.text, found && e.status == http.StatusUnprocessableEntity
}

// Handler answers one request, or says why it did not. It writes all or nothing
// before it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Handle makes an http.Handler of h and prints its errors.
func (p *Renderer) Handle(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p.handleError(w, r, err)
		}
	})
}

// ErrorHandler answers every request with the page of one error, for doors that decide
// outside this room, such as a CrossOriginProtection.
func (p *Renderer) ErrorHandler(err error) http.Handler {
	return p.Handle(func(http.ResponseWriter, *http.Request) error { return err })
}

// maxWaitInSeconds is the longest wait that is told in seconds; beyond, its end is told.
const maxWaitInSeconds = 90

// busyRetrySeconds is when somebody should come back who found all hashing places taken.
const busyRetrySeconds = 5

func (p *Renderer) handleError(w http.ResponseWriter, r *http.Request, err error) {
	e, known := findErrorEntry(err)
	switch {
	case errors.Is(err, session.ErrNoSession):
		// The cookie stays: another tab may have got a new one this very moment, and a
		// dead token opens nothing.
		http.Redirect(w, r, signInURL(r), http.StatusSeeOther)
	case errors.Is(err, session.ErrStepUpRequired):
		http.Redirect(w, r, StepUpURL(r.URL.RequestURI(), r.Method), http.StatusSeeOther)
	case errors.Is(err, enroll.ErrNoPendingFactor):
		http.Redirect(w, r, "/settings", http.StatusSeeOther)
	case errors.Is(err, challenge.ErrNoAttempt):
		http.Redirect(w, r, p.restartSignInURL(w, r), http.StatusSeeOther)
	case known:
		p.renderKnownError(w, r, e, err)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		w.WriteHeader(statusClientClosedRequest) // the reader has left; nobody sees this
	default:
		p.renderInternalError(w, r, err)
	}
}

// statusClientClosedRequest marks in the log that the reader left before the answer.
const statusClientClosedRequest = 499

// StepUpURL is the page of another full proof that leads back to the address, which is
// a page only if it was asked for with GET.
func StepUpURL(address, method string) string {
	if returnTo, ok := LocalPath(address); ok && method == http.MethodGet {
		return "/settings/confirm?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return "/settings/confirm"
}

// CookiesBlockedQuery marks the way of somebody whose browser came from a page of ours to one that
// follows on it, and brought no cookie along.
const CookiesBlockedQuery = "blocked"

// restartSignInURL is the sign-in page for somebody without a sign-in. If the browser seems to keep
// no cookies it is given one more, and the sign-in page sees whether that comes back.
func (p *Renderer) restartSignInURL(w http.ResponseWriter, r *http.Request) string {
	followedOwnLink := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	if !followedOwnLink || p.Cookie(r, ProbeCookie) != "" || p.Cookie(r, SignInCookie) != "" {
		return "/signin"
	}
	p.SetProbeCookie(w, r)
	return "/signin?" + CookiesBlockedQuery
}

// signInURL is the sign-in page that leads back to what was asked for.
func signInURL(r *http.Request) string {
	if returnTo, ok := LocalPath(r.URL.RequestURI()); ok && r.Method == http.MethodGet {
		return "/signin?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return "/signin"
}

func (p *Renderer) renderKnownError(w http.ResponseWriter, r *http.Request, e errorEntry, err error) {
	data := errorPage{Text: e.text, Description: e.err.Error()}
	if wait, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		data.Seconds = max(1, p.SecondsUntil(wait.RetryAt))
		if data.Seconds > maxWaitInSeconds {
			data.Text, data.Time = "fault.wait.until", p.FormatTime(p.Localizer(r), wait.RetryAt)
		}
	}
	if errors.Is(err, seal.ErrHashQueueFull) {
		data.Seconds = busyRetrySeconds
	}
	if data.Seconds > 0 {
		SetRetryAfter(w, data.Seconds)
	}
	p.renderError(w, r, e.status, e.title, data)
}

// SetRetryAfter tells programs when to come back.
func SetRetryAfter(w http.ResponseWriter, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
}

// renderInternalError logs an error of ours in full and tells the reader nothing but its number.
func (p *Renderer) renderInternalError(w http.ResponseWriter, r *http.Request, err error) {
	id := requestID(r.Context())
	p.logger().LogAttrs(r.Context(), slog.LevelError, "fault", slog.String("request", id), slog.Any("error", err))
	p.renderError(
		w,
		r,
		http.StatusInternalServerError,
		"fault.title",
		errorPage{Text: "fault.text", Description: "a fault of the server, number " + id, ID: id},
	)
}

// errorPage is what error.html prints.
type errorPage struct {
	Text        string // word key
	Description string // what a program is told instead: a sentinel's own words, nothing of the request
	Seconds     int
	Time        string
	ID          string // of a fault
}

func (p *Renderer) renderError(w http.ResponseWriter, r *http.Request, status int, title string, data errorPage) {
	if responseStarted(w) {
		return // a handler broke off after its page; there is no second answer
	}
	if slices.Contains(p.JSONErrorPaths, r.URL.Path) {
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
		p.logger().Error("fault", "request", data.ID, "error", err)
		http.Error(w, http.StatusText(status)+" "+data.ID, status)
	}
}

// writeJSONError answers a program the way it reads errors (RFC 6749 5.2).
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
