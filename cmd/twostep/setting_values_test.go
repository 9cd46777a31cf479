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
	for _, one := range s.valuesFor(from, "https://signin.example.com") {
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
		{Name: "public_url", Value: "https://signin.example.com"}, {Name: "smtp.port"}, {Name: "key_file", Value: "twostep-data/keys"},
	} {
		if got[want.Name] != want {
			t.Errorf("got %+v, want %+v", got[want.Name], want)
		}
	}
}

// Where a setting is not set, operators see the value that is used and not what decides it.
func TestValuesOfDefaults(t *testing.T) {
	from := &settingSources{lookupEnv: func(string) (string, bool) { return "", false }}
	values := func(change func(*settings)) map[string]string {
		s := settings{Data: "/var/lib/twostep", Timezone: "Local"}
		s.SMTP.Security = "starttls"
		change(&s)
		all := map[string]string{}
		for _, one := range s.valuesFor(from, "http://127.0.0.1:8080") {
			all[one.Name] = one.Value
		}
		return all
	}
	for name, c := range map[string]struct {
		change func(*settings)
		want   map[string]string
	}{
		"local": {func(*settings) {}, map[string]string{"site": "Twostep", "public_url": "http://127.0.0.1:8080", "smtp.port": "",
			"database": "SQLite, /var/lib/twostep/twostep.db", "key_file": "/var/lib/twostep/keys", "brand.color": "#2456c9"}},
		"public": {func(s *settings) {
			s.PublicURL, s.SMTP.Host, s.Brand.Logo = "https://signin.example.com", "mail.example.com", "logo.png"
		}, map[string]string{"site": "signin.example.com", "smtp.port": "587", "smtp.ehlo": "signin.example.com", "brand.mail_logo": "logo.png"}},
		"tls":  {func(s *settings) { s.SMTP.Host, s.SMTP.Security = "mail.example.com", "tls" }, map[string]string{"smtp.port": "465"}},
		"none": {func(s *settings) { s.SMTP.Host, s.SMTP.Security = "localhost", "none" }, map[string]string{"smtp.port": "25"}},
	} {
		got := values(c.change)
		for key, want := range c.want {
			if got[key] != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got[key], want)
			}
		}
		if !strings.HasPrefix(got["timezone"], "Local (") || !strings.Contains(got["timezone"], "UTC") {
			t.Errorf("%s: time zone %q", name, got["timezone"])
		}
	}
}
