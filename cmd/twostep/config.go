package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"twostep.example/twostep"
)

// settingsGroup is the group of the flags that are settings, as opposed to arguments of one
// command.
const settingsGroup = "settings"

// settingSources finds the value of a setting that has no flag on the command line: in the
// environment, or else in the configuration file.
type settingSources struct {
	lookupEnv  func(name string) (string, bool) // os.LookupEnv, or a fake one
	fileRead   bool
	fileName   string
	fileValues map[string]string       // by flag name
	fileLines  map[string]int          // by flag name
	apps       []twostep.App           // from the file; flags and variables define none
	webhooks   map[string]webhookTable // likewise
	policy     twostep.Policy          // the tables of groups and apps, likewise
	origins    map[string]origin       // by flag name; flags on the command line have none

	// Errors of the file and of single values. They are returned later, since kong would attribute them
	// to a flag.
	fileErr   error
	valueErrs []error
}

// origin is where a setting was set.
type origin struct {
	variable string // the environment variable
	file     bool   // the configuration file
	line     int    // in the file; 0 is unknown
}

// Validate implements kong.Resolver. There is nothing to check before the command is known.
func (s *settingSources) Validate(*kong.Application) error { return nil }

// Resolve returns the text of a setting, or nil for the default.
func (s *settingSources) Resolve(command *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Group == nil || flag.Group.Key != settingsGroup {
		return nil, nil
	}
	if !s.fileRead {
		s.fileRead = true
		s.fileErr = s.readFile(command)
	}
	text, variable, err := s.fromEnvironment(flag.Name)
	if err == nil && text != "" && flag.Target.CanInt() {
		if _, number := strconv.Atoi(text); number != nil {
			err = fmt.Errorf("%s is %q, want a number, like %s", variable, text, cmp.Or(flag.Tag.Get("example"), "1"))
		}
	}
	if err == nil && text != "" && flag.IsBool() {
		if _, wrong := strconv.ParseBool(text); wrong != nil {
			err = fmt.Errorf("%s is %q, want true or false", variable, text)
		}
	}
	if err != nil {
		s.valueErrs = append(s.valueErrs, err)
		return nil, nil
	}
	if text = s.originOf(flag.Name, text, variable); text == "" {
		return nil, nil
	}
	return text, nil
}

// originOf returns the value of a setting from a variable or else from the file, and records where
// it was set.
func (s *settingSources) originOf(flag, text, variable string) string {
	if s.origins == nil {
		s.origins = map[string]origin{}
	}
	if text != "" {
		s.origins[flag] = origin{variable: variable}
		return text
	}
	if text = s.fileValues[flag]; text != "" {
		s.origins[flag] = origin{file: true, line: s.fileLines[flag]}
	}
	return text
}

// readFile reads the configuration file, if there is one.
func (s *settingSources) readFile(command *kong.Context) error {
	source := "--config"
	for _, flag := range command.Flags() {
		if flag.Name == "config" {
			s.fileName, _ = command.FlagValue(flag).(string)
		}
	}
	if s.fileName == "" {
		source = "TWOSTEP_CONFIG"
		s.fileName, _ = s.lookupEnv(source)
	}
	if s.fileName == "" {
		return nil
	}
	text, err := os.ReadFile(s.fileName)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no configuration file %s", source, s.fileName)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	s.fileLines, _ = keyLines(text)
	if s.fileValues, s.apps, s.webhooks, err = parseConfigFile(s.fileName, text); err != nil {
		return err
	}
	s.policy, err = parsePolicy(s.fileName, text)
	return err
}

// fromEnvironment returns the value of TWOSTEP_NAME, or for a secret the content of the file named
// by TWOSTEP_NAME_FILE, and the name of the variable. An empty variable counts as not set, since
// compose files leave them.
func (s *settingSources) fromEnvironment(flag string) (text, variable string, err error) {
	variable = environmentName(flag)
	text, _ = s.lookupEnv(variable)
	if info, _ := findSetting(flag); !info.secret {
		return text, variable, nil
	}
	return s.secretFromEnvironment(flag)
}

// secretFromEnvironment is fromEnvironment for a secret.
func (s *settingSources) secretFromEnvironment(flag string) (text, variable string, err error) {
	variable = environmentName(flag)
	text, _ = s.lookupEnv(variable)
	fileVariable := variable + "_FILE"
	path, _ := s.lookupEnv(fileVariable)
	switch {
	case path == "":
		return text, variable, nil
	case text != "":
		return "", "", fmt.Errorf("%s and %s are both set: keep one", variable, fileVariable)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", fileVariable, err)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", "", fmt.Errorf("%s: the file %s is empty", fileVariable, path)
	}
	return secret, fileVariable, nil
}

