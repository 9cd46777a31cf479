// Package help is the page that describes the feature, and the check-up of a browser.
//
// The page is made of the sentences that twostep check tries, with this server's own
// figures. The check-up sets a cookie and looks whether it comes back, says what the server
// sees, and what the next sign-in would do. The package decides nothing about anybody.
package help

import (
	"embed"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/trust"
	"twostep.example/twostep/manual"
)

// Handlers is the help pages of one server.
type Handlers struct {
	Sessions *session.Sessions
	Devices  *device.Devices
	Methods  []factor.Method
	Domain   string // the public URL
	Pages    *render.Renderer
}

//go:embed pages
var templateFiles embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(templateFiles, "pages") })

// Routes are the help pages; anybody may come.
func (s *Handlers) Routes() []render.Route {
	return []render.Route{
		{Pattern: "GET /help", Handler: s.showHelp},
		{Pattern: "GET /help/trust", Handler: s.showCheckup},
	}
}

type helpPage struct {
	Chapters     []chapter
	TrustEnabled bool // browsers can be trusted
}

// chapter is a heading with what stands below it, up to the next of its level.
type chapter struct {
	ID, Title string
	Level     int
	Blocks    []block
	Open      bool // the reader's own browser
}

// block is a paragraph, a note, or a list of steps or items.
type block struct {
	Kind  string // "", "!", "*", "-"
	Texts []string
}

func (s *Handlers) showHelp(w http.ResponseWriter, r *http.Request) error {
	own := browserSection(s.Pages.Origin(r).TrustRequest().Browser)
	p := helpPage{
		Chapters: chapters(s.Pages.Localizer(r).Tag(), own, s.serverFacts()), TrustEnabled: s.serverFacts().Days > 0,
	}
	return s.Pages.Render(
		w, r, render.View{Templates: templates(), Template: "help", Title: "help.title", Wide: true, Data: p},
	)
}

// chapters are the sections of the page, the reader's own browser before the others.
func chapters(language, own string, f manual.Facts) []chapter {
	var all []chapter
	first := -1 // of the browsers
	for _, section := range manual.Sections(language, f) {
		c := chapter{
			ID:     section.ID,
			Title:  section.Title,
			Level:  section.Level,
			Blocks: blocks(section.Sentences),
			Open:   section.ID == own,
		}
		if first < 0 && c.Level == browserLevel {
			first = len(all)
		}
		if c.Open {
			all = slices.Insert(all, first, c)
			continue
		}
		all = append(all, c)
	}
	return all
}

// browserLevel is the level of the sections on browsers, at the end of the page.
const browserLevel = 3

func blocks(sentences []manual.Sentence) []block {
	var all []block
	for _, s := range sentences {
		s.Text = strings.ReplaceAll(s.Text, "->", "→")
		last := len(all) - 1
		if list := s.Kind == "*" || s.Kind == "-"; list && last >= 0 && all[last].Kind == s.Kind {
			all[last].Texts = append(all[last].Texts, s.Text)
			continue
		}
		all = append(all, block{s.Kind, []string{s.Text}})
	}
	return all
}

// serverFacts are what the sentences say about this server.
func (s *Handlers) serverFacts() manual.Facts {
	f := manual.Facts{Site: s.Pages.Site, Domain: s.Domain, Days: s.Devices.TrustDays()}
	for _, m := range s.Methods {
		about := m.Info()
		f.Methods = append(f.Methods, about.Method)
		if about.Implicit {
			f.Minutes = int(about.CodeTTL / time.Minute)
		}
	}
	return f
}

// browserSection is the section with the steps for a browser; "" if there is none.
func browserSection(b trust.Browser) string {
	switch b.OS {
	case "iOS":
		return "ios"
	case "Android":
		return "android"
	}
	return map[string]string{"Chrome": "chrome", "Edge": "edge", "Firefox": "firefox", "Safari": "safari",
		"Brave": "brave"}[b.Family]
}
