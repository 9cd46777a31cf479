// Package brand checks the logo, the color and the support contact of a site, and makes the colors readable.
package brand

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxSupportBytes = 256
	maxFooterBytes  = 1000
)

// Config is what the owner of a site sets. Every field may be empty.
type Config struct {
	Logo     []byte // SVG or PNG; see ParseLogo
	MailLogo []byte // PNG
	Color    string // "#rgb" or "#rrggbb"
	Support  string // see ParseSupport
	Footer   string // the last lines of mails
}

// Brand is how the pages and mails of a site look. The zero value is the look without settings.
type Brand struct {
	Logo     *Logo    // in pages; nil: the built-in mark
	MailLogo *Logo    // in mails, always a PNG; nil: the name only
	Colors   *Colors  // nil: the built-in colors
	Support  *Support // nil: no contact
	Footer   string   // the last lines of mails, separated by \n; "": none
}

// New checks the settings. Its error names the setting and what is wrong with it.
func New(c Config) (b Brand, err error) {
	if len(c.Logo) > 0 {
		if b.Logo, err = ParseLogo(c.Logo); err != nil {
			return b, fmt.Errorf("logo: %w", err)
		}
		if b.Logo.ContentType == typePNG {
			b.MailLogo = b.Logo
		}
	}
	if len(c.MailLogo) > 0 {
		if b.MailLogo, err = ParseLogo(c.MailLogo); err != nil {
			return b, fmt.Errorf("mail_logo: %w", err)
		}
		if b.MailLogo.ContentType != typePNG {
			return b, errors.New("mail_logo: it is not a PNG file; most mail programs show no SVG")
		}
	}
	if c.Color != "" {
		if b.Colors, err = ParseColors(c.Color); err != nil {
			return b, fmt.Errorf("color: %w", err)
		}
	}
	if c.Support != "" {
		if b.Support, err = ParseSupport(c.Support); err != nil {
			return b, fmt.Errorf("support: %w", err)
		}
	}
	b.Footer, err = parseFooter(c.Footer)
	return b, err
}

// Palettes returns the colors of mails in the light and in the dark theme.
func (b Brand) Palettes() (light, dark Palette) {
	if b.Colors == nil {
		return defaultLight, defaultDark
	}
	return b.Colors.Light, b.Colors.Dark
}

// Support is where people get help.
type Support struct {
	URL  string // https: or mailto:
	Text string // what people see: the address, or the URL without https://
}

// ParseSupport parses an email address, or a URL that starts with https:// or mailto:.
func ParseSupport(text string) (*Support, error) {
	if len(text) > maxSupportBytes || strings.ContainsFunc(text, notInURL) {
		return nil, fmt.Errorf("longer than %d bytes, or with a space or control character", maxSupportBytes)
	}
	if rest, ok := strings.CutPrefix(text, "https://"); ok {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil {
			return nil, fmt.Errorf("%q is not a URL like https://example.com/help", text)
		}
		return &Support{URL: u.String(), Text: strings.TrimSuffix(rest, "/")}, nil
	}
	address := strings.TrimPrefix(text, "mailto:")
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || strings.ContainsAny(address, `"?&%/:<>`) {
		return nil, fmt.Errorf("%q is neither an address like help@example.com nor a URL like "+
			"https://example.com/help", text)
	}
	return &Support{URL: "mailto:" + address, Text: address}, nil
}

func notInURL(r rune) bool { return r <= ' ' || !unicode.IsPrint(r) || r == utf8.RuneError }

// parseFooter trims the lines of the footer.
func parseFooter(text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	hidden := func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
	if len(text) > maxFooterBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, hidden) {
		return "", fmt.Errorf("footer: longer than %d bytes, or with a control character", maxFooterBytes)
	}
	return text, nil
}
