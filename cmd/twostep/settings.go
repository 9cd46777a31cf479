package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor/sentcode"
)

// settings are all settings of the server, and the only list of them: a field is a flag
// (--smtp-host), an environment variable (TWOSTEP_SMTP_HOST) and a key of the configuration file
// (smtp.host). Each field must be optional, so that a new program starts with an old file.
//
// Tags of a setting, all of which docs/reference/settings.md shows (settingInfos reads them):
//
//	help         what it does: one line, imperative, no full stop. A field without it is no setting.
//	default      the default
//	fallback     in words what is used if it is not set, instead of default
//	values       the allowed words, separated by commas
//	allowed      in words what is allowed, instead of values
//	example      a value, as it is written after "=" in a shell
//	placeholder  its type: NAME, FILE, TIME and so on, see typeNames
//	secret       it can be read from a file named by TWOSTEP_…_FILE
//	kong:"-"     it has no flag, because other users of a machine can read the arguments of a process
type settings struct {
	Config      string           `toml:"-" placeholder:"FILE" help:"Read settings from this TOML file" example:"/etc/twostep/twostep.toml"`
	Listen      string           `toml:"listen" default:"127.0.0.1:8080" placeholder:"ADDR:PORT" allowed:"an address and port, or unix: and a path, like unix:/run/twostep/twostep.sock" help:"Listen on this address and port, or on this Unix socket; port 0 takes a free one" example:"127.0.0.1:8081"`
	Data        string           `toml:"data" default:"./twostep-data" placeholder:"DIR" help:"Keep the database, the keys and the local inbox in this folder" example:"/var/lib/twostep"`
	Database    string           `toml:"database" placeholder:"URL" secret:"" fallback:"SQLite in the data folder" allowed:"a postgres:// URL" help:"Use this PostgreSQL database instead of SQLite" example:"postgres://twostep@db.example.com/twostep"`
	PublicURL   string           `toml:"public_url" name:"public-url" placeholder:"URL" allowed:"https:// and a host" help:"Serve people at this URL; without it, the server is for this machine only" example:"https://signin.example.com"`
	Site        string           `toml:"site" placeholder:"NAME" fallback:"the host of public_url, or Twostep" allowed:"up to 128 bytes" help:"Show this name on pages and in emails" example:"Example"`
	SignUp      string           `toml:"signup" name:"signup" default:"invited" values:"open,invited,closed" placeholder:"WHO" help:"Let everyone (open), people you invite (invited) or no one (closed) create an account"`
	Timezone    string           `toml:"timezone" default:"Local" placeholder:"ZONE" fallback:"the time zone of this machine" allowed:"a name of the IANA time zone database" help:"Show times on pages and in emails in this time zone" example:"Europe/Berlin"`
	KeyFile     string           `toml:"key_file" name:"key-file" placeholder:"FILE" fallback:"keys in the data folder" help:"Keep the keys that encrypt the database in this file" example:"/etc/twostep/keys"`
	Proxies     string           `toml:"-" name:"trusted-proxies" placeholder:"ADDR,…" allowed:"addresses and networks" help:"Read client addresses from X-Forwarded-For and Forwarded of these reverse proxies" example:"127.0.0.1,10.0.0.0/24"`
	ProxyList   any              `toml:"trusted_proxies" kong:"-"` // a string or a list of strings; copied to Proxies
	ProxySecret string           `toml:"proxy_secret" name:"proxy-secret" kong:"-" placeholder:"TEXT" secret:"" allowed:"32 characters or more" help:"Read client addresses only from reverse proxies that send this secret as Twostep-Proxy-Secret, from any address"`
	Intranet    bool             `toml:"intranet" help:"Accept private client addresses (otherwise they are assumed to be a proxy)"`
	HSTS        bool             `toml:"hsts_subdomains" name:"hsts-subdomains" help:"Let browsers use https only for all subdomains of the host of public_url too (HSTS includeSubDomains)"`
	ClientMeta  bool             `toml:"client_metadata" name:"client-metadata" help:"Allow apps that are not registered and describe themselves at a URL (MCP clients); people are asked for consent each time"`
	Odds        string           `toml:"odds" default:"1/50000" placeholder:"1/N" allowed:"1/50000 to 1/100000" help:"Limit the yearly chance that someone who knows a password guesses the second step" example:"1/100000"`
	Postgres    postgresSettings `toml:"postgres" embed:"" prefix:"postgres-"`
	Brand       brandSettings    `toml:"brand" embed:"" prefix:"brand-"`
	Policy      policySettings   `toml:"policy" embed:"" prefix:"policy-"`
	Session     sessionSettings  `toml:"session" embed:"" prefix:"session-"`
	Trust       trustSettings    `toml:"trust" embed:"" prefix:"trust-"`
	Email       emailSettings    `toml:"email" embed:"" prefix:"email-"`
	SMTP        smtpSettings     `toml:"smtp" embed:"" prefix:"smtp-"`
	SMS         smsSettings      `toml:"sms" embed:"" prefix:"sms-"`
	TLS         tlsSettings      `toml:"tls" embed:"" prefix:"tls-"`
	Socket      socketSettings   `toml:"socket" embed:"" prefix:"socket-"`
	Metrics     metricsSettings  `toml:"metrics" embed:"" prefix:"metrics-"`
	Audit       auditSettings    `toml:"audit" embed:"" prefix:"audit-"`
	Operators   operatorSettings `toml:"operators" embed:"" prefix:"operators-"`
	Log         logSettings      `toml:"log" embed:"" prefix:"log-"`
	Help        helpSettings     `toml:"help" embed:"" prefix:"help-"`
	AppTables   []appTable       `toml:"app" kong:"-"` // parsed to apps

	WebhookTables map[string]webhookTable `toml:"webhook" kong:"-"` // by name; parsed to webhooks

	webhooks          []twostep.Webhook
	webhookSecretErrs error // of what sends events

	apps      []twostep.App
	policy    twostep.Policy
	proxies   []netip.Prefix
	oddsOneIn int64
}

