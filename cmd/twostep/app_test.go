package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
)

const testJWKSet = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// Mistakes in [[app]] name the app, and the line if it is known.
func TestAppsOfConfigFile(t *testing.T) {
	const redirects = `redirects = ["https://app.example.com/cb"]`
	hash := `secrets = ["` + strings.Repeat("0a", 32) + `"]`
	keys := filepath.Join(t.TempDir(), "keys.json")
	for name, row := range map[string]struct{ text, want string }{
		"a secret":     {"[[app]]\nid = \"a\"\n" + redirects + "\n" + hash, ""},
		"public":       {"[[app]]\nid = \"a\"\npublic = true\n" + redirects, ""},
		"hosts":        {"[[app]]\nid = \"a\"\nhosts = [\"a.example.com\"]", ""},
		"keys":         {"[[app]]\nid = \"a\"\n" + redirects + "\nkeys = '" + testJWKSet + "'", ""},
		"a quoted key": {"[[app]]\nid = \"a\"\n" + redirects + "\n\"\\u0070ublic\" = true", ""},
		"one list":     {"app = [{id = \"a\", hosts = [\"a.example.com\"]}]", ""},
		"unknown":      {"[[app]]\nid = \"a\"\nredirect = \"x\"", "f.toml:3: unknown key app.redirect: did you mean redirects?"},
		"type": {"[[app]]\nid = \"a\"\nredirects = \"x\"",
			`f.toml:3: app.redirects is text, want a list in brackets, like redirects = ["`},
		"one bracket": {"[app]\nid = \"a\"\nhosts = [\"a.example.com\"]", ""},
		"wrong in it": {"site = \"x\"\n[app]\nid = \"a\"\nhosts = [\"A\"]",
			`f.toml:4: app "a": the host "A" has capital`},
		"two such": {"[app]\nid = \"a\"\n[app]\nid = \"b\"", "f.toml:3: "},
		"no id": {"site = \"x\"\n\n# ours\n[[app]]\n" + redirects + "\n" + hash,
			`f.toml:4: app "": the ID must`},
		"key of the last": {"[[app]]\nid = \"a\"\nhosts = [\"a.example.com\"]\n\n[[app]]\nid = \"b\"\nmax_age = \"8\"\npublic = true\n[log]\nlevel = \"debug\"", `f.toml:7: app "b": max_age is 8, want a time with a unit`},
		"wildcard": {"[[app]]\nid = \"a\"\n" + hash + "\nredirects = [\n  \"https://*.example.com/cb\",\n]",
			`f.toml:4: app "a": the redirect URL "https://*.example.com/cb" has a wildcard`},
		"http": {"[[app]]\nid = \"a\"\n" + hash + "\nredirects = [\"http://app.example.com/cb\"]",
			`f.toml:4: app "a": the redirect URL "http://app.example.com/cb" is http`},
		"no secret": {"[[app]]\nid = \"a\"\n" + redirects, `f.toml:3: app "a": it has neither secrets nor keys`},
		"public secret": {"[[app]]\nid = \"a\"\npublic = true\n" + redirects + "\n" + hash,
			`f.toml:3: app "a": public = true is for an app without secrets and keys`},
		"clear secret": {"[[app]]\nid = \"a\"\n" + redirects + "\nsecrets = [\"hunter2\"]",
			`f.toml:4: app "a": one of the secrets is not a hash`},
		"no file": {"[[app]]\nid = \"a\"\n" + redirects + "\nkeys = \"" + keys + "\"",
			`f.toml:4: app "a": keys is neither JSON nor a readable file`},
		"private key": {"[[app]]\nid = \"a\"\n" + redirects + "\nkeys = '[hunter2]'",
			`f.toml:4: app "a": keys is neither JSON nor a readable file, want a JWK set: no such file`},
		"no keys": {"[[app]]\nid = \"a\"\n" + redirects + "\nkeys = '{}'",
			`f.toml:4: app "a": the keys: no JWK set`},
		"twice":         {"[[app]]\nid = \"a\"\nhosts = [\"a.example.com\"]\n[[app]]\nid = \"a\"\nhosts = [\"b.example.com\"]", `f.toml:5: app "a": another app has this ID`},
		"host twice":    {"[[app]]\nid = \"a\"\nhosts = [\"a.example.com\"]\n[[app]]\nid = \"b\"\nhosts = [\"a.example.com\"]", `f.toml:6: app "b": the host "a.example.com" already belongs to the app "a"`},
		"list, no line": {"app = [{id = \"A\", hosts = [\"a.example.com\"]}]", `f.toml: app "A": the ID must`},
	} {
		flat, apps, _, err := parseConfigFile("f.toml", []byte(row.text))
		switch {
		case row.want == "" && (err != nil || len(apps) != 1 || apps[0].ID != "a"):
			t.Errorf("%s: got %v, %v", name, apps, err)
		case row.want != "" && (err == nil || !strings.HasPrefix(err.Error(), row.want)):
			t.Errorf("%s: got %v, want %s", name, err, row.want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error contains the secret: %v", name, err)
		}
		for key := range flat {
			if strings.HasPrefix(key, "app") {
				t.Errorf("%s: %s is no flag", name, key)
			}
		}
	}
	two := "[[app]]\nid = \"A\"\nhosts = [\"a\"]\n[[app]]\nid = \"B\"\nhosts = [\"b\"]"
	if _, _, _, err := parseConfigFile("f.toml", []byte(two)); err == nil ||
		!strings.Contains(err.Error(), "f.toml:2: ") || !strings.Contains(err.Error(), "f.toml:5: ") {
		t.Errorf("two mistakes: got %v", err)
	}
}

// A running server sees at once what a command changes.
func TestRunningServerSeesApps(t *testing.T) {
	data := t.TempDir()
	_, s := parseServe(t, nil, "--data", data)
	options, err := s.options(s.Listen, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	// The server sees a change by another process within a second. Background work reads the clock too.
	var later atomic.Int64
	options.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	server, err := twostep.New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	run := func(args ...string) string {
		t.Helper()
		defer later.Add(int64(time.Second))
		var out bytes.Buffer
		if err := realMain(t.Context(), append([]string{"app"}, append(args, "--data", data)...), &out,
			io.Discard); err != nil {
			t.Fatal(args, err)
		}
		return out.String()
	}
	secretIn := func(out string) string {
		_, after, _ := strings.Cut(out, "client secret")
		return strings.Fields(after + " none")[0]
	}
	app := func() twostep.App {
		t.Helper()
		a, err := server.GetApp(t.Context(), "grafana")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if _, err := server.GetApp(t.Context(), "grafana"); !errors.Is(err, twostep.ErrAppNotFound) {
		t.Fatal(err)
	}
	first := secretIn(run("add", "grafana", "--redirect", "https://grafana.example.com/cb"))
	if a := app(); !a.MatchesSecret(first) || !a.AllowsRedirectURI("https://grafana.example.com/cb") {
		t.Errorf("added: got %+v", a)
	}
	second := secretIn(run("rotate", "grafana", "--keep-old"))
	if a := app(); !a.MatchesSecret(first) || !a.MatchesSecret(second) || first == second {
		t.Error("rotated: one of the two secrets does not work")
	}
	run("rotate", "grafana", "--drop-old")
	if a := app(); a.MatchesSecret(first) || !a.MatchesSecret(second) {
		t.Error("the old secret works, or the new one does not")
	}
	third := secretIn(run("rotate", "grafana"))
	if a := app(); a.MatchesSecret(second) || !a.MatchesSecret(third) {
		t.Error("the old secret works, or the new one does not")
	}
	if shown := run("show", "grafana") + run("show", "grafana", "--json") +
		run("list"); strings.Contains(shown, app().SecretHashes[0]) || strings.Contains(shown, third) {
		t.Errorf("the hash is shown: %s", shown)
	}
	run("remove", "grafana")
	if _, err := server.GetApp(t.Context(), "grafana"); !errors.Is(err, twostep.ErrAppNotFound) {
		t.Error("it is still there:", err)
	}
}

// An app has one client authentication method, and becomes public only by an explicit setting.
func TestAppClientAuth(t *testing.T) {
	data := t.TempDir()
	if err := realMain(t.Context(), []string{"account", "add", "you@example.com", "--data", data}, io.Discard,
		io.Discard); err != nil {
		t.Fatal(err)
	}
	keys := writeTempFile(t, testJWKSet)
	run := func(args ...string) (twostep.App, int, string) {
		t.Helper()
		var out bytes.Buffer
		if err := realMain(t.Context(), append([]string{"app"}, append(args, "--data", data)...), &out,
			io.Discard); err != nil {
			t.Fatal(args, err)
		}
		var shown bytes.Buffer
		if err := realMain(t.Context(), []string{"app", "show", args[1], "--json", "--data", data}, &shown,
			io.Discard); err != nil {
			t.Fatal(err)
		}
		var a struct {
			twostep.App
			Count int    `json:"secret_count"`
			Kind  string `json:"kind"`
		}
		if err := json.Unmarshal(shown.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a.App, a.Count, fmt.Sprintf("%s, told %v", a.Kind, strings.Contains(out.String(), "client secret"))
	}
	const cb = "--redirect=https://app.example.com/cb"
	for _, row := range []struct {
		args string
		want string
	}{
		{"add secret " + cb, "secret, told true"},
		{"add api", "secret, told true"},
		{"add public --public " + cb, "public, told false"},
		{"add keys --keys " + keys + " " + cb, "keys, told false"},
		{"add wiki --host wiki.example.com", "hosts, told false"},
		{"add both --host app.example.com " + cb, "secret, told true"},
		{"set wiki " + cb, "secret, told true"},
		{"set public --name Phone", "public, told false"},
		{"set public --public=false", "secret, told true"},
		{"set public --public=false", "secret, told false"},
		{"set secret --keys " + keys, "keys, told false"},
		{"set secret --name Other", "keys, told false"},
		{"set secret --keys=", "secret, told true"},
		{"set keys --public", "public, told false"},
		{"set both --max-age 90m --group a --group b", "secret, told false"},
	} {
		a, count, got := run(strings.Fields(row.args)...)
		if got != row.want || count > 0 != strings.HasPrefix(got, "secret") || len(a.SecretHashes) > 0 {
			t.Errorf("%s: got %s with %d secrets, want %s", row.args, got, count, row.want)
		}
	}
	if a, _, _ := run("set", "both", "--group="); len(a.RequiredGroups) > 0 || a.MaxAge != 90*60 || len(a.Hosts) != 1 {
		t.Errorf("only the groups are taken away: got %+v", a)
	}
}
