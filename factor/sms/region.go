package sms

import (
	"embed"
	"fmt"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"

	"twostep.example/twostep/internal/i18n"
)

// regionNames lists the regions that have phone numbers, by language and in its collation order.
// gen/main.go generates it from Unicode CLDR 48.2 (licence: docs/decisions/sms.md).
//
//go:embed names/*.txt
var regionNames embed.FS

// maxAcceptLanguageBytes limits how much of an Accept-Language header is parsed.
const maxAcceptLanguageBytes = 256

// Region is one option of the field Country/Region.
type Region struct {
	Code        string // ISO 3166 alpha-2, "DE"
	Name        string // in the requested language, "Germany"
	CallingCode string // "+49"
}

// ListRegions returns the countries and regions that have phone numbers, named in language (BCP 47)
// and in its collation order. If allowed is not empty, it returns only those.
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
	if err != nil { // this package has no list for the language yet
		text, _ = regionNames.ReadFile("names/en.txt")
	}
	return string(text)
}

// regionName returns the name of a region, or the code if it has none.
func regionName(code, language string) string {
	for line := range strings.Lines(regionList(language)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), code+" "); ok {
			return name
		}
	}
	return code
}

// RegionFromAcceptLanguage returns the region of the first language tag with one ("de-AT") in an
// Accept-Language header, or "". It does not guess a region from a language. The result is a
// default only: people can choose any region.
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
