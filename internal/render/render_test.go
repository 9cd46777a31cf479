package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
)

var now = time.Date(2026, 11, 5, 10, 2, 11, 0, time.UTC)

func newTestRenderer(log *bytes.Buffer) *Renderer {
	return &Renderer{Site: "Example", Secure: true, Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(log, nil))}
}

// newTestServer returns a server with one route for each kind of error.
func newTestServer(p *Renderer) http.Handler {
	fails := func(err error) Handler {
		return func(http.ResponseWriter, *http.Request) error { return err }
	}
	routes := []Route{
		{Pattern: "GET /fine", Handler: func(w http.ResponseWriter, r *http.Request) error {
			return p.Render(
				w,
				r,
				View{
					Templates: errorTemplates(),
					Template:  "error",
					Title:     "signin.title",
					Data:      errorPage{Text: "fault.text"},
				},
			)
		}},
		{Pattern: "GET /broken", Handler: fails(errors.New("secret detail <b>"))},
		{
			Pattern: "GET /panics",
			Handler: func(http.ResponseWriter, *http.Request) error { panic("secret detail <b>") },
		},
		{Pattern: "GET /busy", Handler: fails(fmt.Errorf("begin: %w", fairqueue.ErrFull))},
		{Pattern: "GET /unavailable", Handler: fails(fmt.Errorf("%w: %w", fault.ErrUnavailable, session.ErrNoSession))},
		{Pattern: "POST /late", Handler: fails(errors.Join(context.DeadlineExceeded, account.ErrCredentials))},
		{Pattern: "GET /wait", Handler: fails(&ratelimit.LimitedError{RetryAt: now.Add(23500 * time.Millisecond)})},
		{Pattern: "GET /settings", Access: AccessSession, Handler: fails(session.ErrNoSession)},
		{Pattern: "POST /settings", Access: AccessSession, Handler: fails(session.ErrNoSession)},
		{Pattern: "GET /change", Access: AccessSession, Handler: fails(session.ErrStepUpRequired)},
		{Pattern: "POST /change", Access: AccessSession, Handler: fails(session.ErrStepUpRequired)},
		{Pattern: "POST /draft", Access: AccessSession, Handler: fails(enroll.ErrNoPendingFactor)},
		{Pattern: "GET /signin/verify", Access: AccessAttempt, Handler: fails(challenge.ErrNoAttempt)},
		{Pattern: "POST /form", Handler: func(w http.ResponseWriter, r *http.Request) error {
			_, err := ParseForm(w, r, "email")
			return err
		}},
	}
	return p.Middleware(p.CheckRequests(p.NewMux(routes...)))
}

func sendRequest(h http.Handler, method, target, kind, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const urlencoded = "application/x-www-form-urlencoded"

// Every response, errors included, has every security header.
func TestSecurityHeadersOnEveryResponse(t *testing.T) {
	h := newTestServer(newTestRenderer(&bytes.Buffer{}))
	for _, c := range []struct {
		method, target, kind, body string
		status                     int
	}{
		{"GET", "/fine", "", "", 200},
		{"HEAD", "/fine", "", "", 200},
		{"GET", "/nothing", "", "", 404},
		{"GET", "/fine/x.css", "", "", 404},
		{"GET", "/assets/style.css", "", "", 404},
		{"GET", "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", "", "", 404},
		{"GET", "//evil.example/", "", "", 404},
		{"GET", "/fine/../fine", "", "", 404},
		{"POST", "/fine", urlencoded, "", 405},
		{"PUT", "/form", "", "", 405},
		{"OPTIONS", "/form", "", "", 405},
		{"GET", "/form", "", "", 405},
		{"POST", "/form", urlencoded, strings.Repeat("a", MaxBodyBytes+1), 413},
		{"POST", "/form", "application/json", "{}", 415},
		{"POST", "/form", urlencoded, "x=1", 400},
		{"GET", "/fine?" + strings.Repeat("a", maxQueryBytes+1), "", "", 400},
		{"GET", "/broken", "", "", 500},
		{"GET", "/panics", "", "", 500},
		{"GET", "/busy", "", "", 503},
		{"GET", "/unavailable", "", "", 503},
		{"POST", "/late", urlencoded, "", 503},
		{"GET", "/wait", "", "", 429},
		{"GET", "/settings", "", "", 303},
	} {
		w := sendRequest(h, c.method, c.target, c.kind, c.body)
		if w.Code != c.status {
			t.Errorf("%s %.60s: %d, want %d", c.method, c.target, w.Code, c.status)
		}
		checkSecurityHeaders(t, c.method+" "+c.target[:min(40, len(c.target))], w.Header())
		if w.Code != 303 && w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s %.60s: type %q", c.method, c.target, w.Header().Get("Content-Type"))
		}
	}
}