// policySettings are the policy for all people. Durations are text until complete parses them: a bare number in the file is
// a wrong type then, instead of nanoseconds. The tables of groups and apps are read by parsePolicy.
type policySettings struct {
	Preset           string        `toml:"preset" values:"ato-osf,nist-aal2,pci-dss" placeholder:"NAME" help:"Add the settings of a preset; twostep policy presets lists them with their sources"`
	Trust            string        `toml:"trust" default:"30d" placeholder:"TIME" allowed:"whole hours from 1h to 30d, or off" help:"Let people trust a device for this time" example:"23h"`
	Session          policySession `toml:"session" embed:"" prefix:"session-"`
	Refresh          string        `toml:"refresh" placeholder:"TIME" fallback:"as each app has it" allowed:"1h to 365d" help:"Let apps refresh their tokens at most for this time after the sign-in" example:"24h"`
	Methods          string        `toml:"-" name:"methods" placeholder:"NAME,…" fallback:"all" allowed:"email, sms, totp, recovery" help:"Allow only these verification methods" example:"totp,recovery"`
	MethodList       any           `toml:"methods" kong:"-"` // a list of strings in the file, see flattenTable
	Require          string        `toml:"require" placeholder:"DAY" fallback:"never" allowed:"a day" help:"From this day on, lead people who have only codes by email through the set-up of another method when they sign in; before, remind them" example:"2027-03-01"`
	Reauthentication string        `toml:"reauthenticate" name:"reauthenticate" default:"15m" placeholder:"TIME" allowed:"1m to 24h" help:"Ask operators for both steps again after this time on the operators' pages" example:"5m"`
	Groups           any           `toml:"group" kong:"-"` // see parsePolicy
	Apps             any           `toml:"app" kong:"-"`
}

type policySession struct {
	Idle     string `toml:"idle" default:"1h" placeholder:"TIME" allowed:"1m to 365d" help:"End a session after this time without a request" example:"30m"`
	Absolute string `toml:"absolute" default:"24h" placeholder:"TIME" allowed:"policy.session.idle or more" help:"End a session after this time in any case" example:"12h"`
}

