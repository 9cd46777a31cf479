package attack

import (
	"cmp"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
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

// house is a running server, its database and its key file.
type house struct {
	*live.Server
	DB, Keys string
}

// start runs a server on the database at url ("": a new SQLite file).
func start(t testing.TB, url string, setups ...live.Setup) *house {
	t.Helper()
	h := &house{}
	h.Server = live.Start(t, url, append(setups, func(o *twostep.Options) { h.DB, h.Keys = o.Database, o.KeyFile })...)
	return h
}

// each runs a test on both databases.
func each(t *testing.T, f func(h *house), setups ...live.Setup) {
	storetest.Each(t, func(t *testing.T, url string) { f(start(t, url, setups...)) })
}

// clock is a clock that stands still until it is turned.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func stopped() *clock { return &clock{now: time.Now().Truncate(time.Millisecond)} }

func (c *clock) set(o *twostep.Options) { o.Now = c.Now }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (h *house) addBen() {
	h.T.Helper()
	ben := twostep.NewAccount{Email: benEmail, Name: "Ben", Password: benPassword}
	if err := h.AddAccount(h.T.Context(), ben); err != nil {
		h.T.Fatal(err)
	}
}

const form = "Content-Type: application/x-www-form-urlencoded"

// request is a request to the server with headers like "Origin: null".
func (h *house) request(method, path, body string, headers ...string) *http.Request {
	h.T.Helper()
	r, err := http.NewRequest(method, h.URL, strings.NewReader(body))
	if err != nil {
		h.T.Fatal(err)
	}
	raw, query, _ := strings.Cut(path, "?")
	r.URL.Opaque = "" // the path goes out as it is written
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = unescaped(raw), raw, query
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

func unescaped(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return plain
}

// post sends a form as a page of ours does, with more headers.
func (h *house) post(b *live.Browser, path, body string, headers ...string) live.Answer {
	h.T.Helper()
	return b.Do(h.request(http.MethodPost, path, body, append([]string{form, "Origin: " + h.URL, "Sec-Fetch-Site: same-origin"}, headers...)...))
}

// forget takes back what was guessed so far and how long to wait, for tests that try more than
// may be tried. It gives no sign-in another try.
func (h *house) forget() {
	h.T.Helper()
	h.exec("DELETE FROM debits")
	h.exec("UPDATE challenges SET tried_at = 0")
}

// password takes the first step as anybody and returns the code that was mailed.
func (h *house) password(b *live.Browser, email, password string) string {
	h.T.Helper()
	h.settle()
	n := h.Mail.Len()
	h.want(b.Post("/signin", "email", email, "password", password), http.StatusSeeOther)
	return h.Code(n)
}

func (h *house) want(a live.Answer, status int) live.Answer {
	h.T.Helper()
	if a.StatusCode != status {
		h.T.Errorf("%s %s: got %d, want %d\n%.600s", a.Request.Method, a.Request.URL.RequestURI(), a.StatusCode, status, a.Body)
	}
	return a
}

// cookie is the value that a browser keeps under one of our names, "" if it keeps none.
func (h *house) cookie(b *live.Browser, name string) string {
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

// with is a new browser that sends these cookies, whoever they belong to.
func (h *house) with(pairs ...string) *live.Browser {
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

// raw sends bytes that no client would send, and reads the whole answer.
func (h *house) raw(text string) string {
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

// isIn tells whether a browser is signed in, and as whom, by asking the next protected page.
func isIn(b *live.Browser) (page string, in bool) {
	a := b.Get("/settings")
	return a.Body, a.StatusCode == http.StatusOK
}

// out fails the test if the browser is in, or if there is any session at all.
func (h *house) out(what string, b *live.Browser) {
	h.T.Helper()
	if _, in := isIn(b); in {
		h.T.Errorf("%s: signed in", what)
	}
	if n := storetest.Count(h.T, h.DB, "sessions"); n != 0 {
		h.T.Errorf("%s: %d sessions", what, n)
	}
}

func (h *house) open() *sql.DB {
	h.T.Helper()
	driver, address := "sqlite", "file:"+h.DB+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	if strings.HasPrefix(h.DB, "postgres") {
		driver, address = "pgx", h.DB
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		h.T.Fatal(err)
	}
	return db
}

// exec runs a statement behind the server's back, and waits for its turn.
func (h *house) exec(statement string) {
	h.T.Helper()
	db := h.open()
	defer db.Close()
	if _, err := db.ExecContext(h.T.Context(), statement); err != nil {
		h.T.Fatal(err)
	}
}

// list is the first column of a query, as text.
func (h *house) list(query string) (all []string) {
	h.T.Helper()
	for _, row := range h.rows(query) {
		all = append(all, row[0])
	}
	return all
}

func (h *house) rows(query string) (all [][]string) {
	h.T.Helper()
	db := h.open()
	defer db.Close()
	rows, err := db.QueryContext(h.T.Context(), query)
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

// one is the only cell of a query.
func (h *house) one(query string) string {
	h.T.Helper()
	all := h.list(query)
	if len(all) != 1 {
		h.T.Fatalf("%s: %d rows", query, len(all))
	}
	return all[0]
}

// tries are those that the newest challenge has spent, read over a connection of our own.
func (h *house) tries() string {
	h.T.Helper()
	return h.one("SELECT tries FROM challenges ORDER BY sent_at DESC LIMIT 1")
}

// tables are all tables of ours.
func (h *house) tables() []string {
	if strings.HasPrefix(h.DB, "postgres") {
		return h.list("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' ORDER BY table_name")
	}
	return h.list("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%' ORDER BY name")
}

// contents are all rows of all tables, but for the time a session was last seen and
// what the outbox writes at its own pace, and for how often what was wrong: that is counted
// for each network and name, in rows that go after a day. Nor are the security events of what failed: they are
// all that a refusal leaves.
func (h *house) contents() string {
	h.T.Helper()
	var b strings.Builder
	for _, table := range h.tables() {
		query := "SELECT * FROM " + table
		switch table {
		case "sessions":
			query = "SELECT id, token, account, epoch, ends_at FROM sessions"
		case "messages":
			query = "SELECT id, ends_at FROM messages"
		case "waits", "audit_counters":
			continue
		case "audit_events":
			query = "SELECT id, kind, account, target FROM audit_events WHERE result = 'success'"
		case "rations":
			query = "SELECT name, ends_at FROM rations WHERE name NOT LIKE 'wrong passwords%' AND name NOT LIKE 'wrong secrets%'"
		}
		all := h.rows(query)
		slices.SortFunc(all, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
		fmt.Fprintf(&b, "%s %q\n", table, all)
	}
	return b.String()
}

// together runs f n times at the same moment.
func together(n int, f func(i int)) {
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

// settle waits until the outbox has nothing left to send.
func (h *house) settle() {
	h.T.Helper()
	late := time.After(20 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); h.one("SELECT count(*) FROM messages WHERE state = 'waiting'") != "0"; {
		select {
		case <-tick.C:
		case <-late:
			h.T.Fatal("the outbox is not done")
		}
	}
}
