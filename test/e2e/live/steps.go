package live

import (
	"database/sql"
	"net/http"
	"strings"
	"time"
)

// Beside is the server's database on a connection of the test's own, which sees what was committed.
func (s *Server) Beside() *sql.DB {
	s.T.Helper()
	s.opening.Do(func() {
		driver, address := "sqlite", "file:"+s.Database+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
		if strings.HasPrefix(s.Database, "postgres") {
			driver, address = "pgx", s.Database
		}
		db, err := sql.Open(driver, address)
		if err != nil {
			s.T.Fatal(err)
		}
		s.T.Cleanup(func() { db.Close() })
		s.beside = db
	})
	return s.beside
}

// WaitForOutbox waits until no message is waiting to be sent.
func (s *Server) WaitForOutbox() {
	s.T.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		var waiting int
		if err := s.Beside().QueryRowContext(s.T.Context(), "SELECT count(*) FROM outbox_messages WHERE state = 'waiting'").Scan(&waiting); err != nil {
			s.T.Fatal(err)
		}
		if waiting == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			s.T.Fatalf("%d messages are still waiting to be sent", waiting)
		}
	}
}

// FirstStep sends a form with a password to path, has the code sent by email whatever other methods the
// account has, and returns the code. Pairs are the names and values of the form.
func (b *Browser) FirstStep(path string, pairs ...string) (code string) {
	b.s.T.Helper()
	n := b.s.Mail.Len()
	a := b.Post(path, pairs...)
	if a.StatusCode != http.StatusSeeOther {
		b.s.T.Fatalf("password: %d %s", a.StatusCode, a.Body)
	}
	b.CodePage = a.Header.Get("Location")
	if b.s.methods > 1 && !strings.Contains(b.Get(b.CodePage).Body, "•••@") { // the address that a code was sent to
		if a := b.Post(strings.Replace(b.CodePage, "/verify", "/method", 1), "method", "email"); a.StatusCode != http.StatusSeeOther {
			b.s.T.Fatalf("email as the method: %d %s", a.StatusCode, a.Body)
		}
	}
	return b.s.Code(n)
}

// BothSteps is FirstStep, and then sends the code. It returns the answer to the code.
func (b *Browser) BothSteps(path string, pairs ...string) Answer {
	b.s.T.Helper()
	a := b.EnterCode(b.FirstStep(path, pairs...))
	if a.StatusCode != http.StatusSeeOther {
		b.s.T.Fatalf("code: %d %s", a.StatusCode, a.Body)
	}
	return a
}

// EnterCode sends a code on the page that the last password led to.
func (b *Browser) EnterCode(code string) Answer {
	b.s.T.Helper()
	return b.Post(b.CodePage, "code", code)
}

// Password takes the first step as Anna and returns the code that was mailed.
func (b *Browser) Password() (code string) {
	b.s.T.Helper()
	return b.FirstStep("/signin", "email", AnnaEmail, "password", AnnaPassword)
}

// SignIn takes both steps as Anna.
func (b *Browser) SignIn() { b.s.T.Helper(); b.SignInAs(AnnaEmail, AnnaPassword) }

// SignInAs takes both steps.
func (b *Browser) SignInAs(email, password string) {
	b.s.T.Helper()
	b.BothSteps("/signin", "email", email, "password", password)
}
