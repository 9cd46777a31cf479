package main

// hosts are behind a reverse proxy that asks us.
var hosts = []mutation{
	{test: "TestForwardAuthRedirectsToItsHostsOnly", what: "the way back leads to any host", edits: []edit{
		{
			"internal/forwardauth/forwardauth.go",
			"if a.trimDefaultPort(known) != host {",
			"if !strings.HasSuffix(host, a.trimDefaultPort(known)) {",
		},
	}},
	{test: "TestForwardAuthRedirectsToItsHostsOnly", what: "the way back leads to any path", edits: []edit{
		{
			"internal/forwardauth/proxied_request.go",
			"return path\n\t}\n\treturn \"/\"",
			"return path\n\t}\n\treturn p.uri",
		},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "everybody is a proxy", edits: []edit{
		{
			"internal/forwardauth/proxied_request.go",
			"if !a.Pages.Origins.IsFromTrustedProxy(r) {",
			"if !a.Pages.Origins.IsFromTrustedProxy(r) && r.Host == \"\" {",
		},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "of two headers of one name the first counts", edits: []edit{
		{"internal/forwardauth/proxied_request.go", `len(values) > 1 || values[0] == ""`, `values[0] == ""`},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "two headers need not agree", edits: []edit{
		{"internal/forwardauth/proxied_request.go", `a != "" && b != "" && a != b`, `a == "" && b == "" && a != b`},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "whatever begins like the way in is one", edits: []edit{
		{
			"internal/forwardauth/forwardauth.go",
			"if req.path() != callbackPath {",
			"if !strings.HasPrefix(req.path(), callbackPath) {",
		},
	}},
	{test: "TestForwardAuthIgnoresClientHeaders", what: "the way in is searched in the query", edits: []edit{
		{
			"internal/forwardauth/forwardauth.go",
			"if req.path() != callbackPath {",
			"if !strings.Contains(req.uri, callbackPath) {",
		},
	}},
	{test: "TestForwardAuthMatchesHostsExactly", what: "an unknown host has the first app", edits: []edit{
		{
			"internal/forwardauth/forwardauth.go",
			"\tif found.ID == \"\" {",
			"\tif found.ID == \"\" && len(clients) > 0 {\n\t\treturn clients[0], nil\n\t}\n\tif found.ID == \"\" {",
		},
	}},
	{test: "TestForwardAuthMatchesHostsExactly", what: "the port of a host does not count", edits: []edit{
		{
			"internal/forwardauth/proxied_request.go",
			`return strings.TrimSuffix(host, ":443")`,
			"host, _, _ = strings.Cut(host, \":\")\n\t\treturn host",
		},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a session that rested too long is good at a host", both: true, edits: []edit{
		{
			"internal/session/session.go",
			"read(now.Add(-s.Idle), now)",
			"read(time.Time{}, now)",
		},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a host takes a session of an account as it was before", both: true, edits: []edit{
		{"internal/store/sessions.go", " AND grants.epoch = accounts.epoch", ""},
		{"internal/store/sessions.go", " AND accounts.epoch = sessions.epoch", ""},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a session rests while its person is at a host", both: true, edits: []edit{
		{
			"internal/session/session.go",
			"if now.Sub(row.LastSeenAt) >= s.UseInterval() {",
			"if now.Sub(row.LastSeenAt) >= 2*s.Idle {",
		},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "a yes is remembered whatever changes", both: true, edits: []edit{
		{"internal/grant/basis.go", "return !g.Store.Changed(b.version, b.keys...)", "return true"},
	}},
	{test: "TestForwardAuthEndsWithTheSession", what: "what changes in a transaction does not count", both: true, edits: []edit{
		{"internal/store/store.go", "\tdb.changes.publish(inner.tx.keys)", "\tdb.changes.publish(nil)"},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "changes by other processes are not looked for", both: true, edits: []edit{
		{"internal/store/changes.go", "if db.changes.polled.Swap(version) != version {", "if db.changes.polled.Swap(version) < 0 {"},
	}},
	{test: "TestForwardAuthFollowsAppChanges", what: "a yes is remembered whatever becomes of its app", edits: []edit{
		{"internal/grant/basis.go", ", store.ClientsKey(),", ","},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "a yes is remembered for a minute", both: true, edits: []edit{
		{"internal/grant/basis.go", "otherServersTTL = time.Second", "otherServersTTL = time.Minute"},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "a yes is remembered until the clock comes back to it", both: true, edits: []edit{
		{"internal/grant/basis.go", "age < 0 || ", ""},
	}},
	{test: "TestForwardAuthAnswerIsKeptForOneSecond", what: "a yes of one host is one of the others", both: true, edits: []edit{
		{"internal/forwardauth/cache.go", ", req.origin}", ", \"\"}"},
	}},
	{test: "TestSignOutEverywhereReachesOtherServers",
		what: "a yes is remembered for a minute at the other server", edits: []edit{
			{"internal/grant/basis.go", "otherServersTTL = time.Second", "otherServersTTL = time.Minute"},
		}},
	{test: "TestAppCookiesWorkAtTheirHostOnly", what: "the cookie of a host works at every app", edits: []edit{
		{
			"internal/forwardauth/decision.go",
			"g.ClientID != cl.ID || g.RedirectURI() != req.redirectURI()",
			"g.ClientID == cl.ID && g.RedirectURI() != req.redirectURI()",
		},
	}},
	{test: "TestAppCookiesWorkAtTheirHostOnly",
		what: "the cookie of a host works at the others of its app", edits: []edit{
			{
				"internal/forwardauth/decision.go",
				"g.ClientID != cl.ID || g.RedirectURI() != req.redirectURI()",
				"g.ClientID != cl.ID",
			},
		}},
	{test: "TestAppCookiesWorkAtTheirHostOnly", what: "the cookie of a host is a token for apps", edits: []edit{
		{
			"internal/grant/token.go",
			"err == nil && row.Kind == store.ForwardAuthToken {\n\t\treturn TokenInfo{}",
			"err == nil && row.Kind == \"\" {\n\t\treturn TokenInfo{}",
		},
	}},
	{test: "TestForwardAuthCodeIsBoundToItsBrowser", what: "a way in is for every browser", edits: []edit{
		{"internal/forwardauth/callback.go", "\t\tCodeChallenge: challenge,\n", ""},
		{"internal/forwardauth/callback.go", "\t\tCodeVerifier: verifier,\n", ""},
	}},
	{test: "TestForwardAuthCodeIsBoundToItsBrowser", what: "a way in that nobody began here is one", edits: []edit{
		{"internal/forwardauth/callback.go", `if verifier == "" || code == "" {`, `if code == "" {`},
		{
			"internal/grant/grant.go",
			"case b.CodeChallenge != \"\" && r.CodeVerifier == \"\":\n\t\treturn \"code_verifier is missing\"",
			"case r.CodeVerifier == \"\":",
		},
	}},
	{test: "TestForwardAuthTakesAnyMethodForTheCheckOnly",
		what: "whatever begins like a question passes", edits: []edit{
			{
				"internal/forwardauth/forwardauth.go",
				`return r.URL.Path == CheckPath || strings.HasPrefix(r.URL.Path, CheckPath+"/")`,
				`return strings.HasPrefix(r.URL.Path, "/auth/")`,
			},
		}},
	{test: "TestForwardAuthSignsInAndReturns", what: "everything is sent to sign in", edits: []edit{
		{"internal/forwardauth/decision.go", "case req.noRedirect || !req.isNavigation(r):", "case req.noRedirect:"},
	}},
	{test: "TestForwardAuthCodeIsNotPassedToTheApp", what: "the way in is the app's for whoever is in", edits: []edit{
		{
			"internal/forwardauth/forwardauth.go",
			"if req.path() != callbackPath {",
			"if req.path() != callbackPath || req.noRedirect {",
		},
	}},
	{test: "TestForwardAuthTabsFinishInAnyOrder", what: "each tab forgets the others", edits: []edit{
		{"internal/forwardauth/callback.go", "if len(verifier) != len(seal.NewToken()) {", "if verifier != \"-\" {"},
	}},
	{test: "TestForwardAuthEnforcesGroupsLevelAndAge", what: "a host has no groups", edits: []edit{
		{
			"internal/grant/auth_request.go",
			"case !p.Client.AllowsGroups(p.Session.Account.Groups):",
			"case p.Client.ID == \"\":",
		},
	}},
	{test: "TestForwardAuthEnforcesGroupsLevelAndAge", what: "a host has no level", edits: []edit{
		{"internal/grant/auth_request.go", "return max(r.MinLevel, cl.RequiredLevel())", "return r.MinLevel"},
	}},
	{test: "TestForwardAuthEnforcesGroupsLevelAndAge", what: "a host takes an old proof", edits: []edit{
		{"internal/grant/auth_request.go", " ||\n\t\tp.Client.MaxAge > 0 && olderThan(p.Client.MaxAuthAge())", ""},
	}},
	{test: "TestForwardAuthFailsClosed", what: "a failure is nobody", both: true, edits: []edit{
		{
			"internal/forwardauth/decision.go",
			"if err != nil {\n\t\treturn nil, \"\", err\n\t}\n\tif g.ClientID != cl.ID",
			"if err != nil {\n\t\treturn nil, \"\", nil\n\t}\n\tif g.ClientID != cl.ID",
		},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path may have any spelling", edits: []edit{
		{
			"internal/client/public_path.go",
			"if !isPlainPath(path) {\n\t\treturn false, false",
			"if path == \"\" {\n\t\treturn false, false",
		},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path may have segments of dots", edits: []edit{
		{
			"internal/client/public_path.go",
			`if strings.Trim(segment, ".") == "" && (segment != "" || i < len(segments)-1) {`,
			`if segment == "" && i < len(segments)-1 {`,
		},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path may have empty segments", edits: []edit{
		{"internal/client/public_path.go", `(segment != "" || i < len(segments)-1)`, `(segment != "" || i < 0)`},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path may have escapes", edits: []edit{
		{"internal/client/public_path.go", `"/-._~@:="`, `"/-._~@:=%"`},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path may have parameters", edits: []edit{
		{"internal/client/public_path.go", `"/-._~@:="`, `"/-._~@:=;"`},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path may have backslashes", edits: []edit{
		{"internal/client/public_path.go", `"/-._~@:="`, "`/-._~@:=\\`"},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path is one for every method", edits: []edit{
		{"internal/client/public_path.go", `part[1] != "" && !matchesMethod(part[1], method) || `, ""},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path is one at every host of its app", edits: []edit{
		{"internal/client/public_path.go", ` || part[2] != "" && part[2] != host`, ""},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a public path is the start of others", edits: []edit{
		{"internal/client/public_path.go", `part[4] != "" && strings.HasPrefix`, `strings.HasPrefix`},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a header names another path", edits: []edit{
		{"internal/forwardauth/public.go", "if hasHeader(r, pathOverrides) {", "if r.Host == \"\" {"},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "a header names another method", edits: []edit{
		{
			"internal/forwardauth/public.go",
			"(hasHeader(r, methodOverrides) || namesMethod(req.query()))",
			"namesMethod(req.query())",
		},
	}},
	{test: "TestNoOtherSpellingIsPublic", what: "the query names another method", edits: []edit{
		{
			"internal/forwardauth/public.go",
			"(hasHeader(r, methodOverrides) || namesMethod(req.query()))",
			"hasHeader(r, methodOverrides)",
		},
	}},
	{test: "TestOnlyPreflightsArePublic", what: "every OPTIONS is a preflight", edits: []edit{
		{
			"internal/forwardauth/public.go",
			`r.Header.Get("Origin") != "" &&` + "\n\t\t" + `r.Header.Get("Access-Control-Request-Method") != ""`,
			"p.method != \"\"",
		},
	}},
	{test: "TestOnlyPreflightsArePublic", what: "preflights pass without a word of the owner", edits: []edit{
		{"internal/forwardauth/public.go", "cl.PublicPreflight && ", ""},
	}},
	{test: "TestPublicPathHasNoForgedIdentity",
		what: "a public request lacks the headers that replace forged ones", edits: []edit{
			{"internal/forwardauth/decision.go", "new(identityHeaders).write(w)", "w.WriteHeader(http.StatusOK)"},
		}},
	{test: "TestPublicPathHasNoForgedIdentity", what: "a percent sign is not encoded", edits: []edit{
		{"internal/forwardauth/decision.go", " && c != '%'", ""},
	}},
	{test: "TestLargeHeadersAreForTheCheckOnly", what: "pages take headers of any size", edits: []edit{
		{"internal/render/middleware.go", "headerBytes(r.Header) > maxHeaderBytes", "headerBytes(r.Header) < 0"},
	}},
}
