package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		token, link := NewToken(), NewLinkToken()
		if b, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(b) != 32 {
			t.Fatalf("Token() is %d bytes (%v), want 32", len(b), err)
		}
		if len(link) != 26 || strings.Trim(link, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			t.Fatalf("LinkToken() = %q, want 26 characters of base32", link)
		}
		if seen[token] || seen[link] {
			t.Fatal("the same token twice")
		}
		seen[token], seen[link] = true, true
	}
}

func TestHashToken(t *testing.T) {
	want, _ := hex.DecodeString("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") // FIPS 180-2
	if got := HashToken("abc"); !bytes.Equal(got, want) {
		t.Errorf("Hash(abc) = %x, want %x", got, want)
	}
}

func TestRandomDigitsLength(t *testing.T) {
	for n, want := range map[int]int{-1: 0, 0: 0, 1: 1, 6: 6, 40: 40} {
		got := RandomDigits(n)
		if len(got) != want || strings.Trim(got, "0123456789") != "" {
			t.Errorf("Digits(%d) = %q, want %d digits", n, got, want)
		}
	}
}

// A million codes, by their first three and their last three digits. Without rejecting the last six
// byte values the sum is about 2100.
func TestRandomDigitsAreUniform(t *testing.T) {
	const codes, bins = 1_000_000, 1000
	var first, last [bins]int
	for range codes {
		code := RandomDigits(6)
		a, err1 := strconv.Atoi(code[:3])
		b, err2 := strconv.Atoi(code[3:])
		if err1 != nil || err2 != nil {
			t.Fatalf("Digits(6) = %q", code)
		}
		first[a]++
		last[b]++
	}
	// 999 degrees of freedom: mean 999, deviation 45. Chance exceeds 1270 once in 10^8 runs.
	const most, want = 1270, float64(codes) / bins
	for name, counts := range map[string][bins]int{"first": first, "last": last} {
		sum := 0.0
		for _, n := range counts {
			sum += (float64(n) - want) * (float64(n) - want) / want
		}
		if sum > most {
			t.Errorf("chi-square of the %s three digits: got %.0f, want at most %d", name, sum, most)
		}
	}
}

// Whatever a device cookie contains, it is split without loss or rejected, and its successor is
// another token of the same series, unpredictable without the keys.
func FuzzDeviceToken(f *testing.F) {
	keys, others := mustParseKeyRing(f, NewKeyLine()), mustParseKeyRing(f, NewKeyLine())
	for _, token := range []string{"ABCDEFGHIJKLMNOPQRSTUVWXYZ" + strings.Repeat("-_9", 14) + "A",
		strings.Repeat("A", 69), strings.Repeat("A", 68), strings.Repeat("A", 70), strings.Repeat("\xff",
			69), "", "a"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		series, secret, ok := SplitDeviceToken(token)
		if !ok {
			if series != "" || secret != "" {
				t.Errorf("%q is none, and %q and %q", token, series, secret)
			}
			return
		}
		if len(series) != 26 || len(secret) != 43 || series+secret != token {
			t.Errorf("%q: %q and %q", token, series, secret)
		}
		next := keys.NextDeviceToken(token, []byte("salt"))
		stays, turned, ok := SplitDeviceToken(next)
		if b, err := base64.RawURLEncoding.DecodeString(turned); !ok || err != nil || len(b) != 32 || stays != series ||
			turned == secret {
			t.Errorf("%q is followed by %q", token, next)
		}
		if keys.NextDeviceToken(token, []byte("salt")) != next || others.NextDeviceToken(token, []byte("salt")) == next ||
			keys.NextDeviceToken(token, []byte("other")) == next {
			t.Errorf("%q: the keys and the salt do not decide what follows", token)
		}
	})
}
