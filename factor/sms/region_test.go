package sms

import (
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// Every region that has phone numbers is listed once, by name, in the order of the language.
func TestListRegions(t *testing.T) {
	for _, tag := range []string{"en", "de"} {
		all := ListRegions(tag, nil)
		if len(all) != len(phonenumbers.GetSupportedRegions()) {
			t.Errorf("%s: %d regions, want %d: run gen/main.go", tag, len(all), len(phonenumbers.GetSupportedRegions()))
		}
		seen := map[string]bool{}
		for _, r := range all {
			if !phonenumbers.GetSupportedRegions()[r.Code] || seen[r.Code] || r.Name == "" || r.CallingCode == "+0" {
				t.Errorf("%s: %+v", tag, r)
			}
			seen[r.Code] = true
		}
		order := collate.New(language.MustParse(tag))
		if !slices.IsSortedFunc(all, func(a, b Region) int { return order.CompareString(a.Name, b.Name) }) {
			t.Errorf("%s: not in order", tag)
		}
	}
	for tag, want := range map[string]Region{
		"en": {"DE", "Germany", "+49"}, "de": {"DE", "Deutschland", "+49"}, "de-AT": {"AT", "Österreich", "+43"},
		"ja": {"TR", "Türkiye", "+90"}, "": {"US", "United States", "+1"},
	} {
		if !slices.Contains(ListRegions(tag, nil), want) {
			t.Errorf("%s: no %+v", tag, want)
		}
	}
	// Ä sorts as A: Ägypten comes before Albanien.
	de := ListRegions("de", nil)
	if i := slices.IndexFunc(de, func(r Region) bool { return r.Code == "EG" }); i < 0 || i > 5 {
		t.Errorf("Ägypten is at %d", i)
	}
	if got := ListRegions("de", []string{"AT", "de"}); len(got) != 2 || got[0].Code != "DE" || got[1].Code != "AT" {
		t.Errorf("allowed: got %v", got)
	}
}

func TestRegionFromAcceptLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"de-AT": "AT", "de-AT,de;q=0.9,en-US;q=0.8": "AT", "de,en-US;q=0.7,en;q=0.3": "US", "en-GB": "GB", "ja": "",
		"da-DK": "DK", "de, en": "",
		"fr": "", "de-CH-1996": "CH", "zh-Hant-TW": "TW", "sr-Latn-RS": "RS", "es-419": "", "en-001": "", "": "",
		"*": "", "x": "", ";;;": "",
		"de;q=0.5,pt-BR;q=0.9": "BR", "en-AQ": "",
	} {
		if got := RegionFromAcceptLanguage(header); got != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = "de-AT,"[i%6]
	}
	if got := RegionFromAcceptLanguage(string(long)); got != "" {
		t.Errorf("a megabyte: got %q", got)
	}
}
