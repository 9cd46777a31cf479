package twostep

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/brand"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Options configure a Server. Database, KeyFile, PublicURL, Methods and Senders are required. Every other field may be
// zero, which means its default.
type Options struct {
	// Database is a PostgreSQL URL (postgres://…), or the path of a SQLite file, which New creates if it does not
	// exist.
	Database string
	// Postgres has the limits of the connections to PostgreSQL.
	Postgres Postgres
	// KeyFile is the path of the file with the keys that encrypt secrets in the database. New creates it for a new
	// database, readable by its owner only. Without it the database cannot be used: back up both, in different
	// places.
	KeyFile string
	// PublicURL is the address people use, for example https://signin.example.com, without a path. Every link in an
	// email starts with it, and requests for another host are refused. Plain http is allowed on loopback only.
	PublicURL string
	// Site is the name people see in pages and emails, at most 128 bytes. Default: the host of PublicURL.
	Site string
	// Brand is how pages and mails look. The zero value is a neutral look.
	Brand Brand
	// Methods are the verification methods, in the order in which they are offered. Each has its own name and its
	// own page.
	Methods []factor.Method
	// Senders has one function for each channel that the methods use, for example the Send method of a delivery.SMTP
	// or a delivery.Inbox.
	Senders map[delivery.Channel]delivery.SendFunc
	// SMSGateways send text messages, see delivery.Failover. They replace Senders[delivery.SMS].
	SMSGateways []delivery.Gateway
	// SignUp says who may create an account: "invited" (default), "open" or "closed".
	SignUp string
	// IdleTimeout is how long a session lasts without a request: at least a minute, default 1 h.
	IdleTimeout time.Duration
	// AbsoluteTimeout is how long a session lasts in any case: at least IdleTimeout, default 24 h.
	AbsoluteTimeout time.Duration
	// StaySignedIn adds the checkbox "Stay signed in" to the sign-in page. It says whether the browser keeps the cookie
	// of the session when it is closed. Without it, the browser does so if AbsoluteTimeout is more than 24 h. The
	// session ends as IdleTimeout and AbsoluteTimeout say in any case.
	StaySignedIn bool
	// CertificateEnds returns when the certificate of this server ends, and the one that the mail server showed last;
	// zero: not known. Operators are alarmed 14 days before. nil: neither is known.
	CertificateEnds func() (own, mailServer time.Time)
	// SMSPrice is the price of one text message, in thousandths of a currency unit: 80 is 0.08. Default: 0.
	SMSPrice int64
	// SMSDailyBudget is the most that all text messages of a day (UTC) may cost, in the unit of SMSPrice. 0: no limit.
	SMSDailyBudget int64
	// Location is the time zone of times in emails and on pages. Default: UTC.
	Location *time.Location
	// Logger gets one line for each request, security event and fault. Default: slog.Default().
	Logger *slog.Logger
	// Now is the clock. Default: time.Now. New compares the default with the clock of PostgreSQL, or with the latest
	// time in the SQLite file, and so does the Server each minute. If they differ by more than 2 seconds, the log has a
	// warning. Beyond one minute, New returns an error, and a running Server answers every request with 503 until the
	// clock is right. A clock that is set here is not compared.
	Now func() time.Time
	// Local turns on local mode: messages are shown at Server.InboxURL, and requests that a proxy forwards are refused.
	// It needs a PublicURL on loopback. Default: nil, off.
	Local *LocalMode
	// TrustDays is for how many days a browser may be trusted: 1 to 30, default 30. -1 turns trust off.
	TrustDays int
	// TrustNetwork says which addresses are the same network: "exact" (default: an IPv4 address, an IPv6 /64),
	// "prefix" (an IPv4 /24, an IPv6 /56) or "off" (networks are not compared).
	TrustNetwork string
	// TrustBrowser says which browsers are the same: "family" (default: the same browser and system, not an older
	// version) or "exact" (the same User-Agent header).
	TrustBrowser string
	// EmailSecondStep says when codes by email are a second step: "always" (default), or "until-another" (only until the
	// account has another method that is no backup).
	EmailSecondStep string
	// EmailPauseAfterReset is how long after a password reset by email codes by email are no second step, if the account
	// has another method: 1 h to 720 h, whole hours, default 24 h. Access to a mailbox alone is enough to sign in after
	// that, unless EmailSecondStep is "until-another".
	EmailPauseAfterReset time.Duration
	// GuessOddsOneIn limits the chance that somebody who knows a password guesses the second step within a year to 1 in
	// GuessOddsOneIn: 50,000 (default) to 100,000. Once it is used up, browsers that are new to the account need a
	// longer code.
	GuessOddsOneIn int64
	// TrustedProxies are the addresses or networks of the reverse proxies in front of the server. X-Forwarded-For and
	// Forwarded headers are accepted from them only. ParseProxies parses them from text.
	TrustedProxies []netip.Prefix
	// ProxySecret proves that a request comes from a reverse proxy: it sends the value in the header
	// Twostep-Proxy-Secret. If it is set, X-Forwarded-For and Forwarded headers are accepted with it only, from any
	// address; TrustedProxies then names the proxies in front of that proxy. At least 32 bytes of printable ASCII
	// without spaces. A proxy that connects to a Unix socket needs no secret and no TrustedProxies.
	ProxySecret string
	// Apps are apps in which people sign in with their accounts here, in addition to those in the database.
	Apps []App
	// ClientMetadata allows apps that are not registered: their client_id is the https URL of a document that describes
	// them (Client ID Metadata Documents), as MCP clients have it. People are asked for consent each time. Default: nil,
	// off.
	ClientMetadata *ClientMetadata
	// Webhooks get security events as signed requests. They need no secrets with NoBackgroundWork.
	Webhooks []Webhook
	// NoBackgroundWork turns off background work: messages are not sent, and expired rows are not deleted. Set it in a
	// second program that opens the database of a running server.
	NoBackgroundWork bool
	// Operator is the name, in security events, of the person who changes accounts and apps with methods of Server.
	// "": the events name the program as actor.
	Operator string
	// OperatorSecondStep says which second step opens the operators' pages (/admin): "strongest" (default: something
	// stronger than a code by email, if the account has it), or "any".
	OperatorSecondStep string
	// ApproveDeskCodes requires that a second operator approves every code of the help desk for a person who is locked
	// out. Codes for accounts with a role always need that.
	ApproveDeskCodes bool
	// Settings are shown to operators, for example those of a configuration file. Mask secrets.
	Settings []Setting
	// Version is the version of the program, shown to operators.
	Version string
	// AuditDays is how many days security events are kept: 366 to 36,500, default 400.
	AuditDays int
	// Metrics is where New registers the metrics of this server: a prometheus.Registry of the program, or
	// prometheus.DefaultRegisterer. Close removes them. Two servers in one registry need a label each, see
	// prometheus.WrapRegistererWith. docs/how-to/monitor.md lists the metrics. Default: nil, nothing is measured.
	Metrics prometheus.Registerer
	// HelpMenu is the path to the verification methods in the menu of your app, like "Settings -> Billing & Admin", at
	// most 128 bytes. The help page says "Browse to …" with it, and that the page opens in a new window. Default: the
	// help page leads to /settings of the server.
	HelpMenu string
	// PrivateClients accepts private client addresses (RFC 1918, RFC 4193). Otherwise a private address is assumed to
	// be a proxy, and the network of the client is unknown.
	PrivateClients bool
	// HSTSSubdomains extends Strict-Transport-Security, which every https response has for a year, to all subdomains of
	// the host of PublicURL (includeSubDomains, RFC 6797 6.1.2). Browsers then refuse http there.
	HSTSSubdomains bool

	look         brand.Brand // Brand, checked
	machineClock bool        // Now was not set
}

