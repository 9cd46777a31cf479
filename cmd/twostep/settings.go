package main

import (
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
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor/sentcode"
	"twostep.example/twostep/manual"
)

// settings are all settings of the server, and the only list of them: a field is a flag
// (--smtp-host), an environment variable (TWOSTEP_SMTP_HOST) and a key of the configuration file
// (smtp.host). Each field must be optional, so that a new program starts with an old file.
type settings struct {
	Config    string          `toml:"-" placeholder:"FILE" help:"Read settings from this TOML file."`
	Listen    string          `toml:"listen" default:"127.0.0.1:8080" placeholder:"ADDR:PORT" help:"Where to listen. Default: ${default}."`
	Data      string          `toml:"data" default:"./twostep-data" placeholder:"DIR" help:"The data folder. Default: ${default}."`
	Database  string          `toml:"database" placeholder:"URL" help:"postgres://…; default: SQLite in the data folder."`
	PublicURL string          `toml:"public_url" name:"public-url" placeholder:"URL" help:"The address people use, https://…; without it the server is for this machine only."`
	Site      string          `toml:"site" placeholder:"NAME" help:"The name people see. Default: the host of the public URL, or Twostep."`
	SignUp    string          `toml:"signup" name:"signup" default:"invited" enum:"open,invited,closed" placeholder:"WHO" help:"Who may make an account: open, invited or closed. Default: ${default}."`
	Timezone  string          `toml:"timezone" default:"Local" placeholder:"ZONE" help:"The zone in which mails and pages tell the time, like Europe/Berlin. Default: this machine's."`
	KeyFile   string          `toml:"key_file" name:"key-file" placeholder:"FILE" help:"The keys that seal the database. Default: keys in the data folder."`
	Proxies   string          `toml:"-" name:"trusted-proxies" placeholder:"ADDR,…" help:"The reverse proxies in front, whose X-Forwarded-For is believed: addresses and networks like 10.0.0.0/8."`
	ProxyList any             `toml:"trusted_proxies" kong:"-"` // a string or a list of strings; copied to Proxies
	Intranet  bool            `toml:"intranet" help:"People come from private addresses. Otherwise those are taken for a proxy's."`
	Odds      string          `toml:"odds" default:"1/50000" placeholder:"1/N" help:"The chance that somebody who knows a password may have in a year of guessing the second step: 1/50000 to 1/100000. Default: ${default}."`
	Brand     brandSettings   `toml:"brand" embed:"" prefix:"brand-"`
	Session   sessionSettings `toml:"session" embed:"" prefix:"session-"`
	Trust     trustSettings   `toml:"trust" embed:"" prefix:"trust-"`
	Email     emailSettings   `toml:"email" embed:"" prefix:"email-"`
	SMTP      smtpSettings    `toml:"smtp" embed:"" prefix:"smtp-"`
	SMS       smsSettings     `toml:"sms" embed:"" prefix:"sms-"`
	TLS       tlsSettings     `toml:"tls" embed:"" prefix:"tls-"`
	Audit     auditSettings   `toml:"audit" embed:"" prefix:"audit-"`
	Log       logSettings     `toml:"log" embed:"" prefix:"log-"`
	AppTables []appTable      `toml:"app" kong:"-"` // parsed to apps

	apps      []twostep.App
	proxies   []netip.Prefix
	oddsOneIn int64
}

// sessionSettings are the limits of a session. Durations are text until complete parses them: a bare
// number in the file is a wrong type then, instead of nanoseconds.
type sessionSettings struct {
	Idle     string `toml:"idle" default:"1h" placeholder:"TIME" help:"A session ends after so long without a request. Default: ${default}."`
	Absolute string `toml:"absolute" default:"24h" placeholder:"TIME" help:"And after so long in any case. Default: ${default}."`

	idleTimeout, absoluteTimeout time.Duration
}

type trustSettings struct {
	Days    int    `toml:"days" default:"30" placeholder:"N" help:"For how many days a browser may be trusted, at most 30; 0: it may not. Default: ${default}."`
	Network string `toml:"network" default:"exact" enum:"exact,prefix,off" placeholder:"HOW" help:"Which addresses are one place: exact, prefix or off. Default: ${default}."`
	Browser string `toml:"browser" default:"family" enum:"family,exact" placeholder:"HOW" help:"Which browsers are one: family or exact. Default: ${default}."`
}

type emailSettings struct {
	Valid string `toml:"valid" default:"15m" placeholder:"TIME" help:"How long a code sent by email works, 1m to 15m. Default: ${default}."`

	codeTTL time.Duration
}

