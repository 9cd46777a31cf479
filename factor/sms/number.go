package sms

import (
	"slices"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"twostep.example/twostep/factor"
)

// maxNumberInputBytes limits the input; an E.164 number has at most 15 digits.
const maxNumberInputBytes = 64

// refusedNumberTypes are the number types that get no message, with the message key of the error.
// All others get one: mobile numbers and numbers that may be mobile.
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

// parseNumber parses typed to an E.164 number. Its errors are *factor.UserError.
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
	// Satellite and other global networks: expensive, and of no country.
	if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
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