// ClientMetadata says how the documents of apps that are not registered are read.
type ClientMetadata struct {
	// Transport sends the requests, for example through a proxy that connects to public addresses only. The size, the
	// time and the number of the requests are limited in any case. Default: one that connects to port 443 of public
	// addresses only.
	Transport http.RoundTripper
}

// Postgres has the limits of the connections to PostgreSQL. The zero value is the default.
type Postgres struct {
	// MaxConnections is the most connections of this program at a time. Default: 20.
	MaxConnections int
	// StatementTimeout limits each statement; 0 is no limit. Through a connection pooler it limits the statements of
	// transactions; the others are limited by the time of a request.
	StatementTimeout time.Duration
	// ApplicationName is the name of the connections in pg_stat_activity. Default: twostep.
	ApplicationName string
}

// LocalMode configures a server for this machine only.
type LocalMode struct {
	// Inbox is the inbox to which Senders deliver. Server.InboxURL opens it. The key in that address is stored in the
	// folder of the inbox.
	Inbox *delivery.Inbox
	// AdvanceClock moves the clock of Options.Now forward. nil: the inbox has no control for it.
	AdvanceClock func(time.Duration)
}

// Setting is a setting that is shown to operators.
type Setting struct {
	Name   string // as it is in the documentation, like smtp.host
	Value  string // "": not set
	Source string // where it was set, like "twostep.toml, line 7"; "": it is the default
}

