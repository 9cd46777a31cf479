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

// maxMessageChars is the longest message in characters of one septet each: one text message (160
// septets) even if the gateway adds a prefix, and what browsers accept.
const maxMessageChars = 140

// codeMessages are the first lines of the message by language, the longest first.
var codeMessages = map[string][]string{
	"en": {"{Code} is your {Site} verification code. Don't share it.", "{Code} is your verification code. Don't share it."},
	"de": {"{Code} ist Ihr Bestätigungscode für {Site}. Geben Sie ihn nicht weiter.", "{Code} ist Ihr Bestätigungscode. Geben Sie ihn nicht weiter."},
}

// composeCodeMessage puts the code first, for the lock screen and the watch, and the origin-bound
// line last (WICG, Origin-bound one-time codes delivered via SMS): browsers fill in the code on our
// host only. Nothing may follow that line, no line end either, and it is never truncated; the name
// of the site is.
func composeCodeMessage(ask factor.Request, code string) string {
	originBoundLine := "\n\n@" + asciiHost(ask.Host) + " #" + code
	lines, ok := codeMessages[i18n.ForTag(ask.Language).Tag()]
	if !ok {
		lines = codeMessages["en"]
	}
	limit := maxMessageChars - utf8.RuneCountInString(originBoundLine)
	frame := strings.ReplaceAll(lines[0], "{Code}", sentcode.Format(code))
	left := limit - utf8.RuneCountInString(strings.ReplaceAll(frame, "{Site}", ""))
	if site := truncateName(toGSMAlphabet(ask.Site), left); site != "" {
		return strings.ReplaceAll(frame, "{Site}", site) + originBoundLine
	}
	if short := strings.ReplaceAll(lines[1], "{Code}", sentcode.Format(code)); utf8.RuneCountInString(short) <= limit {
		return short + originBoundLine
	}
	return code + originBoundLine // the host name has more than 80 characters
}

// noticeWithoutURL is factor.NoticeDeskCode if the URL does not fit.
const noticeWithoutURL factor.Notice = "deskcode without a link"

// noticeMessages are the notifications to a number, by language.
var noticeMessages = map[string]map[factor.Notice]string{
	"en": {
		factor.NoticeReplaced: "Your {Site} verification codes now go to a different phone number. If this wasn't you, change your password.",
		factor.NoticeFrozen:   "Someone wants to undo a change to your {Site} account. To stop it, open Settings in a browser where you're signed in.",
		factor.NoticeKept:     "A change to your {Site} account is kept. If you wanted to undo it, contact support.",
		factor.NoticeUndone:   "A change to your {Site} account has been undone. Choose a new password.",
		factor.NoticeDeskCode: "Help desk code requested for {Site}. Not you? Cancel: {URL}",
		noticeWithoutURL:      "The help desk asked for a code for your {Site} account. Not you? Use the link in our email to cancel it.",
	},
	"de": {
		factor.NoticeReplaced: "Ihre Bestätigungscodes für {Site} gehen jetzt an eine andere Nummer. Wenn Sie das nicht waren, ändern Sie Ihr Passwort.",
		factor.NoticeFrozen:   "Jemand will eine Änderung Ihres Kontos bei {Site} rückgängig machen. In den Einstellungen können Sie das verhindern.",
		factor.NoticeKept:     "Eine Änderung Ihres Kontos bei {Site} bleibt bestehen. Wenn Sie das nicht wollten, fragen Sie den Support.",
		factor.NoticeUndone:   "Eine Änderung Ihres Kontos bei {Site} wurde rückgängig gemacht. Wählen Sie ein neues Passwort.",
		factor.NoticeDeskCode: "Helpdesk-Code für {Site} angefordert. Nicht Sie? Abbrechen: {URL}",
		noticeWithoutURL:      "Der Helpdesk hat einen Code für Ihr Konto bei {Site} angefordert. Nicht Sie? Der Link in unserer E-Mail stoppt das.",
	},
}

func composeNotice(n factor.Notice, ask factor.Request) string {
	texts, ok := noticeMessages[i18n.ForTag(ask.Language).Tag()]
	if !ok {
		texts = noticeMessages["en"]
	}
	text, ok := texts[n]
	if !ok {
		text = texts[factor.NoticeUndone]
	}
	if strings.Contains(text, "{URL}") {
		frame := strings.ReplaceAll(strings.ReplaceAll(text, "{Site}", ""), "{URL}", "")
		if ask.CancelURL == "" || utf8.RuneCountInString(frame)+utf8.RuneCountInString(ask.CancelURL) > maxMessageChars {
			text = texts[noticeWithoutURL]
		}
		text = strings.ReplaceAll(text, "{URL}", ask.CancelURL)
	}
	siteLimit := maxMessageChars - utf8.RuneCountInString(strings.ReplaceAll(text, "{Site}", ""))
	return strings.ReplaceAll(text, "{Site}", truncateName(toGSMAlphabet(ask.Site), siteLimit))
}

// truncateName cuts name to at most n characters. It returns "" if too little of it would be left.
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

// asciiHost returns a host name without its port, as A-labels.
func asciiHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// gsmSeptets are the characters of the GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1) that take
// one septet, without @ and #, which are reserved for the origin-bound line. A single character
// outside of the alphabet would halve the capacity of the message.
const gsmSeptets = "£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// gsmSubstitutes replace characters that are not in the alphabet and do not decompose into a letter
// and its accent.
var gsmSubstitutes = map[rune]string{
	'‘': "'", '’': "'", '`': "'", '´': "'", '“': `"`, '”': `"`, '„': `"`, '«': `"`, '»': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '−': "-", '~': "-", '•': "-", '·': "-",
	'[': "(", '{': "(", ']': ")", '}': ")", '|': "/", '\\': "/", '€': "EUR", '…': "...",
	'Ł': "L", 'ł': "l", 'Đ': "D", 'đ': "d", 'ı': "i", 'Œ': "OE", 'œ': "oe", 'ẞ': "SS", 'Þ': "Th", 'þ': "th", 'Ð': "D", 'ð': "d",
}

// toGSMAlphabet converts name to characters of one septet each, on one line.
func toGSMAlphabet(name string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) {
		b.WriteString(gsmSubstitute(r))
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// gsmSubstitute returns the replacement of a character; "" if it has none.
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
