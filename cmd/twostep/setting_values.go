package main

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep"
)

// hiddenValue is shown instead of a secret.
const hiddenValue = "••••••••"

// valuesFor returns the settings in force for the operators' pages, without secrets. public is the URL of the server.
func (s *settings) valuesFor(from *settingSources, public string) []twostep.Setting {
	values := map[string]string{}
	collectValues(values, reflect.ValueOf(*s), "")
	defaults := s.defaultsInForce(public)
	var list []twostep.Setting
	for _, info := range settingInfos() {
		if info.key == "" {
			continue
		}
		one := twostep.Setting{Name: info.fullKey(), Value: values[info.flag], Source: from.sourceOf(info, values[info.flag])}
		inForce, ok := defaults[info.flag]
		switch {
		case one.Source == "" && ok:
			one.Value = inForce
		case one.Value == "":
			one.Value = info.fallback
		case info.flag == "database":
			one.Value = withoutPassword(one.Value)
		case info.secret:
			one.Value = hiddenValue
		}
		list = append(list, one)
	}
	return append(list, ruleValues(s.policy)...)
}

// ruleValues returns the settings of the rules of groups and apps.
func ruleValues(p twostep.Policy) (list []twostep.Setting) {
	for _, kind := range []struct {
		name  string
		rules map[string]twostep.PolicyRule
	}{{"group", p.Groups}, {"app", p.Apps}} {
		for _, name := range slices.Sorted(maps.Keys(kind.rules)) {
			rule := kind.rules[name]
			for _, key := range slices.Sorted(maps.Keys(rule.Sources)) {
				list = append(list, twostep.Setting{
					Name: "policy." + kind.name + "." + name + "." + key, Value: rule.Text(key), Source: rule.Sources[key],
				})
			}
		}
	}
	return list
}

// defaultsInForce returns the values, by flag name, that are used where a setting is not set and its fallback describes
// them in words.
func (s *settings) defaultsInForce(public string) map[string]string {
	values := map[string]string{
		"public-url": public, "site": "Twostep", "key-file": filepath.Join(s.Data, "keys"), "smtp-port": "", "smtp-ehlo": s.publicName(),
		"brand-mail-logo": "", "timezone": time.Now().Format("Local (MST, UTC-07:00)"),
		"database": "SQLite, " + filepath.Join(s.Data, "twostep.db"),
	}
	if u, err := url.Parse(s.PublicURL); err == nil && !s.isLocal() {
		values["site"] = u.Hostname()
	}
	if s.SMTP.Host != "" {
		values["smtp-port"] = map[string]string{"starttls": "587", "tls": "465", "none": "25"}[s.SMTP.Security]
	}
	if strings.EqualFold(filepath.Ext(s.Brand.Logo), ".png") {
		values["brand-mail-logo"] = s.Brand.Logo
	}
	return values
}

// collectValues adds the values of all settings by flag name.
func collectValues(values map[string]string, v reflect.Value, section string) {
	for f := range fieldsOf(v.Type()) {
		one := v.FieldByIndex(f.Index)
		if f.Type.Kind() == reflect.Struct {
			collectValues(values, one, section+tomlKey(f)+"-")
			continue
		}
		if _, ok := f.Tag.Lookup("help"); !ok {
			continue
		}
		key := tomlKey(f)
		if key == "" {
			key = f.Tag.Get("name")
		}
		values[section+strings.ReplaceAll(key, "_", "-")] = fmt.Sprint(one.Interface())
	}
}

// sourceOf says where a setting was set; "" for a default.
func (s *settingSources) sourceOf(info settingInfo, value string) string {
	switch origin := s.origins[info.flag]; {
	case origin.variable != "":
		return origin.variable
	case origin.line > 0:
		return fmt.Sprintf("%s:%d", filepath.Base(s.fileName), origin.line)
	case origin.file:
		return filepath.Base(s.fileName)
	}
	if value == "" || value == info.defaultValue || value == "false" && info.defaultValue == "" || !info.hasFlag {
		return ""
	}
	return "--" + info.flag
}

// withoutPassword returns the URL of a database without what may be a password: that of the user, and the query.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return hiddenValue
	}
	if u.RawQuery != "" {
		u.RawQuery = ""
		return u.Redacted() + "?" + hiddenValue
	}
	return u.Redacted()
}
