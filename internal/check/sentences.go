package check

import "twostep.example/twostep/manual"

// checksBySentence returns the check for each sentence of the help page (package manual), by its id.
func checksBySentence() map[string]func(*testUser) error {
	appEnrolls, smsEnrolls, browserSection := runOnce(appEnrollsByCode), runOnce(
		smsEnrollsByCode,
	), helpHasBrowserSection
	trusted, networksSeparate := runOnce(trustSkipsChallenge), runOnce(networksAreSeparate)
	return map[string]func(*testUser) error{
		"intro.extra":     passwordIsNotEnough,
		"intro.steps":     threeMethods,
		"intro.recommend": anotherIsRecommended,

		"email.default": emailIsTheDefault,
		"email.sent":    codeIsSent,
		"email.valid":   codeIsValid,
		"email.expired": codeExpires,

		"app.optional":     appIsOptional,
		"app.set.download": appIsSuggested,
		"app.set.menu":     menuIsThere,
		"app.set.window":   opensWindow("2-Step Auth App", appPage),
		"app.set.settings": settingsLead(appPage, ""),
		"app.set.select":   settingsLead(appPage, "Authenticator App"),
		"app.set.scan":     appScans,
		"app.set.enter":    appEnrolls,
		"app.set.auto":     appVerifiesItself,
		"app.set.continue": appEnrolls,
		"app.set.choose":   appIsOffered,

		"sms.optional":     smsIsOptional,
		"sms.set.one":      smsEnrolls,
		"sms.set.signedin": smsNeedsSession,
		"sms.set.menu":     menuIsThere,
		"sms.set.window":   opensWindow("2-Step SMS Number", smsPage),
		"sms.set.settings": settingsLead(smsPage, ""),
		"sms.set.select":   settingsLead(smsPage, "SMS"),
		"sms.set.country":  smsFields,
		"sms.set.able":     smsNeedsMobile,
		"sms.set.send":     smsEnrolls,
		"sms.set.text":     smsEnrolls,
		"sms.set.auto":     smsEnrolls,
		"sms.set.continue": smsEnrolls,
		"sms.set.choose":   smsEnrolls,

		"trust.skip": trusted,
		"trust.box":  trustCheckboxIsOffered,

		"trouble.how.record":     trustRecordIsStored,
		"trouble.how.details":    trustDetailsAreShown,
		"trouble.address.moves":  networksSeparate,
		"trouble.address.visits": networksSeparate,
		"trouble.address.isp":    newAddressIsChallenged,
		"trouble.agent.browser":  otherBrowserIsChallenged(chromeOnWindows),
		"trouble.agent.machine":  otherBrowserIsChallenged(firefoxOnMac),
		"trouble.time.expired":   trusted,
		"trouble.time.same":      unchangedIsNotChallenged,

		"storage.save":     blockedCookiesAreReported,
		"storage.kept":     deletedCookiesAreReported,
		"chrome.path":      browserSection("chrome", "Cookies and other site data", chromeOnWindows),
		"chrome.either":    browserSection("chrome", "Either ensure:", chromeOnWindows),
		"chrome.block":     browserSection("chrome", "Block all cookies", chromeOnWindows),
		"chrome.exception": browserSection("chrome", "Sites that can always use cookies", chromeOnWindows),
		"edge.path":        browserSection("edge", "Privacy, search, and services", edgeOnWindows),
		"edge.either":      browserSection("edge", "Either ensure:", edgeOnWindows),
		"edge.block":       browserSection("edge", "Tracking prevention = Strict", edgeOnWindows),
		"edge.exception":   browserSection("edge", "Tracking prevention -> Exceptions", edgeOnWindows),
		"firefox.path":     browserSection("firefox", "Privacy & Security", firefoxOnWindows),
		"firefox.either":   browserSection("firefox", "Either ensure:", firefoxOnWindows),
		"firefox.block": browserSection(
			"firefox", "Delete cookies and site data when Firefox is closed", firefoxOnWindows,
		),
		"firefox.exception": browserSection("firefox", "shield icon", firefoxOnWindows),
		"safari.path":       browserSection("safari", "Safari -> Preferences -> Privacy", safariOnMac),
		"safari.block":      browserSection("safari", "Block all cookies", safariOnMac),
	}
}

// helpSentences returns the sentences of the help page, without the supplementary ones, for the names of a server, the
// menu of its owner's app and the default figures.
func helpSentences(site, domain, menu string) []manual.Sentence {
	var all []manual.Sentence
	for _, section := range manual.Sections("en", manual.Facts{Site: site, Domain: domain, Minutes: manual.Minutes,
		Days: manual.Days, Methods: []string{"totp", "sms"}, Menu: menu}) {
		for _, s := range section.Sentences {
			if !s.Supplementary {
				all = append(all, s)
			}
		}
	}
	return all
}

// runOnce returns a check that runs once and then returns the same result, for sentences that share a check.
func runOnce(check func(*testUser) error) func(*testUser) error {
	var err error
	var done bool
	return func(v *testUser) error {
		if !done {
			err, done = check(v), true
		}
		return err
	}
}

// wrongCodeText is the answer to a wrong, an expired and a used code.
const wrongCodeText = "The verification code you have entered does not match our records. " +
	"Please try again, or request a new code."
