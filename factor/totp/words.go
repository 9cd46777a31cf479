package totp

import "twostep.example/twostep/factor"

// localizedWords returns the method's texts by language. "min" is correct for one and for several.
func localizedWords() map[string]factor.Words {
	return map[string]factor.Words{"en": englishWords(), "de": germanWords()}
}

func englishWords() factor.Words {
	return factor.Words{
		Title:          "2-Step Auth App",
		Name:           "Authenticator App",
		ChoiceLabel:    "Enter a code from your Authenticator App",
		Prompt:         "Open the Authenticator App on your phone and enter the code that it shows for {Site}.",
		LongCodePrompt: "Open the Authenticator App on your phone and enter the code that it shows for {Site}. Wait until it shows the next one, and enter that one too, behind the first.",
		Intro: []string{
			"Download an authenticator app. We suggest Google Authenticator or Microsoft Authenticator; any other app works as well.",
			"Scan QR Code to sync app with {Site}.",
			"Enter passcode provided in the Authenticator App.",
		},
		Button: "Set up an app",
		Messages: map[string]string{
			"name":         "Name of the device",
			"name.default": "Authenticator app",
			"name.long":    "Use at most 40 characters for the name.",
			"name.text":    "The name contains characters that cannot be shown.",
			"clock.behind": "Your phone's clock is about {Minutes} min behind. Set it to automatic and try the next code.",
			"clock.ahead":  "Your phone's clock is about {Minutes} min ahead. Set it to automatic and try the next code.",
			"clock.late":   "That code is about {Minutes} min old. Enter the one that your app shows now. If that does not work either, set your phone's clock to automatic.",
			"clock.drift":  "That code does not match. Try the next one. If your phone's clock was wrong and has been set right since, you may have to use another way now and set up the app again.",
		},
	}
}

func germanWords() factor.Words {
	return factor.Words{
		Title:          "2-Schritt-App",
		Name:           "Authenticator-App",
		ChoiceLabel:    "Einen Code aus Ihrer Authenticator-App eingeben",
		Prompt:         "Öffnen Sie die Authenticator-App auf Ihrem Telefon und geben Sie den Code ein, den sie für {Site} anzeigt.",
		LongCodePrompt: "Öffnen Sie die Authenticator-App auf Ihrem Telefon und geben Sie den Code ein, den sie für {Site} anzeigt. Warten Sie auf den nächsten und geben Sie auch ihn ein, hinter dem ersten.",
		Intro: []string{
			"Laden Sie eine Authenticator-App. Wir empfehlen Google Authenticator oder Microsoft Authenticator; jede andere geht auch.",
			"Scannen Sie den QR-Code, um die App mit {Site} zu verbinden.",
			"Geben Sie den Code ein, den die Authenticator-App anzeigt.",
		},
		Button: "App einrichten",
		Messages: map[string]string{
			"name":         "Name des Geräts",
			"name.default": "Authenticator-App",
			"name.long":    "Der Name darf höchstens 40 Zeichen lang sein.",
			"name.text":    "Der Name enthält Zeichen, die sich nicht anzeigen lassen.",
			"clock.behind": "Die Uhr Ihres Telefons geht etwa {Minutes} min nach. Stellen Sie sie auf automatisch und versuchen Sie den nächsten Code.",
			"clock.ahead":  "Die Uhr Ihres Telefons geht etwa {Minutes} min vor. Stellen Sie sie auf automatisch und versuchen Sie den nächsten Code.",
			"clock.late":   "Dieser Code ist etwa {Minutes} min alt. Geben Sie den ein, den die App jetzt anzeigt. Hilft das nicht, stellen Sie die Uhr Ihres Telefons auf automatisch.",
			"clock.drift":  "Dieser Code stimmt nicht. Versuchen Sie den nächsten. Falls die Uhr Ihres Telefons falsch ging und inzwischen richtig gestellt wurde, müssen Sie vielleicht jetzt einen anderen Weg wählen und die App neu einrichten.",
		},
	}
}
