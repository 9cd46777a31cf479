package twostep_test

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const guides = "docs/guides/apps/"

// guideSections are the headings of a guide in docs/guides/apps, in their order.
var guideSections = []string{"Register the app", "Settings of the app", "Check it", "Limits", "What this rests on"}

// Each guide has all sections, with the command to register the app and the settings of the app. It says what it rests
// on.
func TestGuidesAreWhole(t *testing.T) {
	pages := guidePages(t)
	if len(pages) < 25 {
		t.Errorf("there are %d guides, want at least 25", len(pages))
	}
	for name, text := range pages {
		if err := checkGuide(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuideThatIsNotWholeIsFound(t *testing.T) {
	whole := "# X\n\nX is an app.\n\n## Register the app\n\n```console\n$ twostep app add x\n```\n\n## Settings of the app\n\n" +
		"```toml\na = 1\n```\n\n## Check it\n\n- It works.\n\n## Limits\n\n- None.\n\n" +
		"## What this rests on\n\nX 1. Not run here.\n"
	if err := checkGuide(whole); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"X is an app.\n\n", "$ twostep app add x\n", "a = 1\n", "## Check it\n\n", "- It works.\n",
		"- None.\n", " Not run here."} {
		if err := checkGuide(strings.Replace(whole, part, "", 1)); err == nil {
			t.Errorf("a guide without %q passes", part)
		}
	}
}

// The index has a row for each guide: what it needs to be registered, and the first sentence of what it rests on.
func TestIndexOfGuides(t *testing.T) {
	pages := guidePages(t)
	var rows []string
	for name, text := range pages {
		title, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
		rests := strings.ReplaceAll(strings.TrimSpace(section(text, "What this rests on")), "\n", " ")
		rests, _, _ = strings.Cut(rests, ". ")
		rests = strings.TrimSuffix(rests, ".")
		rows = append(rows, fmt.Sprintf("| [%s](%s) | %s | %s |\n", title, path.Base(name), registration(text), rests))
	}
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	want := "| guide | registered with | rests on |\n|---|---|---|\n" + strings.Join(rows, "")
	if index := markdownPages(t)[guides+"README.md"]; !strings.Contains(index, want) {
		t.Errorf("%sREADME.md must have this table:\n%s", guides, want)
	}
}

// guidePages returns the guides by their path.
func guidePages(t *testing.T) map[string]string {
	t.Helper()
	pages := markdownPages(t)
	maps.DeleteFunc(pages, func(name, _ string) bool {
		return path.Dir(name)+"/" != guides || path.Base(name) == "README.md"
	})
	return pages
}

var unusualFlag = regexp.MustCompile(`--(?:pkce|algorithm|allow-scheme) \S+|--(?:back-channel|insecure-http)`)

// registration says how an app is registered: with a secret, public, or as a host, and with which unusual flags.
func registration(guide string) string {
	words := "a secret"
	command := section(guide, "Register the app")
	if _, after, ok := strings.Cut(command, "app add "); ok {
		command, _, _ = strings.Cut(strings.ReplaceAll(after, "\\\n", " "), "\n")
	}
	switch {
	case strings.Contains(command, " --public"):
		words = "`--public`"
	case strings.Contains(command, " --host"):
		words = "`--host`"
	}
	for _, flag := range unusualFlag.FindAllString(command, -1) {
		words += ", `" + flag + "`"
	}
	return words
}

func checkGuide(text string) error {
	var headings []string
	for line := range strings.Lines(withoutCode(text)) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			headings = append(headings, heading)
		}
	}
	if !slices.Equal(headings, guideSections) {
		return fmt.Errorf("its sections are %q, want %q", headings, guideSections)
	}
	if !regexp.MustCompile(`^# [^\n]+\n\n[^#\n]`).MatchString(text) {
		return errors.New("it does not say first what the app is")
	}
	for _, heading := range headings {
		body := strings.TrimSpace(section(text, heading))
		switch {
		case body == "":
			return fmt.Errorf("%s: nothing", heading)
		case heading == "Register the app" && !strings.Contains(body, "twostep app add "):
			return fmt.Errorf("%s: no command twostep app add", heading)
		case heading == "Settings of the app" && !regexp.MustCompile("```[^\n]*\n[^`]").MatchString(body):
			return fmt.Errorf("%s: no settings", heading)
		case heading == "What this rests on" && !regexp.MustCompile("^Run by a test: |[nN]ot run here").MatchString(body):
			return fmt.Errorf("%s: it says neither \"Run by a test: …\" nor \"Not run here.\"", heading)
		}
	}
	return nil
}

// section returns the text below a heading of level 2.
func section(text, heading string) string {
	_, body, ok := strings.Cut("\n"+text, "\n## "+heading+"\n")
	if !ok {
		return ""
	}
	body, _, _ = strings.Cut(body, "\n## ")
	return body
}

// withoutCode removes fenced blocks, whose lines may look like headings.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}