// On API paths errors are JSON with the error codes of RFC 6749 5.2, and an internal error shows only its id.
func TestJSONErrorsForAPIPaths(t *testing.T) {
	p := newTestRenderer(&bytes.Buffer{})
	p.NotFoundHint = "ask elsewhere"
	p.JSONErrors = func(path string) bool {
		return slices.Contains([]string{"/form", "/fine", "/broken", "/panics", "/busy", "/wait", "/unavailable", "/api//x"}, path)
	}
	h := newTestServer(p)
	for _, c := range []struct {
		method, target, kind, body string
		status                     int
		code, says                 string
	}{
		{"GET", "/form", "", "", 405, "invalid_request", "^method not allowed$"},
		{"POST", "/form", urlencoded, strings.Repeat("a", MaxBodyBytes+1), 413, "invalid_request", "^body too large$"},
		{"POST", "/form", "application/json", "{}", 415, "invalid_request",
			"^the body is not application/x-www-form-urlencoded in UTF-8$"},
		{"POST", "/form", urlencoded, "secret=1", 400, "invalid_request", "^form not readable$"},
		{"GET", "/fine?" + strings.Repeat("a", maxQueryBytes+1), "", "", 400, "invalid_request", "^form not readable$"},
		{"GET", "/api//x", "", "", 404, "invalid_request", "^no such page: ask elsewhere$"},
		{"GET", "/wait", "", "", 429, "invalid_request", "."},
		{"GET", "/busy", "", "", 503, "temporarily_unavailable", "."},
		{"GET", "/unavailable", "", "", 503, "temporarily_unavailable", "."},
		{"GET", "/broken", "", "", 500, "server_error", "^a fault of the server, number [A-Z2-7]{12}$"},
		{"GET", "/panics", "", "", 500, "server_error", "^a fault of the server, number [A-Z2-7]{12}$"},
	} {
		w := sendRequest(h, c.method, c.target, c.kind, c.body)
		if got := w.Header(); got.Get("Access-Control-Allow-Origin") != "*" ||
			got.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("%s %.40s: pages of other origins cannot read it: %v", c.method, c.target, got)
		}
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin") // otherwise the headers of a page
		checkSecurityHeaders(t, c.method+" "+c.target[:min(40, len(c.target))], w.Header())
		var said map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != c.status ||
			w.Header().Get("Content-Type") != "application/json" ||
			len(said) != 2 ||
			said["error"] != c.code ||
			!regexp.MustCompile(c.says).MatchString(said["error_description"]) {
			t.Errorf("%s %.40s: %d %q\n%.300s", c.method, c.target, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	for _, e := range errorTable { // RFC 6749 5.2: printable ASCII without quotes
		if !regexp.MustCompile(`^[ !#-\[\]-~]+$`).MatchString(e.err.Error()) {
			t.Errorf("%q cannot be an error_description", e.err)
		}
	}
}

func checkSecurityHeaders(t *testing.T, name string, h http.Header) {
	t.Helper()
	for key, want := range map[string]string{
		"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "publickey-credentials-get=(self), publickey-credentials-create=(self), otp-credentials=(self), camera=(), microphone=(), geolocation=()",
		"Cache-Control":                "no-store",
		"Vary":                         "Cookie, Accept-Language",
		"Strict-Transport-Security":    "max-age=31536000",
	} {
		if got := h[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s = %q", name, key, got)
		}
	}
}

// Subdomains may be served by others without https.
func TestHSTSIncludesSubdomainsOnlyIfTheOwnerSaysSo(t *testing.T) {
	p := newTestRenderer(&bytes.Buffer{})
	for on, want := range map[bool]string{false: "max-age=31536000", true: "max-age=31536000; includeSubDomains"} {
		p.HSTSSubdomains = on
		if got := sendRequest(newTestServer(p), "GET", "/fine", "", "").Header().Get("Strict-Transport-Security"); got != want {
			t.Errorf("%v: got %q, want %q", on, got, want)
		}
	}
}

func TestNoHSTSWithoutHTTPS(t *testing.T) {
	p := newTestRenderer(&bytes.Buffer{})
	p.Secure = false
	if got := sendRequest(newTestServer(p), "GET", "/fine", "",
		"").Header().Get("Strict-Transport-Security"); got != "" {
		t.Error(got)
	}
}

func TestMethodNotAllowedSendsAllowHeader(t *testing.T) {
	h := newTestServer(newTestRenderer(&bytes.Buffer{}))
	for target, want := range map[string]string{"/fine": "GET, HEAD", "/form": "POST", "/settings": "GET, HEAD, POST"} {
		if got := sendRequest(h, "DELETE", target, "", "").Header().Get("Allow"); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// The page shows the request id, the log has the error, and neither has the form.
func TestInternalErrorShowsOnlyRequestID(t *testing.T) {
	for _, target := range []string{"/broken?code=012345", "/panics?code=012345"} {
		var log bytes.Buffer
		w := sendRequest(newTestServer(newTestRenderer(&log)), "GET", target, "", "")
		if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "goroutine") {
			t.Error(w.Body)
		}
		_, rest, _ := strings.Cut(log.String(), "request=")
		id, _, _ := strings.Cut(rest, " ")
		if len(id) != 12 || !strings.Contains(w.Body.String(), id) {
			t.Errorf("%s: id %q is not on the page", target, id)
		}
		if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "status=500") ||
			strings.Contains(log.String(), "012345") {
			t.Error(log.String())
		}
	}
}

func TestRequestLogHasOneLineAndNoSecrets(t *testing.T) {
	var log bytes.Buffer
	h := newTestServer(newTestRenderer(&log))
	r := httptest.NewRequest("POST", "/form?secret=1", strings.NewReader("email=secret"))
	r.Header.Set("Content-Type", urlencoded)
	r.Header.Set("Cookie", "__Host-session=secret")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got := log.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "secret") ||
		!strings.Contains(got, "path=/form status=200") {
		t.Error(got)
	}
}

// Files and the polls of pages and monitoring are in the log at debug level only, unless they fail.
func TestRoutineRequestsAreLoggedAtDebugLevel(t *testing.T) {
	for _, row := range []struct {
		path   string
		status int
		want   slog.Level
	}{
		{"/assets/style.0123456789abcdef.css", 200, slog.LevelDebug},
		{"/assets/style.0123456789abcdef.css", 304, slog.LevelDebug},
		{"/assets/none.css", 404, slog.LevelInfo},
		{"/signin/status", 200, slog.LevelDebug},
		{"/settings/2step/app/status", 200, slog.LevelDebug},
		{"/signin/status", 500, slog.LevelInfo},
		{"/healthz", 200, slog.LevelDebug},
		{"/readyz", 200, slog.LevelDebug},
		{"/readyz", 503, slog.LevelInfo},
		{"/signin", 200, slog.LevelInfo},
		{"/status/signin", 200, slog.LevelInfo},
		{"/", 200, slog.LevelInfo},
	} {
		var log bytes.Buffer
		renderer := newTestRenderer(nil)
		renderer.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		h := renderer.LogAndRecover(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", row.path, nil))
		if got := log.String(); !strings.Contains(got, "level="+row.want.String()+" msg=request ") {
			t.Errorf("%s with %d: %s", row.path, row.status, got)
		}
	}
}

func TestMissingSessionRedirectsToSignIn(t *testing.T) {
	h := newTestServer(newTestRenderer(&bytes.Buffer{}))
	for _, c := range []struct{ method, target, location string }{
		{"GET", "/settings", "/signin?return_to=%2Fsettings"},
		{"GET", "/settings?a=b", "/signin?return_to=%2Fsettings%3Fa%3Db"},
		{"POST", "/settings", "/signin"},
		{"GET", "/signin/verify", "/signin"},
	} {
		w := sendRequest(h, c.method, c.target, "", "")
		if w.Code != 303 || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s: %d %q, want %q", c.method, c.target, w.Code, w.Header().Get("Location"), c.location)
		}
		if got := w.Header()["Set-Cookie"]; got != nil { // another tab may have received one meanwhile
			t.Errorf("%s: cookies %q", c.target, got)
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	h := newTestServer(newTestRenderer(&bytes.Buffer{}))
	for target, want := range map[string]string{"/busy": "5", "/wait": "24", "/unavailable": "5"} {
		if got := sendRequest(h, "GET", target, "", "").Header().Get("Retry-After"); got != want {
			t.Errorf("%s: %q, want %s", target, got, want)
		}
	}
	if w := sendRequest(h, "GET", "/wait", "", ""); !strings.Contains(w.Body.String(), "Please wait 24 seconds and try again.") {
		t.Error(w.Body)
	}
}

// Every exported error of the services has a status and a text in every language.
func TestErrorTableCoversEveryError(t *testing.T) {
	packages := map[string]map[string]error{
		"../account": {
			"ErrCredentials": account.ErrCredentials,
			"ErrEmail":       account.ErrEmail,
			"ErrName":        account.ErrName,
			"ErrGivenName":   account.ErrGivenName, "ErrFamilyName": account.ErrFamilyName,
			"ErrExists":       account.ErrExists,
			"ErrUnknown":      account.ErrUnknown,
			"ErrLink":         account.ErrLink,
			"ErrFrozen":       account.ErrFrozen,
			"ErrSignUpClosed": account.ErrSignUpClosed, "ErrRole": account.ErrRole, "ErrTwice": account.ErrTwice,
			"ErrNotPermitted": account.ErrNotPermitted, "ErrInvited": account.ErrInvited, "ErrTooMany": account.ErrTooMany,
			"ErrNoInvitation": account.ErrNoInvitation, "ErrChanged": account.ErrChanged, "ErrDisabled": account.ErrDisabled,
			"ErrEnabled": account.ErrEnabled, "ErrNotFrozen": account.ErrNotFrozen, "ErrLastOperator": account.ErrLastOperator,
			"ErrNumber": account.ErrNumber,
		},
		"../ratelimit": {"ErrLimited": ratelimit.ErrLimited},
		"../challenge": {"ErrNoAttempt": challenge.ErrNoAttempt, "ErrUnknownMethod": challenge.ErrUnknownMethod,
			"ErrTooManyGuesses": challenge.ErrTooManyGuesses, "ErrNoMoreCodes": challenge.ErrNoMoreCodes,
			"ErrLongCodeNeeded": challenge.ErrLongCodeNeeded, "ErrSetUpRequired": challenge.ErrSetUpRequired,
			"ErrNoAllowedMethod": challenge.ErrNoAllowedMethod},
		"../session": {"ErrNoSession": session.ErrNoSession, "ErrStepUpRequired": session.ErrStepUpRequired, "ErrMethodRequired": session.ErrMethodRequired},
		"../deskcode": {"ErrNone": deskcode.ErrNone, "ErrOwnAccount": deskcode.ErrOwnAccount, "ErrSameOperator": deskcode.ErrSameOperator,
			"ErrOtherOperator": deskcode.ErrOtherOperator, "ErrNotAllowed": deskcode.ErrNotAllowed, "ErrNoPassword": deskcode.ErrNoPassword},
		"../enroll":    {"ErrNoPendingFactor": enroll.ErrNoPendingFactor, "ErrNoFactor": enroll.ErrNoFactor, "ErrTooManyFactors": enroll.ErrTooManyFactors},
		"../fairqueue": {"ErrFull": fairqueue.ErrFull},
		"../fault":     {"ErrUnavailable": fault.ErrUnavailable},
		"../seal": {"ErrPasswordTooShort": seal.ErrPasswordTooShort,
			"ErrPasswordTooLong": seal.ErrPasswordTooLong, "ErrPasswordCommon": seal.ErrPasswordCommon,
			"ErrPasswordContextSpecific": seal.ErrPasswordContextSpecific,
			"ErrPasswordNotText":         seal.ErrPasswordNotText},
		"../../factor": {"ErrIncorrect": factor.ErrIncorrect, "ErrCannotEnroll": factor.ErrCannotEnroll,
			"ErrMalformed": factor.ErrMalformed},
		".": {"ErrNotFound": ErrNotFound, "ErrMethodNotAllowed": ErrMethodNotAllowed, "ErrInvalidForm": ErrInvalidForm,
			"ErrBodyTooLarge": ErrBodyTooLarge, "ErrContentType": ErrContentType, "ErrHeadersTooLarge": ErrHeadersTooLarge, "ErrCrossSite": ErrCrossSite,
			"ErrUnknownHost": ErrUnknownHost, "ErrClock": ErrClock,
			"ErrForwarded": ErrForwarded, "ErrInboxKey": ErrInboxKey},
	}
	for folder, known := range packages {
		for _, name := range errorVariables(t, folder) {
			if name == "ErrCannotOpen" {
				continue // an internal error: the page shows only the request id
			}
			e, ok := findErrorEntry(known[name])
			if known[name] == nil || !ok {
				t.Errorf("%s.%s is not in the table of errors.go (or not in this test)", folder, name)
				continue
			}
			checkErrorTexts(t, name, e)
		}
	}
}

func checkErrorTexts(t *testing.T, name string, e errorEntry) {
	t.Helper()
	for _, lang := range []string{"en", "de"} {
		for _, key := range []string{e.title, e.text} {
			if key != "" && i18n.ForTag(lang).Translate(key) == key {
				t.Errorf("%s: no text %s in %s", name, key, lang)
			}
		}
	}
	if e.text == "" && e.status != http.StatusSeeOther {
		t.Errorf("%s has no text", name)
	}
}

// errorVariables returns the names of the exported Err variables of a package.
func errorVariables(t *testing.T, folder string) []string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources in %s: %v", folder, err)
	}
	var names []string
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range declaredVariables(file) {
			if strings.HasPrefix(o, "Err") {
				names = append(names, o)
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("no Err variables in %s", folder)
	}
	return names
}

func declaredVariables(file *ast.File) []string {
	var names []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, n := range spec.(*ast.ValueSpec).Names {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// ParseForm refuses what no page sends.
func TestParseFormRejectsUnexpectedInput(t *testing.T) {
	long := url.Values{"password": {strings.Repeat("ä", 2000)}}.Encode()
	for _, c := range []struct {
		name, kind, body string
		want             error
	}{
		{"plain", urlencoded, "email=a%40b&password=x", nil},
		{"charset", urlencoded + "; charset=UTF-8", "email=a", nil},
		{"nothing", urlencoded, "", nil},
		{"a long password", urlencoded, long, nil},
		{"twice", urlencoded, "email=a&email=b", ErrInvalidForm},
		{"array", urlencoded, "email%5B%5D=a&email%5B%5D=b", ErrInvalidForm},
		{"unknown", urlencoded, "email=a&_method=PUT", ErrInvalidForm},
		{"NUL", urlencoded, "email=a%00", ErrInvalidForm},
		{"not UTF-8", urlencoded, "email=%ff", ErrInvalidForm},
		{"lone surrogate", urlencoded, "email=%ed%a0%80", ErrInvalidForm},
		{"bad escape", urlencoded, "email=%zz", ErrInvalidForm},
		{"semicolon", urlencoded, "email=a;password=b", ErrInvalidForm},
		{"65 keys", urlencoded, strings.Repeat("email=a&", 65), ErrInvalidForm},
		{"1 MB", urlencoded, "email=" + strings.Repeat("a", 1<<20), ErrBodyTooLarge},
		{"JSON", "application/json", `{"email":"a"}`, ErrContentType},
		{"text", "text/plain", "email=a", ErrContentType},
		{"multipart", "multipart/form-data; boundary=x", "--x--", ErrContentType},
		{"latin", urlencoded + "; charset=iso-8859-1", "email=a", ErrContentType},
		{"no type", "", "email=a", ErrContentType},
	} {
		r := httptest.NewRequest("POST", "/signin?password=query", strings.NewReader(c.body))
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		v, err := ParseForm(httptest.NewRecorder(), r, "email", "password")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if v["password"] == "query" {
			t.Errorf("%s: the query was read", c.name)
		}
	}
}

// A body without Content-Length is limited as well.
func TestParseFormLimitsBodyOfUnknownLength(t *testing.T) {
	r := httptest.NewRequest(
		"POST", "/form", io.MultiReader(strings.NewReader("email="), strings.NewReader(strings.Repeat("a", 1<<20))),
	)
	r.Header.Set("Content-Type", urlencoded)
	w := httptest.NewRecorder()
	newTestServer(newTestRenderer(&bytes.Buffer{})).ServeHTTP(w, r)
	if w.Code != 413 {
		t.Error(w.Code)
	}
}

func TestLocalPathRejectsOpenRedirects(t *testing.T) {
	for address, want := range map[string]bool{
		"/settings": true, "/": true, "/settings/": true,
		"/oauth2/authorize?a=b&c=https%3A%2F%2Fapp.example%2F": true, "/a%20b": true,
		"": false, "settings": false, "//evil.com": false, "///evil.com": false, `/\evil.com`: false,
		`\/evil.com`: false, `/\\evil`: false,
		"/%2f": false, "/%2f?a=b": false, "/%2f/evil.com": false, "/%2F%2Fevil.com": false, "/%5cevil.com": false,
		"/.//evil": false, "/..//evil.com": false, "/./evil": false, "/a/../b": false,
		"https://evil.com": false, "https:evil.com": false, "\thttps:evil": false, "/\t/evil.com": false,
		"/\n/evil": false, "/a\r\nSet-Cookie: x": false,
		"good.com@evil": false, "//good.com@evil": false, "javascript:alert(1)": false, "/a#b": false, " /a": false,
		"/ä": false, "/%00": false, "/%0d%0a": false, "/%zz": false,
		"/" + strings.Repeat("a", MaxReturnToLength): false,
	} {
		got, ok := LocalPath(address)
		if ok != want || ok && got != address || !ok && got != "" {
			t.Errorf("LocalPath(%.40q) = %.40q, %v, want %v", address, got, ok, want)
		}
	}
}

func TestCookieAttributesAndParsing(t *testing.T) {
	p := newTestRenderer(&bytes.Buffer{})
	w := httptest.NewRecorder()
	p.ClearCookie(w, SessionCookie)
	p.SetCookie(w, SignInCookie, "abc")
	p.SetCookie(w, SessionCookie, "Tok-en_1")
	want := []string{
		"__Host-signin=abc; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Host-session=Tok-en_1; Path=/; HttpOnly; Secure; SameSite=Lax",
	}
	if got := w.Header()["Set-Cookie"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q", got)
	}
	local := &Renderer{}
	w = httptest.NewRecorder()
	local.SetCookie(w, SessionCookie, "abc")
	if got := w.Header().Get("Set-Cookie"); got != "session=abc; Path=/; HttpOnly; SameSite=Lax" {
		t.Error(got)
	}
	for header, want := range map[string]string{
		"__Host-session=abc":                                       "abc",
		"a=b; __Host-session=abc; __Host-signin=x":                 "abc",
		"__Host-session=abc; __Host-session=abd":                   "",
		"__Host-session=abc; __Host-session=abc":                   "",
		"session=abc":                                              "",
		"__Host-session=":                                          "",
		"__Host-session=a.b":                                       "",
		`__Host-session="abc"`:                                     "",
		"__Host-session=" + strings.Repeat("a", maxCookieLength+1): "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", header)
		if got := p.Cookie(r, SessionCookie); got != want {
			t.Errorf("%.60s: %q, want %q", header, got, want)
		}
	}
}

// A token with characters that could change the attributes of a cookie is a panic.
func TestSetCookiePanicsOnInvalidValue(t *testing.T) {
	for _, token := range []string{"", "a; Domain=example.com", "a\r\nX: y", "ä"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was set", token)
				}
			}()
			newTestRenderer(&bytes.Buffer{}).SetCookie(httptest.NewRecorder(), SessionCookie, token)
		}()
	}
}

