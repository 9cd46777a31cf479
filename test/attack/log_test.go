package attack

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/test/e2e/live"
)

// canaries are the secrets of a run, and everything that was visible on the way.
type canaries struct {
	h       *server
	secrets map[string]string
	seen    map[string]string
}

func (c *canaries) add(what, secret string) { c.secrets[what] = secret }

// answer keeps the headers of an answer, its URL and its page.
func (c *canaries) answer(what string, a live.Answer) live.Answer {
	headers := a.Header.Clone()
	headers.Del("Set-Cookie") // where the tokens of cookies belong
	text, err := json.Marshal(headers)
	if err != nil {
		c.h.T.Fatal(err)
	}
	c.seen[what+": headers and address"] += string(text) + a.Request.URL.String()
	c.seen[what+": page"] += a.Body
	return a
}

// spellings returns a secret in the usual encodings.
func spellings(secret string) map[string]string {
	all := map[string]string{"plain": secret, "base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), "base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"hex": hex.EncodeToString([]byte(secret)), "upper hex": strings.ToUpper(hex.EncodeToString([]byte(secret))), "query": url.QueryEscape(secret), "path": url.PathEscape(secret)}
	quoted, _ := json.Marshal(secret) // text always is JSON
	all["JSON"] = strings.Trim(string(quoted), `"`)
	return all
}

// find fails the test for every secret in what was seen. A code is six digits, which
// also stand in times and random names by chance: so it must stand alone.
func (c *canaries) find() {
	for where, text := range c.seen {
		for what, secret := range c.secrets {
			for how, spelling := range spellings(secret) {
				if spelling == "" || !strings.Contains(text, spelling) {
					continue
				}
				if len(secret) == 6 && how == "plain" && !alone(text, secret) {
					continue
				}
				c.h.T.Errorf("%s: holds the %s (%s)", where, what, how)
			}
		}
	}
}

// alone reports whether the digits stand somewhere without a digit or letter beside them.
func alone(text, digits string) bool {
	part := func(b byte) bool {
		return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '.' || b >= 0x80
	}
	for rest := text; ; {
		i := strings.Index(rest, digits)
		if i < 0 {
			return false
		}
		before, after := i == 0 || !part(rest[i-1]), i+6 == len(rest) || !part(rest[i+6])
		if before && after {
			return true
		}
		rest = rest[i+6:]
	}
}

// walk takes every way through the pages with known secrets.
func (c *canaries) walk() {
	h, b := c.h, c.h.Browser()
	c.add("password", live.AnnaPassword)
	for i := range 2 {
		h.WaitForOutbox()
		n := h.Mail.Len()
		c.answer("wrong password", b.Post("/signin", "email", live.AnnaEmail, "password", "wrong-Canary-1"))
		c.answer("password", b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword))
		code := h.Code(n)
		c.add("code "+string(rune('a'+i)), code)
		c.add("pending token "+string(rune('a'+i)), h.cookie(b, "signin"))
		c.answer("verify page", b.Get("/signin/verify"))
		c.answer("status", b.Get("/signin/status"))
		h.WaitForOutbox()
		h.Turn(time.Minute)
		c.answer("new code", b.Post("/signin/code"))
		c.add("second code "+string(rune('a'+i)), h.Code(n+1))
		c.add("mistyped code "+string(rune('a'+i)), live.Wrong(code))
		c.answer("wrong code", b.Post("/signin/verify", "code", live.Wrong(code)))
		c.answer("right code", b.Post("/signin/verify", "code", code))
		c.add("session token "+string(rune('a'+i)), h.cookie(b, "session"))
		for _, path := range []string{"/settings", "/settings/password", "/settings/sessions"} {
			c.answer(path, b.Get(path))
		}
	}
	c.add("wrong password", "wrong-Canary-1")
	c.add("new password", "Canary horse 2 battery")
	c.answer("change", b.Post("/settings/password", "current", live.AnnaPassword, "password", "Canary horse 2 battery"))
	c.add("renewed token", h.cookie(b, "session"))
	reset := h.requestReset()
	c.add("reset token", reset)
	c.add("third password", "Canary horse 3 battery")
	c.answer("reset", b.Post("/reset", "token", reset, "password", "Canary horse 3 battery"))
	c.answer("reset again", b.Post("/reset", "token", "x", "password", "Canary horse 3 battery"))
	join := h.signUp("eva@example.net", "Eva")
	c.add("sign-up token", join)
	c.answer("join", b.Post("/join", "token", join, "name", "Eva", "password", "Canary horse 3 battery"))
	proposed := h.propose("anna@example.net")
	c.add("token of a new address", proposed)
	c.answer("new address", b.Post("/address", "token", proposed, "confirm", "1"))
	h.exec("ALTER TABLE accounts RENAME TO gone")
	c.answer("fault", b.Post("/signin", "email", live.AnnaEmail, "password", "Canary horse 3 battery"))
	c.answer("fault", b.Post("/reset", "token", "x", "password", "Canary horse 3 battery"))
	h.exec("ALTER TABLE gone RENAME TO accounts")
	c.answer("sign out", b.Post("/signout"))
	h.WaitForOutbox()
}

