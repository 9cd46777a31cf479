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
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/trust"
)

// Options say how a Server is to be. Database, KeyFile, PublicURL, Methods and Send
// have no default.
type Options struct {
	Database  string // the path of a SQLite file, or postgres://…
	KeyFile   string // the keys; made on first use, readable by its owner alone
	PublicURL string // "https://signin.example.com": every link starts with it, and no other host is answered
	Site      string // the name people see; default: the host of PublicURL
	Methods   []factor.Method
	Send      map[delivery.Channel]delivery.Send
	Gateways  []delivery.Gateway // for text messages: each is tried if the one before did not take it
	SignUp    string             // "invited" (default), "open" or "closed"
	Idle      time.Duration      // a session ends after so long without a request; default 1 h
	Absolute  time.Duration      // and after so long in any case; default 24 h
	// TextPrice is what one text message costs, TextBudget what all of a day (UTC) may
	// cost; in thousandths of any unit. TextBudget 0: no limit.
	TextPrice, TextBudget int64
	Location              *time.Location // the zone in which mails and pages tell the time; default UTC
	Log                   *slog.Logger   // default: slog.Default()
	Now                   func() time.Time
	Local                 *Local // local mode: plain http on loopback, and the inbox
	// TrustDays is for how many days a browser may be trusted: 1 to 30, default 30; -1: it
	// may not.
	TrustDays    int
	TrustNetwork string // which addresses are one place: "exact" (default), "prefix" or "off"
	TrustBrowser string // which browsers are one: "family" (default) or "exact"
	// Odds is the chance, 1 in so many, that somebody who knows a password may have in a year of
	// passing the second step by guessing: 50,000 (default) to 100,000. Beyond it a browser
	// that is new to the account needs a longer code.
	Odds int64
	// TrustedProxies are the networks of the reverse proxies in front, whose X-Forwarded-For
	// and Forwarded are believed, see Proxies.
	TrustedProxies []netip.Prefix
	// Apps are the apps that let people sign in here, beside those that are added to the
	// database.
	Apps []App
	// Paused is for a look into the database beside a running server: nothing is delivered
	// and nothing swept.
	Paused bool
	// Operator names the person who uses the methods of the Server that change accounts and apps, for
	// the audit; "": a program does.
	Operator string
	// AuditDays is for how many days security events are kept: 366 to 36,500, default 400.
	AuditDays int
	// Intranet says that people come from private addresses. Otherwise those are a proxy's,
	// and nobody knows who is behind it.
	Intranet bool
}

// Local is what only a server on loopback may have.
type Local struct {
	Inbox *delivery.Inbox     // what Send puts messages into; shown to everybody at /inbox
	Turn  func(time.Duration) // moves the clock of Options.Now forward; nil: the inbox has no such button
}

