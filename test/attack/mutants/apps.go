package main

// apps are what an app may learn, and where its people are sent.
var apps = []mutation{
	{test: "TestPasswordAloneGetsNoAuthorizationCode", what: "a half sign-in is a session for apps", edits: []edit{
		{"internal/oidc/continue.go", "if errors.Is(err, session.ErrNoSession) {\n\t\treturn nil, nil\n\t}", `if errors.Is(err, session.ErrNoSession) && p.Pages.Cookie(r, render.SignInCookie) == "" {
		return nil, nil
	}
	if errors.Is(err, session.ErrNoSession) {
		return &found, nil
	}`},
	}},
	{test: "TestRedirectURIMustMatchExactly", what: "a redirect address fits by its beginning", edits: []edit{
		{
			"internal/client/client.go",
			"func matchesRegisteredURI(list []string, address string) bool {\n",
			"func matchesRegisteredURI(list []string, address string) bool {\n\tif slices.ContainsFunc(list, func(one string) bool { return strings.HasPrefix(address, one) }) {\n\t\treturn true\n\t}\n",
		},
	}},
	{test: "TestRedirectURIMustMatchExactly", what: "capital letters of an address do not count", edits: []edit{
		{
			"internal/client/client.go",
			"if slices.Contains(list, address) {",
			"if slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, address) }) {",
		},
	}},
	{test: "TestRedirectURIMustMatchExactly",
		what: "errors are sent to an address that nobody registered", edits: []edit{
			{
				"internal/oidc/authorize.go",
				"if !cl.AllowsRedirectURI(redirect) {",
				`if !cl.AllowsRedirectURI(redirect) && values.Get("response_type") == "code" {`,
			},
		}},
	{test: "TestRedirectURIMustMatchExactly", what: "every port of every host is free", edits: []edit{
		{"internal/client/client.go", `ValidateRedirectURI(address) != nil || u.Scheme != "http"`, `u.Host == ""`},
		{
			"internal/client/client.go",
			`after := strings.TrimPrefix(address, "http://")`,
			`_, after, _ := strings.Cut(address, "://")`,
		},
	}},
	{test: "TestAuthorizationCodeWorksOnceForItsClient", what: "a code is good for every app", edits: []edit{
		{
			"internal/store/grants.go",
			"WHERE code_hash = $2 AND client_id = $3 AND",
			"WHERE code_hash = $2 AND $3 <> '' AND",
		},
	}},
	{test: "TestAuthorizationCodeWorksOnceForItsClient", what: "a code works until it is swept", edits: []edit{
		{"internal/store/grants.go", "code_used_at = 0 AND code_expires_at >= $1", "code_used_at = 0"},
	}},
	{test: "TestAuthorizationCodeWorksOnceForItsClient", what: "a code works twice", edits: []edit{
		{"internal/store/grants.go", "AND code_used_at = 0 AND code_expires_at", "AND code_expires_at"},
	}},
	{test: "TestAuthorizationCodeWorksOnceForItsClient", what: "the second use of a code ends nothing", edits: []edit{
		{
			"internal/grant/grant.go",
			"if err := g.revokeReused(ctx, audit.CodeReused, row, r.From); err != nil {",
			"if err := error(nil); err != nil {",
		},
	}},
	{test: "TestAuthorizationCodeWorksOnceForItsClient",
		what: "of two parameters of one name the first counts", edits: []edit{
			{"internal/oidc/oidc.go", "len(group) != 1 ||", "len(group) == 0 ||"},
		}},
	{test: "TestAuthorizationCodeEndsWithItsSession", what: "codes and tokens outlive the session", edits: []edit{
		{"internal/store/grants.go", "AND (grants.offline OR EXISTS", "AND (grants.code_expires_at > 0 OR EXISTS"},
	}},
	{test: "TestPKCEIsRequired", what: "PKCE is a wish", edits: []edit{
		{
			"internal/oidc/authorize.go",
			`case challenge == "" && method == "" && mode == client.PKCEOff:`,
			`case challenge == "" && method == "":`,
		},
	}},
	{test: "TestPKCEDowngradeIsRefused", what: "an app that uses PKCE may come without it", edits: []edit{
		{"internal/oidc/authorize.go", "if err == nil && used {", "if err == nil && used && false {"},
	}},
	{test: "TestPKCEDowngradeIsRefused", what: "an app needs neither PKCE nor a nonce", edits: []edit{
		{"internal/oidc/authorize.go", `values.Get("nonce") != "":`, `values.Get("nonce") != "x":`},
	}},
	{test: "TestPKCEIsRequired", what: "a verifier is taken where there was no challenge", edits: []edit{
		{"internal/grant/grant.go", `b.CodeChallenge == "" && r.CodeVerifier != ""`, `false`},
	}},
	{test: "TestPKCEIsRequired", what: "a weak verifier is good enough", edits: []edit{
		{
			"internal/grant/grant.go",
			"!codeVerifierPattern.MatchString(r.CodeVerifier) || S256Challenge",
			"S256Challenge",
		},
	}},
	{test: "TestPKCEIsRequired", what: "a wrong verifier leaves the code", edits: []edit{
		{
			"internal/grant/grant.go",
			"return grant, mismatch, tx.RevokeGrant(ctx, grant.ID, now)",
			"return grant, mismatch, ErrInvalid",
		},
	}},
	{test: "TestRefreshTokenWorksOnce", what: "a stolen refresh token ends nothing", edits: []edit{
		{
			"internal/grant/grant.go",
			"if !row.RevokedAt.IsZero() {\n\t\treturn nil\n\t}\n\tctx, stop",
			"if kind == audit.TokenReused {\n\t\treturn nil\n\t}\n\tctx, stop",
		},
	}},
	{test: "TestRefreshTokenWorksOnce", what: "a refresh token outlives what its account went through", edits: []edit{
		{
			"internal/store/grants.go",
			"accounts.epoch = grants.epoch AND accounts.disabled_at = 0)",
			"accounts.epoch >= grants.epoch)",
		},
	}},
	{test: "TestForgedIDTokenHintIsRefused", what: "whoever has signed a hint, it is believed", edits: []edit{
		{
			"internal/grant/signing_key.go",
			"if parsed.Claims(k.private.Public(), &claims, &extra) != nil ||",
			"if k.private == nil || parsed.UnsafeClaimsWithoutVerification(&claims, &extra) != nil ||",
		},
	}},
	{test: "TestClientAssertionIsVerifiedAndWorksOnce", what: "an assertion works twice", edits: []edit{
		{"internal/grant/signing_key.go", `cl.ID + " " + g.Keys.Pseudonym(claims.ID)`, `cl.ID + " " + rand.Text()`},
	}},
	{test: "TestClientAssertionIsVerifiedAndWorksOnce", what: "an assertion is for anybody", edits: []edit{
		{"internal/grant/signing_key.go", "AnyAudience: audiences, ", ""},
	}},
	{test: "TestClientAssertionIsVerifiedAndWorksOnce", what: "a token may be a minute late", edits: []edit{
		{
			"internal/grant/signing_key.go",
			"const leeway, longest = 30 * time.Second",
			"const leeway, longest = 60 * time.Second",
		},
	}},
	{test: "TestTokensWorkForTheirKindOnly", what: "a refresh token is shown like an access token", edits: []edit{
		{"internal/grant/token.go", `(info.IsRefreshToken || info.AccountID == "")`, `info.AccountID == ""`},
	}},
	{test: "TestIDTokenIsBoundToItsRequest", what: "a refresh makes the proof newer", edits: []edit{
		{
			"internal/oidc/idtoken.go",
			`claims["auth_time"], claims["acr"], claims["amr"], claims["sid"] = g.AuthTime.Unix()`,
			`claims["auth_time"], claims["acr"], claims["amr"], claims["sid"] = now.Unix()`,
		},
	}},
	{test: "TestConsentComesFromTheSessionThatWasAsked",
		what: "whoever is in says yes for somebody else", edits: []edit{
			{
				"internal/oidc/consent.go",
				`case form["session"] != p.Grants.SID(who.ID, authReq.ClientID):`,
				`case form["session"] == "":`,
			},
		}},
	{test: "TestAnotherAccountEndsTheSession",
		what: "who says that they are another stays in if the request is over", edits: []edit{
			{
				"internal/oidc/consent.go",
				`if form["answer"] == "other" {`,
				`if _, err := p.Grants.GetAuthRequest(r.Context(), form["request"], p.Pages.Browsers(r)); err == nil && form["answer"] == "other" {`,
			},
		}},
	{test: "TestConsentComesFromTheSessionThatWasAsked",
		what: "an app that asks which account is answered without a question", edits: []edit{
			{
				"internal/grant/auth_request.go",
				"r.HintedSubject == \"\" && r.SelectedAccountID",
				"r.HintedSubject != \"\" && r.SelectedAccountID",
			},
		}},
	{test: "TestRedirectURIMustMatchExactly", what: "a request_uri excuses the address", edits: []edit{
		{
			"internal/oidc/authorize.go",
			`if err != nil || grant.IsPushedRequestURI(values.Get("request_uri")) {`,
			`if err != nil || values.Get("request_uri") != "" {`,
		},
	}},
	{test: "TestTokensFollowAppChanges", what: "what an app needs counts for new grants alone", both: true, edits: []edit{
		{
			"internal/grant/token.go",
			" || session.LevelOf(grant.AMR) < cl.RequiredLevel()",
			" || session.LevelOf(grant.AMR) < session.LevelNone",
		},
	}},
	{test: "TestTokensFollowAppChanges", what: "consent counts for new grants alone", both: true, edits: []edit{
		{"internal/grant/token.go", "if !cl.ThirdParty {", "if !cl.ThirdParty || cl.ID != \"\" {"},
	}},
	{test: "TestRequestedLevelIsNeverLowered",
		what: "of two places in which an app asks for a level the lower counts", edits: []edit{
			{
				"internal/oidc/authorize.go",
				"return max(fromACRValues, fromClaims), nil",
				"return min(fromACRValues, fromClaims), nil",
			},
		}},
	{test: "TestIntrospectionTellsOwnTokensOnly", what: "every app may look at all tokens", edits: []edit{
		{
			"internal/oidc/introspect.go",
			"info.ClientID != caller.ID && (info.IsRefreshToken || !caller.CanIntrospect)",
			"caller.ID == \"\"",
		},
	}},
	{test: "TestRedirectURIMustMatchExactly", what: "a request that says it was pushed needs no address", edits: []edit{
		{
			"internal/oidc/authorize.go",
			`if err != nil || grant.IsPushedRequestURI(values.Get("request_uri")) {`,
			`if err != nil || values.Has("request_uri") {`,
		},
		{
			"internal/oidc/authorize.go",
			"RedirectURI:   redirect,\n\t\tState:         v",
			"RedirectURI:   values.Get(\"redirect_uri\"),\n\t\tState:         v",
		},
		{
			"internal/grant/grant.go",
			"if !cl.AllowsRedirectURI(r.RedirectURI) && !cl.IsHostCallback(r.RedirectURI) {",
			"if cl.ID == \"\" {",
		},
	}},
	{test: "TestIntrospectionTellsOwnTokensOnly", what: "everybody may look at tokens", edits: []edit{
		{"internal/oidc/introspect.go", "if caller.IsPublic() {", "if caller.IsPublic() && caller.ID == \"\" {"},
	}},
	{test: "TestRevocationEndsTokens", what: "one app ends the tokens of another", edits: []edit{
		{
			"internal/grant/token.go",
			"errors.Is(err, store.ErrNotFound) || err == nil && grantRow.ClientID != cl.ID:\n\t\treturn nil",
			"errors.Is(err, store.ErrNotFound):\n\t\treturn nil",
		},
	}},
	{test: "TestRevocationEndsTokens", what: "revoking says yes whatever happens", edits: []edit{
		{
			"internal/oidc/revoke.go",
			"if err := p.Grants.RevokeToken(r.Context(), cl, values.Get(\"token\"), p.Pages.Origin(r)); err != nil {\n\t\treturn err\n\t}",
			"_ = p.Grants.RevokeToken(r.Context(), cl, values.Get(\"token\"), p.Pages.Origin(r))",
		},
		{
			"internal/grant/token.go",
			"case err != nil:\n\t\treturn fmt.Errorf(\"grant: revoke token: %w\", err)",
			"case err != nil:\n\t\treturn nil",
		},
	}},
	{test: "TestRequestedLevelIsNeverLowered", what: "who asks for more gets what there is", edits: []edit{
		{
			"internal/grant/auth_request.go",
			"return max(r.MinLevel, cl.RequiredLevel())",
			"return min(r.MinLevel, cl.RequiredLevel(), 0)",
		},
	}},
	{test: "TestRequestedLevelIsNeverLowered", what: "an old proof is as good as a new one", edits: []edit{
		{
			"internal/grant/auth_request.go",
			"return r.authTooOld(p) || p.Session.Level() < r.requiredLevel(p.Client)",
			"return p.Session.Level() < r.requiredLevel(p.Client)",
		},
	}},
	{test: "TestRequestedLevelIsNeverLowered", what: "a step up offers what is not enough", edits: []edit{
		{"internal/challenge/factors.go", "if len(enough) == 0 {", "if len(enough) >= 0 {"},
	}},
	{test: "TestLogoutNeedsProofAndARegisteredRedirect", what: "another site signs people out", edits: []edit{
		{
			"internal/oidc/logout.go",
			"if req.sid != p.Grants.SID(who.ID, req.clientID) {",
			"if req.sid != p.Grants.SID(who.ID, req.clientID) && false {",
		},
	}},
	{test: "TestLogoutNeedsProofAndARegisteredRedirect", what: "whoever is signed out is sent anywhere", edits: []edit{
		{
			"internal/oidc/logout.go",
			"err == nil && !cl.AllowsPostLogoutRedirectURI(req.postLogoutRedirectURI) {",
			"err == nil && cl.ID == \"\" {",
		},
	}},
	{test: "TestSigningKeysOverlap", what: "a new key signs at once", edits: []edit{
		{
			"internal/grant/signing_key.go",
			"if now.Sub(k.createdAt()) >= signingKeyLeadTime {",
			"if now.Sub(k.createdAt()) >= 0 {",
		},
	}},
	{test: "TestSigningKeysOverlap", what: "an old key is known for ever", edits: []edit{
		{
			"internal/grant/signing_key.go",
			"if i == 0 || now.Sub(list[i-1].createdAt()) < signingKeyLeadTime+signingKeyOverlap {",
			"if i >= 0 && !now.IsZero() {",
		},
	}},
	{test: "TestTokensOfAnAppEndInTime", what: "an unused refresh token never ends", edits: []edit{
		{
			"internal/grant/token.go",
			"if idle := created.Add(cl.RefreshTokenIdleTime()); idle.Before(end) {",
			"if idle := created.Add(cl.RefreshTokenIdleTime()); false {",
		},
	}},
	{test: "TestTokensOfAnAppEndInTime", what: "a shorter lifetime counts for new tokens alone", edits: []edit{
		{
			"internal/grant/token.go",
			"if refreshTokenEnd(cl, grant, r.old.CreatedAt).Before(now) {",
			"if refreshTokenEnd(cl, grant, r.old.CreatedAt).IsZero() {",
		},
	}},
	{test: "TestTokensOfAnAppEndInTime", what: "an ID token outlives its session", edits: []edit{
		{"internal/oidc/idtoken.go", "end.Before(g.ExpiresAt)", "!end.IsZero()"},
	}},
	{test: "TestTokensOfAnAppEndInTime", what: "a lifetime has no bounds", edits: []edit{
		{"internal/client/lifetimes.go", "if l.seconds != 0 && (", "if l.seconds != l.seconds && ("},
	}},
	{test: "TestResponseTypeMustBeEnabled", what: "every app may use every response type", edits: []edit{
		{
			"internal/oidc/authorize.go",
			"case !cl.AllowsResponseType(authReq.ResponseType):",
			`case !cl.AllowsResponseType(authReq.ResponseType) && cl.ID == "":`,
		},
		{
			"internal/grant/auth_request.go",
			"case r.WantsIDToken() && !p.Client.AllowsResponseType(r.ResponseType):",
			`case r.WantsIDToken() && p.Client.ID == "":`,
		},
	}},
	{test: "TestResponseTypeMustBeEnabled",
		what: "a request that waited is answered as it was allowed then", edits: []edit{
			{
				"internal/grant/auth_request.go",
				"case r.WantsIDToken() && !p.Client.AllowsResponseType(r.ResponseType):",
				`case r.WantsIDToken() && p.Client.ID == "":`,
			},
		}},
	{test: "TestResponseTypeMustBeEnabled", what: "the error of a request for tokens is in the query", edits: []edit{
		{"internal/oidc/authorize.go", `mode == "query" && !front,`, `mode == "query",`},
	}},
	{test: "TestIDTokenNeedsANonceAndNoQuery", what: "an ID token in the front channel needs no nonce", edits: []edit{
		{
			"internal/oidc/authorize.go",
			`case authReq.WantsIDToken() && authReq.Nonce == "":`,
			`case authReq.WantsIDToken() && authReq.Nonce == "x":`,
		},
	}},
	{test: "TestIDTokenNeedsANonceAndNoQuery", what: "an ID token is in the query", edits: []edit{
		{"internal/oidc/authorize.go", `mode == "query" && !front,`, `mode == "query",`},
		{
			"internal/oidc/authorize.go",
			`case mode == "query" && authReq.WantsIDToken():`,
			`case mode == "query" && authReq.WantsIDToken() && cl.ID == "":`,
		},
	}},
	{test: "TestHybridResponseIsBoundToItsRequest", what: "an ID token says nothing about its code", edits: []edit{
		{"internal/oidc/idtoken.go", `"c_hash", grant.HashForIDToken(cl, bound.code)`, `"c_hash", ""`},
	}},
	{test: "TestHybridResponseIsBoundToItsRequest", what: "an access token is in the front channel", edits: []edit{
		{
			"internal/oidc/continue.go",
			"values.Set(\"id_token\", idToken)",
			"values.Set(\"id_token\", idToken)\n\t\tvalues.Set(\"access_token\", code)",
		},
	}},
	{test: "TestHybridResponseIsBoundToItsRequest", what: "a code beside an ID token needs no PKCE", edits: []edit{
		{"internal/oidc/authorize.go", "case !authReq.WantsCode():", "case authReq.WantsIDToken():"},
	}},
	{test: "TestHybridResponseIsBoundToItsRequest", what: "a grant without a code is offline", edits: []edit{
		{"internal/oidc/authorize.go", "if !authReq.WantsCode() {", "if false {"},
	}},
	{test: "TestNobodyChoosesAMappedName", what: "a group that is called like a mapped one is one", edits: []edit{
		{"internal/client/claims.go", "case !is && isTarget(group):", "case !is && isTarget(group) && false:"},
	}},
	{test: "TestNobodyChoosesAMappedName", what: "letter case makes another group of it", edits: []edit{
		{"internal/client/claims.go", "if strings.EqualFold(target, group) {", "if target == group {"},
	}},
	{test: "TestNobodyChoosesAMappedName", what: "a claim has a name of the protocol", edits: []edit{
		{
			"internal/client/claims.go",
			"case slices.Contains(protocolClaims, name):",
			`case slices.Contains(protocolClaims, name) && name == "":`,
		},
	}},
	{test: "TestNobodyChoosesAMappedName", what: "a claim has the name of another one", edits: []edit{
		{
			"internal/client/claims.go",
			"case slices.Contains(personClaims, name):",
			`case slices.Contains(personClaims, name) && name == "":`,
		},
	}},
	{test: "TestNobodyChoosesAMappedName", what: "the name of a person is sent as a role", edits: []edit{
		{
			"internal/client/claims.go",
			"case slices.Contains(chosenClaims, from) &&",
			`case slices.Contains(chosenClaims, from) && from == "" &&`,
		},
	}},
	{test: "TestEdDSAKeysAreForAppsThatUseThem", what: "keys that no app uses are published", edits: []edit{
		{
			"internal/grant/signing_key.go",
			"if slices.ContainsFunc(g.Clients.LastKnown(ctx), usesEdDSA) {",
			"if usesEdDSA != nil {",
		},
	}},
	{test: "TestEdDSAKeysAreForAppsThatUseThem", what: "a token is bound by a shorter hash", edits: []edit{
		{
			"internal/grant/signing_key.go",
			"sum := sha512.Sum512([]byte(token))",
			"sum := sha512.Sum512_256([]byte(token))",
		},
	}},
}
