package twostep_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A textRule finds text that the code and the documentation must not contain.
type textRule struct {
	found *regexp.Regexp
	want  string // what to write instead
}

// sourceName matches a standard that is cited by its sections.
const sourceName = `(?:RFC \d+|NIST SP 800-\d+[A-Z]?(?:-\d)?|ASVS|WCAG|` +
	`OpenID Connect (?:Core|Discovery|[A-Za-z]+-[A-Za-z]+ (?:Logout|Initiated)))`

// sourceRules are the rules for citations. A source is a public one, and has one form, so that it
// can be searched for.
var sourceRules = []textRule{
	{regexp.MustCompile(`(?:\b|_|Test)(?:STD|FLT|ATT|LIM|FUZ|INV|DEM)-?\d+`), "cite a public source"},
	{regexp.MustCompile(`\bSECURITY\.md\b|\b[Tt]he catalogue\b|\bseed\.txt\b`), "cite a public source"},
	{regexp.MustCompile(`\b(?:rfc|nist|asvs|wcag)/\d+`), `"RFC 6238 5.2", "NIST SP 800-63B-4 3.1.3"`},
	{regexp.MustCompile(`\bRFC(?:-|  |, ?)\d|(?:^|[^.\w])RFC\d+\b`), `"RFC 6238 5.2"`},
	{regexp.MustCompile(`\bNIST[ -]800-\d|(?:^|[^ ]|(?:^|[^T]) )SP[ -]?800-\d`), `"NIST SP 800-63B-4 3.1.3"`},
	{regexp.MustCompile(`\bASVS,? (?:v\d|V\d|\d\.\d (?:V|\d)|\d\.\d, ?V?\d)`), `"ASVS 6.5.1"`},
	{regexp.MustCompile(`\bWCAG,? (?:SC |2\.\d,? (?:SC )?\d\.\d)`), `"WCAG 3.3.8"`},
	{regexp.MustCompile(`\b(?:OIDC|OpenID) Core\b|\bOpenID Connect \S+ 1\.0,? \d`), `"OpenID Connect Core 3.1.2"`},
	{
		regexp.MustCompile(`\b` + sourceName + `(?:, ?\d+(?:\.\d|[);:.]|$)|,? \(\d+\.|` +
			`,? (?:[Ss]ections?|[Aa]ppendix|sec\.|§) ?[0-9A-Z])`),
		`number, space, section, as in "RFC 6238 5.2"`,
	},
}

// metaphors are words of an older vocabulary; docs/architecture.md has the terms in a glossary.
var metaphors = textRule{
	regexp.MustCompile(`(?i)\b(?:house|room|floor|ration|farewell)s?\b`), "use the term of the field",
}

// properUses are uses of these words in their own meaning.
var properUses = []struct {
	found *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`\bmath\.Floor\b`), "rounds down"},
}

// helpQuote matches a citation of the help page, which ends at the first quote or ellipsis.
var helpQuote = regexp.MustCompile(`(?i)help page: \\?"([^"…\\]+)`)

// A passage is a piece of text that is read as a whole: a comment, a string, a paragraph. Its lines
// are joined, because citations may be wrapped.
type passage struct {
	file string
	line int
	text string
}

func (p passage) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

var commentMarker = regexp.MustCompile(`(?m)^\s*(?://|#|\*)+ ?`)

func newPassage(file string, line int, text string) passage {
	return passage{file, line, strings.Join(strings.Fields(commentMarker.ReplaceAllString(text, "")), " ")}
}

// goPassages returns the comments and strings of a Go file.
func goPassages(t *testing.T, file string, text []byte) (all []passage) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tree.Comments {
		var lines []string
		for _, line := range c.List {
			lines = append(lines, line.Text)
		}
		all = append(all, newPassage(file, set.Position(c.Pos()).Line, strings.Join(lines, "\n")))
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
			all = append(all, newPassage(file, set.Position(s.Pos()).Line, s.Value))
		}
		return true
	})
	return all
}

// paragraphs returns the paragraphs of a Markdown file; rows of a table are one each.
func paragraphs(file string, text []byte) (all []passage) {
	var lines []string
	flush := func(end int) {
		if len(lines) > 0 {
			all = append(all, newPassage(file, end-len(lines), strings.Join(lines, "\n")))
		}
		lines = nil
	}
	number := 1
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "- ") {
			flush(number)
		}
		lines = append(lines, line)
		number++
	}
	flush(number)
	return all
}

// repositoryFiles returns the Go files of both modules and the documentation.
func repositoryFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() || entry.Type()&fs.ModeSymlink != 0 {
			skipped := name == "build" || name == "node_modules" || strings.HasPrefix(name, ".")
			if path != "." && skipped && entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		doc := strings.HasPrefix(path, "docs"+string(filepath.Separator)) && strings.HasSuffix(path, ".md") ||
			path == "README.md" || path == "CONTRIBUTING.md"
		if !doc && !strings.HasSuffix(path, ".go") || path == "sources_test.go" {
			return nil
		}
		text, err := os.ReadFile(path)
		files[filepath.ToSlash(path)] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// helpSentences returns the sentences of the help page, without their IDs.
func helpSentences(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("manual/en.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, sentence, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
			all = append(all, sentence)
		}
	}
	return all
}

