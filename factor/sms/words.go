package sms

import "twostep.example/twostep/factor"

func englishWords() factor.Words {
	return factor.Words{
		Title:          "2-Step SMS Number",
		Name:           "SMS",
		ChoiceLabel:    "Send a text message to {Masked}",
		Prompt:         "Enter the 6-digit code from our text message (SMS) to {Masked}.",
		LongCodePrompt: "Enter the 13-character code from our text message (SMS) to {Masked}.",
		Intro: []string{
			"Select your Country/Region and enter your phone number. We'll send a text message (SMS) with a verification code to your phone.",
			"Note: the number provided must be able to receive a text message (SMS).",
		},
		Button: "Send Code",
		Messages: map[string]string{
			"country":           "Country/Region",
			"number":            "Phone number",
			"country.empty":     "Select your country or region.",
			"country.refused":   "{Site} can't send text messages to numbers in {Country}. Enter a different number.",
			"number.empty":      "Enter your phone number.",
			"number.impossible": "This isn't a phone number from the selected country or region. Check the digits, or start with + and the country code.",
			"number.extension":  "Extensions can't receive text messages. Enter a mobile phone number.",
			"number.short":      "This number is too short to be a mobile phone number. Enter the full number.",
			"number.landline":   "Is this right? {Number} looks like a landline number. Enter a mobile phone number, or press Send Code again to use this one.",
			"number.unknown":    "Is this right? {Number} doesn't look like a mobile phone number. Check the digits, or press Send Code again to use it.",
			"number.premium":    "This is a premium-rate number. Enter a mobile phone number.",
			"number.shared":     "This is a shared-cost number. Enter a mobile phone number.",
			"number.tollfree":   "This is a toll-free number. Enter a mobile phone number.",
			"number.voip":       "Is this right? {Number} looks like an internet phone number. Enter a mobile phone number, or press Send Code again to use this one.",
			"number.personal":   "This number forwards calls to another number. Enter a mobile phone number.",
			"number.pager":      "This is a pager number. Enter a mobile phone number.",
			"number.company":    "This is a company's service number. Enter a mobile phone number.",
			"number.voicemail":  "This is a voicemail number. Enter a mobile phone number.",
			"number.world":      "This is a satellite number or another international service number. Enter a mobile phone number.",
		},
	}
}

func germanWords() factor.Words {
	return factor.Words{
		Title:          "2-Schritt-SMS-Nummer",
		Name:           "SMS",
		ChoiceLabel:    "SMS an {Masked} senden",
		Prompt:         "Geben Sie den 6-stelligen Code aus unserer SMS an {Masked} ein.",
		LongCodePrompt: "Geben Sie den 13-stelligen Code aus unserer SMS an {Masked} ein.",
		Intro: []string{
			"Wählen Sie Ihr Land oder Ihre Region und geben Sie Ihre Telefonnummer ein. Wir senden eine SMS mit einem Bestätigungscode an Ihr Telefon.",
			"Hinweis: Die Nummer muss SMS empfangen können.",
		},
		Button: "Code senden",
		Messages: map[string]string{
			"country":           "Land/Region",
			"number":            "Telefonnummer",
			"country.empty":     "Wählen Sie Ihr Land oder Ihre Region.",
			"country.refused":   "An Nummern in diesem Land kann {Site} keine SMS senden: {Country}. Geben Sie eine andere Nummer ein.",
			"number.empty":      "Geben Sie Ihre Telefonnummer ein.",
			"number.impossible": "Das ist keine Telefonnummer aus dem gewählten Land oder der gewählten Region. Prüfen Sie die Ziffern oder beginnen Sie mit + und der Ländervorwahl.",
			"number.extension":  "An Durchwahlen können wir keine SMS senden. Geben Sie eine Handynummer ein.",
			"number.short":      "Diese Nummer ist zu kurz für eine Handynummer. Geben Sie die vollständige Nummer ein.",
			"number.landline":   "Stimmt das? {Number} sieht wie eine Festnetznummer aus. Geben Sie eine Handynummer ein oder klicken Sie noch einmal auf Code senden, um diese zu verwenden.",
			"number.unknown":    "Stimmt das? {Number} sieht nicht wie eine Handynummer aus. Prüfen Sie die Ziffern oder klicken Sie noch einmal auf Code senden, um sie zu verwenden.",
			"number.premium":    "Das ist eine kostenpflichtige Sonderrufnummer. Geben Sie eine Handynummer ein.",
			"number.shared":     "Das ist eine Servicenummer mit geteilten Kosten. Geben Sie eine Handynummer ein.",
			"number.tollfree":   "Das ist eine gebührenfreie Nummer. Geben Sie eine Handynummer ein.",
			"number.voip":       "Stimmt das? {Number} sieht wie eine Nummer für Internettelefonie aus. Geben Sie eine Handynummer ein oder klicken Sie noch einmal auf Code senden, um diese zu verwenden.",
			"number.personal":   "Diese Nummer leitet Anrufe an eine andere Nummer weiter. Geben Sie eine Handynummer ein.",
			"number.pager":      "Das ist die Nummer eines Funkmeldeempfängers (Pager). Geben Sie eine Handynummer ein.",
			"number.company":    "Das ist die Servicenummer eines Unternehmens. Geben Sie eine Handynummer ein.",
			"number.voicemail":  "Das ist die Nummer einer Mailbox. Geben Sie eine Handynummer ein.",
			"number.world":      "Das ist eine Satellitennummer oder eine andere internationale Servicenummer. Geben Sie eine Handynummer ein.",
		},
	}
}
