package main

// sessions are those that live on, or belong to somebody else.
var sessions = []mutation{
	{test: "TestListPositionShowsOwnSessionsOnly", what: "the list has the sessions of all accounts", edits: []edit{
		{"internal/store/sessions.go", `sessions.account_id = $1 AND sessions.expires_at >= $2`,
			`$1 <> '' AND sessions.expires_at >= $2`},
	}},
	{test: "TestStepUpTokenIsNoSession", what: "a step-up keeps the token of the session", edits: []edit{
		{"internal/store/sessions.go", `SET token_hash = $2, amr`, `SET token_hash = COALESCE(token_hash, $2), amr`},
	}},
	{test: "TestStepUpTokenIsNoSession", what: "typing the password again goes on with a step-up", edits: []edit{
		{"internal/challenge/attempt.go", ` && a.row.Purpose == b.Purpose && a.row.SessionID == b.Session`, ``},
	}},
	{test: "TestDisabledAccountKeepsNothing", what: "a disabled account keeps its session", edits: []edit{
		{"internal/store/sessions.go", ` AND accounts.disabled_at = 0`, ``},
	}},
	{test: "TestTokensAreRenewedAtEachStep", what: "typing the password again keeps the pending token", edits: []edit{
		{"internal/challenge/attempt.go", `next = seal.NewToken()`, `next = token`},
	}},
	{test: "TestCookiesAreHostOnlyAndUnambiguous", what: "a cookie has no prefix", edits: []edit{
		{"internal/render/cookies.go", `return "__Host-" + string(c)`, `return string(c)`},
	}},
	{test: "TestCookiesAreHostOnlyAndUnambiguous", what: "of two cookies of one name the first counts", edits: []edit{
		{"internal/render/cookies.go", `len(found) != 1`, `len(found) == 0`},
	}},
	{test: "TestSecondSignInEndsTheFirstSession", what: "the session that the browser was in lives on", edits: []edit{
		{
			"internal/web/signin.go",
			`err := s.Sessions.SignOut(r.Context(), s.Pages.Cookie(r, render.SessionCookie), s.Pages.Origin(r))`,
			`err := error(nil)`,
		},
	}},
	{test: "TestFactorChangeEndsOtherSessions", what: "the epoch is not raised with a factor", edits: []edit{
		{"internal/store/accounts.go", `SET epoch = epoch + 1 WHERE`, `SET epoch = epoch WHERE`},
		{"internal/session/session.go", `Epoch: who.epoch + 1`, `Epoch: who.epoch`},
	}},
	{test: "TestSignOutEndsTheSession", what: "sign-out only forgets the cookie", edits: []edit{
		{"internal/web/signout.go", `if token != "" {`, `if token == "-" {`},
	}},
	{test: "TestSignOutEndsTheSession", what: "sign-out everywhere is sign-out here", edits: []edit{
		{
			"internal/web/sessions.go",
			`EndAll(r.Context(), who.Session,`,
			`SignOut(r.Context(), s.Pages.Cookie(r, render.SessionCookie),`,
		},
	}},
	{test: "TestIDsOfAnotherAccountChangeNothing", what: "a session is ended by its id, whosever it is", edits: []edit{
		{
			"internal/store/sessions.go",
			`account_id = $1 AND id = $2`,
			`(account_id = $1 OR account_id <> '') AND id = $2`,
		},
	}},
	{test: "TestPasswordChangeNeedsThePasswordAndEndsSessions",
		what: "the current password is not asked for", edits: []edit{
			{"internal/signin/signin.go", `if !same {`, `if !same && password == "" {`},
		}},
	{test: "TestPasswordChangeNeedsThePasswordAndEndsSessions",
		what: "a session is not bound to the account's epoch", edits: []edit{
			{"internal/store/sessions.go", ` AND accounts.epoch = sessions.epoch`, ``},
		}},
	{test: "TestSessionCookieLastsAsChosen", what: "every cookie is kept", both: true, edits: []edit{
		{"internal/session/session.go", "	if !s.Persistent {\n\t\treturn 0\n\t}\n", ""},
	}},
	{test: "TestSessionCookieLastsAsChosen", what: "a box that is not shown is ticked", both: true, edits: []edit{
		{
			"internal/session/session.go",
			"	if s.StaySignedIn {\n\t\treturn staySignedIn",
			"	if staySignedIn {\n\t\treturn staySignedIn",
		},
	}},
	{test: "TestSessionCookieLastsAsChosen", what: "a new token is kept as long as a new session", both: true, edits: []edit{
		{
			"internal/session/session.go",
			"max(s.ExpiresAt.Sub(now), time.Second)",
			"max(s.ExpiresAt.Sub(s.StartedAt), time.Second)",
		},
	}},
	{test: "TestSessionCookieLastsAsChosen", what: "a new token is kept though nobody chose so", both: true, edits: []edit{
		{"internal/session/session.go", "	row.Persistent = who.Persistent\n", "	row.Persistent = true\n"},
		{
			"internal/web/signin.go",
			"who.CookieMaxAge(s.Pages.CurrentTime())",
			"who.ExpiresAt.Sub(s.Pages.CurrentTime())",
		},
	}},
	{test: "TestSessionCookieLastsAsChosen", what: "the cookie of a host does not follow the session", both: true, edits: []edit{
		{
			"internal/forwardauth/callback.go",
			"token, who.CookieMaxAge(a.Grants.Now()))",
			"token, who.ExpiresAt.Sub(a.Grants.Now()))",
		},
	}},
	{test: "TestKeptCookieDoesNotProlongTheSession", what: "a kept session does not end", edits: []edit{
		{
			"internal/session/session.go",
			"s.Store.FindSession(ctx, seal.HashToken(token), idle, now)",
			"s.Store.FindSession(ctx, seal.HashToken(token), time.Time{}, now)",
		},
	}},
}

