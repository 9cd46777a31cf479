package web

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/page"
)

// spoken are the words of a method, with the place its messages go to. What a method
// does not say is said in general words.
func (s *Site) spoken(w i18n.Words, about factor.About, masked string) factor.Words {
	said := about.In(w.Tag())
	said.Name = cmp.Or(said.Name, about.Method)
	if about.Given {
		said.Name = cmp.Or(about.In(w.Tag()).Name, w.Say("field.email"))
	}
	if masked != "" {
		said.Does = cmp.Or(said.Does, w.Say("method.sends", "Masked", "{Masked}"))
		said.Lead = cmp.Or(said.Lead, w.Say("verify.sends", "Masked", "{Masked}"))
		if !strings.Contains(said.Lead, "{Masked}") {
			said.Lead = strings.TrimSuffix(said.Lead, ".") + ". " + w.Say("verify.to", "Masked", "{Masked}")
		}
		if said.Longer != "" && !strings.Contains(said.Longer, "{Masked}") {
			said.Longer = strings.TrimSuffix(said.Longer, ".") + ". " + w.Say("verify.to", "Masked", "{Masked}")
		}
	}
	said.Title, said.Button = cmp.Or(said.Title, said.Name), cmp.Or(said.Button, w.Say("enroll.button"))
	for _, text := range []*string{&said.Title, &said.Name, &said.Does, &said.Lead, &said.Longer, &said.Button} {
		*text = fill(*text, "Masked", masked, "Site", s.Pages.Site)
	}
	intro := make([]string, len(said.Intro))
	for i, text := range said.Intro {
		intro[i] = fill(text, "Masked", masked, "Site", s.Pages.Site)
	}
	said.Intro = intro
	return said
}

// fill puts values into the words of a method: pairs are names and values. A value is
// never read for names again.
func fill(text string, pairs ...string) string {
	var list []string
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(list...).Replace(text)
}

// refusal is what a method has to say about an answer or a form; false if it is no
// refusal, or one without words.
func (s *Site) refusal(said factor.Words, err error) (page.Problem, bool) {
	no, ok := errors.AsType[*factor.Refusal](err)
	if !ok || said.Says[no.Says] == "" {
		return page.Problem{}, false
	}
	return page.Problem{Field: no.Field, Text: fill(said.Says[no.Says], slices.Concat(no.Pairs, []string{"Site", s.Pages.Site})...)}, true
}

// digits tells whether the answers of a method are six digits, so that the field can
// be checked by itself. What is printed for emergencies is longer and has letters.
func digits(about factor.About) bool { return about.Digits > 0 }

// answer is what the field of a code is like.
type answer struct {
	Digits bool   // six digits
	Hint   string // a word key, beside other answers
}

func answerTo(c challenge.Challenge) answer {
	switch {
	case !c.LongCode || !digits(c.About):
		return answer{Digits: digits(c.About)}
	case c.About.Right > 0:
		return answer{Hint: "verify.hint.pair"}
	}
	return answer{Hint: "verify.hint.hard"}
}

// lead is what to do about a challenge.
func (s *Site) lead(w i18n.Words, c challenge.Challenge) string {
	said := s.spoken(w, c.About, c.Masked)
	if c.LongCode && digits(c.About) {
		return cmp.Or(said.Longer, w.Say("verify.longer"))
	}
	return said.Lead
}
