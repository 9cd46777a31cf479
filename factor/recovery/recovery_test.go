package recovery

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/seal"
)

// crockfordAlphabet is Crockford's base32, the alphabet of the codes.
const crockfordAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// enrollSet returns a new set as it is stored, and the printed codes.
func enrollSet(t *testing.T, m *Method) (factor.Factor, []string) {
	t.Helper()
	draft, c, err := m.Enroll(t.Context(), factor.Request{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.AcknowledgeOnly || c.Message != nil || c.Answer != "" || c.State != nil {
		t.Fatalf("enrolling opened %+v, want nothing but Seen", c)
	}
	codes := m.Provision(factor.Request{}, draft).Codes
	kept, err := m.Finalize(draft)
	if err != nil {
		t.Fatal(err)
	}
	return kept, codes
}

func parseTyped(text string) (string, error) {
	return New().ParseResponse(url.Values{"code": {text}}, false)
}

// verifyTyped types a code as printed.
func verifyTyped(t *testing.T, m *Method, f *factor.Factor, typed string) error {
	t.Helper()
	text, err := m.ParseResponse(url.Values{"code": {typed}}, false)
	if err != nil {
		t.Fatalf("%q: %v", typed, err)
	}
	return m.Verify(t.Context(), f, factor.Response{Text: text})
}

// Ten different codes are shown; after Finalize they cannot be read again.
func TestCodesShownUntilFinalized(t *testing.T) {
	m := New()
	draft, _, err := m.Enroll(t.Context(), factor.Request{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	codes := m.Provision(factor.Request{}, draft).Codes
	different := map[string]bool{}
	for _, code := range codes {
		different[code] = true
		if !regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$`).MatchString(code) {
			t.Errorf("printed %q", code)
		}
	}
	if len(codes) != 10 || len(different) != 10 || draft.Method != "recovery" {
		t.Errorf("%d codes, %d different ones, of %s", len(codes), len(different), draft.Method)
	}
	again := m.Provision(factor.Request{}, draft).Codes
	if strings.Join(again, " ") != strings.Join(codes, " ") {
		t.Error("a reload shows other codes")
	}
	kept, err := m.Finalize(draft)
	if err != nil {
		t.Fatal(err)
	}
	if New().Remaining(kept) != 10 || m.Provision(factor.Request{}, kept).Codes != nil {
		t.Errorf("%d left, still showing %v", New().Remaining(kept), m.Provision(factor.Request{}, kept).Codes)
	}
	for _, code := range codes {
		if strings.Contains(string(kept.Secret), strings.ReplaceAll(code, "-", "")) {
			t.Error("a code is stored in plain text")
		}
	}
	if string(draft.Secret) == string(kept.Secret) {
		t.Error("keeping changed nothing")
	}
}

// Each code works once, in any order, and another spelling of it does not work again.
func TestCodeIsSingleUse(t *testing.T) {
	m := New()
	f, codes := enrollSet(t, m)
	for i, code := range []string{codes[7], codes[0], codes[9]} {
		if err := verifyTyped(t, m, &f, code); err != nil || New().Remaining(f) != 9-i {
			t.Fatalf("code %d: %v, %d left, want %d", i, err, New().Remaining(f), 9-i)
		}
	}
	before := string(f.Secret)
	bare := strings.ReplaceAll(codes[7], "-", "")
	for _, again := range []string{codes[7], bare, strings.ToLower(codes[7]), " " + codes[7] + "\n", bare[:3] +
		"\u200b " + bare[3:],
		strings.NewReplacer("0", "O", "1", "l").Replace(bare), strings.NewReplacer("0", "o", "1", "I").Replace(bare)} {
		if err := verifyTyped(t, m, &f, again); err != factor.ErrIncorrect || string(f.Secret) != before {
			t.Errorf("%q again: %v, %d left", again, err, New().Remaining(f))
		}
	}
	if err := verifyTyped(t, m, &f, "  "+strings.ToLower(codes[3])+"\t"); err != nil || New().Remaining(f) != 6 {
		t.Errorf("a new code in small letters: %v, %d left", err, New().Remaining(f))
	}
}

// All ten codes work, then none.
func TestAllCodesUsed(t *testing.T) {
	m := New()
	f, codes := enrollSet(t, m)
	for _, code := range codes {
		if err := verifyTyped(t, m, &f, code); err != nil {
			t.Fatal(err)
		}
	}
	if err := verifyTyped(t, m, &f, codes[0]); err != factor.ErrIncorrect || New().Remaining(f) != 0 {
		t.Errorf("after all were used: %v, %d left", err, New().Remaining(f))
	}
}

// The code of another account is rejected and used up in neither set.
func TestCodeOfAnotherAccountIsRefused(t *testing.T) {
	m := New()
	mine, _ := enrollSet(t, m)
	theirs, codes := enrollSet(t, m)
	before, other := string(mine.Secret), string(theirs.Secret)
	if err := verifyTyped(t, m, &mine, codes[0]); err != factor.ErrIncorrect || string(mine.Secret) != before ||
		string(theirs.Secret) != other {
		t.Errorf("got %v, %d and %d left", err, New().Remaining(mine), New().Remaining(theirs))
	}
	if err := verifyTyped(t, m, &theirs, codes[0]); err != nil {
		t.Errorf("its own code: %v", err)
	}
}

func TestParseResponse(t *testing.T) {
	for text, want := range map[string]string{
		"01234-5678-9ABC": "0123456789ABC", "0123456789abc": "0123456789ABC",
		" 0 1 2 3 4–5678\u20119abc\u200b": "0123456789ABC",
		"OoIiLl-2222-222":                 "0011112222222", "\ufeffzyxwv-tsrq-pnmk\r\n": "ZYXWVTSRQPNMK",
	} {
		if got, err := parseTyped(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "123456", "0123456789AB", "0123456789ABCD", "0123456789ABU", "0123456789AB!", "0123456789AB\x00",
		"0123456789AB\xff",
		"0123456789ABı", "0123456789ABſ", "0123456789AB\u212a", "０123456789ABC", "٠123456789ABC", "0123456789_ABC",
		strings.Repeat(" ", 129) + "0123456789ABC", strings.Repeat("A", 1<<20),
	} {
		if got, err := parseTyped(text); err != factor.ErrMalformed {
			t.Errorf("%.20q: got %q, %v, want ErrMalformed", text, got, err)
		}
	}
}

// visibleText is what a person sees in the field: everything except blanks, dashes and invisible
// characters, in capitals, with look-alike letters as digits.
func visibleText(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf) {
			return -1
		}
		return r
	}, text)
	small, capital := "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i := range small {
		text = strings.ReplaceAll(text, small[i:i+1], capital[i:i+1])
	}
	return strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(text)
}

// The result is 13 characters of the alphabet, the ones that a person sees, so that no two
// different codes are read as the same.
func FuzzParseResponse(f *testing.F) {
	const printed = "01234-5678-9ABC"
	for _, s := range []string{printed, "0123456789abc", "oil0123456789", "OoIiLl-2222-222",
		"\ufeffzyxwv-tsrq-pnmk\r\n", "0123456789ABſ", "0123456789ABU", "０１２３４５６７８９ABC", "abc"} {
		f.Add(s, printed)
		f.Add(printed, s)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		first, err := parseTyped(one)
		if err != nil {
			return
		}
		if len(first) != seal.LongCodeLength || strings.Trim(first, crockfordAlphabet) != "" ||
			first != visibleText(one) {
			t.Errorf("%q: read %q, want %q", one, first, visibleText(one))
		}
		if again, err := parseTyped(first); again != first || err != nil {
			t.Errorf("%q: read %q, then %q, %v", one, first, again, err)
		}
		if second, err := parseTyped(other); err == nil && second == first && visibleText(one) != visibleText(other) {
			t.Errorf("%q and %q are both %q", one, other, first)
		}
	})
}

// A damaged set is an internal error, not a wrong code, and the error quotes nothing.
func TestDamagedSet(t *testing.T) {
	m := New()
	good := string(codeSet{HashParams: argon2Params, Salt: make([]byte, saltSize),
		UnusedHashes: [][]byte{make([]byte, hashSize)}}.marshal())
	for _, text := range []string{"", "null", "{}", "[", `{"codes":["0123456789ABC"]}`,
		strings.Replace(good, "m=19456", "m=4194304", 1), strings.Replace(good, "AAAA", "", 1), good + "x",
		strings.TrimSuffix(good, "}") + `,"codes":["0123456789AB"]}`,
	} {
		f := factor.Factor{Secret: []byte(text)}
		if err := m.Verify(t.Context(), &f, factor.Response{Text: "0123456789ABC"}); err == nil ||
			errors.Is(err, factor.ErrIncorrect) || strings.Contains(err.Error(), "0123") {
			t.Errorf("%.40s: got %v, want a fault without the codes", text, err)
		}
		if _, err := m.Finalize(f); err == nil || New().Remaining(f) != 0 ||
			m.Provision(factor.Request{}, f).Codes != nil {
			t.Errorf("%.40s: is kept, has %d left or shows something", text, New().Remaining(f))
		}
	}
}

// A set that is read is within the bounds and is written back unchanged.
func FuzzUnmarshalSet(f *testing.F) {
	s := codeSet{HashParams: argon2Params, Salt: make([]byte, saltSize), UnusedHashes: [][]byte{make([]byte, hashSize)},
		PlainCodes: []string{"0123456789ABC"}}
	f.Add(s.marshal())
	f.Add([]byte(`{"how":"argon2id m=19456,t=2,p=1","left":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := unmarshalSet(text)
		if err != nil {
			return
		}
		if len(s.UnusedHashes) > 10 || len(s.PlainCodes) > 10 || len(s.Salt) != 32 {
			t.Errorf("read %+v", s)
		}
		New().Provision(factor.Request{}, factor.Factor{Secret: text})
		again, err := unmarshalSet(s.marshal())
		if err != nil || string(again.marshal()) != string(s.marshal()) {
			t.Errorf("read %+v, then %+v, %v", s, again, err)
		}
	})
}

// One hash is computed at a time: a waiting request leaves when its context ends, and the slot is
// free again afterwards.
func TestOneHashAtATime(t *testing.T) {
	m := New()
	f, codes := enrollSet(t, m)
	m.hashSlot <- struct{}{} // the slot is taken
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			mine := f
			if err := m.Verify(ctx, &mine, factor.Response{Text: "0123456789ABC"}); !errors.Is(err, context.Canceled) ||
				errors.Is(err, factor.ErrIncorrect) {
				t.Errorf("got %v, want that the request ended", err)
			}
		})
	}
	cancel()
	wait.Wait()
	if _, _, err := m.Enroll(ctx, factor.Request{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the request ended", err)
	}
	<-m.hashSlot
	if err := verifyTyped(t, m, &f, codes[0]); err != nil {
		t.Error(err)
	}
}

// Concurrent uses of one code start from the same set and produce sets that differ from it, so that
// the server can save only one of them.
func TestConcurrentUseOfOneCode(t *testing.T) {
	m := New()
	f, codes := enrollSet(t, m)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			mine := f
			if err := verifyTyped(t, m, &mine, codes[5]); err != nil || New().Remaining(mine) != 9 {
				t.Errorf("got %v, %d left", err, New().Remaining(mine))
			}
		})
	}
	wait.Wait()
	if New().Remaining(f) != 10 {
		t.Errorf("they share memory: %d left", New().Remaining(f))
	}
}

// A Method that New did not create returns an error instead of blocking forever.
func TestZeroMethodReturnsError(t *testing.T) {
	var m Method
	if _, _, err := m.Enroll(t.Context(), factor.Request{}, nil); err == nil {
		t.Error("a zero Method works")
	}
}

func TestInfo(t *testing.T) {
	about := New().Info()
	if about.Method != "recovery" || about.Path != "recovery" || !about.Backup || about.MaxPerAccount != 1 ||
		about.CodeTTL != 0 || about.Implicit {
		t.Errorf("got %+v", about)
	}
	en := about.Words["en"]
	for language, w := range about.Words {
		if w.Title == "" || w.Name == "" || w.ChoiceLabel == "" || w.Prompt == "" || w.Button == "" ||
			len(w.Intro) != len(en.Intro) || len(w.Messages) != len(en.Messages) {
			t.Errorf("%s lacks words", language)
		}
		for key, text := range en.Messages {
			if w.Messages[key] == "" || strings.Contains(w.Messages[key], "{Count}") != strings.Contains(text,
				"{Count}") {
				t.Errorf("%s: %s: %q", language, key, w.Messages[key])
			}
		}
	}
}