// OptionError says which option of Options is missing or wrong.
type OptionError struct {
	Option string // the name of the field
	Err    error  // what is wrong; it continues the name, as in "is missing"
}

func (e *OptionError) Error() string { return "twostep: " + e.Option + " " + e.Err.Error() }

func (e *OptionError) Unwrap() error { return e.Err }

func optionError(option, format string, args ...any) error {
	return &OptionError{Option: option, Err: fmt.Errorf(format, args...)}
}

// completed fills in the defaults. It returns an error that names the option that is missing or wrong.
func (o Options) completed() (Options, error) {
	public, err := url.Parse(o.PublicURL)
	if err != nil {
		return o, optionError("PublicURL", "is not a URL, want one like https://signin.example.com")
	}
	missing := func(what string) error { return optionError(what, "is missing") }
	switch {
	case o.Database == "":
		return o, missing("Database")
	case o.KeyFile == "":
		return o, missing("KeyFile")
	case len(o.Methods) == 0:
		return o, missing("Methods")
	case len(o.Senders) == 0:
		return o, missing("Senders")
	case public.Host == "" || strings.Trim(public.Path, "/") != "" ||
		public.RawQuery != "" || public.Fragment != "" || public.User != nil:
		return o, optionError("PublicURL", "is %q, not of the form https://host", o.PublicURL)
	case public.Scheme != "https" && (public.Scheme != "http" || !trust.IsLoopbackHost(public.Hostname())):
		return o, optionError("PublicURL", "is %q, want https, because passwords travel over it; http is for loopback only",
			o.PublicURL)
	case o.Local != nil && !trust.IsLoopbackHost(public.Hostname()):
		return o, optionError("PublicURL", "must be a loopback address in local mode, because it is for this machine only")
	}
	public.Host = strings.ToLower(public.Host)
	if public.Scheme == "https" { // browsers leave it out
		public.Host = strings.TrimSuffix(public.Host, ":443")
	}
	if err := errors.Join(checkMethods(o.Methods), checkGateways(o.SMSGateways)); err != nil {
		return o, err
	}
	o.PublicURL = public.Scheme + "://" + public.Host
	o.Site = first(o.Site, public.Hostname())
	if len(o.Site) > 128 || strings.ContainsFunc(o.Site, unicode.IsControl) || !utf8.ValidString(o.Site) {
		return o, optionError("Site", "is longer than 128 bytes or has a control character")
	}
	if len(o.HelpMenu) > 128 || strings.ContainsFunc(o.HelpMenu, unicode.IsControl) || !utf8.ValidString(o.HelpMenu) {
		return o, optionError("HelpMenu", "is longer than 128 bytes or has a control character")
	}
	if o.look, err = brand.New(brand.Config(o.Brand)); err != nil {
		return o, fmt.Errorf("twostep: Brand: %w", err)
	}
	if c := o.look.Colors; c != nil && c.Corrected() {
		o.Logger = first(o.Logger, slog.Default())
		o.Logger.Info("brand color corrected for text and links", "color", c.Given, "light", c.Light.Accent,
			"dark", c.Dark.Accent)
	}
	o.SignUp = first(o.SignUp, "invited")
	if o.SignUp != "invited" && o.SignUp != "open" && o.SignUp != "closed" {
		return o, optionError("SignUp", "is %q, want invited, open or closed", o.SignUp)
	}
	if err := o.completeTrust(); err != nil {
		return o, err
	}
	if err := errors.Join(checkApps(o.Apps), o.checkWebhooks()); err != nil {
		return o, err
	}
	o.EmailSecondStep = first(o.EmailSecondStep, "always")
	if o.EmailSecondStep != "always" && o.EmailSecondStep != store.EmailUntilAnother {
		return o, optionError("EmailSecondStep", "is %q, want always or until-another", o.EmailSecondStep)
	}
	o.OperatorSecondStep = first(o.OperatorSecondStep, "strongest")
	if o.OperatorSecondStep != "strongest" && o.OperatorSecondStep != "any" {
		return o, optionError("OperatorSecondStep", "is %q, want strongest or any", o.OperatorSecondStep)
	}
	o.EmailPauseAfterReset = first(o.EmailPauseAfterReset, challenge.EmailPauseAfterReset)
	if d := o.EmailPauseAfterReset; d < time.Hour || d > 720*time.Hour || d%time.Hour != 0 {
		return o, optionError("EmailPauseAfterReset", "is %s, want whole hours from 1h to 720h", d)
	}
	if o.GuessOddsOneIn = first(o.GuessOddsOneIn, leastOdds); o.GuessOddsOneIn < leastOdds || o.GuessOddsOneIn > mostOdds {
		return o, optionError("GuessOddsOneIn", "is 1 in %d, want 1 in %d to 1 in %d. If the password is changed %d times in "+
			"a year, the chance may reach 1 in %d; five authenticator apps need one guess",
			o.GuessOddsOneIn, leastOdds, mostOdds, odds.MaxRenewalsPerYear, int64(odds.Certainty/odds.MaxAccountBudgetPerYear))
	}
	if o.Postgres.MaxConnections < 0 || o.Postgres.StatementTimeout < 0 {
		return o, optionError("Postgres", "has a negative limit: %+v", o.Postgres)
	}
	if o.AuditDays = first(o.AuditDays, 400); o.AuditDays < leastAuditDays || o.AuditDays > mostAuditDays {
		return o, optionError("AuditDays", "is %d, want %d to %d", o.AuditDays, leastAuditDays, mostAuditDays)
	}
	o.IdleTimeout, o.AbsoluteTimeout = first(o.IdleTimeout, time.Hour), first(o.AbsoluteTimeout, 24*time.Hour)
	if o.IdleTimeout < time.Minute || o.AbsoluteTimeout < o.IdleTimeout {
		return o, optionError("IdleTimeout", "is %s, want at least 1m and at most AbsoluteTimeout (%s)", o.IdleTimeout,
			o.AbsoluteTimeout)
	}
	o.Location = first(o.Location, time.UTC)
	o.Logger = first(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now, o.machineClock = time.Now, true
	}
	return o, nil
}

