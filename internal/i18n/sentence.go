package i18n

// Sentence is a text with its values, as an error. Error returns it in English.
type Sentence struct {
	Key   string
	Pairs []any // names and values, as for Localizer.Translate; a value may be a Sentence
}

// NewSentence returns the text of a key with names and values.
func NewSentence(key string, pairs ...any) Sentence { return Sentence{key, pairs} }

func (s Sentence) Error() string { return s.Translate(Localizer{}) }

// Translate returns the text in the language of w.
func (s Sentence) Translate(w Localizer) string {
	pairs := make([]any, len(s.Pairs))
	for i, value := range s.Pairs {
		if part, ok := value.(Sentence); ok {
			value = part.Translate(w)
		}
		pairs[i] = value
	}
	return w.Translate(s.Key, pairs...)
}
