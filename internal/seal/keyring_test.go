package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// mustParseKeyRing parses a key ring, or ends the test.
func mustParseKeyRing(t testing.TB, lines ...string) *KeyRing {
	t.Helper()
	k, err := ParseKeyRing(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantOpens(k *KeyRing, place string, sealed []byte) bool {
	plain, err := k.Open(place, sealed)
	if err != nil && (!errors.Is(err, ErrCannotOpen) || plain != nil) {
		panic(fmt.Sprintf("Open gives %q and %v, want nothing and ErrSealed", plain, err))
	}
	return err == nil
}

func TestSealAndOpen(t *testing.T) {
	k := mustParseKeyRing(t, NewKeyLine())
	for _, plain := range []string{"", "x", "JBSWY3DPEHPK3PXP", strings.Repeat("long ", 1000)} {
		sealed := k.Seal("factor 1", []byte(plain))
		got, err := k.Open("factor 1", sealed)
		if err != nil || string(got) != plain {
			t.Errorf("Open gives %q and %v, want %q", got, err, plain)
		}
		if len(plain) > 1 && bytes.Contains(sealed, []byte(plain)) {
			t.Errorf("the sealed value shows %q", plain)
		}
		if bytes.Equal(sealed, k.Seal("factor 1", []byte(plain))) {
			t.Error("sealed twice alike: the nonce repeats")
		}
	}
}

// A value that is copied to another row does not open there.
func TestSealedValueOfAnotherRowDoesNotOpen(t *testing.T) {
	k := mustParseKeyRing(t, NewKeyLine())
	mallory, anna := k.Seal("factor 1", []byte("mallory's")), k.Seal("factor 2", []byte("anna's"))
	if wantOpens(k, "factor 2", mallory) || wantOpens(k, "factor 1", anna) || wantOpens(k, "", anna) ||
		wantOpens(k, "factor 22", anna) {
		t.Error("a sealed value opens at another place")
	}
}

func TestDamagedValueDoesNotOpen(t *testing.T) {
	k := mustParseKeyRing(t, NewKeyLine(), NewKeyLine())
	sealed := k.Seal("factor 1", []byte("JBSWY3DPEHPK3PXP"))
	for i := range len(sealed) * 8 {
		bad := slices.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if wantOpens(k, "factor 1", bad) {
			t.Errorf("opens with bit %d flipped", i)
		}
	}
	for n := range sealed {
		if wantOpens(k, "factor 1", sealed[:n]) {
			t.Errorf("opens cut to %d bytes", n)
		}
	}
	if wantOpens(k, "factor 1", append(slices.Clone(sealed), 0)) {
		t.Error("opens with a byte behind it")
	}
}

// The key ID of a sealed value is authenticated, even between two IDs of the same key.
func TestValueWithChangedKeyIDDoesNotOpen(t *testing.T) {
	_, secret, _ := strings.Cut(NewKeyLine(), ":")
	k := mustParseKeyRing(t, "a:"+secret, "b:"+secret)
	sealed := k.Seal("p", []byte("x"))
	sealed[2] = 'b'
	if wantOpens(k, "p", sealed) {
		t.Error("opens under another id")
	}
}

func TestKeyRotation(t *testing.T) {
	oldLine, newLine := NewKeyLine(), NewKeyLine()
	before, after, gone := mustParseKeyRing(t, oldLine), mustParseKeyRing(t, newLine, oldLine), mustParseKeyRing(t,
		newLine)
	sealed, mac := before.Seal("p", []byte("x")), before.MAC("code", "123456")

	if !wantOpens(after, "p", sealed) || !after.VerifyMAC(mac, "code", "123456") ||
		!after.HasFingerprint(before.Fingerprint()) {
		t.Error("what the old key made does not hold after rotation")
	}
	if wantOpens(gone, "p", sealed) || gone.VerifyMAC(mac, "code", "123456") ||
		gone.HasFingerprint(before.Fingerprint()) {
		t.Error("what the old key made holds without it")
	}
	if bytes.Equal(after.MAC("code", "123456"), mac) || after.Fingerprint() == before.Fingerprint() {
		t.Error("the old key is still the current one")
	}
	if mac := after.MAC("code", "123456"); !after.VerifyMAC(mac, "code", "123456") {
		t.Error("what the new key made does not hold")
	}
	if wantOpens(before, "p", after.Seal("p", []byte("x"))) {
		t.Error("sealed with the old key after rotation")
	}
}

func TestFingerprint(t *testing.T) {
	a, b := mustParseKeyRing(t, NewKeyLine()), mustParseKeyRing(t, NewKeyLine())
	if len(a.Fingerprint()) != 16 || a.Fingerprint() == b.Fingerprint() || !a.HasFingerprint(a.Fingerprint()) ||
		a.HasFingerprint(b.Fingerprint()) || a.HasFingerprint("") {
		t.Errorf("fingerprints %q and %q: want 16 characters that tell the keys apart", a.Fingerprint(),
			b.Fingerprint())
	}
}

// Computed once with another implementation of HKDF, HMAC and AES-GCM.
const (
	goldenFingerprint = "d259401c68a05e26"
	goldenMAC         = "d93d3f3808b297b9c8b3149c6a6e7b0bbcf17c472d53026ff0090f09790bc26d"
	goldenSealed      = "01036f6e658bc9cacc8800f95c3e23c3474b144b86ae5eab4ba7991ecb85ddc160ce625735aaae"
)

// The derivations are part of the database format: these values never change.
func TestKeyDerivationIsStable(t *testing.T) {
	k := mustParseKeyRing(t, "one:"+base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	if got := k.Fingerprint(); got != goldenFingerprint {
		t.Errorf("Fingerprint() = %q, want %q", got, goldenFingerprint)
	}
	if got := hex.EncodeToString(k.MAC("code", "a", "b")); got != goldenMAC {
		t.Errorf("MAC = %q, want %q", got, goldenMAC)
	}
	sealed, _ := hex.DecodeString(goldenSealed)
	if got, err := k.Open("factor 1", sealed); err != nil || string(got) != "secret" {
		t.Errorf("Open gives %q and %v, want secret", got, err)
	}
}

func TestMAC(t *testing.T) {
	k := mustParseKeyRing(t, NewKeyLine())
	mac := k.MAC("code", "ab", "c")
	if !k.VerifyMAC(mac, "code", "ab", "c") {
		t.Error("SameMAC refuses what MAC made")
	}
	for _, other := range [][]string{
		{"code", "a", "bc"}, {"code", "abc"}, {"code", "ab", "c", ""}, {"code", "", "ab", "c"},
		{"code", "ab"}, {"code"}, {"codeab", "c"}, {"other", "ab", "c"}, {"code", "c", "ab"}, {"code", "ab", "C"},
	} {
		if k.VerifyMAC(mac, other[0], other[1:]...) {
			t.Errorf("the MAC of code, ab, c is also that of %q", other)
		}
	}
	if k.VerifyMAC(nil, "code", "ab", "c") || k.VerifyMAC(mac[:31], "code", "ab", "c") {
		t.Error("SameMAC takes a short MAC")
	}
}

// Two lists have the same MAC exactly if they are equal, however their text is split. The letters
// are the bytes of the framing. The random source has a fixed seed, so every run tries the same
// lists.
func TestMACFraming(t *testing.T) {
	k := mustParseKeyRing(t, NewKeyLine())
	owner := map[string][]string{} // by MAC
	try := func(list []string) {
		mac := string(k.MAC(list[0], list[1:]...))
		if other, ok := owner[mac]; ok && !slices.Equal(other, list) {
			t.Errorf("%q and %q have the same MAC", list, other)
		}
		owner[mac] = list
		if !k.VerifyMAC([]byte(mac), list[0], list[1:]...) {
			t.Errorf("SameMAC refuses the MAC of %q", list)
		}
	}
	// Every list of one to three of the shortest texts.
	short := []string{""}
	for _, a := range []string{"a", "\x00", "\x01", "\x08"} {
		short = append(short, a, a+"a", a+"\x00", a+"\x01", a+"\x08")
	}
	for _, a := range short {
		try([]string{a})
		for _, b := range short {
			try([]string{a, b})
			for _, c := range short {
				try([]string{a, b, c})
			}
		}
	}
	// Longer ones, each also with its text split in two at every position.
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		list := make([]string, 1+random.IntN(4))
		for i := range list {
			for range random.IntN(10) {
				list[i] += string("a\x00\x01\x08"[random.IntN(4)])
			}
		}
		try(list)
		text := strings.Join(list, "")
		for cut := range len(text) + 1 {
			try([]string{text[:cut], text[cut:]})
		}
	}
}

func TestParseKeyRing(t *testing.T) {
	good := NewKeyLine()
	_, secret, _ := strings.Cut(good, ":")
	for _, text := range []string{good, good + "\r\n", "# note\n\n  " + good + "\n" + NewKeyLine() + "\n"} {
		if k, err := ParseKeyRing(text); err != nil || !k.HasFingerprint(mustParseKeyRing(t, good).Fingerprint()) ||
			k.Fingerprint() != mustParseKeyRing(t, good).Fingerprint() {
			t.Errorf("ParseKeys(%d characters): %v, want the first key", len(text), err)
		}
	}
	for name, text := range map[string]string{
		"nothing":     "",
		"only a note": "# " + good,
		"no id":       ":" + secret,
		"no colon":    secret,
		"bad id":      "a b:" + secret,
		"long id":     strings.Repeat("a", 33) + ":" + secret,
		"short key":   "a:" + base64.StdEncoding.EncodeToString([]byte("only thirty-one bytes of key...")),
		"bad base64":  "a:" + strings.Repeat("!", 44),
		"unpadded":    "a:" + strings.TrimRight(secret, "="),
		"zeros":       "a:" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"same id":     good + "\n" + strings.SplitN(good, ":", 2)[0] + ":" + strings.SplitN(NewKeyLine(), ":", 2)[1],
		"second bad":  good + "\nrubbish",
	} {
		k, err := ParseKeyRing(text)
		if err == nil || k != nil {
			t.Errorf("%s: got keys, want an error", name)
		} else if strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
}

func TestKeyRingDoesNotPrintKeys(t *testing.T) {
	k := mustParseKeyRing(t, NewKeyLine())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "seal.Keys" {
			t.Errorf("%s prints %q, want seal.Keys", verb, got)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	k := mustParseKeyRing(b, NewKeyLine())
	for b.Loop() {
		k.MAC("code", "challenge", "123456")
	}
}
