package seal

import (
	"errors"
	"strings"
	"testing"
)

func TestAcceptable(t *testing.T) {
	anna := []string{"anna@example.com", "Anna Kovács", "Twostep"}
	for _, c := range []struct {
		password string
		want     error
	}{
		{"correct horse annabelle battery", nil},
		{"correct horse battery staple", nil},
		{"purple-elephant", nil},
		{"kx7qvw2m", nil},
		{"........!?..,.", nil},
		{"anna plays the cello", nil},
		{"пароль на каждый день", nil},
		{"密码不能太短要八个字", nil},

		{"", ErrTooShort},
		{"kx7qvw2", ErrTooShort},
		{"e\u0301e\u0301e\u0301e\u0301", ErrTooShort}, // four characters in eight
		{"пароль1", ErrTooShort},                      // seven characters in thirteen bytes

		{"Password", ErrCommon},
		{"password1", ErrCommon},
		{"PASSWORD123", ErrCommon},
		{"iloveyou", ErrCommon},
		{"sunshine", ErrCommon},
		{"ｐａｓｓｗｏｒｄ", ErrCommon}, // wide letters
		{"12345678", ErrCommon},
		{"1234567890123456", ErrCommon},
		{"987654321", ErrCommon},
		{"00000000", ErrCommon},
		{"aaaaaaaaaaaa", ErrCommon},
		{"12121212", ErrCommon},
		{"abcdabcd", ErrCommon},
		{"éééééééé", ErrCommon},
		{"qwertyuiop", ErrCommon},
		{"QWERTZUI", ErrCommon},
		{"azertyuiop", ErrCommon},
		{"poiuytrewq", ErrCommon},
		{"lkjhgfdsa", ErrCommon},
		{"1qaz2wsx3edc", ErrCommon},
		{"abcdefghij", ErrCommon},

		{"anna1234", ErrGuessable},
		{"Anna2024!", ErrGuessable},
		{"annaanna1", ErrGuessable},
		{"twostep1", ErrGuessable},
		{"TwoStep!2026", ErrGuessable},
		{"anna@example.com", ErrGuessable},
		{"kovács1987", ErrGuessable},
		{"KOVA\u0301CS1987", ErrGuessable},
		{"example.com", ErrGuessable},
		{"annapassword1", ErrGuessable},
		{"anna12345678", ErrGuessable},
		{"anna-twostep-2026", ErrGuessable},

		{"broken\xffutf8", ErrNotText},
		{"\xed\xa0\x80surrogate", ErrNotText},
		{"nul\x00nulnul", ErrNotText},
		{"line\nbreak here", ErrNotText},
		{"delete\x7fdelete", ErrNotText},
		{"c1\u0085controls", ErrNotText},
	} {
		if err := Acceptable(c.password, anna...); !errors.Is(err, c.want) {
			t.Errorf("%+q: got %v, want %v", c.password, err, c.want)
		}
	}
}

// The whole address is taken out before its parts, which would leave too much of it.
func TestAcceptableWholeWordFirst(t *testing.T) {
	if err := Acceptable("anna.b@x.org1", "anna.b@x.org"); !errors.Is(err, ErrGuessable) {
		t.Errorf("got %v, want ErrGuessable", err)
	}
}

// Nobody's words: then there is nothing to be made of.
func TestAcceptableWithoutWords(t *testing.T) {
	for _, words := range [][]string{nil, {""}, {"", "a", "bob", "x y z", "@"}} {
		for _, password := range []string{"anna1k87", "bobxyz12"} {
			if err := Acceptable(password, words...); err != nil {
				t.Errorf("%q with words %q: got %v, want nil", password, words, err)
			}
		}
	}
}

func TestAcceptableLength(t *testing.T) {
	text := func(n int) string { // no run, not on the list
		return string([]rune(strings.Repeat("wk7 qfé.", n/8+1))[:n])
	}
	for n, want := range map[int]error{
		7: ErrTooShort, 8: nil, 14: nil, 15: nil, 64: nil, 128: nil, 1024: nil, 1025: ErrTooLong, 3000: ErrTooLong, 5e6: ErrTooLong,
	} {
		if err := Acceptable(text(n)); !errors.Is(err, want) {
			t.Errorf("%d characters: got %v, want %v", n, err, want)
		}
	}
	// 1024 of the longest characters are still fine; a broken one at the end is not.
	longest := strings.Repeat("🐎🔋📎🧷🐘", 205)[:4096]
	if err := Acceptable(longest); err != nil {
		t.Errorf("1024 characters of 4 bytes: got %v, want nil", err)
	}
	if err := Acceptable(longest[:4095]); !errors.Is(err, ErrNotText) {
		t.Errorf("a cut character: got %v, want ErrNotText", err)
	}
}

// Huge input costs nothing: it is refused unread.
func TestAcceptableHuge(t *testing.T) {
	huge := strings.Repeat("\ufdfa", 1<<20) // each becomes 18 characters
	if n := testing.AllocsPerRun(10, func() {
		if err := Acceptable(huge, "anna"); !errors.Is(err, ErrTooLong) {
			t.Errorf("got %v, want ErrTooLong", err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// The look-up is a binary search: an entry out of order would never be found.
func TestListSorted(t *testing.T) {
	if len(common)%prefixSize != 0 || len(common)/prefixSize < 15_000 {
		t.Fatalf("the list has %d bytes, want a multiple of 8 and at least 15,000 entries", len(common))
	}
	for i := prefixSize; i < len(common); i += prefixSize {
		if common[i-prefixSize:i] >= common[i:i+prefixSize] {
			t.Fatalf("entry %d is not above the one before it", i/prefixSize)
		}
	}
}

func TestListEnds(t *testing.T) {
	for _, word := range []string{"password", "iloveyou", "princess", "football", "superman", "trustno1", "letmein1", "baseball"} {
		if !isListed(word) {
			t.Errorf("%q is not on the list", word)
		}
	}
	for _, word := range []string{"", "kx7qvw2m", "Password"} {
		if isListed(word) {
			t.Errorf("%q is on the list", word)
		}
	}
}

func BenchmarkAcceptable(b *testing.B) {
	long := strings.Repeat("wk7 qfé.", 128)
	for b.Loop() {
		if err := Acceptable(long, "anna@example.com", "Anna Kovács", "Twostep"); err != nil {
			b.Fatal(err)
		}
	}
}
