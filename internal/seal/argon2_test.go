package seal

import (
	"strings"
	"testing"
)

const (
	goodSalt = "AAECAwQFBgcICQoLDA0ODw"
	goodTag  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
)

// invalidHashes are near misses; each must be rejected before any work.
var invalidHashes = []string{
	"x", "$", "null", "*", "$argon2id$", "$argon2id$v=19$$$",
	"$argon2i$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=16$m=64,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$m=64,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=4194304,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=262145,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=4294967360,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=7,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=0,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=11,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=0$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=5$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=257$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=064,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=+64,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=-64,t=1,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$t=1,m=64,p=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=1,keyid=1$" + goodSalt + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$",
	"$argon2id$v=19$m=64,t=1,p=1$$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt,
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$AAEC",
	"$argon2id$v=19$m=64,t=1,p=1$AAEC$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag + "=",
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag[:42] + "9", // unused bits
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag + "\n",
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag + "$",
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + strings.Repeat("A", 88),
	"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 88) + "$" + goodTag,
	"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + strings.Repeat("A", 1<<20),
	"$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
}

func TestParsePHCRefusesInvalid(t *testing.T) {
	p := cheapHasher()
	p.hashFunc = func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte {
		t.Error("work was done")
		return nil
	}
	for _, bad := range invalidHashes {
		name := bad[:min(len(bad), 120)]
		if same, stale, err := p.Verify(t.Context(), nobody, bad, "correct horse"); same || stale || err == nil {
			t.Errorf("%q: got same %v, stale %v, %v; want an error", name, same, stale, err)
		} else if strings.Contains(err.Error(), "$") {
			t.Errorf("%q: the error shows the hash: %v", name, err)
		}
	}
}

func TestParsePHCAcceptsValid(t *testing.T) {
	for _, good := range []string{
		"$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag,
		"$argon2id$v=19$m=262144,t=10,p=4$" + goodSalt + "$" + goodTag,
		"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$" + goodSalt,
	} {
		if h, err := parsePHC(good); err != nil || h.String() != good {
			t.Errorf("%q: got %v, %v", good, h, err)
		}
	}
}

// Whatever the column contains: no panic, nothing beyond the bounds is computed, and it matches no
// password whose hash it is not.
func FuzzParsePHC(f *testing.F) {
	for _, bad := range invalidHashes {
		f.Add(bad)
	}
	f.Add("$argon2id$v=19$m=64,t=1,p=1$" + goodSalt + "$" + goodTag)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		p := cheapHasher()
		p.hashFunc = func(_, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
			if memory > maxMemoryKiB || time > maxPasses || threads > maxThreads || len(salt) > maxSaltBytes ||
				size > maxTagBytes || size < minTagBytes {
				t.Errorf("%q would be computed", text)
			}
			return randomBytes(int(size))
		}
		if same, stale, _ := p.Verify(t.Context(), nobody, text, "correct horse"); same || stale {
			t.Errorf("%q: same %v, stale %v, want false", text, same, stale)
		}
		if h, err := parsePHC(text); err == nil && h.String() != text {
			t.Errorf("%q reads back as %q", text, h)
		}
	})
}
