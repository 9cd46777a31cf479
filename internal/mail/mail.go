// Package mail lays out the mails of a site: the HTML part, the logo, the support contact and the footer.
//
// The HTML part is made from the text, so both say the same. Paragraphs are separated by an empty line. Two kinds look
// different: a code alone in its paragraph, and a label with a link of the site on the next line, which is a button.
package mail

import (
	_ "embed"
	"html/template"
	"regexp"
	"strings"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/brand"
	"twostep.example/twostep/internal/i18n"
)

// Layout is how the mails of a site look.
type Layout struct {
	Site      string
	PublicURL string // the start of every link of the site, without a slash at the end
	Brand     brand.Brand
}

// Apply adds the support contact and the footer to the text of an email, and writes its HTML part. It returns other
// messages, and emails that have an HTML part, as they are.
func (l Layout) Apply(m delivery.Message) delivery.Message {
	if m.Channel != delivery.Email || m.HTML != "" {
		return m
	}
	w := i18n.ForTag(m.Language)
	blocks := l.parse(m.Text)
	m.Language = w.Tag()
	m.HTML = l.html(w, m.Subject, blocks)
	m.Text = l.withFoot(w, m.Text)
	if logo := l.Brand.MailLogo; logo != nil {
		m.Inline = []delivery.InlineFile{
			{ID: logoID(logo), Name: "logo" + logo.Ext(), ContentType: logo.ContentType, Data: logo.Data},
		}
	}
	return m
}

func logoID(logo *brand.Logo) string { return "logo." + logo.Hash() + "@twostep.invalid" }

// withFoot adds the lines below the signature separator, which mail programs show in gray (RFC 3676 4.3).
func (l Layout) withFoot(w i18n.Localizer, text string) string {
	text = strings.TrimRight(text, "\n") + "\n"
	if s := l.Brand.Support; s != nil {
		contact := s.Text
		if strings.HasPrefix(s.URL, "https:") {
			contact = s.URL // so that mail programs make it a link
		}
		text += "\n" + w.Translate("brand.contact") + " " + contact + "\n"
	}
	if l.Brand.Footer != "" {
		text += "\n-- \n" + l.Brand.Footer + "\n"
	}
	return text
}

// block is one paragraph. One of its fields is set.
type block struct {
	Code       string
	Label, URL string // a button
	Lines      []string
}

var (
	codeAlone = regexp.MustCompile(`^[0-9A-Z]{3,8}(-[0-9A-Z]{3,8})*$`)
	urlAlone  = regexp.MustCompile(`^https?://\S+$`)
)

func (l Layout) parse(text string) []block {
	var all []block
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
		label, colon := strings.CutSuffix(lines[0], ":")
		switch {
		case len(lines) == 1 && lines[0] == "":
		case len(lines) == 1 && codeAlone.MatchString(lines[0]):
			all = append(all, block{Code: lines[0]})
		case len(lines) == 2 && colon && l.isOwn(lines[1]) && urlAlone.MatchString(lines[1]):
			all = append(all, block{Label: label, URL: lines[1]})
		default:
			all = append(all, block{Lines: lines})
		}
	}
	return all
}

func (l Layout) isOwn(url string) bool {
	return l.PublicURL != "" && strings.HasPrefix(url, l.PublicURL+"/")
}

// page is the data of mail.html.
type page struct {
	Lang, Subject, Heading, Preheader, Site string
	Light, Dark                             brand.Palette
	LogoURL                                 string
	LogoWidth, LogoHeight                   int
	ShowName                                bool
	Blocks                                  []block
	Contact                                 string
	Support                                 *brand.Support
	Footer                                  []string
}

// The logo of a mail is at most this large, in CSS pixels.
const logoWidth, logoHeight = 240, 40

func (l Layout) html(w i18n.Localizer, subject string, blocks []block) string {
	p := page{
		Lang: w.Tag(), Subject: subject, Heading: subject, Preheader: preheader(blocks), Site: l.Site, ShowName: true,
		Blocks: blocks, Contact: w.Translate("brand.contact"), Support: l.Brand.Support,
	}
	p.Light, p.Dark = l.Brand.Palettes()
	if logo := l.Brand.MailLogo; logo != nil {
		p.LogoURL, p.ShowName = "cid:"+logoID(logo), !logo.HasName()
		p.LogoWidth, p.LogoHeight = logo.Fit(logoWidth, logoHeight)
	}
	if l.Brand.Footer != "" {
		p.Footer = strings.Split(l.Brand.Footer, "\n")
	}
	if len(blocks) > 1 && blocks[1].Code != "" && len(blocks[0].Lines) == 1 {
		// The subject of a mail with a code repeats the code.
		p.Heading, p.Blocks = strings.TrimSuffix(blocks[0].Lines[0], ":"), blocks[1:]
	}
	var b strings.Builder
	if err := layout.Execute(&b, p); err != nil {
		panic("mail: " + err.Error()) // an embedded template, and a writer that never fails
	}
	return b.String()
}

// maxPreheader is about what mail programs show beside the subject.
const maxPreheader = 140

// preheader returns what mail programs show beside the subject: the first words, without codes, links and what leads
// over to them.
func preheader(blocks []block) string {
	var words []string
	var n int
	for _, b := range blocks {
		for _, line := range b.Lines {
			if strings.HasSuffix(line, ":") || n > maxPreheader {
				continue
			}
			words = append(words, line)
			n += len(line)
		}
	}
	return strings.Join(words, " ")
}

//go:embed mail.html
var layoutText string

var layout = template.Must(template.New("mail.html").Funcs(template.FuncMap{
	"css": func(color string) template.CSS { return template.CSS(color) }, // of a brand.Palette
	"cid": func(url string) template.URL { return template.URL(url) },     // of a part of the mail
	"mso": func(name string) template.HTML {
		return template.HTML("<!--[if mso]>" + outlook[name] + "<![endif]-->")
	},
}).Parse(layoutText))

// outlook is what only Outlook reads, in comments. Comments in the template itself would be removed.
var outlook = map[string]string{
	"style": `<style>body, table, td, h1, p, a { font-family: Arial, sans-serif !important; }</style>`,
	"open":  `<table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td>`,
	"close": `</td></tr></table>`,
}
