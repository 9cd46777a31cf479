package twostep_test

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Every link in the documentation leads to a file of the repository and, if it has one, to a heading in it. External
// links are compared with the form of a URL only: this test needs no network.
func TestLinks(t *testing.T) {
	pages := markdownPages(t)
	if len(pages) < 30 {
		t.Fatalf("found %d pages", len(pages))
	}
	for name, text := range pages {
		for _, l := range markdownLinks(text) {
			if err := checkLink(pages, name, l.target); err != nil {
				t.Errorf("%s:%d: %v", name, l.line, err)
			}
		}
	}
}

// markdownPages returns the Markdown files of the repository, by their path with slashes.
func markdownPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != "." && (name == "build" || name == "node_modules" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if entry.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(file)
		pages[filepath.ToSlash(file)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

type link struct {
	line   int
	target string
}

var (
	codeSpan   = regexp.MustCompile("``[^`]+``|`[^`]*`")
	inlineLink = regexp.MustCompile(`\]\(([^()\s]*(?:\([^()\s]*\))?[^()\s]*)(?:\s+"[^"]*")?\)`)
	linkLabel  = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s*(\S+)`)
	autoLink   = regexp.MustCompile(`<([a-z]+:[^\s<>]*)>`)
)

// markdownLinks returns the links and images of a page. It skips code.
func markdownLinks(text string) (all []link) {
	number, fenced := 0, false
	for line := range strings.Lines(text) {
		number++
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		line = codeSpan.ReplaceAllString(line, "code")
		for _, form := range []*regexp.Regexp{inlineLink, linkLabel, autoLink} {
			for _, found := range form.FindAllStringSubmatch(line, -1) {
				all = append(all, link{number, found[1]})
			}
		}
	}
	return all
}

func checkLink(pages map[string]string, from, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	if u.Scheme == "mailto" {
		return nil
	}
	if u.Scheme != "" {
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return fmt.Errorf("%s: not a web address", target)
		}
		return nil
	}
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	if path.IsAbs(u.Path) || strings.HasPrefix(to, "../") {
		return fmt.Errorf("%s: not in the repository", target)
	}
	if _, err := os.Stat(filepath.FromSlash(to)); err != nil {
		return fmt.Errorf("%s: there is no %s", target, to)
	}
	if u.Fragment != "" && !slices.Contains(anchors(pages[to]), u.Fragment) {
		return fmt.Errorf("%s: %s has no such heading", target, to)
	}
	return nil
}

// anchors returns the anchors of the headings of a page, as GitHub makes them.
func anchors(text string) (all []string) {
	fenced, seen := false, map[string]int{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		title := strings.TrimLeft(line, "#")
		level := len(line) - len(title)
		if fenced || level < 1 || level > 6 || !strings.HasPrefix(title, " ") {
			continue
		}
		title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(strings.TrimSpace(title), "$1")
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		if n := seen[anchor]; n > 0 {
			all = append(all, fmt.Sprintf("%s-%d", anchor, n))
		} else {
			all = append(all, anchor)
		}
		seen[anchor]++
	}
	return all
}

func TestLinkRules(t *testing.T) {
	const page = "# One `two`, three!\n\n```sh\n# not a heading\n[no](link.md)\n```\n\n## Same\n\n### Same\n\n" +
		"[a](docs_test.go) `[b](none)` [c](#one-two-three) <https://example.com> ![d](x.png \"title\")\n"
	if got, want := anchors(page), []string{"one-two-three", "same", "same-1"}; !slices.Equal(got, want) {
		t.Errorf("anchors: got %q, want %q", got, want)
	}
	var targets []string
	for _, l := range markdownLinks(page) {
		targets = append(targets, l.target)
	}
	want := []string{"docs_test.go", "#one-two-three", "x.png", "https://example.com"}
	if !slices.Equal(targets, want) {
		t.Errorf("links: got %q, want %q", targets, want)
	}
	pages := map[string]string{"README.md": page, "docs/apps.md": "# Apps\n"}
	for _, good := range []string{
		"docs_test.go", "#same-1", "docs/apps.md#apps", "docs", "https://example.com/a#b", "mailto:a@example.com",
	} {
		if err := checkLink(pages, "README.md", good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"none.md", "#none", "docs/apps.md#none", "/docs/apps.md", "../x.md", "https:///a", "ftp://example.com", ":",
	} {
		if checkLink(pages, "README.md", bad) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