func TestAssetsAreImmutableAndCompressed(t *testing.T) {
	h := newTestServer(newTestRenderer(&bytes.Buffer{}))
	for name, a := range assets() {
		for _, encoding := range []string{"", "gzip, br"} {
			r := httptest.NewRequest("GET", a.path, nil)
			r.Header.Set("Accept-Encoding", encoding)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" ||
				w.Header().Get("Vary") != "Accept-Encoding" ||
				(w.Header().Get("Content-Encoding") == "gzip") != (encoding != "") ||
				w.Header().Get("Content-Type") == "" ||
				w.Header()["Set-Cookie"] != nil {
				t.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
		}
	}
}

// The error page is complete HTML in the language of the reader.
func TestErrorPageIsCompleteAndTranslated(t *testing.T) {
	r := httptest.NewRequest("GET", "/nothing", nil)
	r.Header.Set("Accept-Language", "de")
	w := httptest.NewRecorder()
	newTestServer(newTestRenderer(&bytes.Buffer{})).ServeHTTP(w, r)
	for _, want := range []string{`<html lang="de"`, "Seite nicht gefunden", "</html>"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
	if folder := os.Getenv("TWOSTEP_PAGES"); folder != "" {
		_ = os.WriteFile(filepath.Join(folder, "de-error.html"), w.Body.Bytes(), 0o644)
	}
}

func TestErrorHandlerRendersItsError(t *testing.T) {
	p := newTestRenderer(&bytes.Buffer{})
	if w := sendRequest(p.Middleware(p.CheckRequests(p.ErrorHandler(ErrCrossSite))), "POST", "/signin", urlencoded,
		""); w.Code != 403 ||
		!strings.Contains(w.Body.String(), "another site") {
		t.Error(w.Code, w.Body)
	}
	if w := sendRequest(p.Middleware(p.ErrorHandler(ErrUnknownHost)), "GET", "/", "", ""); w.Code != 421 {
		t.Error(w.Code)
	}
}

// A page that cannot be rendered is an internal error, and nothing of it is written.
func TestRenderWritesNothingOnTemplateError(t *testing.T) {
	p := newTestRenderer(&bytes.Buffer{})
	h := p.Middleware(p.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return p.Render(w, r, View{Templates: errorTemplates(), Template: "error", Data: struct{}{}})
	}))
	w := sendRequest(h, "GET", "/", "", "")
	if w.Code != 500 || strings.Count(w.Body.String(), "<h1>") != 1 ||
		!strings.Contains(w.Body.String(), "Something went wrong") {
		t.Error(w.Code, w.Body)
	}
}

