// Package help is the page that describes the feature, and the check-up of a browser.
//
// The page has the sentences that twostep check tests, with the figures of this server. The check-up sets a cookie and
// looks whether it comes back, and shows what the server sees and what the next sign-in would do. It changes nothing.
package help

import (
	"embed"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/trust"
	"twostep.example/twostep/manual"
)

// Handlers serves the help pages of one server.
type Handlers struct {
	Sessions *session.Sessions
	Devices  *device.Devices
	Methods  []factor.Method
	Domain   string // the public URL
	Menu     string // see manual.Facts; "": none
	Pages    *render.Renderer
}

//go:embed pages
var templateFiles embed.FS

var templates = sync.OnceValue(func() render.Templates { return render.Parse(templateFiles, "pages") })

// Routes returns the routes of the help pages, which are public.
func (s *Handlers) Routes() []render.Route {
	return []render.Route{
		{Pattern: "GET /help", Handler: s.showHelp},
		{Pattern: "GET /help/trust", Handler: s.showCheckup},
	}
}

type helpPage struct {
	Chapters     []chapter
	TrustEnabled bool // devices can be trusted
}

// chapter is a heading with the text below it, up to the next heading of its level.
type chapter struct {
	ID, Title string
	Level     int
	Blocks    []block
	Open      bool // the section is about the browser of the reader
}

// block is a paragraph, a note, or a list of steps or items.
type block struct {
	Kind  string // "", "!", "*", "-"
	Items []item
}

// item is a sentence with its link, and the notes below it in a list.
type item struct {
	Before, After string // the text before and after the link
	Link          manual.Link
	Notes         []item
}

func (s *Handlers) showHelp(w http.ResponseWriter, r *http.Request) error {
	own := browserSection(s.Pages.Origin(r).TrustRequest().Browser)
	groups, err := s.groups(r)
	if err != nil {
		return err
	}
	facts := s.serverFacts(groups)
	p := helpPage{Chapters: chapters(s.Pages.Localizer(r).Tag(), own, facts), TrustEnabled: facts.Trusts()}
	return s.Pages.Render(
		w, r, render.View{Templates: templates(), Template: "help", Title: "help.title", Wide: true, Data: p},
	)
}

// chapters returns the sections of the page, with the browser of the reader before the other browsers.
func chapters(language, own string, f manual.Facts) []chapter {
	var all []chapter
	first := -1 // index of the first browser
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

// browserLevel is the level of the sections about browsers, at the end of the page.
const browserLevel = 3

// blocks joins the steps or items of a list. A note between two steps is a part of the step before it, so that the
// numbers of the list go on.
func blocks(sentences []manual.Sentence) []block {
	var all []block
	for _, s := range sentences {
		last := len(all) - 1
		switch {
		case last >= 0 && all[last].isList() && s.Kind == all[last].Kind:
			all[last].Items = append(all[last].Items, newItem(s))
		case last >= 0 && all[last].isList() && s.Kind == "!":
			step := &all[last].Items[len(all[last].Items)-1]
			step.Notes = append(step.Notes, newItem(s))
		default:
			all = append(all, block{s.Kind, []item{newItem(s)}})
		}
	}
	return all
}

func (b block) isList() bool { return b.Kind == "*" || b.Kind == "-" }

func newItem(s manual.Sentence) item {
	arrows := strings.NewReplacer("->", "→")
	if s.Link.Text == "" {
		return item{Before: arrows.Replace(s.Text)}
	}
	before, after, _ := strings.Cut(s.Text, s.Link.Text)
	s.Link.Text = arrows.Replace(s.Link.Text)
	return item{Before: arrows.Replace(before), Link: s.Link, After: arrows.Replace(after)}
}

// groups returns the groups of the person who is signed in; nil if nobody is.
func (s *Handlers) groups(r *http.Request) ([]string, error) {
	token := s.Pages.Cookie(r, render.SessionCookie)
	if token == "" {
		return nil, nil
	}
	who, err := s.Sessions.Get(r.Context(), token)
	if errors.Is(err, session.ErrNoSession) || fault.Temporary(err) { // the page needs no database
		return nil, nil
	}
	return who.Account.Groups, err
}

// serverFacts returns the figures of this server for the sentences, as they hold for somebody in these groups.
func (s *Handlers) serverFacts(groups []string) manual.Facts {
	f := manual.Facts{Site: s.Pages.Site, Domain: s.Domain, Menu: s.Menu}
	const day = 24 * time.Hour
	if d := s.Devices.TrustTime(s.Devices.Limits(groups, "")); d%day == 0 {
		f.Days = int(d / day)
	} else {
		f.Hours = int(d / time.Hour)
	}
	for _, m := range s.Methods {
		about := m.Info()
		f.Methods = append(f.Methods, about.Method)
		if about.Implicit {
			f.Minutes = int(about.CodeTTL / time.Minute)
		}
	}
	return f
}

// browserSection returns the id of the section for a browser; "" if there is none.
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
