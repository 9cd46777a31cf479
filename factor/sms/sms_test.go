package sms

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
)

func testRequest(language string) factor.Request {
	return factor.Request{
		Account: factor.Account{ID: "a", Email: "anna@example.com", Name: "Anna"},
		Factor:  factor.Factor{ID: "f", Method: "sms", Destination: "+491712345678"},
		Site:    "Example", Host: "login.example.com", Language: language,
	}
}

// The message is exactly this, without a line end.
func TestCodeMessage(t *testing.T) {
	for language, want := range map[string]string{
		"en": "747723 is your Example verification code. Don't share it.\n\n@login.example.com #747723",
		"de": "747723 ist Ihr Bestätigungscode für Example. Geben Sie ihn nicht weiter.\n\n@login.example.com #747723",
		"fr": "747723 is your Example verification code. Don't share it.\n\n@login.example.com #747723",
	} {
		if got := composeCodeMessage(testRequest(language), "747723"); got != want {
			t.Errorf("%s: got %q, want %q", language, got, want)
		}
	}
	c, err := Method{}.Challenge(t.Context(), testRequest("en"))
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Message; m.Channel != delivery.SMS || m.To != "+491712345678" ||
		m.Text != composeCodeMessage(testRequest("en"), c.Answer) ||
		!regexp.MustCompile(`^\d{6}$`).MatchString(c.Answer) {
		t.Errorf("got %s to %s", m.Channel, m.To)
	}
}

// countSeptets counts as a phone network does; -1 if the text needs UCS-2.
func countSeptets(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmSeptets+"@#\n\r", r):
			n++
		case strings.ContainsRune("^{}\\[~]|€\f", r):
			n += 2
		default:
			return -1
		}
	}
	return n
}

var testSiteNames = []string{
	"", "Example", "Bücher & Söhne", "Café Łódź – “Пекарня”", "日本語の名前", "株式会社Example", "a\nb",
	"x\r\n\r\n@evil.example #123456",
	"@evil.example #123456", "Site {Code} {Site}", "\u202eelpmaxE", "e\u0301tude", "€uro [x] {y} ~z|",
	strings.Repeat("Long Name, Inc. ", 20), strings.Repeat("字", 300),
}

var testHosts = []string{
	"login.example.com", "login.example.com:8443", "localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080",
	"bücher.example",
	strings.Repeat("a", 60) + ".example.com", strings.Repeat("a", 60) + "." + strings.Repeat("b", 30) + ".example",
}

// In every language and for every name, the message is one text message.
func TestCodeMessageFitsOneSMS(t *testing.T) {
	for language := range codeMessages {
		for _, site := range testSiteNames {
			for _, host := range testHosts {
				a := testRequest(language)
				a.Site, a.Host = site, host
				text := composeCodeMessage(a, "747723")
				if n := countSeptets(text); n < 0 || n > 160 || utf8.RuneCountInString(text) > maxMessageChars {
					t.Errorf("%s, %.20q, %s: %d septets, %d characters in %q", language, site, host, n,
						utf8.RuneCountInString(text), text)
				}
				wantOriginBoundCode(t, text, asciiHost(host), "747723")
			}
		}
	}
}

