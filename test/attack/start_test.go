package attack

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/store/storetest"
)

// A public server starts in the mode that shows everybody the mail, over plain http, or without its
// own address.
func TestUnsafeOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*twostep.Options){
		"local mode in public": func(o *twostep.Options) { o.Local, o.PublicURL = &twostep.LocalMode{}, "https://signin.example.com" },
		"plain http":           func(o *twostep.Options) { o.PublicURL = "http://signin.example.com" },
		"http, name like ours": func(o *twostep.Options) { o.PublicURL = "http://127.0.0.1.example.com" },
		"no address":           func(o *twostep.Options) { o.PublicURL = "" },
		"a name in it":         func(o *twostep.Options) { o.PublicURL = "https://anna@signin.example.com" },
		"a path in it":         func(o *twostep.Options) { o.PublicURL = "https://signin.example.com/x" },
		"no way to send":       func(o *twostep.Options) { o.Senders = nil },
		"no second step":       func(o *twostep.Options) { o.Methods = nil },
		"no keys":              func(o *twostep.Options) { o.KeyFile = "" },
		"sign-up for anybody?": func(o *twostep.Options) { o.SignUp = "yes" },
	} {
		dir := t.TempDir()
		o := twostep.Options{Database: filepath.Join(dir, "db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: "https://signin.example.com", Methods: []factor.Method{email.Method{}},
			Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: delivery.Inbox{Dir: dir}.Send}, Logger: slog.New(slog.DiscardHandler)}
		set(&o)
		if s, err := twostep.New(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: started", name)
		}
	}
}

// Something for testers is left in: a fixed code, a first account, debugging pages, the inbox.
func TestNoDebugPagesOrDefaultAccounts(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) { o.SignUp = "" })
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/metrics", "/inbox", "/inbox/x", "/admin/login", "/login", "/api", "/api/login", "/test", "/setup", "/install", "/graphql", "/.env", "/.git/config", "/swagger", "/actuator", "/oauth2/clients"} {
		h.wantStatus(h.Browser().Get(path), http.StatusNotFound)
	}
	h.wantStatus(h.Browser().Get("/signup"), http.StatusNotFound)
	h.wantStatus(h.Browser().Post("/signup", "email", "eva@example.net", "name", "Eva"), http.StatusNotFound)
	h.wantStatus(h.Browser().Post("/inbox/clock", "minutes", "16"), http.StatusNotFound)
	if n := h.count("accounts"); n != 1 {
		t.Errorf("%d accounts in a new database, want Anna's", n)
	}
	for range 3 {
		b := h.Browser()
		code := b.Password()
		for _, fixed := range []string{"000000", "123456", "111111", "999999"} {
			if fixed != code {
				b.Post("/signin/verify", "code", fixed)
			}
		}
		h.wantNoSession("a code for testers", b)
	}
}

// An attacker fills the tables. There is no row before a right password, and a bounded number of links
// for each network.
func TestStrangersCannotFillTables(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	before := h.contents()
	for _, r := range inventory {
		method, path := path(r.pattern)
		if method != http.MethodPost || strings.HasPrefix(path, "/inbox") || path == "/forgot" || path == "/signup" {
			continue
		}
		form := strings.ReplaceAll(r.form, "correct", "wrong")
		for range 3 {
			h.post(h.Browser(), path, form)
		}
	}
	if h.contents() != before {
		t.Error("an attacker left a row behind")
	}
	for i := range 40 {
		a := h.BrowserAt("127.0.0.1").Post("/forgot", "email", "nobody"+string(rune('a'+i%26))+"@example.net")
		if want := map[bool]int{true: 303, false: 429}[i < 30]; a.StatusCode != want {
			t.Errorf("link %d: %d, want %d", i, a.StatusCode, want)
		}
	}
	if n := h.count("email_links"); n != 30 {
		t.Errorf("%d links for one network in an hour, want 30", n)
	}
}

// plainOptions are the options of a server with the clock of the machine.
func plainOptions(t *testing.T, database string) twostep.Options {
	dir := t.TempDir()
	if database == "" {
		database = filepath.Join(dir, "twostep.db")
	}
	return twostep.Options{
		Database: database, KeyFile: filepath.Join(dir, "keys"), PublicURL: "https://signin.example.com",
		Methods: []factor.Method{email.Method{}}, Logger: slog.New(slog.DiscardHandler),
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: delivery.Inbox{Dir: dir}.Send},
	}
}

// startOnce starts a server and stops it.
func startOnce(t *testing.T, o twostep.Options) error {
	t.Helper()
	s, err := twostep.New(t.Context(), o)
	if err != nil {
		return err
	}
	return s.Close()
}

// wantRefused fails the test unless a server does not start, for a reason that has all words.
func wantRefused(t *testing.T, o twostep.Options, words ...string) {
	t.Helper()
	err := startOnce(t, o)
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want an error with %q", err, word)
		}
	}
}

