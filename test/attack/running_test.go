package attack

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// Ben is the second account, where a test needs one.
const (
	benEmail    = "ben@example.org"
	benPassword = "seventeen brown jars"
)

// server is a running server.
type server struct{ *live.Server }

// start runs a server on the database at url ("": a new SQLite file). Its clock begins a minute after
// midnight UTC, so that no limit of an hour or a day is reset by chance.
func start(t testing.TB, url string, setups ...live.Setup) *server {
	t.Helper()
	h := &server{live.Start(t, url, setups...)}
	h.Turn(time.Until(time.Now().Truncate(24 * time.Hour).Add(24*time.Hour + time.Minute)))
	return h
}

// eachDatabase runs a test on both databases.
func eachDatabase(t *testing.T, f func(h *server), setups ...live.Setup) {
	storetest.EachDatabase(t, func(t *testing.T, url string) { f(start(t, url, setups...)) })
}

// clock is a clock that stands still until it is turned.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Millisecond)} }

func (c *clock) set(o *twostep.Options) { o.Now = c.Now }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (h *server) addBen() {
	h.T.Helper()
	ben := twostep.AccountParams{Email: benEmail, Name: "Ben", Password: benPassword}
	if err := h.CreateAccount(h.T.Context(), ben); err != nil {
		h.T.Fatal(err)
	}
}

const form = "Content-Type: application/x-www-form-urlencoded"

// request is a request to the server with headers like "Origin: null".
func (h *server) request(method, path, body string, headers ...string) *http.Request {
	h.T.Helper()
	r, err := http.NewRequest(method, h.URL, strings.NewReader(body))
	if err != nil {
		h.T.Fatal(err)
	}
	raw, query, _ := strings.Cut(path, "?")
	r.URL.Opaque = "" // the path goes out as it is written
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = unescape(raw), raw, query
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}

func unescape(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return plain
}

// post sends a form as a page of ours does, with more headers.
func (h *server) post(b *live.Browser, path, body string, headers ...string) live.Answer {
	h.T.Helper()
	return b.Do(h.request(http.MethodPost, path, body, append([]string{form, "Origin: " + h.URL, "Sec-Fetch-Site: same-origin"}, headers...)...))
}

// resetLimits takes back what was guessed so far and how long to wait, for tests that try more than
// may be tried. It gives no sign-in another try.
func (h *server) resetLimits() {
	h.T.Helper()
	h.exec("DELETE FROM guess_budget_entries")
	h.exec("UPDATE challenges SET guessed_at = 0")
}

// passwordStep takes the first step and returns the code that was mailed, and not one that was on its way.
func (h *server) passwordStep(b *live.Browser, email, password string) string {
	h.T.Helper()
	h.WaitForOutbox()
	return b.FirstStep("/signin", "email", email, "password", password)
}

func (h *server) wantStatus(a live.Answer, status int) live.Answer {
	h.T.Helper()
	if a.StatusCode != status {
		h.T.Errorf("%s %s: got %d, want %d\n%.600s", a.Request.Method, a.Request.URL.RequestURI(), a.StatusCode, status, a.Body)
	}
	return a
}

// cookie is the value that a browser keeps under one of our names, "" if it keeps none.
func (h *server) cookie(b *live.Browser, name string) string {
	u, err := url.Parse(h.URL)
	if err != nil {
		h.T.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == "__Host-"+name {
			return c.Value
		}
	}
	return ""
}

// withCookies is a new browser that sends these cookies, whoever they belong to.
func (h *server) withCookies(pairs ...string) *live.Browser {
	b := h.BrowserAt("127.0.0.1") // where its owner is: the network must not be what refuses it
	u, err := url.Parse(h.URL)
	if err != nil {
		h.T.Fatal(err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		b.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + pairs[i], Value: pairs[i+1], Path: "/", Secure: true}})
	}
	return b
}

// rawRequest sends bytes that no client would send, and reads the whole answer.
func (h *server) rawRequest(text string) string {
	h.T.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(h.URL, "https://"), &tls.Config{InsecureSkipVerify: true}) // a server of this test
	if err != nil {
		h.T.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		h.T.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		h.T.Fatal(err)
	}
	return string(answer)
}

// signedIn tells whether a browser is signed in, and as whom, by asking the next protected page.
func signedIn(b *live.Browser) (page string, in bool) {
	a := b.Get("/settings")
	return a.Body, a.StatusCode == http.StatusOK
}

