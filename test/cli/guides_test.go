package cli

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep"
)

// guideConfig is the configuration of the server that the guides assume.
const guideConfig = `public_url = "https://signin.example.com"
data = "DATA"

[smtp]
host = "mail.example.com"
from = "signin@example.com"
`

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	prompt       = regexp.MustCompile(`(?m)^\$ `)
	appAdd       = regexp.MustCompile(` twostep app add (\S+)`)
)

// Each guide in docs/guides/apps registers its app: the commands run as they stand in a shell, and the database has an
// app with the redirect URLs of the guide, which nobody on the way can read.
func TestGuidesRegisterTheirApps(t *testing.T) {
	pages, err := filepath.Glob("../../docs/guides/apps/*.md")
	if err != nil || len(pages) < 25 {
		t.Fatalf("found the pages %q, %v", pages, err)
	}
	bin, dir := build(t), t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { // it is the data folder
		t.Fatal(err)
	}
	config := filepath.Join(dir, "twostep.toml")
	text := strings.Replace(guideConfig, "DATA", dir, 1)
	for name, content := range map[string]string{config: text, filepath.Join(bin, "sudo"): sudoScript} {
		if err := os.WriteFile(name, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(t *testing.T, script string) string {
		t.Helper()
		script = strings.ReplaceAll(script, "/etc/twostep/twostep.toml", config)
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", script)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	const at = " --config /etc/twostep/twostep.toml"
	run(t, "twostep account add anna@example.com"+at) // creates the database
	for _, page := range pages {
		if filepath.Base(page) == "README.md" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			_, registration, _ := strings.Cut(string(text), "\n## Register the app\n")
			registration, _, _ = strings.Cut(registration, "\n## ")
			for _, block := range consoleBlock.FindAllStringSubmatch(registration, -1) {
				run(t, prompt.ReplaceAllString(block[1], ""))
			}
			ids := appAdd.FindAllStringSubmatch(registration, -1)
			if len(ids) == 0 {
				t.Fatal("the guide registers no app")
			}
			for _, id := range ids {
				var a twostep.App
				if err := json.Unmarshal([]byte(run(t, "twostep app show --json "+id[1]+at)), &a); err != nil {
					t.Fatal(err)
				}
				for _, address := range slices.Concat(a.RedirectURIs, a.PostLogoutRedirectURIs) {
					if !strings.Contains(registration, address) {
						t.Errorf("%s: the guide does not say %s", a.ID, address)
					}
					if !isPrivateOnTheWay(address) {
						t.Errorf("%s: others on the way can read a code for %s", a.ID, address)
					}
				}
				run(t, "twostep app remove "+id[1]+at) // another guide may be about the same app
			}
		})
	}
}

// isPrivateOnTheWay reports whether an answer for this address goes over TLS, or stays on the machine of the person: on
// loopback, or in an app with a scheme of its own.
func isPrivateOnTheWay(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme != "http" || u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
}
