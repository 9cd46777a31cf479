package main

// places are the trust in a browser, and how it ends.
var places = []mutation{
	{test: "TestTrustAloneOpensNothing", what: "a known browser needs no password", edits: []edit{
		{"internal/account/password.go", `if !same || !known {`, `if by.Device == "" && (!same || !known) {`},
	}},
	{test: "TestForgedTrustCookieIsRefused",
		what: "a record stands in the database as it is in the cookie", edits: []edit{
			{"internal/device/device.go", `seal.HashToken(series), a.ID`, `[]byte(series), a.ID`},
			{"internal/device/device.go", `Series: seal.HashToken(series)`, `Series: []byte(series)`},
		}},
	{test: "TestForgedTrustCookieIsRefused", what: "of two records in one request the first counts", edits: []edit{
		{"internal/render/cookies.go", `len(found) != 1`, `len(found) == 0`},
	}},
	{test: "TestTrustIsPerAccount",
		what: "a place counts for every account, and is not sealed for its own", edits: []edit{
			{
				"internal/store/devices.go",
				`trusted_networks.device_id = devices.id AND trusted_networks.account_id = $2`,
				`trusted_networks.device_id = devices.id`,
			},
			{"internal/device/device.go", `n.DeviceID + " " + n.AccountID`, `n.DeviceID`},
		}},
	{test: "TestTrustIsPerAccount", what: "whoever forgets all browsers forgets those of everybody", edits: []edit{
		{
			"internal/store/trusted_networks.go",
			`WHERE account_id = $1 AND device_id <> $2`,
			`WHERE (account_id = $1 OR account_id <> '') AND device_id <> $2`,
		},
	}},
	{test: "TestTrustEndsWithAccountChanges",
		what: "a new password, a sign-out everywhere and the like leave trust alone", edits: []edit{
			{
				"internal/store/trusted_networks.go",
				`AND device_id <> $2 AND`,
				`AND device_id <> $2 AND $3 = 'revoked' AND`,
			},
			{"internal/store/trusted_networks.go", `AND epoch = $2 AND`, `AND epoch <= $2 AND`},
			{"internal/device/device.go", `n.Epoch != a.Epoch`, `n.Epoch > a.Epoch`},
		}},
	{test: "TestTrustEndsWithAccountChanges", what: "what the person has forgotten is still trusted", edits: []edit{
		{
			"internal/device/trusted.go",
			`return d.Accounts.EndTrust(ctx, tx, person.AccountRef, trust.RevokedByOwner, "")`,
			`return nil`,
		},
	}},
	{test: "TestTrustEndsWithAccountChanges", what: "trust outlives its account", edits: []edit{
		{
			"internal/store/migrations/00001_initial.sql",
			`account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE`,
			`account_id    TEXT NOT NULL`,
		},
	}},
	{test: "TestTrustSettingAppliesToOldTrust", what: "the setting for trust is ignored", edits: []edit{
		{"internal/device/device.go", `min(p.TTL, l.TrustTime())`, `p.TTL`},
	}},
	{test: "TestTrustEndsAfterThirtyDays", what: "trust lasts a millisecond longer", edits: []edit{
		{"internal/trust/trust.go", `now.Sub(r.VerifiedAt) > p.TTLOf(r)`, `now.Sub(r.VerifiedAt) > p.TTLOf(r)+time.Millisecond`},
	}},
	{test: "TestTrustEndsAfterThirtyDays", what: "trust lasts longer with each use", edits: []edit{
		{
			"internal/store/trusted_networks.go",
			`SET last_used_at = $4, body`,
			`SET last_used_at = $4, verified_at = $4, body`,
		},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "trust counts from every network", edits: []edit{
		{
			"internal/trust/trust.go",
			`case p.Network != NetworkIgnored && !r.Network.Contains(`,
			`case p.Network == "-" && !r.Network.Contains(`,
		},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "trust counts in every browser", edits: []edit{
		{"internal/trust/trust.go", `case !r.Browser.matches(q.Browser, p.Browser):`, `case p.Browser == "-":`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "an older browser is the same", edits: []edit{
		{"internal/trust/trust.go", `q.Browser.MajorVersion < r.Browser.MajorVersion`, `q.Browser.MajorVersion < 0`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "the version may fall again after an update", edits: []edit{
		{"internal/device/device.go", `old.Browser = decision.Request.Browser`, `_ = decision.Request.Browser`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere",
		what: "a cookie in another browser in another network is no copy", edits: []edit{
			{
				"internal/device/device.go",
				`b.TokenReused = trust.IsLikelyCopy(b.records, from.TrustRequest(), d.Policy)`,
				`b.TokenReused = false`,
			},
		}},
	{test: "TestReusedTrustCookieEndsTrust", what: "every secret of a browser is good for ever", edits: []edit{
		{
			"internal/device/device.go",
			`return seal.EqualTokenHash(b.secretHash, b.Secret) ||`,
			`return len(b.secretHash) > 0 ||`,
		},
	}},
	{test: "TestReusedTrustCookieEndsTrust", what: "the secret does not change with its use", edits: []edit{
		{"internal/device/device.go", `token = d.Keys.NextDeviceToken(b.deviceToken, salt)`, `token = b.deviceToken`},
	}},
	{test: "TestTakingTurnsWithACopiedCookieEndsTrust",
		what: "a secret has one successor, so that a copy follows it", edits: []edit{
			{"internal/device/device.go", `	salt := newSalt(now)`, `	salt := newSalt(time.Time{})[26:]`},
		}},
	{test: "TestTakingTurnsWithACopiedCookieEndsTrust",
		what: "the successor of a secret is the same after the minute of the race", edits: []edit{
			{
				"internal/device/device.go",
				`racing && fresh && seal.EqualTokenHash(hash`,
				`fresh == fresh && seal.EqualTokenHash(hash`,
			},
		}},
	{test: "TestCopiedCookieUsedEveryMinuteEndsTrust",
		what: "each use of a secret starts the minute again", edits: []edit{
			{"internal/device/device.go", `longestRace = 5 * time.Minute`, `longestRace = 5 * 24 * time.Hour`},
		}},
	{test: "TestReusedTrustCookieEndsTrust", what: "the sessions of a browser that was copied live on", edits: []edit{
		{"internal/store/devices.go", `device_id = $1 AND device_id <> ''`, `device_id = $1 AND device_id = ''`},
	}},
	{test: "TestReusedTrustCookieEndsTrust", what: "nobody is told of a copy", edits: []edit{
		{"internal/device/device.go", `range owners {`, `range owners[:0] {`},
	}},
	{test: "TestTrustCookieIsHiddenFromScripts", what: "a script may read the cookie", edits: []edit{
		{"internal/render/cookies.go", `c.SameSite = "/", true,`, `c.SameSite = "/", false,`},
	}},
	{test: "TestTrustIsNoSecondFactor", what: "trust is told as a second step", edits: []edit{
		{"internal/signin/signin.go", `row.TrustVerifiedAt = "pwd",`, `row.TrustVerifiedAt = "pwd email",`},
	}},
	{test: "TestTrustIsNoSecondFactor", what: "trust is a fresh proof", edits: []edit{
		{"internal/signin/signin.go", `token, row := s.Sessions.New(a.Ref(), account.SplitGroups(a.Groups), from)`, `token, row := s.Sessions.New(a.Ref(), account.SplitGroups(a.Groups), from)
	row.AuthenticatedAt = row.StartedAt`},
	}},
	{test: "TestTrustNeedsTheBoxAndASecondStep",
		what: "who passes once is trusted, with or without the box", edits: []edit{
			{"internal/challenge/prove.go", `offer.For == 0 || !offer.Requested`, `offer.For == 0`},
		}},
	{test: "TestTrustNeedsTheBoxAndASecondStep", what: "the box cannot be unticked", edits: []edit{
		{"internal/web/verify.go", `p.SetTrust(checked)`, `p.SetTrust(true)`},
	}},
	{test: "TestOwnerIsToldOfTrust", what: "the owner is not told of a new place", edits: []edit{
		{
			"internal/device/device.go",
			`if slices.ContainsFunc(before, sameNetwork) {`,
			`if slices.ContainsFunc(before, sameNetwork) || signIn.Device != "" {`,
		},
	}},
	{test: "TestSeveralNetworksAreTrusted", what: "trust in one network ends that in another", edits: []edit{
		{"internal/trust/trust.go", `kept[max(0, len(kept)-MaxNetworks):]`, `kept[len(kept)-1:]`},
	}},
	{test: "TestRestoredBackupRevivesNoTrust", what: "a restored backup is as good as new", edits: []edit{
		{
			"internal/signin/wiring.go",
			`err := tx.RevokeAll(ctx, string(trust.RevokedBackupRestored), now)`,
			`err := error(nil)`,
		},
	}},
	{test: "TestRestoredBackupRevivesNoTrust", what: "the sessions in a restored backup live on", edits: []edit{
		{
			"internal/store/accounts.go",
			"`UPDATE accounts SET epoch = epoch + 1`",
			"`UPDATE accounts SET epoch = epoch`",
		},
	}},
	{test: "TestTrustStoresNoReadableAddress", what: "a place can be read in the database", edits: []edit{
		{"internal/device/device.go", `n.Body = d.Keys.Seal(networkBoundTo(n), body)`, `n.Body = body`},
		{
			"internal/device/device.go",
			`body, err := d.Keys.Open(networkBoundTo(n), n.Body)`,
			`body, err := n.Body, error(nil)`,
		},
	}},
	{test: "TestTrustStoresNoReadableAddress", what: "a decision can be read in the database", edits: []edit{
		{
			"internal/device/decision.go",
			`d.Keys.Seal("decision "+decision.Trace, decision.marshalInputs())`,
			`decision.marshalInputs()`,
		},
	}},
}

// proxies are what a request says of where it comes from.
var proxies = []mutation{
	{test: "TestInboxBehindAProxyThatAddsNothing", what: "the inbox is open to every request", edits: []edit{
		{"internal/web/inbox.go", `if !s.isInboxKey(s.Pages.Cookie(r, render.InboxCookie)) {`, `if s.Inbox == nil {`},
	}},
	{test: "TestInboxBehindAProxyThatAddsNothing", what: "the clock moves without the key of the inbox", edits: []edit{
		{"internal/web/inbox.go", `s.requireInboxKey(s.handleAdvanceClock)`, `s.handleAdvanceClock`},
	}},
	{test: "TestLocalModeRefusesForwardedRequests", what: "only X-Forwarded-For shows a proxy", edits: []edit{
		{"internal/origin/forwarded.go", `^via$|forward|prox(y|ied)|^x-real-|`, `^x-forwarded-for$|`},
	}},
	{test: "TestLocalModeRefusesForwardedRequests", what: "pages of the app accept forwarded requests", edits: []edit{
		{"require.go", `s.RefuseForwarded(s.pages.Middleware(`, `http.Handler(s.pages.Middleware(`},
	}},
	{test: "TestLocalModeRefusesForwardedRequests", what: "every refused request is a line in the log", edits: []edit{
		{"twostep.go", `if s.forwards.Allow(s.now()) {`, `if s.now().IsZero() || sign != "" {`},
	}},
	{test: "TestOnlyTheProxySecretSuppliesTheAddress", what: "a trusted address needs no secret", edits: []edit{
		{"internal/origin/resolver.go", `	if len(v.secret) > 0 {
		sent`, `	if len(v.secret) > 0 && !v.TrustedProxies.Contains(peerAddr(r.RemoteAddr)) {
		sent`},
	}},
	{test: "TestOnlyTheProxySecretSuppliesTheAddress", what: "of two secrets the first counts", edits: []edit{
		{"internal/origin/resolver.go", `return len(sent) == 1 &&`, `return len(sent) > 0 &&`},
	}},
	{test: "TestOnlyTheProxySecretSuppliesTheAddress", what: "a weak secret is accepted", edits: []edit{
		{"options.go", `(len(s) < 32 || len(s) > 512 ||`, `(len(s) > 512 ||`},
	}},
	{test: "TestForwardAuthNeedsTheProxySecret", what: "a forward-auth check needs no secret", edits: []edit{
		{"internal/origin/resolver.go", `	if len(v.secret) > 0 {
		sent`, `	if len(v.secret) > 0 && !v.TrustedProxies.Contains(peerAddr(r.RemoteAddr)) {
		sent`},
	}},
	{test: "TestUnixSocketSuppliesTheAddress", what: "every connection counts as one of a Unix socket", edits: []edit{
		{"internal/origin/resolver.go", `return ok && local.Network() == "unix"`, `return ok && local.Network() != ""`},
	}},
	{test: "TestClientAddressHeadersAreIgnored", what: "the forwarding headers of anybody are believed", edits: []edit{
		{"internal/origin/resolver.go", `return isFromUnixSocket(r) ||`, `return forwardingInfo(r).HasHeaders() ||`},
	}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress",
		what: "the forwarding headers of anybody are believed", edits: []edit{
			{
				"internal/origin/resolver.go",
				`return isFromUnixSocket(r) ||`,
				`return forwardingInfo(r).HasHeaders() ||`,
			},
		}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress",
		what: "what the client wrote to the left of it is believed", edits: []edit{
			{"internal/trust/proxies.go", `range slices.Backward(chain)`, `range slices.All(chain)`},
		}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress",
		what: "of two headers that contradict each other the first is believed", edits: []edit{
			{"internal/trust/proxies.go", `if found[0] != found[len(found)-1] {`, `if !found[0].IsValid() {`},
		}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress", what: "everybody may be named as a proxy", edits: []edit{
		{"internal/trust/proxies.go", `network.Bits() < 7 ||`, `network.Bits() < 0 ||`},
	}},
	{test: "TestPrivateAddressesAreNotTrusted",
		what: "a private address is taken for a network of the internet", edits: []edit{
			{
				"internal/origin/resolver.go",
				`if v.PrivateClients || !trust.IsPrivateAddr(address) {`,
				`if v.PrivateClients || trust.NetworkOf(address).String() != "" {`,
			},
		}},
}
