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

// methodWords are the words of a method, with the place its messages go to. What a method
// does not say is said in general words.
func (s *Handlers) methodWords(w i18n.Localizer, about factor.Info, masked string) factor.Words {
	words := about.WordsIn(w.Tag())
	words.Name = cmp.Or(words.Name, about.Method)
	if about.Implicit {
		words.Name = cmp.Or(about.WordsIn(w.Tag()).Name, w.Translate("field.email"))
	}
	if masked != "" {
		words.ChoiceLabel = cmp.Or(words.ChoiceLabel, w.Translate("method.sends", "Masked", "{Masked}"))
		words.Prompt = cmp.Or(words.Prompt, w.Translate("verify.sends", "Masked", "{Masked}"))
		if !strings.Contains(words.Prompt, "{Masked}") {
			words.Prompt = appendSentence(words.Prompt, w.Translate("verify.to", "Masked", "{Masked}"))
		}
		if words.LongCodePrompt != "" && !strings.Contains(words.LongCodePrompt, "{Masked}") {
			words.LongCodePrompt = appendSentence(words.LongCodePrompt, w.Translate("verify.to", "Masked", "{Masked}"))
		}
	}
	words.Title, words.Button = cmp.Or(words.Title, words.Name), cmp.Or(words.Button, w.Translate("enroll.button"))
	for _, text := range []*string{&words.Title, &words.Name, &words.ChoiceLabel, &words.Prompt,
		&words.LongCodePrompt, &words.Button} {
		*text = fillPlaceholders(*text, "Masked", masked, "Site", s.Pages.Site)
	}
	intro := make([]string, len(words.Intro))
	for i, text := range words.Intro {
		intro[i] = fillPlaceholders(text, "Masked", masked, "Site", s.Pages.Site)
	}
	words.Intro = intro
	return words
}

// appendSentence returns text, which may lack its full stop, followed by a sentence.
func appendSentence(text, sentence string) string {
	return strings.TrimSuffix(text, ".") + ". " + sentence
}

// fillPlaceholders puts values into the words of a method: pairs are names and values. A value is
// never read for names again.
func fillPlaceholders(text string, pairs ...string) string {
	var list []string
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(list...).Replace(text)
}

// userErrorProblem is what a method has to say about an answer or a form; false if it is no
// refusal, or one without words.
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

// hasNumericCode tells whether the answers of a method are six digits, so that the field can
// be checked by itself. What is printed for emergencies is longer and has letters.
func hasNumericCode(about factor.Info) bool { return about.Digits > 0 }

// codeInput is what the field of a code is like.
type codeInput struct {
	Digits bool   // six digits
	Hint   string // a word key, beside other answers
}

func codeInputFor(c challenge.Challenge) codeInput {
	switch {
	case !c.LongCode || !hasNumericCode(c.About):
		return codeInput{Digits: hasNumericCode(c.About)}
	case c.About.ValidAnswers > 0:
		return codeInput{Hint: "verify.hint.pair"}
	}
	return codeInput{Hint: "verify.hint.hard"}
}

// promptText is what to do about a challenge.
func (s *Handlers) promptText(w i18n.Localizer, c challenge.Challenge) string {
	words := s.methodWords(w, c.About, c.Masked)
	if c.LongCode && hasNumericCode(c.About) {
		return cmp.Or(words.LongCodePrompt, w.Translate("verify.longer"))
	}
	return words.Prompt
}
