package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"twostep.example/twostep"
)

// parseServe parses the arguments of serve with the given environment.
func parseServe(t *testing.T, environment map[string]string, args ...string) (*kong.Context, *settings) {
	t.Helper()
	from := &settingSources{lookupEnv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok }}
	c := &commands{}
	parser, err := kong.New(c, kong.Resolvers(from))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(append([]string{"serve"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Serve.Settings.complete(from); err != nil {
		t.Fatal(err)
	}
	return command, &c.Serve.Settings
}

func writeTempFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const completeConfig = `
listen = "127.0.0.1:1"
data = "/var/lib/twostep"
database = "postgres://file"
public_url = "https://signin.example.com/"
site = "Example"
signup = "open"
timezone = "Europe/Berlin"
key_file = "/etc/twostep/keys"
trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
odds = "1/60000"
intranet = true
[brand]
logo = "logo.svg"
mail_logo = "logo.png"
color = "#0a7d4f"
support = "help@example.com"
footer = "Example Ltd, 1 High Street"
[session]
idle = "5m"
absolute = "8h"
[smtp]
host = "mail.example.com"
port = 2525
user = "twostep"
password = "hunter2"
from = "signin@example.com"
security = "tls"
[sms]
countries = "DE,AT"
price = "0.08"
budget = "5"

valid = "5m"

[tls]
cert = "cert.pem"
key = "key.pem"
[trust]
days = 7
network = "prefix"
browser = "exact"
[email]
valid = "10m"
[audit]
days = 800
[log]
level = "debug"
format = "json"
[[app]]
id = "grafana"
name = "Grafana"
redirects = ["https://grafana.example.com/login/generic_oauth"]
signed_out = ["https://grafana.example.com/login"]
back_channel = "https://grafana.example.com/out"
secrets = ["ba7a6da12f370e9bf2d1769d0992a8ce0d1cef86ea01da2a37837f52a2cadf20"]
foreign = true
no_pkce = true
algorithm = "RS256"
pairwise = true
hosts = ["grafana.example.com"]
acr = "urn:twostep:acr:2"
max_age = "8h"
groups = ["staff", "admins"]
[[app]]
id = "phone"
redirects = ["com.example.app:/cb"]
public = true
`

// Every key of a file is read, including those without a flag.
func TestConfigFileSetsEverySetting(t *testing.T) {
	file := writeTempFile(t, completeConfig)
	_, got := parseServe(t, nil, "--config", file)
	want := &settings{
		Config: file, Listen: "127.0.0.1:1", Data: "/var/lib/twostep", Database: "postgres://file",
		PublicURL: "https://signin.example.com", Site: "Example", SignUp: "open", Timezone: "Europe/Berlin",
		KeyFile: "/etc/twostep/keys", Odds: "1/60000", oddsOneIn: 60_000,
		Brand: brandSettings{Logo: "logo.svg", MailLogo: "logo.png", Color: "#0a7d4f", Support: "help@example.com",
			Footer: "Example Ltd, 1 High Street"},
		Session: sessionSettings{Idle: "5m", Absolute: "8h", idleTimeout: 5 * time.Minute,
			absoluteTimeout: 8 * time.Hour},
		SMTP: smtpSettings{Host: "mail.example.com", Port: 2525, User: "twostep", Password: "hunter2",
			From: "signin@example.com", Security: "tls"},
		SMS: smsSettings{Countries: "DE,AT", Price: "0.08", Budget: "5", Valid: "5m", price: 80, budget: 5000,
			codeTTL: 5 * time.Minute},
		Trust:   trustSettings{Days: 7, Network: "prefix", Browser: "exact"},
		Email:   emailSettings{Valid: "10m", codeTTL: 10 * time.Minute},
		Proxies: "127.0.0.1,10.0.0.0/8", Intranet: true,
		proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
		TLS:     tlsSettings{Cert: "cert.pem", Key: "key.pem"},
		Audit:   auditSettings{Days: 800}, Log: logSettings{Level: "debug", Format: "json"},
		apps: []twostep.App{{
			ID: "grafana", Name: "Grafana", RedirectURIs: []string{"https://grafana.example.com/login/generic_oauth"},
			PostLogoutRedirectURIs: []string{"https://grafana.example.com/login"},
			BackChannelLogoutURI:   "https://grafana.example.com/out",
			SecretHashes:           []string{"ba7a6da12f370e9bf2d1769d0992a8ce0d1cef86ea01da2a37837f52a2cadf20"},
			ThirdParty:             true, PKCEOptional: true, IDTokenAlg: "RS256", Pairwise: true,
			Hosts:       []string{"grafana.example.com"},
			RequiredACR: "urn:twostep:acr:2", MaxAge: 8 * 60 * 60, RequiredGroups: []string{"staff", "admins"},
		}, {ID: "phone", RedirectURIs: []string{"com.example.app:/cb"}}},
	}
	if fmt.Sprint(*got) != fmt.Sprint(*want) {
		t.Errorf("got  %+v\nwant %+v", *got, *want)
	}
}

// Variables override the file, flags override variables, and a secret is read without its newline.
func TestSettingPrecedence(t *testing.T) {
	environment := map[string]string{
		"TWOSTEP_CONFIG":             writeTempFile(t, completeConfig),
		"TWOSTEP_SITE":               "from a variable",
		"TWOSTEP_TIMEZONE":           "Asia/Tokyo",
		"TWOSTEP_SESSION_IDLE":       "7m",
		"TWOSTEP_KEY_FILE":           "a setting, not a secret in a file",
		"TWOSTEP_SMTP_PASSWORD_FILE": writeTempFile(t, "from a file\r\n"),
		"TWOSTEP_DATABASE_FILE":      writeTempFile(t, "postgres://secret\n"),
	}
	_, got := parseServe(t, environment, "--timezone", "UTC")
	for _, row := range []struct{ name, got, want string }{
		{"site", got.Site, "from a variable"},
		{"timezone", got.Timezone, "UTC"},
		{"session.idle", got.Session.idleTimeout.String(), "7m0s"},
		{"key_file", got.KeyFile, "a setting, not a secret in a file"},
		{"smtp.password", got.SMTP.Password, "from a file"},
		{"database", got.Database, "postgres://secret"},
		{"listen", got.Listen, "127.0.0.1:1"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, row.got, row.want)
		}
	}
}

// Each setting is a flag, a variable and a key, and is documented.
func TestSettingsAreDocumented(t *testing.T) {
	handbook, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	command, _ := parseServe(t, nil)
	keys := []string{"smtp.password"}
	for _, flag := range command.Flags() {
		if flag.Group == nil || flag.Name == "config" {
			continue
		}
		key, _, _ := strings.Cut(strings.TrimPrefix(howToSet(flag.Name), "set "), " ")
		keys = append(keys, key)
		value := `"x"`
		switch {
		case flag.Target.CanInt():
			value = "1"
		case flag.IsBool():
			value = "true"
		}
		if _, _, err := parseConfigFile("test.toml", fmt.Appendf(nil, "%s = %s\n", key, value)); err != nil {
			t.Errorf("--%s: %v", flag.Name, err)
		}
	}
	for _, key := range keys {
		if !strings.Contains(string(handbook), "| `"+key+"` |") {
			t.Errorf("docs/operating.md has no row for %s", key)
		}
	}
}
