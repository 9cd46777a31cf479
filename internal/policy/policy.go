// Package policy says how long trust, sessions and refresh tokens last, and which methods are allowed, for a person with
// groups in an app.
//
//	Policy (rules for all, by group and by app) ─▶ New ─▶ Rules.For(groups, app) ─▶ Limits, the strictest of each
//
// It is pure: it reads no file, no database and no clock. Every limit names the rule that set it.
package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The keys of a rule, as in the configuration file.
const (
	KeyPreset         = "preset"
	KeyTrust          = "trust"
	KeyIdle           = "session.idle"
	KeyAbsolute       = "session.absolute"
	KeyRefresh        = "refresh"
	KeyMethods        = "methods"
	KeyRequire        = "require"
	KeyReauthenticate = "reauthenticate"
)

// Keys returns all keys of a rule.
func Keys() []string {
	return []string{KeyPreset, KeyTrust, KeyIdle, KeyAbsolute, KeyRefresh, KeyMethods, KeyRequire, KeyReauthenticate}
}

// Off is a Trust that trusts no device.
const Off time.Duration = -1

// The defaults of the rule for all.
const (
	MaxTrust              = 30 * 24 * time.Hour // source: the help page, "for up to 30 days"
	DefaultIdle           = time.Hour
	DefaultAbsolute       = 24 * time.Hour
	DefaultReauthenticate = 15 * time.Minute
)

// Policy is the rules of a site. Of all rules that apply to a sign-in, the strictest value of each setting counts.
type Policy struct {
	All    Rule
	Groups map[string]Rule // by group of the account
	Apps   map[string]Rule // by client ID
}

// Rule is what one table of the configuration file sets. A zero field sets nothing.
type Rule struct {
	Preset string // the settings of a preset too
	// Trust is how long a device may be trusted: whole hours, 1 h to 30 days, or Off. Default for all: 30 days.
	Trust time.Duration
	// Idle is how long a session lasts without a request: 1 min or more. Default for all: 1 h.
	Idle time.Duration
	// Absolute is how long a session lasts in any case: 1 min or more. Default for all: 24 h.
	Absolute time.Duration
	// Refresh is how long after the sign-in an app can refresh its tokens: 1 h to a year, if the app's own time is not
	// shorter.
	Refresh time.Duration
	// Methods are the verification methods that are allowed. nil: all.
	Methods []string
	// Require is the day from which people need another method than email. Before, they are reminded. Zero: never.
	Require time.Time
	// Reauthentication is how old both steps may be on the operators' pages: 1 min to 24 h. Not for apps. Default for all:
	// 15 min.
	Reauthentication time.Duration
	// Sources say where the settings were set, by key, like "twostep.toml:12". They are shown to operators.
	Sources map[string]string
}

// Limit is a time limit and the rule that set it. The zero Limit limits nothing.
type Limit struct {
	For time.Duration // Off: trust is off
	By  string        // like "policy.group.finance.trust (twostep.toml:12)"
}

// Methods are the allowed methods and the rules that set them. The zero value allows all.
type Methods struct {
	Names []string // sorted; not nil and empty: none is allowed
	By    []string // sorted
}

// Date is the day from which another method than email is required, and the rule that set it.
type Date struct {
	From time.Time // zero: never
	By   string
}

// Limits are what holds for a person in an app.
type Limits struct {
	Trust, Idle, Absolute, Refresh, Reauthentication Limit

	Methods Methods
	Require Date
}

// TrustTime returns how long devices are trusted; 0: they are not.
func (l Limits) TrustTime() time.Duration { return max(l.Trust.For, 0) }

// Allows reports whether a method is allowed.
func (l Limits) Allows(method string) bool {
	return l.Methods.Names == nil || slices.Contains(l.Methods.Names, method)
}

// Merge returns the stricter limit of each setting. The order of the arguments does not matter.
func Merge(a, b Limits) Limits {
	return Limits{
		Trust:            shorter(a.Trust, b.Trust),
		Idle:             shorter(a.Idle, b.Idle),
		Absolute:         shorter(a.Absolute, b.Absolute),
		Refresh:          shorter(a.Refresh, b.Refresh),
		Reauthentication: shorter(a.Reauthentication, b.Reauthentication),
		Methods:          common(a.Methods, b.Methods),
		Require:          earlier(a.Require, b.Require),
	}
}

func shorter(a, b Limit) Limit {
	switch {
	case a == Limit{}:
		return b
	case b == Limit{}:
		return a
	case cmp.Or(cmp.Compare(a.For, b.For), cmp.Compare(a.By, b.By)) <= 0:
		return a
	}
	return b
}

func earlier(a, b Date) Date {
	switch {
	case a.From.IsZero():
		return b
	case b.From.IsZero():
		return a
	case cmp.Or(a.From.Compare(b.From), cmp.Compare(a.By, b.By)) <= 0:
		return a
	}
	return b
}

