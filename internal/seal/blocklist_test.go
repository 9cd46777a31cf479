package seal

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckNewPassword(t *testing.T) {
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

		{"", ErrPasswordTooShort},
		{"kx7qvw2", ErrPasswordTooShort},
		{"e\u0301e\u0301e\u0301e\u0301", ErrPasswordTooShort}, // four characters in eight code points
		{"пароль1", ErrPasswordTooShort},                      // seven characters in thirteen bytes

		{"Password", ErrPasswordCommon},
		{"password1", ErrPasswordCommon},
		{"PASSWORD123", ErrPasswordCommon},
		{"iloveyou", ErrPasswordCommon},
		{"sunshine", ErrPasswordCommon},
		{"ｐａｓｓｗｏｒｄ", ErrPasswordCommon}, // full-width letters
		{"12345678", ErrPasswordCommon},
		{"1234567890123456", ErrPasswordCommon},
		{"987654321", ErrPasswordCommon},
		{"00000000", ErrPasswordCommon},
		{"aaaaaaaaaaaa", ErrPasswordCommon},
		{"12121212", ErrPasswordCommon},
		{"abcdabcd", ErrPasswordCommon},
		{"éééééééé", ErrPasswordCommon},
		{"qwertyuiop", ErrPasswordCommon},
		{"QWERTZUI", ErrPasswordCommon},
		{"azertyuiop", ErrPasswordCommon},
		{"poiuytrewq", ErrPasswordCommon},
		{"lkjhgfdsa", ErrPasswordCommon},
		{"1qaz2wsx3edc", ErrPasswordCommon},
		{"abcdefghij", ErrPasswordCommon},

		{"anna1234", ErrPasswordContextSpecific},
		{"Anna2024!", ErrPasswordContextSpecific},
		{"annaanna1", ErrPasswordContextSpecific},
		{"twostep1", ErrPasswordContextSpecific},
		{"TwoStep!2026", ErrPasswordContextSpecific},
		{"anna@example.com", ErrPasswordContextSpecific},
		{"kovács1987", ErrPasswordContextSpecific},
		{"KOVA\u0301CS1987", ErrPasswordContextSpecific},
		{"example.com", ErrPasswordContextSpecific},
		{"annapassword1", ErrPasswordContextSpecific},
		{"anna12345678", ErrPasswordContextSpecific},
		{"anna-twostep-2026", ErrPasswordContextSpecific},

		{"broken\xffutf8", ErrPasswordNotText},
		{"\xed\xa0\x80surrogate", ErrPasswordNotText},
		{"nul\x00nulnul", ErrPasswordNotText},
		{"line\nbreak here", ErrPasswordNotText},
		{"delete\x7fdelete", ErrPasswordNotText},
		{"c1\u0085controls", ErrPasswordNotText},
	} {
		if err := CheckNewPassword(c.password, anna...); !errors.Is(err, c.want) {
			t.Errorf("%+q: got %v, want %v", c.password, err, c.want)
		}
	}
}

// The whole address is removed before its parts, which would leave too much of it.
func TestContextWordWholeBeforeParts(t *testing.T) {
	if err := CheckNewPassword("anna.b@x.org1", "anna.b@x.org"); !errors.Is(err, ErrPasswordContextSpecific) {
		t.Errorf("got %v, want ErrGuessable", err)
	}
}

// Without context words nothing is removed.
func TestCheckNewPasswordWithoutContextWords(t *testing.T) {
	for _, words := range [][]string{nil, {""}, {"", "a", "bob", "x y z", "@"}} {
		for _, password := range []string{"anna1k87", "bobxyz12"} {
			if err := CheckNewPassword(password, words...); err != nil {
				t.Errorf("%q with words %q: got %v, want nil", password, words, err)
			}
		}
	}
}

func TestPasswordLengthLimits(t *testing.T) {
	text := func(n int) string { // not a sequence, not on the list
		return string([]rune(strings.Repeat("wk7 qfé.", n/8+1))[:n])
	}
	for n, want := range map[int]error{
		7: ErrPasswordTooShort, 8: nil, 14: nil, 15: nil, 64: nil, 128: nil, 1024: nil, 1025: ErrPasswordTooLong,
		3000: ErrPasswordTooLong, 5e6: ErrPasswordTooLong,
	} {
		if err := CheckNewPassword(text(n)); !errors.Is(err, want) {
			t.Errorf("%d characters: got %v, want %v", n, err, want)
		}
	}
	// 1024 of the longest characters are accepted; a broken one at the end is not.
	longest := strings.Repeat("🐎🔋📎🧷🐘", 205)[:4096]
	if err := CheckNewPassword(longest); err != nil {
		t.Errorf("1024 characters of 4 bytes: got %v, want nil", err)
	}
	if err := CheckNewPassword(longest[:4095]); !errors.Is(err, ErrPasswordNotText) {
		t.Errorf("a cut character: got %v, want ErrNotText", err)
	}
}

// Huge input is rejected unread.
func TestHugePasswordRefusedUnread(t *testing.T) {
	huge := strings.Repeat("\ufdfa", 1<<20) // each becomes 18 characters in NFKC
	if n := testing.AllocsPerRun(10, func() {
		if err := CheckNewPassword(huge, "anna"); !errors.Is(err, ErrPasswordTooLong) {
			t.Errorf("got %v, want ErrTooLong", err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// The lookup is a binary search, which would never find an entry out of order.
func TestBlocklistIsSorted(t *testing.T) {
	if len(blocklist)%blocklistEntryBytes != 0 || len(blocklist)/blocklistEntryBytes < 15_000 {
		t.Fatalf("the list has %d bytes, want a multiple of 8 and at least 15,000 entries", len(blocklist))
	}
	for i := blocklistEntryBytes; i < len(blocklist); i += blocklistEntryBytes {
		if blocklist[i-blocklistEntryBytes:i] >= blocklist[i:i+blocklistEntryBytes] {
			t.Fatalf("entry %d is not above the one before it", i/blocklistEntryBytes)
		}
	}
}

func TestBlocklistFirstAndLastEntry(t *testing.T) {
	for _, word := range []string{"password", "iloveyou", "princess", "football", "superman", "trustno1", "letmein1",
		"baseball"} {
		if !isInBlocklist(word) {
			t.Errorf("%q is not on the list", word)
		}
	}
	for _, word := range []string{"", "kx7qvw2m", "Password"} {
		if isInBlocklist(word) {
			t.Errorf("%q is on the list", word)
		}
	}
}

func BenchmarkCheckNewPassword(b *testing.B) {
	long := strings.Repeat("wk7 qfé.", 128)
	for b.Loop() {
		if err := CheckNewPassword(long, "anna@example.com", "Anna Kovács", "Twostep"); err != nil {
			b.Fatal(err)
		}
	}
}
