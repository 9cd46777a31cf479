package delivery

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// structure returns the content types of a mail, nested: "multipart/alternative(text/plain text/html)".
func structure(t *testing.T, contentType string, body io.Reader) string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if params["boundary"] == "" {
		return kind
	}
	var inner []string
	for parts := multipart.NewReader(body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return kind + "(" + strings.Join(inner, " ") + ")"
		}
		if err != nil {
			t.Fatal(err)
		}
		inner = append(inner, structure(t, part.Header.Get("Content-Type"), part))
	}
}

func pngMail() Message {
	m := testCodeMail()
	m.Language = "de"
	m.HTML = `<img src="cid:logo.1@example.com">`
	m.Inline = []InlineFile{{
		ID: "logo.1@example.com", Name: "logo.png", ContentType: "image/png", Data: []byte("\x89PNG" + strings.Repeat("x", 3000)),
	}}
	return m
}

// A mail server gets the headers that keep other programs from answering, and the parts in their order.
func TestSMTPSendsStructure(t *testing.T) {
	ca := newTestCA(t)
	server := startMailServer(t, ca.validConfig(), false)
	plain := testCodeMail()
	plain.HTML = ""
	for _, c := range []struct {
		m    Message
		want string
	}{
		{plain, "text/plain"},
		{testCodeMail(), "multipart/alternative(text/plain text/html)"},
		{pngMail(), "multipart/related(multipart/alternative(text/plain text/html) image/png)"},
	} {
		n := len(server.acceptedMails())
		if err := smtpFor(server, ca).Send(t.Context(), c.m); err != nil {
			t.Fatal(err)
		}
		raw := server.acceptedMails()[n].raw
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "Content-Language": c.m.Language,
		} {
			if got := m.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := structure(t, m.Header.Get("Content-Type"), m.Body); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// The image is what the HTML part names, byte for byte.
func TestInlineFile(t *testing.T) {
	l, err := composeMail("signin@example.com", pngMail(), noon)
	if err != nil {
		t.Fatal(err)
	}
	raw := string(l.raw)
	_, rest, ok := strings.Cut(raw, "Content-Id: <logo.1@example.com>\r\n")
	if !ok {
		if _, rest, ok = strings.Cut(raw, "Content-ID: <logo.1@example.com>\r\n"); !ok {
			t.Fatalf("no content id in\n%s", raw)
		}
	}
	_, rest, _ = strings.Cut(rest, "\r\n\r\n")
	body, _, _ := strings.Cut(rest, "\r\n--")
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
	if err != nil || string(data) != string(pngMail().Inline[0].Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// A file or language that could add a header or be mistaken for another type is rejected.
func TestInlineFileIsChecked(t *testing.T) {
	for name, change := range map[string]func(m *Message){
		"id":        func(m *Message) { m.Inline[0].ID = "a>\r\nBcc: eve@example.net" },
		"id host":   func(m *Message) { m.Inline[0].ID = "logo" },
		"name":      func(m *Message) { m.Inline[0].Name = "a\"\r\nX: y" },
		"name path": func(m *Message) { m.Inline[0].Name = "../a" },
		"type":      func(m *Message) { m.Inline[0].ContentType = "text/html" },
		"svg":       func(m *Message) { m.Inline[0].ContentType = "image/svg+xml" },
		"empty":     func(m *Message) { m.Inline[0].Data = nil },
		"large":     func(m *Message) { m.Inline[0].Data = make([]byte, maxInlineBytes+1) },
		"many":      func(m *Message) { m.Inline = make([]InlineFile, maxInlineFiles+1) },
		"language":  func(m *Message) { m.Language = "de\r\nX: y" },
	} {
		m := pngMail()
		change(&m)
		if _, err := composeMail("signin@example.com", m, noon); !errors.Is(err, ErrRejected) {
			t.Errorf("%s: %v, want ErrRejected", name, err)
		}
	}
}
