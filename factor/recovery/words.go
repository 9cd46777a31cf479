package recovery

import "twostep.example/twostep/factor"

// localizedWords returns the method's texts by language. Those with {Count} are correct for every
// number.
func localizedWords() map[string]factor.Words {
	return map[string]factor.Words{
		"en": {
			Title:       "Recovery codes",
			Name:        "Recovery code",
			ChoiceLabel: "Use a recovery code",
			Prompt:      "Enter one of your recovery codes.",
			Intro: []string{
				"Use a recovery code to sign in to {Site} when you can't use your phone or your email. Each code works once.",
				"Print the codes or save them in a password manager. Don't keep them only in your email or on your phone.",
			},
			Button: "Create new codes",
			Messages: map[string]string{
				"saved": "I have saved them",
				"left":  "Recovery codes left: {Count}",
				"few":   "Recovery codes left: {Count}. Create new ones soon.",
			},
		},
		"de": {
			Title:       "Wiederherstellungscodes",
			Name:        "Wiederherstellungscode",
			ChoiceLabel: "Wiederherstellungscode verwenden",
			Prompt:      "Geben Sie einen Ihrer Wiederherstellungscodes ein.",
			Intro: []string{
				"Mit einem Wiederherstellungscode melden Sie sich bei {Site} an, wenn Sie weder Ihr Telefon noch Ihre E-Mails verwenden können. Jeder Code gilt nur einmal.",
				"Drucken Sie die Codes aus oder speichern Sie sie in einem Passwortmanager. Bewahren Sie sie nicht nur in Ihrem Postfach oder auf Ihrem Telefon auf.",
			},
			Button: "Neue Codes erstellen",
			Messages: map[string]string{
				"saved": "Ich habe sie gespeichert",
				"left":  "Verbleibende Wiederherstellungscodes: {Count}",
				"few":   "Verbleibende Wiederherstellungscodes: {Count}. Erstellen Sie bald neue.",
			},
		},
	}
}