// wantNoSession fails the test if the browser is in, or if there is any session at all.
func (h *server) wantNoSession(what string, b *live.Browser) {
	h.T.Helper()
	if _, in := signedIn(b); in {
		h.T.Errorf("%s: signed in", what)
	}
	if n := h.count("sessions"); n != 0 {
		h.T.Errorf("%s: %d sessions", what, n)
	}
}

// exec runs a statement behind the server's back, and waits for its turn.
func (h *server) exec(statement string) {
	h.T.Helper()
	if _, err := h.Beside().ExecContext(h.T.Context(), statement); err != nil {
		h.T.Fatal(err)
	}
}

// column is the first column of a query, as text.
func (h *server) column(query string) (all []string) {
	h.T.Helper()
	for _, row := range h.rows(query) {
		all = append(all, row[0])
	}
	return all
}

func (h *server) rows(query string) (all [][]string) {
	h.T.Helper()
	rows, err := h.Beside().QueryContext(h.T.Context(), query)
	if err != nil {
		h.T.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		h.T.Fatal(err)
	}
	for rows.Next() {
		cells, into, texts := make([]any, len(columns)), make([]any, len(columns)), make([]string, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			h.T.Fatal(err)
		}
		for i, cell := range cells {
			if b, ok := cell.([]byte); ok {
				cell = string(b)
			}
			texts[i] = fmt.Sprint(cell)
		}
		all = append(all, texts)
	}
	if err := rows.Err(); err != nil {
		h.T.Fatal(err)
	}
	return all
}

// value is the only cell of a query.
func (h *server) value(query string) string {
	h.T.Helper()
	all := h.column(query)
	if len(all) != 1 {
		h.T.Fatalf("%s: %d rows", query, len(all))
	}
	return all[0]
}

// count is the number of rows of a table, or of "table WHERE condition".
func (h *server) count(table string) int {
	h.T.Helper()
	n, err := strconv.Atoi(h.value("SELECT count(*) FROM " + table))
	if err != nil {
		h.T.Fatal(err)
	}
	return n
}

// tries are those that the newest challenge has spent, read over a connection of our own.
func (h *server) tries() string {
	h.T.Helper()
	return h.value("SELECT guesses FROM challenges ORDER BY last_sent_at DESC LIMIT 1")
}

// tables are all tables of ours.
func (h *server) tables() []string {
	if strings.HasPrefix(h.Database, "postgres") {
		return h.column("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'goose%' ORDER BY table_name")
	}
	return h.column("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%' ORDER BY name")
}

// contents are all rows of all tables, but for what is no act of a person: the time a session was last
// seen, what the outbox and the sweep write at their own pace, and the counts of wrong passwords and
// secrets, which are kept by network and name for a day. Nor are the security events of what failed: they
// are all that a refusal leaves.
func (h *server) contents() string {
	h.T.Helper()
	var b strings.Builder
	for _, table := range h.tables() {
		query := "SELECT * FROM " + table
		switch table {
		case "sessions":
			query = "SELECT id, token_hash, account_id, epoch, expires_at FROM sessions"
		case "accounts": // all but last_sign_in_at
			query = "SELECT id, email, name, given_name, family_name, profile_changed_at, role, password_hash, password_set_by_mail_at, " +
				"password_changed_at, former_password_hash, former_password_until, epoch, disabled_at, created_at, group_names, frozen_until, " +
				"email_second_step FROM accounts"
		case "outbox_messages":
			query = "SELECT id, expires_at FROM outbox_messages"
		case "failed_passwords", "audit_counters", "audit_browsers", "client_uses":
			continue
		case "audit_events":
			query = "SELECT id, kind, account, target FROM audit_log WHERE result = 'success'"
		case "server_state":
			query = "SELECT name, value FROM server_state WHERE name NOT LIKE 'time%'" // 'time' and 'time that follows'
		case "rate_limit_counters":
			query = "SELECT kind, subject, ends_at FROM rate_limit_counters WHERE kind NOT LIKE 'wrong_%' AND kind <> 'sign_ins_network'"
		}
		all := h.rows(query)
		slices.SortFunc(all, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
		fmt.Fprintf(&b, "%s %q\n", table, all)
	}
	return b.String()
}

// atOnce runs f n times at the same moment.
func atOnce(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	gate := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-gate
			f(i)
		})
	}
	ready.Wait()
	close(gate)
	done.Wait()
}