// The database is gone, by mistake or because somebody has removed it. A server that created an empty one in its place
// would forget every account, and let everybody create theirs again.
func TestMissingDatabaseIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"missing":      os.Remove,
		"empty":        func(path string) error { return os.Truncate(path, 0) },
		"another file": func(path string) error { return os.WriteFile(path, []byte("not a database, but a text"), 0o600) },
	} {
		o := plainOptions(t, "")
		if err := startOnce(t, o); err != nil {
			t.Fatal(err)
		}
		if err := spoil(o.Database); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(o.Database) // there may be none
		for _, o.NoBackgroundWork = range []bool{false, true} {
			wantRefused(t, o, o.Database, "restore")
		}
		if after, _ := os.ReadFile(o.Database); string(after) != string(before) {
			t.Errorf("%s: the file has changed", name)
		}
		if name == "another file" {
			continue
		}
		if err := os.Rename(o.KeyFile, o.KeyFile+".old"); err != nil {
			t.Fatal(err)
		}
		if err := startOnce(t, o); err != nil {
			t.Errorf("%s, and the keys were moved away: %v", name, err)
		}
	}
	o := plainOptions(t, storetest.NewPostgres(t))
	if err := startOnce(t, o); err != nil {
		t.Fatal(err)
	}
	o.Database = storetest.NewPostgres(t)
	wantRefused(t, o, "PostgreSQL", o.KeyFile, "restore")
	if n := storetest.CountRows(t, o.Database, "pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables were created", n)
	}
}

// The key file is gone. A new one would be of no use for the secrets in the database, and hide that it is gone.
func TestMissingKeysAreNotReplaced(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		o := plainOptions(t, url)
		if err := startOnce(t, o); err != nil {
			t.Fatal(err)
		}
		moved := o.KeyFile + ".moved"
		if err := os.Rename(o.KeyFile, moved); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantRefused(t, o, o.KeyFile, "restore the key file")
		}
		if _, err := os.Stat(o.KeyFile); !os.IsNotExist(err) {
			t.Errorf("a new key file was left behind: %v", err)
		}
		if err := os.Rename(moved, o.KeyFile); err != nil {
			t.Fatal(err)
		}
		if err := startOnce(t, o); err != nil {
			t.Errorf("with the keys again: %v", err)
		}
	})
}

// Two servers on one SQLite file would send messages twice: each takes what the other has begun for that of a dead one.
func TestSecondServerOnOneFileIsRefused(t *testing.T) {
	t.Parallel()
	o := plainOptions(t, "")
	first, err := twostep.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(o.Database, link); err != nil {
		t.Fatal(err)
	}
	second := o
	for _, second.Database = range []string{o.Database, link} {
		wantRefused(t, second, o.Database, fmt.Sprintf("process %d", os.Getpid()))
	}
	command := o
	command.NoBackgroundWork = true
	if err := startOnce(t, command); err != nil {
		t.Errorf("a command beside the server: %v", err)
	}
	wantRefused(t, second, o.Database)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := startOnce(t, o); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}

// A file with flipped bytes answers with other rows than were written, for as long as nobody looks.
func TestDamagedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	o := plainOptions(t, "")
	if err := startOnce(t, o); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(o.Database)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	spoil := func(text []byte, from, to int) []byte {
		text = append([]byte{}, text...)
		for i := from; i < to; i++ {
			text[i] ^= 0xff
		}
		return text
	}
	damages := map[string][]byte{
		"the header":     spoil(whole, 0, 16),
		"half a file":    whole[:len(whole)/2],
		"a piece is off": whole[:len(whole)-100],
	}
	for at := page; at < len(whole); at += 7 * page {
		damages[fmt.Sprintf("the page at %d", at)] = spoil(whole, at, at+page)
	}
	for name, text := range damages {
		for _, side := range []string{"-wal", "-shm"} {
			_ = os.Remove(o.Database + side)
		}
		if err := os.WriteFile(o.Database, text, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		wantRefused(t, o, o.Database, "damaged", "back-up.md")
	}
}

// A server whose clock is wrong ends sessions and trust too early or too late, and refuses right codes.
func TestWrongClockIsRefused(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		o := plainOptions(t, url)
		if err := startOnce(t, o); err != nil {
			t.Fatal(err)
		}
		skew := func(d time.Duration) { skewDatabase(t, url, d) }
		skew(time.Hour)
		wantRefused(t, o, " behind", "timedatectl") // by an hour, or a little less after a slow start
		skew(2 * time.Minute)
		wantRefused(t, o, " behind")
		skew(30 * time.Second)
		if err := startOnce(t, o); err != nil {
			t.Errorf("half a minute behind: %v", err)
		}
		if strings.HasPrefix(url, "postgres") { // SQLite has no clock that may be behind
			skew(-time.Hour)
			wantRefused(t, o, " ahead")
		}
		skew(time.Hour)
		turned := o
		turned.Now = func() time.Time { return time.Now().Add(time.Hour) }
		if err := startOnce(t, turned); err != nil {
			t.Errorf("with a clock of its own: %v", err)
		}
		command := o
		command.NoBackgroundWork = true // twostep restored has to run then
		if err := startOnce(t, command); err != nil {
			t.Errorf("a command: %v", err)
		}
	})
}

// skewDatabase turns the clock of PostgreSQL, as sessions of this database see it, or the latest time in a SQLite file.
func skewDatabase(t *testing.T, url string, d time.Duration) {
	t.Helper()
	if !strings.HasPrefix(url, "postgres") {
		storetest.Exec(t, url, `UPDATE server_state SET value = $1 WHERE name = 'time'`, fmt.Sprint(time.Now().Add(d).UnixMilli()))
		return
	}
	storetest.Exec(t, url, fmt.Sprintf(`CREATE SCHEMA IF NOT EXISTS skewed;
		CREATE OR REPLACE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE SQL AS
		$$ SELECT pg_catalog.clock_timestamp() + interval '%d milliseconds' $$;
		DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET search_path = skewed, pg_catalog, public', current_database()); END $$`,
		d.Milliseconds()))
}
