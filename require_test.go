package twostep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/totp"
)

// logLines is a log that a test reads as it grows.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// about returns the lines with this message, and forgets all of them.
func (l *logLines) about(t *testing.T, message string) (found []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for d := json.NewDecoder(&l.text); ; {
		var line map[string]any
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			l.text.Reset()
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
}

// app is an app that embeds a server and has handlers of its own behind Require, and a browser that is signed in.
type app struct {
	t      *testing.T
	ts     *twostep.Server
	mux    *http.ServeMux
	url    string
	log    *logLines
	codes  chan string // of its mails
	client *http.Client
}

// embed starts an app and signs its browser in, with both steps.
func embed(t *testing.T, setups ...func(*twostep.Options)) *app {
	t.Helper()
	a := start(t, setups...)
	if err := a.ts.CreateAccount(t.Context(), twostep.AccountParams{
		Email: "anna@example.com", Name: "Anna", Password: "correct horse battery",
	}); err != nil {
		t.Fatal(err)
	}
	a.post("/signin", url.Values{"email": {"anna@example.com"}, "password": {"correct horse battery"}})
	a.post("/signin/verify", url.Values{"code": {<-a.codes}})
	a.log.about(t, "")
	return a
}

// start starts an app. Nobody is signed in.
func start(t *testing.T, setups ...func(*twostep.Options)) *app {
	t.Helper()
	dir, web := t.TempDir(), httptest.NewUnstartedServer(nil)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{
		t: t, mux: http.NewServeMux(), url: "http://" + web.Listener.Addr().String(),
		log: &logLines{}, codes: make(chan string, 10),
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a.client = &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: noRedirect}
	digits := regexp.MustCompile(`\b\d{6}\b`)
	o := twostep.Options{
		Database: filepath.Join(dir, "db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: a.url, Site: "Example",
		Methods: []factor.Method{email.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: func(_ context.Context, m delivery.Message) error {
			if code := digits.FindString(m.Text); code != "" {
				a.codes <- code
			}
			return nil
		}},
		Logger: slog.New(slog.NewJSONHandler(a.log, nil)),
	}
	for _, setup := range setups {
		setup(&o)
	}
	if a.ts, err = twostep.New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	a.mux.Handle("/", a.ts)
	web.Config.Handler = a.mux
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	web.Start()
	t.Cleanup(func() {
		web.Close()
		if err := a.ts.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// post sends a form of the server's own pages.
func (a *app) post(path string, form url.Values) {
	a.t.Helper()
	body := strings.NewReader(form.Encode())
	answer := a.do(a.request("POST", path, body, "Content-Type", "application/x-www-form-urlencoded"))
	if answer.StatusCode != http.StatusSeeOther {
		a.t.Fatalf("POST %s: %d", path, answer.StatusCode)
	}
}

func (a *app) request(method, path string, body io.Reader, header ...string) *http.Request {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func (a *app) do(r *http.Request) *http.Response {
	a.t.Helper()
	answer, err := a.client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

func text(t *testing.T, answer *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// whoami answers with the account.
func whoami(w http.ResponseWriter, r *http.Request) {
	account, ok := twostep.AccountFrom(r.Context())
	if !ok {
		account.Email = "nobody"
	}
	_, _ = io.WriteString(w, account.Email)
}

func TestRequireSignsIn(t *testing.T) {
	a := embed(t)
	a.mux.Handle("/reports", a.ts.Require(http.HandlerFunc(whoami)))
	if got := text(t, a.do(a.request("GET", "/reports?year=2026", nil))); got != "anna@example.com" {
		t.Errorf("the app serves %q", got)
	}
	a.post("/signout", nil)
	answer := a.do(a.request("GET", "/reports?year=2026", nil))
	to := answer.Header.Get("Location")
	if answer.StatusCode != http.StatusSeeOther || to != "/signin?return_to=%2Freports%3Fyear%3D2026" {
		t.Errorf("signed out: %d, to %q", answer.StatusCode, to)
	}
}

// A person who has to set up another method is led through that before the app, and who may not use the method of the
// session takes both steps again.
func TestRequireFollowsThePolicy(t *testing.T) {
	for where, rule := range map[string]twostep.PolicyRule{
		"/settings/required": {Require: time.Now().Add(-time.Hour)},
		"":                   {Require: time.Now().Add(time.Hour)},
	} {
		a := embed(t, func(o *twostep.Options) {
			o.Methods, o.Policy.All = append(o.Methods, totp.Method{}), rule
		})
		a.mux.Handle("/reports", a.ts.Require(http.HandlerFunc(whoami)))
		answer := a.do(a.request("GET", "/reports?year=2026", nil))
		want := where
		if want != "" {
			want += "?return_to=%2Freports%3Fyear%3D2026"
		}
		if to := answer.Header.Get("Location"); to != want {
			t.Errorf("%+v: %d to %q, want %q", rule, answer.StatusCode, to, want)
		}
		page := text(t, a.do(a.request("GET", "/settings/required?return_to=%2Freports", nil)))
		if !strings.Contains(page, "/settings/2step/app?return_to=%2Freports") ||
			strings.Contains(page, "Later") != (where == "") {
			t.Errorf("%+v: the page is %s", rule, page)
		}
	}
}

// Only the server's own settings stay open, where methods are set up: no page of the program whose path looks like one.
func TestRequireOpensOnlyTheSettingsOfTheServer(t *testing.T) {
	a := embed(t, func(o *twostep.Options) {
		o.Methods, o.Policy.All = append(o.Methods, totp.Method{}), twostep.PolicyRule{Require: time.Now().Add(-time.Hour)}
	})
	home, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	h := a.ts.Require(http.HandlerFunc(whoami))
	for path, open := range map[string]bool{
		"/settings": true, "/settings/required": true, "/settings/2step/app": true, "/settings/devices": true,
		"/settings/billing": false, "/settingsx": false, "/settings/": false, "/settings/../reports": false,
		"/reports/../settings": false, "//settings": false, "/reports": false, "/admin": false,
	} {
		r := a.request("GET", "", nil)
		r.URL.Path = path
		for _, c := range a.client.Jar.Cookies(home) {
			r.AddCookie(c)
		}
		r.Host = home.Host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		to := w.Header().Get("Location")
		if open != (w.Body.String() == "anna@example.com") || !open && !strings.HasPrefix(to, "/settings/required") {
			t.Errorf("%s: %d to %q, %s", path, w.Code, to, w.Body)
		}
	}
}

// A person in two groups that allow no method together is told so, and is not asked for both steps again and again.
func TestRequireWithoutAnAllowedMethod(t *testing.T) {
	a := embed(t, func(o *twostep.Options) {
		o.Methods = append(o.Methods, totp.Method{})
		o.Policy.Groups = map[string]twostep.PolicyRule{"a": {Methods: []string{"email"}}, "b": {Methods: []string{"totp"}}}
	})
	a.mux.Handle("/reports", a.ts.Require(http.HandlerFunc(whoami)))
	if answer := a.do(a.request("GET", "/reports", nil)); answer.StatusCode != http.StatusOK {
		t.Errorf("in no group: %d", answer.StatusCode)
	}
	if err := a.ts.SetGroups(t.Context(), twostep.By{}, "anna@example.com", []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	answer := a.do(a.request("GET", "/reports", nil))
	page := text(t, answer)
	if answer.StatusCode != http.StatusForbidden || !strings.Contains(page, "methods aren&#39;t allowed here") {
		t.Errorf("in both groups: %d to %q, %s", answer.StatusCode, answer.Header.Get("Location"), page)
	}
}

// A request that another site made the browser send does not reach the app as the person.
func TestRequireRefusesOtherSites(t *testing.T) {
	a := embed(t)
	served := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { served++; whoami(w, r) })
	a.mux.Handle("/reports", a.ts.Require(h))
	a.mux.Handle("/events", a.ts.RequireStreaming(h))
	for _, one := range []struct {
		name, method, path string
		header             []string
		want               int
	}{
		{"other origin", "POST", "/reports", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"other site", "POST", "/reports", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"same site, other origin", "DELETE", "/reports", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"null origin", "PUT", "/reports", []string{"Origin", "null"}, http.StatusForbidden},
		{"stream", "POST", "/events", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"own page", "POST", "/reports", []string{"Origin", a.url, "Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		{"program", "POST", "/reports", nil, http.StatusOK},
		{"link on another site", "GET", "/reports", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusOK},
	} {
		served = 0
		answer := a.do(a.request(one.method, one.path, strings.NewReader("{}"), one.header...))
		if answer.StatusCode != one.want || (served == 1) != (one.want == http.StatusOK) {
			t.Errorf("%s: %d, and the app served %d, want %d", one.name, answer.StatusCode, served, one.want)
		}
	}
}

// A name that somebody else made point here (DNS rebinding) is refused, also at the paths of health checks.
func TestRequireRefusesOtherHosts(t *testing.T) {
	a := embed(t)
	h := a.ts.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the app is asked") }))
	a.mux.Handle("/reports", h)
	a.mux.Handle("/healthz", h)
	for _, path := range []string{"/reports", "/healthz"} {
		r := a.request("GET", path, nil)
		r.Host = "evil.example"
		if answer := a.do(r); answer.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s of another host: %d", path, answer.StatusCode)
		}
	}
}

func TestRequireLogs(t *testing.T) {
	a := embed(t)
	a.mux.Handle("/reports", a.ts.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})))
	a.do(a.request("POST", "/reports?secret=1", nil))
	lines := a.log.about(t, "request")
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	line := lines[0]
	if id, _ := line["request"].(string); len(id) != 12 || line["method"] != "POST" || line["path"] != "/reports" ||
		line["status"] != float64(http.StatusTeapot) {
		t.Errorf("got %v", line)
	}
}

// A panic is logged with the id that its page shows. The server goes on.
func TestRequireRecovers(t *testing.T) {
	a := embed(t)
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret reason") })
	a.mux.Handle("/broken", a.ts.Require(h))
	answer := a.do(a.request("GET", "/broken", nil))
	page := text(t, answer)
	faults := a.log.about(t, "request failed")
	if answer.StatusCode != http.StatusInternalServerError || len(faults) != 1 {
		t.Fatalf("%d, %d faults", answer.StatusCode, len(faults))
	}
	id, _ := faults[0]["request"].(string)
	if reason, _ := faults[0]["error"].(string); !strings.Contains(reason, "secret reason") || id == "" {
		t.Errorf("the log has %v", faults[0])
	}
	if !strings.Contains(page, id) || strings.Contains(page, "secret") {
		t.Errorf("the page shows\n%s", page)
	}
}

// Half of an answer does not look like a whole one: the connection breaks off. The fault and the request are in the
// log.
func TestRequireBreaksOff(t *testing.T) {
	a := embed(t)
	a.mux.Handle("/broken", a.ts.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic("no more")
	})))
	answer := a.do(a.request("GET", "/broken", nil))
	if body, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("the client takes %q for all of it", body)
	}
	a.log.mu.Lock()
	said := a.log.text.String()
	a.log.mu.Unlock()
	if !strings.Contains(said, "no more") || !strings.Contains(said, `"path":"/broken","status":200`) {
		t.Errorf("the log has\n%s", said)
	}
}

// The context of a request ends in time, and that of a stream does not.
func TestRequireEndsInTime(t *testing.T) {
	a := embed(t)
	var deadline time.Time
	var limited bool
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { deadline, limited = r.Context().Deadline() })
	a.mux.Handle("/reports", a.ts.Require(h))
	a.mux.Handle("/events", a.ts.RequireStreaming(h))
	a.mux.Handle("/events/short", a.ts.RequireStreaming(a.ts.Require(h)))
	for _, path := range []string{"/reports", "/events/short"} {
		before := time.Now()
		a.do(a.request("GET", path, nil))
		if !limited || deadline.Before(before) || deadline.After(time.Now().Add(10*time.Second)) {
			t.Errorf("%s ends at %v (%v)", path, deadline, limited)
		}
	}
	if a.do(a.request("GET", "/events", nil)); limited {
		t.Errorf("the stream ends at %v", deadline)
	}
}

// The app's bodies may be larger than the server's own forms, and of any type.
func TestRequireLeavesBodiesAlone(t *testing.T) {
	a := embed(t)
	a.mux.Handle("/upload", a.ts.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != 1<<20 || r.URL.Path != "/upload//a/../b" {
			t.Errorf("%d bytes at %s: %v", n, r.URL.Path, err)
		}
		w.WriteHeader(http.StatusCreated)
	})))
	r := a.request("PUT", "/upload", bytes.NewReader(make([]byte, 1<<20)), "Content-Type", "application/octet-stream")
	direct := httptest.NewRequest("PUT", "/upload", r.Body)
	direct.URL.Path, direct.Host, direct.Header = "/upload//a/../b", r.URL.Host, r.Header
	direct.URL.RawQuery = strings.Repeat("q", 20<<10)
	for _, c := range a.client.Jar.Cookies(r.URL) {
		direct.AddCookie(c)
	}
	h, _ := a.mux.Handler(a.request("PUT", "/upload", nil))
	answer := httptest.NewRecorder()
	if h.ServeHTTP(answer, direct); answer.Code != http.StatusCreated {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// What is flushed arrives while the handler still works, in both ways of the standard library.
func TestRequireStreams(t *testing.T) {
	a := embed(t)
	read := make(chan struct{})
	a.mux.Handle("/events", a.ts.RequireStreaming(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flusher, ok := w.(http.Flusher)
		if !ok {
			t.Error("no http.Flusher")
			return
		}
		flusher.Flush() // the headers alone
		<-read
		_, _ = io.WriteString(w, "one\n")
		flusher.Flush()
		<-read
		control := http.NewResponseController(w)
		_, _ = io.WriteString(w, "two\n")
		deadline := control.SetWriteDeadline(time.Now().Add(time.Minute))
		if err := errors.Join(deadline, control.EnableFullDuplex(), control.Flush()); err != nil {
			t.Error(err)
		}
		<-read
	})))
	answer := a.do(a.request("GET", "/events", nil))
	read <- struct{}{}
	for _, want := range []string{"one\n", "two\n"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
		read <- struct{}{}
	}
}

