package i18n

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func texts(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := files.ReadFile("words/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var texts any
	if err := unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	return texts.(map[string]any)
}

var placeholder = regexp.MustCompile(`\{\{\.([A-Za-z]+)\}\}`)

// Every language has every key, with the same placeholders.
func TestLanguagesAreComplete(t *testing.T) {
	english := texts(t, "en")
	for _, name := range languages[1:] {
		other := texts(t, name)
		if want, got := slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(other)); !slices.Equal(want, got) {
			for _, k := range want {
				if _, ok := other[k]; !ok {
					t.Errorf("%s lacks %s", name, k)
				}
			}
			for _, k := range got {
				if _, ok := english[k]; !ok {
					t.Errorf("only %s has %s", name, k)
				}
			}
		}
		for k := range english {
			if e, o := placeholderNames(english[k]), placeholderNames(other[k]); !slices.Equal(e, o) {
				t.Errorf("%s: %s names %v, English %v", name, k, o, e)
			}
		}
	}
}

func placeholderNames(text any) []string {
	data, _ := json.Marshal(text)
	var found []string
	for _, m := range placeholder.FindAllStringSubmatch(string(data), -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Every key has a text that contains the given values.
func TestEveryKeyTranslates(t *testing.T) {
	for _, name := range languages {
		w := ForTag(name)
		for key, text := range texts(t, name) {
			pairs := []any{}
			for _, n := range placeholderNames(text) {
				if n == "Count" {
					pairs = append(pairs, n, 2)
					continue
				}
				pairs = append(pairs, n, "‹"+n+"›")
			}
			got := w.Translate(key, pairs...)
			if got == key || got == "" || strings.Contains(got, "<no value>") || strings.Contains(got, "[[") ||
				strings.Contains(got, "{{") {
				t.Errorf("%s: %s = %q", name, key, got)
			}
		}
	}
}

func TestMatchAcceptLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"":                                    "en",
		"de":                                  "de",
		"de-CH,de;q=0.9,en;q=0.8":             "de",
		"de-u-rg-atzzzz":                      "de",
		"en-GB,de;q=0.5":                      "en",
		"ja,de;q=0.1":                         "de",
		"ja":                                  "en",
		"*":                                   "en",
		"de;q=x":                              "en",
		"\x00\xff":                            "en",
		"de" + strings.Repeat(",de-DE", 1000): "en",
	} {
		if got := Match(header).Tag(); got != want {
			t.Errorf("Match(%.30q) = %s, want %s", header, got, want)
		}
	}
}

func TestForTag(t *testing.T) {
	for tag, want := range map[string]string{"de": "de", "en": "en", "": "en", "xx": "en", "de-AT": "de"} {
		if got := ForTag(tag).Tag(); got != want {
			t.Errorf("For(%q) = %s, want %s", tag, got, want)
		}
	}
}

func TestPluralForms(t *testing.T) {
	for _, c := range []struct {
		tag   string
		count int
		want  string
	}{
		{"en", 1, "It works for 1 minute."},
		{"en", 15, "It works for 15 minutes."},
		{"de", 1, "Er gilt 1 Minute."},
		{"de", 15, "Er gilt 15 Minuten."},
	} {
		if got := ForTag(c.tag).Translate("verify.valid", "Count", c.count); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.tag, c.count, got, c.want)
		}
	}
}

// The code of a mail is on a line by itself, and values are not expanded as templates.
func TestCodeMailDoesNotExpandValues(t *testing.T) {
	got := ForTag("en").Translate("mail.code.text", "Code", "012345", "Site", "{{.Code}} [[mail.code.never]]",
		"Valid", "15 minutes", "Until", "14:32", "When", "14:17", "Browser", "Firefox on Windows", "Address", "192.0.2.1")
	if !strings.Contains(got, "\n012345\n") || !strings.Contains(got, "for {{.Code}} [[mail.code.never]]:") ||
		!strings.Contains(got, "This code works for 15 minutes, until 14:32.") || strings.Contains(got, "http") {
		t.Error(got)
	}
}

// The required text of a wrong code, and an unknown key.
func TestWrongCodeTextAndUnknownKey(t *testing.T) {
	if got := (Localizer{}).Translate("problem.code"); got != "The verification code you have entered does not match our records. Please try again, or request a new code." {
		t.Error(got)
	}
	if got := (Localizer{}).Translate("no.such.key"); got != "no.such.key" {
		t.Error(got)
	}
}

func TestTranslateConcurrently(t *testing.T) {
	done := make(chan string)
	for range 8 {
		go func() { done <- Match("de").Translate("verify.again.wait", "Seconds", 3) }()
	}
	for range 8 {
		if got := <-done; got != "Einen neuen Code können Sie in 3 Sekunden anfordern." {
			t.Error(got)
		}
	}
}

func BenchmarkTranslate(b *testing.B) {
	w := ForTag("de")
	for b.Loop() {
		w.Translate("verify.again.wait", "Seconds", 3)
	}
}
