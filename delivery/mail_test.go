package delivery

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// parsedMail is a mail as a mail program parses it.
type parsedMail struct {
	header     mail.Header
	subject    string
	text, html string
}

func parseMail(t *testing.T, raw []byte) parsedMail {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("read mail: %v\n%s", err, raw)
	}
	o := parsedMail{header: m.Header}
	if o.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		o.text = readAll(t, quotedprintable.NewReader(m.Body))
		return o
	}
	if kind != "multipart/alternative" {
		t.Fatalf("got %s, want multipart/alternative", kind)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{"text/plain", "text/html"} { // the last is the richest: RFC 2046 5.1.4
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got := part.Header.Get("Content-Type"); got != want+"; charset=UTF-8" {
			t.Errorf("got part %s, want %s", got, want)
		}
		if want == "text/plain" {
			o.text = readAll(t, part)
		} else {
			o.html = readAll(t, part)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("got %v after the last part, want EOF", err)
	}
	return o
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// allowedHeaders are all headers of a mail; any other is an injection.
func allowedHeaders(html bool) []string {
	want := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To",
		"X-Auto-Response-Suppress"}
	if !html {
		want = append(want, "Content-Transfer-Encoding")
		slices.Sort(want)
	}
	return want
}

func headerNames(t *testing.T, h mail.Header) []string {
	t.Helper()
	var names []string
	for name, values := range h {
		if len(values) != 1 {
			t.Errorf("got %d headers %s, want 1", len(values), name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestComposeMail(t *testing.T) {
	m := testCodeMail()
	m.Subject = "747723 ist Ihr Code für Grüße & Söhne – 検証コード, und noch einiges mehr, damit die Zeile gefaltet wird"
	m.Text = "747723\n\nGrüße\n.\nEnde\n"
	l, err := composeMail("Grüße, GmbH <a@b>", m, noon)
	if err == nil {
		t.Error("a comma in a bare name was accepted")
	}
	l, err = composeMail(`"Grüße, GmbH" <signin@example.com>`, m, noon)
	if err != nil {
		t.Fatal(err)
	}
	o := parseMail(t, l.raw)
	if got := headerNames(t, o.header); !slices.Equal(got, allowedHeaders(true)) {
		t.Errorf("got headers %v, want %v", got, allowedHeaders(true))
	}
	from, err := mail.ParseAddress(o.header.Get("From"))
	if err != nil || from.Name != "Grüße, GmbH" || from.Address != "signin@example.com" {
		t.Errorf("got sender %v, %v", from, err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"subject", o.subject, m.Subject},
		{"text", o.text, "747723\r\n\r\nGrüße\r\n.\r\nEnde\r\n"},
		{"html", o.html, "<p>747723</p>\r\n"},
		{"to", o.header.Get("To"), "<ann@example.org>"},
		{"date", o.header.Get("Date"), "Wed, 04 Mar 2026 12:00:00 +0000"},
		{"id", o.header.Get("Message-Id"), "<" + m.ID + "@example.com>"},
		{"auto", o.header.Get("Auto-Submitted"), "auto-generated"},
		{"suppress", o.header.Get("X-Auto-Response-Suppress"), "All"},
		{"envelope", l.from + " " + l.to, "signin@example.com ann@example.org"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
}

// Without HTML the mail has a single text part.
func TestComposeMailTextOnly(t *testing.T) {
	m := testCodeMail()
	m.HTML = ""
	l, err := composeMail("signin@example.com", m, noon)
	if err != nil {
		t.Fatal(err)
	}
	o := parseMail(t, l.raw)
	if got := headerNames(t, o.header); !slices.Equal(got, allowedHeaders(false)) {
		t.Errorf("got headers %v, want %v", got, allowedHeaders(false))
	}
	if want := normalizeLineEndings(m.Text); o.text != want {
		t.Errorf("got %q, want %q", o.text, want)
	}
}

// A second attempt has the same Message-ID, so that mail programs can detect the duplicate.
func TestRetryKeepsMessageID(t *testing.T) {
	var ids []string
	for _, date := range []time.Time{noon, noon.Add(time.Hour)} {
		l, err := composeMail("Example <signin@example.com>", testCodeMail(), date)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, parseMail(t, l.raw).header.Get("Message-Id"))
	}
	if ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("got %v, want the same twice", ids)
	}
}

// No header or envelope value adds a line or a recipient.
func TestHeaderInjection(t *testing.T) {
	var tried int
	try := func(what string, change func(m *Message)) {
		tried++
		m := testCodeMail()
		change(&m)
		_, err := composeMail("Example <signin@example.com>", m, noon)
		if !errors.Is(err, ErrRejected) {
			t.Errorf("%s: got %v, want ErrRejected", what, err)
		}
		wantNoSecrets(t, err)
	}
	var evil []string
	for r := rune(0); r < 0x20; r++ {
		evil = append(evil, string(r))
	}
	evil = append(evil, "\x7f", "\u0085", "\u2028", "\u2029", "\r\nBcc: eve@example.net\r\n", "\xff")
	for _, e := range evil {
		try("subject", func(m *Message) { m.Subject = "a" + e + "b" })
		try("address", func(m *Message) { m.To = "ann@example.org" + e })
		try("address", func(m *Message) { m.To = "an" + e + "n@example.org" })
		try("id", func(m *Message) { m.ID = "a" + e + "b" })
		if _, err := composeMail("Exam"+e+"ple <signin@example.com>", testCodeMail(), noon); !errors.Is(err,
			ErrRejected) {
			t.Errorf("sender with %q: got %v, want ErrRejected", e, err)
		}
	}
	for _, to := range []string{
		"", "@", "ann", "ann@", "@example.org", "ann@example.org,eve@example.net", "ann@example.org eve@example.net",
		"Ann <ann@example.org>", "<ann@example.org>", `"a b"@example.org`, "ann@[127.0.0.1]", "ann(x)@example.org",
		"ann@example.org> SIZE=1", "a@b@example.org", "..@example.org", "аnn@example.org", "\u212aim@example.org",
		"ann\u202e@example.org", "a\u2028b@example.org", "ann@exämple.org", "ann@\u00a0example.org", "ann\u00a0@example.org", "ann@-a.org",
		"ann@a-.org",
		"ann@example..org", "ann@example.org.", "ann@exa_mple.org", strings.Repeat("a", 65) + "@example.org",
		"ann@" + strings.Repeat("a", 64) + ".org", "ann@" + strings.Repeat("abcdefgh.", 28) + "org",
	} {
		try(to, func(m *Message) { m.To = to })
	}
	for _, id := range []string{"", "a@b", "a>b", "a.b", "../a", strings.Repeat("a", 101)} {
		try("id "+id, func(m *Message) { m.ID = id })
	}
	try("channel", func(m *Message) { m.Channel = SMS })
	try("no text", func(m *Message) { m.Text = "" })
	try("no subject", func(m *Message) { m.Subject = " " })
	try("long subject", func(m *Message) { m.Subject = strings.Repeat("a", 256) })
	if tried < 150 {
		t.Errorf("tried %d, want more", tried)
	}
}

func TestCheckEmailAddress(t *testing.T) {
	for _, a := range []string{
		"a@b", "ann@example.org", "ann+tag@example.org", "o'neil@example.org", "a.b.c@x.y.example",
		"ann@xn--exmple-cua.org",
		"{a}!#$%&*-/=?^_`|~@example.org", "1@2.example", "a..b.@docomo.ne.jp", ".a@docomo.ne.jp", "ünï@example.org",
	} {
		if err := checkEmailAddress(a); err != nil {
			t.Errorf("%s: got %v, want nil", a, err)
		}
	}
}

// No text ends the mail early or starts a second one (SMTP smuggling), on a real server.
func TestSMTPSmuggling(t *testing.T) {
	second := "MAIL FROM:<signin@example.com>\r\nRCPT TO:<eve@example.net>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n"
	server := startMailServer(t, nil, false)
	s := smtpFor(server, nil)
	s.Security = "none"
	ends := []string{"\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r\n\x00.\r\n", "\n.\r", ".\r\n"}
	for n, end := range ends {
		m := testCodeMail()
		m.Text = "hello" + end + second + "\r\nthe end"
		m.HTML = "<p>hello" + end + second + "</p>"
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatalf("%q: %v", end, err)
		}
		mails := server.acceptedMails()
		if len(mails) != n+1 {
			t.Fatalf("%q: got %d mails, want %d", end, len(mails), n+1)
		}
		got := mails[n]
		if !slices.Equal(got.to, []string{"ann@example.org"}) {
			t.Errorf("%q: got recipients %v, want ann@example.org alone", end, got.to)
		}
		if o := parseMail(t, []byte(got.raw)); o.text != normalizeLineEndings(m.Text) ||
			o.html != normalizeLineEndings(m.HTML) {
			t.Errorf("%q: got text %q, want %q", end, o.text, normalizeLineEndings(m.Text))
		}
	}
	if server.sessions != len(ends) {
		t.Errorf("got %d sessions, want %d", server.sessions, len(ends))
	}
}

// checkMailBytes rejects everything that can be parsed in two ways.
func TestCheckMailBytes(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\rb", "a\r\r\nb", "a\x00b", "a\x7fb", "ü", strings.Repeat("a", 999)} {
		if checkMailBytes([]byte(bad)) == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

// Whatever the values are, the result is one mail with a fixed set of headers that parses back to
// the same values.
func FuzzComposeMail(f *testing.F) {
	f.Add("747723 is your code", "747723\n", "<p>747723</p>", "ann@example.org", "Example")
	f.Add("=?utf-8?q?=0D=0ABcc:_eve?=", ".\r\n.\n.\r", "\r\n.\r\n", "ann@example.org", `a"b\c`)
	f.Add("a\r\nBcc: eve@example.net", "\r\n--boundary--\r\n", "", "a@b,c@d", "=?utf-8?q?=0A?=")
	f.Add(strings.Repeat(" a", 100), strings.Repeat("x", 2000), "\x00\xff", "o'neil@x.example", "Grüße")
	f.Add("検証"+strings.Repeat("コード", 60), "é\u2028\u0085", "", "ann@example.org", strings.Repeat("n", 128))
	f.Fuzz(func(t *testing.T, subject, text, html, to, name string) {
		m := Message{ID: "ID1", Channel: Email, To: to, Subject: subject, Text: text, HTML: html}
		from := (&mail.Address{Name: name, Address: "signin@example.com"}).String()
		l, err := composeMail(from, m, noon)
		if err != nil {
			if !errors.Is(err, ErrRejected) {
				t.Errorf("got %v, want ErrRejected", err)
			}
			return
		}
		if err := checkMailBytes(l.raw); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		o := parseMail(t, l.raw)
		if got := headerNames(t, o.header); !slices.Equal(got, allowedHeaders(html != "")) {
			t.Errorf("got headers %v, want %v", got, allowedHeaders(html != ""))
		}
		if o.subject != sanitizeSubject(subject) {
			t.Errorf("got subject %q, want %q", o.subject, sanitizeSubject(subject))
		}
		list, err := o.header.AddressList("To")
		if err != nil || len(list) != 1 || list[0].Address != to || l.to != to {
			t.Errorf("got recipients %v, %v, want %s", list, err, to)
		}
		if o.text != normalizeLineEndings(text) || o.html != normalizeLineEndings(html) {
			t.Errorf("got %q and %q, want %q and %q", o.text, o.html, normalizeLineEndings(text),
				normalizeLineEndings(html))
		}
	})
}