// secretSetting returns a setting that has no flag, so that kong does not ask for it.
func (s *settingSources) secretSetting(flag string) (string, error) {
	text, variable, err := s.fromEnvironment(flag)
	if err != nil {
		return "", err
	}
	return s.originOf(flag, text, variable), nil
}

// parseConfigFile decodes a configuration file twice: into settings, which rejects unknown keys and
// wrong types with their line, and into a map, which shows the keys that are absent. Apps and
// webhooks have no flags, so they are returned separately.
func parseConfigFile(name string, text []byte) (
	map[string]string, []twostep.App, map[string]webhookTable, error,
) {
	tree := map[string]any{}
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, nil, nil, describeTOMLError(name, err, nil)
	}
	strict := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	var typed settings
	if err := strict.Decode(&typed); err != nil {
		return nil, nil, nil, describeTOMLError(name, err, tree)
	}
	switch typed.ProxyList.(type) {
	case nil, string, []any:
	default:
		lines, _ := keyLines(text)
		return nil, nil, nil, fmt.Errorf("%s:%d: trusted_proxies wants addresses, like [\"127.0.0.1\"]", name,
			lines["trusted-proxies"])
	}
	flat := map[string]string{}
	flattenTable(flat, "", tree)
	apps, err := readApps(name, text, typed.AppTables)
	return flat, apps, typed.WebhookTables, err
}

func flattenTable(flat map[string]string, prefix string, tree map[string]any) {
	for key, value := range tree {
		key = prefix + strings.ReplaceAll(strings.ToLower(key), "_", "-")
		if key == "app" || key == "policy-group" || key == "policy-app" || prefix == "" && key == "webhook" { // tables without a flag
			continue
		}
		if table, ok := value.(map[string]any); ok {
			flattenTable(flat, key+"-", table)
			continue
		}
		if list, ok := value.([]any); ok {
			value = strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
		}
		flat[key] = fmt.Sprint(value)
	}
}

// tomlTypes are the types of TOML values for people.
var tomlTypes = map[string]string{
	"integer": "a number", "float": "a number", "string": "text", "boolean": "true or false", "array": "a list",
	"table": "a section", "inline table": "a section",
}

// describeTOMLError returns err with the line of the mistake, and what is wanted there. tree is the
// decoded file; it tells sections from keys.
func describeTOMLError(name string, err error, tree map[string]any) error {
	if unknown := new(toml.StrictMissingError); errors.As(err, &unknown) {
		var all []error
		for _, one := range unknown.Errors {
			line, _ := one.Position()
			all = append(all, fmt.Errorf("%s:%d: %s", name, line, unknownKey(one.Key(), isTable(tree, one.Key()))))
		}
		return errors.Join(all...)
	}
	if wrong := new(toml.DecodeError); errors.As(err, &wrong) {
		line, _ := wrong.Position()
		what := strings.TrimPrefix(wrong.Error(), "toml: ")
		// The rest names our struct, which means nothing to an operator.
		if strings.HasPrefix(what, "cannot store a table in ") {
			what = "cannot decode TOML table"
		}
		if got, ok := strings.CutPrefix(what, "cannot decode TOML "); ok {
			got, _, _ = strings.Cut(got, " into ")
			return fmt.Errorf("%s:%d: %s", name, line, wrongType(wrong.Key(), cmp.Or(tomlTypes[got], got)))
		}
		return fmt.Errorf("%s:%d: %s", name, line, what)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// isTable reports whether the value at a path of keys is a table.
func isTable(tree map[string]any, path []string) bool {
	for _, key := range path {
		next, ok := tree[key].(map[string]any)
		if !ok {
			return false
		}
		tree = next
	}
	return true
}

// keyLines returns the line of each setting, by flag name, and the line of each key of each [[app]],
// where "" is the table itself.
func keyLines(text []byte) (settings map[string]int, apps []map[string]int) {
	settings = map[string]int{}
	var table []string
	_ = walkTOML(text, func(e tomlExpression) { // an error of the syntax was reported before
		path := make([]string, len(e.path))
		for i, part := range e.path {
			path[i] = strings.ToLower(part)
		}
		switch {
		case e.kind != unstable.KeyValue:
			table = path
			if path[0] == "app" { // [app] too, which is decoded as one
				apps = append(apps, map[string]int{"": e.line})
			}
			if path[0] == "webhook" {
				settings[strings.Join(path, "-")] = e.line
			}
		case len(table) > 0 && table[0] == "app":
			apps[len(apps)-1][path[0]] = e.line
		default:
			settings[strings.ReplaceAll(strings.Join(slices.Concat(table, path), "-"), "_", "-")] = e.line
		}
	})
	return settings, apps
}
