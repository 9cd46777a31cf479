package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
)

const (
	maxAddressBytes    = 254 // RFC 5321 4.5.3.1.3, without the angle brackets
	maxLocalPartBytes  = 64  // before the @; RFC 5321 4.5.3.1.1
	maxSubjectChars    = 255 // keeps every header line far below maxLineBytes
	maxSenderNameChars = 128
	maxMessageIDBytes  = 100 // an ID is also a file name
	maxLineBytes       = 998 // without CRLF; RFC 5322 2.1.1
	maxInlineFiles     = 10
	maxInlineBytes     = 256 << 10 // of one file
)

// composedMail is a mail that is ready to send: the envelope of RFC 5321 and the content of RFC
// 5322. The content is ASCII with CRLF line ends, so that no relay sees another end of line in it.
type composedMail struct {
	from, to string // addr-specs, without a display name
	raw      []byte
}

// composeMail composes m as mail. SMTP and Inbox share it, so that the inbox shows what would
// arrive. Every error wraps ErrRejected: the same message would fail again. No error quotes the
// message.
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

// renderMail lets the library write the checked values and then checks every byte, so that no
// mistake of the library ends a mail early (SMTP smuggling) or adds a header.
func renderMail(sender *mail.Address, m Message, date time.Time) ([]byte, error) {
	_, domain, _ := strings.Cut(sender.Address, "@")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(sender)
	msg.ToMailAddress(&mail.Address{Address: m.To})
	msg.Subject(sanitizeSubject(m.Subject))
	msg.SetDateWithValue(date)
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 5: suppresses automatic replies
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")  // MS-OXCMAIL 2.1.3.2.20: the same for Exchange
	if m.Language != "" {
		msg.SetGenHeader("Content-Language", m.Language) // RFC 3282
	}
	msg.SetBodyString(gomail.TypeTextPlain, normalizeLineEndings(m.Text))
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, normalizeLineEndings(m.HTML))
		for _, f := range m.Inline {
			err := msg.EmbedReader(f.Name, bytes.NewReader(f.Data), gomail.WithFileContentID("<"+f.ID+">"),
				gomail.WithFileContentType(gomail.ContentType(f.ContentType)))
			if err != nil {
				return nil, fmt.Errorf("inline file: %w", err)
			}
		}
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
	if m.Language != "" && !languageTag.MatchString(m.Language) {
		return errors.New("language: want a tag like de or pt-BR")
	}
	if err := checkInline(m.Inline); err != nil {
		return fmt.Errorf("inline file: %w", err)
	}
	if err := checkEmailAddress(m.To); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	return nil
}

var (
	languageTag = regexp.MustCompile(`^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8}){0,4}$`) // the form of RFC 5646
	inlineID    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}@[A-Za-z0-9.-]{1,64}$`)
	inlineName  = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)
)

func checkInline(files []InlineFile) error {
	if len(files) > maxInlineFiles {
		return fmt.Errorf("more than %d", maxInlineFiles)
	}
	for _, f := range files {
		switch {
		case !inlineID.MatchString(f.ID):
			return errors.New("id: want left@right with letters, digits, -, . and _")
		case !inlineName.MatchString(f.Name):
			return errors.New("name: want letters, digits, -, . and _")
		case f.ContentType != "image/png" && f.ContentType != "image/jpeg":
			return errors.New("content type: want image/png or image/jpeg")
		case len(f.Data) == 0 || len(f.Data) > maxInlineBytes:
			return fmt.Errorf("data: want 1 byte to %d KB", maxInlineBytes>>10)
		}
	}
	return nil
}

// parseSender parses "Example <signin@example.com>" or a bare address.
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
	if !isASCII(a.Address) { // many mail servers would refuse every mail
		return nil, errors.New("sender: an address with characters outside ASCII")
	}
	if utf8.RuneCountInString(a.Name) > maxSenderNameChars {
		return nil, fmt.Errorf("sender: name longer than %d characters", maxSenderNameChars)
	}
	// ParseAddress decodes encoded words, which may contain control characters.
	if err := checkHeaderValue(a.Name); err != nil {
		return nil, fmt.Errorf("sender: name: %w", err)
	}
	return a, nil
}

// checkHeaderValue rejects everything that some mail software treats as the end of a line: C0, DEL,
// C1 with U+0085, U+2028, U+2029.
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

// checkEmailAddress accepts one plain address: a local part of ValidLocalPart, @ and a host name. It
// rejects quoted local parts, address literals, comments and lists: they are legal, nobody signs in
// with them, and they are a way to smuggle commands. Internationalized domains must be A-labels (xn--),
// as browsers send them.
func checkEmailAddress(a string) error {
	local, domain, ok := strings.Cut(a, "@")
	if !ok || len(a) > maxAddressBytes || !ValidLocalPart(local) || !validHostname(domain) {
		return errors.New("not a plain address")
	}
	return nil
}

// notAtext reports whether r is not atext of RFC 5322 3.2.3.
func notAtext(r rune) bool {
	return !isAlnum(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// validHostname accepts a host name of RFC 1123 2.1, with or without dots.
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

// sanitizeSubject collapses spaces, since folding could leave a line of spaces only, which some
// programs take for the end of the headers. It also breaks "=?", which would otherwise be decoded
// as an encoded word and show other text.
func sanitizeSubject(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "=?", "= ?")
}

// normalizeLineEndings ends every line with CRLF and replaces invalid UTF-8.
func normalizeLineEndings(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\n", "\r\n"), "\uFFFD")
}

// checkMailBytes rejects what two relays could parse differently: bare CR, bare LF, bytes that are
// not ASCII except in the recipient (RFC 6532 3.2), NUL, overlong lines.
func checkMailBytes(raw []byte) error {
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > maxLineBytes {
			return errors.New("line too long")
		}
		recipient := bytes.HasPrefix(line, []byte("To: ")) && utf8.Valid(line)
		for _, b := range line {
			if b == '\r' || b == '\n' || b == 0 || b == 0x7f || b > 0x7f && !recipient {
				return errors.New("stray control character or byte")
			}
		}
	}
	return nil
}
