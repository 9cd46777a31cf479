package render

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/i18n"
)

// templateContext is what the layout and the templates of every room see.
type templateContext struct {
	View
	Site      string
	renderer  *Renderer
	localizer i18n.Localizer
}

func (p *Renderer) newTemplateContext(r *http.Request, s View) templateContext {
	return templateContext{View: s, Site: p.Site, renderer: p, localizer: p.Localizer(r)}
}

// Lang is the language of the page.
func (f templateContext) Lang() string { return f.localizer.Tag() }

// Heading is the title of the page, for its h1.
func (f templateContext) Heading() string {
	if f.TitleText != "" {
		return f.TitleText
	}
	return f.Translate(f.Title, "Site", f.Site)
}

// Asset is the address of one of our own files.
func (f templateContext) Asset(name string) string { return assets()[name].path }

// Translate is a sentence in the language of the page.
func (f templateContext) Translate(key string, pairs ...any) string {
	return f.localizer.Translate(key, pairs...)
}

// Time is a moment as people read it.
func (f templateContext) Time(t time.Time) string { return f.renderer.FormatTime(f.localizer, t) }

// Date is the day of a moment.
func (f templateContext) Date(t time.Time) string { return f.renderer.FormatDate(f.localizer, t) }

// Problem is the sentence about a field, "" if there is none.
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

// Focused tells whether the field has the focus when the page opens: the first one
// with a problem, or the one the sheet names.
func (f templateContext) Focused(field string) bool {
	for _, p := range f.Problems {
		if p.Field != "" {
			return p.Field == field
		}
	}
	return f.Focus == field
}

// inputField is one input with its label, for the templates in fields.html.
type inputField struct {
	templateContext
	Name, Label, Autocomplete, Value string
}

// Field is the input name with the label of a word key.
func (f templateContext) Field(name, label, autocomplete, value string) inputField {
	return inputField{f, name, label, autocomplete, value}
}

// ProblemText is the sentence about this field.
func (f inputField) ProblemText() string { return f.Problem(f.Name) }

// NewPassword tells whether a password is being chosen here, so that its rules are shown.
func (f inputField) NewPassword() bool { return f.Autocomplete == "new-password" }

// codeField is the field of a verification code.
type codeField struct {
	inputField
	Digits bool   // six of them: checked by itself at the sixth
	Hint   string // word key; "" for none
}

// Code is the field of the answer to a challenge: six digits, or any text with a hint.
func (f templateContext) Code(digits bool, hint string) codeField {
	if digits {
		hint = "verify.hint"
	}
	return codeField{f.Field("code", "field.code", "one-time-code", ""), digits, hint}
}
