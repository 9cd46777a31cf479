package brand

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

const (
	svgNamespace   = "http://www.w3.org/2000/svg"
	maxSVGElements = 5000
	maxSVGDepth    = 64
)

// svgElements are the elements that draw and nothing else. Scripts, links, animations (which can change a link) and
// embedded documents are missing.
var svgElements = set("svg g defs symbol use title desc metadata style path rect circle ellipse line polyline polygon",
	"text tspan textPath image switch marker clipPath mask pattern linearGradient radialGradient stop view filter",
	"feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap",
	"feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode",
	"feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence")

func set(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(strings.Join(names, " ")) {
		all[name] = true
	}
	return all
}

// inertNamespaces are what drawing programs add: browsers ignore elements of these.
var inertNamespaces = []string{
	"http://www.inkscape.org/", "http://sodipodi.sourceforge.net/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
	"http://creativecommons.org/", "http://web.resource.org/cc/", "http://purl.org/dc/",
	"http://www.bohemiancoding.com/", "http://www.serif.com/", "http://ns.adobe.com/",
}

func inert(namespace string) bool {
	for _, prefix := range inertNamespaces {
		if strings.HasPrefix(namespace, prefix) {
			return true
		}
	}
	return false
}

// checkSVG returns the size of a picture. It returns an error for anything that could run, load or lead somewhere:
// scripts, event handlers, foreignObject, animations, links, references outside the file, DOCTYPE and entities. Pages
// show the logo by <img>, where browsers run no scripts; this check also covers the file opened by itself.
func checkSVG(data []byte) (width, height float64, err error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var depth, elements int
	var inStyle bool
	var style strings.Builder // browsers join its parts: comments and CDATA may split a word
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, 0, fmt.Errorf("is not well-formed XML in UTF-8: %w", err)
		}
		switch token := token.(type) {
		case xml.Directive:
			return 0, 0, errors.New("has a DOCTYPE or an entity: remove it")
		case xml.ProcInst:
			if token.Target != "xml" || elements > 0 {
				return 0, 0, fmt.Errorf("has a processing instruction: <?%s", token.Target)
			}
			if !declaration.Match(token.Inst) {
				return 0, 0, errors.New(`is not well-formed XML in UTF-8: want <?xml version="1.0" encoding="UTF-8"?>`)
			}
		case xml.CharData:
			if depth == 0 && strings.Trim(string(token), " \t\r\n\uFEFF") != "" {
				return 0, 0, errors.New("has text outside its root")
			}
			if inStyle {
				style.Write(token)
			}
		case xml.StartElement:
			if inStyle {
				return 0, 0, fmt.Errorf("has <%s> inside <style>", token.Name.Local)
			}
			if elements++; depth == 0 && elements > 1 || elements > maxSVGElements {
				return 0, 0, fmt.Errorf("has more than one root, or more than %d elements", maxSVGElements)
			}
			if depth++; depth > maxSVGDepth {
				return 0, 0, fmt.Errorf("is nested deeper than %d elements", maxSVGDepth)
			}
			if err := checkElement(token); err != nil {
				return 0, 0, err
			}
			if depth == 1 {
				if width, height, err = svgSize(token); err != nil {
					return 0, 0, err
				}
			}
			inStyle = token.Name.Local == "style"
		case xml.EndElement:
			depth--
			if err := checkCSS("style", style.String()); inStyle && err != nil {
				return 0, 0, err
			}
			inStyle = false
			style.Reset()
		}
	}
	if elements == 0 {
		return 0, 0, errors.New("is empty")
	}
	return width, height, nil
}

// declaration matches what follows "<?xml" in a file in UTF-8 (XML 1.0 2.8). encoding/xml does not see an encoding with
// spaces around "=", by which browsers would read other characters than this check.
var declaration = regexp.MustCompile(`^version=["']1\.0["'](\s+encoding=["'](?i:utf-8)["'])?` +
	`(\s+standalone=["'](yes|no)["'])?\s*$`)

