package manual

import (
	"slices"
	"strings"
	"testing"
)

var facts = Facts{Site: "Example", Domain: "https://signin.example.com", Minutes: 15, Days: 30,
	Methods: []string{"email", "totp", "sms"}}

var menuFacts = Facts{Site: facts.Site, Domain: facts.Domain, Minutes: facts.Minutes, Days: facts.Days,
	Methods: facts.Methods, Menu: "Settings -> Billing & Admin"}

// Both languages have the same sentences, each sentence has a unique ID, and no placeholder is
// left. Every line of the files is on the page with a menu or on the page without one.
func TestLanguagesHaveTheSameSentences(t *testing.T) {
	type shape struct {
		section, id, kind string
		level             int
		ours              bool
		path              string
	}
	shapes := func(language string) (all []shape) {
		text, err := files.ReadFile(language + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				lines++
			}
		}
		sections := Sections(language, facts)
		lines -= len(sections)
		for _, s := range append(sections, Sections(language, menuFacts)...) {
			for _, one := range s.Sentences {
				is := shape{s.ID, one.ID, one.Kind, s.Level, one.Supplementary, one.Link.Path}
				if slices.Contains(all, is) {
					continue // on both pages
				}
				lines--
				all = append(all, is)
				if strings.ContainsAny(one.Text+s.Title, "{}[]") {
					t.Errorf("%s: %s: %s", language, one.ID, one.Text)
				}
				if !strings.Contains(one.Text, one.Link.Text) || (one.Link.Text == "") != (one.Link.Path == "") {
					t.Errorf("%s: %s: %q has no link %+v", language, one.ID, one.Text, one.Link)
				}
			}
		}
		if lines != 0 {
			t.Errorf("%s: %d lines are neither a heading nor a sentence", language, lines)
		}
		return all
	}
	english, german := shapes("en"), shapes("de")
	if !slices.Equal(english, german) {
		t.Errorf("English %v\nGerman %v", english, german)
	}
	var ids []string
	for _, s := range english {
		if slices.Contains(ids, s.id) {
			t.Errorf("%s is there twice", s.id)
		}
		ids = append(ids, s.id)
	}
}

// pageHas reports whether the English page for f has the text.
func pageHas(f Facts, text string) bool {
	for _, s := range Sections("en", f) {
		if strings.Contains(s.Title, text) {
			return true
		}
		for _, one := range s.Sentences {
			if strings.Contains(one.Text, text) {
				return true
			}
		}
	}
	return false
}

// Features that the server does not have are left out, and the numbers are the server's.
func TestSectionsMatchServerFacts(t *testing.T) {
	less := facts
	less.Minutes, less.Days = 10, 7
	for text, f := range map[string]Facts{"valid for 15 mins": facts, "valid for 10 mins": less,
		"Trust this device for 7 Days": less, "sign in domain https://signin.example.com": facts,
		"either your Email, SMS or an Auth": facts} {
		if !pageHas(f, text) {
			t.Errorf("%q is not on the page", text)
		}
	}
	only := Facts{Site: "Example", Minutes: 15}
	for _, text := range []string{"SMS", "Authenticator", "rust this device", "Chrome", "30"} {
		if pageHas(only, text) {
			t.Errorf("%q is on the page of a server without it", text)
		}
	}
	if !pageHas(only, "a security code which can be sent to your Email.") {
		t.Error("email is not the only method on the page")
	}
}

// The page names the menu of the owner's app if there is one, and the settings of this server
// otherwise: only the owner's app opens a new window.
func TestMenuOfTheOwnersApp(t *testing.T) {
	for _, text := range []string{"Browse to Settings -> Billing & Admin",
		"Select 2-Step Auth App which will open in a new window",
		"Select 2-Step SMS Number which will open in a new window"} {
		if !pageHas(menuFacts, text) {
			t.Errorf("with a menu: %q is not on the page", text)
		}
		if pageHas(facts, text) {
			t.Errorf("without a menu: %q is on the page", text)
		}
	}
	for _, text := range []string{"Select Authenticator App", "Select SMS"} {
		if pageHas(menuFacts, text) || !pageHas(facts, text) {
			t.Errorf("%q is on the wrong page", text)
		}
	}
	var own []Sentence
	for _, s := range Sections("en", facts) {
		for _, one := range s.Sentences {
			if one.Link.Path == "/settings" {
				own = append(own, one)
			}
		}
	}
	if len(own) != 2 || own[0].Text != "Browse to Settings" || own[0].Link.Text != "Settings" {
		t.Errorf("links to the settings: %+v", own)
	}
}
