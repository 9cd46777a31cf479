package e2e

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// banned are the addresses that fail2ban finds in a log, one for each line that its filter matches.
func banned(t *testing.T, log string, flags ...string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "twostep.log")
	if err := os.WriteFile(file, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(flags, "--out", "ip", file, "../../deploy/fail2ban/filter.d/twostep.conf")
	out, err := exec.Command("fail2ban-regex", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := strings.Fields(string(out))
	slices.Sort(found)
	return found
}

// The filter for fail2ban finds the address of every failure in the lines that a server really
// writes, in both formats, and nobody else's, whatever a client sends.
func TestFail2ban(t *testing.T) {
	for format, handler := range map[string]func(*live.Log) slog.Handler{
		"text": func(l *live.Log) slog.Handler { return slog.NewTextHandler(l, nil) },
		"json": func(l *live.Log) slog.Handler { return slog.NewJSONHandler(l, nil) },
	} {
		t.Run(format, func(t *testing.T) {
			log := &live.Log{}
			now := time.Now()
			s := live.Start(t, "", func(o *twostep.Options) {
				o.Logger, o.Now = slog.New(handler(log)), func() time.Time { return now }
			})
			s.BrowserAt("127.0.7.1").SignIn()
			s.BrowserAt("127.0.7.2").Post("/signin", "email", live.AnnaEmail, "password", "not her password")
			s.BrowserAt("127.0.7.3").Post("/signin", "email", "nobody@example.com", "password", "not a password")
			for range 5 {
				s.BrowserAt("127.0.7.4").PostNow("/signin", "email", live.AnnaEmail, "password", "not her password")
			}
			r, err := http.NewRequest(http.MethodPost, s.URL+"/oauth2/token", strings.NewReader("grant_type=authorization_code"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("wiki", "no secret")
			s.BrowserAt("127.0.7.5").Do(r)

			// Whoever writes such lines into what is logged of them bans nobody.
			evil := s.BrowserAt("127.0.7.6")
			for _, line := range []string{
				"time=2026-11-28T13:26:32.529Z level=WARN msg=audit event=password.rejected result=failure address=192.0.2.66 account=",
				`{"time":"2026-11-28T13:26:32.529Z","level":"WARN","msg":"audit","event":"password.rejected","result":"failure","address":"192.0.2.66"}`,
			} {
				for _, text := range []string{line, "\n" + line, "x" + line, `"` + line, "host twostep[1]: " + line} {
					r, err := http.NewRequest(http.MethodGet, s.URL, nil)
					if err != nil {
						t.Fatal(err)
					}
					r.URL.Path = "/" + text
					r.Header.Set("User-Agent", strings.ReplaceAll(text, "\n", " "))
					evil.Do(r)
					s.BrowserAt("127.0.7.7").Post("/signin", "email", text, "password", text)
				}
			}
			lines := log.String()
			got := map[string]int{}
			for _, address := range banned(t, lines) {
				got[address]++
			}
			// 127.0.7.4 was refused twice within a second, which is recorded once. 127.0.7.7 has failed under names of
			// its own.
			want := "map[127.0.7.2:1 127.0.7.3:1 127.0.7.4:4 127.0.7.5:1 127.0.7.7:10]"
			if fmt.Sprint(got) != want {
				t.Errorf("got %v, want %s, from\n%s", got, want, lines)
			}
		})
	}
}

// It reads the time in every form that the log has it in, IPv6, and lines from the journal.
func TestFail2banLines(t *testing.T) {
	lines := strings.Join([]string{
		`time=2026-11-28T13:26:32.529Z level=WARN msg=audit event=code.rejected result=failure address=2001:db8::1 account=A reason="" actor=anonymous`,
		`time=2026-11-28T14:26:32.529+01:00 level=WARN msg=audit event=password.rejected result=failure address=192.0.2.1 account="" reason=x`,
		`{"time":"2026-11-28T14:26:32.529123456+01:00","level":"WARN","msg":"audit","event":"limit.reached","result":"failure","address":"192.0.2.2","account":""}`,
		`{"time":"2026-11-28T13:26:32Z","level":"WARN","msg":"audit","event":"client.rejected","result":"failure","address":"2001:db8::2","account":""}`,
		`time=2026-11-28T13:26:32.529Z level=INFO msg=audit event=session.created result=success address=192.0.2.9 account=A`,
		`time=2026-11-28T13:26:32.529Z level=WARN msg=audit event=trust.denied result=failure address=192.0.2.9 account=A`,
		`time=2026-11-28T13:26:32.529Z level=WARN msg=audit event=password.rejected result=failure address="" account=A`,
		`time=2026-11-28T13:26:32.529Z level=WARN msg="audit event=password.rejected result=failure address=192.0.2.9"`,
	}, "\n") + "\n"
	want := []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"}
	if got := banned(t, lines); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// From the journal the time comes apart from the line, as if it had been cut out of this one.
	journal := strings.Join([]string{
		`2026-11-28T13:26:32 signin twostep[812]: time=2026-11-28T13:26:32.529Z level=WARN msg=audit event=code.rejected result=failure address=192.0.2.3 account=A`,
		`2026-11-28T13:26:32 signin twostep[812]: {"time":"2026-11-28T13:26:32Z","level":"WARN","msg":"audit","event":"code.rejected","result":"failure","address":"192.0.2.4","account":""}`,
		`2026-11-28T13:26:32 signin twostep[812]: time=2026-11-28T13:26:32.529Z level=INFO msg=request path="/ level=WARN msg=audit event=code.rejected result=failure address=192.0.2.9 "`,
	}, "\n") + "\n"
	if got := banned(t, journal, "--datepattern", "^%Y-%m-%dT%H:%M:%S"); !slices.Equal(got, []string{"192.0.2.3", "192.0.2.4"}) {
		t.Errorf("journal: got %q", got)
	}
}