// completePolicy returns the policy: the settings for all, wherever they were set, and the tables of the file.
func (s *settings) completePolicy(from *settingSources) (twostep.Policy, error) {
	p := from.policy
	p.All = twostep.PolicyRule{Sources: map[string]string{}}
	values := map[string]string{}
	collectValues(values, reflect.ValueOf(*s), "")
	var wrong []error
	for _, info := range settingInfos() {
		value := values[info.flag]
		source := from.sourceOf(info, value)
		if info.section != "policy" || value == "" || source == "" {
			continue // the policy has the same defaults
		}
		if err := p.All.Set(info.key, value); err != nil {
			wrong = append(wrong, &settingError{flag: info.flag, message: " " + err.Error()})
			continue
		}
		p.All.Sources[info.key] = source
	}
	if wrong != nil {
		return p, errors.Join(wrong...)
	}
	var names []string
	for _, m := range verificationMethods(s) {
		names = append(names, m.Info().Method)
	}
	err := p.Check(names)
	if of := new(twostep.PolicyError); errors.As(err, &of) && of.Rule == "policy" {
		err = &settingError{flag: "policy-" + strings.ReplaceAll(of.Key, ".", "-"), message: " " + of.What}
	}
	return p, err
}

// trusts reports whether people can trust devices.
func (s *settings) trusts() bool { return s.policy.Trusts() }

// sessionSettings are about the cookie of a session.
type sessionSettings struct {
	StaySignedIn bool `toml:"stay_signed_in" name:"stay-signed-in" help:"Ask people at the sign-in whether to stay signed in when they close the browser (otherwise they do if policy.session.absolute is more than 24h)"`
}

type postgresSettings struct {
	MaxConnections   int    `toml:"max_connections" default:"20" placeholder:"N" allowed:"1 or more" help:"Open at most this many connections to PostgreSQL" example:"50"`
	StatementTimeout string `toml:"statement_timeout" default:"30s" placeholder:"TIME" allowed:"1s or more, or 0 for no limit" help:"Let PostgreSQL cancel a statement that takes longer than this" example:"10s"`
	ApplicationName  string `toml:"application_name" placeholder:"NAME" fallback:"twostep" help:"Use this name for the connections in pg_stat_activity" example:"twostep-1"`

	statementTimeout time.Duration
}

func (p *postgresSettings) complete() (err error) {
	if p.MaxConnections < 1 {
		return wrongSetting("postgres-max-connections", p.MaxConnections, "1 or more")
	}
	p.statementTimeout, err = time.ParseDuration(p.StatementTimeout)
	if err != nil || p.statementTimeout != 0 && p.statementTimeout < time.Second {
		return wrongSetting("postgres-statement-timeout", p.StatementTimeout, "a time of at least 1s, like 10s, or 0 for no "+
			"limit")
	}
	return nil
}

type trustSettings struct {
	Network string `toml:"network" default:"exact" values:"exact,prefix,off" placeholder:"HOW" help:"Trust a device on the same IPv4 address or IPv6 /64 (exact), on the same IPv4 /24 or IPv6 /56 (prefix), or everywhere (off)"`
	Browser string `toml:"browser" default:"family" values:"family,exact" placeholder:"HOW" help:"Trust the same browser and system in this or a newer version (family), or the same User-Agent only (exact)"`
}

type operatorSettings struct {
	SecondStep       string `toml:"second_step" default:"strongest" values:"strongest,any" placeholder:"WHICH" help:"Open the operators' pages with something stronger than a code by email if the account has it (strongest), or with any second step"`
	ApproveDeskCodes bool   `toml:"approve_desk_codes" help:"Let a second operator approve every code that the help desk gives to a person who is locked out (always required for accounts with a role)"`
}