// The script creates no markup and no code: the Content-Security-Policy forbids it.
func TestScriptUsesNoDOMInjectionSinks(t *testing.T) {
	script := string(assets()["script.js"].data)
	for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(",
		"Function(", "Storage", "cookie"} {
		if strings.Contains(script, sink) {
			t.Errorf("script.js has %s", sink)
		}
	}
}

// ErrStepUpRequired redirects to the step-up page, and back after a GET.
func TestStepUpRequiredRedirectsToConfirm(t *testing.T) {
	h := newTestServer(newTestRenderer(&bytes.Buffer{}))
	for request, want := range map[string]string{
		"GET /change?a=b": "/settings/confirm?return_to=%2Fchange%3Fa%3Db",
		"POST /change":    "/settings/confirm",
		"POST /draft":     "/settings",
	} {
		method, target, _ := strings.Cut(request, " ")
		if w := sendRequest(h, method, target, urlencoded, ""); w.Code != 303 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d %s", request, w.Code, w.Header().Get("Location"))
		}
	}
	if got := StepUpURL("//evil.example", "GET"); got != "/settings/confirm" {
		t.Error(got)
	}
}

// TitleText and Problem.Text are printed as they are, and escaped.
func TestLiteralTitlesAndProblemsAreEscaped(t *testing.T) {
	w := httptest.NewRecorder()
	p := newTestRenderer(&bytes.Buffer{})
	err := p.Render(
		w,
		httptest.NewRequest("GET", "/", nil),
		View{Templates: errorTemplates(), Template: "error", TitleText: "fault.title <b>",
			Problems: []Problem{{Key: "fault.text", Text: "fault.text <i>"}}, Data: errorPage{Text: "fault.text"}},
	)
	if text := w.Body.String(); err != nil || !strings.Contains(text, "<h1>fault.title &lt;b&gt;</h1>") ||
		!strings.Contains(text, "fault.text &lt;i&gt;") {
		t.Error(err, text)
	}
}

