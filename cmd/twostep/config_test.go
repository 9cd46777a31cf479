package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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
proxy_secret = "9f1c6f0f2b7a4d0e8c5b3a1d7e9f2c4b"
odds = "1/60000"
intranet = true
client_metadata = true
[socket]
mode = "0600"
group = "proxy"
[postgres]
max_connections = 50
statement_timeout = "10s"
application_name = "twostep-1"
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
second_step = "until-another"
pause_after_reset = "72h"
[help]
menu = "Settings -> Billing & Admin"
[operators]
second_step = "any"
approve_desk_codes = true
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
schemes = ["vscode"]
insecure_http = true
back_channel = "https://grafana.example.com/out"
secrets = ["ba7a6da12f370e9bf2d1769d0992a8ce0d1cef86ea01da2a37837f52a2cadf20"]
foreign = true
pkce = "off"
algorithm = "RS256"
pairwise = true
device_grant = true
hosts = ["grafana.example.com"]
acr = "urn:twostep:acr:2"
max_age = "8h"
id_token_claims = ["roles", "tenant"]
map_claims = ["groups = roles"]
map_groups = ["staff=Members"]
claims = ["tenant=a=b"]
response_types = ["code"]
id_token_ttl = "1h"
access_token_ttl = "5m"
refresh_token_ttl = "2160h"
refresh_token_idle = "240h"
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
		Postgres: postgresSettings{MaxConnections: 50, StatementTimeout: "10s", ApplicationName: "twostep-1",
			statementTimeout: 10 * time.Second},
		Brand: brandSettings{Logo: "logo.svg", MailLogo: "logo.png", Color: "#0a7d4f", Support: "help@example.com",
			Footer: "Example Ltd, 1 High Street"},
		Session: sessionSettings{Idle: "5m", Absolute: "8h", idleTimeout: 5 * time.Minute,
			absoluteTimeout: 8 * time.Hour},
		SMTP: smtpSettings{Host: "mail.example.com", Port: 2525, User: "twostep", Password: "hunter2",
			From: "signin@example.com", Security: "tls"},
		SMS: smsSettings{Countries: "DE,AT", Price: "0.08", Budget: "5", Valid: "5m", price: 80, budget: 5000,
			codeTTL: 5 * time.Minute},
		Trust:   trustSettings{Days: 7, Network: "prefix", Browser: "exact"},
		Email:   emailSettings{Valid: "10m", codeTTL: 10 * time.Minute, SecondStep: "until-another", PauseAfterReset: "72h", pauseAfterReset: 72 * time.Hour},
		Proxies: "127.0.0.1,10.0.0.0/8", Intranet: true, ClientMeta: true, ProxySecret: "9f1c6f0f2b7a4d0e8c5b3a1d7e9f2c4b",
		Socket:    socketSettings{Mode: "0600", Group: "proxy", mode: 0o600},
		proxies:   []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")},
		TLS:       tlsSettings{Cert: "cert.pem", Key: "key.pem"},
		Help:      helpSettings{Menu: "Settings -> Billing & Admin"},
		Operators: operatorSettings{SecondStep: "any", ApproveDeskCodes: true},
		Audit:     auditSettings{Days: 800}, Log: logSettings{Level: "debug", Format: "json"},
		apps: []twostep.App{{
			ID: "grafana", Name: "Grafana", RedirectURIs: []string{"https://grafana.example.com/login/generic_oauth"},
			PostLogoutRedirectURIs: []string{"https://grafana.example.com/login"},
			BackChannelLogoutURI:   "https://grafana.example.com/out",
			SecretHashes:           []string{"ba7a6da12f370e9bf2d1769d0992a8ce0d1cef86ea01da2a37837f52a2cadf20"},
			AllowedSchemes:         []string{"vscode"}, InsecureHTTP: true,
			ThirdParty: true, PKCE: "off", IDTokenAlg: "RS256", Pairwise: true, DeviceGrant: true,
			Hosts:       []string{"grafana.example.com"},
			RequiredACR: "urn:twostep:acr:2", MaxAge: 8 * 60 * 60, IDTokenClaims: []string{"roles", "tenant"},
			ClaimNames: map[string]string{"groups": "roles"}, GroupNames: map[string]string{"staff": "Members"},
			StaticClaims: map[string]string{"tenant": "a=b"}, ResponseTypes: []string{"code"},
			IDTokenTTL: 60 * 60, AccessTokenTTL: 5 * 60, RefreshTokenTTL: 90 * 86400, RefreshTokenIdle: 10 * 86400,
			RequiredGroups: []string{"staff", "admins"},
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

// Each setting is a key of the file, and a flag unless it is a secret, and both are in the reference.
func TestSettingsAreDocumented(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	command, _ := parseServe(t, nil)
	flags := map[string]bool{}
	for _, flag := range command.Flags() {
		if flag.Group != nil {
			flags[flag.Name] = true
		}
	}
	for _, info := range settingInfos() {
		if flags[info.flag] != info.hasFlag {
			t.Errorf("%s: a flag is %t, want %t", info.flag, flags[info.flag], info.hasFlag)
		}
		delete(flags, info.flag)
		if info.key == "" {
			continue
		}
		value := `"x"`
		switch info.typ {
		case "number":
			value = "1"
		case "true or false":
			value = "true"
		}
		if _, _, _, err := parseConfigFile("test.toml", fmt.Appendf(nil, "%s = %s\n", info.fullKey(), value)); err != nil {
			t.Errorf("--%s: %v", info.flag, err)
		}
		if !strings.Contains(string(reference), "| `"+info.fullKey()+"` | `"+environmentName(info.flag)+"`") {
			t.Errorf("docs/reference/settings.md has no row for %s", info.fullKey())
		}
	}
	for flag := range flags {
		t.Errorf("--%s is in no list of settings", flag)
	}
}

// The pages of docs/reference are those that the program prints.
func TestReferenceIsCurrent(t *testing.T) {
	for _, page := range []string{"settings", "cli"} {
		var out bytes.Buffer
		if err := realMain(t.Context(), []string{"reference", page}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile("../../docs/reference/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), file) {
			t.Errorf("docs/reference/%s.md differs: run go run ./cmd/twostep reference %s >docs/reference/%s.md", page,
				page, page)
		}
	}
}

// A help text is one line in the imperative, without a full stop, and each command has an example.
func TestHelpTexts(t *testing.T) {
	parser, err := newParser(new(commands))
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, help string) {
		if help == "" || strings.ContainsAny(help, "\n") || strings.HasSuffix(help, ".") ||
			strings.ToUpper(help[:1]) != help[:1] {
			t.Errorf("%s: %q", name, help)
		}
	}
	for _, leaf := range parser.Model.Leaves(false) {
		check(leaf.FullPath(), leaf.Help)
		if !strings.HasPrefix(exampleOf(leaf), leaf.FullPath()) {
			t.Errorf("%s: the example is %q", leaf.FullPath(), exampleOf(leaf))
		}
		for _, argument := range leaf.Positional {
			check(leaf.FullPath()+" "+argument.Name, argument.Help)
		}
		for _, flag := range leaf.Flags {
			check(leaf.FullPath()+" --"+flag.Name, flag.Help)
		}
	}
	for _, info := range settingInfos() {
		check(info.fullKey(), info.help)
	}
}

// An unknown key is named with what may have been meant.
func TestUnknownKeys(t *testing.T) {
	for text, want := range map[string]string{
		"smtp_host = 1":          "f.toml:1: unknown key smtp_host: write host below [smtp]",
		"smtp-host = 1":          "f.toml:1: unknown key smtp-host: write host below [smtp]",
		"session_absolute = 1":   "f.toml:1: unknown key session_absolute: write absolute below [session]",
		"TWOSTEP_PUBLIC_URL = 1": "f.toml:1: unknown key TWOSTEP_PUBLIC_URL: write public_url above all sections",
		"public-url = 1":         "f.toml:1: unknown key public-url: write public_url above all sections",
		"host = 1":               "f.toml:1: unknown key host: write host below [smtp]",
		"days = 1":               "f.toml:1: unknown key days: write days below [trust] or days below [audit]",
		"lisen = 1":              "f.toml:1: unknown key lisen: did you mean listen?",
		"smpt_host = 1":          "f.toml:1: unknown key smpt_host: did you mean host below [smtp]?",
		"[smtp]\nhots = 1":       "f.toml:2: unknown key smtp.hots: did you mean smtp.host?",
		"[smtp]\npublic_url = 1": "f.toml:2: unknown key smtp.public_url: write public_url above all sections",
		"[smtp]\ncolour = 1":     "f.toml:2: unknown key smtp.colour, see docs/reference/settings.md for all keys",
		"colour = 1":             "f.toml:1: unknown key colour, see docs/reference/settings.md for all keys",
		"[smpt]\nhost = 1":       "f.toml:1: unknown section [smpt]: did you mean [smtp]?",
		"[database]\nhost = 1": "f.toml:1: database is a section, want text in quotes, " +
			"like database = \"postgres://twostep@db.example.com/twostep\"",
		"[colour]\nred = 1": "f.toml:1: unknown section [colour], want one of " +
			strings.Join(sections(), ", ") + ", [webhook.NAME] or [[app]]",
		"[webhook.crm]\nurls = \"\"": "f.toml:2: unknown key webhook.crm.urls: did you mean url?",
		"[webhook.crm]\nx = \"\"":    "f.toml:2: unknown key webhook.crm.x, want one of url, secret, events, allow_private",
		"[[apps]]\nid = \"a\"":       "f.toml:1: unknown key apps: did you mean [[app]]?",
		"[apps]\nid = \"a\"":         "f.toml:1: unknown section [apps]: did you mean [[app]]?",
		"[[app]]\ncolour = \"\"":     "f.toml:2: unknown key app.colour, want one of id, name, redirects, ",
		"lisen = 1\n[smtp]\nhots = 1": "f.toml:1: unknown key lisen: did you mean listen?\n" +
			"f.toml:3: unknown key smtp.hots: did you mean smtp.host?",
	} {
		if _, _, _, err := parseConfigFile("f.toml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// A value of another type is named with what is wanted, and not quoted: it may be a secret.
func TestWrongTypes(t *testing.T) {
	for text, want := range map[string]string{
		"odds = 5":                       `f.toml:1: odds is a number, want text in quotes, like odds = "1/100000"`,
		"listen = 8080":                  `f.toml:1: listen is a number, want text in quotes, like listen = "127.0.0.1:8081"`,
		"site = true":                    `f.toml:1: site is true or false, want text in quotes, like site = "Example"`,
		"signup = [\"open\"]":            `f.toml:1: signup is a list, want text in quotes, like signup = "open"`,
		"intranet = \"yes\"":             "f.toml:1: intranet is text, want true or false without quotes, like intranet = true",
		"[smtp]\nport = \"587\"":         "f.toml:2: smtp.port is text, want a number without quotes, like port = 465",
		"[smtp]\npassword = 424242":      "f.toml:2: smtp.password is a number, want text in quotes",
		"[sms]\nprice = 0.08":            `f.toml:2: sms.price is a number, want text in quotes, like price = "0.08"`,
		"smtp = \"mail.example.com\"":    "f.toml:1: smtp is text, want a section: write its keys below [smtp]",
		"[webhook]\nurl = \"x\"":         "f.toml:2: webhook.url is text, want a section with a name: write its keys below [webhook.NAME], like [webhook.crm]",
		"[webhook.crm]\nurl = 5":         `f.toml:2: webhook.crm.url is a number, want text in quotes, like url = "https://crm.example.com/hooks/twostep"`,
		"[webhook.crm]\nsecret = 424242": "f.toml:2: webhook.crm.secret is a number, want text in quotes",
		"[webhook.crm]\nevents = \"*\"":  `f.toml:2: webhook.crm.events is text, want a list in brackets, like events = ["session.*"]`,
		"trusted_proxies = 5":            `f.toml:1: trusted_proxies wants addresses, like ["127.0.0.1"]`,
	} {
		_, _, _, err := parseConfigFile("f.toml", []byte(text))
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "424242") {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// An error in a value says where the value was set. All errors are returned at once.
func TestErrorsNameTheirSource(t *testing.T) {
	environment := map[string]string{
		"TWOSTEP_CONFIG":       writeTempFile(t, "\nodds = \"5\"\n[email]\nvalid = \"1h\"\n[trust]\nnetwork = \"any\"\n"),
		"TWOSTEP_SESSION_IDLE": "soon",
		"TWOSTEP_SMTP_PORT":    "many",
		"TWOSTEP_INTRANET":     "perhaps",
	}
	from := &settingSources{lookupEnv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok }}
	c := &commands{}
	parser, err := kong.New(c, kong.Resolvers(from))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve", "--audit-days", "3"}); err != nil {
		t.Fatal(err)
	}
	file := environment["TWOSTEP_CONFIG"]
	got := formatError(c.Serve.Settings.complete(from))
	for _, want := range []string{
		"twostep: TWOSTEP_SMTP_PORT is \"many\", want a number, like 465\n",
		"twostep: TWOSTEP_INTRANET is \"perhaps\", want true or false\n",
		"twostep: TWOSTEP_SESSION_IDLE is \"soon\", want a time of at least 1m, like 90m or 24h\n",
		"twostep: --audit-days is 3, want 366 to 36500",
		"twostep: " + file + ":2: odds is \"5\", want a chance per year from 1/50000 to 1/100000, like 1/50000\n",
		"twostep: " + file + ":4: email.valid is \"1h\", want whole minutes from 1m to 15m, like 10m\n",
		"twostep: " + file + ":6: trust.network is \"any\", want exact, prefix or off\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	if n := strings.Count(got, "\n"); n != 7 {
		t.Errorf("%d lines, want 7", n)
	}
}

// The names of packages are not in what an operator reads.
func TestFormatError(t *testing.T) {
	for text, want := range map[string]string{
		"twostep: store: no such file":            "twostep: no such file\n",
		"twostep: key_file: seal: no file":        "twostep: key_file: no file\n",
		"delivery: smtp.from: want a sender":      "twostep: smtp.from: want a sender\n",
		"a\n\tb: c\n":                             "twostep: a\ntwostep: b: c\n",
		"restore: twostep.db: store it elsewhere": "twostep: restore: twostep.db: store it elsewhere\n",
	} {
		if got := formatError(errors.New(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Every reason of a trust decision has a sentence, and none is left over.
func TestTrustReasonsHaveSentences(t *testing.T) {
	source, err := os.ReadFile("../../internal/trust/trust.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`Reason += "([a-z]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) != len(trustReasons)+1 {
		t.Errorf("%d reasons and %d sentences", len(found), len(trustReasons)+1)
	}
	for _, one := range found {
		if one[1] != "trusted" && trustReasons[one[1]] == "" {
			t.Errorf("%s has no sentence", one[1])
		}
	}
}

// A new section with its settings is in the list without another change.
func TestSettingInfosFollowTheStruct(t *testing.T) {
	type section struct {
		Color string `toml:"color" default:"blue" values:"blue,red" secret:"" placeholder:"NAME" help:"Use this color"`
		Count int    `toml:"max_count" kong:"-" fallback:"all" allowed:"1 or more" help:"Show this many" example:"3"`
		Other any    `toml:"other" kong:"-"`
	}
	type all struct {
		Brand section `toml:"brand" embed:"" prefix:"brand-"`
	}
	got := infosOf(reflect.TypeFor[all](), "")
	want := []settingInfo{
		{section: "brand", key: "color", flag: "brand-color", hasFlag: true, secret: true, typ: "word",
			help: "Use this color", defaultValue: "blue", values: []string{"blue", "red"}},
		{section: "brand", key: "max_count", flag: "brand-max-count", typ: "number", help: "Show this many", fallback: "all",
			allowed: "1 or more", example: "3"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