// A password, a code or a token appears where it does not belong: in the log at debug level, a header,
// a URL, a page or the database. It is looked for as it is and in the usual encodings.
func TestSecretsAppearNowhere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		c := &canaries{h, map[string]string{}, map[string]string{}}
		c.walk()
		c.seen["the log"] = h.Log.String()
		if strings.HasPrefix(h.Database, "postgres") {
			for _, table := range h.tables() {
				for _, row := range h.rows("SELECT * FROM " + table) {
					c.seen["table "+table] += strings.Join(row, "\n") + "\n"
				}
			}
		} else {
			files, err := filepath.Glob(h.Database + "*")
			if err != nil || len(files) < 2 {
				h.T.Fatal(files, err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					h.T.Fatal(err)
				}
				c.seen[filepath.Base(file)] = string(text)
			}
		}
		if len(c.secrets) < 14 {
			h.T.Errorf("only %d secrets were known", len(c.secrets))
		}
		c.find()
		for name := range c.secrets { // the finder itself finds
			if !strings.Contains(name, "oken") {
				continue
			}
			if !strings.Contains("x"+spellings(c.secrets[name])["hex"], hex.EncodeToString([]byte(c.secrets[name]))) {
				h.T.Error("the finder is blind")
			}
		}
	})
}

// A name, an address or a user agent writes lines of its own into the log, or one of any length.
func TestInputCannotForgeLogLines(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	n := h.requestLines()
	requests := 0
	for _, text := range []string{"Accepted password for anna\n{\"level\":\"INFO\",\"msg\":\"request\"}", "\x1b[2J", "\u2028\u2029\u0085", strings.Repeat("x", 60_000), `"},"msg":"request","x":{"`} {
		b := h.Browser()
		b.Post("/signin", "email", text, "password", text)
		b.Post("/signup", "email", text, "name", text)
		b.Do(h.request("GET", "/"+url.PathEscape(text[:min(len(text), 9000)]), "", "X-Request-Id: 1"))
		r := h.request("GET", "/signin", "")
		r.Header.Set("User-Agent", strings.NewReplacer("\n", "", "\x1b", "").Replace(text))
		b.Do(r)
		requests += 4
	}
	lines := strings.Split(strings.TrimSpace(h.Log.String()), "\n")
	told := 0
	for _, line := range lines {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("not one line of JSON: %.200q", line)
		}
		if entry["msg"] == "request" {
			told++
		}
		if len(line) > 2000 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if told != requests+n {
		t.Errorf("%d requests are told of, want %d", told, requests+n)
	}
}

// Other users of the machine can read the database or the keys, or two servers have the same keys.
func TestFilesArePrivateAndKeysDiffer(t *testing.T) {
	t.Parallel()
	h, other := start(t, ""), start(t, "")
	for _, pattern := range []string{h.Database + "*", h.KeyFile} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: mode %o", filepath.Base(file), info.Mode().Perm())
			}
		}
	}
	mine, err := os.ReadFile(h.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(other.KeyFile)
	if err != nil || string(mine) == string(theirs) {
		t.Error("two servers made the same keys", err)
	}
}

// panickingMethod is the mail method, and breaks when it is asked for a code.
type panickingMethod struct{ email.Method }

func (panickingMethod) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	panic("never mind")
}

// A panic in the middle of a sign-in ends the server or shows its cause. The page shows the reference
// of the log line and nothing else.
func TestPanicShowsAReferenceOnly(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) { o.Methods = []factor.Method{panickingMethod{}} })
	b := h.Browser()
	before := h.contents()
	a := h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusInternalServerError)
	var entry struct{ Request, Error string }
	for _, line := range strings.Split(h.Log.String(), "\n") {
		if strings.Contains(line, `"msg":"request failed"`) {
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
		}
	}
	if entry.Request == "" || !strings.Contains(a.Body, entry.Request) || !strings.Contains(entry.Error, "never mind") || strings.Contains(a.Body, "never mind") {
		t.Errorf("the page does not name the fault %q, or says more", entry.Request)
	}
	if h.contents() != before {
		t.Error("half a sign-in was written")
	}
	h.wantStatus(b.Get("/signin"), http.StatusOK)
	h.wantNoSession("after a panic", b)
}