type emailSettings struct {
	Valid           string `toml:"valid" default:"15m" placeholder:"TIME" allowed:"whole minutes, 1m to 15m" help:"Accept a code sent by email for this time" example:"10m"`
	SecondStep      string `toml:"second_step" default:"always" values:"always,until-another" placeholder:"WHEN" help:"Accept codes by email as the second step always, or only until the account has an authenticator app or a phone number"`
	PauseAfterReset string `toml:"pause_after_reset" default:"24h" placeholder:"TIME" allowed:"whole hours, 1h to 720h" help:"Accept no code by email for this time after a password reset by email, if the account has another method" example:"72h"`

	codeTTL, pauseAfterReset time.Duration
}

// parsePause parses a time in whole hours, since pages show hours.
func parsePause(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Hour || d > 720*time.Hour || d%time.Hour != 0 {
		return 0, wrongSetting("email-pause-after-reset", text, "whole hours from 1h to 720h, like 72h")
	}
	return d, nil
}

// parseCodeTTL parses the validity of a code, in whole minutes, since messages show minutes.
func parseCodeTTL(flag, text string) (time.Duration, error) {
	if text == "" {
		return sentcode.CodeTTL, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute || d > sentcode.CodeTTL || d%time.Minute != 0 {
		return 0, wrongSetting(flag, text, "whole minutes from 1m to %dm, like 10m", sentcode.CodeTTL/time.Minute)
	}
	return d, nil
}

// parseOdds parses a chance like 1/50000. The server checks the range.
func parseOdds(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(text, "1/")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 {
		return 0, wrongSetting("odds", text, "a chance per year from 1/50000 to 1/100000, like 1/50000")
	}
	return n, nil
}

type smtpSettings struct {
	Host     string `toml:"host" placeholder:"HOST" help:"Send email through this mail server; required with public_url" example:"mail.example.com"`
	Port     int    `toml:"port" default:"0" placeholder:"N" fallback:"587 for starttls, 465 for tls, 25 for none" allowed:"1 to 65535" help:"Connect to this port of the mail server" example:"465"`
	User     string `toml:"user" placeholder:"NAME" fallback:"no authentication" help:"Sign in to the mail server with this user name" example:"signin@example.com"`
	Password string `toml:"password" kong:"-" placeholder:"TEXT" secret:"" help:"Sign in to the mail server with this password"`
	From     string `toml:"from" placeholder:"ADDRESS" help:"Send email from this address; required with public_url" example:"'Example <signin@example.com>'"`
	EHLO     string `toml:"ehlo" placeholder:"NAME" fallback:"the host of public_url, if it is a name" allowed:"a host name" help:"Greet the mail server with this name (EHLO)" example:"signin.example.com"`
	Security string `toml:"security" default:"starttls" values:"starttls,tls,none" placeholder:"HOW" help:"Encrypt the connection to the mail server; none is for a server on this machine"`
}

type tlsSettings struct {
	Cert string `toml:"cert" placeholder:"FILE" help:"Serve https with this certificate chain (PEM), without a reverse proxy" example:"/etc/twostep/cert.pem"`
	Key  string `toml:"key" placeholder:"FILE" help:"Use this private key (PEM) of the certificate" example:"/etc/twostep/key.pem"`
}

type auditSettings struct {
	Days int `toml:"days" default:"400" placeholder:"N" allowed:"366 to 36500" help:"Keep security events for this many days" example:"800"`
}

func (a auditSettings) complete() error {
	if a.Days < 366 || a.Days > 36500 {
		return wrongSetting("audit-days", a.Days, "366 to 36500: events are kept for at least a year")
	}
	return nil
}

type helpSettings struct {
	Menu string `toml:"menu" placeholder:"PATH" fallback:"the settings of this server" help:"Name this menu of your app on the help page: people find the verification methods there" example:"'Settings -> Billing & Admin'"`
}

type logSettings struct {
	Level  string `toml:"level" default:"info" values:"debug,info,warn,error" placeholder:"LEVEL" help:"Log messages of this level and above; debug adds requests for files, status and health"`
	Format string `toml:"format" default:"text" values:"text,json" placeholder:"FORMAT" help:"Write the log in this format"`
}

// complete adds the settings that have no flag, parses the others and rejects contradictions. It
// returns all errors, joined. It is for commands that send no message: they need no password of the
// mail server, which may be readable for the server only.
func (s *settings) complete(from *settingSources) error { return s.completeFor(from, false) }

// completeForServe is complete for the command serve, which needs all secrets.
func (s *settings) completeForServe(from *settingSources) error { return s.completeFor(from, true) }

func (s *settings) completeFor(from *settingSources, serve bool) error {
	if from.fileErr != nil {
		return from.fileErr
	}
	wrong := slices.Clone(from.valueErrs)
	check := func(err error) { wrong = append(wrong, err) }
	var err error
	if s.SMTP.Password, err = from.secretSetting("smtp-password"); serve {
		check(err)
	}
	if s.SMS.Gateways, err = from.secretSetting("sms-gateways"); serve {
		check(err)
	}
	if s.ProxySecret, err = from.secretSetting("proxy-secret"); serve {
		check(err)
	}
	s.apps = from.apps
	if s.webhooks, err, s.webhookSecretErrs = from.readWebhooks(); serve {
		check(s.webhookSecretErrs)
	}
	check(err)
	s.oddsOneIn, err = parseOdds(s.Odds)
	check(err)
	s.proxies, err = twostep.ParseProxies(s.Proxies)
	if err != nil {
		check(&settingError{flag: "trusted-proxies", message: ": " + err.Error()})
	}
	s.Email.codeTTL, err = parseCodeTTL("email-valid", s.Email.Valid)
	check(err)
	check(s.Socket.complete())
	s.Email.pauseAfterReset, err = parsePause(s.Email.PauseAfterReset)
	check(err)
	check(s.SMS.complete())
	s.policy, err = s.completePolicy(from)
	check(err)
	check(s.Audit.complete())
	check(s.Metrics.complete(s.Listen))
	check(s.Postgres.complete())
	check(checkValues(s))
	if s.Database != "" && !strings.HasPrefix(s.Database, "postgres://") &&
		!strings.HasPrefix(s.Database, "postgresql://") {
		// The value is not quoted: it may contain a password.
		check(&settingError{flag: "database", message: " is no postgres:// URL, want one like " +
			"postgres://twostep@db.example.com/twostep; leave it out for SQLite in the data folder"})
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil {
		check(wrongSetting("timezone", s.Timezone, "a name like Europe/Berlin"))
	}
	check(s.checkNetwork(serve))
	return from.locate(errors.Join(wrong...))
}

// checkNetwork checks the settings of addresses, https and mail.
func (s *settings) checkNetwork(serve bool) error {
	if path, ok := s.socketPath(); ok {
		return errors.Join(s.checkSocket(path), s.completePublic(serve))
	}
	host, port, err := net.SplitHostPort(s.Listen)
	if _, invalid := strconv.ParseUint(port, 10, 16); err != nil || invalid != nil {
		return wrongSetting("listen", s.Listen, "ADDR:PORT, like 127.0.0.1:8080, or unix:PATH")
	}
	if s.TLS.Cert != "" && s.TLS.Key == "" {
		return errors.New("tls.key is missing, because tls.cert is set: " + howToSet("tls-key"))
	}
	if s.TLS.Key != "" && s.TLS.Cert == "" {
		return errors.New("tls.cert is missing, because tls.key is set: " + howToSet("tls-cert"))
	}
	if s.isLocal() {
		return s.completeLocal(host)
	}
	return s.completePublic(serve)
}

// lacksTrustedProxies reports whether there must be a reverse proxy that is not configured.
func (s *settings) lacksTrustedProxies() bool {
	_, unix := s.socketPath()
	return strings.HasPrefix(s.PublicURL, "https://") && s.TLS.Cert == "" && len(s.proxies) == 0 && s.ProxySecret == "" &&
		!unix && s.trusts() && s.Trust.Network != "off"
}

// isLocal reports whether the server is for this machine only. Then mail stays in the inbox.
func (s *settings) isLocal() bool { return s.PublicURL == "" }

func isLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

func (s *settings) completeLocal(host string) error {
	if !isLoopbackHost(host) {
		return wrongSetting("listen", s.Listen, "127.0.0.1 or another loopback address: without public_url the server "+
			"is for this machine only. To serve other people, %s", howToSet("public-url"))
	}
	if s.TLS.Cert != "" {
		return errors.New("public_url is missing, because tls.cert is set: " + howToSet("public-url"))
	}
	return nil
}

func (s *settings) completePublic(serve bool) error {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" ||
		u.Fragment != "" {
		return wrongSetting("public-url", s.PublicURL, "only https:// and a host, like https://signin.example.com")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())) {
		return wrongSetting("public-url", s.PublicURL, "https://, because passwords and codes travel over it: https://%s",
			u.Host)
	}
	s.PublicURL = u.Scheme + "://" + u.Host
	if !serve {
		return nil // no message is sent, so the mail server may be configured where only the server reads it
	}
	var missing []error
	need := func(flag, value, because string) {
		if value == "" {
			missing = append(missing, fmt.Errorf("%s is missing, because %s: %s", settingKey(flag), because, howToSet(flag)))
		}
	}
	need("smtp-host", s.SMTP.Host, "a server with public_url sends codes by email")
	need("smtp-from", s.SMTP.From, "a server with public_url sends codes by email")
	server := s.smtpServer()
	if server.User != "" {
		need("smtp-password", server.Password, "smtp.user is set")
	} else if server.Password != "" {
		need("smtp-user", server.User, "smtp.password is set")
	}
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	return mailServerError(server.Check())
}

// mailServerError returns an error of delivery.SMTP.Check as one of the setting that it names.
func mailServerError(err error) error {
	if err == nil {
		return nil
	}
	rest, ok := strings.CutPrefix(err.Error(), "delivery: smtp.")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
	if !ok || end < 0 {
		return err
	}
	return &settingError{flag: "smtp-" + rest[:end], message: rest[end:]}
}

func (s *settings) smtpServer() delivery.SMTP {
	return delivery.SMTP{
		Host: s.SMTP.Host, Port: s.SMTP.Port, Security: s.SMTP.Security,
		User: s.SMTP.User, Password: s.SMTP.Password, From: s.SMTP.From, EHLO: cmp.Or(s.SMTP.EHLO, s.publicName()),
	}
}

// publicName returns the host of public_url if it is a name of the DNS, and "" otherwise.
func (s *settings) publicName() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil {
		return ""
	}
	return dnsName.FindString(strings.TrimSuffix(u.Hostname(), "."))
}