const (
	leastOdds = int64(odds.Certainty / odds.AccountBudgetPerYear)
	mostOdds  = int64(odds.Certainty / (odds.AccountBudgetPerYear / 2))
)

// checkMethods refuses two methods with one name or page, and codes that are valid for longer than their sign-in or
// enrollment: the email would promise more minutes than there are.
func checkMethods(methods []factor.Method) error {
	names, paths := map[string]bool{}, map[string]string{}
	for i, m := range methods {
		if m == nil {
			return fmt.Errorf("twostep: Methods[%d] is nil", i)
		}
		about := m.Info()
		switch {
		case about.Method == "":
			return fmt.Errorf("twostep: Methods[%d]: its Info().Method is empty", i)
		case names[about.Method]:
			return fmt.Errorf("twostep: Methods: two methods are named %q", about.Method)
		case about.Path != "" && paths[about.Path] != "":
			return fmt.Errorf("twostep: Methods: %q and %q have the same page, /settings/2step/%s",
				paths[about.Path], about.Method, about.Path)
		case about.CodeTTL < 0 || about.CodeTTL > challenge.MaxCodeTTL:
			return fmt.Errorf("twostep: Methods: a code of %q is valid for %s, not for 0 to %s: it would outlive its sign-in",
				about.Method, about.CodeTTL, challenge.MaxCodeTTL)
		}
		names[about.Method], paths[about.Path] = true, about.Method
	}
	return nil
}

func checkGateways(gateways []delivery.Gateway) error {
	names := map[string]bool{}
	for _, g := range gateways {
		if names[g.Name] {
			return optionError("SMSGateways", "has two gateways named %q, so their delivery receipts could not be told apart",
				g.Name)
		}
		names[g.Name] = true
	}
	return nil
}

// checkApps returns an error if an app is not valid or two apps conflict.
func checkApps(apps []App) error {
	for i, a := range apps {
		err := a.Validate()
		for _, other := range apps[:i] {
			err = first(err, a.CheckConflict(other))
		}
		if err != nil {
			return fmt.Errorf("twostep: Apps: %w", err)
		}
	}
	return nil
}

const maxTrustDays = int(trust.MaxTTL / (24 * time.Hour))

