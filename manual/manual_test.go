package manual

import (
	"slices"
	"strings"
	"testing"
)

var facts = Facts{Site: "Example", Domain: "https://signin.example.com", Minutes: 15, Days: 30,
	Methods: []string{"email", "totp", "sms"}}

// Both languages have the same sentences, each sentence has a unique ID, and no placeholder is
// left.
func TestLanguagesHaveTheSameSentences(t *testing.T) {
	type shape struct {
		section, id, kind string
		level             int
		ours              bool
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
		for _, s := range Sections(language, facts) {
			lines--
			for _, one := range s.Sentences {
				lines--
				all = append(all, shape{s.ID, one.ID, one.Kind, s.Level, one.Supplementary})
				if strings.ContainsAny(one.Text+s.Title, "{}") {
					t.Errorf("%s: %s: %s", language, one.ID, one.Text)
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

// Features that the server does not have are left out, and the numbers are the server's.
func TestSectionsMatchServerFacts(t *testing.T) {
	says := func(f Facts, text string) bool {
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
	less := facts
	less.Minutes, less.Days = 10, 7
	for text, f := range map[string]Facts{"valid for 15 mins": facts, "valid for 10 mins": less,
		"Trust this device for 7 Days": less, "sign in domain https://signin.example.com": facts, "either your Email, SMS or an Auth": facts} {
		if !says(f, text) {
			t.Errorf("%q is not said", text)
		}
	}
	only := Facts{Site: "Example", Minutes: 15}
	for _, text := range []string{"SMS", "Authenticator", "rust this device", "Chrome", "30"} {
		if says(only, text) {
			t.Errorf("%q is said of a server without it", text)
		}
	}
	if !says(only, "a security code which can be sent to your Email.") {
		t.Error("email is not all there is")
	}
}
