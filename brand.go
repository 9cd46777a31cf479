package twostep

import (
	"context"
	"maps"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/brand"
	"twostep.example/twostep/internal/mail"
)

// Brand is how the pages and mails of a site look. New returns an error that names the field and what is wrong with it.
type Brand struct {
	// Logo is an SVG or PNG file of at most 64 KB, shown at the head of every page. A PNG has 16 to 1024 pixels on each
	// side. An SVG may only draw: New refuses one with a script, an event handler, a foreignObject, an animation, a
	// link, a reference to anything outside the file, a DOCTYPE or an entity. A logo more than twice as wide as high is taken
	// to hold the name of the site, which is then not shown beside it. In the dark theme the logo stands on white.
	Logo []byte
	// MailLogo is a PNG file for the head of mails, with the limits of Logo. Default: Logo, if that is a PNG. Most mail
	// programs show no SVG. It is part of the mail (RFC 2392), so that nothing is loaded when the mail is read.
	MailLogo []byte
	// Color is the color of buttons, links and marks, "#rgb" or "#rrggbb". Buttons have it as it is, with black or
	// white text. Where links in it would be hard to read in the light or the dark theme, their lightness is changed until
	// the contrast is 4.5:1 (WCAG 1.4.3).
	Color string
	// Support is where people get help: an email address, or a URL that starts with https:// or mailto:, of at most 256
	// bytes. It is shown at the foot of pages and mails.
	Support string
	// Footer is the end of every mail, at most 1000 bytes, with \n between lines: the name and address of the company,
	// for example.
	Footer string
}

// Validate returns an error that names the field and what is wrong with it, as a key of the configuration file: "logo",
// "mail_logo", "color", "support" or "footer".
func (b Brand) Validate() error {
	_, err := brand.New(brand.Config(b))
	return err
}

// layOutMails lays out every mail when it is handed to its sender. The queue holds only the text.
func (o *Options) layOutMails() {
	send := o.Senders[delivery.Email]
	if send == nil {
		return
	}
	layout := mail.Layout{Site: o.Site, PublicURL: o.PublicURL, Brand: o.look}
	o.Senders = maps.Clone(o.Senders)
	o.Senders[delivery.Email] = func(ctx context.Context, m delivery.Message) error {
		return send(ctx, layout.Apply(m))
	}
}
