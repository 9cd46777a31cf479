package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// settingError is an error in the value of a setting. settingSources.locate adds where it was set.
type settingError struct {
	flag    string // names the setting, like session-idle
	message string // what is wrong; it continues the name: ` is "soon", want …`
}

func (e *settingError) Error() string { return settingKey(e.flag) + e.message }

// wrongSetting returns a settingError. want says what is allowed, with an example.
func wrongSetting(flag string, value any, want string, args ...any) error {
	return &settingError{flag: flag, message: fmt.Sprintf(" is %#v, want %s", value, fmt.Sprintf(want, args...))}
}

// locate adds to each settingError in err where the setting was set: the line of the file, the
// variable, or the flag.
func (s *settingSources) locate(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all := slices.Clone(joined.Unwrap())
		for i, one := range all {
			all[i] = s.locate(one)
		}
		return errors.Join(all...)
	}
	wrong := new(settingError)
	if !errors.As(err, &wrong) {
		return err
	}
	switch origin := s.origins[wrong.flag]; {
	case origin.variable != "":
		return fmt.Errorf("%s%s", origin.variable, wrong.message)
	case origin.line > 0:
		return fmt.Errorf("%s:%d: %w", s.fileName, origin.line, err)
	case origin.file:
		return fmt.Errorf("%s: %w", s.fileName, err)
	}
	if info, ok := findSetting(wrong.flag); ok && info.hasFlag {
		return fmt.Errorf("--%s%s", wrong.flag, wrong.message)
	}
	return err
}

// checkValues checks the settings that allow only some words.
func checkValues(s *settings) error {
	var wrong []error
	var check func(v reflect.Value, section string)
	check = func(v reflect.Value, section string) {
		for f := range fieldsOf(v.Type()) {
			one := v.FieldByIndex(f.Index)
			if f.Type.Kind() == reflect.Struct {
				check(one, tomlKey(f)+"-")
				continue
			}
			allowed := strings.Split(f.Tag.Get("values"), ",")
			if allowed[0] != "" && one.String() != "" && !slices.Contains(allowed, one.String()) {
				wrong = append(wrong, wrongSetting(section+strings.ReplaceAll(tomlKey(f), "_", "-"), one.String(), "%s",
					orList(allowed)))
			}
		}
	}
	check(reflect.ValueOf(*s), "")
	return errors.Join(wrong...)
}

// orList returns "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// unknownKey says what is wrong with a key that no setting has, and what may have been meant. table
// says that the key is a section.
func unknownKey(path []string, table bool) string {
	key := strings.Join(path, ".")
	what := "unknown key " + key
	if table {
		what = "unknown section [" + key + "]"
	}
	if len(path) == 1 && len(similar(path[0], []string{"app"})) > 0 {
		return what + ": did you mean [[app]]?"
	}
	if path[0] == "webhook" && len(path) > 2 {
		if list := similar(path[len(path)-1], webhookKeys()); len(list) > 0 {
			return what + ": did you mean " + orList(list) + "?"
		}
		return what + ", want one of " + strings.Join(webhookKeys(), ", ")
	}
	if table && len(path) == 1 {
		if list := similar(path[0], sections()); len(list) == 1 {
			return what + ": did you mean [" + list[0] + "]?"
		}
		return what + ", want one of " + strings.Join(sections(), ", ") + ", [webhook.NAME] or [[app]]"
	}
	if path[0] == "app" {
		if list := similar(path[len(path)-1], appKeys()); len(list) > 0 {
			return what + ": did you mean " + orList(list) + "?"
		}
		return what + ", want one of " + strings.Join(appKeys(), ", ")
	}
	// The name of a flag, of a variable, or section_key.
	flat := strings.ToLower(strings.Join(path, "_"))
	flat = strings.ReplaceAll(strings.TrimPrefix(flat, "twostep_"), "-", "_")
	names, places := map[string]settingInfo{}, map[string][]string{}
	for _, info := range settingInfos() {
		if info.key != "" {
			names[strings.ReplaceAll(info.flag, "-", "_")] = info
			places[info.key] = append(places[info.key], info.section)
		}
	}
	if info, ok := names[flat]; ok {
		return what + ": write " + info.inFile()
	}
	if table {
		return what
	}
	last, section := strings.ToLower(path[len(path)-1]), strings.Join(path[:len(path)-1], ".")
	if in := places[last]; len(in) > 0 { // the right key in the wrong section
		var all []string
		for _, section := range in {
			all = append(all, settingInfo{section: section, key: last}.inFile())
		}
		return what + ": write " + orList(all)
	}
	var near []string
	for _, info := range settingInfos() {
		if info.key != "" && info.section == section && len(similar(last, []string{info.key})) > 0 {
			near = append(near, info.fullKey())
		}
	}
	if len(near) > 0 {
		return what + ": did you mean " + orList(near) + "?"
	}
	var flags []string
	for name := range names {
		flags = append(flags, name)
	}
	if list := similar(flat, flags); len(list) == 1 {
		return what + ": did you mean " + names[list[0]].inFile() + "?"
	}
	return what + ", see docs/reference/settings.md for all keys"
}