// completed fills in the defaults and refuses nonsense.
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
	case len(o.Send) == 0:
		return o, missing("Send")
	case public.Host == "" || strings.Trim(public.Path, "/") != "" || public.RawQuery != "" || public.Fragment != "" || public.User != nil:
		return o, fmt.Errorf("twostep: PublicURL %q is not of the form https://host", o.PublicURL)
	case public.Scheme != "https" && (public.Scheme != "http" || !isLoopback(public.Hostname())):
		return o, fmt.Errorf("twostep: PublicURL %q: only https is safe for passwords; plain http is for this machine only", o.PublicURL)
	case o.Local != nil && !isLoopback(public.Hostname()):
		return o, errors.New("twostep: local mode shows everybody the mail, so PublicURL must be on this machine only")
	}
	public.Host = strings.ToLower(public.Host)
	if public.Scheme == "https" { // browsers leave it out
		public.Host = strings.TrimSuffix(public.Host, ":443")
	}
	names := map[string]bool{}
	for _, g := range o.Gateways {
		if names[g.Name] {
			return o, fmt.Errorf("twostep: two gateways are named %q: their receipts could not be told apart", g.Name)
		}
		names[g.Name] = true
	}
	o.PublicURL = public.Scheme + "://" + public.Host
	o.Site = first(o.Site, public.Hostname())
	if len(o.Site) > 128 || strings.ContainsFunc(o.Site, unicode.IsControl) || !utf8.ValidString(o.Site) {
		return o, errors.New("twostep: Site is longer than 128 bytes or holds a control character; it stands in every mail")
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
	if o.Odds = first(o.Odds, leastOdds); o.Odds < leastOdds || o.Odds > mostOdds {
		return o, fmt.Errorf("twostep: Odds is 1 in %d, not 1 in %d to %d: with %d new passwords in a year it may come to 1 in %d; and five apps need one guess",
			o.Odds, leastOdds, mostOdds, limit.Renewals, int64(limit.One/limit.Ceiling))
	}
	if o.AuditDays = first(o.AuditDays, 400); o.AuditDays < leastAuditDays || o.AuditDays > mostAuditDays {
		return o, fmt.Errorf("twostep: AuditDays is %d, want %d to %d", o.AuditDays, leastAuditDays, mostAuditDays)
	}
	o.Idle, o.Absolute = first(o.Idle, time.Hour), first(o.Absolute, 24*time.Hour)
	if o.Idle < time.Minute || o.Absolute < o.Idle {
		return o, errors.New("twostep: Idle must be at least a minute, and Absolute at least Idle")
	}
	o.Location = first(o.Location, time.UTC)
	o.Log = first(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

const (
	leastOdds = int64(limit.One / limit.PerYear)
	mostOdds  = int64(limit.One / (limit.PerYear / 2))
)

// checkApps says what is wrong with one of the apps, or what two of them claim.
func checkApps(apps []App) error {
	for i, a := range apps {
		err := a.Check()
		for _, other := range apps[:i] {
			err = first(err, a.Clash(other))
		}
		if err != nil {
			return fmt.Errorf("twostep: Apps: %w", err)
		}
	}
	return nil
}

const maxTrustDays = int(trust.Life / (24 * time.Hour))

func (o *Options) completeTrust() (err error) {
	o.TrustDays = first(o.TrustDays, maxTrustDays)
	o.TrustNetwork, o.TrustBrowser = first(o.TrustNetwork, string(trust.Exact)), first(o.TrustBrowser, string(trust.Family))
	switch {
	case o.TrustDays < -1 || o.TrustDays > maxTrustDays:
		return fmt.Errorf("twostep: TrustDays is %d, not 1 to %d, or -1 for none", o.TrustDays, maxTrustDays)
	case !slices.Contains([]trust.Network{trust.Exact, trust.Prefix, trust.Anywhere}, trust.Network(o.TrustNetwork)):
		return fmt.Errorf("twostep: TrustNetwork is %q, not exact, prefix or off", o.TrustNetwork)
	case !slices.Contains([]trust.Rule{trust.Family, trust.SameText}, trust.Rule(o.TrustBrowser)):
		return fmt.Errorf("twostep: TrustBrowser is %q, not family or exact", o.TrustBrowser)
	}
	if o.TrustedProxies, err = trust.Proxies(o.TrustedProxies).Checked(); err != nil {
		return fmt.Errorf("twostep: TrustedProxies: %w", err)
	}
	for _, p := range o.TrustedProxies {
		if o.Intranet && trust.Private(p.Addr()) && !p.Addr().IsLoopback() && p.Addr().BitLen()-p.Bits() > 3 {
			return fmt.Errorf("twostep: TrustedProxies: in an intranet %s holds people too, and each of them could say where they are: name each proxy by its address", p)
		}
	}
	return nil
}

// Proxies reads addresses and networks like 10.0.0.0/8, separated by commas or white space,
// for Options.TrustedProxies.
func Proxies(text string) ([]netip.Prefix, error) { return trust.ParseProxies(text) }

// Events are kept for at least one year, and at most about a hundred.
const leastAuditDays, mostAuditDays = 366, 36_500

// actor is who uses the Server's methods.
func (o Options) actor() audit.Actor {
	if o.Operator == "" {
		return audit.Actor{Type: audit.TypeProgram}
	}
	return audit.Actor{Type: audit.TypeOperator, ID: o.Operator}
}

// policy is what the options say about trust.
func (o Options) policy() trust.Policy {
	return trust.Policy{
		Life:    time.Duration(max(o.TrustDays, 0)) * 24 * time.Hour,
		Network: trust.Network(o.TrustNetwork), Browser: trust.Rule(o.TrustBrowser),
	}
}

// private says whether people may come from addresses of this machine and of private
// networks.
func (o Options) private() bool {
	return o.Intranet || isLoopback(name(strings.TrimPrefix(strings.TrimPrefix(o.PublicURL, "https://"), "http://")))
}

// first is the first of its arguments that says something.
func first[T comparable](given, otherwise T) T {
	var nothing T
	if given == nothing {
		return otherwise
	}
	return given
}

func (o Options) secure() bool { return strings.HasPrefix(o.PublicURL, "https://") }

// knows reports whether the request is for this server: a name that somebody else
// made point here (DNS rebinding) is none of ours. On loopback every name of this
// machine will do. A health check comes by address.
func (o Options) knows(r *http.Request) bool {
	_, host, _ := strings.Cut(o.PublicURL, "://")
	if strings.EqualFold(r.Host, host) || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return true
	}
	return isLoopback(name(host)) && isLoopback(name(r.Host)) && port(host) == port(r.Host)
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

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
