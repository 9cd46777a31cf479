package check

import "twostep.example/twostep/manual"

// tries say for each sentence of the page that describes the feature (package manual) what
// must happen on a running server for it to be true.
func tries() map[string]func(*visitor) error {
	app, text, chrome := once(appProves), once(smsArrives), browserHelp
	trusted, moved := once(trustSkips), once(placesAreApart)
	return map[string]func(*visitor) error{
		"intro.extra":     passwordIsNotEnough,
		"intro.steps":     threeMethods,
		"intro.recommend": anotherIsRecommended,

		"email.default": emailIsTheDefault,
		"email.sent":    codeIsSent,
		"email.valid":   codeIsValid,
		"email.expired": codeExpires,

		"app.optional":     appIsOptional,
		"app.set.download": appIsSuggested,
		"app.set.menu":     menuLeads,
		"app.set.window":   opensWindow("2-Step Auth App", appPage),
		"app.set.scan":     appScans,
		"app.set.enter":    app,
		"app.set.auto":     appVerifiesItself,
		"app.set.continue": app,
		"app.set.choose":   appIsOffered,

		"sms.optional":     smsIsOptional,
		"sms.set.one":      text,
		"sms.set.signedin": smsNeedsSession,
		"sms.set.menu":     menuLeads,
		"sms.set.window":   opensWindow("2-Step SMS Number", smsPage),
		"sms.set.country":  smsFields,
		"sms.set.able":     smsNeedsMobile,
		"sms.set.send":     text,
		"sms.set.text":     text,
		"sms.set.auto":     text,
		"sms.set.continue": text,
		"sms.set.choose":   text,

		"trust.skip": trusted,
		"trust.box":  boxIsOffered,

		"trouble.how.record":     recordIsKept,
		"trouble.how.details":    detailsAreKept,
		"trouble.address.moves":  moved,
		"trouble.address.visits": moved,
		"trouble.address.isp":    addressChanges,
		"trouble.agent.browser":  asksWith(chromeOnWindows),
		"trouble.agent.machine":  asksWith(firefoxOnMac),
		"trouble.time.expired":   trusted,
		"trouble.time.same":      nothingChanges,

		"storage.save":      blockedIsTold,
		"storage.kept":      deletedIsTold,
		"chrome.path":       chrome("chrome", "Cookies and other site data", chromeOnWindows),
		"chrome.either":     chrome("chrome", "Either ensure:", chromeOnWindows),
		"chrome.block":      chrome("chrome", "Block all cookies", chromeOnWindows),
		"chrome.exception":  chrome("chrome", "Sites that can always use cookies", chromeOnWindows),
		"edge.path":         chrome("edge", "Privacy, search, and services", edgeOnWindows),
		"edge.either":       chrome("edge", "Either ensure:", edgeOnWindows),
		"edge.block":        chrome("edge", "Tracking prevention = Strict", edgeOnWindows),
		"edge.exception":    chrome("edge", "Tracking prevention -> Exceptions", edgeOnWindows),
		"firefox.path":      chrome("firefox", "Privacy & Security", firefoxOnWindows),
		"firefox.either":    chrome("firefox", "Either ensure:", firefoxOnWindows),
		"firefox.block":     chrome("firefox", "Delete cookies and site data when Firefox is closed", firefoxOnWindows),
		"firefox.exception": chrome("firefox", "shield icon", firefoxOnWindows),
		"safari.path":       chrome("safari", "Safari -> Preferences -> Privacy", safariOnMac),
		"safari.block":      chrome("safari", "Block all cookies", safariOnMac),
	}
}

// sentences are all sentences of the page that the feature follows, with the names of a
// server and the figures of that page.
func sentences(site, domain string) []manual.Sentence {
	var all []manual.Sentence
	for _, section := range manual.Page("en", manual.Facts{Site: site, Domain: domain, Minutes: manual.Minutes, Days: manual.Days, Methods: []string{"totp", "sms"}}) {
		for _, s := range section.Sentences {
			if !s.Ours {
				all = append(all, s)
			}
		}
	}
	return all
}

// once is for sentences that are true of one walk, which is then taken once.
func once(try func(*visitor) error) func(*visitor) error {
	var err error
	var done bool
	return func(v *visitor) error {
		if !done {
			err, done = try(v), true
		}
		return err
	}
}

// wrongCode is what a wrong, an expired and a used code are answered with.
const wrongCode = "The verification code you have entered does not match our records. Please try again, or request a new code."