// checkSources returns what is wrong with the citations of a text.
func checkSources(text string, sentences []string) (wrong []string) {
	for _, r := range sourceRules {
		for _, found := range r.found.FindAllString(text, -1) {
			wrong = append(wrong, fmt.Sprintf("%q: want %s", strings.TrimSpace(found), r.want))
		}
	}
	for _, quote := range helpQuote.FindAllStringSubmatch(text, -1) {
		words := strings.TrimSpace(strings.TrimRight(quote[1], ". "))
		if !slices.ContainsFunc(sentences, func(s string) bool { return strings.Contains(s, words) }) {
			wrong = append(wrong, fmt.Sprintf("no sentence of manual/en.txt has %q", words))
		}
	}
	return wrong
}

// checkMetaphors returns the metaphors in a line.
func checkMetaphors(line string) []string {
	for _, u := range properUses {
		line = u.found.ReplaceAllString(line, "")
	}
	return metaphors.found.FindAllString(line, -1)
}

// Every source in code and documentation is public and has one form, and every quotation of the
// help page is in it.
func TestSources(t *testing.T) {
	sentences := helpSentences(t)
	for file, text := range repositoryFiles(t) {
		var all []passage
		if strings.HasSuffix(file, ".go") {
			all = goPassages(t, file, text)
			for i, line := range strings.Split(string(text), "\n") { // IDs in the names of tests
				if strings.HasPrefix(line, "func Test") {
					all = append(all, passage{file, i + 1, line})
				}
			}
		} else {
			all = paragraphs(file, text)
		}
		for _, p := range all {
			if strings.HasPrefix(file, "test/attack/") { // its catalogue is in testdata
				p.text = strings.ReplaceAll(p.text, "catalogue", "list")
			}
			for _, wrong := range checkSources(p.text, sentences) {
				t.Errorf("%s: %s", p, wrong)
			}
		}
	}
}

// Code and documentation use the terms of the field instead of metaphors.
func TestNoMetaphors(t *testing.T) {
	used := make([]bool, len(properUses))
	for file, text := range repositoryFiles(t) {
		for i, line := range strings.Split(string(text), "\n") {
			for j, u := range properUses {
				used[j] = used[j] || u.found.MatchString(line)
			}
			for _, word := range checkMetaphors(line) {
				t.Errorf("%s:%d: %q: %s", file, i+1, word, metaphors.want)
			}
		}
	}
	for j, u := range properUses {
		if !used[j] {
			t.Errorf("the exception %q (%s) is not needed any more", u.found, u.why)
		}
	}
}

func TestSourceRules(t *testing.T) {
	sentences := helpSentences(t)
	for _, good := range []string{
		"RFC 6238 5.2", "(RFC 4226 D)", "RFC 1918, RFC 6598, RFC 4193", "RFC 6238, SHA-1, 6 digits", "time.RFC3339Nano",
		"NIST SP 800-63B-4 3.1.3", "NIST SP 800-63B-4 3.1.3.2 and 4.2.1.1", "ASVS 6.5.1", "OWASP ASVS", "WCAG 3.3.8",
		"WCAG 2.2 AA", "OpenID Connect Core 3.1.2", "OpenID Connect Back-Channel Logout 2.5", "RFC 7636, S256",
		`help page: "Trust ends sooner if your password`, `help page: "Select 2-Step Auth App…"`, "a random seed",
	} {
		if wrong := checkSources(good, sentences); wrong != nil {
			t.Errorf("%s: %q", good, wrong)
		}
	}
	for _, bad := range []string{
		"STD-063", "FLT-051", "(ATT-289)", "TestATT066_096", "LIM-1", "FUZ-004", "INV-12", "DEM-3", "ATT299",
		"SECURITY.md",
		"the catalogue", "RFC 6238, 5.2", "RFC 6238 section 5.2", "RFC 6238, section 5.2", "RFC-6238", "RFC6238 5.2",
		"rfc/6238#5.2", "RFC 4226 appendix D", "RFC 6238 §5.2", "RFC 6238 (5.2)", "RFC 7239, 4)", "NIST 800-63B",
		"SP 800-63B 5.1",
		"NIST SP 800-63B-4, 3.1.3", "NIST SP 800-63B-4 (3.1.3)", "NIST SP 800-63B section 5.1.1", "ASVS 5.0 V6.5.1",
		"ASVS V6.5.1", "ASVS 5.0, 6.5.1", "ASVS, 6.5.1", "WCAG 2.2 3.3.8", "WCAG SC 3.3.8", "OIDC Core 3.1.2",
		"OpenID Connect Core, 3.1.2",
		"OpenID Connect Core section 3", "OpenID Connect Core 1.0 3.1.2", `help page: "Trust never ends"`,
	} {
		if checkSources(bad, sentences) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	for _, bad := range []string{"the House", "rooms", "a floor", "rations", "Farewell", "room := 1"} {
		if checkMetaphors(bad) == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	for _, good := range []string{"household", "math.Floor(n)", "bathroom", "configuration", "rational"} {
		if wrong := checkMetaphors(good); wrong != nil {
			t.Errorf("%s: %q", good, wrong)
		}
	}
}
