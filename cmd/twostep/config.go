package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"

	"twostep.example/twostep"
)

// settingsGroup is the group of the flags that are settings, as opposed to arguments of one
// command.
const settingsGroup = "settings"

// secretSettings are the settings that can also be read from a file of their own.
var secretSettings = []string{"smtp-password", "sms-gateways", "database"}

// settingSources finds the value of a setting that has no flag on the command line: in the
// environment, or else in the configuration file.
type settingSources struct {
	lookupEnv  func(name string) (string, bool) // os.LookupEnv, or a fake one
	fileRead   bool
	fileValues map[string]string // by flag name
	apps       []twostep.App     // from the file; flags and variables define none
	fileErr    error             // error of the file; returned later, since kong would attribute it to a flag
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
		s.fileValues, s.apps, s.fileErr = s.readFile(command)
	}
	text, err := s.fromEnvironment(flag.Name)
	if err != nil {
		return nil, err
	}
	if text == "" {
		text = s.fileValues[flag.Name]
	}
	if text == "" {
		return nil, nil
	}
	return text, nil
}

// readFile reads the configuration file, if there is one.
func (s *settingSources) readFile(command *kong.Context) (map[string]string, []twostep.App, error) {
	var name string
	for _, flag := range command.Flags() {
		if flag.Name == "config" {
			name, _ = command.FlagValue(flag).(string)
		}
	}
	if name == "" {
		name, _ = s.lookupEnv("TWOSTEP_CONFIG")
	}
	if name == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	return parseConfigFile(name, text)
}

// fromEnvironment returns the value of TWOSTEP_NAME, or for a secret the content of the file named
// by TWOSTEP_NAME_FILE. An empty variable counts as not set, since compose files leave them.
func (s *settingSources) fromEnvironment(flag string) (string, error) {
	name := environmentName(flag)
	text, _ := s.lookupEnv(name)
	if !slices.Contains(secretSettings, flag) {
		return text, nil
	}
	path, _ := s.lookupEnv(name + "_FILE")
	switch {
	case path == "":
		return text, nil
	case text != "":
		return "", fmt.Errorf("%s and %s_FILE are both set: keep one", name, name)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s_FILE: %s is empty", name, path)
	}
	return secret, nil
}

// secretSetting returns a setting that has no flag, so that kong does not ask for it. It also
// returns the error of the configuration file.
func (s *settingSources) secretSetting(name string) (string, error) {
	if s.fileErr != nil {
		return "", s.fileErr
	}
	text, err := s.fromEnvironment(name)
	if text == "" {
		text = s.fileValues[name]
	}
	return text, err
}

// environmentName returns the name of a setting's environment variable.
func environmentName(flag string) string {
	return "TWOSTEP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// parseConfigFile decodes a configuration file twice: into settings, which rejects unknown keys and
// wrong types with their line, and into a map, which shows the keys that are absent. Apps have no
// flags, so they are returned separately.
func parseConfigFile(name string, text []byte) (map[string]string, []twostep.App, error) {
	strict := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	var typed settings
	if err := strict.Decode(&typed); err != nil {
		return nil, nil, describeTOMLError(name, err)
	}
	tree := map[string]any{}
	if err := toml.Unmarshal(text, &tree); err != nil {
		return nil, nil, describeTOMLError(name, err)
	}
	flat := map[string]string{}
	flattenTable(flat, "", tree)
	apps, err := readApps(name, text, typed.AppTables)
	return flat, apps, err
}

func flattenTable(flat map[string]string, prefix string, tree map[string]any) {
	for key, value := range tree {
		key = prefix + strings.ReplaceAll(strings.ToLower(key), "_", "-")
		if key == "app" { // an array of tables, without a flag
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

// describeTOMLError returns err with the line of the mistake.
func describeTOMLError(name string, err error) error {
	if unknown := new(toml.StrictMissingError); errors.As(err, &unknown) {
		var all []error
		for _, one := range unknown.Errors {
			line, _ := one.Position()
			all = append(all, fmt.Errorf("%s:%d: unknown key %s", name, line, strings.Join(one.Key(), ".")))
		}
		return errors.Join(all...)
	}
	if wrong := new(toml.DecodeError); errors.As(err, &wrong) {
		line, _ := wrong.Position()
		what := strings.TrimPrefix(wrong.Error(), "toml: ")
		// The rest names our struct, which means nothing to an operator.
		if what, _, ok := strings.Cut(what, " into struct field "); ok {
			return fmt.Errorf("%s:%d: wrong type for %s: %s", name, line, strings.Join(wrong.Key(), "."), what)
		}
		return fmt.Errorf("%s:%d: %s", name, line, what)
	}
	return fmt.Errorf("%s: %w", name, err)
}
