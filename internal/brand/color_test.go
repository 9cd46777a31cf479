package brand

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// themeOf returns the custom properties of a block of style.css.
func themeOf(t *testing.T, block string) map[string]string {
	t.Helper()
	sheet, err := os.ReadFile("../render/assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(sheet), block)
	if !ok {
		t.Fatalf("no %q in style.css", block)
	}
	rest, _, _ = strings.Cut(rest, "}")
	values := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(rest, -1) {
		values[m[1]] = m[2]
	}
	return values
}

// The constants are the colors of the style sheet.
func TestThemesAreThoseOfTheStyleSheet(t *testing.T) {
	for _, c := range []struct {
		block    string
		theme    theme
		standard Palette
	}{
		{":root {\n  color-scheme", lightTheme, defaultLight},
		{"@media (prefers-color-scheme: dark) {\n  :root {", darkTheme, defaultDark},
	} {
		css := themeOf(t, c.block)
		for name, got := range map[string]string{
			"card": c.theme.card.String(), "ground": c.theme.ground.String(), "wrong-tint": c.theme.wrongTint.String(),
			"text": c.theme.text.String(), "quiet": c.theme.quiet.String(),
			"accent": c.standard.Accent, "accent-over": c.standard.AccentOver, "tint": c.standard.Tint,
			"on-accent": c.standard.ButtonText,
		} {
			want, ok := parseColor(css[name])
			if !ok || want.String() != got {
				t.Errorf("%s --%s: %s, in style.css %s", c.block, name, got, css[name])
			}
		}
		if c.standard.Button != c.standard.Accent || c.standard.ButtonOver != c.standard.AccentOver {
			t.Errorf("%s: the built-in button has a color of its own", c.block)
		}
	}
}

// checkPalette says which text of a palette is too hard to read.
func checkPalette(th theme, p Palette) error {
	accent, over, tint := mustParse(p.Accent), mustParse(p.AccentOver), mustParse(p.Tint)
	button, buttonOver, text := mustParse(p.Button), mustParse(p.ButtonOver), mustParse(p.ButtonText)
	for _, c := range []struct {
		what     string
		fore     color
		back     color
		required float64
	}{
		{"accent on card", accent, th.card, 4.5}, {"accent on ground", accent, th.ground, 4.5},
		{"accent on tint", accent, tint, 4.5}, {"accent on wrong tint", accent, th.wrongTint, 4.5},
		{"hover on card", over, th.card, 4.5}, {"hover on ground", over, th.ground, 4.5},
		{"hover on tint", over, tint, 4.5}, {"hover on wrong tint", over, th.wrongTint, 4.5},
		{"text on tint", th.text, tint, 4.5}, {"quiet on tint", th.quiet, tint, 4.5},
		{"text on button", text, button, 4.5}, {"text on button, hover", text, buttonOver, 4.5},
		{"focus ring on card", accent, th.card, 3}, {"focus ring on ground", accent, th.ground, 3},
	} {
		if got := contrast(c.fore, c.back); got < c.required {
			return fmt.Errorf("%s: %s on %s is %.2f", c.what, c.fore, c.back, got)
		}
	}
	edge := button
	if p.ButtonEdge != "transparent" {
		edge = mustParse(p.ButtonEdge)
	}
	if got := contrast(edge, th.card); got < 3 {
		return fmt.Errorf("edge of the button: %.2f", got)
	}
	if p.Button == p.ButtonOver {
		return fmt.Errorf("the button %s does not change under the pointer", p.Button)
	}
	return nil
}

func checkColor(t *testing.T, text string) *Colors {
	t.Helper()
	c, err := ParseColors(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPalette(lightTheme, c.Light); err != nil {
		t.Errorf("%s, light: %v", text, err)
	}
	if err := checkPalette(darkTheme, c.Dark); err != nil {
		t.Errorf("%s, dark: %v", text, err)
	}
	if c.Light.Button != c.Given || c.Dark.Button != c.Given {
		t.Errorf("%s: the button is %s and %s", text, c.Light.Button, c.Dark.Button)
	}
	return c
}

// Every #rgb color gives text of at least 4.5:1 in both themes, with hover and focus.
func TestEveryShortColorIsReadable(t *testing.T) {
	for n := range 4096 {
		checkColor(t, fmt.Sprintf("#%03x", n))
	}
}

// Colors of well-known kinds, with what becomes of them.
func TestColorsAreCorrectedOnlyWhereNeeded(t *testing.T) {
	for _, c := range []struct {
		color       string
		light, dark bool // the accent stays
		text        string
	}{
		{"#0a7d4f", true, false, "#ffffff"}, // green, dark enough for white
		{"#fff2a0", false, true, "#000000"}, // pale yellow
		{"#0a1a4a", true, false, "#ffffff"}, // dark navy
		{"#2456c9", true, false, "#ffffff"},
		{"#8db2ff", false, true, "#000000"},
		{"#808080", false, false, "#000000"},
		{"#ff0000", false, false, "#000000"},
		{"#000000", true, false, "#ffffff"},
		{"#ffffff", false, true, "#000000"},
		{"#777777", false, false, "#000000"},
	} {
		got := checkColor(t, c.color)
		if (got.Light.Accent == c.color) != c.light || (got.Dark.Accent == c.color) != c.dark {
			t.Errorf("%s: accent %s and %s", c.color, got.Light.Accent, got.Dark.Accent)
		}
		if got.Light.ButtonText != c.text || got.Dark.ButtonText != c.text {
			t.Errorf("%s: text %s and %s on the button, want %s", c.color, got.Light.ButtonText, got.Dark.ButtonText, c.text)
		}
		if got.Corrected() != (!c.light || !c.dark) {
			t.Errorf("%s: corrected is %v", c.color, got.Corrected())
		}
	}
}

// The corrected color keeps its hue.
func TestCorrectionKeepsTheHue(t *testing.T) {
	for _, text := range []string{"#fff2a0", "#0a1a4a", "#ff7ad9", "#0a7d4f"} {
		c := checkColor(t, text)
		want := mustParse(text).hsl().h
		for _, accent := range []string{c.Light.Accent, c.Dark.Accent} {
			if got := mustParse(accent).hsl().h; math.Abs(got-want) > 0.02 {
				t.Errorf("%s became %s: hue %.3f, want %.3f", text, accent, got, want)
			}
		}
	}
}

// Values of the WCAG definition.
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"#000000", "#ffffff", 21}, {"#ffffff", "#ffffff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54},
		{"#ff0000", "#ffffff", 4.00}, {"#0000ff", "#ffffff", 8.59},
	} {
		if got := contrast(mustParse(c.a), mustParse(c.b)); math.Abs(got-c.want) > 0.005 {
			t.Errorf("%s on %s: %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
}

func TestHSLRoundTrip(t *testing.T) {
	for n := range 4096 {
		c := mustParse("#000000")
		c.r, c.g, c.b = uint8(n>>8*17), uint8(n>>4&15*17), uint8(n&15*17)
		if got := c.hsl().color(); got != c {
			t.Fatalf("%s became %s", c, got)
		}
	}
}

func TestColorsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "red", "0a7d4f", "#12", "#12345", "#1234567", "#ggg", "#0a7d4f;x", "rgb(1,2,3)",
		"#fff }", "#ＦＦＦ"} {
		if _, err := ParseColors(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
	if c, err := ParseColors("#0A7"); err != nil || c.Given != "#00aa77" {
		t.Errorf("#0A7: %v, %v", c, err)
	}
}