// factors are changes of what proves a person.
var factors = []mutation{
	{test: "TestFactorChangesNeedARecentProof", what: "enrolling and removing need no fresh proof", edits: []edit{
		{
			"internal/enroll/enroll.go",
			`return store.Account{}, session.ErrStepUpRequired`,
			`_ = session.ErrStepUpRequired`,
		},
	}},
	{test: "TestFactorChangesNeedARecentProof", what: "the password of a step-up is not compared", edits: []edit{
		{"internal/signin/signin.go", `if !same {`, `if !same && password == "" {`},
	}},
	{test: "TestStaleSessionCannotUseADraft", what: "a stale session sees a draft", edits: []edit{
		{
			"internal/enroll/enroll.go",
			`return PendingFactor{}, session.ErrStepUpRequired`,
			`_ = session.ErrStepUpRequired`,
		},
	}},
	{test: "TestStaleSessionCannotUseADraft", what: "a stale session confirms a draft", edits: []edit{
		{"internal/enroll/enroll.go", `return "", session.ErrStepUpRequired`, `_ = session.ErrStepUpRequired`},
	}},
	{test: "TestRemovedAppCannotAnswer", what: "a factor that is gone still answers", edits: []edit{
		{
			"internal/challenge/prove.go",
			`return Proof{}, ErrUnknownMethod`,
			`return Proof{challenge: a.open.ID, By: Enrolled{Method: a.c.Methods[0]}}, nil`,
		},
	}},
	{test: "TestEnrolmentsAtOnceStaySeparate", what: "a new draft leaves the old one of its session", edits: []edit{
		{
			"internal/store/factors.go",
			`err := db.DeletePendingFactor(ctx, pending.SessionID, pending.Method)`,
			`err := error(nil)`,
		},
	}},
	{test: "TestFactorFormsRefuseUnknownFieldsAndTellTheOwner", what: "the old number is not told", edits: []edit{
		{"internal/enroll/enroll.go", `e.notifyFactor(ctx, tx, a.ID, challenge.Enrolled{Factor: old, Method: m}, factor.NoticeReplaced, "", from)`,
			`error(nil)`},
	}},
	{test: "TestFactorFormsRefuseUnknownFieldsAndTellTheOwner", what: "the old address is not told", edits: []edit{
		{"internal/enroll/enroll.go", `err := e.Accounts.NotifyOwner(ctx, tx, n, from)`, `err := error(nil)`},
	}},
	{test: "TestDeviceNameStaysOutOfMail", what: "the name of a device stands in a mail", edits: []edit{
		{
			"internal/enroll/enroll.go",
			`Template: "removed", Account: a, Detail: about.WordsIn(from.Language).Name}`,
			`Template: "removed", Account: a, Detail: all[i].Name}`,
		},
	}},
}
