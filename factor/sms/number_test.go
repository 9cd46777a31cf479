package sms

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
)

func enrollNumber(t *testing.T, m Method, country, number string) (factor.Factor, factor.Challenge, *factor.UserError) {
	t.Helper()
	f, c, err := m.Enroll(t.Context(), testRequest("en"), url.Values{"country": {country}, "number": {number}})
	var no *factor.UserError
	if err != nil && (!errors.As(err, &no) || !errors.Is(err, factor.ErrCannotEnroll)) {
		t.Fatalf("%s %q: got %v, want a refusal", country, number, err)
	}
	if no != nil && (c.Message != nil || f.Destination != "") {
		t.Errorf("%s %q: refused and sent", country, number)
	}
	return f, c, no
}

var mobileNumbers = strings.Fields("AR AT AU BE BG BR CA CH CL CN CZ DE DK EG ES FI FR GB GR HK HU IE IL IN IT JP KE KR MX NG NL NO NZ PL PT RO SE SG TR US ZA")

// A mobile number of forty countries, however it is typed, becomes the same E.164 number.
func TestMobileNumbersOfFortyCountries(t *testing.T) {
	for _, country := range mobileNumbers {
		example := phonenumbers.GetExampleNumberForType(country, phonenumbers.MOBILE)
		want := phonenumbers.Format(example, phonenumbers.E164)
		national := phonenumbers.Format(example, phonenumbers.NATIONAL)
		if country == "AR" { // phonenumbers v1.8.1 formats 09 in place of the area code
			national = "011 15-2345-6789"
		}
		international := phonenumbers.Format(example, phonenumbers.INTERNATIONAL)
		digits := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(national)
		for _, typed := range []struct{ country, number string }{
			{country, national}, {country, digits}, {strings.ToLower(country), " " + national + " "},
			{country, strings.ReplaceAll(national, " ", ".")}, {country, strings.ReplaceAll(national, " ", "/")},
			{country, strings.ReplaceAll(national, " ", "\u00a0–\u2009")}, {country, "\u202a" + national + "\u202c"},
			{country, toFullWidth(national)},
			{country, international}, {"", international}, {"", want}, {"DE", want}, {"US", want}, {"XX", want},
			{"", "＋" + want[1:]},
			{"", "tel:" + want}, {"", "+ " + international[1:]}, {"DE", "00" + want[1:]},
			{"GB", "00 " + international[1:]}, {"US", "011 " + international[1:]}, {"AU", "0011" + want[1:]},
		} {
			f, c, no := enrollNumber(t, Method{}, typed.country, typed.number)
			if no != nil {
				t.Errorf("%s: %s %q: %s", country, typed.country, typed.number, no.MessageKey)
				continue
			}
			if f.Destination != want || c.Message.To != want || f.Method != "sms" {
				t.Errorf("%s: %s %q: got %s, want %s", country, typed.country, typed.number, f.Destination, want)
			}
		}
		if got := FormatNumber(want); got != international {
			t.Errorf("%s: shown as %s, want %s", country, got, international)
		}
	}
}

func toFullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '!' && r <= '~' && r != '-' {
			return r - '!' + '！'
		}
		return r
	}, s)
}

func TestFormatNumber(t *testing.T) {
	for number, want := range map[string]string{
		"+491712345678": "+49 171 2345678", "+12015550123": "+1 201-555-0123", "+447400123456": "+44 7400 123456",
		"+33612345678": "+33 6 12 34 56 78", "+5491123456789": "+54 9 11 2345-6789", "+61412345678": "+61 412 345 678",
		"+819012345678": "+81 90-1234-5678",
		"":              "", "x": "x",
	} {
		if got := FormatNumber(number); got != want {
			t.Errorf("%s: got %q, want %q", number, got, want)
		}
	}
}

