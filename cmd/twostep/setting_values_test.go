package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"twostep.example/twostep"
)

// Operators see each setting with its value and where it was set, and no secret.
func TestValuesOfSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "twostep.toml")
	text := "site = \"Example\"\ndatabase = \"postgres://twostep:hunter2@db.example.com/twostep\"\n\n[policy]\ntrust = \"7d\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"TWOSTEP_SMTP_PASSWORD": "hunter3", "TWOSTEP_AUDIT_DAYS": "500"}
	from := &settingSources{lookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	command := new(serveCommands)
	parser, err := newParser(command, kong.Resolvers(from), kong.Writers(&bytes.Buffer{}, &bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve", "--config", file, "--signup", "open"}); err != nil {
		t.Fatal(err)
	}
	s := &command.Serve.Settings
	if s.SMTP.Password, err = from.secretSetting("smtp-password"); err != nil {
		t.Fatal(err)
	}
	got := map[string]twostep.Setting{}
	for _, one := range s.valuesFor(from) {
		if got[one.Name] != (twostep.Setting{}) {
			t.Errorf("%s is there twice", one.Name)
		}
		got[one.Name] = one
		if strings.Contains(one.Value+one.Source, "hunter") {
			t.Errorf("shows a secret: %+v", one)
		}
	}
	for _, want := range []twostep.Setting{
		{Name: "site", Value: "Example", Source: "twostep.toml:1"}, {Name: "policy.trust", Value: "7d", Source: "twostep.toml:5"},
		{Name: "database", Value: "postgres://twostep:xxxxx@db.example.com/twostep", Source: "twostep.toml:2"},
		{Name: "smtp.password", Value: hiddenValue, Source: "TWOSTEP_SMTP_PASSWORD"},
		{Name: "audit.days", Value: "500", Source: "TWOSTEP_AUDIT_DAYS"}, {Name: "signup", Value: "open", Source: "--signup"},
		{Name: "policy.session.idle", Value: "1h"}, {Name: "proxy_secret"}, {Name: "trusted_proxies"}, {Name: "intranet", Value: "false"},
	} {
		if got[want.Name] != want {
			t.Errorf("got %+v, want %+v", got[want.Name], want)
		}
	}
}
