// Package manual has the text of the help page as data, with the names and numbers of one server.
//
// The help page shows its sentences, and twostep check tests each of them on a running server.
package manual

import (
	"embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed en.txt de.txt
var files embed.FS

// Facts are the values of one server that the sentences contain.
type Facts struct {
	Site    string   // name of the site
	Domain  string   // origin of the sign-in page: "https://signin.example.com"
	Minutes int      // validity of a code sent by email
	Days    int      // duration of trust, if it is a number of days; 0 with Hours 0: trust is disabled
	Hours   int      // duration of trust, if it is no number of days
	Methods []string // enabled methods: "email", "totp", "sms"

	// Menu is the path to the verification methods in the menu of the owner's app, like
	// "Settings -> Billing & Admin". "": the page leads to the settings of this server instead.
	Menu string
}

// Default values of Facts.
const (
	Minutes = 15
	Days    = 30
)

// Section is a heading with its sentences.
type Section struct {
	ID        string // "email", "app.set"
	Level     int    // 1 to 3; level 3 is a browser
	Title     string
	Sentences []Sentence
}

// Sentence is one sentence of the help page.
type Sentence struct {
	ID            string // "email.valid"
	Kind          string // "" is a paragraph, "*" a step, "-" an item, "!" a note
	Text          string // plain text
	Link          Link   // a page of this server that the sentence leads to
	Supplementary bool   // an addition of this server to the original help page
}

// Link is the part of a sentence that is a link. The zero value is none.
type Link struct {
	Text string // the part of Sentence.Text
	Path string // "/settings"
}

var (
	heading  = regexp.MustCompile(`^(#{1,3}) ([a-z.]+)(?: \(([a-z]+)\))? (.+)$`)
	sentence = regexp.MustCompile(`^(\+?)([*!-]?)([a-z.]+)(?: \(([a-z ]+)\))?: (.+)$`)
	link     = regexp.MustCompile(`\[([^]]+)\]\((/[^)]*)\)`)
)

// Sections returns the help page in a language ("de"; any other is English), without the sections
// and sentences about features that the server does not have.
func Sections(language string, f Facts) []Section {
	if language != "de" {
		language = "en"
	}
	text, err := files.ReadFile(language + ".txt")
	if err != nil {
		panic(err) // embedded
	}
	replacer := strings.NewReplacer(append(f.hours(), "{Site}", f.Site, "{Domain}", f.Domain, "{Minutes}", strconv.Itoa(f.Minutes),
		"{Days}", strconv.Itoa(f.Days), "{Ways}", f.methodsText(language), "{Menu}", f.Menu)...)
	var all []Section
	var skipping bool // within a section that is left out
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if h := heading.FindStringSubmatch(line); h != nil {
			if skipping = skipping && len(h[1]) > 1 || !f.includes(h[3]); !skipping {
				all = append(all, Section{ID: h[2], Level: len(h[1]), Title: replacer.Replace(h[4])})
			}
			continue
		}
		s := sentence.FindStringSubmatch(line)
		if s == nil || skipping || !f.includes(s[4]) {
			continue
		}
		section := &all[len(all)-1]
		one := Sentence{ID: section.ID + "." + s[3], Kind: s[2], Supplementary: s[1] != ""}
		if l := link.FindStringSubmatch(s[5]); l != nil {
			one.Link = Link{Text: l[1], Path: l[2]}
		}
		one.Text = replacer.Replace(link.ReplaceAllString(s[5], "$1"))
		section.Sentences = append(section.Sentences, one)
	}
	return all
}

// Trusts reports whether devices can be trusted.
func (f Facts) Trusts() bool { return f.Days > 0 || f.Hours > 0 }

// hours returns what replaces the days in the sentences, if the duration of trust is no number of days.
func (f Facts) hours() []string {
	if f.Hours == 0 {
		return nil
	}
	n := strconv.Itoa(f.Hours)
	return []string{
		"{Days} Days", n + " Hours", "{Days} days", n + " hours",
		"{Days} Tage", n + " Stunden",
	}
}

// includes reports whether the server has the subject of a section or sentence: "trust", "menu",
// "no menu", a method, or "" for all.
func (f Facts) includes(what string) bool {
	switch what {
	case "trust":
		return f.Trusts()
	case "menu":
		return f.Menu != ""
	case "no menu":
		return f.Menu == ""
	}
	return what == "" || slices.Contains(f.Methods, what)
}

// methodsText returns the text for {Ways}: where a code may come from.
func (f Facts) methodsText(language string) string {
	all := map[string][4]string{
		"en": {"your Email", "either your Email or SMS", "either your Email or an Authenticator App on your phone",
			"either your Email, SMS or an Authenticator App on your phone"},
		"de": {"per E-Mail", "per E-Mail oder SMS", "per E-Mail oder über eine Authenticator-App auf Ihrem Telefon",
			"per E-Mail, per SMS oder über eine Authenticator-App auf Ihrem Telefon"},
	}[language]
	i := 0
	if f.includes("sms") {
		i++
	}
	if f.includes("totp") {
		i += 2
	}
	return all[i]
}
