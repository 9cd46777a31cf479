package main

// faults are a database that cannot be used for a while.
var faults = []mutation{
	{test: "TestFaultIsNeitherAWrongAnswerNorASession",
		what: "a fault of the database is an internal error", edits: []edit{
			{"internal/store/unavailable.go", `|| !passes(err) {`, `|| !passes(err) || err != nil {`},
		}},
	{test: "TestFaultIsNeitherAWrongAnswerNorASession",
		what: "a code is wrong when it cannot be consumed", edits: []edit{
			{"internal/challenge/prove.go", `return session.Cookies{}, fmt.Errorf("challenge: accept: %w", err)`,
				`return session.Cookies{}, factor.ErrIncorrect`},
			{"internal/challenge/prove.go", `return fmt.Errorf("challenge: count guess: %w", err)
		}
		before`, `return factor.ErrIncorrect
		}
		before`},
		}},
	{test: "TestFaultIsNeitherAWrongAnswerNorASession",
		what: "the page of a fault has lost what was typed", edits: []edit{
			{"internal/web/signin.go", `if problem, ok := s.Pages.TemporaryProblem(w, err); ok {`,
				`if problem, ok := s.Pages.TemporaryProblem(w, err); ok && field != "" {`},
		}},
	{test: "TestReadOnlyDatabaseEndsNoSession", what: "a session needs its last use to be written", edits: []edit{
		{"internal/session/session.go", `	s.recordOverdueUses(ctx)
`, `	if _, err := s.RecordUses(ctx); err != nil {
		return Session{}, err
	}
`},
	}},
	{test: "TestReadOnlyDatabaseEndsNoSession",
		what: "the cookie is deleted before the session has ended", edits: []edit{
			{"internal/web/signout.go", `if token != "" {`, `s.Pages.ClearSessionCookies(w)
	if token != "" {`},
		}},
	{test: "TestFaultDoesNotRevokeAccess", what: "a proxy hears that nobody is signed in", edits: []edit{
		{"internal/forwardauth/forwardauth.go", `http.StatusServiceUnavailable, text`,
			`http.StatusUnauthorized, "forward.signin"`},
	}},
	{test: "TestFaultDoesNotRevokeAccess", what: "the signing keys need the database", edits: []edit{
		{"internal/grant/signing_key.go", `if before == nil ||`, `if before == nil || err == nil ||`},
		{"internal/grant/signing_key.go",
			`before *keySnapshot, now time.Time) (*keySnapshot, error) {`,
			`before *keySnapshot, now time.Time) (last *keySnapshot, err error) {`},
	}},
	{test: "TestNewCodeOvertakesOldMails",
		what: "mails are sent in the order in which they were written", edits: []edit{
			{"internal/store/outbox_messages.go", `ORDER BY state_at DESC, id DESC`, `ORDER BY state_at, id`},
		}},
	{test: "TestKilledServerHoldsNoCode", what: "a claim ends by the clock only", edits: []edit{
		{"internal/outbox/claims.go", `if rounds >= watchRounds {`, `if rounds >= 1000*watchRounds {`},
	}},
	{test: "TestReadOnlyDatabaseIsNotReady", what: "ready means that the database can be read", edits: []edit{
		{"readiness.go", `check.err = s.store.SetState(ctx, "time of the last readiness check", strconv.FormatInt(now.UnixMilli(), 10))`,
			`check.err = s.store.Ping(ctx)`},
	}},
}
