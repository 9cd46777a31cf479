package main

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// referenceCommand prints the pages of docs/reference that are made from the program.
type referenceCommand struct {
	Page string `arg:"" enum:"settings,cli" help:"The page: settings or cli"`
}

// Run prints the page. A test compares it with the file.
func (c *referenceCommand) Run(to console) error {
	parser, err := newParser(new(commands))
	if err != nil {
		return err
	}
	page := formatSettingsPage()
	if c.Page == "cli" {
		page = formatCLIPage(parser.Model)
	}
	_, err = fmt.Fprint(to.out, page)
	return err
}

const settingsIntro = `# Settings

*Do not edit this page: ` + "`make docs`" + ` prints it.*

Set each setting in a TOML file, in the environment or on the command line. The command line overrides the environment,
and the environment overrides the file.

- ` + "`--config FILE` or `TWOSTEP_CONFIG`" + ` names the file. In the file, write the keys without a section
  first, before all sections.
- An empty variable counts as not set.
- The type *word* is one of the words listed. A *duration* is a number with a unit, like ` + "`90m` or `24h`" + `.
- In the file, write all values in quotes, except numbers, ` + "`true`" + ` and ` + "`false`" + `.
- Passwords have no flag, because all users of a machine can read the arguments of a process. To read a secret from a
  file, add ` + "`_FILE`" + ` to the name of its variable and set it to the path. A newline at the end of the file is ignored.
- With an unknown key or a wrong value, the program does not start. The error names the line or the variable.

`

// formatSettingsPage returns docs/reference/settings.md.
func formatSettingsPage() string {
	var b strings.Builder
	b.WriteString(settingsIntro)
	section := "none yet"
	for _, info := range settingInfos() {
		if info.section != section {
			section = info.section
			title := "\n## [" + section + "]"
			if section == "" {
				title = "## Without a section"
			}
			fmt.Fprintf(&b, "%s\n\n| key | variable, flag | type | default | what it does |\n|---|---|---|---|---|\n", title)
		}
		variable, flag := "`"+environmentName(info.flag)+"`", "no flag"
		if info.secret {
			variable += " or `…_FILE`"
		}
		if info.hasFlag {
			flag = "`--" + info.flag + "`"
		}
		key := "–"
		if info.key != "" {
			key = "`" + info.fullKey() + "`"
		}
		fmt.Fprintf(&b, "| %s | %s, %s | %s | %s | %s |\n", key, variable, flag, info.typ, info.standard(), info.what())
	}
	b.WriteString(formatWebhookKeys())
	b.WriteString(formatAppKeys())
	return b.String()
}

// what says what the setting does and what is allowed, with an example.
func (i settingInfo) what() string {
	text := i.help
	if len(i.values) > 0 {
		text += ". Allowed: " + codeList(i.values)
	} else if i.allowed != "" {
		text += ". Allowed: " + i.allowed
	}
	if value := strings.Trim(i.example, "'"); value != "" {
		text += ". Example: `" + value + "`"
	}
	return text
}

// standard returns the default for people.
func (i settingInfo) standard() string {
	switch {
	case i.defaultValue != "" && i.fallback != "" && i.typ != "number":
		return "`" + i.defaultValue + "`, " + i.fallback
	case i.fallback != "":
		return i.fallback
	case i.defaultValue != "":
		return "`" + i.defaultValue + "`"
	case i.typ == "true or false":
		return "`false`"
	}
	return "none"
}

