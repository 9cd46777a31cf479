package main

// undos are the ways to undo a change, and codes by email beside another method.
var undos = []mutation{
	{test: "TestMailboxAloneUndoesNothing", what: "the link alone undoes a change", edits: []edit{
		{"internal/account/password.go", `	if !same && !present {`, `	if !same && !present && password == "" {`},
		{"internal/enroll/undo.go", `!atOnce && r.Password == ""`, `false`},
	}},
	{test: "TestMailboxAloneUndoesNothing", what: "a password that was set after the change undoes it", edits: []edit{
		{"internal/account/password.go", `err == nil && !account.PasswordChangedAt.After(changedAt)`, `err == nil`},
	}},
	{test: "TestMailboxAloneUndoesNothing", what: "wrong passwords with a link are not limited", edits: []edit{
		{"internal/account/password.go", `	if errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: account.ID, Email: account.Email, Actor: audit.Anonymous(), Reason: "undo"}`,
			`	if err = nil; errors.Is(err, ratelimit.ErrLimited) {
		e := audit.Event{Account: account.ID, Email: account.Email, Actor: audit.Anonymous(), Reason: "undo"}`},
	}},
	{test: "TestUsedFactorIsNotUndoneAtOnce", what: "a factor that was used is removed at once", edits: []edit{
		{"internal/enroll/undo.go", `present && !used`, `present && (used || !used)`},
	}},
	{test: "TestFormerPasswordUndoesNothingAtOnce", what: "a former password removes a factor at once", edits: []edit{
		{"internal/enroll/undo.go", `present && !used`, `!used && (present || !present)`},
	}},
	{test: "TestOlderFactorUndoesAtOnce", what: "the disputed factor removes itself at once",
		edits: []edit{
			{"internal/enroll/undo.go", `f.ID == who.FactorID && f.CreatedAt.Before(l.CreatedAt) && !hasFactor(removed, f.ID)`,
				`f.ID == who.FactorID`},
		}},
	{test: "TestFrozenAccountIsNotEnteredByEmail", what: "a frozen account takes codes by email", edits: []edit{
		{"internal/challenge/factors.go", `account.Frozen(a) != nil || `, ``},
	}},
	{test: "TestFrozenAccountIsNotEnteredByEmail", what: "a trusted device opens a frozen account", edits: []edit{
		{"internal/signin/signin.go", ` || account.Frozen(a) != nil`, ``},
	}},
	{test: "TestFrozenAccountIsNotEnteredByEmail", what: "the password of a frozen account is reset", edits: []edit{
		{"internal/account/link.go", `return l, account, Frozen(account)`, `return l, account, nil`},
	}},
	{test: "TestFrozenAccountChangesNothing", what: "a frozen account gets another factor", edits: []edit{
		{"internal/enroll/enroll.go", `return a, account.Frozen(a)`, `return a, nil`},
	}},
	{test: "TestFrozenAccountChangesNothing", what: "a factor from before the freeze is confirmed in it", edits: []edit{
		{"internal/enroll/enroll.go", `account.Frozen(a.Account())`, `error(nil)`},
	}},
	{test: "TestFrozenAccountChangesNothing", what: "the password of a frozen account is changed", edits: []edit{
		{"internal/signin/signin.go", `		err = account.Frozen(a)`, `		err = nil`},
	}},
	{test: "TestUndoIsDueAfterTheFreeze", what: "a freeze of 71 hours", edits: []edit{
		{
			"internal/enroll/undo.go",
			`l.DueAt = e.Now().Add(FreezeTime)`,
			`l.DueAt = e.Now().Add(FreezeTime - time.Hour)`,
		},
	}},
	{test: "TestUndoIsDueAfterTheFreeze", what: "an undo that is due keeps the password", edits: []edit{
		{"internal/signin/signin.go", `!a.FrozenUntil.IsZero() && !s.Now().Before(a.FrozenUntil)`, `false`},
	}},
	{test: "TestObjectionEndsTheUndo", what: "the link works after an objection", edits: []edit{
		{"internal/store/email_links.go", `SET used_at = $2
		WHERE account_id = $1 AND purpose = 'undo' AND due_at > $2`, `SET due_at = 0
		WHERE account_id = $1 AND purpose = 'undo' AND due_at > $2`},
	}},
	{test: "TestLinkOfAnUndoneAddressIsDead", what: "links at an undone address work", edits: []edit{
		{"internal/enroll/undo.go", `return e.resendUndoLinks(ctx, tx, a, l, from)`, `return nil`},
	}},
	{test: "TestEveryChangeOfProofIsTold", what: "a replaced number is lost", edits: []edit{
		{"internal/enroll/undo.go", `return tx.CreateFactor(ctx, *old)`, `return nil`},
	}},
	{test: "TestEmailIsNoSecondStepBesideAnother", what: "the setting has no effect", edits: []edit{
		{"internal/challenge/factors.go", `c.emailUntilAnother(a) && hasPrimary(others) || `, ``},
	}},
	{test: "TestEmailIsNoSecondStepBesideAnother", what: "recovery codes count as another method", edits: []edit{
		{
			"internal/challenge/factors.go",
			`c.emailUntilAnother(a) && hasPrimary(others) ||`,
			`c.emailUntilAnother(a) && len(others) > 0 ||`,
		},
	}},
	{test: "TestPersonMayOnlyForbidCodesByEmail",
		what: "the choice of the person replaces that of the site", edits: []edit{
			{
				"internal/challenge/factors.go",
				`return c.Email.UntilAnother || a.EmailSecondStep`,
				`return a.EmailSecondStep`,
			},
		}},
	{test: "TestCodesByEmailAreAllowedWithARecentProofOnly", what: "the choice needs no recent proof", edits: []edit{
		{"internal/enroll/enroll.go", `	if !who.RecentlyAuthenticated(e.Now()) {
		return store.Account{}, session.ErrStepUpRequired
	}`, ``},
	}},
	{test: "TestEveryChangeOfProofIsTold", what: "a freeze is told to one address only", edits: []edit{
		{"internal/enroll/undo.go", `	for _, f := range to.factors {`, `	for _, f := range to.factors[:0] {`},
	}},
	{test: "TestEveryChangeOfProofIsTold", what: "an undo is told to nobody", edits: []edit{
		{"internal/enroll/undo.go", `Template: "undone", Account: a,
	}
	if err := e.notify(ctx, tx, n, factor.NoticeUndone, everywhere, from); err != nil {`, `Template: "undone", Account: a,
	}
	everywhere = contacts{}
	if err := e.notify(ctx, tx, n, factor.NoticeUndone, everywhere, from); err != nil {`},
	}},
	{test: "TestUndoneFactorDoesNotComeBack", what: "what has replaced an undone factor stays", edits: []edit{
		{"internal/enroll/enroll.go", `replaced = &store.Factor{Method: about.Method, Slot: slot}`, `replaced = nil`},
	}},
	{test: "TestUndoneFactorDoesNotComeBack",
		what: "the link of the replacement brings an undone factor back", edits: []edit{
			{"internal/enroll/undo.go", `		if !later {`, `		if later || !later {`},
		}},
	{test: "TestThiefDoesNotKeepTheAccountFrozen",
		what: "links at an undone address end, and their freeze does not", edits: []edit{
			{
				"internal/enroll/undo.go",
				`		err := tx.FinishUndo(ctx, l, now)`,
				`		err := tx.UseEmailLink(ctx, l.TokenHash, now)`,
			},
		}},
	{test: "TestThiefDoesNotKeepTheAccountFrozen", what: "the owner gets the request of the thief", edits: []edit{
		{"internal/enroll/undo.go", `l.DueAt, l.Language = time.Time{}, ""`, `l.Language = ""`},
	}},
}