// inFile says where a key is in the configuration file.
func (i settingInfo) inFile() string {
	if i.section == "" {
		return i.key + " above all sections"
	}
	return i.key + " below [" + i.section + "]"
}

func appKeys() (all []string) {
	for f := range fieldsOf(reflect.TypeFor[appTable]()) {
		all = append(all, tomlKey(f))
	}
	return all
}

func webhookKeys() (all []string) {
	for f := range fieldsOf(reflect.TypeFor[webhookTable]()) {
		all = append(all, tomlKey(f))
	}
	return all
}

// similar returns the words that differ from word in the fewest letters, if those are few.
func similar(word string, words []string) (found []string) {
	best := len(word)/4 + 1
	for _, one := range slices.Sorted(slices.Values(words)) {
		switch d := editDistance(strings.ToLower(word), one); {
		case d < best:
			best, found = d, []string{one}
		case d == best:
			found = append(found, one)
		}
	}
	return found
}

// editDistance returns how many letters must be inserted, removed, replaced or swapped with their
// neighbor to turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range b {
		rows[0][j+1] = j + 1
	}
	for i := range len(a) {
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			rows[i+1][j+1] = min(rows[i][j+1]+1, rows[i+1][j]+1, rows[i][j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				rows[i+1][j+1] = min(rows[i+1][j+1], rows[i-1][j-1]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// wrongType says what a key wants instead of a value of another TOML type.
func wrongType(path []string, got string) string {
	if path[0] == "webhook" && len(path) < 3 {
		return strings.Join(path, ".") + " is " + got + ", want a section with a name: write its keys below " +
			"[webhook.NAME], like [webhook.crm]"
	}
	field, ok := fieldAt(path)
	for !ok && len(path) > 1 { // a key below one that is no section
		path = path[:len(path)-1]
		field, ok = fieldAt(path)
	}
	what := strings.Join(path, ".") + " is " + got + ", want "
	if !ok {
		return what + "another type"
	}
	example := strings.Trim(field.Tag.Get("example"), "'")
	if values := field.Tag.Get("values"); values != "" {
		example = strings.Split(values, ",")[0]
	}
	if example == "" {
		example = field.Tag.Get("default")
	}
	last := path[len(path)-1]
	switch field.Type.Kind() {
	case reflect.Bool:
		return what + "true or false without quotes, like " + last + " = true"
	case reflect.Int:
		return what + "a number without quotes, like " + last + " = " + example
	case reflect.Slice:
		return what + "a list in brackets, like " + last + ` = ["` + example + `"]`
	case reflect.Struct:
		return what + "a section: write its keys below [" + last + "]"
	}
	if example == "" {
		return what + "text in quotes"
	}
	return what + "text in quotes, like " + last + ` = "` + example + `"`
}
