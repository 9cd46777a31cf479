package sms

import (
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
	"twostep.example/twostep/internal/i18n"
)

// maxText is how long a message may be, in characters that each take one septet: short enough
// for one text message whatever a gateway puts in front of it, and for browsers that read it.
const maxText = 140

// sentences are the first line of the message, by language, from the longest on.
var sentences = map[string][]string{
	"en": {"{Code} is your {Site} verification code. Don't share it.", "{Code} is your verification code. Don't share it."},
	"de": {"{Code} ist Ihr Bestätigungscode für {Site}. Geben Sie ihn nicht weiter.", "{Code} ist Ihr Bestätigungscode. Geben Sie ihn nicht weiter."},
}

// compose puts the code first, for the lock screen and the watch, and last the line that
// browsers read (WICG, Origin-bound one-time codes delivered via SMS): they fill the code in
// on our host only. That line is the whole last line, so nothing follows it, no line end
// either, and it is never cut; the name of the site is.
func compose(ask factor.Ask, code string) string {
	last := "\n\n@" + machine(ask.Host) + " #" + code
	lines, ok := sentences[i18n.For(ask.Language).Tag()]
	if !ok {
		lines = sentences["en"]
	}
	room := maxText - utf8.RuneCountInString(last)
	frame := strings.ReplaceAll(lines[0], "{Code}", sentcode.Written(code))
	left := room - utf8.RuneCountInString(strings.ReplaceAll(frame, "{Site}", ""))
	if site := cut(plain(ask.Site), left); site != "" {
		return strings.ReplaceAll(frame, "{Site}", site) + last
	}
	if short := strings.ReplaceAll(lines[1], "{Code}", sentcode.Written(code)); utf8.RuneCountInString(short) <= room {
		return short + last
	}
	return code + last // a host name of more than 80 characters
}

// farewells are what a number is told that another one has replaced, by language.
var farewells = map[string]string{
	"en": "Codes for {Site} now go to another phone number, not to this one. If this was not you, choose a new password.",
	"de": "Codes für {Site} gehen jetzt an eine andere Nummer, nicht mehr an diese. Waren Sie das nicht, setzen Sie ein neues Passwort.",
}

func farewell(ask factor.Ask) string {
	text, ok := farewells[i18n.For(ask.Language).Tag()]
	if !ok {
		text = farewells["en"]
	}
	room := maxText - utf8.RuneCountInString(strings.ReplaceAll(text, "{Site}", ""))
	return strings.ReplaceAll(text, "{Site}", cut(plain(ask.Site), room))
}

// cut is a name in no more than n characters, "" if that leaves too little to know it by.
func cut(name string, n int) string {
	const least = 4
	runes := []rune(name)
	if len(runes) <= n {
		return name
	}
	if n < least {
		return ""
	}
	return strings.TrimRight(string(runes[:n]), " -.,:/(&")
}

// machine is a host name as machines write it: ASCII, no port.
func machine(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// septets are the characters of the GSM alphabet (3GPP TS 23.038, 6.2.1) that take one septet,
// without @ and #, which only the last line may have. One other character would halve how
// much fits into a message.
const septets = "£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// likenesses are what stands for characters that the alphabet lacks and that do not fall
// apart into a letter and its accent.
var likenesses = map[rune]string{
	'‘': "'", '’': "'", '`': "'", '´': "'", '“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '−': "-", '~': "-", '•': "-", '·': "-",
	'[': "(", '{': "(", ']': ")", '}': ")", '|': "/", '\\': "/", '€': "EUR", '…': "...",
	'Ł': "L", 'ł': "l", 'Đ': "D", 'đ': "d", 'ı': "i", 'Œ': "OE", 'œ': "oe", 'ẞ': "SS", 'Þ': "Th", 'þ': "th", 'Ð': "D", 'ð': "d",
}

// plain is a name in characters of one septet each, on one line.
func plain(name string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) {
		b.WriteString(like(r))
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// like is what stands for a character; "" if nothing does.
func like(r rune) string {
	switch s, ok := likenesses[r]; {
	case strings.ContainsRune(septets, r):
		return string(r)
	case ok:
		return s
	case unicode.IsSpace(r), unicode.IsControl(r):
		return " "
	}
	var b strings.Builder
	for _, part := range norm.NFKD.String(string(r)) {
		if strings.ContainsRune(septets, part) {
			b.WriteRune(part)
		}
	}
	return b.String()
}
