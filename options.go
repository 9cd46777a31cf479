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

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/brand"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/odds"
	"twostep.example/twostep/internal/trust"
)

// Options configure a Server. Database, KeyFile, PublicURL, Methods and Senders have no default; every other field may
// be left zero.
type Options struct {
	// Database is the path of a SQLite file, which is created if it does not exist, or a PostgreSQL URL
	// (postgres://…).
	Database string
	// KeyFile is the path of the file with the keys that seal the database. It is created on first use, readable by
	// its owner only. Without it the database cannot be read: back up both, apart from each other.
	KeyFile string
	// PublicURL is the address people use, like https://signin.example.com, without a path. Every link in a mail
	// starts with it, and requests for another host are refused. Plain http is for loopback addresses only.
	PublicURL string
	// Site is the name people see in pages and mails, at most 128 bytes. Default: the host of PublicURL.
	Site string
	// Brand is how pages and mails look. The zero value is a neutral look.
	Brand Brand
	// Methods are the verification methods, in the order in which they are offered. Each has its own name and its
	// own page.
	Methods []factor.Method
	// Senders has one function for each channel that the methods use: the Send of a delivery.SMTP or delivery.Inbox.
	Senders map[delivery.Channel]delivery.SendFunc
	// SMSGateways send text messages: each is tried if the one before did not accept the message. They replace
	// Senders[delivery.SMS].
	SMSGateways []delivery.Gateway
	// SignUp says who may create an account: "invited" (default), "open" or "closed".
	SignUp string
	// IdleTimeout is how long a session lasts without a request: at least a minute, default 1 h.
	IdleTimeout time.Duration
	// AbsoluteTimeout is how long a session lasts in any case: at least IdleTimeout, default 24 h.
	AbsoluteTimeout time.Duration
	// SMSPrice is the price of one text message, in thousandths of any unit of money (80 is 0.08).
	SMSPrice int64
	// SMSDailyBudget is what all text messages of a day (UTC) may cost, in the unit of SMSPrice. 0: no limit.
	SMSDailyBudget int64
	// Location is the time zone of the times in mails and on pages. Default: UTC.
	Location *time.Location
	// Logger gets one line for each request and for each fault. Default: slog.Default().
	Logger *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Local turns on local mode: an inbox that everybody can read. It needs a PublicURL on loopback. Default: off.
	Local *LocalMode
	// TrustDays is for how many days a browser may be trusted: 1 to 30, default 30. -1: not at all.
	TrustDays int
	// TrustNetwork says which addresses are the same network: "exact" (default, the same address), "prefix" or
	// "off" (any address).
	TrustNetwork string
	// TrustBrowser says which User-Agent headers are the same browser: "family" (default, any version) or "exact".
	TrustBrowser string
	// GuessOddsOneIn bounds the chance that somebody who knows a password passes the second step by guessing within a
	// year: 1 in GuessOddsOneIn, 50,000 (default) to 100,000. Beyond it a browser that is new to the account needs a longer code.
	GuessOddsOneIn int64
	// TrustedProxies are the networks of the reverse proxies in front of the server, whose X-Forwarded-For and
	// Forwarded headers are believed. ParseProxies reads them from text.
	TrustedProxies []netip.Prefix
	// Apps are the apps that let people sign in here, in addition to those in the database.
	Apps []App
	// NoBackgroundWork turns off the work in the background: no message is delivered and nothing old is deleted. It is for a
	// second program that opens the database of a running server.
	NoBackgroundWork bool
	// Operator names the person who uses the methods of the Server that change accounts and apps, in security events.
	// "": a program does.
	Operator string
	// AuditDays is for how many days security events are kept: 366 to 36,500, default 400.
	AuditDays int
	// PrivateClients accepts private client addresses (RFC 1918, RFC 4193). Without it a private address is taken for a
	// proxy's, and the network of the client counts as unknown.
	PrivateClients bool

	look brand.Brand // Brand, checked
}

// LocalMode is what only a server on loopback may have.
type LocalMode struct {
	// Inbox is where Senders put messages; everybody can read it at /inbox.
	Inbox *delivery.Inbox
	// AdvanceClock moves the clock of Options.Now forward. nil: the inbox has no button for it.
	AdvanceClock func(time.Duration)
}

