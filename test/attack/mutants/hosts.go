package main

// hosts are behind a reverse proxy that asks us.
var hosts = []mutation{
	{test: "TestForwardAuthRedirectsToItsHostsOnly", what: "the way back leads to any host", edits: []edit{
		{"internal/forwardauth/forwardauth.go", "if s.usual(one) != host {", "if !strings.HasSuffix(host, s.usual(one)) {"},
	}},
	{test: "TestForwardAuthRedirectsToItsHostsOnly", what: "the way back leads to any path", edits: []edit{
		{"internal/forwardauth/asked.go", "return path\n\t}\n\treturn \"/\"", "return path\n\t}\n\treturn a.uri"},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "everybody is a proxy", edits: []edit{
		{"internal/forwardauth/asked.go", "if !s.Pages.Proxied(r) {", "if !s.Pages.Proxied(r) && r.Host == \"\" {"},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "of two headers of one name the first counts", edits: []edit{
		{"internal/forwardauth/asked.go", `len(values) > 1 || values[0] == ""`, `values[0] == ""`},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "two headers need not agree", edits: []edit{
		{"internal/forwardauth/asked.go", `a != "" && b != "" && a != b`, `a == "" && b == "" && a != b`},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "whatever begins like the way in is one", edits: []edit{
		{"internal/forwardauth/forwardauth.go", "if about.path() != entering {", "if !strings.HasPrefix(about.path(), entering) {"},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "the way in is searched in the query", edits: []edit{
		{"internal/forwardauth/forwardauth.go", "if about.path() != entering {", "if !strings.Contains(about.uri, entering) {"},
	}},
	{test: "TestForwardAuthMatchesHostsExactly", what: "an unknown host has the first app", edits: []edit{
		{"internal/forwardauth/forwardauth.go", "\tif found.ID == \"\" {", "\tif found.ID == \"\" && len(apps) > 0 {\n\t\treturn apps[0], nil\n\t}\n\tif found.ID == \"\" {"},
	}},
	{test: "TestForwardAuthMatchesHostsExactly", what: "the port of a host does not count", edits: []edit{
		{"internal/forwardauth/asked.go", `return strings.TrimSuffix(host, ":443")`, "host, _, _ = strings.Cut(host, \":\")\n\t\treturn host"},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a session that rested too long is good at a host", both: true, edits: []edit{
		{"internal/signin/session.go", "e.Store.SessionOf(ctx, id, store.Millis(now.Add(-e.Idle)), store.Millis(now))", "e.Store.SessionOf(ctx, id, 0, store.Millis(now))"},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a host takes a session of an account as it was before", both: true, edits: []edit{
		{"internal/store/grants.go", "accounts.id = grants.account_id AND accounts.epoch = grants.epoch", "accounts.id = grants.account_id"},
		{"internal/store/sessions.go", " AND accounts.epoch = sessions.epoch", ""},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a session rests while its person is at a host", both: true, edits: []edit{
		{"internal/signin/session.go", "if now.Sub(store.Time(row.SeenAt)) >= min(seenEvery, e.Idle/2) {", "if now.Sub(store.Time(row.SeenAt)) >= 2*e.Idle {"},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a yes is remembered whatever changes", both: true, edits: []edit{
		{"internal/forwardauth/memory.go", " && !changed(found.basis)", ""},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "what changes in a transaction does not count", both: true, edits: []edit{
		{"internal/store/store.go", "\tdb.changes.publish(inner.tx.keys)", "\tdb.changes.publish(nil)"},
	}},
	{test: "TestForwardAuthFollowsAppChanges", what: "a yes is remembered whatever becomes of its app", edits: []edit{
		{"internal/grant/basis.go", ", store.ClientsKey(),", ","},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "a yes is remembered for a minute", both: true, edits: []edit{
		{"internal/forwardauth/memory.go", "fresh = time.Second", "fresh = time.Minute"},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "a yes is remembered until the clock comes back to it", both: true, edits: []edit{
		{"internal/forwardauth/memory.go", "age >= 0 && ", ""},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "a yes of one host is one of the others", both: true, edits: []edit{
		{"internal/forwardauth/memory.go", ", about.origin}", ", \"\"}"},
	}},
	{test: "TestSignOutEverywhereReachesOtherServers", what: "a yes is remembered for a minute at the other server", edits: []edit{
		{"internal/forwardauth/memory.go", "fresh = time.Second", "fresh = time.Minute"},
	}},
	{test: "TestAppCookiesWorkAtTheirHostOnly", what: "the cookie of a host works at every app", edits: []edit{
		{"internal/forwardauth/answer.go", "of.App != app.ID || of.Redirect() != about.redirect()", "of.App == app.ID && of.Redirect() != about.redirect()"},
	}},
	{test: "TestAppCookiesWorkAtTheirHostOnly", what: "the cookie of a host works at the others of its app", edits: []edit{
		{"internal/forwardauth/answer.go", "of.App != app.ID || of.Redirect() != about.redirect()", "of.App != app.ID"},
	}},
	{test: "TestAppCookiesWorkAtTheirHostOnly", what: "the cookie of a host is a token for apps", edits: []edit{
		{"internal/grant/token.go", "err == nil && row.Kind == store.Host {\n\t\treturn Shown{}", "err == nil && row.Kind == \"\" {\n\t\treturn Shown{}"},
	}},
	{test: "TestForwardAuthCodeIsBoundToItsBrowser", what: "a way in is for every browser", edits: []edit{
		{"internal/forwardauth/enter.go", "Scope: scope(), State: about.back(), Challenge: challenge,", "Scope: scope(), State: about.back(),"},
		{"internal/forwardauth/enter.go", ", Verifier: verifier}", "}"},
	}},
	{test: "TestForwardAuthCodeIsBoundToItsBrowser", what: "a way in that nobody began here is one", edits: []edit{
		{"internal/forwardauth/enter.go", `if verifier == "" || code == "" {`, `if code == "" {`},
		{"internal/grant/grant.go", "&& proves(r.Verifier, of.asked.Challenge)", `&& (r.Verifier == "" || proves(r.Verifier, of.asked.Challenge))`},
	}},
	{test: "TestForwardAuthTakesAnyMethodForTheCheckOnly", what: "whatever begins like a question passes", edits: []edit{
		{"internal/forwardauth/forwardauth.go", `return r.URL.Path == Checking || strings.HasPrefix(r.URL.Path, Checking+"/")`, `return strings.HasPrefix(r.URL.Path, "/auth/")`},
	}},
	{test: "TestForwardAuthSignsInAndReturns", what: "everything is sent to sign in", edits: []edit{
		{"internal/forwardauth/answer.go", "case about.quiet || !about.navigates(r):", "case about.quiet:"},
	}},
	{test: "TestForwardAuthCodeIsNotPassedToTheApp", what: "the way in is the app's for whoever is in", edits: []edit{
		{"internal/forwardauth/forwardauth.go", "if about.path() != entering {", "if about.path() != entering || about.quiet {"},
	}},
	{test: "TestForwardAuthTabsFinishInAnyOrder", what: "each tab forgets the others", edits: []edit{
		{"internal/forwardauth/enter.go", "if len(verifier) != len(seal.Token()) {", "if verifier != \"-\" {"},
	}},
	{test: "TestForwardAuthEnforcesGroupsLevelAndAge", what: "a host has no groups", edits: []edit{
		{"internal/grant/request.go", "case !s.App.admits(s.Who.Account.Groups):", "case s.App.ID == \"\":"},
	}},
	{test: "TestForwardAuthEnforcesGroupsLevelAndAge", what: "a host has no level", edits: []edit{
		{"internal/grant/request.go", "return max(r.Level, a.Least())", "return r.Level"},
	}},
	{test: "TestForwardAuthEnforcesGroupsLevelAndAge", what: "a host takes an old proof", edits: []edit{
		{"internal/grant/request.go", "|| s.App.MaxAge > 0 && over(s.App.Oldest())", ""},
	}},
	{test: "TestForwardAuthFailsClosed", what: "a failure is nobody", both: true, edits: []edit{
		{"internal/forwardauth/answer.go", "if err != nil {\n\t\treturn nil, \"\", err\n\t}\n\tif of.App != app.ID", "if err != nil {\n\t\treturn nil, \"\", nil\n\t}\n\tif of.App != app.ID"},
	}},
}
