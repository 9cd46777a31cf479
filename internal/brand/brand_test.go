package brand

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"testing"
)

const svgStart = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 24 12">`

func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What drawing programs write is accepted, with the size of the view box.
func TestLogosThatAreAccepted(t *testing.T) {
	for name, file := range map[string]string{
		"plain": svgStart + `<path d="M0 0h24v12z" fill="#0a7d4f"/></svg>`,
		"alone": `<?xml version='1.0' standalone="no"?>` + svgStart + `<g/></svg>`,
		"xml":   `<?xml version="1.0" encoding="UTF-8"?>` + "\n<!-- made by hand -->\n" + svgStart + `<g/></svg>` + "\n",
		"gradient": svgStart + `<linearGradient id="a"/>` +
			`<rect fill="url(#a)" style="stroke:url('#a')"/><use xlink:href="#a"/></svg>`,
		"style":  svgStart + `<style>.a{fill:#fff}@media (prefers-color-scheme:dark){.a{fill:url(#b)}}</style></svg>`,
		"raster": svgStart + `<image href="data:image/png;base64,iVBORw0KGgo="/></svg>`,
		"inkscape": `<svg:svg xmlns:svg="http://www.w3.org/2000/svg" width="24px" height="12" inkscape:version="1"
			xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"
			xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"><sodipodi:namedview inkscape:zoom="1"/><svg:path d=""/></svg:svg>`,
	} {
		l, err := ParseLogo([]byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.Width != 24 || l.Height != 12 || l.ContentType != "image/svg+xml" || l.Ext() != ".svg" || l.HasName() {
			t.Errorf("%s: %+v", name, l)
		}
	}
	for _, size := range []int{16, 1024} {
		l, err := ParseLogo(pngOf(t, size, 16))
		if err != nil || l.Width != float64(size) || l.ContentType != "image/png" || l.HasName() != (size == 1024) {
			t.Errorf("PNG of %d × 16: %+v, %v", size, l, err)
		}
	}
}

// Anything that runs, loads or leads somewhere is refused, with its name.
func TestLogosThatAreRefused(t *testing.T) {
	in := func(inner string) string { return svgStart + inner + `</svg>` }
	for _, c := range []struct{ file, says string }{
		{in(`<script>alert(1)</script>`), "has a script"},
		{in(`<g><SCRIPT href="#a"/></g>`), "has a script"},
		{in(`<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>`), "has a script"},
		{in(`<rect onclick="alert(1)"/>`), "has an event handler: onclick"},
		{in(`<rect ONLOAD="alert(1)"/>`), "has an event handler: ONLOAD"},
		{strings.Replace(in(""), "<svg ", `<svg onload="x" `, 1), "has an event handler: onload"},
		{in(`<foreignObject><p xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>`), "has a foreignObject"},
		{in(`<p xmlns="http://www.w3.org/1999/xhtml"/>`), "of the namespace"},
		{in(`<image href="https://evil.example/a.png"/>`), "has an external reference: href of <image>"},
		{in(`<image xlink:href="//evil.example/a.png"/>`), "has an external reference: href of <image>"},
		{in(`<image href="data:image/svg+xml;base64,AAAA"/>`), "has an external reference"},
		{in(`<use href="other.svg#a"/>`), "has an external reference: href of <use>"},
		{in(`<use xlink:href="data:image/png;base64,AAAA"/>`), "has an external reference"},
		{in(`<a href="https://evil.example"><rect/></a>`), "has <a>"},
		{in(`<a href="javascript:alert(1)"/>`), "has <a>"},
		{in(`<rect fill="url(https://evil.example/#a)"/>`), "has an external reference: url() in fill"},
		{in(`<rect style="fill:URL( 'http://evil.example')"/>`), "has an external reference: url() in style"},
		{in(`<style>@import "https://evil.example/a.css";</style>`), `has "@import" in style`},
		{in(`<style>rect{fill:url(//evil.example)}</style>`), "has an external reference: url() in style"},
		{in(`<style>rect{fill:\75rl(//evil.example)}</style>`), `has "\\" in style`},
		{in(`<style><![CDATA[@font-face{src:local(x)}]]></style>`), `has "@font-face" in style`},
		{in(`<style>a<title/>@import "x"</style>`), "has <title> inside <style>"},
		{in(`<style>@im<!-- x -->port "https://evil.example/a.css";</style>`), `has "@import" in style`},
		{in(`<style>rect{fill:ur<![CDATA[l(//evil.example)]]>}</style>`), "has an external reference: url() in style"},
		{in(`<g xml:base="https://evil.example/"/>`), "has an external reference: xml:base"},
		{in(`<set attributeName="href" to="javascript:alert(1)"/>`), "has <set>"},
		{in(`<animate attributeName="x"/>`), "has <animate>"},
		{in(`<iframe src="https://evil.example"/>`), "has <iframe>"},
		{`<!DOCTYPE svg>` + in(""), "has a DOCTYPE"},
		{`<!DOCTYPE svg [<!ENTITY a "b">]>` + in("&a;"), "has a DOCTYPE"},
		{in("&a;"), "is not well-formed XML"},
		{`<?xml-stylesheet href="a.css"?>` + in(""), "has a processing instruction: <?xml-stylesheet"},
		{in(`<?php x ?>`), "has a processing instruction: <?php"},
		{`<?xml version="1.0" encoding="UTF-16"?>` + in(""), "is not well-formed XML in UTF-8"},
		{`<?xml version="1.0" encoding = "GBK"?>` + in(""), "is not well-formed XML in UTF-8"},
		{`<?xml version="1.0" encoding='utf-8' encoding = "GBK"?>` + in(""), "is not well-formed XML in UTF-8"},
		{svgStart, "is not well-formed XML"},
		{in("") + in(""), "has more than one root"},
		{in("") + "text", "has text outside its root"},
		{in(strings.Repeat("<g>", 70) + strings.Repeat("</g>", 70)), "is nested deeper than 64 elements"},
		{in(strings.Repeat("<g/>", 5001)), "more than 5000 elements"},
		{`<svg viewBox="0 0 1 1"/>`, "of the namespace"},
		{`<svg xmlns="http://www.w3.org/2000/svg"/>`, "has neither a viewBox nor a width and height"},
		{`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 NaN 1"/>`, "has neither a viewBox"},
		{`<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="1"/>`, "has neither a viewBox"},
		{`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1"/>`, "more than 20 times as wide as high"},
		{`<html><body>`, "the file is neither SVG nor PNG"},
		{"GIF89a", "the file is neither SVG nor PNG"},
		{"\x89PNG\r\n\x1a\n", "the PNG file cannot be read"},
		{string(pngOf(t, 8, 100)), "the PNG file has 8 × 100 pixels"},
		{string(pngOf(t, 1025, 16)), "the PNG file has 1025 × 16 pixels"},
		{string(pngOf(t, 64, 64)[:90]), "the PNG file cannot be read"},
		{in("<!--" + strings.Repeat("x", MaxLogoBytes) + "-->"), "the file is larger than 64 KB"},
	} {
		_, err := ParseLogo([]byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80q: %v, want %q", c.file, err, c.says)
		}
	}
}

func TestSupport(t *testing.T) {
	for text, want := range map[string]Support{
		"help@example.com":           {"mailto:help@example.com", "help@example.com"},
		"mailto:help@example.com":    {"mailto:help@example.com", "help@example.com"},
		"https://example.com/help":   {"https://example.com/help", "example.com/help"},
		"https://help.example.com/":  {"https://help.example.com/", "help.example.com"},
		"https://example.com/?a=b&c": {"https://example.com/?a=b&c", "example.com/?a=b&c"},
	} {
		got, err := ParseSupport(text)
		if err != nil || *got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"help", "http://example.com", "javascript:alert(1)", "https://", "https://user@example.com/", "https:/example.com",
		"mailto:", "mailto:a@example.com?bcc=b@example.com", "a@example.com,b@example.com", "Help <help@example.com>",
		"help@example.com\r\nBcc: x@example.com", "https://example.com/a b", "tel:+491", "help@exa%0dmple.com",
		"https://example.com/" + strings.Repeat("a", 300),
	} {
		if got, err := ParseSupport(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// An error names the setting.
func TestNewNamesTheSetting(t *testing.T) {
	svg := []byte(svgStart + "</svg>")
	for says, c := range map[string]Config{
		"logo: the file is neither":       {Logo: []byte("x")},
		"mail_logo: it is not a PNG file": {MailLogo: svg},
		"color: \"red\" is not a color":   {Color: "red"},
		"support: \"x\" is neither":       {Support: "x"},
		"footer: longer than 1000 bytes":  {Footer: strings.Repeat("x", 1001)},
		"footer: longer":                  {Footer: "a\x00b"},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	b, err := New(Config{Logo: svg, MailLogo: pngOf(t, 16, 16), Footer: " Example Ltd\r\nLondon\n"})
	if err != nil || b.Logo.ContentType != "image/svg+xml" || b.MailLogo.ContentType != "image/png" ||
		b.Footer != "Example Ltd\nLondon" {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := New(Config{Logo: svg}); err != nil || b.MailLogo != nil {
		t.Errorf("an SVG is in mails: %+v, %v", b, err)
	}
	if b, err := New(Config{Logo: pngOf(t, 16, 16)}); err != nil || b.MailLogo == nil {
		t.Errorf("a PNG is not in mails: %+v, %v", b, err)
	}
}
