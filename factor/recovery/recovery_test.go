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

// alphabet is Crockford's base32, of which the codes are.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// printed is a new set as it is kept, and the codes on the paper.
func printed(t *testing.T, m *Method) (factor.Factor, []string) {
	t.Helper()
	draft, c, err := m.Enroll(t.Context(), factor.Ask{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Seen || c.Message != nil || c.Answer != "" || c.State != nil {
		t.Fatalf("enrolling opened %+v, want nothing but Seen", c)
	}
	codes := m.Show(factor.Ask{}, draft).Codes
	kept, err := m.Keep(draft)
	if err != nil {
		t.Fatal(err)
	}
	return kept, codes
}

func read(text string) (string, error) { return New().Read(url.Values{"code": {text}}, false) }

// use types a code as it stands on the paper.
func use(t *testing.T, m *Method, f *factor.Factor, typed string) error {
	t.Helper()
	text, err := m.Read(url.Values{"code": {typed}}, false)
	if err != nil {
		t.Fatalf("%q: %v", typed, err)
	}
	return m.Verify(t.Context(), f, factor.Answer{Text: text})
}

// Ten different codes to print; once they are kept nobody can read them again.
func TestShownUntilKept(t *testing.T) {
	m := New()
	draft, _, err := m.Enroll(t.Context(), factor.Ask{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	codes := m.Show(factor.Ask{}, draft).Codes
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
	again := m.Show(factor.Ask{}, draft).Codes
	if strings.Join(again, " ") != strings.Join(codes, " ") {
		t.Error("a reload shows other codes")
	}
	kept, err := m.Keep(draft)
	if err != nil {
		t.Fatal(err)
	}
	if New().Left(kept) != 10 || m.Show(factor.Ask{}, kept).Codes != nil {
		t.Errorf("%d left, still showing %v", New().Left(kept), m.Show(factor.Ask{}, kept).Codes)
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

// Each code once, in any order, and no other spelling of it makes it a new one.
func TestEachCodeOnce(t *testing.T) {
	m := New()
	f, codes := printed(t, m)
	for i, code := range []string{codes[7], codes[0], codes[9]} {
		if err := use(t, m, &f, code); err != nil || New().Left(f) != 9-i {
			t.Fatalf("code %d: %v, %d left, want %d", i, err, New().Left(f), 9-i)
		}
	}
	before := string(f.Secret)
	bare := strings.ReplaceAll(codes[7], "-", "")
	for _, again := range []string{codes[7], bare, strings.ToLower(codes[7]), " " + codes[7] + "\n", bare[:3] + "\u200b " + bare[3:],
		strings.NewReplacer("0", "O", "1", "l").Replace(bare), strings.NewReplacer("0", "o", "1", "I").Replace(bare)} {
		if err := use(t, m, &f, again); err != factor.ErrIncorrect || string(f.Secret) != before {
			t.Errorf("%q again: %v, %d left", again, err, New().Left(f))
		}
	}
	if err := use(t, m, &f, "  "+strings.ToLower(codes[3])+"\t"); err != nil || New().Left(f) != 6 {
		t.Errorf("a new code in small letters: %v, %d left", err, New().Left(f))
	}
}

// The last one is the last one.
func TestUsedUp(t *testing.T) {
	m := New()
	f, codes := printed(t, m)
	for _, code := range codes {
		if err := use(t, m, &f, code); err != nil {
			t.Fatal(err)
		}
	}
	if err := use(t, m, &f, codes[0]); err != factor.ErrIncorrect || New().Left(f) != 0 {
		t.Errorf("after all were used: %v, %d left", err, New().Left(f))
	}
}

// Somebody else's code is of no use, here or there.
func TestSomebodyElsesCode(t *testing.T) {
	m := New()
	mine, _ := printed(t, m)
	theirs, codes := printed(t, m)
	before, other := string(mine.Secret), string(theirs.Secret)
	if err := use(t, m, &mine, codes[0]); err != factor.ErrIncorrect || string(mine.Secret) != before || string(theirs.Secret) != other {
		t.Errorf("got %v, %d and %d left", err, New().Left(mine), New().Left(theirs))
	}
	if err := use(t, m, &theirs, codes[0]); err != nil {
		t.Errorf("its own code: %v", err)
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"01234-5678-9ABC": "0123456789ABC", "0123456789abc": "0123456789ABC", " 0 1 2 3 4–5678\u20119abc\u200b": "0123456789ABC",
		"OoIiLl-2222-222": "0011112222222", "\ufeffzyxwv-tsrq-pnmk\r\n": "ZYXWVTSRQPNMK",
	} {
		if got, err := read(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "123456", "0123456789AB", "0123456789ABCD", "0123456789ABU", "0123456789AB!", "0123456789AB\x00", "0123456789AB\xff",
		"0123456789ABı", "0123456789ABſ", "0123456789AB\u212a", "０123456789ABC", "٠123456789ABC", "0123456789_ABC",
		strings.Repeat(" ", 129) + "0123456789ABC", strings.Repeat("A", 1<<20),
	} {
		if got, err := read(text); err != factor.ErrMalformed {
			t.Errorf("%.20q: got %q, %v, want ErrMalformed", text, got, err)
		}
	}
}

// shown is what a person sees in a field: everything but blanks, dashes and what is
// invisible, in capitals, with the letters that look like digits as digits.
func shown(text string) string {
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

// FUZ-002: what is read is 13 characters of the alphabet, the ones that a person sees, so no
// two fields with different codes are ever the same.
func FuzzRead(f *testing.F) {
	const printed = "01234-5678-9ABC"
	for _, s := range []string{printed, "0123456789abc", "oil0123456789", "OoIiLl-2222-222", "\ufeffzyxwv-tsrq-pnmk\r\n", "0123456789ABſ", "0123456789ABU", "０１２３４５６７８９ABC", "abc"} {
		f.Add(s, printed)
		f.Add(printed, s)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		first, err := read(one)
		if err != nil {
			return
		}
		if len(first) != seal.LongSize || strings.Trim(first, alphabet) != "" || first != shown(one) {
			t.Errorf("%q: read %q, want %q", one, first, shown(one))
		}
		if again, err := read(first); again != first || err != nil {
			t.Errorf("%q: read %q, then %q, %v", one, first, again, err)
		}
		if second, err := read(other); err == nil && second == first && shown(one) != shown(other) {
			t.Errorf("%q and %q are both %q", one, other, first)
		}
	})
}

// A damaged set is our fault, not a wrong code, and its error quotes nothing.
func TestDamagedSet(t *testing.T) {
	m := New()
	good := string(set{How: how, Salt: make([]byte, saltSize), Left: [][]byte{make([]byte, sumSize)}}.seal())
	for _, text := range []string{"", "null", "{}", "[", `{"codes":["0123456789ABC"]}`,
		strings.Replace(good, "m=19456", "m=4194304", 1), strings.Replace(good, "AAAA", "", 1), good + "x",
		strings.TrimSuffix(good, "}") + `,"codes":["0123456789AB"]}`,
	} {
		f := factor.Factor{Secret: []byte(text)}
		if err := m.Verify(t.Context(), &f, factor.Answer{Text: "0123456789ABC"}); err == nil || errors.Is(err, factor.ErrIncorrect) || strings.Contains(err.Error(), "0123") {
			t.Errorf("%.40s: got %v, want a fault without the codes", text, err)
		}
		if _, err := m.Keep(f); err == nil || New().Left(f) != 0 || m.Show(factor.Ask{}, f).Codes != nil {
			t.Errorf("%.40s: is kept, has %d left or shows something", text, New().Left(f))
		}
	}
}

// What is read is within the bounds and comes back as it was.
func FuzzSet(f *testing.F) {
	s := set{How: how, Salt: make([]byte, saltSize), Left: [][]byte{make([]byte, sumSize)}, Codes: []string{"0123456789ABC"}}
	f.Add(s.seal())
	f.Add([]byte(`{"how":"argon2id m=19456,t=2,p=1","left":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := unseal(text)
		if err != nil {
			return
		}
		if len(s.Left) > 10 || len(s.Codes) > 10 || len(s.Salt) != 32 {
			t.Errorf("read %+v", s)
		}
		New().Show(factor.Ask{}, factor.Factor{Secret: text})
		again, err := unseal(s.seal())
		if err != nil || string(again.seal()) != string(s.seal()) {
			t.Errorf("read %+v, then %+v, %v", s, again, err)
		}
	})
}

// One hash at a time: whoever waits leaves when their request ends, and the slot is free
// again afterwards.
func TestOneAtATime(t *testing.T) {
	m := New()
	f, codes := printed(t, m)
	m.slot <- struct{}{} // somebody is at it
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			mine := f
			if err := m.Verify(ctx, &mine, factor.Answer{Text: "0123456789ABC"}); !errors.Is(err, context.Canceled) || errors.Is(err, factor.ErrIncorrect) {
				t.Errorf("got %v, want that the request ended", err)
			}
		})
	}
	cancel()
	wait.Wait()
	if _, _, err := m.Enroll(ctx, factor.Ask{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the request ended", err)
	}
	<-m.slot
	if err := use(t, m, &f, codes[0]); err != nil {
		t.Error(err)
	}
}

// Two who use the same code at the same moment start from the same set, and leave sets
// that the engine can tell from it: one of them is saved.
func TestSameCodeAtOnce(t *testing.T) {
	m := New()
	f, codes := printed(t, m)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			mine := f
			if err := use(t, m, &mine, codes[5]); err != nil || New().Left(mine) != 9 {
				t.Errorf("got %v, %d left", err, New().Left(mine))
			}
		})
	}
	wait.Wait()
	if New().Left(f) != 10 {
		t.Errorf("they share memory: %d left", New().Left(f))
	}
}

// A Method that New did not make says so instead of waiting for ever.
func TestZeroValue(t *testing.T) {
	var m Method
	if _, _, err := m.Enroll(t.Context(), factor.Ask{}, nil); err == nil {
		t.Error("a zero Method works")
	}
}

func TestAbout(t *testing.T) {
	about := New().About()
	if about.Method != "recovery" || about.Path != "recovery" || !about.Spare || about.Most != 1 || about.Valid != 0 || about.Given {
		t.Errorf("got %+v", about)
	}
	en := about.Words["en"]
	for language, w := range about.Words {
		if w.Title == "" || w.Name == "" || w.Does == "" || w.Lead == "" || w.Button == "" || len(w.Intro) != len(en.Intro) || len(w.Says) != len(en.Says) {
			t.Errorf("%s lacks words", language)
		}
		for key, text := range en.Says {
			if w.Says[key] == "" || strings.Contains(w.Says[key], "{Count}") != strings.Contains(text, "{Count}") {
				t.Errorf("%s: %s: %q", language, key, w.Says[key])
			}
		}
	}
}
