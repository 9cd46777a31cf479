package web

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/render"
)

// methodWords returns the texts of a method in the language of the reader, with their placeholders filled in and with
// defaults for texts it does not have. masked is the masked destination of its messages; "" if there is none.
func (s *Handlers) methodWords(w i18n.Localizer, about factor.Info, masked string) factor.Words {
	words := about.WordsIn(w.Tag())
	words.Intro = slices.Clone(words.Intro)
	texts := []*string{&words.Title, &words.Name, &words.ChoiceLabel, &words.Prompt, &words.LongCodePrompt, &words.Button}
	for i := range words.Intro {
		texts = append(texts, &words.Intro[i])
	}
	for _, text := range texts {
		*text = fillPlaceholders(*text, "Masked", masked, "Site", s.Pages.Site)
	}
	name := about.Method
	if about.Implicit {
		name = w.Translate("field.email")
	}
	words.Name = cmp.Or(words.Name, name)
	words.Title = cmp.Or(words.Title, words.Name)
	words.Button = cmp.Or(words.Button, w.Translate("enroll.button"))
	if masked != "" {
		words.ChoiceLabel = cmp.Or(words.ChoiceLabel, w.Translate("method.sends", "Masked", masked))
		words.Prompt = cmp.Or(words.Prompt, w.Translate("verify.sends", "Masked", masked))
	}
	return words
}

// fillPlaceholders replaces {Name} by a value; pairs are names and values. Placeholders inside a value are not
// replaced.
func fillPlaceholders(text string, pairs ...string) string {
	var list []string
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(list...).Replace(text)
}

// userErrorProblem returns the text of a *factor.UserError. ok is false if err is none, or has no text.
func (s *Handlers) userErrorProblem(words factor.Words, err error) (render.Problem, bool) {
	userError, ok := errors.AsType[*factor.UserError](err)
	if !ok || words.Messages[userError.MessageKey] == "" {
		return render.Problem{}, false
	}
	return render.Problem{
		Field: userError.Field,
		Text: fillPlaceholders(
			words.Messages[userError.MessageKey],
			slices.Concat(userError.MessageArgs, []string{"Site", s.Pages.Site})...),
	}, true
}

// hasNumericCode reports whether the answers of a method are six digits. Recovery codes are longer and have letters.
func hasNumericCode(about factor.Info) bool { return about.Digits > 0 }

// codeInput describes the field of a code.
type codeInput struct {
	Digits bool   // six digits
	Hint   string // text key, if not six digits
}

func codeInputFor(c challenge.Challenge) codeInput {
	switch {
	case !c.LongCode || !hasNumericCode(c.About):
		return codeInput{Digits: hasNumericCode(c.About)}
	case c.About.ValidAnswers > 0:
		return codeInput{Hint: "verify.hint.pair"}
	}
	return codeInput{Hint: "verify.hint.long"}
}

// promptText says what to do to answer a challenge.
func (s *Handlers) promptText(w i18n.Localizer, c challenge.Challenge) string {
	words := s.methodWords(w, c.About, c.Masked)
	if c.LongCode && hasNumericCode(c.About) {
		return cmp.Or(words.LongCodePrompt, w.Translate("verify.longer"))
	}
	return words.Prompt
}
