package account_test

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"twostep.example/twostep/internal/account"
)

func TestParseEmail(t *testing.T) {
	for typed, want := range map[string]string{
		"anna@example.com":     "anna@example.com",
		"  Anna@EXAMPLE.com ":  "anna@example.com",
		"a.b+c_d@example.com":  "a.b+c_d@example.com",
		"anna@bücher.example":  "anna@xn--bcher-kva.example",
		"o'neil@example.co.uk": "o'neil@example.co.uk",
		"A..b.@docomo.ne.jp":   "a..b.@docomo.ne.jp", ".a@ezweb.ne.jp": ".a@ezweb.ne.jp",
		"anna@r3---sn.example.com": "anna@r3---sn.example.com", "anna@ab--cd.com": "anna@ab--cd.com",
		"anna@localhost":   "anna@localhost",
		"Jörg@example.com": "jörg@example.com", "ärni@example.com": "ärni@example.com", "Ärni@example.com": "Ärni@example.com",
		"анна@пример.example": "анна@xn--e1afmkfd.example", "田中taro@example.jp": "田中taro@example.jp", "संपर्क@example.in": "संपर्क@example.in",
	} {
		if got, err := account.ParseEmail(typed); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", typed, got, err, want)
		}
		if again, err := account.ParseEmail(want); again != want || err != nil {
			t.Errorf("%q is not its own canonical form: %q, %v", want, again, err)
		}
	}
	for _, bad := range []string{
		"", "anna", "@example.com", "anna@", "anna@example", "anna@local host", "anna@localhost.", "anna@xn--localhost-", "..@example.com", ".@example.com", "a@b@example.com", `"a b"@example.com`,
		`"a@b"@c.com`, "anna@[127.0.0.1]", "anna@127.0.0.1", "anna@example..com",
		"anna@-example.com", "anna@--example.com", "anna@example.xn--", "jo\u0308rg@example.com", "ａｎｎａ@example.com", "anna\u200d@example.com", "\u0301anna@example.com",
		"аnna@example.com", "αnna@example.com", "annaİ@example.com", "ſam@example.com", "anna☃@example.com", "ann\u00a0a@example.com", "anna\u2028@example.com", "anna\u0085@example.com",
		"\"anna\"@example.com", "anna\\@example.com", "anna@example-.com", "anna(x)@example.com",
		"Anna <anna@example.com>",
		"anna@example.com,eve@example.com", "anna@example.com\nBcc: eve@example.com", "anna@example.com\x00",
		"anna\u202e@example.com",
		"ann\u0430@example.com", "\u212aim@example.com", "mıke@example.com", "anna@exam ple.com", "anna@example.com.",
		"anna@example.\xff00", "anna@ℵ.0A", "\xffanna@example.com",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("a", 64) + ".com", "a@" + strings.Repeat("a.",
			130) + "com",
	} {
		if got, err := account.ParseEmail(bad); err == nil {
			t.Errorf("%q: accepted as %q", bad, got)
		}
	}
}

// Email to localhost would be delivered on the machine of the mail server, so only local mode has such accounts.
func TestParseNewEmail(t *testing.T) {
	for _, local := range []bool{true, false} {
		a := &account.Accounts{Settings: account.Settings{Local: local}}
		for _, typed := range []string{"anna@localhost", "Anna@LOCALHOST"} {
			if got, err := a.ParseNewEmail(typed); (err == nil) != local || local && got != "anna@localhost" {
				t.Errorf("local mode %v: %q, %v", local, got, err)
			}
		}
		if _, err := a.ParseNewEmail("anna@localhost.example"); err != nil {
			t.Errorf("local mode %v: %v", local, err)
		}
	}
}

// Two spellings that software could take for one another are two accounts, or no address at all.
func TestAlikeAddressesAreDifferentAccounts(t *testing.T) {
	for _, pair := range [][2]string{
		{"anna@example.com", "an.na@example.com"}, {"a.b@example.com", "a..b@example.com"}, {"jorg@example.com", "jörg@example.com"},
		{"jörg@example.com", "JÖRG@example.com"}, {"анна@example.com", "anna@example.com"},
	} {
		one, err := account.ParseEmail(pair[0])
		other, wrong := account.ParseEmail(pair[1])
		if err != nil || wrong != nil || one == other {
			t.Errorf("%q: %q, %v and %q, %v", pair, one, err, other, wrong)
		}
	}
}

// Every accepted address is canonical and is the mailbox that was entered: mail programs read it as one
// address, and only the case of ASCII letters and the form of the domain have changed.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{
		"anna@example.com", "A@B.C", "  Anna.B+tag@EXAMPLE.com ", "anna@bücher.de", "a@xn--a.com",
		"a@xn--bcher-kva.example", "anna@ＥＸＡＭＰＬＥ.com",
		"anna@example。com", "anna@faß.de", "\u212aim@example.com", "anna@\u212aim.example", "ann\u0430@example.com",
		`"a b"@example.com`, "Anna <anna@example.com>",
		"anna(x)@example.com", "a@b@example.com", "anna@example.com\nBcc: eve@example.com", "o'neil@example.co.uk",
		"anna@127.0.0.1", "anna@[127.0.0.1]", "anna@0A.\xff000", "anna@ℵ.0A",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		email, err := account.ParseEmail(typed)
		if err != nil {
			return
		}
		again, err := account.ParseEmail(email)
		if err != nil || again != email {
			t.Errorf("%q: %q becomes %q, %v", typed, email, again, err)
		}
		if strings.Count(email, "@") != 1 || strings.ContainsFunc(email, func(r rune) bool {
			return r <= ' ' || r == 0x7f || r > 0x7f && !unicode.In(r, unicode.L, unicode.M, unicode.Nd)
		}) {
			t.Errorf("%q: accepted as %q", typed, email)
		}
		if irregular := strings.Contains("."+email, "..") || strings.Contains(email, ".@"); irregular {
			return // net/mail wants quotes
		}
		if a, err := mail.ParseAddress(email); err != nil || a.Address != email || a.Name != "" {
			t.Errorf("%q: net/mail parses %q as %v, %v", typed, email, a, err)
		}
		written, domain, _ := strings.Cut(strings.TrimSpace(typed), "@")
		local, host, _ := strings.Cut(email, "@")
		if len(local) != len(written) || !strings.EqualFold(local, written) || strings.ContainsFunc(local, func(r rune) bool { return r >= 'A' && r <= 'Z' }) {
			t.Errorf("%q: the mailbox %q became %q", typed, written, local)
		}
		if !strings.ContainsFunc(domain, func(r rune) bool { return r >= 0x80 }) && !strings.EqualFold(host, domain) {
			t.Errorf("%q: the domain %q became %q", typed, domain, host)
		}
	})
}
