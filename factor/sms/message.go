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

// maxMessageChars is how long a message may be, in characters that each take one septet: short enough
// for one text message whatever a gateway puts in front of it, and for browsers that read it.
const maxMessageChars = 140

// codeMessages are the first line of the message, by language, from the longest on.
var codeMessages = map[string][]string{
	"en": {"{Code} is your {Site} verification code. Don't share it.", "{Code} is your verification code. Don't share it."},
	"de": {"{Code} ist Ihr Bestätigungscode für {Site}. Geben Sie ihn nicht weiter.", "{Code} ist Ihr Bestätigungscode. Geben Sie ihn nicht weiter."},
}

// composeCodeMessage puts the code first, for the lock screen and the watch, and last the line that
// browsers read (WICG, Origin-bound one-time codes delivered via SMS): they fill the code in
// on our host only. That line is the whole last line, so nothing follows it, no line end
// either, and it is never cut; the name of the site is.
func composeCodeMessage(ask factor.Request, code string) string {
	originBoundLine := "\n\n@" + asciiHost(ask.Host) + " #" + code
	lines, ok := codeMessages[i18n.ForTag(ask.Language).Tag()]
	if !ok {
		lines = codeMessages["en"]
	}
	room := maxMessageChars - utf8.RuneCountInString(originBoundLine)
	frame := strings.ReplaceAll(lines[0], "{Code}", sentcode.Format(code))
	left := room - utf8.RuneCountInString(strings.ReplaceAll(frame, "{Site}", ""))
	if site := truncateName(toGSMAlphabet(ask.Site), left); site != "" {
		return strings.ReplaceAll(frame, "{Site}", site) + originBoundLine
	}
	if short := strings.ReplaceAll(lines[1], "{Code}", sentcode.Format(code)); utf8.RuneCountInString(short) <= room {
		return short + originBoundLine
	}
	return code + originBoundLine // a host name of more than 80 characters
}

// replacedMessages are what a number is told that another one has replaced, by language.
var replacedMessages = map[string]string{
	"en": "Codes for {Site} now go to another phone number, not to this one. If this was not you, choose a new password.",
	"de": "Codes für {Site} gehen jetzt an eine andere Nummer, nicht mehr an diese. Waren Sie das nicht, setzen Sie ein neues Passwort.",
}

func composeReplacedMessage(ask factor.Request) string {
	text, ok := replacedMessages[i18n.ForTag(ask.Language).Tag()]
	if !ok {
		text = replacedMessages["en"]
	}
	room := maxMessageChars - utf8.RuneCountInString(strings.ReplaceAll(text, "{Site}", ""))
	return strings.ReplaceAll(text, "{Site}", truncateName(toGSMAlphabet(ask.Site), room))
}

// truncateName is a name in no more than n characters, "" if that leaves too little to know it by.
func truncateName(name string, n int) string {
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

// asciiHost is a host name as machines write it: ASCII, no port.
func asciiHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// gsmSeptets are the characters of the GSM alphabet (3GPP TS 23.038, 6.2.1) that take one septet,
// without @ and #, which only the last line may have. One other character would halve how
// much fits into a message.
const gsmSeptets = "£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// gsmSubstitutes are what stands for characters that the alphabet lacks and that do not fall
// apart into a letter and its accent.
var gsmSubstitutes = map[rune]string{
	'‘': "'", '’': "'", '`': "'", '´': "'", '“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '−': "-", '~': "-", '•': "-", '·': "-",
	'[': "(", '{': "(", ']': ")", '}': ")", '|': "/", '\\': "/", '€': "EUR", '…': "...",
	'Ł': "L", 'ł': "l", 'Đ': "D", 'đ': "d", 'ı': "i", 'Œ': "OE", 'œ': "oe", 'ẞ': "SS", 'Þ': "Th", 'þ': "th", 'Ð': "D", 'ð': "d",
}

// toGSMAlphabet is a name in characters of one septet each, on one line.
func toGSMAlphabet(name string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) {
		b.WriteString(gsmSubstitute(r))
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// gsmSubstitute is what stands for a character; "" if nothing does.
func gsmSubstitute(r rune) string {
	switch s, ok := gsmSubstitutes[r]; {
	case strings.ContainsRune(gsmSeptets, r):
		return string(r)
	case ok:
		return s
	case unicode.IsSpace(r), unicode.IsControl(r):
		return " "
	}
	var b strings.Builder
	for _, part := range norm.NFKD.String(string(r)) {
		if strings.ContainsRune(gsmSeptets, part) {
			b.WriteRune(part)
		}
	}
	return b.String()
}
