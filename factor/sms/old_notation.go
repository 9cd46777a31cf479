package sms

import (
	"fmt"
	"regexp"

	"github.com/nyaruka/phonenumbers"
)

// oldNotation is a former way to write the mobile numbers of a country, and how to write them now.
type oldNotation struct{ pattern, replacement string }

const argentina, gabon = 54, 241

// oldNotations are, by calling code, the notations of national numbers that address books still have. The first rule
// whose result is a mobile number of today's numbering plan counts, so a rule can change no other number. The sources
// are the announcements of the numbering plans to the ITU (Operational Bulletin) and of the regulators.
var oldNotations = map[int32][]oldNotation{
	52:        {{`^(?:1|044|045)(\d{10})$`, "$1"}}, // Mexico, 2019
	argentina: {{`^(\d{10})$`, "9$1"}},             // without the 9 of mobile numbers
	55: { // Brazil, 2012 to 2016
		{`^0?(\d\d)([6-9]\d{7})$`, "${1}9$2"},
	},
	56: { // Chile, 2012 and 2016
		{`^0?9(\d{8})$`, "9$1"},
		{`^([4-9]\d{7})$`, "9$1"},
	},
	84: { // Vietnam, 2018
		{`^120(\d{7})$`, "70$1"}, {`^121(\d{7})$`, "79$1"}, {`^122(\d{7})$`, "77$1"}, {`^126(\d{7})$`, "76$1"},
		{`^128(\d{7})$`, "78$1"}, {`^123(\d{7})$`, "83$1"}, {`^124(\d{7})$`, "84$1"}, {`^125(\d{7})$`, "85$1"},
		{`^127(\d{7})$`, "81$1"}, {`^129(\d{7})$`, "82$1"}, {`^16([2-9]\d{7})$`, "3$1"}, {`^18([68]\d{7})$`, "5$1"},
		{`^199(\d{7})$`, "59$1"},
	},
	225: { // Ivory Coast, 2021: by operator
		{`^([04-9][0-3]\d{6})$`, "01$1"}, {`^([04-9][4-6]\d{6})$`, "05$1"}, {`^([04-9][7-9]\d{6})$`, "07$1"},
	},
	229:   {{`^(\d{8})$`, "01$1"}},                                   // Benin, 2024
	230:   {{`^([4-9]\d{6})$`, "5$1"}},                               // Mauritius, 2013
	237:   {{`^([79]\d{7})$`, "6$1"}},                                // Cameroon, 2014
	gabon: {{`^0?([256]\d{6})$`, "6$1"}, {`^0?([47]\d{6})$`, "7$1"}}, // 2019: by operator
	593:   {{`^([89]\d{7})$`, "9$1"}},                                // Ecuador, 2012
}

// modernize returns a mobile number in today's notation if n has a former one, and n otherwise.
func modernize(n *phonenumbers.PhoneNumber) *phonenumbers.PhoneNumber {
	code := n.GetCountryCode()
	kind := phonenumbers.GetNumberType(n)
	switch {
	case code == argentina && kind == phonenumbers.FIXED_LINE: // or a mobile number without its 9
	case code == gabon && kind == phonenumbers.MOBILE: // the table has both notations
	case kind != phonenumbers.UNKNOWN:
		return n
	}
	national := phonenumbers.GetNationalSignificantNumber(n)
	for _, old := range oldNotations[code] {
		pattern := regexp.MustCompile(old.pattern)
		if !pattern.MatchString(national) {
			continue
		}
		number := fmt.Sprintf("+%d%s", code, pattern.ReplaceAllString(national, old.replacement))
		now, err := phonenumbers.Parse(number, phonenumbers.UNKNOWN_REGION)
		if err == nil && isMobile(now) && now.GetCountryCode() == code {
			return now
		}
	}
	return n
}

// isMobile reports whether the number is, or may be, a mobile number.
func isMobile(n *phonenumbers.PhoneNumber) bool {
	kind := phonenumbers.GetNumberType(n)
	return kind == phonenumbers.MOBILE || kind == phonenumbers.FIXED_LINE_OR_MOBILE
}