// dnsName matches a host name of at least two labels whose last one begins with a letter (RFC 1123 2.1).
var dnsName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// publicURL returns the URL that people use. Without the setting it is that of the listener, whose
// port counts: the setting may be 0.
func (s *settings) publicURL(listening string) (string, error) {
	if !s.isLocal() {
		return s.PublicURL, nil
	}
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listening)
	if err != nil {
		return "", err
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// createDataDir creates the data folder. An existing folder keeps its permissions; the log warns if
// others can read it.
func (s *settings) createDataDir(log *slog.Logger) error {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	info, err := os.Stat(s.Data)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		log.Warn("other users of this machine can read the data folder, run chmod 700 on it", "data", s.Data)
	}
	return nil
}

// loadCertificate loads the certificate; nil if there is none.
func (t tlsSettings) loadCertificate() (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert and tls.key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// certificateEnds returns when the certificate ends; zero if there is none.
func (t tlsSettings) certificateEnds() time.Time {
	if config, err := t.loadCertificate(); err == nil && config != nil && config.Certificates[0].Leaf != nil {
		return config.Certificates[0].Leaf.NotAfter
	}
	return time.Time{}
}

// checkPortIsFixed returns an error if the port is not known in advance, for commands that print a
// URL.
func (s *settings) checkPortIsFixed() error {
	if _, port, _ := net.SplitHostPort(s.Listen); s.isLocal() && port == "0" {
		return fmt.Errorf("listen is %s, which takes any free port, so the printed URL would be wrong: use the address "+
			"that the server prints, like --listen 127.0.0.1:8080", s.Listen)
	}
	return nil
}

// options creates the data folder and converts the settings to Options. listening is the address of
// the listener, for publicURL.
func (s *settings) options(listening string, log *slog.Logger) (twostep.Options, error) {
	public, err := s.publicURL(listening)
	if err != nil {
		return twostep.Options{}, err
	}
	if err := s.createDataDir(log); err != nil {
		return twostep.Options{}, err
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return twostep.Options{}, err
	}
	o := twostep.Options{
		Database: s.Database, KeyFile: s.KeyFile, PublicURL: public, Site: s.Site,
		Postgres: twostep.Postgres{
			MaxConnections: s.Postgres.MaxConnections, StatementTimeout: s.Postgres.statementTimeout,
			ApplicationName: s.Postgres.ApplicationName,
		},
		Methods: verificationMethods(s), SignUp: s.SignUp, Location: zone, Logger: log,
		Policy: s.policy, ParsePolicy: func(text []byte) (twostep.Policy, error) { return parsePolicy("", text) },
		StaySignedIn: s.Session.StaySignedIn,
		TrustNetwork: s.Trust.Network, TrustBrowser: s.Trust.Browser,
		HelpMenu: s.Help.Menu,
		Webhooks: s.webhooks,
		Apps:     s.apps, GuessOddsOneIn: s.oddsOneIn, AuditDays: s.Audit.Days,
		TrustedProxies: s.proxies, ProxySecret: s.ProxySecret, PrivateClients: s.Intranet, HSTSSubdomains: s.HSTS,
		OperatorSecondStep: s.Operators.SecondStep, ApproveDeskCodes: s.Operators.ApproveDeskCodes,
		EmailSecondStep: s.Email.SecondStep, EmailPauseAfterReset: s.Email.pauseAfterReset,
		SMSGateways: s.SMS.gateways, SMSPrice: s.SMS.price, SMSDailyBudget: s.SMS.budget,
	}
	if s.ClientMeta {
		o.ClientMetadata = &twostep.ClientMetadata{}
	}
	if o.Database == "" {
		o.Database = filepath.Join(s.Data, "twostep.db")
	}
	if o.KeyFile == "" {
		o.KeyFile = filepath.Join(s.Data, "keys")
	}
	if !s.isLocal() {
		var mailServer atomic.Int64 // Unix milliseconds; 0: not known
		server := s.smtpServer()
		server.Certificate = func(ends time.Time) { mailServer.Store(ends.UnixMilli()) }
		o.Senders = map[delivery.Channel]delivery.SendFunc{delivery.Email: server.Send}
		own := s.TLS.certificateEnds()
		o.CertificateEnds = func() (time.Time, time.Time) {
			if ends := mailServer.Load(); ends != 0 {
				return own, time.UnixMilli(ends)
			}
			return own, time.Time{}
		}
		return o, nil
	}
	if o.Site == "" {
		o.Site = "Twostep" // the default would be the listener's address
	}
	if o.SMSGateways = nil; s.SMS.Gateways != "" {
		log.Warn("text messages stay in the inbox, because public_url is not set", "ignored", "sms.gateways")
	}
	if s.SMTP.Host != "" {
		log.Warn("emails stay in the inbox, because public_url is not set", "ignored", "smtp.host")
	}
	inbox := &delivery.Inbox{Dir: filepath.Join(s.Data, "inbox"), Now: time.Now}
	// Not inbox.Send, which would copy the inbox with its current clock; the demo replaces the
	// clock.
	send := func(ctx context.Context, m delivery.Message) error { return inbox.Send(ctx, m) }
	o.Senders = map[delivery.Channel]delivery.SendFunc{delivery.Email: send, delivery.SMS: send}
	o.Local = &twostep.LocalMode{Inbox: inbox}
	return o, nil
}

// newLogger returns a logger to w with the level and format of the settings.
func (l logSettings) newLogger(w io.Writer) *slog.Logger {
	var level slog.Level
	// checkValues allows only names that slog knows; the zero level is info.
	_ = level.UnmarshalText([]byte(l.Level))
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