// parseCodeTTL parses the validity of a code, in whole minutes, since messages show minutes.
func parseCodeTTL(key, text string) (time.Duration, error) {
	if text == "" {
		return sentcode.CodeTTL, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute || d > sentcode.CodeTTL || d%time.Minute != 0 {
		return 0, fmt.Errorf("%s is %q, want whole minutes from 1m to %dm", key, text, sentcode.CodeTTL/time.Minute)
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
		return 0, fmt.Errorf("odds is %q, want a chance like 1/50000", text)
	}
	return n, nil
}

func (t trustSettings) complete() error {
	if t.Days < 0 || t.Days > manual.Days {
		return fmt.Errorf("trust.days is %d, want 1 to %d, or 0 for none", t.Days, manual.Days)
	}
	return nil
}

type smtpSettings struct {
	Host string `toml:"host" placeholder:"HOST" help:"The mail server. A public server needs one."`
	Port int    `toml:"port" default:"0" placeholder:"N" help:"Default: 587 for starttls, 465 for tls, 25 for none."`
	User string `toml:"user" placeholder:"NAME" help:"Empty: no authentication."`
	// No flag: other users of the machine can read the arguments of a process.
	Password string `toml:"password" kong:"-"`
	From     string `toml:"from" placeholder:"ADDRESS" help:"The sender, like 'Example <signin@example.com>'."`
	Security string `toml:"security" default:"starttls" enum:"starttls,tls,none" placeholder:"HOW" help:"starttls, tls, or none (on this machine only). Default: ${default}."`
}

type tlsSettings struct {
	Cert string `toml:"cert" placeholder:"FILE" help:"Certificate chain (PEM), to serve https without a reverse proxy."`
	Key  string `toml:"key" placeholder:"FILE" help:"Its private key (PEM)."`
}

type auditSettings struct {
	Days int `toml:"days" default:"400" placeholder:"N" help:"For how many days security events are kept, 366 or more. Default: ${default}."`
}

func (a auditSettings) complete() error {
	if a.Days < 366 || a.Days > 36500 {
		return fmt.Errorf("audit.days is %d, want 366 to 36500: events of at least one year are kept", a.Days)
	}
	return nil
}

type logSettings struct {
	Level  string `toml:"level" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"debug, info, warn or error. Default: ${default}."`
	Format string `toml:"format" default:"text" enum:"text,json" placeholder:"FORMAT" help:"text or json. Default: ${default}."`
}

// complete adds the settings that have no flag, parses the others and rejects contradictions.
func (s *settings) complete(from *settingSources) error {
	var err error
	if s.SMTP.Password, err = from.secretSetting("smtp-password"); err != nil {
		return err
	}
	if s.SMS.Gateways, err = from.secretSetting("sms-gateways"); err != nil {
		return err
	}
	s.apps = from.apps
	if err := s.SMS.complete(); err != nil {
		return err
	}
	if err := s.Session.complete(); err != nil {
		return err
	}
	if err := s.Trust.complete(); err != nil {
		return err
	}
	if err := s.Audit.complete(); err != nil {
		return err
	}
	if s.oddsOneIn, err = parseOdds(s.Odds); err != nil {
		return err
	}
	if s.proxies, err = twostep.ParseProxies(s.Proxies); err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	if s.Email.codeTTL, err = parseCodeTTL("email.valid", s.Email.Valid); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return fmt.Errorf("listen is %q, want ADDR:PORT like 127.0.0.1:8080", s.Listen)
	}
	if s.Database != "" && !strings.HasPrefix(s.Database, "postgres://") &&
		!strings.HasPrefix(s.Database, "postgresql://") {
		// The value is not quoted: it may contain a password.
		return errors.New("database is neither empty (SQLite in the data folder) nor a postgres:// URL")
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil {
		return fmt.Errorf("timezone is %q, want a name like Europe/Berlin: %w", s.Timezone, err)
	}
	if (s.TLS.Cert == "") != (s.TLS.Key == "") {
		return errors.New("tls.cert and tls.key: set both, or neither")
	}
	if s.isLocal() {
		return s.completeLocal(host)
	}
	return s.completePublic()
}

func (s *sessionSettings) complete() error {
	var err error
	if s.idleTimeout, err = time.ParseDuration(s.Idle); err != nil || s.idleTimeout <= 0 {
		return fmt.Errorf("session.idle is %q, want a time like 90m or 24h", s.Idle)
	}
	if s.absoluteTimeout, err = time.ParseDuration(s.Absolute); err != nil || s.absoluteTimeout <= 0 {
		return fmt.Errorf("session.absolute is %q, want a time like 90m or 24h", s.Absolute)
	}
	if s.idleTimeout > s.absoluteTimeout {
		return fmt.Errorf("session.idle is %s, longer than session.absolute with %s", s.Idle, s.Absolute)
	}
	return nil
}

// lacksTrustedProxies reports whether there must be a reverse proxy that is not configured.
func (s *settings) lacksTrustedProxies() bool {
	return strings.HasPrefix(s.PublicURL, "https://") && s.TLS.Cert == "" && len(s.proxies) == 0 && s.Trust.Days > 0 &&
		s.Trust.Network != "off"
}

// isLocal reports whether the server is for this machine only. Then mail stays in the inbox, where
// everybody who can reach the server can read it.
func (s *settings) isLocal() bool { return s.PublicURL == "" }

func isLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

func (s *settings) completeLocal(host string) error {
	if !isLoopbackHost(host) {
		return fmt.Errorf("listen is %s, but a server without a public URL is for this machine only: listen on "+
			"127.0.0.1, or %s",
			s.Listen, howToSet("public-url"))
	}
	if s.TLS.Cert != "" {
		return errors.New("tls.cert is set, but not the address that people use: " + howToSet("public-url"))
	}
	return nil
}

func (s *settings) completePublic() error {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" ||
		u.Fragment != "" {
		return fmt.Errorf("public_url is %q, want only https:// and a host, like https://signin.example.com",
			s.PublicURL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())) {
		return fmt.Errorf("public_url is %q, want https://: passwords and codes travel over it", s.PublicURL)
	}
	s.PublicURL = u.Scheme + "://" + u.Host
	for _, needed := range []struct{ flag, value string }{{"smtp-host", s.SMTP.Host}, {"smtp-from", s.SMTP.From}} {
		if needed.value == "" {
			return errors.New("a server with a public URL sends its codes by mail: " + howToSet(needed.flag))
		}
	}
	return s.smtpServer().Check()
}

// howToSet names a setting in the three ways in which it can be set.
func howToSet(flag string) string {
	key := strings.ReplaceAll(flag, "-", "_")
	for _, section := range []string{"smtp", "sms", "session", "trust", "email", "tls", "audit", "log", "brand"} {
		if rest, ok := strings.CutPrefix(flag, section+"-"); ok {
			key = section + "." + strings.ReplaceAll(rest, "-", "_")
		}
	}
	return fmt.Sprintf("set %s in the configuration file, %s in the environment, or --%s", key, environmentName(flag),
		flag)
}

func (s *settings) smtpServer() delivery.SMTP {
	return delivery.SMTP{
		Host: s.SMTP.Host, Port: s.SMTP.Port, Security: s.SMTP.Security,
		User: s.SMTP.User, Password: s.SMTP.Password, From: s.SMTP.From,
	}
}

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
		return fmt.Errorf("data folder: %w", err)
	}
	info, err := os.Stat(s.Data)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		log.Warn("other users can read the data folder: run chmod 700 on it", "data", s.Data)
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

