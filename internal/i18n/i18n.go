// Package i18n is what we say to people, per language.
//
// Every sentence a person reads, on a page or in a mail, stands in words/, one file
// per language, under the same keys. The package decides nothing and formats no HTML.
package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed words/*.json
var files embed.FS

// languages are the files in words/. English is first: it is what is left when
// nothing matches, and it fills what another language lacks.
var languages = [...]string{"en", "de"}

// maxAcceptLanguage bounds what is parsed of an Accept-Language header; browsers send less
// than a hundred bytes.
const maxAcceptLanguage = 256

// Localizer speaks one language. The zero value speaks English.
type Localizer struct{ language int }

type catalog struct {
	matcher    language.Matcher
	localizers []*i18n.Localizer
}

// loadCatalog parses all files once, at the first word that is said.
var loadCatalog = sync.OnceValue(func() catalog {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", unmarshal)
	var l catalog
	var tags []language.Tag
	for _, name := range languages {
		if _, err := bundle.LoadMessageFileFS(files, "words/"+name+".json"); err != nil {
			panic(fmt.Sprintf("i18n: %s: %v", name, err)) // embedded: a test has read it
		}
		tags = append(tags, language.Make(name))
		l.localizers = append(l.localizers, i18n.NewLocalizer(bundle, name))
	}
	l.matcher = language.NewMatcher(tags)
	return l
})

// keyReference is a key inside the text of another key. It stands for that key's text, so
// that a mail as a whole and its parts have one source.
var keyReference = regexp.MustCompile(`\[\[([a-z0-9.]+)\]\]`)

func unmarshal(data []byte, v any) error {
	var texts map[string]any
	if err := json.Unmarshal(data, &texts); err != nil {
		return err
	}
	for key, text := range texts {
		s, ok := text.(string)
		if !ok {
			continue // plural forms
		}
		texts[key] = keyReference.ReplaceAllStringFunc(s, func(q string) string {
			part, ok := texts[q[2:len(q)-2]].(string)
			if !ok {
				panic("i18n: " + key + " quotes " + q)
			}
			return part
		})
	}
	*v.(*any) = texts
	return nil
}

// Match is the language that suits an Accept-Language header best; English when the
// header is missing, too long or garbage.
func Match(acceptLanguage string) Localizer {
	if acceptLanguage == "" || len(acceptLanguage) > maxAcceptLanguage {
		return Localizer{}
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(wanted) == 0 {
		return Localizer{}
	}
	// The index, not the tag: the tag carries parts of what was asked for.
	_, index, confidence := loadCatalog().matcher.Match(wanted...)
	if confidence == language.No {
		return Localizer{}
	}
	return Localizer{index}
}

// ForTag is the language of a tag that Tag has returned, English for any other tag.
func ForTag(tag string) Localizer {
	for i, name := range languages {
		if name == tag {
			return Localizer{i}
		}
	}
	return Match(tag)
}

// Languages are the tags of all languages.
func Languages() []string { return slices.Clone(languages[:]) }

// Tag is the BCP 47 tag of the language, "en".
func (w Localizer) Tag() string { return languages[w.language] }

// Translate is the sentence of a key. Pairs are names and values for it: "Site", "Example".
// The pair "Count" also chooses the plural form. A key that the language lacks is said
// in English; a key that nobody has comes back as it is, which is ugly and harmless.
func (w Localizer) Translate(key string, pairs ...any) string {
	c := i18n.LocalizeConfig{MessageID: key}
	if len(pairs) > 1 {
		values := make(map[string]any, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			values[fmt.Sprint(pairs[i])] = pairs[i+1]
		}
		c.TemplateData = values
		c.PluralCount = values["Count"]
	}
	text, err := loadCatalog().localizers[w.language].Localize(&c)
	if err != nil && text == "" {
		return key
	}
	return text
}
