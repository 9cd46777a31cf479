package sms

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"twostep.example/twostep/factor"
)

// maxNumberInputBytes limits the input; an E.164 number has at most 15 digits.
const maxNumberInputBytes = 64

// refusedNumberTypes are the number types that get no message, because they cost more than others or no phone receives
// it, with the message key of the error.
var refusedNumberTypes = map[phonenumbers.PhoneNumberType]string{
	phonenumbers.PREMIUM_RATE:    "number.premium",
	phonenumbers.SHARED_COST:     "number.shared",
	phonenumbers.TOLL_FREE:       "number.tollfree",
	phonenumbers.PERSONAL_NUMBER: "number.personal",
	phonenumbers.PAGER:           "number.pager",
	phonenumbers.UAN:             "number.company",
	phonenumbers.VOICEMAIL:       "number.voicemail",
}

// doubtfulNumberTypes are the number types that get a message if the person confirms the number, with the message key
// of the question. The table of types is older than some numbers, and some of these receive text messages.
var doubtfulNumberTypes = map[phonenumbers.PhoneNumberType]string{
	phonenumbers.FIXED_LINE: "number.landline",
	phonenumbers.VOIP:       "number.voip",
	phonenumbers.UNKNOWN:    "number.unknown",
}

func newUserError(field, says string, pairs ...string) error {
	return &factor.UserError{Err: factor.ErrCannotEnroll, Field: field, MessageKey: says, MessageArgs: pairs}
}

// parseNumber parses typed to an E.164 number. A number in a former notation becomes today's. confirmed is the doubtful
// number that the person has confirmed, or "". Its errors are *factor.UserError.
func (m Method) parseNumber(country, typed, confirmed, language string) (string, error) {
	digits, says := normalizeDigits(typed)
	if says != "" {
		return "", newUserError("number", says)
	}
	country = strings.ToUpper(country)
	international := strings.HasPrefix(digits, "+")
	switch {
	case international:
		country = phonenumbers.UNKNOWN_REGION
	case !phonenumbers.GetSupportedRegions()[country]:
		return "", newUserError("country", "country.empty")
	}
	n, err := phonenumbers.Parse(digits, country)
	if err != nil {
		return "", newUserError("number", invalidNumberMessage(digits, country))
	}
	n = modernize(n)
	// Satellite and other global networks: expensive, and of no country.
	if isGlobalNetwork(n) {
		return "", newUserError("number", "number.world")
	}
	valid := phonenumbers.IsValidNumber(n)
	if !valid && !mayBeNew(n) {
		return "", newUserError("number", invalidNumberMessage(digits, country))
	}
	if region, ok := m.isAllowed(n); !ok {
		field := "country"
		if international {
			field = "number"
		}
		return "", newUserError(field, "country.refused", "Country", regionName(region, language))
	}
	kind := phonenumbers.GetNumberType(n)
	number := phonenumbers.Format(n, phonenumbers.E164)
	switch {
	case premiumExchange.MatchString(number):
		kind = phonenumbers.PREMIUM_RATE
	case !valid:
		kind = similarNumberType(n)
	}
	if says, no := refusedNumberTypes[kind]; no {
		return "", newUserError("number", says)
	}
	if says, doubtful := doubtfulNumberTypes[kind]; doubtful && confirmed != number {
		e := factor.UserError{Err: factor.ErrCannotEnroll, Field: "number", MessageKey: says, Confirm: number}
		e.MessageArgs = []string{"Number", FormatNumber(number)}
		return "", &e
	}
	return number, nil
}

// premiumExchange matches the exchange 976 of North America, which costs more in every area code. The table has its
// numbers as ordinary ones.
var premiumExchange = regexp.MustCompile(`^\+1\d{3}976\d{4}$`)

// isGlobalNetwork reports whether a number belongs to a network of no country, such as satellite phones.
func isGlobalNetwork(n *phonenumbers.PhoneNumber) bool {
	region := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	return region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
}

// isAllowed reports whether the country of a number is allowed, and returns it. A calling code can have several
// countries. If the table does not know which one has the number, all of them must be allowed: some of them cost more.
func (m Method) isAllowed(n *phonenumbers.PhoneNumber) (region string, ok bool) {
	regions := []string{phonenumbers.GetRegionCodeForNumber(n)}
	if !phonenumbers.IsValidNumber(n) {
		regions = phonenumbers.GetRegionCodesForCountryCode(int(n.GetCountryCode()))
	}
	for _, region := range regions {
		if len(m.AllowedCountries) > 0 && !containsFold(m.AllowedCountries, region) {
			return region, false
		}
	}
	return "", true
}

