package totp

import "twostep.example/twostep/factor"

// localizedWords returns the method's texts by language. {Minutes} is never 1: those texts end in ".one".
func localizedWords() map[string]factor.Words {
	return map[string]factor.Words{"en": englishWords(), "de": germanWords()}
}

func englishWords() factor.Words {
	return factor.Words{
		Title:          "2-Step Auth App",
		Name:           "Authenticator App",
		ChoiceLabel:    "Enter a code from your authenticator app",
		Prompt:         "Open your authenticator app and enter the code it shows for {Site}.",
		LongCodePrompt: "Open your authenticator app and enter the code it shows for {Site}. Wait for the next code, and enter it right after the first one.",
		Intro: []string{
			"Download an authenticator app. We suggest Google Authenticator or Microsoft Authenticator, but any authenticator app works.",
			"Scan QR Code to sync app with {Site}.",
			"Enter passcode provided in the Authenticator App.",
		},
		Button: "Set up an app",
		Messages: map[string]string{
			"name":             "Device name",
			"name.default":     "Authenticator app",
			"name.long":        "Enter a device name with 40 characters or fewer.",
			"name.text":        "The device name contains characters that can't be displayed. Enter a different name.",
			"clock.behind":     "Your phone's clock is about {Minutes} minutes behind. Set it to automatic, then enter the next code.",
			"clock.behind.one": "Your phone's clock is about a minute behind. Set it to automatic, then enter the next code.",
			"clock.ahead":      "Your phone's clock is about {Minutes} minutes ahead. Set it to automatic, then enter the next code.",
			"clock.late":       "That code is about a minute old. Enter the code that your app shows now. If that doesn't work, set your phone's clock to automatic.",
			"clock.drift":      "That code doesn't match. Enter the next one. If you've recently corrected your phone's clock, sign in with another method and set up the app again.",
		},
	}
}

func germanWords() factor.Words {
	return factor.Words{
		Title:          "2-Schritt-App",
		Name:           "Authenticator-App",
		ChoiceLabel:    "Code aus Ihrer Authenticator-App eingeben",
		Prompt:         "Öffnen Sie Ihre Authenticator-App und geben Sie den Code ein, den sie für {Site} anzeigt.",
		LongCodePrompt: "Öffnen Sie Ihre Authenticator-App und geben Sie den Code ein, den sie für {Site} anzeigt. Warten Sie auf den nächsten Code und geben Sie ihn direkt hinter dem ersten ein.",
		Intro: []string{
			"Laden Sie eine Authenticator-App herunter. Wir empfehlen Google Authenticator oder Microsoft Authenticator, aber jede Authenticator-App funktioniert.",
			"Scannen Sie den QR-Code, um die App mit {Site} zu verbinden.",
			"Geben Sie den Code ein, den die Authenticator-App anzeigt.",
		},
		Button: "App einrichten",
		Messages: map[string]string{
			"name":             "Gerätename",
			"name.default":     "Authenticator-App",
			"name.long":        "Geben Sie einen Gerätenamen mit höchstens 40 Zeichen ein.",
			"name.text":        "Der Gerätename enthält Zeichen, die sich nicht anzeigen lassen. Geben Sie einen anderen Namen ein.",
			"clock.behind":     "Die Uhr Ihres Telefons geht etwa {Minutes} Minuten nach. Schalten Sie die automatische Uhrzeit ein und geben Sie dann den nächsten Code ein.",
			"clock.behind.one": "Die Uhr Ihres Telefons geht etwa eine Minute nach. Schalten Sie die automatische Uhrzeit ein und geben Sie dann den nächsten Code ein.",
			"clock.ahead":      "Die Uhr Ihres Telefons geht etwa {Minutes} Minuten vor. Schalten Sie die automatische Uhrzeit ein und geben Sie dann den nächsten Code ein.",
			"clock.late":       "Dieser Code ist etwa eine Minute alt. Geben Sie den Code ein, den Ihre App jetzt anzeigt. Wenn das nicht hilft, schalten Sie an Ihrem Telefon die automatische Uhrzeit ein.",
			"clock.drift":      "Dieser Code stimmt nicht. Geben Sie den nächsten ein. Wenn Sie die Uhr Ihres Telefons vor Kurzem richtig gestellt haben, melden Sie sich mit einer anderen Methode an und richten Sie die App neu ein.",
		},
	}
}
