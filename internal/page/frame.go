package page

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/i18n"
)

// frame is what the layout and the templates of every room see.
type frame struct {
	Sheet
	Site    string
	printer *Printer
	words   i18n.Words
}

func (p *Printer) frame(r *http.Request, s Sheet) frame {
	return frame{Sheet: s, Site: p.Site, printer: p, words: p.Words(r)}
}

// Lang is the language of the page.
func (f frame) Lang() string { return f.words.Tag() }

// Heading is the title of the page, for its h1.
func (f frame) Heading() string {
	if f.Titled != "" {
		return f.Titled
	}
	return f.Say(f.Title, "Site", f.Site)
}

// Asset is the address of one of our own files.
func (f frame) Asset(name string) string { return assets()[name].path }

// Say is a sentence in the language of the page.
func (f frame) Say(key string, pairs ...any) string { return f.words.Say(key, pairs...) }

// Time is a moment as people read it.
func (f frame) Time(t time.Time) string { return f.printer.Time(f.words, t) }

// Date is the day of a moment.
func (f frame) Date(t time.Time) string { return f.printer.Date(f.words, t) }

// Problem is the sentence about a field, "" if there is none.
func (f frame) Problem(field string) string {
	for _, p := range f.Problems {
		if p.Field == field {
			if p.Text != "" {
				return p.Text
			}
			return f.Say(p.Key, p.Pairs...)
		}
	}
	return ""
}

// Focused tells whether the field has the focus when the page opens: the first one
// with a problem, or the one the sheet names.
func (f frame) Focused(field string) bool {
	for _, p := range f.Problems {
		if p.Field != "" {
			return p.Field == field
		}
	}
	return f.Focus == field
}

// field is one input with its label, for the templates in fields.html.
type field struct {
	frame
	Name, Label, Autocomplete, Value string
}

// Field is the input name with the label of a word key.
func (f frame) Field(name, label, autocomplete, value string) field {
	return field{f, name, label, autocomplete, value}
}

// Wrong is the sentence about this field.
func (f field) Wrong() string { return f.Problem(f.Name) }

// New tells whether a password is being chosen here, so that its rules are shown.
func (f field) New() bool { return f.Autocomplete == "new-password" }

// codeField is the field of a verification code.
type codeField struct {
	field
	Digits bool   // six of them: checked by itself at the sixth
	Hint   string // word key; "" for none
}

// Code is the field of the answer to a challenge: six digits, or any text with a hint.
func (f frame) Code(digits bool, hint string) codeField {
	if digits {
		hint = "verify.hint"
	}
	return codeField{f.Field("code", "field.code", "one-time-code", ""), digits, hint}
}
