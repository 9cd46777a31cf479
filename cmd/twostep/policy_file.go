package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"twostep.example/twostep"
)

// parsePolicy reads the tables [policy], [policy.group.NAME] and [policy.app.ID] of a configuration file, with the line of
// each setting. It ignores all other tables. name is that of the file, for errors and sources; "": none.
func parsePolicy(name string, text []byte) (twostep.Policy, error) {
	read := policyTables{name: name, policy: twostep.Policy{
		Groups: map[string]twostep.PolicyRule{}, Apps: map[string]twostep.PolicyRule{},
	}}
	var table []string
	err := walkTOML(text, func(e tomlExpression) {
		if e.kind != unstable.KeyValue {
			table = e.path
			if e.kind == unstable.ArrayTable && strings.EqualFold(e.path[0], "policy") {
				name := strings.Join(e.path, ".")
				read.refuse(e.line, "[[%s]] is a list, want [%s]", name, name)
			}
			return
		}
		path := slices.Concat(table, e.path)
		switch {
		case !strings.EqualFold(path[0], "policy"):
		case len(path) == 1:
			read.refuse(e.line, "policy is no value: write the section [policy] and its keys below")
		default:
			read.set(path[1:], e.value, e.line)
		}
	})
	if err != nil {
		return read.policy, fmt.Errorf("%s: %w", name, err)
	}
	return read.policy, errors.Join(read.wrong...)
}

// policyTables is a Policy that is being read.
type policyTables struct {
	name   string
	policy twostep.Policy
	wrong  []error
}

func (t *policyTables) refuse(line int, what string, args ...any) {
	t.wrong = append(t.wrong, fmt.Errorf("%s: %s", t.source(line), fmt.Sprintf(what, args...)))
}

// source says where a line is.
func (t *policyTables) source(line int) string {
	if t.name == "" {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("%s:%d", t.name, line)
}

// set sets the value at a path below policy.
func (t *policyTables) set(path []string, value *unstable.Node, line int) {
	rule, rules, key := &t.policy.All, map[string]twostep.PolicyRule(nil), path
	if kind := strings.ToLower(path[0]); kind == "group" || kind == "app" {
		if len(path) < 3 {
			t.refuse(line, "policy.%s is no section: write the keys below [policy.%s.NAME]", strings.Join(path, "."), path[0])
			return
		}
		if rules = t.policy.Groups; kind == "app" {
			rules = t.policy.Apps
		}
		one := rules[path[1]]
		rule, key = &one, path[2:]
	}
	name, full := strings.ToLower(strings.Join(key, ".")), "policy."+strings.Join(path, ".")
	text, err := policyValue(value, name)
	if err == nil {
		err = rule.Set(name, text)
	}
	if err == nil && name == "methods" && len(rule.Methods) == 0 {
		err = errors.New("is empty, so nobody could sign in: name at least one method")
	}
	if err != nil {
		t.refuse(line, "%s %s", full, err)
		return
	}
	if rule.Sources == nil {
		rule.Sources = map[string]string{}
	}
	rule.Sources[name] = filepath.Base(t.source(line))
	if rules != nil {
		rules[path[1]] = *rule
	}
}

// policyValue returns the text of a value: text in quotes or, for methods, a list of it.
func policyValue(value *unstable.Node, key string) (string, error) {
	if value.Kind == unstable.String {
		return string(value.Data), nil
	}
	if value.Kind != unstable.Array || key != "methods" {
		return "", errors.New("wants text in quotes")
	}
	var list []string
	for one := value.Children(); one.Next(); {
		if one.Node().Kind != unstable.String {
			return "", errors.New(`wants a list of text in quotes, like ["email", "totp"]`)
		}
		list = append(list, string(one.Node().Data))
	}
	return strings.Join(list, ","), nil
}
