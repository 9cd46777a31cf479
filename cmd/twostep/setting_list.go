package main

import (
	"reflect"
	"slices"
	"strings"
)

// settingInfo describes one setting, from the tags of its field.
type settingInfo struct {
	section string // of the configuration file, like smtp; "" is its top
	key     string // in the section, like host; "" is in no file
	flag    string // like smtp-host; also names the environment variable
	hasFlag bool
	secret  bool // can be read from a file of its own
	typ     string
	help    string

	defaultValue, fallback string
	values                 []string
	allowed                string
	example                string
}

// typeNames are the types of settings and flags by their placeholder, for the reference.
var typeNames = map[string]string{
	"FILE": "file", "DIR": "folder", "ADDR:PORT": "address and port", "URL": "URL", "URL …": "list of URLs",
	"NAME": "text", "TEXT": "text", "ZONE": "time zone", "ADDR,…": "list of addresses", "1/N": "fraction",
	"TIME": "duration", "N": "number", "AMOUNT": "amount", "ADDRESS": "email address", "HOST": "host",
	"CODES": "list", "EMAIL": "email address", "ADDR": "IP address", "COLOR": "color",
}

// typeName returns the type of a setting for people.
func typeName(kind reflect.Kind, placeholder string, values []string) string {
	switch {
	case kind == reflect.Bool:
		return "true or false"
	case len(values) > 0:
		return "word"
	case typeNames[placeholder] != "":
		return typeNames[placeholder]
	case kind == reflect.Int:
		return "number"
	}
	return "text"
}

// settingInfos lists all settings in the order of the struct.
func settingInfos() []settingInfo { return infosOf(reflect.TypeFor[settings](), "") }

func infosOf(t reflect.Type, section string) (all []settingInfo) {
	for f := range fieldsOf(t) {
		key := tomlKey(f)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, infosOf(f.Type, key)...)
			continue
		}
		help, ok := f.Tag.Lookup("help")
		if !ok {
			continue
		}
		if key == "" && f.Tag.Get("name") != "" { // its key has a field of another type
			key = strings.ReplaceAll(f.Tag.Get("name"), "-", "_")
		}
		info := settingInfo{section: section, key: key, hasFlag: f.Tag.Get("kong") != "-", help: help,
			defaultValue: f.Tag.Get("default"), fallback: f.Tag.Get("fallback"), allowed: f.Tag.Get("allowed"),
			example: f.Tag.Get("example")}
		_, info.secret = f.Tag.Lookup("secret")
		info.flag = strings.TrimPrefix(section+"-"+strings.ReplaceAll(key, "_", "-"), "-")
		if key == "" {
			info.flag = strings.ToLower(f.Name)
		}
		if list := f.Tag.Get("values") + f.Tag.Get("enum"); list != "" {
			info.values = strings.Split(list, ",")
		}
		info.typ = typeName(f.Type.Kind(), f.Tag.Get("placeholder"), info.values)
		all = append(all, info)
	}
	return all
}

// fieldsOf iterates over the exported fields of a struct.
func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && !yield(f) {
				return
			}
		}
	}
}

// tomlKey returns the key of a field in the configuration file, "" if it has none.
func tomlKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	return strings.TrimPrefix(key, "-")
}

// findSetting returns the setting with this flag name; ok is false if there is none.
func findSetting(flag string) (info settingInfo, ok bool) {
	all := settingInfos()
	i := slices.IndexFunc(all, func(one settingInfo) bool { return one.flag == flag })
	if i < 0 {
		return settingInfo{}, false
	}
	return all[i], true
}

// fullKey returns the key with its section: smtp.host.
func (i settingInfo) fullKey() string {
	if i.section == "" {
		return i.key
	}
	return i.section + "." + i.key
}

// settingKey returns the key of a setting with its section, by its flag name.
func settingKey(flag string) string {
	if info, ok := findSetting(flag); ok && info.key != "" {
		return info.fullKey()
	}
	return flag
}

// environmentName returns the name of a setting's environment variable.
func environmentName(flag string) string {
	return "TWOSTEP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// howToSet names a setting in all ways in which it can be set.
func howToSet(flag string) string {
	info, _ := findSetting(flag)
	key, variable := settingKey(flag), environmentName(flag)
	text := "set " + key + " in the configuration file, "
	switch {
	case info.hasFlag:
		return text + variable + " in the environment, or --" + flag
	case info.secret:
		return text + variable + " in the environment, or " + variable + "_FILE to the path of a file with it"
	}
	return text + "or " + variable + " in the environment"
}

// sections lists the sections of the configuration file.
func sections() (all []string) {
	for f := range fieldsOf(reflect.TypeFor[settings]()) {
		if f.Type.Kind() == reflect.Struct {
			all = append(all, tomlKey(f))
		}
	}
	return all
}

// fieldAt returns the field at a path of keys in the configuration file.
func fieldAt(path []string) (field reflect.StructField, ok bool) {
	t := reflect.TypeFor[settings]()
	if len(path) > 2 && path[0] == "webhook" { // the second key is the name
		t, path = reflect.TypeFor[webhookTable](), path[2:]
	}
	for i, key := range path {
		ok = false
		for f := range fieldsOf(t) {
			if k := tomlKey(f); k != "" && strings.EqualFold(k, key) {
				field, ok = f, true
			}
		}
		if !ok {
			return field, false
		}
		if t = field.Type; t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct && i < len(path)-1 {
			return field, false
		}
	}
	return field, ok
}
