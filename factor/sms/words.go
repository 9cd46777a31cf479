package sms

import "twostep.example/twostep/factor"

func englishWords() factor.Words {
	return factor.Words{
		Title:          "2-Step SMS Number",
		Name:           "SMS",
		ChoiceLabel:    "Send a text message to {Masked}",
		Prompt:         "Enter the code from the text message (SMS)",
		LongCodePrompt: "Enter the 13 letters and digits from the text message (SMS)",
		Intro: []string{
			"Select your Country/Region and enter your phone number. We'll send a text message (SMS) with a verification code to your phone.",
			"Note: the number provided must be able to receive a text message (SMS).",
		},
		Button: "Send Code",
		Messages: map[string]string{
			"country":           "Country/Region",
			"number":            "Phone number",
			"country.empty":     "Select your country or region.",
			"country.refused":   "{Site} does not send text messages to numbers in {Country}.",
			"number.empty":      "Enter your phone number.",
			"number.impossible": "That is not a phone number of the selected country or region. Check the digits, or begin with + and the country code.",
			"number.extension":  "A text message cannot go to an extension. Enter the number of a mobile phone.",
			"number.short":      "That is a short number. Enter the whole number of a mobile phone.",
			"number.landline":   "This looks like a landline number, which cannot receive text messages. Enter the number of a mobile phone.",
			"number.premium":    "This is a premium-rate number. Enter the number of a mobile phone.",
			"number.shared":     "This is a shared-cost number. Enter the number of a mobile phone.",
			"number.tollfree":   "This is a toll-free number. Enter the number of a mobile phone.",
			"number.voip":       "This is an internet telephone number. Enter the number of a mobile phone.",
			"number.personal":   "This is a personal forwarding number. Enter the number of the mobile phone itself.",
			"number.pager":      "This is the number of a pager. Enter the number of a mobile phone.",
			"number.company":    "This is a company's service number. Enter the number of a mobile phone.",
			"number.voicemail":  "This is the number of a voice mailbox. Enter the number of a mobile phone.",
			"number.world":      "This is a satellite or other worldwide number. Enter the number of a mobile phone in a country.",
		},
	}
}

func germanWords() factor.Words {
	return factor.Words{
		Title:          "2-Schritt-SMS-Nummer",
		Name:           "SMS",
		ChoiceLabel:    "Eine SMS an {Masked} senden",
		Prompt:         "Geben Sie den Code aus der SMS ein",
		LongCodePrompt: "Geben Sie die 13 Buchstaben und Ziffern aus der SMS ein",
		Intro: []string{
			"Wählen Sie Ihr Land oder Ihre Region und geben Sie Ihre Telefonnummer ein. Wir senden eine SMS mit einem Bestätigungscode an Ihr Telefon.",
			"Hinweis: Die Nummer muss SMS empfangen können.",
		},
		Button: "Code senden",
		Messages: map[string]string{
			"country":           "Land/Region",
			"number":            "Telefonnummer",
			"country.empty":     "Wählen Sie Ihr Land oder Ihre Region.",
			"country.refused":   "{Site} sendet keine SMS an Nummern in diesem Land: {Country}.",
			"number.empty":      "Geben Sie Ihre Telefonnummer ein.",
			"number.impossible": "Das ist keine Telefonnummer des gewählten Landes. Prüfen Sie die Ziffern, oder beginnen Sie mit + und der Ländervorwahl.",
			"number.extension":  "An eine Durchwahl kann keine SMS gehen. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.short":      "Das ist eine Kurzwahl. Geben Sie die ganze Nummer eines Mobiltelefons ein.",
			"number.landline":   "Das scheint eine Festnetznummer zu sein, die keine SMS empfängt. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.premium":    "Das ist eine Sonderrufnummer mit höheren Kosten. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.shared":     "Das ist eine Nummer mit geteilten Kosten. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.tollfree":   "Das ist eine gebührenfreie Nummer. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.voip":       "Das ist eine Nummer für Internettelefonie. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.personal":   "Das ist eine persönliche Weiterleitungsnummer. Geben Sie die Nummer des Mobiltelefons selbst ein.",
			"number.pager":      "Das ist die Nummer eines Funkrufempfängers. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.company":    "Das ist die Servicenummer eines Unternehmens. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.voicemail":  "Das ist die Nummer einer Sprachbox. Geben Sie die Nummer eines Mobiltelefons ein.",
			"number.world":      "Das ist eine Satelliten- oder andere weltweite Nummer. Geben Sie die Nummer eines Mobiltelefons in einem Land ein.",
		},
	}
}
