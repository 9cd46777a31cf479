// Package i18n has the texts for people, by language.
//
// The texts of all pages and mails are in words/, one file per language with the same keys. The
// package formats no HTML.
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

// languages are the files in words/. English is the default and supplies texts that are missing in
// another language.
var languages = [...]string{"en", "de"}

// maxAcceptLanguage limits how many bytes of an Accept-Language header are parsed; browsers send
// less than 100.
const maxAcceptLanguage = 256

// Localizer returns the texts of one language. The zero value is English.
type Localizer struct{ language int }

type catalog struct {
	matcher    language.Matcher
	localizers []*i18n.Localizer
}

// loadCatalog parses all files once, at first use.
var loadCatalog = sync.OnceValue(func() catalog {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", unmarshal)
	var l catalog
	var tags []language.Tag
	for _, name := range languages {
		if _, err := bundle.LoadMessageFileFS(files, "words/"+name+".json"); err != nil {
			panic(fmt.Sprintf("i18n: %s: %v", name, err)) // embedded files, checked by tests
		}
		tags = append(tags, language.Make(name))
		l.localizers = append(l.localizers, i18n.NewLocalizer(bundle, name))
	}
	l.matcher = language.NewMatcher(tags)
	return l
})

// keyReference is a reference to another key within a text. It is replaced by that key's text, so
// that a mail and its parts have one source.
var keyReference = regexp.MustCompile(`\[\[([a-z0-9.]+)\]\]`)

// maxReferenceDepth is how deep references are nested: a mail, its parts, their parts.
const maxReferenceDepth = 4

// expandReferences panics on a reference to a missing key and on a cycle: the files are embedded, so the first test
// fails.
func expandReferences(texts map[string]any, text string, depth int) string {
	return keyReference.ReplaceAllStringFunc(text, func(q string) string {
		part, ok := texts[q[2:len(q)-2]].(string)
		if !ok || depth == 0 {
			panic("i18n: no text for " + q + ", or a cycle")
		}
		return expandReferences(texts, part, depth-1)
	})
}

func unmarshal(data []byte, v any) error {
	var texts map[string]any
	if err := json.Unmarshal(data, &texts); err != nil {
		return err
	}
	for key, text := range texts {
		if s, ok := text.(string); ok { // the others are plural forms
			texts[key] = expandReferences(texts, s, maxReferenceDepth)
		}
	}
	*v.(*any) = texts
	return nil
}

// Match returns the best Localizer for an Accept-Language header: English if the header is missing,
// too long or malformed.
func Match(acceptLanguage string) Localizer {
	if acceptLanguage == "" || len(acceptLanguage) > maxAcceptLanguage {
		return Localizer{}
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(wanted) == 0 {
		return Localizer{}
	}
	// The index, not the tag: the tag contains extensions of the requested one.
	_, index, confidence := loadCatalog().matcher.Match(wanted...)
	if confidence == language.No {
		return Localizer{}
	}
	return Localizer{index}
}

// ForTag returns the Localizer of a tag from Tag. For any other tag it returns the best match.
func ForTag(tag string) Localizer {
	for i, name := range languages {
		if name == tag {
			return Localizer{i}
		}
	}
	return Match(tag)
}

// Languages returns the tags of all languages.
func Languages() []string { return slices.Clone(languages[:]) }

// Tag returns the BCP 47 tag of the language, "en".
func (w Localizer) Tag() string { return languages[w.language] }

// Translate returns the text of a key. pairs are names and values for it: "Site", "Example". The
// pair "Count" also selects the plural form. If the language lacks the key, Translate returns the
// English text; if no language has it, the key itself.
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
