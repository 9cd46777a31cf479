package render

import (
	"html/template"
	"net/http"
	"time"

	"twostep.example/twostep/internal/i18n"
)

// templateContext is the data of the layout and of every template.
type templateContext struct {
	View
	Site      string
	renderer  *Renderer
	localizer i18n.Localizer
}

func (p *Renderer) newTemplateContext(r *http.Request, s View) templateContext {
	return templateContext{View: s, Site: p.Site, renderer: p, localizer: p.Localizer(r)}
}

// Lang returns the language of the page.
func (f templateContext) Lang() string { return f.localizer.Tag() }

// Heading returns the title of the page, for its h1.
func (f templateContext) Heading() string {
	if f.TitleText != "" {
		return f.TitleText
	}
	return f.Translate(f.Title, "Site", f.Site)
}

// Asset returns the path of an asset of the site.
func (f templateContext) Asset(name string) string { return f.renderer.asset(name).path }

// Icon returns the address of the icon of the site. A small icon is in its address, which saves a request.
func (f templateContext) Icon() template.URL { return f.renderer.asset("icon.svg").address() }

// Translate returns a text in the language of the page.
func (f templateContext) Translate(key string, pairs ...any) string {
	return f.localizer.Translate(key, pairs...)
}

// TranslateTime returns a text with a number of days or hours, see i18n.Localizer.
func (f templateContext) TranslateTime(key string, d time.Duration) string {
	return f.localizer.TranslateTime(key, d)
}

// Duration formats a duration.
func (f templateContext) Duration(d time.Duration) string { return f.localizer.FormatDuration(d) }

// Time formats a date and time.
func (f templateContext) Time(t time.Time) string { return f.renderer.FormatTime(f.localizer, t) }

// Seconds formats a date and time with its seconds.
func (f templateContext) Seconds(t time.Time) string {
	return f.localizer.FormatSeconds(f.renderer.inSiteZone(t))
}

// Date formats a date.
func (f templateContext) Date(t time.Time) string { return f.renderer.FormatDate(f.localizer, t) }

// Problem returns the problem of a field, "" if there is none.
func (f templateContext) Problem(field string) string {
	for _, p := range f.Problems {
		if p.Field == field {
			if p.Text != "" {
				return p.Text
			}
			return f.Translate(p.Key, p.Args...)
		}
	}
	return ""
}

// Focused reports whether the field has the focus when the page opens: the first one with a problem, or View.Focus.
func (f templateContext) Focused(field string) bool {
	for _, p := range f.Problems {
		if p.Field != "" {
			return p.Field == field
		}
	}
	return f.Focus == field
}

// inputField is an input with its label, for the templates in fields.html.
type inputField struct {
	templateContext
	Name, Label, Autocomplete, Value string
}

// Field returns an input with the label of a text key.
func (f templateContext) Field(name, label, autocomplete, value string) inputField {
	return inputField{f, name, label, autocomplete, value}
}

// ProblemText returns the problem of this field.
func (f inputField) ProblemText() string { return f.Problem(f.Name) }

// NewPassword reports whether the field sets a new password, so that its rules are shown.
func (f inputField) NewPassword() bool { return f.Autocomplete == "new-password" }

// codeField is the field of a verification code.
type codeField struct {
	inputField
	Digits bool   // six digits: the script submits the form at the sixth
	Hint   string // text key; "" for none
}

// Code returns the field for the answer to a challenge: six digits, or any text with a hint.
func (f templateContext) Code(digits bool, hint string) codeField {
	if digits {
		hint = "verify.hint"
	}
	return codeField{f.Field("code", "field.code", "one-time-code", ""), digits, hint}
}
