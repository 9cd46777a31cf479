package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guide is what a test takes from a page in docs/guides/apps.
type guide struct {
	name  string
	add   []string          // the words of the line `twostep app add`, from app on
	files map[string]string // the blocks that have a file name
}

// readGuide reads docs/guides/apps/NAME.md.
func readGuide(t *testing.T, name string) guide {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/guides/apps", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := parseGuide(name, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// parseGuide finds the line `twostep app add`, which may be continued after a backslash, and the blocks with a file
// name.
func parseGuide(name, text string) (guide, error) {
	g := guide{name: name, files: map[string]string{}}
	file, fenced := "", false
	var block strings.Builder
	for line := range strings.Lines(text) {
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && !fenced:
			fenced, file = true, ""
			block.Reset()
			if words := strings.Fields(info); len(words) == 2 {
				file = words[1]
			}
		case fence:
			fenced = false
			if file != "" {
				g.files[file] = block.String()
			}
			if _, command, ok := strings.Cut(block.String(), "twostep app add "); ok && g.add == nil {
				command, _, _ = strings.Cut(strings.ReplaceAll(command, "\\\n", " "), "\n")
				words, err := shellWords(command)
				if err != nil {
					return g, fmt.Errorf("%s: twostep app add: %w", name, err)
				}
				g.add = append([]string{"app", "add"}, words...)
			}
		case fenced:
			block.WriteString(line)
		}
	}
	if g.add == nil {
		return g, fmt.Errorf("%s: no block with a line: twostep app add", name)
	}
	return g, nil
}

// shellWords splits a command as a shell does, as far as guides need it: spaces and quotes.
func shellWords(command string) (words []string, err error) {
	var word strings.Builder
	quote, inside := rune(0), false
	for _, r := range command {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inside = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		case strings.ContainsRune("$`\\|&;<>()*?", r):
			return nil, fmt.Errorf("%q is for a shell", r)
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is open", quote)
	}
	if inside {
		words = append(words, word.String())
	}
	return words, nil
}

func TestGuideIsRead(t *testing.T) {
	g, err := parseGuide("x", "# X\n\n```console\n$ sudo -u twostep twostep app add x --name 'My X' \\\n"+
		"    --redirect \"https://x.example.com/cb\"\n$ exit\n```\n\n```toml x.cfg\na = 1\n```\n\n```toml\nb = 2\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(g.add, "|"); got != "app|add|x|--name|My X|--redirect|https://x.example.com/cb" {
		t.Errorf("app add: %s", got)
	}
	if len(g.files) != 1 || g.files["x.cfg"] != "a = 1\n" {
		t.Errorf("files: %q", g.files)
	}
	for _, text := range []string{"# X\n", "```\ntwostep app add x $(y)\n```\n", "```\ntwostep app add 'x\n```\n"} {
		if _, err := parseGuide("x", text); err == nil {
			t.Errorf("%q is no guide, and is taken", text)
		}
	}
}
