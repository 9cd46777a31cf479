package policy

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func rules(t *testing.T, p Policy) *Rules {
	t.Helper()
	r, err := New(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Nothing set means the times of the help page, and each names the default.
func TestDefaults(t *testing.T) {
	want := Limits{
		Trust: Limit{MaxTrust, "default"}, Idle: Limit{time.Hour, "default"}, Absolute: Limit{24 * time.Hour, "default"},
		Reauthentication: Limit{15 * time.Minute, "default"},
	}
	if got := Default().For([]string{"staff"}, "books"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !Default().For(nil, "").Allows("email") || Default().ShortestIdle() != time.Hour {
		t.Error("a method is not allowed, or another time is the shortest")
	}
}

// Of all rules that apply the strictest counts, setting by setting, and names its rule and line.
func TestStrictestRuleCounts(t *testing.T) {
	day := func(text string) time.Time {
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r := rules(t, Policy{
		All: Rule{Trust: 10 * 24 * time.Hour, Methods: []string{"totp", "email", "sms"}, Require: day("2027-05-01"),
			Sources: map[string]string{KeyTrust: "t.toml:2"}},
		Groups: map[string]Rule{
			"finance": {Trust: 23 * time.Hour, Methods: []string{"totp"}, Sources: map[string]string{KeyTrust: "t.toml:7"}},
			"it":      {Idle: 5 * time.Minute, Reauthentication: 5 * time.Minute, Require: day("2027-03-01")},
		},
		Apps: map[string]Rule{"payroll": {Trust: Off, Refresh: 24 * time.Hour, Idle: 10 * time.Minute}},
	})
	for _, c := range []struct {
		groups []string
		app    string
		want   string
	}{
		{nil, "", "trust 10d policy.trust (t.toml:2); session.idle 1h default; session.absolute 24h default; refresh  ; " +
			"methods email, sms, totp policy.methods; require 2027-05-01 policy.require; reauthenticate 15m default"},
		{[]string{"finance"}, "books", "trust 23h policy.group.finance.trust (t.toml:7); session.idle 1h default; " +
			"session.absolute 24h default; refresh  ; methods totp policy.group.finance.methods and policy.methods; " +
			"require 2027-05-01 policy.require; reauthenticate 15m default"},
		{[]string{"it", "finance"}, "payroll", "trust off policy.app.payroll.trust; session.idle 5m " +
			"policy.group.it.session.idle; session.absolute 24h default; refresh 24h policy.app.payroll.refresh; methods totp " +
			"policy.group.finance.methods and policy.methods; require 2027-03-01 policy.group.it.require; " +
			"reauthenticate 5m policy.group.it.reauthenticate"},
	} {
		var lines []string
		for _, l := range r.For(c.groups, c.app).Lines() {
			lines = append(lines, l.Key+" "+l.Value+" "+l.By)
		}
		if got := strings.Join(lines, "; "); got != c.want {
			t.Errorf("%v in %q:\n got %s\nwant %s", c.groups, c.app, got, c.want)
		}
	}
	if r.ShortestIdle() != 5*time.Minute {
		t.Errorf("the shortest idle time is %s", r.ShortestIdle())
	}
}

// samples are limits in which every setting has no value, a strict one and a weak one, in many combinations.
func samples() (all []Limits) {
	limits := []Limit{{}, {Off, "a"}, {time.Hour, "b"}, {time.Hour, "c"}, {2 * time.Hour, "a"}}
	methods := []Methods{
		{}, {[]string{}, []string{"x"}}, {[]string{"email", "totp"}, []string{"y"}}, {[]string{"totp"}, []string{"x"}},
	}
	from := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	dates := []Date{{}, {from, "b"}, {from, "a"}, {from.AddDate(0, 1, 0), "a"}}
	for i := range 60 {
		all = append(all, Limits{
			Trust: limits[i%5], Idle: limits[(i/2)%5], Absolute: limits[(i/3)%5], Refresh: limits[(i*3)%5],
			Reauthentication: limits[(i/5)%5], Methods: methods[i%4], Require: dates[(i/4)%4],
		})
	}
	return all
}

// The order of the rules does not matter, a rule twice is a rule once, and the result is never weaker than any part.
func TestMergeIsCommutativeAssociativeAndNeverWeaker(t *testing.T) {
	all := samples()
	for _, a := range all {
		if same := Merge(a, a); !reflect.DeepEqual(same, a) {
			t.Fatalf("twice %+v is %+v", a, same)
		}
		for _, b := range all {
			ab := Merge(a, b)
			if ba := Merge(b, a); !reflect.DeepEqual(ab, ba) {
				t.Fatalf("%+v and %+v: %+v, the other way round %+v", a, b, ab, ba)
			}
			if weakerThan(ab, a) || weakerThan(ab, b) {
				t.Fatalf("%+v and %+v: %+v is weaker", a, b, ab)
			}
			for _, c := range all {
				if left, right := Merge(ab, c), Merge(a, Merge(b, c)); !reflect.DeepEqual(left, right) {
					t.Fatalf("%+v, %+v, %+v: %+v or %+v", a, b, c, left, right)
				}
			}
		}
	}
}

// An account with all groups that have a rule has the strictest limits, in each app.
func TestStrictest(t *testing.T) {
	r := rules(t, Policy{
		Groups: map[string]Rule{
			"a": {Trust: time.Hour, Methods: []string{"email"}}, "b": {Absolute: time.Hour, Methods: []string{"totp"}},
		},
		Apps: map[string]Rule{"books": {Refresh: time.Hour}},
	})
	for _, app := range []string{"", "books", "wiki"} {
		if got, want := r.Strictest(app), r.For([]string{"a", "b", "c"}, app); !reflect.DeepEqual(got, want) {
			t.Errorf("in %q: %+v, want %+v", app, got, want)
		}
	}
	var none *Rules
	if !reflect.DeepEqual(none.Strictest("books"), none.For(nil, "books")) ||
		!reflect.DeepEqual(Default().Strictest(""), Default().For(nil, "")) {
		t.Error("without rules the strictest limits are other ones")
	}
}

// weakerThan reports whether l allows in some setting what other does not.
func weakerThan(l, other Limits) bool {
	longer := func(a, b Limit) bool { return b != Limit{} && (a == Limit{} || a.For > b.For) }
	later := !other.Require.From.IsZero() && (l.Require.From.IsZero() || l.Require.From.After(other.Require.From))
	more := other.Methods.Names != nil && (l.Methods.Names == nil ||
		slices.ContainsFunc(l.Methods.Names, func(name string) bool { return !slices.Contains(other.Methods.Names, name) }))
	return longer(l.Trust, other.Trust) || longer(l.Idle, other.Idle) || longer(l.Absolute, other.Absolute) ||
		longer(l.Refresh, other.Refresh) || longer(l.Reauthentication, other.Reauthentication) || later || more
}

// weakerThan sees each setting by itself.
func TestWeakerThan(t *testing.T) {
	strict := Limits{
		Trust: Limit{Off, ""}, Idle: Limit{1, ""}, Absolute: Limit{1, ""}, Refresh: Limit{1, ""}, Reauthentication: Limit{1, ""},
		Methods: Methods{Names: []string{"totp"}}, Require: Date{From: time.Unix(1, 0)},
	}
	if weakerThan(strict, strict) || weakerThan(strict, Limits{}) {
		t.Error("the strict limits are weaker than themselves or than none")
	}
	for name, weaken := range map[string]func(*Limits){
		"trust": func(l *Limits) { l.Trust.For = 1 }, "no idle": func(l *Limits) { l.Idle = Limit{} },
		"absolute": func(l *Limits) { l.Absolute.For++ }, "refresh": func(l *Limits) { l.Refresh.For++ },
		"reauthenticate": func(l *Limits) { l.Reauthentication.For++ },
		"methods":        func(l *Limits) { l.Methods.Names = []string{"email", "totp"} },
		"all methods":    func(l *Limits) { l.Methods = Methods{} },
		"later":          func(l *Limits) { l.Require.From = time.Unix(2, 0) },
		"never required": func(l *Limits) { l.Require = Date{} },
	} {
		weak := strict
		weaken(&weak)
		if !weakerThan(weak, strict) {
			t.Errorf("%s: not weaker", name)
		}
	}
}

// A wrong setting names its rule, its key and its line.
func TestWrongSettings(t *testing.T) {
	group := func(r Rule) Policy { return Policy{Groups: map[string]Rule{"finance": r}} }
	for want, p := range map[string]Policy{
		"policy.trust is 31d, want whole hours": {All: Rule{Trust: 31 * 24 * time.Hour}},
		"policy.trust is 1h30m, want":           {All: Rule{Trust: 90 * time.Minute}},
		"policy.trust is 30m, want":             {All: Rule{Trust: 30 * time.Minute}},
		"policy.session.idle is 30s":            {All: Rule{Idle: 30 * time.Second}},
		"policy.session.idle is 2h, want at most session.absolute, which is 1h": {
			All: Rule{Idle: 2 * time.Hour, Absolute: time.Hour}},
		"policy.session.idle is 2d, want at most session.absolute, which is 24h": {All: Rule{Idle: 48 * time.Hour}},
		"policy.group.finance.session.absolute is 366d":                          group(Rule{Absolute: 366 * 24 * time.Hour}),
		"policy.group.finance.refresh is 59m":                                    group(Rule{Refresh: 59 * time.Minute}),
		"policy.group.finance.reauthenticate is 2d":                              group(Rule{Reauthentication: 48 * time.Hour}),
		"policy.group.finance.methods leaves no method of this site: nobody could sign in by " +
			"policy.group.finance.methods and policy.methods": {
			All: Rule{Methods: []string{"email"}}, Groups: map[string]Rule{"finance": {Methods: []string{"totp"}}}},
		"policy.app.books.methods leaves no method of this site": {
			All: Rule{Methods: []string{"email"}}, Apps: map[string]Rule{"books": {Methods: []string{"totp"}}}},
		"policy.methods leaves no method of this site": {All: Rule{Methods: []string{"email"}, Preset: "nist-aal2"}},
		"policy.group.finance.preset leaves no method of this site": {
			All: Rule{Methods: []string{"email"}}, Groups: map[string]Rule{"finance": {Preset: "nist-aal2"}}},
		"policy.group.finance.methods is empty": group(Rule{Methods: []string{}}),
		`policy.group.finance.methods has "fax", want some of email, totp`: group(
			Rule{Methods: []string{"totp", "fax"}}),
		`t.toml:3: policy.group.finance.preset is "ato", want one of ato-osf, nist-aal2, pci-dss`: group(
			Rule{Preset: "ato", Sources: map[string]string{KeyPreset: "t.toml:3"}}),
		"policy.app.books.reauthenticate is for the operators' pages": {
			Apps: map[string]Rule{"books": {Reauthentication: time.Hour}}},
	} {
		_, err := New(p, []string{"email", "totp"})
		if wrong := new(Error); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Durations and lists are read as people write them, and written as they are read.
func TestTexts(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": MaxTrust, "23h": 23 * time.Hour, "30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "24h": 24 * time.Hour,
		"90s": 90 * time.Second, "off": Off, "2d": 48 * time.Hour,
	} {
		var r Rule
		if err := r.Set(KeyTrust, text); err != nil || r.Trust != want {
			t.Errorf("%s is %s, %v", text, r.Trust, err)
		}
		if back := FormatDuration(want); text != "90s" && back != text {
			t.Errorf("%s became %s", text, back)
		}
	}
	for _, c := range [][2]string{
		{KeyTrust, "30"}, {KeyTrust, "-1h"}, {KeyTrust, "0d"}, {KeyIdle, "off"}, {KeyTrust, "99999999d"}, {KeyTrust, "1.5s"},
		{KeyRequire, "1 March"}, {"colour", "red"},
	} {
		if err := new(Rule).Set(c[0], c[1]); err == nil {
			t.Errorf("%s = %q is accepted", c[0], c[1])
		}
	}
	var r Rule
	if err := r.Set(KeyMethods, " totp, sms ,"); err != nil || !slices.Equal(r.Methods, []string{"totp", "sms"}) {
		t.Errorf("methods are %q, %v", r.Methods, err)
	}
	if err := r.Set(KeyRequire, "2027-03-01"); err != nil || r.Require.Unix() != 1803859200 {
		t.Errorf("the day is %s, %v", r.Require, err)
	}
	if none := (Limits{Methods: Methods{Names: []string{}}}).Lines(); none[4].Value != "none" {
		t.Errorf("no method is %q", none[4].Value)
	}
}

// Every preset can be used, names a source for each setting, and is never weaker than it says. What the site cannot do
// is left out.
func TestPresets(t *testing.T) {
	for _, p := range Presets() {
		r := rules(t, Policy{All: Rule{Preset: p.Name}, Apps: map[string]Rule{"books": {Preset: p.Name}}})
		if weak := r.For(nil, "books"); weakerThan(weak, r.For(nil, "")) {
			t.Errorf("%s: weaker in an app", p.Name)
		}
		for _, s := range p.Settings {
			if s.Source == "" || !strings.HasPrefix(s.URL, "https://") {
				t.Errorf("%s: %s has no source", p.Name, s.Key)
			}
			for _, l := range r.For(nil, "").Lines() {
				names := strings.ReplaceAll(s.Value, ",", ", ")
				if l.Key == s.Key && s.Key != KeyMethods && (l.Value != names || !strings.HasPrefix(l.By, "preset "+p.Name)) {
					t.Errorf("%s: %s is %s by %s, want %s", p.Name, s.Key, l.Value, l.By, names)
				}
			}
		}
	}
	r, err := New(Policy{All: Rule{Preset: "nist-aal2"}}, []string{"email", "totp"})
	if err != nil || !slices.Equal(r.For(nil, "").Methods.Names, []string{"totp"}) {
		t.Errorf("on a site without SMS: %+v, %v", r, err)
	}
	own := rules(t, Policy{All: Rule{Preset: "ato-osf", Trust: time.Hour}}).For(nil, "")
	if own.Trust != (Limit{time.Hour, "policy.trust"}) || own.Idle.For != 30*time.Minute || own.TrustTime() != time.Hour {
		t.Errorf("a stricter rule beside the preset: %+v", own)
	}
	if off := rules(t, Policy{All: Rule{Preset: "pci-dss"}}).For(nil, ""); off.TrustTime() != 0 {
		t.Errorf("trust is %s", off.TrustTime())
	}
}