// Of every region and number type, the numbers that no phone has or that cost more are refused, and a person is asked
// about the others that are not mobile numbers.
func TestNumberTypes(t *testing.T) {
	tried := map[string]int{}
	for country := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			example := phonenumbers.GetExampleNumberForType(country, kind)
			if example == nil || !phonenumbers.IsValidNumber(example) {
				continue
			}
			// The example of a type may have two types: a few premium-rate numbers are mobile
			// numbers too.
			is := phonenumbers.GetNumberType(example)
			want := ""
			if is != phonenumbers.MOBILE && is != phonenumbers.FIXED_LINE_OR_MOBILE {
				want = refusedNumberTypes[is] + doubtfulNumberTypes[is]
			}
			if is == phonenumbers.FIXED_LINE && country == "AR" { // with a 9 it is a mobile number
				want = ""
			}
			got := ""
			_, _, no := enrollNumber(t, Method{}, "", phonenumbers.Format(example, phonenumbers.E164))
			if no != nil {
				got = no.MessageKey
			}
			if got != want {
				t.Errorf("%s: %v: got %q, want %q", country, example, got, want)
			}
			tried[got]++
		}
	}
	for _, says := range refusedNumberTypes {
		if says != "number.voicemail" && tried[says] == 0 {
			t.Errorf("%s was never said", says)
		}
	}
	t.Log(tried)
}

func TestRefusedNumbers(t *testing.T) {
	for _, c := range []struct{ country, number, field, says string }{
		{"DE", "", "number", "number.empty"},
		{"DE", " - ", "number", "number.empty"},
		{"DE", "+", "number", "number.empty"},
		{"", "0171 2345678", "country", "country.empty"},
		{"XX", "0171 2345678", "country", "country.empty"},
		{"ZZ", "0171 2345678", "country", "country.empty"},
		{"001", "0171 2345678", "country", "country.empty"},
		{"US", "976-234-5678", "number", "number.unknown"},
		{"US", "201-976-1234", "number", "number.premium"},
		{"", "+1 (876) 976 1234", "number", "number.premium"},
		{"US", "+1 900 234 567", "number", "number.impossible"},
		{"DE", "0900 12345678", "number", "number.premium"},
		{"DE", "+49 (0)900/1234567", "number", "number.premium"},
		{"DE", "0049 900 1 234567", "number", "number.premium"},
		{"US", "tel:+49-900-1234567", "number", "number.premium"},
		{"DE", "＋４９ ９００ １２３４５６７", "number", "number.premium"},
		{"GB", "0909 123 45678", "number", "number.impossible"},
		{"", "+44 (0)909 8790 123", "number", "number.premium"},
		{"", "+979 123 456 789", "number", "number.world"},
		{"", "+882 13 300655", "number", "number.world"},
		{"", "+8835100123456789", "number", "number.world"},
		{"US", "011 870 773 111 632", "number", "number.world"},
		{"US", "011 881 6 999 99999", "number", "number.world"},
		{"BJ", "21 30 12 34", "number", "number.impossible"},
		{"DE", "030 123456", "number", "number.landline"},
		{"DE", "+49 30 123456", "number", "number.landline"},
		{"GB", "020 7946 0018", "number", "number.landline"},
		{"DE", "0900 1234567", "number", "number.premium"},
		{"DE", "0180 5 123456", "number", "number.shared"},
		{"DE", "0800 1234567", "number", "number.tollfree"},
		{"US", "900-234-5678", "number", "number.premium"},
		{"US", "800-234-5678", "number", "number.tollfree"},
		{"US", "1-800-FLOWERS", "number", "number.impossible"},
		{"US", "201-555-0123 ext. 5", "number", "number.extension"},
		{"US", "201-555-0123x5", "number", "number.extension"},
		{"US", "+1 201 555 0123;ext=5", "number", "number.extension"},
		{"US", "201-555-0123#5", "number", "number.extension"},
		{"GB", "070 1234 5678", "number", "number.personal"},
		{"DE", "110", "number", "number.short"},
		{"DE", "22000", "number", "number.impossible"},
		{"US", "40404", "number", "number.short"},
		{"DE", "0171", "number", "number.impossible"},
		{"DE", "0171 23456789012", "number", "number.impossible"},
		{"DE", "+999 171 2345678", "number", "number.impossible"},
		{"DE", "+0", "number", "number.impossible"},
		{"DE", "0171 234+5678", "number", "number.impossible"},
		{"DE", "++49 171 2345678", "number", "number.impossible"},
		{"US", "00491712345678", "number", "number.impossible"}, // 00 is not the international prefix there
		{"", "+870 773 111 632", "number", "number.world"},
		{"", "+881 6 12345678", "number", "number.world"},
		{"DE", "0171\x002345678", "number", "number.impossible"},
		{"DE", "Anna", "number", "number.impossible"},
		{"DE", "0171 2345678<script>", "number", "number.impossible"},
		{"DE", "١", "number", "number.impossible"},
		{"DE", strings.Repeat(" ", 65) + "0171 2345678", "number", "number.impossible"},
		{"DE", strings.Repeat("1", 1<<20), "number", "number.impossible"},
		{"DE", "\xff\xfe", "number", "number.impossible"},
	} {
		f, _, no := enrollNumber(t, Method{}, c.country, c.number)
		if no == nil || no.Field != c.field || no.MessageKey != c.says {
			t.Errorf("%s %.40q: got %s %+v, want %s: %s", c.country, c.number, f.Destination, no, c.field, c.says)
		}
	}
	for _, typed := range []string{"+49 (0)171 2345678", "+49-(0)-171/234 56 78", "0049 171 2345678", "٠١٧١ ٢٣٤٥٦٧٨"} {
		if f, _, no := enrollNumber(t, Method{}, "DE", typed); no != nil || f.Destination != "+491712345678" {
			t.Errorf("%q: got %s, %v", typed, f.Destination, no)
		}
	}
}

