package sms

import (
	"slices"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"twostep.example/twostep/factor"
)

// maxNumberInputBytes is how many bytes of a typed number are looked at; the longest number has 15 digits.
const maxNumberInputBytes = 64

// refusedNumberTypes are the numbers that get no message, and what is said about each. What is not here, a
// mobile number or one that may be either, gets one.
var refusedNumberTypes = map[phonenumbers.PhoneNumberType]string{
	phonenumbers.FIXED_LINE:      "number.landline",
	phonenumbers.PREMIUM_RATE:    "number.premium",
	phonenumbers.SHARED_COST:     "number.shared",
	phonenumbers.TOLL_FREE:       "number.tollfree",
	phonenumbers.VOIP:            "number.voip",
	phonenumbers.PERSONAL_NUMBER: "number.personal",
	phonenumbers.PAGER:           "number.pager",
	phonenumbers.UAN:             "number.company",
	phonenumbers.VOICEMAIL:       "number.voicemail",
	phonenumbers.UNKNOWN:         "number.impossible",
}

func newUserError(field, says string, pairs ...string) error {
	return &factor.UserError{Err: factor.ErrCannotEnroll, Field: field, MessageKey: says, MessageArgs: pairs}
}

// parseNumber makes an E.164 number of what was typed, or a *factor.Refusal.
func (m Method) parseNumber(country, typed, language string) (string, error) {
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
	if !phonenumbers.IsPossibleNumber(n) || !phonenumbers.IsValidNumber(n) {
		return "", newUserError("number", invalidNumberMessage(digits, country))
	}
	region := phonenumbers.GetRegionCodeForNumber(n)
	if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY { // satellites and the like: dear, and no country's
		return "", newUserError("number", "number.world")
	}
	if len(m.AllowedCountries) > 0 && !containsFold(m.AllowedCountries, region) {
		field := "country"
		if international {
			field = "number"
		}
		return "", newUserError(field, "country.refused", "Country", regionName(region, language))
	}
	if says, no := refusedNumberTypes[phonenumbers.GetNumberType(n)]; no {
		return "", newUserError("number", says)
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// invalidNumberMessage says whether an impossible number is a short one, like 110.
func invalidNumberMessage(digits, country string) string {
	if !strings.HasPrefix(digits, "+") && len(digits) >= 3 && len(digits) <= 6 {
		if n, err := phonenumbers.Parse(digits, country); err == nil && phonenumbers.IsValidShortNumberForRegion(n, country) {
			return "number.short"
		}
	}
	return "number.impossible"
}

func containsFold(all []string, one string) bool {
	return slices.ContainsFunc(all, func(s string) bool { return strings.EqualFold(s, one) })
}

// normalizeDigits leaves ASCII digits, after a + if there was one in front. People type and paste
// spaces, brackets, dots, dashes, slashes and invisible marks, and other digits than ASCII;
// anything else is no number, and letters are never turned into digits. says is what is wrong.
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

// asciiDigit is the ASCII digit of an ASCII, Arabic-Indic, Persian or full-width one.
func asciiDigit(r rune) (byte, bool) {
	for _, zero := range []rune{'0', '\u0660', '\u06f0', '\uff10'} {
		if r >= zero && r <= zero+9 {
			return byte('0' + r - zero), true
		}
	}
	return 0, false
}

func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Pd) || strings.ContainsRune("()[]./·\u2212\uff08\uff09\uff0e\uff0f", r)
}

// FormatNumber writes a stored number as people do, "+49 171 2345678". Anything that is no number
// comes back as it is.
func FormatNumber(e164 string) string {
	n, err := phonenumbers.Parse(e164, phonenumbers.UNKNOWN_REGION)
	if err != nil {
		return e164
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}
