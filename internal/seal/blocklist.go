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
	// ErrPasswordNotText says that the input is not text: broken UTF-8, or control characters that
	// no keyboard types into a password field and that databases treat differently.
	ErrPasswordNotText = errors.New("password is not text")
	// ErrPasswordTooShort says that the password has fewer than 8 characters.
	ErrPasswordTooShort = errors.New("password too short")
	// ErrPasswordTooLong says that the password has more than 1024 characters. It is refused
	// whole, because a password that is cut lets others in that begin alike.
	ErrPasswordTooLong = errors.New("password too long")
	// ErrPasswordCommon says that the password is one that everybody's guessing begins with.
	ErrPasswordCommon = errors.New("password is on the list of common passwords")
	// ErrPasswordContextSpecific says that the password is little more than the account's own words.
	ErrPasswordContextSpecific = errors.New("password contains the account's own words")
)

const (
	minPasswordChars    = 8
	maxPasswordChars    = 1024
	maxPasswordBytes    = 4096 // 1024 of the longest characters; beyond it we do not even look
	minContextWordChars = 4    // characters; "eva" is also in "evaluate"
	blocklistEntryBytes = 8    // bytes of each entry of the list
)

// blocklist is the list of common passwords, made by gen/main.go: the first 8 bytes of the
// SHA-1 of each, in lower case, sorted. 18,000 entries of 64 bits refuse a good password
// by accident once in 10^15.
//
//go:embed common.bin
var blocklist string

// CheckNewPassword returns nil if password may become the password of an account, or the first
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
func CheckNewPassword(password string, contextWords ...string) error {
	text, err := normalizePassword(password)
	if err != nil {
		return err
	}
	switch n := utf8.RuneCountInString(text); {
	case n < minPasswordChars:
		return ErrPasswordTooShort
	case n > maxPasswordChars:
		return ErrPasswordTooLong
	}
	text = strings.ToLower(text)
	if isBlocked(text) {
		return ErrPasswordCommon
	}
	remainder := text
	for _, word := range splitContextWords(contextWords) {
		remainder = strings.ReplaceAll(remainder, word, "")
	}
	if remainder != text && (utf8.RuneCountInString(remainder) < minPasswordChars || isBlocked(remainder)) {
		return ErrPasswordContextSpecific
	}
	return nil
}

// normalizePassword returns password in NFKC, so that the same keys on another keyboard or system
// give the same bytes. Acceptable, Hash and Same all begin here; were one of them not to,
// a person could set a password and not sign in with it.
func normalizePassword(password string) (string, error) {
	if len(password) > maxPasswordBytes {
		return "", ErrPasswordTooLong
	}
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return "", ErrPasswordNotText
	}
	return norm.NFKC.String(password), nil
}

// splitContextWords returns the words and their parts that are long enough to matter, in lower case,
// the longest first, so that a part does not break up the whole before it was looked for.
func splitContextWords(words []string) []string {
	var all []string
	for _, word := range words {
		word = strings.ToLower(norm.NFKC.String(word))
		all = append(all, word)
		all = append(all, strings.FieldsFunc(word, func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.M, unicode.N)
		})...)
	}
	all = slices.DeleteFunc(all, func(w string) bool { return utf8.RuneCountInString(w) < minContextWordChars })
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return all
}

// isBlocked looks up text, which is in lower case, whole.
func isBlocked(text string) bool {
	return isRepetitiveOrSequential(text) || isInBlocklist(text)
}

func isInBlocklist(text string) bool {
	sum := sha1.Sum([]byte(text)) // to find it, not to protect it
	want := string(sum[:blocklistEntryBytes])
	entry := func(i int) string { return blocklist[i*blocklistEntryBytes : (i+1)*blocklistEntryBytes] }
	n := len(blocklist) / blocklistEntryBytes
	i := sort.Search(n, func(i int) bool { return entry(i) >= want })
	return i < n && entry(i) == want
}

// isRepetitiveOrSequential reports whether text is one short block over and over (aaaaaaaa, 12341234), or
// runs along the digits, the alphabet or the keys of a keyboard, either way, round and
// round. As a rule it is shorter than as entries of the list, and has no greatest length.
func isRepetitiveOrSequential(text string) bool {
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
