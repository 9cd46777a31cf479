// Package render prints pages: templates, layout, error table, security headers, cookies.
//
//	request ─▶ Middleware ─▶ CheckRequests ─▶ mux ─▶ Handle ─▶ a handler ─▶ Render ─▶ response
//	                                                 └── error ─▶ errorTable ─▶ Render ─┘
//
// The only page of its own is the error page. It does not decide who may see what.
package render

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/internal/fault"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
)

//go:embed layout.html bare.html fields.html pages
var templateFiles embed.FS

// Renderer renders every page of a server. It can be copied. Its fields must not change once it is in use.
type Renderer struct {
	Site           string                 // the name in pages
	Brand          *Brand                 // the look of the site; nil: the built-in one
	Secure         bool                   // pages are served over https; false in local mode only
	HSTSSubdomains bool                   // Strict-Transport-Security includes subdomains
	Location       *time.Location         // the time zone of times on pages; nil: UTC
	Log            *slog.Logger           // nil: nothing is logged
	Now            func() time.Time       // nil: time.Now
	Origins        origin.Resolver        // finds the client address of requests
	ProxyDetector  *origin.ProxyDetector  // nil: nothing is detected
	JSONErrors     func(path string) bool // reports whether errors of a path are JSON, for programs; nil: of none
	JSONBodyPaths  []string               // paths whose requests have a JSON body, not a form
	NotFoundHint   string                 // for programs, in the JSON error of a path that has nothing
	Faults         *fault.Log             // gets the faults that pass; nil: none is logged
	// Observe is called after each request with the pattern of its route, or what SetRoute says; "": it was refused before.
	// nil: nothing is measured.
	Observe func(route, method string, status int, took time.Duration)
}

// Templates are the parsed pages of one package, by file name without .html.
type Templates map[string]*template.Template

// Parse parses every .html file of a folder as one page inside the layout; parts/*.html are available to all of them.
// It panics on a file that does not parse: the files are embedded, so the first test fails.
func Parse(files fs.FS, folder string) Templates {
	names, err := fs.Glob(files, folder+"/*.html")
	if err != nil || len(names) == 0 {
		panic("render: no pages in " + folder)
	}
	parts, err := fs.Glob(files, folder+"/parts/*.html")
	if err != nil {
		panic(err)
	}
	pages := Templates{}
	for _, name := range names {
		t := template.Must(template.ParseFS(templateFiles, "layout.html", "bare.html", "fields.html"))
		if len(parts) > 0 {
			template.Must(t.ParseFS(files, parts...))
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = template.Must(t.ParseFS(files, name)).Option(
			"missingkey=error",
		)
	}
	return pages
}

// errorTemplates holds the error page. It is parsed on first use.
var errorTemplates = sync.OnceValue(func() Templates { return Parse(templateFiles, "pages") })

// View is a page to render.
type View struct {
	Templates Templates
	Template  string // the file name without .html
	Status    int    // 0: 200
	Title     string // text key
	TitleText string // the title itself, if it is not in package i18n
	Wide      bool   // the wide layout, for lists
	Style     string // an asset with more style, for pages that need it; "": none
	Bare      bool   // with its style inside and no script or icon, for a page on the host of an app
	Focus     string // the field with the focus if there is no problem
	Problems  []Problem
	Data      any // the struct of the page
}

// Problem is why a form was refused.
type Problem struct {
	Field string // "" if the problem is about the whole form
	Key   string // text key
	Args  []any
	Text  string // the sentence itself, if it is not in package i18n
}

// Render renders a view in the language of the reader. It writes nothing unless the whole page could be rendered, so a
// client never gets half a page.
func (p *Renderer) Render(w http.ResponseWriter, r *http.Request, s View) error {
	t, ok := s.Templates[s.Template]
	if !ok {
		return fmt.Errorf("render: no page %q", s.Template)
	}
	var b bytes.Buffer
	layout := "layout.html"
	if s.Bare {
		layout = "bare.html"
	}
	if err := t.ExecuteTemplate(&b, layout, p.newTemplateContext(r, s)); err != nil {
		return fmt.Errorf("render: %s: %w", s.Template, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Localizer(r).Tag())
	if s.Bare {
		h.Set("Content-Security-Policy", barePolicy)
	}
	w.WriteHeader(max(s.Status, http.StatusOK))
	_, _ = w.Write(b.Bytes()) // an error means that the client has gone
	return nil
}

// JSON writes v as the response.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}

// Languages returns the languages of the pages (BCP 47).
func (p *Renderer) Languages() []string { return i18n.Languages() }

// Localizer returns the language of the reader.
func (p *Renderer) Localizer(r *http.Request) i18n.Localizer {
	return i18n.Match(AcceptLanguage(r))
}

type uiLocalesKey struct{}

// maxUILocalesBytes bounds the ui_locales parameter; a longer one is ignored.
const maxUILocalesBytes = 100

// WithUILocales returns a copy of the request whose pages prefer the languages that an app asks for (ui_locales,
// separated by spaces: OpenID Connect Core 3.1.2.1) to those of the browser.
func WithUILocales(r *http.Request, locales string) *http.Request {
	if locales == "" || len(locales) > maxUILocalesBytes || strings.ContainsAny(locales, ",;") {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), uiLocalesKey{}, strings.Fields(locales)))
}

// AcceptLanguage returns the languages of the reader in the form of the Accept-Language header: those of
// WithUILocales first, then those of the browser.
func AcceptLanguage(r *http.Request) string {
	preferred, _ := r.Context().Value(uiLocalesKey{}).([]string)
	if len(preferred) == 0 {
		return r.Header.Get("Accept-Language")
	}
	return strings.TrimSuffix(strings.Join(preferred, ",")+","+r.Header.Get("Accept-Language"), ",")
}

// CurrentTime returns the time on the clock of this server.
func (p *Renderer) CurrentTime() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p *Renderer) logger() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

// SecondsUntil returns the seconds from now until t, rounded up, at least 0.
func (p *Renderer) SecondsUntil(t time.Time) int {
	return max(0, int(math.Ceil(t.Sub(p.CurrentTime()).Seconds())))
}

// FormatTime formats the date and time of t for a language, in the time zone of the site.
func (p *Renderer) FormatTime(w i18n.Localizer, t time.Time) string {
	return w.FormatTime(p.inSiteZone(t))
}

// FormatDate formats the date of t.
func (p *Renderer) FormatDate(w i18n.Localizer, t time.Time) string {
	return w.FormatDate(p.inSiteZone(t))
}

// FormatDay formats the day and the month of t, short.
func (p *Renderer) FormatDay(w i18n.Localizer, t time.Time) string {
	return w.FormatDay(p.inSiteZone(t))
}

// FormatClock formats the time of day of t.
func (p *Renderer) FormatClock(w i18n.Localizer, t time.Time) string {
	return p.inSiteZone(t).Format(w.Translate("format.clock"))
}

func (p *Renderer) inSiteZone(t time.Time) time.Time {
	if p.Location == nil {
		return t.UTC()
	}
	return t.In(p.Location)
}
