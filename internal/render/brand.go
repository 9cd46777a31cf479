package render

import (
	"fmt"
	"net/http"
	"strings"

	"twostep.example/twostep/internal/brand"
)

// Brand is the look of a site, prepared for its pages.
type Brand struct {
	look   brand.Brand
	assets map[string]asset // that replace or add to those of every site
	logo   logo
}

// logo is an image at the head of a page, in CSS pixels.
type logo struct {
	Asset         string // "" if there is none
	Width, Height int
	ShowName      bool // the name of the site stands beside it
}

// The logo of a page is at most this large, in CSS pixels.
const logoWidth, logoHeight = 260, 40

// logoPolicy is the Content-Security-Policy of the logo, when it is opened by itself: an SVG may style itself.
const logoPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

// NewBrand prepares a look.
func NewBrand(b brand.Brand) *Brand {
	p := &Brand{look: b, assets: map[string]asset{}}
	sheet := ""
	if c := b.Colors; c != nil {
		sheet += colorSheet(*c)
		colors := strings.NewReplacer("#2456c9", c.Given, "#fff", c.Light.ButtonText)
		p.assets["icon.svg"] = newAsset("icon.svg", []byte(colors.Replace(string(assets()["icon.svg"].data))))
	}
	if l := b.Logo; l != nil {
		sheet += logoSheet
		a := newAsset("logo"+l.Ext(), l.Data)
		a.contentType, a.policy = l.ContentType, logoPolicy
		if l.Ext() == ".svg" {
			a.contentType += "; charset=utf-8" // as it was checked, whatever the file says (RFC 7303 3.2)
		}
		p.assets["logo"] = a
		p.logo = logo{Asset: "logo", ShowName: !l.HasName()}
		p.logo.Width, p.logo.Height = l.Fit(logoWidth, logoHeight)
		if p.logo.ShowName {
			p.assets["icon.svg"] = a
		}
	}
	if sheet != "" {
		standard := assets()["style.css"].data
		p.assets["style.css"] = newAsset("style.css", append(standard[:len(standard):len(standard)], sheet...))
	}
	return p
}

// logoSheet puts a light plate behind the logo in the dark theme: most logos are made for a light background.
const logoSheet = `header img { color-scheme: light; }
@media (prefers-color-scheme: dark) {
  header img { border-radius: .25rem; background: #fff; box-shadow: 0 0 0 .25rem #fff; }
}
`

// colorSheet returns rules that follow those of style.css.
func colorSheet(c brand.Colors) string {
	properties := func(p brand.Palette) string {
		return fmt.Sprintf("--accent: %s; --accent-over: %s; --on-accent: %s; --tint: %s; --button: %s; "+
			"--button-over: %s; --button-edge: %s;",
			p.Accent, p.AccentOver, p.ButtonText, p.Tint, p.Button, p.ButtonOver, p.ButtonEdge)
	}
	return ":root { " + properties(c.Light) + " }\n@media (prefers-color-scheme: dark) { :root { " +
		properties(c.Dark) + " } }\n" +
		`button, .button { border-color: var(--button-edge); background: var(--button); }
button:hover:where(:not(:disabled)), .button:hover { background: var(--button-over); }
button.show, button.link { border-color: transparent; }
.choices .last { border-color: var(--button-edge); background: var(--button); }
.choices .last:hover { background: var(--button-over); }
@media (forced-colors: none) { header rect { fill: var(--button); } }
`
}

// asset returns an asset of the site, by name.
func (p *Renderer) asset(name string) asset {
	if p.Brand != nil {
		if a, ok := p.Brand.assets[name]; ok {
			return a
		}
	}
	return assets()[name]
}

// serveAsset serves the assets of the site, and those of every site.
func (p *Renderer) serveAsset(w http.ResponseWriter, r *http.Request) error {
	if p.Brand != nil {
		for _, a := range p.Brand.assets {
			if a.path == r.URL.Path {
				writeAsset(w, r, a)
				return nil
			}
		}
	}
	for _, a := range assets() {
		if a.path == r.URL.Path {
			writeAsset(w, r, a)
			return nil
		}
	}
	return ErrNotFound
}

// Logo returns the logo of the site.
func (f templateContext) Logo() logo {
	if f.renderer.Brand == nil {
		return logo{ShowName: true}
	}
	return f.renderer.Brand.logo
}

// Support returns where people get help; nil: nowhere.
func (f templateContext) Support() *brand.Support {
	if f.renderer.Brand == nil {
		return nil
	}
	return f.renderer.Brand.look.Support
}