func TestToGSMAlphabet(t *testing.T) {
	for name, want := range map[string]string{
		"Bücher & Söhne": "Bücher & Söhne", "Café Łódź": "Café Lodz", "Пекарня Example": "Example", "日本": "",
		"“A”—B":   `"A"-B`,
		"a\nb\tc": "a b c", "@evil #1": "evil 1", "e\u0301tude": "étude", "5 €": "5 EUR", "ﬁne": "fine", "[x]": "(x)",
	} {
		if got := toGSMAlphabet(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// parseOriginBoundCode parses a message as a browser does: WICG sms-one-time-codes, "parse an
// origin-bound one-time code message". Only the last line counts.
func parseOriginBoundCode(message string) (host, code string, ok bool) {
	line := message[strings.LastIndexAny(message, "\n\r")+1:]
	line, ok = strings.CutPrefix(line, "@")
	if !ok {
		return "", "", false
	}
	host, rest, ok := strings.Cut(line, " ")
	if !ok || host == "" {
		return "", "", false
	}
	rest, ok = strings.CutPrefix(rest, "#")
	code, embedded, more := strings.Cut(rest, " ")
	return host, code, ok && code != "" && !(more && strings.HasPrefix(embedded, "@"))
}

func wantOriginBoundCode(t *testing.T, text, host, code string) {
	t.Helper()
	gotHost, gotCode, ok := parseOriginBoundCode(text)
	if !ok || gotHost != host || gotCode != code {
		t.Errorf("a browser reads %q, %q, %t in %q, want %s, %s", gotHost, gotCode, ok, text, host, code)
	}
	if !strings.HasSuffix(text, "\n\n@"+host+" #"+code) || !strings.HasPrefix(text, code) {
		t.Errorf("got %q", text)
	}
	if strings.Count(text, "@") != 1 || strings.Count(text, "#") != 1 || strings.Count(text, "\n") != 2 ||
		strings.Contains(text, "\r") {
		t.Errorf("another line in %q", text)
	}
}

// Whatever the name of the site is, a browser reads our host and our code, and no code in the
// notification of a replaced number; both are one text message.
func FuzzCodeMessage(f *testing.F) {
	for _, site := range testSiteNames {
		f.Add(site, "login.example.com", "de")
	}
	for i, host := range testHosts {
		f.Add(testSiteNames[i], host, "en")
	}
	name := regexp.MustCompile(`^([a-z0-9]{1,20}(-[a-z0-9]{1,20})*)(\.[a-z]{2,20}){0,4}(:[0-9]{1,5})?$`)
	f.Fuzz(func(t *testing.T, site, host, language string) {
		if !name.MatchString(host) || len(host) > 100 {
			host = "login.example.com"
		}
		a := testRequest(language)
		a.Site, a.Host = site, host
		bare, _, _ := strings.Cut(host, ":")
		text, last := composeCodeMessage(a, "012345"), composeNotice(factor.NoticeFrozen, a)
		wantOriginBoundCode(t, text, bare, "012345")
		if _, _, ok := parseOriginBoundCode(last); ok || strings.ContainsAny(last, "@#\r\n") {
			t.Errorf("a browser may read a code in %q", last)
		}
		for _, sent := range []string{text, last} {
			if n := countSeptets(sent); n < 0 || n > maxMessageChars {
				t.Errorf("%d septets in %q", n, sent)
			}
		}
	})
}

// Both languages have the same texts, and every message key has a text.
func TestWordsOfAllLanguages(t *testing.T) {
	a := Method{}.Info()
	if a.Method != "sms" || a.Path != "sms" || a.MaxPerAccount != 1 || a.CodeTTL != 15*time.Minute ||
		!slices.Equal(a.AMR, []string{"otp", "sms"}) {
		t.Errorf("got %+v", a)
	}
	en, de := a.Words["en"], a.Words["de"]
	if en.Title != "2-Step SMS Number" || en.Button != "Send Code" || en.Messages["country"] != "Country/Region" ||
		en.Messages["number"] != "Phone number" ||
		!strings.Contains(strings.Join(en.Intro, " "),
			"the number provided must be able to receive a text message (SMS)") {
		t.Errorf("words of the help page are missing in %+v", en)
	}
	named := regexp.MustCompile(`\{[A-Za-z]+\}`)
	for key, text := range en.Messages {
		if de.Messages[key] == "" || !slices.Equal(named.FindAllString(text, -1),
			named.FindAllString(de.Messages[key], -1)) {
			t.Errorf("%s: %q and %q", key, text, de.Messages[key])
		}
	}
	if len(en.Messages) != len(de.Messages) || len(en.Intro) != len(de.Intro) || de.Title == "" || de.Prompt == "" ||
		de.Button == "" || !strings.Contains(de.ChoiceLabel, "{Masked}") {
		t.Error("German lacks words")
	}
	for _, says := range refusedNumberTypes {
		if en.Messages[says] == "" {
			t.Errorf("no words for %s", says)
		}
	}
	for _, f := range a.Fields {
		if en.Messages[f.Name] == "" {
			t.Errorf("no label for %s", f.Name)
		}
	}
}

// Every notification fits one message in every language, whatever the name of the site, and has its own text.
func TestNoticesFitOneSMS(t *testing.T) {
	all := []factor.Notice{factor.NoticeReplaced, factor.NoticeFrozen, factor.NoticeKept, factor.NoticeUndone, factor.NoticeDeskCode}
	for _, language := range []string{"en", "de", "fr"} {
		for _, site := range []string{"Example", strings.Repeat("Ein langer Name ", 20), "日本語のサイト", "a\nb"} {
			seen := map[string]bool{}
			for _, n := range all {
				m := Method{}.NoticeMessage(n, factor.Request{Factor: factor.Factor{Destination: "+491711234567"},
					Site: site, Language: language})
				if m.To != "+491711234567" || utf8.RuneCountInString(m.Text) > maxMessageChars || seen[m.Text] ||
					strings.Contains(m.Text, "\n") || strings.Contains(m.Text, "{Site}") {
					t.Errorf("%s, %s, %.20q: %q", language, n, site, m.Text)
				}
				seen[m.Text] = true
			}
		}
	}
}
