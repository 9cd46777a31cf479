package main

// sites are what other sites may make a browser do, or what a page may lead to.
var sites = []mutation{
	{test: "TestFormsFromOtherSitesAreRefused", what: "there is no cross-origin protection", edits: []edit{
		{"twostep.go", `s.pages.CheckRequests(sameOrigin.Handler(routed))`, `s.pages.CheckRequests(routed)`},
	}},
	{test: "TestReadingChangesNothing",
		what: "GET /signin/verify gives the sign-in up when the query says so", edits: []edit{
			{"internal/web/verify.go", `switch step := s.nextStepPath(p); step {`, `if r.URL.RawQuery != "" {
		if err := s.Challenges.Cancel(r.Context(), s.Pages.Cookie(r, render.SignInCookie)); err != nil {
			return err
		}
	}
	switch step := s.nextStepPath(p); step {`},
		}},
	{test: "TestEveryAnswerHasSecurityHeaders", what: "frame-ancestors is missing", edits: []edit{
		{"internal/render/middleware.go", `frame-ancestors 'none'; `, ``},
	}},
	{test: "TestEveryAnswerHasSecurityHeaders", what: "pages may be cached", edits: []edit{
		{"internal/render/middleware.go", `"no-store"`, `"private"`},
	}},
	{test: "TestForeignHostReachesNoMail", what: "the host is not checked", edits: []edit{
		{"twostep.go", `if !o.isForServer(r) {`, `if !o.isForServer(r) && r.Host == "" {`},
	}},
	{test: "TestReturnAddressStaysOnThisSite", what: "paths are not cleaned", edits: []edit{
		{"internal/render/middleware.go", `case !isCleanPath(r.URL.Path):`, `case r.URL.Path == "":`},
	}},
	{test: "TestPathSpellingsDoNotBypassChecks", what: "paths are not cleaned", edits: []edit{
		{"internal/render/middleware.go", `case !isCleanPath(r.URL.Path):`, `case r.URL.Path == "":`},
	}},
	{test: "TestReturnAddressStaysOnThisSite", what: "the address to come back to is not checked", edits: []edit{
		{"internal/render/local_path.go", `if len(address) > MaxReturnToLength ||`, `if address != "" {
		return address, true
	}
	if len(address) > MaxReturnToLength ||`},
	}},
}

// texts are messages to a phone, and mails.
var texts = []mutation{
	{test: "TestMailsHoldNoForeignMarkup", what: "values of HTML mails are not escaped", edits: []edit{
		{"internal/mail/mail.go", `"cid": func`, `"raw": func(s string) template.HTML { return template.HTML(s) },
	"cid": func`},
		{"internal/mail/mail.html", `{{$line}}{{end}}</p>`, `{{$line | raw}}{{end}}</p>`},
	}},
	{test: "TestTextMessagesAreLimited", what: "numbers of a block are not counted together", edits: []edit{
		{"internal/challenge/quota.go", `"new_texts_block", block`, `"new_texts_block", block+to`},
	}},
	{test: "TestTextMessagesAreLimited", what: "the texts of a network are not counted together", edits: []edit{
		{"internal/challenge/quota.go", `PerNetwork("texts_network", `, `PerNetwork("texts to "+to, `},
	}},
	{test: "TestTextsGoToTheStoredNumberWithinBudget", what: "money is not counted", edits: []edit{
		{
			"internal/challenge/quota.go",
			`return shared.For(who, account, t.PricePerMessage)`,
			`return shared.For(who, account, 0)`,
		},
	}},
	{test: "TestForgedReceiptsAreRefused", what: "the proof in the address of a receipt is not compared", edits: []edit{
		{"delivery/receipt.go", `!hmac.Equal([]byte(mac), []byte(g.receiptMAC(id, stamp)))`, `mac == "-"`},
	}},
	{test: "TestForgedReceiptsAreRefused", what: "a receipt says failed after delivered", edits: []edit{
		{
			"internal/store/outbox_messages.go",
			`'sent', 'unknown', 'failed')`,
			`'sent', 'unknown', 'failed', 'delivered')`,
		},
	}},
	{test: "TestNamesCannotChangeATextMessage", what: "the name of the site goes into the text as it is", edits: []edit{
		{"factor/sms/message.go", `truncateName(toGSMAlphabet(ask.Site), left)`, `truncateName(ask.Site, left)`},
	}},
	{test: "TestUserAgentStaysOutOfMail", what: "a mail repeats what a browser calls itself", edits: []edit{
		{"internal/origin/origin.go", `!b.Recognized || b.OS == ""`, `b.OS == ""`},
	}},
	{test: "TestCodeMailSaysWhoAsked", what: "the mail with the code does not say from which browser", edits: []edit{
		{"factor/email/email.go", `"Browser", ask.Browser`, `"Browser", ""`},
	}},
	{test: "TestCostlyNumbersCannotBeConfirmed", what: "a costly number with a digit more is doubtful", edits: []edit{
		{"factor/sms/number.go", "kind = similarNumberType(n)", "kind = phonenumbers.UNKNOWN"},
	}},
	{test: "TestCostlyNumbersCannotBeConfirmed", what: "an answer is for every number", edits: []edit{
		{"factor/sms/number.go", "doubtful && confirmed != number {", `doubtful && confirmed == "" {`},
	}},
	{test: "TestCostlyNumbersCannotBeConfirmed", what: "a satellite gets messages", edits: []edit{
		{"factor/sms/number.go", "if isGlobalNetwork(n) {", "if n == nil {"},
	}},
	{test: "TestCostlyNumbersCannotBeConfirmed", what: "a premium-rate number is doubtful", edits: []edit{
		{"factor/sms/number.go", "	phonenumbers.PREMIUM_RATE:    \"number.premium\",\n", ""},
		{
			"factor/sms/number.go",
			`phonenumbers.VOIP:       "number.voip",`,
			`phonenumbers.VOIP: "number.voip", phonenumbers.PREMIUM_RATE: "number.premium",`,
		},
	}},
}