// Numbers that address books still have in a former notation become today's.
func TestOldNotations(t *testing.T) {
	for _, c := range []struct{ country, number, want string }{
		{"AR", "11 2345-6789", "+5491123456789"},
		{"AR", "011 2345-6789", "+5491123456789"},
		{"AR", "+54 351 234 5678", "+5493512345678"},
		{"AR", "011 15-2345-6789", "+5491123456789"},
		{"MX", "+52 1 222 123 4567", "+522221234567"},
		{"MX", "044 222 123 4567", "+522221234567"},
		{"MX", "045 222 123 4567", "+522221234567"},
		{"MX", "1 222 123 4567", "+522221234567"},
		{"BR", "(11) 8123-4567", "+5511981234567"},
		{"BR", "+55 61 9123 4567", "+5561991234567"},
		{"CL", "09 8765 4321", "+56987654321"},
		{"CL", "+56 8765 4321", "+56987654321"},
		{"VN", "0123 456 7890", "+84834567890"},
		{"VN", "+84 168 123 4567", "+84381234567"},
		{"VN", "0120 123 4567", "+84701234567"},
		{"CI", "07 12 34 56", "+2250707123456"},
		{"CI", "+225 45 12 34 56", "+2250545123456"},
		{"CI", "+225 01 12 34 56", "+2250101123456"},
		{"CI", "+225 58 12 34 56", "+2250758123456"},
		{"BJ", "+229 97 12 34 56", "+2290197123456"},
		{"GA", "06 03 12 34", "+24166031234"},
		{"GA", "+241 07 12 34 56", "+24177123456"},
		{"GA", "+241 77 12 34 56", "+24177123456"},
		{"CM", "77 12 34 56", "+237677123456"},
		{"MU", "725 1234", "+23057251234"},
		{"EC", "09 912 3456", "+593999123456"},
	} {
		f, _, no := enrollNumber(t, Method{}, c.country, c.number)
		if no != nil || f.Destination != c.want {
			t.Errorf("%s %s: got %s, %+v, want %s", c.country, c.number, f.Destination, no, c.want)
		}
	}
}