// completed fills in the defaults. It returns an error that names the option that is missing or wrong.
func (o Options) completed() (Options, error) {
	public, err := url.Parse(o.PublicURL)
	if err != nil {
		return o, errors.New("twostep: PublicURL is not a URL")
	}
	missing := func(what string) error { return fmt.Errorf("twostep: Options.%s is missing", what) }
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
		return o, fmt.Errorf("twostep: PublicURL %q is not of the form https://host", o.PublicURL)
	case public.Scheme != "https" && (public.Scheme != "http" || !trust.IsLoopbackHost(public.Hostname())):
		return o, fmt.Errorf("twostep: PublicURL %q: only https is safe for passwords; plain http is for this machine only",
			o.PublicURL)
	case o.Local != nil && !trust.IsLoopbackHost(public.Hostname()):
		return o, errors.New("twostep: local mode shows everybody the mail, so PublicURL must be on this machine only")
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
		return o, errors.New("twostep: Site is longer than 128 bytes or holds a control character; it stands in every mail")
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
		return o, fmt.Errorf("twostep: SignUp is %q, not invited, open or closed", o.SignUp)
	}
	if err := o.completeTrust(); err != nil {
		return o, err
	}
	if err := checkApps(o.Apps); err != nil {
		return o, err
	}
	if o.GuessOddsOneIn = first(o.GuessOddsOneIn, leastOdds); o.GuessOddsOneIn < leastOdds || o.GuessOddsOneIn > mostOdds {
		return o, fmt.Errorf("twostep: GuessOddsOneIn is 1 in %d, not 1 in %d to %d: "+
			"with %d new passwords in a year it may come to 1 in %d; and five apps need one guess",
			o.GuessOddsOneIn, leastOdds, mostOdds, odds.MaxRenewalsPerYear, int64(odds.Certainty/odds.MaxAccountBudgetPerYear))
	}
	if o.AuditDays = first(o.AuditDays, 400); o.AuditDays < leastAuditDays || o.AuditDays > mostAuditDays {
		return o, fmt.Errorf("twostep: AuditDays is %d, want %d to %d", o.AuditDays, leastAuditDays, mostAuditDays)
	}
	o.IdleTimeout, o.AbsoluteTimeout = first(o.IdleTimeout, time.Hour), first(o.AbsoluteTimeout, 24*time.Hour)
	if o.IdleTimeout < time.Minute || o.AbsoluteTimeout < o.IdleTimeout {
		return o, errors.New("twostep: IdleTimeout must be at least a minute, and AbsoluteTimeout at least IdleTimeout")
	}
	o.Location = first(o.Location, time.UTC)
	o.Logger = first(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

const (
	leastOdds = int64(odds.Certainty / odds.AccountBudgetPerYear)
	mostOdds  = int64(odds.Certainty / (odds.AccountBudgetPerYear / 2))
)

// checkMethods refuses methods that could not be told apart, and codes that their sign-in or enrollment would not
// outlive: their mail would promise more minutes than there are.
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
			return fmt.Errorf("twostep: two gateways are named %q: their receipts could not be told apart", g.Name)
		}
		names[g.Name] = true
	}
	return nil
}

// checkApps says what is wrong with one of the apps, or what two of them claim.
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
		return fmt.Errorf("twostep: TrustDays is %d, not 1 to %d, or -1 for none", o.TrustDays, maxTrustDays)
	case !slices.Contains([]trust.NetworkMatch{trust.NetworkExact, trust.NetworkPrefix, trust.NetworkIgnored},
		trust.NetworkMatch(o.TrustNetwork)):
		return fmt.Errorf("twostep: TrustNetwork is %q, not exact, prefix or off", o.TrustNetwork)
	case !slices.Contains([]trust.BrowserMatch{trust.BrowserFamily, trust.BrowserExact}, trust.BrowserMatch(o.TrustBrowser)):
		return fmt.Errorf("twostep: TrustBrowser is %q, not family or exact", o.TrustBrowser)
	}
	if o.TrustedProxies, err = trust.TrustedProxies(o.TrustedProxies).Normalize(); err != nil {
		return fmt.Errorf("twostep: TrustedProxies: %w", err)
	}
	for _, p := range o.TrustedProxies {
		if o.PrivateClients && trust.IsPrivateAddr(p.Addr()) && !p.Addr().IsLoopback() && p.Addr().BitLen()-p.Bits() > 3 {
			return fmt.Errorf("twostep: TrustedProxies: in an intranet %s has clients too, and each of them "+
				"could forge its address: name each proxy by its address", p)
		}
	}
	return nil
}

// ParseProxies parses addresses and networks like 10.0.0.0/8, separated by commas or white space, for
// Options.TrustedProxies. It returns an error that names the part that is neither.
func ParseProxies(text string) ([]netip.Prefix, error) { return trust.ParseTrustedProxies(text) }

// Options.AuditDays is at least one year, and at most about a hundred.
const leastAuditDays, mostAuditDays = 366, 36_500

// actor returns who the events of the Server's methods name.
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

// isForServer reports whether the request is for this server. A health check comes by address, so its host may be any.
func (o Options) isForServer(r *http.Request) bool {
	return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || o.isHost(r.Host)
}

// isHost reports whether a Host header names this server. Another name that points here may be an attacker's (DNS
// rebinding). If PublicURL is on loopback, every loopback name with its port will do.
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
