package main

// links are those in mails.
var links = []mutation{
	{test: "TestFirstFormOfALinkChangesNothing", what: "any link shows whose it is", edits: []edit{
		{
			"internal/account/link.go",
			`store.LinkInvite, store.LinkSignUp)`,
			`store.LinkInvite, store.LinkSignUp, store.LinkReset)`,
		},
	}},
	{test: "TestLinkAtOnceWorksOnce", what: "a link is not marked as used", edits: []edit{
		{"internal/store/email_links.go", `SET used_at = $2 WHERE`, `SET used_at = 0 WHERE`},
	}},
	{test: "TestOpeningALinkDoesNotUseIt", what: "a page tells the next one where it was", edits: []edit{
		{"internal/render/middleware.go", `"no-referrer"`, `"unsafe-url"`},
	}},
	{test: "TestLinkWorksForItsPurposeOnly", what: "the purpose of a link is not looked at", edits: []edit{
		{"internal/account/link.go", `!slices.Contains(purposes, l.Purpose)`, `slices.Contains(purposes, "-")`},
	}},
	{test: "TestLinkExpiresAndWorksOnce", what: "a link lives a millisecond longer", edits: []edit{
		{"internal/account/link.go", `30 * time.Minute`, `30*time.Minute + time.Millisecond`},
	}},
	{test: "TestDisabledAccountCannotReset", what: "a link is good for a disabled account", edits: []edit{
		{
			"internal/account/link.go",
			`account.Epoch != l.Epoch || !account.DisabledAt.IsZero()`,
			`account.Epoch != l.Epoch`,
		},
	}},
	{test: "TestAddressLink", what: "opening the link of a new address confirms it", edits: []edit{
		{"internal/web/address.go", `if form["confirm"] == "" {`, `if form["confirm"] == "-" {`},
	}},
	{test: "TestAddressLink", what: "the link of a new address works again", edits: []edit{
		{"internal/enroll/operator.go", `tx.UseEmailLink(ctx, l.TokenHash, e.Now())`, `error(nil)`},
	}},
	{test: "TestAddressLink", what: "a link to choose a password changes the address", edits: []edit{
		{"internal/account/operator.go", `a.findAccountLink(ctx, token, store.LinkAddress)`, `a.findAccountLink(ctx, token, store.LinkReset)`},
	}},
	{test: "TestResetMailsCannotBeUsedUp", what: "a quota never opens again", edits: []edit{
		{"internal/ratelimit/quota.go", `Truncate(window).Add(window)`, `Truncate(400 * window).Add(400 * window)`},
	}},
	{test: "TestStrangersCannotFillTables", what: "one network may ask for any number of links", edits: []edit{
		{"internal/account/link.go", `PerNetwork("email_links_network", from.Networks(), time.Hour, ratelimit.LinksPerNetworkHour)`,
			`PerNetwork("links", from.Networks(), time.Hour, 0)`},
	}},
}

// names are what tells who has an account, or takes one for another.
var names = []mutation{
	{test: "TestEndedSignInShowsItsAddressToItsBrowserOnly",
		what: "the token of a step-up shows the address without the session", edits: []edit{
			{"internal/web/signin.go", `p.Attempt == nil || p.StepUp ||`, `p.Attempt == nil ||`},
		}},
	{test: "TestEndedSignInShowsItsAddressToItsBrowserOnly", what: "an old token shows the new address", edits: []edit{
		{"internal/store/attempts_load.go", `FROM attempts
		JOIN accounts ON accounts.id = attempts.account_id AND accounts.epoch = attempts.epoch`, `FROM attempts
		JOIN accounts ON accounts.id = attempts.account_id`},
	}},
	{test: "TestLogNamesNoUnknownAddress", what: "what was typed is in the log", edits: []edit{
		{"internal/account/password.go", `Account: account.ID, Email: account.Email,
		Actor: audit.Anonymous(), Reason: rejection(account)}`, `Account: account.ID, Email: email,
		Actor: audit.Anonymous(), Reason: rejection(account)}`},
	}},
	{test: "TestSpellingsOfAnAddressAreOneAccount", what: "an address counts as it was typed", edits: []edit{
		{"internal/account/email.go", `lowerASCII(local)`, `local`},
	}},
	{test: "TestSignInDoesNotRevealAccounts", what: "a disabled account signs in", edits: []edit{
		{
			"internal/account/password.go",
			`known := account.ID != "" && account.DisabledAt.IsZero()`,
			`known := account.ID != ""`,
		},
	}},
	{test: "TestSignInDoesNotRevealAccounts", what: "an unknown name is not hashed", edits: []edit{
		{"internal/account/password.go", `known := account.ID != "" && account.DisabledAt.IsZero()`, `known := account.ID != "" && account.DisabledAt.IsZero()
	if !known {
		return store.Account{}, ErrCredentials
	}`},
	}},
	{test: "TestResetAndSignUpDoNotRevealAccounts",
		what: "asking for a new password writes nothing for an unknown name", edits: []edit{
			{"internal/account/password.go", `if err != nil || !account.DisabledAt.IsZero() {`, `if err != nil || !account.DisabledAt.IsZero() {
		return nil`},
		}},
	{test: "TestAddressIsMasked", what: "an address is not masked", edits: []edit{
		{"internal/account/email.go", `return email[:size] + "•••" + email[at:]`, `return email[:size] + email[size:]`},
	}},
	{test: "TestAnswersDoNotWaitForTheMailServer", what: "mail is sent while the browser waits", edits: []edit{
		{"internal/outbox/outbox.go", `return tx.EnqueueMessage(ctx, row)`, `if send := o.Senders[m.Channel]; send != nil {
		if err := send(ctx, m); err != nil {
			return err
		}
	}
	return tx.EnqueueMessage(ctx, row)`},
	}},
	{test: "TestLookAlikeAddressesReachNobody", what: "Unicode in addresses is folded by us", edits: []edit{
		{"internal/account/email.go", `strings.TrimSpace(typed)`, `strings.ToLower(strings.TrimSpace(typed))`},
	}},
	{test: "TestLookAlikeAddressesReachNobody", what: "scripts that look alike mix in an address", edits: []edit{
		{"delivery/local_part.go", "script != nil && script != own", "script == nil && own == nil"},
	}},
	{test: "TestLookAlikeAddressesReachNobody", what: "letters that become ASCII are in an address", edits: []edit{
		{
			"delivery/local_part.go",
			"return unicode.ToUpper(r) >= utf8.RuneSelf && unicode.ToLower(r) >= utf8.RuneSelf",
			"return true",
		},
	}},
	{test: "TestLookAlikeAddressesReachNobody", what: "an address is not normalized", edits: []edit{
		{"delivery/local_part.go", "return norm.NFKC.IsNormalString(s)", "return norm.NFKC.IsNormalString(s) || true"},
	}},
	{test: "TestUnusualAddressesReachTheirMailbox", what: "a stranger writes to localhost", edits: []edit{
		{"internal/account/email.go", " && !a.Settings.Local {", " && a == nil {"},
	}},
	{test: "TestSignUpNameStaysOutOfMail", what: "a name may hold what nobody sees", edits: []edit{
		{"internal/account/account.go", `n > 64 || hidden`, `n > 64 && hidden`},
	}},
}
