package recovery

import "twostep.example/twostep/factor"

// localizedWords returns the method's texts by language. Those with {Count} are correct for every
// number.
func localizedWords() map[string]factor.Words {
	return map[string]factor.Words{
		"en": {
			Title:       "Recovery codes",
			Name:        "Recovery code",
			ChoiceLabel: "Use one of your recovery codes",
			Prompt:      "Enter one of your recovery codes",
			Intro: []string{
				"With a recovery code you can sign in to {Site} when you have neither your phone nor your mailbox. Each code works once.",
				"Print the codes or keep them in a password manager. Do not keep them in the mailbox or on the phone that they are to replace.",
				"When you make new codes, the old ones stop working.",
			},
			Button: "Make new codes",
			Messages: map[string]string{
				"saved": "I have saved them",
				"left":  "Recovery codes left: {Count}",
				"few":   "Recovery codes left: {Count}. Make new ones while you can.",
			},
		},
		"de": {
			Title:       "Wiederherstellungscodes",
			Name:        "Wiederherstellungscode",
			ChoiceLabel: "Einen Ihrer Wiederherstellungscodes verwenden",
			Prompt:      "Geben Sie einen Ihrer Wiederherstellungscodes ein",
			Intro: []string{
				"Mit einem Wiederherstellungscode melden Sie sich bei {Site} an, wenn Sie weder Ihr Telefon noch Ihr Postfach zur Hand haben. Jeder Code gilt einmal.",
				"Drucken Sie die Codes aus oder bewahren Sie sie in einem Passwortmanager auf. Bewahren Sie sie nicht in dem Postfach oder auf dem Telefon auf, das sie ersetzen sollen.",
				"Wenn Sie neue Codes erstellen, gelten die alten nicht mehr.",
			},
			Button: "Neue Codes erstellen",
			Messages: map[string]string{
				"saved": "Ich habe sie aufbewahrt",
				"left":  "Noch übrige Wiederherstellungscodes: {Count}",
				"few":   "Noch übrige Wiederherstellungscodes: {Count}. Erstellen Sie bald neue.",
			},
		},
	}
}