func common(a, b Methods) Methods {
	switch {
	case a.Names == nil:
		return b
	case b.Names == nil:
		return a
	}
	both := Methods{Names: []string{}, By: slices.Concat(a.By, b.By)}
	for _, name := range a.Names {
		if slices.Contains(b.Names, name) {
			both.Names = append(both.Names, name)
		}
	}
	slices.Sort(both.By)
	both.By = slices.Compact(both.By)
	return both
}

// Rules are the checked rules of a site.
type Rules struct {
	all          Limits
	groups, apps map[string]Limits
	everyGroup   Limits // of all groups together
	shortestIdle time.Duration
}

// Error says which setting of which rule is wrong.
type Error struct {
	Rule   string // "policy", "policy.group.finance"
	Key    string // "trust"
	Source string // "twostep.toml:12"; "": not known
	What   string // continues the key, as in "is 40d, want …"
}

func (e *Error) Error() string {
	at := ""
	if e.Source != "" {
		at = e.Source + ": "
	}
	return at + e.Rule + "." + e.Key + " " + e.What
}

// Default returns the rules of a site that sets nothing.
func Default() *Rules {
	r, err := New(Policy{}, nil)
	if err != nil {
		panic(err) // cannot happen: nothing is set
	}
	return r
}

// New checks the rules. methods are the names of the methods of the site; nil: any name is one. It returns an *Error for
// the first setting that is wrong.
func New(p Policy, methods []string) (*Rules, error) {
	all, err := p.All.limits("policy", methods)
	if err != nil {
		return nil, err
	}
	if err := p.All.checkWayIn("policy", all); err != nil {
		return nil, err
	}
	r := &Rules{groups: map[string]Limits{}, apps: map[string]Limits{}}
	r.all = complete(all)
	if p.All.Idle > r.all.Absolute.For {
		return nil, p.All.wrong("policy", KeyIdle, "is %s, want at most session.absolute, which is %s",
			FormatDuration(p.All.Idle), FormatDuration(r.all.Absolute.For))
	}
	r.shortestIdle = r.all.Idle.For
	for _, kind := range []struct {
		name  string
		rules map[string]Rule
		to    map[string]Limits
	}{{"group", p.Groups, r.groups}, {"app", p.Apps, r.apps}} {
		for _, name := range slices.Sorted(maps.Keys(kind.rules)) {
			rule, path := kind.rules[name], "policy."+kind.name+"."+name
			if kind.name == "app" && rule.Reauthentication != 0 {
				return nil, rule.wrong(path, KeyReauthenticate, "is for the operators' pages: for an app, set max_age of the app")
			}
			limits, err := rule.limits(path, methods)
			if err != nil {
				return nil, err
			}
			if err := rule.checkWayIn(path, Merge(r.all, limits)); err != nil {
				return nil, err
			}
			if kind.name == "app" {
				limits.Reauthentication = Limit{}
			}
			kind.to[name] = limits
			if kind.name == "group" {
				r.everyGroup = Merge(r.everyGroup, limits)
			}
			if idle := limits.Idle.For; idle > 0 {
				r.shortestIdle = min(r.shortestIdle, idle)
			}
		}
	}
	return r, nil
}

// checkWayIn returns an *Error if the rule leaves no method in these limits, which hold for its people. Two groups of
// one person, or a group and an app, may still leave none.
func (r Rule) checkWayIn(name string, l Limits) error {
	if l.Methods.Names == nil || len(l.Methods.Names) > 0 {
		return nil
	}
	key := KeyMethods
	if r.Methods == nil {
		key = KeyPreset
	}
	return r.wrong(name, key, "leaves no method of this site: nobody could sign in by %s",
		strings.Join(l.Methods.By, " and "))
}

// Check returns an *Error for the first setting that New would refuse.
func (p Policy) Check(methods []string) error {
	_, err := New(p, methods)
	return err
}

// Trusts reports whether the rule for all lets people trust devices, its preset included.
func (p Policy) Trusts() bool {
	all, err := p.All.limits("policy", nil)
	return err != nil || all.Trust.For != Off
}

// complete adds the defaults of the rule for all.
func complete(all Limits) Limits {
	for _, d := range []struct {
		to *Limit
		is time.Duration
	}{
		{&all.Trust, MaxTrust}, {&all.Idle, DefaultIdle}, {&all.Absolute, DefaultAbsolute},
		{&all.Reauthentication, DefaultReauthenticate},
	} {
		if *d.to == (Limit{}) {
			*d.to = Limit{d.is, "default"}
		}
	}
	return all
}

// For returns what holds for an account with these groups in an app; "": in no app. nil Rules limit only trust, to
// MaxTrust.
func (r *Rules) For(groups []string, app string) Limits {
	if r == nil {
		return Limits{Trust: Limit{MaxTrust, "default"}}
	}
	l := r.all
	if app != "" {
		if of, ok := r.apps[app]; ok {
			l = Merge(l, of)
		}
	}
	if len(r.groups) == 0 {
		return l
	}
	for _, group := range groups {
		if of, ok := r.groups[group]; ok {
			l = Merge(l, of)
		}
	}
	return l
}