// A handler may take the connection over, as WebSockets do.
func TestRequireHijacks(t *testing.T) {
	a := embed(t)
	a.mux.Handle("/socket", a.ts.RequireStreaming(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, _ := buffer.ReadString('\n')
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"+line)
	})))
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := a.request("GET", "/socket", nil, "Connection", "Upgrade", "Upgrade", "echo")
	for _, c := range a.client.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if got, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(got), "\r\n\r\nhello\n") {
		t.Errorf("%q, %v", got, err)
	}
}

// One request is one line in the log, however many handlers behind Require it passes, the server's own pages included.
func TestRequireInsideRequire(t *testing.T) {
	a := embed(t)
	inner := http.NewServeMux()
	inner.Handle("/area/reports", a.ts.Require(a.ts.RequireStreaming(http.HandlerFunc(whoami))))
	inner.Handle("/area/settings", http.StripPrefix("/area", a.ts))
	a.mux.Handle("/area/", a.ts.Require(inner))
	a.log.about(t, "")
	for path, want := range map[string]string{"/area/reports": "anna@example.com", "/area/settings": "anna@example.com"} {
		answer := a.do(a.request("GET", path, nil))
		if got := text(t, answer); answer.StatusCode != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("%s: %d %q", path, answer.StatusCode, got)
		}
		if lines := a.log.about(t, "request"); len(lines) != 1 || lines[0]["path"] != path {
			t.Errorf("%s: the log has %v", path, lines)
		}
	}
	// What is refused at the outer one is refused: the inner ones do not open it.
	answer := a.do(a.request("POST", "/area/reports", nil, "Origin", "https://evil.example"))
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("other origin: %d", answer.StatusCode)
	}
}

// Behind the Require of one server, another server still has its own guards and its own session.
func TestRequireOfAnotherServer(t *testing.T) {
	a, other := embed(t), start(t)
	a.mux.Handle("/both", a.ts.Require(other.ts.Require(http.HandlerFunc(whoami))))
	if answer := a.do(a.request("GET", "/both", nil)); answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("%d", answer.StatusCode)
	}
}