// inputs are forms and headers that no page of ours sends.
var inputs = []mutation{
	{test: "TestFormsRefuseUnknownFields", what: "unknown fields are ignored", edits: []edit{
		{"internal/render/form.go", `if !slices.Contains(fields, name) || len(texts) != 1 {`, `if !slices.Contains(fields, name) {
			continue
		}
		if len(texts) != 1 {`},
	}},
	{test: "TestRequestHoldsOneCode", what: "the content type is not checked", edits: []edit{
		{
			"internal/render/form.go",
			`err != nil || media != "application/x-www-form-urlencoded"`,
			`err != nil && media != ""`,
		},
	}},
	{test: "TestRequestHoldsOneCode", what: "of double fields the first counts", edits: []edit{
		{"internal/render/form.go", `len(texts) != 1`, `len(texts) == 0`},
	}},
	{test: "TestResetLinkGoesToTheStoredAddress", what: "of double fields the first counts", edits: []edit{
		{"internal/render/form.go", `len(texts) != 1`, `len(texts) == 0`},
	}},
	{test: "TestInjectedTextStaysText", what: "the name of a browser is kept whole", edits: []edit{
		{"internal/origin/resolver.go", `if len(header) > maxHeaderBytes {`, `if len(header) < 0 {`},
	}},
	{test: "TestMalformedFormsAreRefused", what: "NUL and broken text are taken", both: true, edits: []edit{
		{"internal/render/form.go", `!utf8.ValidString(texts[0]) ||`, `!utf8.ValidString(texts[0]) &&`},
	}},
	{test: "TestMalformedFormsAreRefused", what: "the limit of a body is 8 MiB", both: true, edits: []edit{
		{"internal/render/form.go", `MaxBodyBytes = 64 << 10`, `MaxBodyBytes = 8 << 20`},
	}},
	{test: "TestOversizedRequestsCauseNoFault", what: "a query may be endless", edits: []edit{
		{"internal/render/middleware.go", `len(r.URL.RawQuery) > maxQueryBytes`, `len(r.URL.RawQuery) < 0`},
	}},
}

// records are the log, and what lies on the disk.
var records = []mutation{
	{test: "TestInputCannotForgeLogLines", what: "the path is logged whole", edits: []edit{
		{"internal/render/middleware.go", `truncate(r.URL.Path, maxLoggedPath)`, `r.URL.Path`},
	}},
	{test: "TestSecretsAppearNowhere", what: "the log line of a request holds the cookies", edits: []edit{
		{
			"internal/render/middleware.go",
			`slog.String("method", r.Method)`,
			`slog.String("method", r.Method+" "+r.Header.Get("Cookie"))`,
		},
	}},
	{test: "TestSecretsAppearNowhere", what: "the log line of a wrong code holds the code", edits: []edit{
		{"internal/challenge/prove.go", `Reason: a.open.Method}
		if failed`, `Reason: a.open.Method + " " + text}
		if failed`},
	}},
	{test: "TestFilesArePrivateAndKeysDiffer", what: "others on the machine may read the keys", edits: []edit{
		{"internal/seal/keyfile.go", `if _, err = f.WriteString(text); err == nil {`, `if _, err = f.WriteString(text); err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {`},
		{"internal/seal/keyfile.go", `mode&0o077 != 0 &&`, `mode&0o033 != 0 &&`},
	}},
}
