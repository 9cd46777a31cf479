package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/test/e2e/live"
)

// errDied says that the server died before the answer.
var errDied = errors.New("the server died")

const nextPassword = "staple gun parade"

// home is where the cookies of every server belong: their ports do not matter.
var home = &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/"}

// walk is somebody with a browser at a server that may die at any moment.
type walk struct {
	t      *testing.T
	folder string
	mail   *mailServer
	life   *life
	jar    *cookiejar.Jar
	http   *http.Client
	ahead  time.Duration
	add    bool // servers make Anna's account if it is not there

	email, password string
	read            int              // mails that were read
	tries           int              // wrong guesses that were answered
	acked           map[string]claim // what the server has said was done, by name
	before          map[string]bool  // the messages that were sent before the walk began
}

// claim is what must stand in the store because the server has acknowledged it.
type claim struct {
	query string // counts
	args  []any
	want  int
}

func newWalk(t *testing.T, folder string) *walk {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	// One connection for each request: none of them outlives a server.
	transport := &http.Transport{DisableKeepAlives: true}
	return &walk{
		t: t, folder: folder, mail: startMailServer(t), jar: jar,
		email: live.AnnaEmail, password: live.AnnaPassword, acked: map[string]claim{},
		http: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// order is that of a server on this walk's folder.
func (w *walk) order() order {
	return order{Folder: w.folder, Mail: w.mail.port, Ahead: w.ahead, Add: w.add}
}

// start begins a server that will live, and insists on a quick start.
func (w *walk) start() {
	w.t.Helper()
	w.life = begin(w.t, w.order())
	if w.life.url == "" {
		w.t.Fatalf("the server does not start again:\n%s", w.life.said.String())
	}
	if w.life.took > startLimit {
		w.t.Errorf("the start took %v, want at most %v", w.life.took, startLimit)
	}
}

// open opens the database beside the server.
func (w *walk) open() *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.folder, "twostep.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { db.Close() })
	return db
}

// ask sends a request and returns the status and the page, or errDied.
func (w *walk) ask(method, path string, pairs ...string) (*http.Response, string, error) {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(w.life.over, method, w.life.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return nil, "", w.mustBeDead(err)
	}
	defer resp.Body.Close()
	// The status is the acknowledgement, even if the page behind it is cut off.
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body), nil
}

func (w *walk) mustBeDead(err error) error {
	w.t.Helper()
	select {
	case <-w.life.over.Done():
		return errDied
	case <-time.After(20 * time.Second):
		w.t.Fatalf("no answer from a server that lives: %v", err)
		return nil
	}
}

// step posts a form whose answer must have the status.
func (w *walk) step(status int, path string, pairs ...string) error {
	w.t.Helper()
	resp, body, err := w.ask(http.MethodPost, path, pairs...)
	if err == nil && resp.StatusCode != status {
		w.t.Fatalf("POST %s: %d to %q, want %d\n%s", path, resp.StatusCode, resp.Header.Get("Location"), status, body)
	}
	return err
}

// page opens a page, which must be there.
func (w *walk) page(path string) error {
	w.t.Helper()
	resp, _, err := w.ask(http.MethodGet, path)
	if err == nil && resp.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %d to %q, want 200", path, resp.StatusCode, resp.Header.Get("Location"))
	}
	return err
}

// cookie is the hash of the token in a cookie, as the store has it.
func (w *walk) cookie(name string) []byte {
	for _, c := range w.jar.Cookies(home) {
		if c.Name == name {
			return seal.HashToken(c.Value)
		}
	}
	return nil
}

// nextMail waits for the next mail that was not read yet.
func (w *walk) nextMail() (string, error) {
	w.t.Helper()
	late := time.After(20 * time.Second)
	for {
		mails, more := w.mail.all()
		if len(mails) > w.read {
			w.read++
			return mails[w.read-1], nil
		}
		select {
		case <-more:
		case <-w.life.over.Done():
			return "", errDied
		case <-late:
			w.t.Fatal("no mail")
		}
	}
}

// mailOf waits for the mail of a message.
func (w *walk) mailOf(id string) string {
	w.t.Helper()
	late := time.After(20 * time.Second)
	for {
		mails, more := w.mail.all()
		for _, mail := range mails {
			if idOf(mail) == id {
				return mail
			}
		}
		select {
		case <-more:
		case <-late:
			w.t.Fatalf("the mail %s has not arrived", id)
		}
	}
}

// quiet waits until nothing is to be sent any more.
func (w *walk) quiet(db *sql.DB) error {
	w.t.Helper()
	late := time.After(20 * time.Second)
	for look := time.NewTicker(2 * time.Millisecond); ; {
		if w.count(db, `SELECT count(*) FROM outbox_messages WHERE state = 'waiting'`) == 0 {
			look.Stop()
			return nil
		}
		select {
		case <-look.C:
		case <-w.life.over.Done():
			return errDied
		case <-late:
			w.t.Fatal("a message waits for ever")
		}
	}
}

func (w *walk) count(db *sql.DB, query string, args ...any) (n int) {
	w.t.Helper()
	if err := db.QueryRowContext(w.t.Context(), query, args...).Scan(&n); err != nil {
		w.t.Fatal(fmt.Errorf("%s: %w", query, err))
	}
	return n
}