func checkElement(e xml.StartElement) error {
	name := e.Name.Local
	switch {
	case strings.EqualFold(name, "script"):
		return errors.New("has a script")
	case strings.EqualFold(name, "foreignObject"):
		return errors.New("has a foreignObject")
	case e.Name.Space != svgNamespace && !inert(e.Name.Space):
		return fmt.Errorf("has <%s> of the namespace %q, want %s", name, e.Name.Space, svgNamespace)
	case e.Name.Space == svgNamespace && !svgElements[name]:
		return fmt.Errorf("has <%s>, which a logo must not have", name)
	}
	for _, a := range e.Attr {
		if err := checkAttribute(name, a); err != nil {
			return err
		}
	}
	return nil
}

// rasterData are the images that a logo may embed.
var rasterData = regexp.MustCompile(`^\s*data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]*$`)

func checkAttribute(element string, a xml.Attr) error {
	name, value := strings.ToLower(a.Name.Local), strings.TrimSpace(a.Value)
	switch {
	case a.Name.Space == "xmlns" || a.Name.Space == "" && name == "xmlns" || inert(a.Name.Space):
		return nil
	case strings.HasPrefix(name, "on"):
		return fmt.Errorf("has an event handler: %s", a.Name.Local)
	case name == "base":
		return errors.New("has an external reference: xml:base")
	case name == "href" || name == "src":
		if strings.HasPrefix(value, "#") || element == "image" && rasterData.MatchString(value) {
			return nil
		}
		return fmt.Errorf("has an external reference: %s of <%s>", a.Name.Local, element)
	}
	return checkCSS(a.Name.Local, value)
}

// target is what follows "url(" in CSS.
var target = regexp.MustCompile(`url\(\s*["']?\s*(.?)`)

// checkCSS checks a style sheet, or an attribute, whose value may be CSS too (fill="url(#a)").
func checkCSS(where, css string) error {
	low := strings.ToLower(css)
	for _, m := range target.FindAllStringSubmatch(low, -1) {
		if m[1] != "#" {
			return fmt.Errorf("has an external reference: url() in %s", where)
		}
	}
	for _, not := range []string{"@import", "@font-face", "image-set(", "src(", "javascript:", "expression(", `\`} {
		if strings.Contains(low, not) {
			return fmt.Errorf("has %q in %s, which a logo must not have", not, where)
		}
	}
	return nil
}

// svgSize returns the size of the view box, or else width and height.
func svgSize(root xml.StartElement) (width, height float64, err error) {
	if root.Name.Local != "svg" {
		return 0, 0, fmt.Errorf("starts with <%s>, not <svg>", root.Name.Local)
	}
	for _, a := range root.Attr {
		if a.Name.Local == "viewBox" && a.Name.Space == "" {
			box := strings.FieldsFunc(a.Value, func(r rune) bool { return r == ',' || r <= ' ' })
			if len(box) != 4 {
				return 0, 0, errors.New("has a viewBox without four numbers")
			}
			return checkSize(box[2], box[3])
		}
	}
	var w, h string
	for _, a := range root.Attr {
		switch a.Name.Local {
		case "width":
			w = a.Value
		case "height":
			h = a.Value
		}
	}
	return checkSize(strings.TrimSuffix(w, "px"), strings.TrimSuffix(h, "px"))
}

func checkSize(w, h string) (width, height float64, err error) {
	width, werr := strconv.ParseFloat(w, 64)
	height, herr := strconv.ParseFloat(h, 64)
	if werr != nil || herr != nil || !(width > 0 && height > 0 && width < 1e6 && height < 1e6) {
		return 0, 0, errors.New("has neither a viewBox nor a width and height in pixels")
	}
	if ratio := width / height; ratio > 20 || ratio < 0.2 {
		return 0, 0, errors.New("is more than 20 times as wide as high, or 5 times as high as wide")
	}
	return width, height, nil
}