// checkPortIsFixed returns an error if the port is not known in advance, for commands that print a
// URL.
func (s *settings) checkPortIsFixed() error {
	if _, port, _ := net.SplitHostPort(s.Listen); s.isLocal() && port == "0" {
		return errors.New("listen leaves the port open, so the address would lead nowhere: give --listen as the " +
			"server says it")
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
		Methods: verificationMethods(s), SignUp: s.SignUp, Location: zone, Logger: log,
		IdleTimeout: s.Session.idleTimeout, AbsoluteTimeout: s.Session.absoluteTimeout,
		TrustDays: s.Trust.Days, TrustNetwork: s.Trust.Network, TrustBrowser: s.Trust.Browser,
		Apps: s.apps, GuessOddsOneIn: s.oddsOneIn, AuditDays: s.Audit.Days, TrustedProxies: s.proxies,
		PrivateClients: s.Intranet,
		SMSGateways:    s.SMS.gateways, SMSPrice: s.SMS.price, SMSDailyBudget: s.SMS.budget,
	}
	if o.TrustDays == 0 {
		o.TrustDays = -1 // in Options, 0 is the default
	}
	if o.Database == "" {
		o.Database = filepath.Join(s.Data, "twostep.db")
	}
	if o.KeyFile == "" {
		o.KeyFile = filepath.Join(s.Data, "keys")
	}
	if !s.isLocal() {
		o.Senders = map[delivery.Channel]delivery.SendFunc{delivery.Email: s.smtpServer().Send}
		return o, nil
	}
	if o.Site == "" {
		o.Site = "Twostep" // the default would be the listener's address
	}
	if o.SMSGateways = nil; s.SMS.Gateways != "" {
		log.Warn("text messages stay in the inbox: sms.gateways needs public_url")
	}
	if s.SMTP.Host != "" {
		log.Warn("mail stays in the inbox: smtp.host needs public_url")
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
	// The flag allows only names that slog knows; the zero level is info.
	_ = level.UnmarshalText([]byte(l.Level))
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
