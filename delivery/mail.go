package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
)

const (
	maxAddressBytes    = 254 // bytes; RFC 5321 section 4.5.3.1.3, without the angle brackets
	maxLocalPartBytes  = 64  // bytes before the @; RFC 5321 section 4.5.3.1.1
	maxSubjectChars    = 255 // characters; keeps every header line far below maxLine
	maxSenderNameChars = 128 // characters of a sender's name
	maxMessageIDBytes  = 100 // bytes; an ID is also a file name
	maxLineBytes       = 998 // bytes without CRLF; RFC 5322 section 2.1.1
)

// composedMail is a mail ready to travel: the envelope of RFC 5321 and the bytes of RFC 5322.
// The bytes are ASCII with CRLF line ends, so no relay reads another end into them.
type composedMail struct {
	from, to string // bare addresses
	raw      []byte
}

// composeMail draws up m as mail from the given sender at the given time. SMTP and Inbox both use it,
// so the inbox shows what would arrive. Every error wraps ErrRefused: the same message
// would fail again. No error quotes the message.
func composeMail(from string, m Message, date time.Time) (composedMail, error) {
	sender, err := parseSender(from)
	if err == nil {
		err = checkMail(m)
	}
	if err != nil {
		return composedMail{}, fmt.Errorf("delivery: compose mail: %w: %w", ErrRejected, err)
	}
	raw, err := renderMail(sender, m, date)
	if err != nil {
		return composedMail{}, fmt.Errorf("delivery: compose mail: %w: %w", ErrRejected, err)
	}
	return composedMail{from: sender.Address, to: m.To, raw: raw}, nil
}

// renderMail has the library write what was checked, and then looks at every byte of it, so that
// no mistake of the library ends a mail early (ATT-289, ATT-290).
func renderMail(sender *mail.Address, m Message, date time.Time) ([]byte, error) {
	_, domain, _ := strings.Cut(sender.Address, "@")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(sender)
	msg.ToMailAddress(&mail.Address{Address: m.To})
	msg.Subject(sanitizeSubject(m.Subject))
	msg.SetDateWithValue(date)
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notes, please
	msg.SetBodyString(gomail.TypeTextPlain, normalizeLineEndings(m.Text))
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, normalizeLineEndings(m.HTML))
	}
	var buf bytes.Buffer
	if _, err := msg.WriteTo(&buf); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return buf.Bytes(), checkMailBytes(buf.Bytes())
}

func checkMail(m Message) error {
	switch {
	case m.Channel != Email:
		return errors.New("not a message for a mailbox")
	case !validMessageID(m.ID):
		return errors.New("id: want letters, digits, - and _")
	case m.Text == "":
		return errors.New("text: empty")
	case strings.TrimSpace(m.Subject) == "" || utf8.RuneCountInString(m.Subject) > maxSubjectChars:
		return fmt.Errorf("subject: want 1 to %d characters", maxSubjectChars)
	}
	if err := checkHeaderValue(m.Subject); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if err := checkEmailAddress(m.To); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	return nil
}

// parseSender reads "Example <signin@example.com>" or a bare address.
func parseSender(from string) (*mail.Address, error) {
	if err := checkHeaderValue(from); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil, errors.New(`sender: want "Example <signin@example.com>", a name with special characters in quotes`)
	}
	if err := checkEmailAddress(a.Address); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if utf8.RuneCountInString(a.Name) > maxSenderNameChars {
		return nil, fmt.Errorf("sender: name longer than %d characters", maxSenderNameChars)
	}
	// The parser has decoded encoded words, so the name is looked at once more.
	if err := checkHeaderValue(a.Name); err != nil {
		return nil, fmt.Errorf("sender: name: %w", err)
	}
	return a, nil
}

// checkHeaderValue refuses what any mail program might take for the end of a line: C0, DEL, U+0085
// with the rest of C1, U+2028, U+2029.
func checkHeaderValue(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || (r >= 0x7f && r <= 0x9f) || r == '\u2028' || r == '\u2029' {
			return errors.New("control character")
		}
	}
	return nil
}

// checkEmailAddress accepts one plain address: an ASCII dot-atom, @, and a host name. Quoted local
// parts, address literals, comments and lists, all of them legal mail, are where commands get
// smuggled; nobody signs in with them. International domains come in their xn-- form, as browsers send them.
func checkEmailAddress(a string) error {
	local, domain, ok := strings.Cut(a, "@")
	if !ok || len(a) > maxAddressBytes || len(local) > maxLocalPartBytes {
		return errors.New("not a plain address")
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, notAtext) {
			return errors.New("not a plain address")
		}
	}
	if !validHostname(domain) {
		return errors.New("not a plain address")
	}
	return nil
}

// notAtext is the complement of atext in RFC 5322 section 3.2.3.
func notAtext(r rune) bool {
	return !isAlnum(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// validHostname accepts a host name of RFC 1123 section 2.1, with or without dots.
func validHostname(h string) bool {
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return !isAlnum(r) && r != '-' }) {
			return false
		}
	}
	return true
}

// validMessageID accepts what is safe as a file name, in a URL and in a Message-ID.
func validMessageID(id string) bool {
	return id != "" && len(id) <= maxMessageIDBytes &&
		!strings.ContainsFunc(id, func(r rune) bool { return !isAlnum(r) && r != '-' && r != '_' })
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// sanitizeSubject makes runs of spaces one, since folding could leave a line of spaces only, which
// some programs take for the end of the headers. It also breaks "=?", which would otherwise be
// read as an encoded word and show other text than was written.
func sanitizeSubject(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "=?", "= ?")
}

// normalizeLineEndings ends every line with CRLF, whatever ended it before, and mends broken UTF-8.
func normalizeLineEndings(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\n", "\r\n"), "\uFFFD")
}

// checkMailBytes looks for what a relay could read in two ways: bare CR, bare LF, bytes that are not
// ASCII, NUL, overlong lines.
func checkMailBytes(raw []byte) error {
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > maxLineBytes {
			return errors.New("line too long")
		}
		for _, b := range line {
			if b == '\r' || b == '\n' || b == 0 || b > 0x7e {
				return errors.New("stray control character or byte")
			}
		}
	}
	return nil
}
