package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// userPages are the pages that users read: README.md and docs, without the decisions of the past.
func userPages(t *testing.T) map[string]string {
	t.Helper()
	files := []string{"../../README.md"}
	err := filepath.WalkDir("../../docs", func(file string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && entry.Name() == "decisions" {
			return filepath.SkipDir
		}
		if err == nil && filepath.Ext(file) == ".md" {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.ToSlash(strings.TrimPrefix(file, "../../"))] = string(text)
	}
	return pages
}

// A docChecker knows what the program has: commands with their flags, settings, variables.
type docChecker struct {
	root      *kong.Node
	sections  map[string]bool // of the settings file
	variables map[string]bool
	events    string // the page that lists the kinds of events, which look like keys
}

func newDocChecker(t *testing.T) *docChecker {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("twostep"))
	if err != nil {
		t.Fatal(err)
	}
	events, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	d := &docChecker{
		root: parser.Model.Node, sections: map[string]bool{}, events: string(events),
		variables: map[string]bool{"TWOSTEP_CHECK_PASSWORD": true}, // the only one that is not a setting
	}
	for _, secret := range []string{"DATABASE", "SMTP_PASSWORD", "SMS_GATEWAYS", "PROXY_SECRET", "WEBHOOK_NAME_SECRET", "WEBHOOK_CRM_SECRET"} {
		d.variables["TWOSTEP_"+secret] = true
		d.variables["TWOSTEP_"+secret+"_FILE"] = true
	}
	d.addSettings(reflect.TypeFor[settings](), "")
	return d
}

// addSettings adds the settings of a section: their variables, and the section itself.
func (d *docChecker) addSettings(of reflect.Type, section string) {
	for i := range of.NumField() {
		f := of.Field(i)
		key := f.Tag.Get("toml")
		if !f.IsExported() || key == "" || f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map {
			continue
		}
		if key == "-" {
			key = strings.ReplaceAll(cmp.Or(f.Tag.Get("name"), strings.ToLower(f.Name)), "-", "_")
		}
		if f.Type.Kind() == reflect.Struct {
			d.sections[key] = true
			d.addSettings(f.Type, key+"_")
			continue
		}
		d.variables["TWOSTEP_"+strings.ToUpper(section+key)] = true
	}
}

var (
	fencedBlock = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	inlineCode  = regexp.MustCompile("`([^`\n]+)`")
	variable    = regexp.MustCompile(`\bTWOSTEP_[A-Z][A-Z_]*[A-Z]\b`)
	dottedKey   = regexp.MustCompile(`^([a-z]+)\.[a-z_]+$`)
	assignment  = regexp.MustCompile(`^[a-z_]+(?:\.[a-z_]+)? = \S`)
	invocation  = regexp.MustCompile(`(?:^|[\s/(])twostep +([a-z][^|;&)#<>]*)`)
	flagName    = regexp.MustCompile(`^--[a-z][a-z-]*`)
)

// check returns what a page says that the program does not have.
func (d *docChecker) check(text string) (wrong []string) {
	for _, name := range variable.FindAllString(text, -1) {
		if !d.variables[name] {
			wrong = append(wrong, "there is no variable "+name)
		}
	}
	for _, block := range fencedBlock.FindAllStringSubmatch(text, -1) {
		if block[1] == "toml" {
			wrong = append(wrong, d.checkSettings(block[2])...)
			continue
		}
		if block[1] == "go" {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(block[2], "\\\n", " ")) {
			if output := block[1] == "console" && !strings.HasPrefix(line, "$ "); !output {
				wrong = append(wrong, d.checkCommands(line, false)...)
			}
		}
	}
	for _, span := range inlineCode.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		wrong = append(wrong, d.checkSpan(span[1])...)
	}
	return wrong
}

// checkSpan checks code within a sentence: a key, an assignment, a flag or a command.
func (d *docChecker) checkSpan(code string) []string {
	key := dottedKey.FindStringSubmatch(code)
	switch {
	case strings.HasPrefix(code, "--"):
		name := flagName.FindString(code)
		if name != "" && !hasFlag(d.root, strings.TrimPrefix(name, "--"), true) {
			return []string{"no command has the flag " + name}
		}
	case key != nil && d.sections[key[1]] && !strings.Contains(d.events, "`"+code+"`"):
		return d.checkSettings(code + ` = ""`)
	case assignment.MatchString(code):
		return d.checkSettings(strings.NewReplacer("…", "").Replace(code))
	}
	return d.checkCommands(code, true)
}

