package sms

import (
	"embed"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"

	"twostep.example/twostep/internal/i18n"
)

// regionNames are the regions that have phone numbers, by language, in the order of that language.
// gen/main.go made them from Unicode CLDR 48.2 (licence: docs/decisions/sms.md).
//
//go:embed names/*.txt
var regionNames embed.FS

// maxAcceptLanguageBytes bounds what is parsed of an Accept-Language header.
const maxAcceptLanguageBytes = 256

// Region is one entry of the field Country/Region.
type Region struct {
	Code        string // ISO 3166 alpha-2, "DE"
	Name        string // in the reader's language, "Germany"
	CallingCode string // "+49"
}

// ListRegions are the countries and regions that have phone numbers, named in language (BCP 47)
// and in its order. If allowed is not empty, only those.
func ListRegions(language string, allowed []string) []Region {
	var all []Region
	for line := range strings.Lines(regionList(language)) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if len(allowed) > 0 && !containsFold(allowed, code) {
			continue
		}
		all = append(all, Region{code, name, fmt.Sprintf("+%d", phonenumbers.GetCountryCodeForRegion(code))})
	}
	return all
}

func regionList(language string) string {
	text, err := regionNames.ReadFile("names/" + i18n.ForTag(language).Tag() + ".txt")
	if err != nil { // a language that pages have and this room does not know yet
		text, _ = regionNames.ReadFile("names/en.txt")
	}
	return string(text)
}

// regionName is the code itself for a region nobody has named.
func regionName(code, language string) string {
	for line := range strings.Lines(regionList(language)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), code+" "); ok {
			return name
		}
	}
	return code
}

// RegionFromAcceptLanguage is the region that an Accept-Language header stands for: that of the first
// language with one ("de-AT"). "" if none has one: where a language is at home is a guess, and
// x/text calls each such guess a bad one. Nothing may be locked to the region.
func RegionFromAcceptLanguage(acceptLanguage string) string {
	if len(acceptLanguage) > maxAcceptLanguageBytes {
		return ""
	}
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return ""
	}
	for _, tag := range tags {
		if region, sure := tag.Region(); sure == language.Exact && phonenumbers.GetSupportedRegions()[region.String()] {
			return region.String()
		}
	}
	return ""
}
