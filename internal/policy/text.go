package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrDuration is returned for a text that is no duration.
var ErrDuration = errors.New("want a time like 30d, 23h or 30m")

// ParseDuration parses a duration like "30d", "23h" or "1h30m". It returns ErrDuration.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, ErrDuration
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d%time.Second != 0 {
		return 0, ErrDuration
	}
	return d, nil
}

// FormatDuration returns a duration as ParseDuration reads it, and "off" for Off.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == Off:
		return "off"
	case d > day && d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	if d >= time.Minute {
		text = strings.TrimSuffix(text, "0s")
	}
	if d >= time.Hour && strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// dateLayout is how a day is written (RFC 3339 5.6, full-date).
const dateLayout = time.DateOnly

// Set sets one setting of the rule from text: a duration, a day like 2027-03-01, or a list separated by commas. It
// returns an error that continues the name of the key, like `is "x", want …`.
func (r *Rule) Set(key, text string) error {
	durations := map[string]*time.Duration{
		KeyTrust: &r.Trust, KeyIdle: &r.Idle, KeyAbsolute: &r.Absolute, KeyRefresh: &r.Refresh,
		KeyReauthenticate: &r.Reauthentication,
	}
	switch to := durations[key]; {
	case to != nil && key == KeyTrust && text == "off":
		*to = Off
	case to != nil:
		d, err := ParseDuration(text)
		if err == nil && d == 0 {
			err = ErrDuration
		}
		if err != nil {
			return fmt.Errorf("is %q, %w", text, err)
		}
		*to = d
	case key == KeyPreset:
		r.Preset = text
	case key == KeyMethods:
		r.Methods = []string{}
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				r.Methods = append(r.Methods, name)
			}
		}
	case key == KeyRequire:
		day, err := time.Parse(dateLayout, text)
		if err != nil {
			return fmt.Errorf("is %q, want a day like 2027-03-01", text)
		}
		r.Require = day
	default:
		return fmt.Errorf("is unknown, want one of %s", strings.Join(Keys(), ", "))
	}
	return nil
}

// Text returns one setting of the rule as text; "" if it is not set.
func (r Rule) Text(key string) string {
	if key == KeyPreset {
		return r.Preset
	}
	for _, l := range r.plain(func(string) string { return "" }).Lines() {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

// Line is one setting in force, as text.
type Line struct {
	Key   string
	Value string // "23h", "email, totp", "2027-03-01"; "": not limited
	By    string // the rules that set it; "": none
}

// Lines returns the limits as text, in the order of Keys.
func (l Limits) Lines() []Line {
	var list []Line
	add := func(key, value, by string) { list = append(list, Line{key, value, by}) }
	limit := func(key string, is Limit) {
		if is == (Limit{}) {
			add(key, "", "")
			return
		}
		add(key, FormatDuration(is.For), is.By)
	}
	limit(KeyTrust, l.Trust)
	limit(KeyIdle, l.Idle)
	limit(KeyAbsolute, l.Absolute)
	limit(KeyRefresh, l.Refresh)
	names := strings.Join(l.Methods.Names, ", ")
	if l.Methods.Names != nil && names == "" {
		names = "none"
	}
	add(KeyMethods, names, strings.Join(l.Methods.By, " and "))
	day := ""
	if !l.Require.From.IsZero() {
		day = l.Require.From.Format(dateLayout)
	}
	add(KeyRequire, day, l.Require.By)
	limit(KeyReauthenticate, l.Reauthentication)
	return list
}
