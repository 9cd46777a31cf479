package delivery

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// An address outside ASCII is sent with SMTPUTF8, and no other one: some relays take only mail without it.
func TestSMTPUTF8(t *testing.T) {
	server := startMailServer(t, nil, false)
	s := smtpFor(server, nil)
	s.Security = "none"
	for n, row := range []struct{ to, envelope, header string }{
		{"jörg@example.org", "jörg@example.org", "To: <jörg@example.org>"},
		{"संपर्क@example.org", "संपर्क@example.org", "To: <संपर्क@example.org>"},
		{"ann@example.org", "ann@example.org", "To: <ann@example.org>"},
		{"a..b.@docomo.ne.jp", `"a..b."@docomo.ne.jp`, `To: <"a..b."@docomo.ne.jp>`},
	} {
		m := testCodeMail()
		m.To = row.to
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", row.to, err)
		}
		got := server.acceptedMails()[n]
		envelope := strings.ReplaceAll(row.envelope, `"`, "")
		if len(got.to) != 1 || strings.ReplaceAll(got.to[0], `"`, "") != envelope || !strings.Contains(got.raw, row.header+"\r\n") {
			t.Errorf("%s: to %q\n%s", row.to, got.to, got.raw)
		}
		if got.utf8 == isASCII(row.to) {
			t.Errorf("%s: SMTPUTF8 is %v", row.to, got.utf8)
		}
		header, body, _ := strings.Cut(got.raw, "\r\n\r\n")
		lines := strings.Split(header, "\r\n")
		if i := slices.IndexFunc(lines, func(line string) bool { return !isASCII(line) && !strings.HasPrefix(line, "To: ") }); i >= 0 || !isASCII(body) {
			t.Errorf("%s: more than the recipient is outside ASCII", row.to)
		}
	}
}

// A mail server without SMTPUTF8 gets no such address, and the error says why.
func TestServerWithoutSMTPUTF8(t *testing.T) {
	server := startMailServer(t, nil, false)
	s := smtpFor(server, nil)
	s.Security = "none"
	m := testCodeMail()
	m.To = "jörg@example.org"
	err := s.Send(t.Context(), m)
	if !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "SMTPUTF8") || strings.Contains(err.Error(), "jörg") {
		t.Errorf("got %v", err)
	}
	if n := len(server.acceptedMails()); n != 0 {
		t.Errorf("%d mails", n)
	}
	if err := (SMTP{Host: "localhost", Security: "none", From: "jörg@example.org"}).Check(); err == nil {
		t.Error("a sender outside ASCII is accepted")
	}
}