// checkSettings returns the keys of a TOML text that are no settings. Wrong types count only where the text is whole.
func (d *docChecker) checkSettings(text string) []string {
	_, _, _, err := parseConfigFile("it", []byte(text))
	if err == nil || strings.HasSuffix(text, ` = ""`) && !strings.Contains(err.Error(), "unknown key") {
		return nil
	}
	return []string{fmt.Sprintf("%q: %v", text, err)}
}

// checkCommands checks each command line of this program in a line. In a sentence, "twostep" always begins one.
func (d *docChecker) checkCommands(line string, sentence bool) (wrong []string) {
	for {
		at := invocation.FindStringSubmatchIndex(line)
		if at == nil {
			return wrong
		}
		words, user := strings.Fields(line[at[2]:at[3]]), strings.HasSuffix(line[:at[0]], " -u")
		line = line[at[2]-1:]
		if user || words[0] == "twostep" { // sudo -u twostep, or a user after a folder
			continue
		}
		node := d.root
		for len(words) > 0 {
			i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == words[0] })
			if i < 0 {
				break
			}
			node, words = node.Children[i], words[1:]
		}
		if node.DefaultCmd != nil && len(words) > 0 && words[0] != "--help" {
			node = node.DefaultCmd
		}
		if node.Type != kong.CommandNode || len(node.Children) > 0 && len(words) > 0 && words[0] != "--help" {
			if sentence || len(words) > 0 {
				wrong = append(wrong, fmt.Sprintf("there is no command twostep %s", strings.Join(words, " ")))
			}
			continue
		}
		for _, word := range words {
			name := strings.TrimPrefix(flagName.FindString(word), "--")
			if name != "" && name != "help" && !hasFlag(node, name, false) {
				wrong = append(wrong, fmt.Sprintf("twostep %s has no flag --%s", node.FullPath(), name))
			}
		}
	}
}

// hasFlag reports whether a command, or with below one of its commands, has a flag.
func hasFlag(n *kong.Node, name string, below bool) bool {
	if name == "help" || slices.ContainsFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == name }) {
		return true
	}
	return below && slices.ContainsFunc(n.Children, func(child *kong.Node) bool { return hasFlag(child, name, true) })
}

// Every setting, variable, command and flag that the documentation names is one of the program.
func TestDocumentationNamesWhatExists(t *testing.T) {
	d := newDocChecker(t)
	for page, text := range userPages(t) {
		if strings.Contains(page, "guides/apps/") { // all but the commands are settings of the app
			for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
				for _, wrong := range d.checkCommands(line, false) {
					t.Errorf("%s: %s", page, wrong)
				}
			}
			continue
		}
		for _, wrong := range d.check(text) {
			t.Errorf("%s: %s", page, wrong)
		}
	}
}

func TestDocumentationRules(t *testing.T) {
	d := newDocChecker(t)
	for _, good := range []string{
		"`smtp.host` `site = \"A\"` `trusted_proxies = [\"10.0.0.5\"]` `session.created` `cert.pem` `prompt=none`",
		"`twostep audit --since 24h` `--keep-old` `TWOSTEP_SMTP_PASSWORD_FILE` `twostep explain --trace TRACE`",
		"```toml\n[smtp]\nport = 587\n```\n",
		"```console\n$ sudo -u twostep twostep app add x --redirect URL --config FILE | tee y\nno flag --there\n```\n",
		"```console\n$ sudo -u twostep sqlite3 /var/lib/twostep/twostep.db\n```\n",
		"```console\n$ sudo useradd --system --home-dir /var/lib/twostep twostep\n$ go run ./cmd/twostep serve --demo\n```\n",
	} {
		if wrong := d.check(good); wrong != nil {
			t.Errorf("%s: %q", good, wrong)
		}
	}
	for _, bad := range []string{
		"`smtp.hostname`", "`sitename = \"A\"`", "`twostep frobnicate`", "`twostep app frobnicate`", "`--frobnicate`",
		"`twostep audit --frobnicate`", "`TWOSTEP_NONE`", "TWOSTEP_TLS_CERT_FILE", "`twostep app`x `twostep app nothing`",
		"```toml\n[smtp]\nport = \"587\"\n```\n", "```toml\nnone = 1\n```\n",
		"```console\n$ sudo -u twostep twostep audit --frobnicate --config FILE\n```\n",
		"```sh\nlink=$(twostep account invite \"$1\")\n```\n", "```\ntwostep audit \\\n  --frobnicate\n```\n",
	} {
		if d.check(bad) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