// A persistent cookie has the same attributes as a session cookie.
func TestSetPersistentCookie(t *testing.T) {
	w := httptest.NewRecorder()
	newTestRenderer(&bytes.Buffer{}).SetPersistentCookie(w, MethodCookie, "email", 48*time.Hour)
	if got := w.Header().Get("Set-Cookie"); got != "__Host-method=email; Path=/; Max-Age=172800; HttpOnly; Secure; SameSite=Lax" {
		t.Error(got)
	}
	defer func() {
		if recover() == nil {
			t.Error("an invalid value was set")
		}
	}()
	newTestRenderer(&bytes.Buffer{}).SetPersistentCookie(w, MethodCookie, "a; Domain=example.com", time.Hour)
}

// A request that failed because its client has gone is not a fault of the server: 499 in the log, and no line about the
// database.
func TestClientHasGone(t *testing.T) {
	var log bytes.Buffer
	p := newTestRenderer(&log)
	p.Faults = &fault.Log{Logger: p.Log, Now: p.Now, Failing: "it fails"}
	h := p.Middleware(p.Handle(func(http.ResponseWriter, *http.Request) error {
		return fmt.Errorf("begin: %w", fault.ErrUnavailable)
	}))
	gone, stop := context.WithCancel(t.Context())
	stop()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(gone))
	if got := log.String(); !strings.Contains(got, "status=499") || strings.Contains(got, "it fails") {
		t.Error(got)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if got := log.String(); !strings.Contains(got, "status=503") || strings.Count(got, "it fails") != 1 {
		t.Error(got)
	}
}
