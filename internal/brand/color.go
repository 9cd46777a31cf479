package brand

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// MinContrast is the contrast that text needs against its background (WCAG 1.4.3).
const MinContrast = 4.5

// minEdgeContrast is the contrast that the edge of a button needs (WCAG 1.4.11).
const minEdgeContrast = 3

// Palette is the colors of one theme, as CSS colors.
type Palette struct {
	Accent     string // of links, marks and the focus ring
	AccentOver string // the same under the pointer
	Tint       string // a background
	Button     string
	ButtonOver string // under the pointer
	ButtonEdge string // "transparent", or Accent if Button is too close to the background
	ButtonText string // "#ffffff" or "#000000"
}

// Colors is one color of a site, made readable in both themes.
type Colors struct {
	Given       string // "#rrggbb"
	Light, Dark Palette
}

// Corrected reports whether text in the given color would be too hard to read in a theme, so that links have another.
func (c Colors) Corrected() bool { return c.Light.Accent != c.Given || c.Dark.Accent != c.Given }

// The palettes of assets/style.css, for mails. A test compares them.
var (
	defaultLight = Palette{
		Accent: "#2456c9", AccentOver: "#1b45a6", Tint: "#e9effc",
		Button: "#2456c9", ButtonOver: "#1b45a6", ButtonEdge: "transparent", ButtonText: "#ffffff",
	}
	defaultDark = Palette{
		Accent: "#8db2ff", AccentOver: "#aac5ff", Tint: "#1c2740",
		Button: "#8db2ff", ButtonOver: "#aac5ff", ButtonEdge: "transparent", ButtonText: "#0b1a3a",
	}
)

// theme is the colors of assets/style.css that do not depend on the brand.
type theme struct {
	card, ground, wrongTint color
	text, quiet             color
	direction               float64 // -1: text is darker than its background; 1: lighter
	tint                    hsl     // saturation is the most, lightness the first to try
}

var (
	lightTheme = theme{
		card: mustParse("#ffffff"), ground: mustParse("#eef1f6"), wrongTint: mustParse("#fdeeed"),
		text: mustParse("#171c26"), quiet: mustParse("#535d6e"), direction: -1, tint: hsl{0, 0.75, 0.95},
	}
	darkTheme = theme{
		card: mustParse("#161b23"), ground: mustParse("#0d1117"), wrongTint: mustParse("#371c1e"),
		text: mustParse("#e9ecf2"), quiet: mustParse("#a3adbd"), direction: 1, tint: hsl{0, 0.4, 0.17},
	}
)

var black, white = mustParse("#000000"), mustParse("#ffffff")

// ParseColors parses "#rgb" or "#rrggbb". Where text in that color would have less than MinContrast against a
// background of a theme, its lightness is changed until it has; hue and saturation stay.
func ParseColors(text string) (*Colors, error) {
	c, ok := parseColor(text)
	if !ok {
		return nil, fmt.Errorf("%q is not a color like #0a7d4f", text)
	}
	return &Colors{Given: c.String(), Light: lightTheme.palette(c), Dark: darkTheme.palette(c)}, nil
}

// step is how much the lightness changes from one attempt to the next.
const step = 1.0 / 256

func (t theme) palette(given color) Palette {
	tint := t.tintOf(given)
	backgrounds := []color{t.card, t.ground, t.wrongTint, tint}
	accent := given.hsl()
	// It ends: black and white have the contrast.
	for leastContrast(accent.color(), backgrounds) < MinContrast {
		accent.l = clamp(accent.l + t.direction*step)
	}
	button, over, text := buttonColors(given)
	p := Palette{
		Accent: accent.color().String(), AccentOver: accent.lighter(t.direction * 0.09).color().String(),
		Tint: tint.String(), Button: button.String(), ButtonOver: over.String(), ButtonText: text.String(),
		ButtonEdge: "transparent",
	}
	if contrast(button, t.card) < minEdgeContrast {
		p.ButtonEdge = p.Accent
	}
	return p
}

// tintOf returns a background in the hue of a color on which text is readable.
func (t theme) tintOf(given color) color {
	tint := t.tint
	tint.h = given.hsl().h
	tint.s = min(tint.s, given.hsl().s)
	for contrast(t.text, tint.color()) < MinContrast || contrast(t.quiet, tint.color()) < MinContrast {
		tint.l = clamp(tint.l - t.direction*step)
	}
	return tint.color()
}

// buttonColors returns a button in the given color, the color under the pointer, and the color of its text. One of
// black and white always has a contrast above MinContrast. White is taken if both have.
func buttonColors(given color) (button, over, text color) {
	direction := -1.0
	if text = white; contrast(given, white) < MinContrast {
		text, direction = black, 1
	}
	button = given
	over = given.hsl().lighter(direction * 0.08).color()
	// Next to black and white the lightness cannot change: go the other way as far as the text allows.
	if l := given.hsl().l + direction*0.08; l < 0 || l > 1 {
		over = given.hsl().lighter(direction * -0.12).color()
	}
	return button, over, text
}

func leastContrast(c color, backgrounds []color) float64 {
	least := math.Inf(1)
	for _, b := range backgrounds {
		least = min(least, contrast(c, b))
	}
	return least
}

// color is an sRGB color.
type color struct{ r, g, b uint8 }

var (
	shortColor = regexp.MustCompile(`^#[0-9a-fA-F]{3}$`)
	longColor  = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
)

func parseColor(text string) (color, bool) {
	if shortColor.MatchString(text) {
		text = "#" + text[1:2] + text[1:2] + text[2:3] + text[2:3] + text[3:] + text[3:]
	}
	if !longColor.MatchString(text) {
		return color{}, false
	}
	n, err := strconv.ParseUint(text[1:], 16, 32)
	return color{uint8(n >> 16), uint8(n >> 8), uint8(n)}, err == nil
}

func mustParse(text string) color {
	c, ok := parseColor(text)
	if !ok {
		panic("brand: " + text)
	}
	return c
}

// String returns "#rrggbb".
func (c color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance is the relative luminance of WCAG 2.2.
func (c color) luminance() float64 {
	channel := func(n uint8) float64 {
		v := float64(n) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(c.r) + 0.7152*channel(c.g) + 0.0722*channel(c.b)
}

// contrast is the contrast ratio of WCAG 2.2: 1 to 21.
func contrast(a, b color) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// hsl is a color as hue, saturation and lightness, each from 0 to 1 (CSS Color 4, 7).
type hsl struct{ h, s, l float64 }

func (c color) hsl() hsl {
	r, g, b := float64(c.r)/255, float64(c.g)/255, float64(c.b)/255
	most, least := max(r, g, b), min(r, g, b)
	l, d := (most+least)/2, most-least
	if d == 0 {
		return hsl{0, 0, l}
	}
	var h float64
	switch most {
	case r:
		h = math.Mod((g-b)/d+6, 6)
	case g:
		h = (b-r)/d + 2
	default:
		h = (r-g)/d + 4
	}
	return hsl{h / 6, d / (1 - math.Abs(2*l-1)), l}
}

func (c hsl) color() color {
	channel := func(n float64) uint8 {
		k := math.Mod(n+c.h*12, 12)
		v := c.l - c.s*min(c.l, 1-c.l)*max(-1, min(k-3, 9-k, 1))
		return uint8(math.Round(clamp(v) * 255))
	}
	return color{channel(0), channel(8), channel(4)}
}

// lighter returns the color with its lightness changed by d; a negative d makes it darker.
func (c hsl) lighter(d float64) hsl {
	c.l = clamp(c.l + d)
	return c
}

func clamp(v float64) float64 { return min(1, max(0, v)) }
