// Package manual is the page that describes the feature, sentence by sentence, with the
// names and numbers of one server.
//
// The help page prints it, and twostep check tries every sentence of it on a running
// server, so that the two cannot say different things.
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

// Facts are what the sentences say about one server.
type Facts struct {
	Site    string   // the name people see
	Domain  string   // the address of the sign-in page: "https://signin.example.com"
	Minutes int      // how long a code sent by email works
	Days    int      // how long a browser is trusted; 0: it is not
	Methods []string // by which a code may come: "email", "totp", "sms"
}

// The figures of the page that the feature follows.
const (
	Minutes = 15
	Days    = 30
)

// Section is a heading with the sentences below it.
type Section struct {
	ID        string // "email", "app.set"
	Level     int    // 1 to 3; 3 is a browser
	Title     string
	Sentences []Sentence
}

// Sentence is one sentence of the page, or one of ours that explains it.
type Sentence struct {
	ID            string // "email.valid"
	Kind          string // "" a paragraph, "*" a step, "-" an item, "!" a note
	Text          string
	Supplementary bool // it is not on the page that the feature follows
}

var (
	heading  = regexp.MustCompile(`^(#{1,3}) ([a-z.]+)(?: \(([a-z]+)\))? (.+)$`)
	sentence = regexp.MustCompile(`^(\+?)([*!-]?)([a-z.]+): (.+)$`)
)

// Sections is the page in a language ("de"; any other: English), without what the server
// does not have.
func Sections(language string, f Facts) []Section {
	if language != "de" {
		language = "en"
	}
	text, err := files.ReadFile(language + ".txt")
	if err != nil {
		panic(err) // embedded
	}
	replacer := strings.NewReplacer("{Site}", f.Site, "{Domain}", f.Domain, "{Minutes}", strconv.Itoa(f.Minutes), "{Days}", strconv.Itoa(f.Days), "{Ways}", f.methodsText(language))
	var all []Section
	var skipping bool // the chapter that is left out
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if h := heading.FindStringSubmatch(line); h != nil {
			if skipping = skipping && len(h[1]) > 1 || !f.includes(h[3]); !skipping {
				all = append(all, Section{ID: h[2], Level: len(h[1]), Title: replacer.Replace(h[4])})
			}
			continue
		}
		s := sentence.FindStringSubmatch(line)
		if s == nil || skipping {
			continue
		}
		section := &all[len(all)-1]
		section.Sentences = append(section.Sentences, Sentence{ID: section.ID + "." + s[3], Kind: s[2], Text: replacer.Replace(s[4]), Supplementary: s[1] != ""})
	}
	return all
}

// includes says whether the server has what a chapter is about: trust, a method, or nothing of
// the kind.
func (f Facts) includes(what string) bool {
	if what == "trust" {
		return f.Days > 0
	}
	return what == "" || slices.Contains(f.Methods, what)
}

// methodsText are where a code may come from, as the rest of a sentence.
func (f Facts) methodsText(language string) string {
	all := map[string][4]string{
		"en": {"your Email", "either your Email or SMS", "either your Email or an Authenticator App on your phone", "either your Email, SMS or an Authenticator App on your phone"},
		"de": {"per E-Mail", "per E-Mail oder SMS", "per E-Mail oder aus einer Authenticator-App auf Ihrem Telefon", "per E-Mail, per SMS oder aus einer Authenticator-App auf Ihrem Telefon"},
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