// mayBeNew reports whether a number that the table does not have may be a mobile number of an area code that is newer:
// it is about as long as the others of its country.
func mayBeNew(n *phonenumbers.PhoneNumber) bool {
	region := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
	if example == nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return false
	}
	longer := len(phonenumbers.GetNationalSignificantNumber(n)) - len(phonenumbers.GetNationalSignificantNumber(example))
	return -1 <= longer && longer <= 1
}

// similarNumberType returns the type of the numbers that begin like n, which the table does not have, if it is one that
// is refused, and UNKNOWN otherwise. So a digit more or less does not turn a premium-rate number into a doubtful one.
func similarNumberType(n *phonenumbers.PhoneNumber) phonenumbers.PhoneNumberType {
	national := phonenumbers.GetNationalSignificantNumber(n)
	for _, start := range []int{3, 4, 5, len(national)} {
		for length := 5; length <= 12; length++ {
			for _, filler := range "25" {
				digits := national[:min(start, len(national))]
				digits += strings.Repeat(string(filler), max(0, length-len(digits)))
				number := fmt.Sprintf("+%d%s", n.GetCountryCode(), digits)
				other, err := phonenumbers.Parse(number, phonenumbers.UNKNOWN_REGION)
				if err != nil {
					continue
				}
				if kind := phonenumbers.GetNumberType(other); refusedNumberTypes[kind] != "" {
					return kind
				}
			}
		}
	}
	return phonenumbers.UNKNOWN
}

// invalidNumberMessage returns the message key for an impossible number; short numbers like 110
// have their own.
func invalidNumberMessage(digits, country string) string {
	if !strings.HasPrefix(digits, "+") && len(digits) >= 3 && len(digits) <= 6 {
		if n, err := phonenumbers.Parse(digits, country); err == nil &&
			phonenumbers.IsValidShortNumberForRegion(n, country) {
			return "number.short"
		}
	}
	return "number.impossible"
}

func containsFold(all []string, one string) bool {
	return slices.ContainsFunc(all, func(s string) bool { return strings.EqualFold(s, one) })
}

// normalizeDigits reduces typed to ASCII digits with an optional leading +. It removes spaces,
// brackets, dots, dashes, slashes and invisible characters, and converts digits of other scripts.
// It rejects anything else; letters are never converted to digits. says is the message key of the
// error, or "".
func normalizeDigits(typed string) (digits, says string) {
	if len(typed) > maxNumberInputBytes {
		return "", "number.impossible"
	}
	typed = strings.TrimSpace(typed)
	if len(typed) > 4 && strings.EqualFold(typed[:4], "tel:") {
		typed = typed[4:]
	}
	var b strings.Builder
	for _, r := range typed {
		digit, isDigit := asciiDigit(r)
		switch {
		case isDigit:
			b.WriteByte(digit)
		case (r == '+' || r == '＋') && b.Len() == 0:
			b.WriteByte('+')
		case !isSeparator(r):
			if _, extension := phonenumbers.MaybeSeparateExtensionFromPhone(typed); extension != "" {
				return "", "number.extension"
			}
			return "", "number.impossible"
		}
	}
	if strings.TrimPrefix(b.String(), "+") == "" {
		return "", "number.empty"
	}
	return b.String(), ""
}

// asciiDigit converts an ASCII, Arabic-Indic, Persian or full-width digit to ASCII.
func asciiDigit(r rune) (byte, bool) {
	for _, zero := range []rune{'0', '\u0660', '\u06f0', '\uff10'} {
		if r >= zero && r <= zero+9 {
			return byte('0' + r - zero), true
		}
	}
	return 0, false
}

func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Pd) ||
		strings.ContainsRune("()[]./·\u2212\uff08\uff09\uff0e\uff0f", r)
}

// FormatNumber formats an E.164 number for people: "+49 171 2345678". It returns anything else
// unchanged.
func FormatNumber(e164 string) string {
	n, err := phonenumbers.Parse(e164, phonenumbers.UNKNOWN_REGION)
	if err != nil {
		return e164
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}