// Strictest returns what would hold in an app for an account with all groups that have a rule. For is never stricter.
func (r *Rules) Strictest(app string) Limits {
	l := r.For(nil, app)
	if r != nil {
		l = Merge(l, r.everyGroup)
	}
	return l
}

// Requires reports whether some rule requires another method than email, or allows only some methods.
func (r *Rules) Requires() bool {
	if r == nil {
		return false
	}
	asks := func(l Limits) bool { return !l.Require.From.IsZero() || l.Methods.Names != nil }
	for _, kind := range []map[string]Limits{r.groups, r.apps} {
		for _, l := range kind {
			if asks(l) {
				return true
			}
		}
	}
	return asks(r.all)
}

// ShortestIdle returns the shortest time of all rules after which a session without a request ends; 0 for nil Rules.
func (r *Rules) ShortestIdle() time.Duration {
	if r == nil {
		return 0
	}
	return r.shortestIdle
}

// Within returns d, or the limit if it is shorter.
func (l Limit) Within(d time.Duration) time.Duration {
	if l.For > 0 {
		return min(d, l.For)
	}
	return d
}

// Exceeded reports whether d is longer than the limit.
func (l Limit) Exceeded(d time.Duration) bool { return l.For > 0 && d > l.For }

// limits returns what the rule with this name and its preset set.
func (r Rule) limits(name string, methods []string) (Limits, error) {
	if err := r.check(name, methods); err != nil {
		return Limits{}, err
	}
	by := func(key string) string {
		if source := r.Sources[key]; source != "" {
			return name + "." + key + " (" + source + ")"
		}
		return name + "." + key
	}
	limits := r.plain(by)
	if r.Preset == "" {
		return limits, nil
	}
	p, ok := FindPreset(r.Preset)
	if !ok {
		return Limits{}, r.wrong(name, KeyPreset, "is %q, want one of %s", r.Preset, strings.Join(presetNames(), ", "))
	}
	preset := p.rule()
	preset.Methods = known(preset.Methods, methods)
	return Merge(limits, preset.plain(func(key string) string { return "preset " + p.Name + " of " + by(KeyPreset) })), nil
}

// known returns the methods that the site has: a preset may name others.
func known(names, methods []string) []string {
	if names == nil || methods == nil {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(methods, name) })
}

// plain returns what the rule itself sets.
func (r Rule) plain(by func(key string) string) (l Limits) {
	for _, s := range []struct {
		key string
		is  time.Duration
		to  *Limit
	}{
		{KeyTrust, r.Trust, &l.Trust}, {KeyIdle, r.Idle, &l.Idle}, {KeyAbsolute, r.Absolute, &l.Absolute},
		{KeyRefresh, r.Refresh, &l.Refresh}, {KeyReauthenticate, r.Reauthentication, &l.Reauthentication},
	} {
		if s.is != 0 {
			*s.to = Limit{s.is, by(s.key)}
		}
	}
	if r.Methods != nil {
		l.Methods = Methods{slices.Compact(slices.Sorted(slices.Values(r.Methods))), []string{by(KeyMethods)}}
		if l.Methods.Names == nil {
			l.Methods.Names = []string{}
		}
	}
	if !r.Require.IsZero() {
		l.Require = Date{r.Require, by(KeyRequire)}
	}
	return l
}

func (r Rule) wrong(name, key, what string, args ...any) error {
	return &Error{Rule: name, Key: key, Source: r.Sources[key], What: fmt.Sprintf(what, args...)}
}

const (
	minTime    = time.Minute
	minTrust   = time.Hour
	minRefresh = time.Hour
	maxTime    = 365 * 24 * time.Hour
	maxReauth  = 24 * time.Hour
)

// check returns an *Error for the first setting that is not allowed.
func (r Rule) check(name string, methods []string) error {
	if t := r.Trust; t != 0 && t != Off && (t < minTrust || t > MaxTrust || t%time.Hour != 0) {
		return r.wrong(name, KeyTrust, "is %s, want whole hours from 1h to 30d, or off", FormatDuration(t))
	}
	for _, s := range []struct {
		key      string
		is       time.Duration
		min, max time.Duration
		want     string
	}{
		{KeyIdle, r.Idle, minTime, maxTime, "1m to 365d"}, {KeyAbsolute, r.Absolute, minTime, maxTime, "1m to 365d"},
		{KeyRefresh, r.Refresh, minRefresh, maxTime, "1h to 365d"},
		{KeyReauthenticate, r.Reauthentication, minTime, maxReauth, "1m to 24h"},
	} {
		if s.is != 0 && (s.is < s.min || s.is > s.max) {
			return r.wrong(name, s.key, "is %s, want %s", FormatDuration(s.is), s.want)
		}
	}
	if r.Methods == nil {
		return nil
	}
	if len(r.Methods) == 0 {
		return r.wrong(name, KeyMethods, "is empty, so nobody could sign in: name at least one method")
	}
	for _, m := range r.Methods {
		if methods != nil && !slices.Contains(methods, m) {
			return r.wrong(name, KeyMethods, "has %q, want some of %s", m, strings.Join(methods, ", "))
		}
	}
	return nil
}