func codeList(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

const appsIntro = `
## [[app]]

Each ` + "`[[app]]`" + ` in the file registers an app. To register it by command instead, use
[` + "`twostep app add`" + `](cli.md#twostep-app-add) with the flags in the last column. To change an app of the file, change
the file and restart the server.

| key | type | default | what it does | flag of ` + "`app add`" + ` |
|---|---|---|---|---|
`

func formatAppKeys() string {
	var b strings.Builder
	b.WriteString(appsIntro)
	for f := range fieldsOf(reflect.TypeFor[appTable]()) {
		kind, standard := "text", cmp.Or(f.Tag.Get("fallback"), "none")
		switch f.Type.Kind() {
		case reflect.Bool:
			kind, standard = "true or false", "`false`"
		case reflect.Slice:
			kind = "list"
		}
		if text := f.Tag.Get("default"); text != "" {
			standard = "`" + text + "`"
		}
		what := f.Tag.Get("help")
		if values := f.Tag.Get("values"); values != "" {
			what += ": " + codeList(strings.Split(values, ","))
		} else if example := f.Tag.Get("example"); example != "" {
			what += ", like `" + example + "`"
		}
		if allowed := f.Tag.Get("allowed"); allowed != "" {
			what += "; " + allowed
		}
		flag := f.Tag.Get("flag")
		if flag != "" {
			flag = "`" + flag + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", tomlKey(f), kind, standard, what, flag)
	}
	return b.String()
}

const webhookIntro = `
## [webhook.NAME]

Each ` + "`[webhook.NAME]`" + ` in the file is a [webhook](../how-to/webhooks.md). The name is 1 to 32 lower-case letters,
digits and dashes. To keep the secret out of the file, set ` + "`TWOSTEP_WEBHOOK_NAME_SECRET`" + ` or
` + "`TWOSTEP_WEBHOOK_NAME_SECRET_FILE`" + `, with the name in capitals and ` + "`_`" + ` for a dash.

| key | type | default | what it does |
|---|---|---|---|
`

func formatWebhookKeys() string {
	var b strings.Builder
	b.WriteString(webhookIntro)
	for f := range fieldsOf(reflect.TypeFor[webhookTable]()) {
		kind, standard := "text", "none"
		switch f.Type.Kind() {
		case reflect.Bool:
			kind, standard = "true or false", "`false`"
		case reflect.Slice:
			kind = "list"
		}
		what := f.Tag.Get("help")
		if allowed := f.Tag.Get("allowed"); allowed != "" {
			what += ". Allowed: " + allowed
		}
		if example := f.Tag.Get("example"); example != "" {
			what += ". Example: `" + example + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", tomlKey(f), kind, standard, what)
	}
	return b.String()
}

const cliIntro = `# Command line

*Do not edit this page: ` + "`make docs`" + ` prints it.*

` + "`twostep --help`" + ` lists the commands, and ` + "`twostep COMMAND --help`" + ` describes one. Results go to standard output. Errors
and the log go to standard error.

Most commands open the database of the server. Run them as the same user and with the same [settings](settings.md) as the
server. The server can keep running.

## Exit codes

| code | meaning |
|---|---|
| ` + "`0`" + ` | success |
| ` + "`1`" + ` | the command failed, for example because the database did not answer or an account does not exist |
| ` + "`2`" + ` | the command line or a setting is wrong |

`

// exitNotes say what else the exit code of a command means.
var exitNotes = map[string]string{
	"twostep serve": "`0` after SIGTERM or an interrupt. `2` if a setting is wrong: a service manager should not restart the server then.",
	"twostep check": "`0` if every sentence is true, `1` if one is not or the server does not answer.",
}

// formatCLIPage returns docs/reference/cli.md.
func formatCLIPage(app *kong.Application) string {
	var b strings.Builder
	b.WriteString(cliIntro)
	b.WriteString("## Commands\n\n")
	leaves := app.Leaves(true)
	for _, leaf := range leaves {
		name := leaf.FullPath()
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", name, strings.ReplaceAll(name, " ", "-"), lowerFirst(leaf.Help))
	}
	for _, leaf := range leaves {
		b.WriteString("\n" + formatCommand(leaf))
	}
	return b.String()
}

func lowerFirst(text string) string { return strings.ToLower(text[:1]) + text[1:] }

func formatCommand(leaf *kong.Node) string {
	var b strings.Builder
	name := leaf.FullPath()
	fmt.Fprintf(&b, "## %s\n\n%s.\n\n```\n%s\n```\n", name, leaf.Help, "twostep "+leaf.Summary())
	if len(leaf.Positional) > 0 {
		b.WriteString("\n| argument | required | what it is |\n|---|---|---|\n")
		for _, one := range leaf.Positional {
			required := "no"
			if one.Required {
				required = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", one.Name, required, formatHelp(one))
		}
	}
	settings, flags := false, ""
	for _, flag := range leaf.Flags {
		switch {
		case flag.Group != nil && flag.Group.Key == settingsGroup:
			settings = true
		case !flag.Hidden && flag.Name != "help":
			flags += fmt.Sprintf("| `%s` | %s |\n", flagUsage(flag), formatHelp(flag.Value))
		}
	}
	if flags != "" {
		b.WriteString("\n| flag | what it does |\n|---|---|\n" + flags)
	}
	if settings {
		b.WriteString("\nYou can also use all [settings](settings.md) as flags.\n")
	}
	if note := exitNotes[name]; note != "" {
		b.WriteString("\nExit code: " + note + "\n")
	}
	fmt.Fprintf(&b, "\nExample:\n\n```\n%s\n```\n", exampleOf(leaf))
	return b.String()
}

// flagUsage returns a flag with its value: --name=NAME.
func flagUsage(flag *kong.Flag) string {
	if flag.IsBool() {
		return "--" + flag.Name
	}
	return "--" + flag.Name + "=" + flag.FormatPlaceHolder()
}
