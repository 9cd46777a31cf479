package render

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"strings"
)

// bareCSS is the style of a bare page. It stands in the page, because no style sheet can be loaded on the app's host.
// Browsers without light-dark() show the page without colors.
//
//go:embed bare.css
var bareCSS string

// barePolicy is the Content-Security-Policy of a bare page: it allows bareCSS by its hash (CSP Level 3, 2.3.1).
var barePolicy = func() string {
	sum := sha256.Sum256([]byte(bareCSS))
	hash := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	return strings.Replace(contentSecurityPolicy, "style-src 'self'", hash, 1)
}()

// BareStyle returns the style of a bare page.
func (f templateContext) BareStyle() template.CSS { return template.CSS(bareCSS) }
