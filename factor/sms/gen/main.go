//go:build ignore

// The program gen generates the lists of country names of package sms. It reads Unicode CLDR (the
// npm package cldr-localenames-full) and writes, for each language, one line for each region that
// has phone numbers, in the collation order of the language.
//
//	npm pack cldr-localenames-full@48.2.0 && tar xzf cldr-localenames-full-48.2.0.tgz
//	go run factor/sms/gen/main.go package/main factor/sms/names en de
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

func main() {
	for _, tag := range os.Args[3:] {
		var lines []string
		for code, name := range names(filepath.Join(os.Args[1], tag, "territories.json"), tag) {
			lines = append(lines, code+" "+name)
		}
		order := collate.New(language.MustParse(tag))
		slices.SortFunc(lines, func(a, b string) int { return order.CompareString(a[3:], b[3:]) })
		if err := os.WriteFile(filepath.Join(os.Args[2], tag+".txt"), []byte(strings.Join(lines, "\n")+"\n"),
			0o644); err != nil {
			log.Fatal(err)
		}
		log.Printf("%s: %d regions", tag, len(lines))
	}
}

// names returns the names of the regions that have phone numbers, by ISO 3166 code.
func names(file, tag string) map[string]string {
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var cldr struct {
		Main map[string]struct {
			LocaleDisplayNames struct{ Territories map[string]string }
		}
	}
	if err := json.Unmarshal(data, &cldr); err != nil {
		log.Fatal(err)
	}
	all := cldr.Main[tag].LocaleDisplayNames.Territories
	chosen := map[string]string{}
	for code := range phonenumbers.GetSupportedRegions() {
		name := all[code]
		// The long names are for statistics ("Hong Kong SAR China"); people look for the short
		// ones.
		if short := all[code+"-alt-short"]; short != "" && slices.Contains([]string{"HK", "MO", "PS"}, code) {
			name = short
		}
		if name == "" {
			log.Fatalf("%s: no name for %s", tag, code)
		}
		chosen[code] = name
	}
	return chosen
}
