package main

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"twostep.example/twostep"
)

// hiddenValue is shown instead of a secret.
const hiddenValue = "••••••••"

// valuesFor returns the settings in force for the operators' pages, without secrets.
func (s *settings) valuesFor(from *settingSources) []twostep.Setting {
	values := map[string]string{}
	collectValues(values, reflect.ValueOf(*s), "")
	var list []twostep.Setting
	for _, info := range settingInfos() {
		if info.key == "" {
			continue
		}
		one := twostep.Setting{Name: info.fullKey(), Value: values[info.flag], Source: from.sourceOf(info, values[info.flag])}
		switch {
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

// withoutPassword hides the password in the URL of a database.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return hiddenValue
	}
	if q := u.Query(); q.Has("password") || q.Has("sslpassword") {
		return hiddenValue
	}
	return u.Redacted()
}
