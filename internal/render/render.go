// Package render prints pages: templates, layout, error table, security headers, cookies.
//
//	request ─▶ Door ─▶ Limits ─▶ mux ─▶ Handle ─▶ a handler ─▶ Print ─▶ answer
//	                             └── error ─▶ the table ─▶ Print ─┘
//
// The package knows no page of any room but the error page, and decides nothing
// about who may see what.
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

	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
)

//go:embed layout.html fields.html pages
var templateFiles embed.FS

// Renderer prints every page of a server. Copying it is fine; its fields do not change
// once it prints.
type Renderer struct {
	Site           string                // the name people see
	Secure         bool                  // pages travel over https; false only in local mode
	Location       *time.Location        // the zone in which pages tell the time; nil: UTC
	Log            *slog.Logger          // nil: nothing is logged
	Now            func() time.Time      // nil: the clock of the machine
	Origins        origin.Resolver       // finds the client address of requests
	ProxyDetector  *origin.ProxyDetector // nil: nothing is detected
	JSONErrorPaths []string              // the paths that programs ask: errors there are JSON
}

// Templates are the parsed pages of one room.
type Templates map[string]*template.Template

// Parse reads every .html file of a folder as one page inside the layout; what stands in
// parts/*.html is there for all of them. It panics on a file that does not parse: files are
// embedded, so the first test sees it.
func Parse(files fs.FS, folder string) Templates {
	names, err := fs.Glob(files, folder+"/*.html")
	if err != nil || len(names) == 0 {
		panic("page: no pages in " + folder)
	}
	parts, err := fs.Glob(files, folder+"/parts/*.html")
	if err != nil {
		panic(err)
	}
	pages := Templates{}
	for _, name := range names {
		t := template.Must(template.ParseFS(templateFiles, "layout.html", "fields.html"))
		if len(parts) > 0 {
			template.Must(t.ParseFS(files, parts...))
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = template.Must(t.ParseFS(files, name)).Option(
			"missingkey=error",
		)
	}
	return pages
}

// errorTemplates is the error page, parsed when the first one is printed.
var errorTemplates = sync.OnceValue(func() Templates { return Parse(templateFiles, "pages") })

// View is one page about to be printed.
type View struct {
	Templates Templates
	Template  string // the file without .html
	Status    int    // 0: 200
	Title     string // word key
	TitleText string // the title itself, where another room has the words
	Wide      bool   // a list rather than a form
	Focus     string // the field that has the focus if there is no problem
	Problems  []Problem
	Data      any // the page's own struct
}

// Problem is why a form comes back.
type Problem struct {
	Field string // "" when it belongs to the whole form
	Key   string // word key
	Args  []any
	Text  string // the sentence itself, where another room has the words
}

// Render prints a sheet, in the reader's language. It writes nothing unless the whole
// page could be made, so a half page is never sent.
func (p *Renderer) Render(w http.ResponseWriter, r *http.Request, s View) error {
	t, ok := s.Templates[s.Template]
	if !ok {
		return fmt.Errorf("page: no page %q", s.Template)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout.html", p.newTemplateContext(r, s)); err != nil {
		return fmt.Errorf("page: %s: %w", s.Template, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Localizer(r).Tag())
	w.WriteHeader(max(s.Status, http.StatusOK))
	_, _ = w.Write(b.Bytes()) // the reader has gone; nobody to tell
	return nil
}

// JSON answers with v.
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

// Languages are those in which pages are printed.
func (p *Renderer) Languages() []string { return i18n.Languages() }

// Localizer is the language of the reader.
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

// CurrentTime is the time for this server.
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

// SecondsUntil is how many whole seconds a person waits from now until t, at least 0.
func (p *Renderer) SecondsUntil(t time.Time) int {
	return max(0, int(math.Ceil(t.Sub(p.CurrentTime()).Seconds())))
}

// FormatTime is t as people of the language read it, in the site's zone.
func (p *Renderer) FormatTime(w i18n.Localizer, t time.Time) string {
	return p.inSiteZone(t).Format(w.Translate("format.time"))
}

// FormatDate is the day of t.
func (p *Renderer) FormatDate(w i18n.Localizer, t time.Time) string {
	return p.inSiteZone(t).Format(w.Translate("format.date"))
}

// FormatClock is the time of day of t with seconds.
func (p *Renderer) FormatClock(w i18n.Localizer, t time.Time) string {
	return p.inSiteZone(t).Format(w.Translate("format.clock"))
}

func (p *Renderer) inSiteZone(t time.Time) time.Time {
	if p.Location == nil {
		return t.UTC()
	}
	return t.In(p.Location)
}
