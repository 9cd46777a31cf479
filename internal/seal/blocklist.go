package seal

import (
	"cmp"
	"crypto/sha1"
	_ "embed" // the list
	"errors"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What Acceptable refuses. Each is about the text the person typed and safe to tell them;
// each is decided before the password reaches an account, so none tells who exists.
var (
	// ErrNotText says that the input is not text: broken UTF-8, or control characters that
	// no keyboard types into a password field and that databases treat differently.
	ErrNotText = errors.New("password is not text")
	// ErrTooShort says that the password has fewer than 8 characters.
	ErrTooShort = errors.New("password too short")
	// ErrTooLong says that the password has more than 1024 characters. It is refused
	// whole, because a password that is cut lets others in that begin alike.
	ErrTooLong = errors.New("password too long")
	// ErrCommon says that the password is one that everybody's guessing begins with.
	ErrCommon = errors.New("password is on the list of common passwords")
	// ErrGuessable says that the password is little more than the account's own words.
	ErrGuessable = errors.New("password contains the account's own words")
)

const (
	minCharacters = 8
	maxCharacters = 1024
	maxBytes      = 4096 // 1024 of the longest characters; beyond it we do not even look
	minWord       = 4    // characters; "eva" is also in "evaluate"
	prefixSize    = 8    // bytes of each entry of the list
)

// common is the list of common passwords, made by gen/main.go: the first 8 bytes of the
// SHA-1 of each, in lower case, sorted. 18,000 entries of 64 bits refuse a good password
// by accident once in 10^15.
//
//go:embed common.bin
var common string

// Acceptable returns nil if password may become the password of an account, or the first
// of ErrTooLong, ErrNotText, ErrTooShort, ErrCommon and ErrGuessable that applies. There
// are no rules about kinds of characters: they make passwords worse. Length is counted in
// characters after normalisation, which is what is hashed.
//
// words are what somebody who knows the account tries first: its email address, the
// person's name, the site's name. They are also taken apart at signs and spaces, and parts
// of 4 characters or more count. The rule: with these words taken out, ignoring case, what
// is left must still be a password, that is 8 characters and not a common one. So for
// anna@example.com "anna1234" and "anna12345678" are refused, and "correct horse annabelle
// battery" is fine. Spellings such as "4nna" are not looked for: every such rule also
// refuses good passwords, and guessing is bounded elsewhere.
func Acceptable(password string, words ...string) error {
	text, err := normal(password)
	if err != nil {
		return err
	}
	switch n := utf8.RuneCountInString(text); {
	case n < minCharacters:
		return ErrTooShort
	case n > maxCharacters:
		return ErrTooLong
	}
	text = strings.ToLower(text)
	if isCommon(text) {
		return ErrCommon
	}
	left := text
	for _, word := range parts(words) {
		left = strings.ReplaceAll(left, word, "")
	}
	if left != text && (utf8.RuneCountInString(left) < minCharacters || isCommon(left)) {
		return ErrGuessable
	}
	return nil
}

// normal returns password in NFKC, so that the same keys on another keyboard or system
// give the same bytes. Acceptable, Hash and Same all begin here; were one of them not to,
// a person could set a password and not sign in with it.
func normal(password string) (string, error) {
	if len(password) > maxBytes {
		return "", ErrTooLong
	}
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return "", ErrNotText
	}
	return norm.NFKC.String(password), nil
}

// parts returns the words and their parts that are long enough to matter, in lower case,
// the longest first, so that a part does not break up the whole before it was looked for.
func parts(words []string) []string {
	var all []string
	for _, word := range words {
		word = strings.ToLower(norm.NFKC.String(word))
		all = append(all, word)
		all = append(all, strings.FieldsFunc(word, func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.M, unicode.N)
		})...)
	}
	all = slices.DeleteFunc(all, func(w string) bool { return utf8.RuneCountInString(w) < minWord })
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return all
}

// isCommon looks up text, which is in lower case, whole.
func isCommon(text string) bool {
	return isRun(text) || isListed(text)
}

func isListed(text string) bool {
	sum := sha1.Sum([]byte(text)) // to find it, not to protect it
	want := string(sum[:prefixSize])
	entry := func(i int) string { return common[i*prefixSize : (i+1)*prefixSize] }
	n := len(common) / prefixSize
	i := sort.Search(n, func(i int) bool { return entry(i) >= want })
	return i < n && entry(i) == want
}

// isRun reports whether text is one short block over and over (aaaaaaaa, 12341234), or
// runs along the digits, the alphabet or the keys of a keyboard, either way, round and
// round. As a rule it is shorter than as entries of the list, and has no greatest length.
func isRun(text string) bool {
	for size := 1; size <= 4 && size < len(text); size++ {
		if strings.HasPrefix(strings.Repeat(text[:size], len(text)/size+1), text) {
			return true
		}
	}
	backward := []byte(text)
	slices.Reverse(backward) // bytes will do: the rows are ASCII
	for _, row := range []string{
		"0123456789", "abcdefghijklmnopqrstuvwxyz",
		"qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertyuiopasdfghjklzxcvbnm",
		"qwertzuiop", "yxcvbnm", "qwertzuiopasdfghjklyxcvbnm",
		"azertyuiop", "qsdfghjklm", "wxcvbn", "azertyuiopqsdfghjklmwxcvbn",
		"1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p",
	} {
		round := strings.Repeat(row, len(text)/len(row)+2)
		if strings.Contains(round, text) || strings.Contains(round, string(backward)) {
			return true
		}
	}
	return false
}