func (o *Options) completeTrust() (err error) {
	o.TrustDays = first(o.TrustDays, maxTrustDays)
	o.TrustNetwork = first(o.TrustNetwork, string(trust.NetworkExact))
	o.TrustBrowser = first(o.TrustBrowser, string(trust.BrowserFamily))
	switch {
	case o.TrustDays < -1 || o.TrustDays > maxTrustDays:
		return optionError("TrustDays", "is %d, want 1 to %d, or -1 for none", o.TrustDays, maxTrustDays)
	case !slices.Contains([]trust.NetworkMatch{trust.NetworkExact, trust.NetworkPrefix, trust.NetworkIgnored},
		trust.NetworkMatch(o.TrustNetwork)):
		return optionError("TrustNetwork", "is %q, want exact, prefix or off", o.TrustNetwork)
	case !slices.Contains([]trust.BrowserMatch{trust.BrowserFamily, trust.BrowserExact}, trust.BrowserMatch(o.TrustBrowser)):
		return optionError("TrustBrowser", "is %q, want family or exact", o.TrustBrowser)
	}
	if o.TrustedProxies, err = trust.TrustedProxies(o.TrustedProxies).Normalize(); err != nil {
		return optionError("TrustedProxies", "is wrong: %w", err)
	}
	if s := o.ProxySecret; s != "" && (len(s) < 32 || len(s) > 512 || strings.ContainsFunc(s, isNotTokenRune)) {
		return optionError("ProxySecret", "must have 32 to 512 letters, digits or other visible characters: use the output "+
			"of openssl rand -hex 32")
	}
	for _, p := range o.TrustedProxies {
		if o.PrivateClients && trust.IsPrivateAddr(p.Addr()) && !p.Addr().IsLoopback() && p.Addr().BitLen()-p.Bits() > 3 {
			return optionError("TrustedProxies", "has the private network %s, but private clients are accepted, so those in it "+
				"could forge their address: name each proxy by its address, like 10.0.0.7", p)
		}
	}
	return nil
}

// isNotTokenRune reports whether a character is a space, a control character or not ASCII.
func isNotTokenRune(r rune) bool { return r <= ' ' || r > '~' }

// ParseProxies parses addresses and networks, for example 10.0.0.0/8, separated by commas or white space, for
// Options.TrustedProxies. Its error names the part that is neither, or a network that is too large.
func ParseProxies(text string) ([]netip.Prefix, error) { return trust.ParseTrustedProxies(text) }

// Options.AuditDays is at least one year, and at most about a hundred.
const leastAuditDays, mostAuditDays = 366, 36_500

// actor returns the actor in the events of the Server's methods.
func (o Options) actor() audit.Actor {
	if o.Operator == "" {
		return audit.Actor{Type: audit.TypeProgram}
	}
	return audit.Actor{Type: audit.TypeOperator, ID: o.Operator}
}

// policy returns the trust policy of the options.
func (o Options) policy() trust.Policy {
	return trust.Policy{
		TTL:     time.Duration(max(o.TrustDays, 0)) * 24 * time.Hour,
		Network: trust.NetworkMatch(o.TrustNetwork), Browser: trust.BrowserMatch(o.TrustBrowser),
	}
}

// private reports whether clients may have loopback and private addresses.
func (o Options) private() bool {
	_, host, _ := strings.Cut(o.PublicURL, "://")
	return o.PrivateClients || trust.IsLoopbackHost(name(host))
}

// first returns given, or otherwise if given is the zero value.
func first[T comparable](given, otherwise T) T {
	var nothing T
	if given == nothing {
		return otherwise
	}
	return given
}

func (o Options) secure() bool { return strings.HasPrefix(o.PublicURL, "https://") }

// isForServer reports whether the request is for this server. Health checks may use any host, because load balancers
// send them to the address.
func (o Options) isForServer(r *http.Request) bool {
	return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || o.isHost(r.Host)
}

// isHost reports whether a Host header names this server. Another name that resolves to this address may be an
// attacker's (DNS rebinding). If PublicURL is on loopback, every loopback name with its port is accepted.
func (o Options) isHost(header string) bool {
	_, host, _ := strings.Cut(o.PublicURL, "://")
	return strings.EqualFold(header, host) || port(host) == port(header) &&
		trust.IsLoopbackHost(name(host)) && trust.IsLoopbackHost(name(header))
}

func name(hostport string) string {
	u := url.URL{Host: hostport}
	return u.Hostname()
}

func port(hostport string) string {
	_, p, err := net.SplitHostPort(hostport)
	if err != nil {
		return ""
	}
	return p
}