// A person is asked about a number that the table doubts, and the answer is for this number only.
func TestDoubtfulNumbers(t *testing.T) {
	ask := func(m Method, country, number, confirmed string) (factor.Factor, *factor.UserError) {
		t.Helper()
		f, c, err := m.Enroll(t.Context(), testRequest("en"), url.Values{"country": {country}, "number": {number}, "confirmed": {confirmed}})
		var no *factor.UserError
		if errors.As(err, &no); no != nil && c.Message != nil {
			t.Errorf("%s: asked and sent", number)
		}
		return f, no
	}
	for _, c := range []struct{ country, number, says, e164 string }{
		{"DE", "030 123456", "number.landline", "+4930123456"},
		{"US", "+1 729 234 5678", "number.unknown", "+17292345678"}, // an area code of 2025
		{"US", "(357) 234-5678", "number.unknown", "+13572345678"},
		{"GB", "056 1234 5678", "number.voip", "+445612345678"},
		{"BR", "+55 11 3123-4567", "number.landline", "+551131234567"},
	} {
		_, no := ask(Method{}, c.country, c.number, "")
		if no == nil || no.MessageKey != c.says || no.Confirm != c.e164 || len(no.MessageArgs) != 2 {
			t.Errorf("%s: got %+v, want the question %s", c.number, no, c.says)
		}
		if _, no := ask(Method{}, c.country, c.number, "+4930123457"); no == nil || no.Confirm != c.e164 {
			t.Errorf("%s with the answer for another number: got %+v", c.number, no)
		}
		if f, no := ask(Method{}, c.country, c.number, c.e164); no != nil || f.Destination != c.e164 {
			t.Errorf("%s, confirmed: got %s, %+v", c.number, f.Destination, no)
		}
	}
	// What is refused cannot be confirmed.
	for _, number := range []string{"+1 900 234 5678", "+49 900 1234567", "+49 900 12345678", "+870 773 111 632", "+44 70 1234 5678", "+979 123 456 789", "+1 800 234 5678"} {
		digits, _ := normalizeDigits(number)
		if _, no := ask(Method{}, "", number, digits); no == nil || no.Confirm != "" {
			t.Errorf("%s, confirmed: got %+v", number, no)
		}
	}
	// It may be a number of the Caribbean, which costs more.
	for _, confirmed := range []string{"", "+17292345678"} {
		if _, no := ask(Method{AllowedCountries: []string{"US"}}, "US", "729 234 5678", confirmed); no == nil || no.MessageKey != "country.refused" {
			t.Errorf("an unknown area code with a list of countries: got %+v", no)
		}
	}
}

// The list applies to the country of the number, whatever country was chosen in the form.
func TestAllowedCountries(t *testing.T) {
	m := Method{AllowedCountries: []string{"DE", "at"}}
	for _, c := range []struct{ country, number, field, name string }{
		{"DE", "0171 2345678", "", ""},
		{"AT", "0664 123456", "", ""},
		{"FR", "+43 664 123456", "", ""},
		{"FR", "06 12 34 56 78", "country", "France"},
		{"DE", "+33 6 12 34 56 78", "number", "France"},
		{"DE", "0033 6 12 34 56 78", "country", "France"},
		{"DE", "+1 204 234 5678", "number", "Canada"},
		{"DE", "+1 242 359 1234", "number", "Bahamas"},
		{"DE", "+44 7797 712345", "number", "Jersey"},
	} {
		_, _, no := enrollNumber(t, m, c.country, c.number)
		if c.name == "" {
			if no != nil {
				t.Errorf("%s: %+v", c.number, no)
			}
			continue
		}
		if no == nil || no.MessageKey != "country.refused" || no.Field != c.field ||
			strings.Join(no.MessageArgs, " ") != "Country "+c.name {
			t.Errorf("%s %s: got %+v, want %s", c.country, c.number, no, c.name)
		}
	}
	// Countries that share a calling code are told apart.
	us := Method{AllowedCountries: []string{"US"}}
	if _, _, no := enrollNumber(t, us, "US", "+1 201 555 0123"); no != nil {
		t.Errorf("US: %+v", no)
	}
	if _, _, no := enrollNumber(t, us, "US", "876 210 1234"); no == nil || no.MessageKey != "country.refused" {
		t.Errorf("Jamaica: %+v", no)
	}
}

// Whatever is typed, the result is an error with a text, or an E.164 number that parses to itself.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0171 2345678", "+49 171 2345678", "1-800-FLOWERS", "201-555-0123 ext. 5", "٠١٧١", "110",
		"+", "＋４９"} {
		f.Add("DE", s)
		f.Add("US", s)
	}
	says := Method{}.Info().Words["en"].Messages
	f.Fuzz(func(t *testing.T, country, typed string) {
		got, _, no := enrollNumber(t, Method{}, country, typed)
		if no != nil {
			if says[no.MessageKey] == "" {
				t.Errorf("says %q", no.MessageKey)
			}
			return
		}
		if !regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`).MatchString(got.Destination) {
			t.Errorf("%s %q: got %q", country, typed, got.Destination)
		}
		again, _, no := enrollNumber(t, Method{}, "", FormatNumber(got.Destination))
		if no != nil || again.Destination != got.Destination {
			t.Errorf("%s is %q the second time", got.Destination, again.Destination)
		}
	})
}

func TestMaskNumber(t *testing.T) {
	f, c, _ := enrollNumber(t, Method{}, "DE", "0171 2345678")
	if f.Masked != "•••• 678" || c.Message.Channel != delivery.SMS {
		t.Errorf("got %+v", f)
	}
}
