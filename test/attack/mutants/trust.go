package main

// places are the trust in a browser, and how it ends.
var places = []mutation{
	{test: "TestTrustAloneOpensNothing", what: "a known browser needs no password", edits: []edit{
		{"internal/signin/signin.go", `a, err := e.CheckPassword(ctx, c.Email, c.Password, account.Guesser{Network: from.Network(), Device: known})`, `a, err := e.CheckPassword(ctx, c.Email, c.Password, account.Guesser{Network: from.Network(), Device: known})
	if err != nil && from.Device != "" {
		a, err = e.Find(ctx, c.Email)
	}`},
	}},
	{test: "TestForgedTrustCookieIsRefused", what: "a record stands in the database as it is in the cookie", edits: []edit{
		{"internal/device/device.go", `seal.Hash(series), a.ID`, `[]byte(series), a.ID`},
		{"internal/device/device.go", `Series: seal.Hash(series)`, `Series: []byte(series)`},
	}},
	{test: "TestForgedTrustCookieIsRefused", what: "of two records in one request the first counts", edits: []edit{
		{"internal/page/cookies.go", `len(found) != 1`, `len(found) == 0`},
	}},
	{test: "TestTrustIsPerAccount", what: "a place counts for every account, and is not sealed for its own", edits: []edit{
		{"internal/store/devices.go", `trusted_networks.device_id = devices.id AND trusted_networks.account_id = $2`, `trusted_networks.device_id = devices.id`},
		{"internal/device/device.go", `p.Device + " " + p.Account`, `p.Device`},
	}},
	{test: "TestTrustIsPerAccount", what: "whoever forgets all browsers forgets those of everybody", edits: []edit{
		{"internal/store/places.go", `WHERE account_id = $1 AND device_id <> $2`, `WHERE (account_id = $1 OR account_id <> '') AND device_id <> $2`},
	}},
	{test: "TestTrustEndsWithAccountChanges", what: "a new password, a sign-out everywhere and the like leave trust alone", edits: []edit{
		{"internal/store/places.go", `AND device_id <> $2 AND`, `AND device_id <> $2 AND $3 = 'revoked' AND`},
		{"internal/store/places.go", `AND epoch = $2 AND`, `AND epoch <= $2 AND`},
		{"internal/device/device.go", `p.Epoch != a.Epoch`, `p.Epoch > a.Epoch`},
	}},
	{test: "TestTrustEndsWithAccountChanges", what: "what the person has forgotten is still trusted", edits: []edit{
		{"internal/device/owned.go", `return d.EndTrust(ctx, tx, who.row(), trust.EndedRevoked, "")`, `return nil`},
	}},
	{test: "TestTrustEndsWithAccountChanges", what: "trust outlives its account", edits: []edit{
		{"internal/store/migrations/00001_initial.sql", `account_id    TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE`, `account_id    TEXT NOT NULL`},
	}},
	{test: "TestTrustSettingAppliesToOldTrust", what: "the owner's word about trust is not heard", edits: []edit{
		{"options.go", `max(o.TrustDays, 0)`, `max(o.TrustDays, maxTrustDays)`},
	}},
	{test: "TestTrustEndsAfterThirtyDays", what: "trust lasts a millisecond longer", edits: []edit{
		{"internal/trust/trust.go", `now.Sub(r.Verified) > p.Life`, `now.Sub(r.Verified) > p.Life+time.Millisecond`},
	}},
	{test: "TestTrustEndsAfterThirtyDays", what: "trust lasts longer with each use", edits: []edit{
		{"internal/store/places.go", `SET last_used_at = $4, body`, `SET last_used_at = $4, verified_at = $4, body`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "trust counts from every network", edits: []edit{
		{"internal/trust/trust.go", `case p.Network != Anywhere && !r.Place.Holds(`, `case p.Network == "-" && !r.Place.Holds(`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "trust counts in every browser", edits: []edit{
		{"internal/trust/trust.go", `case !r.Browser.same(q.Browser, p.Browser):`, `case p.Browser == "-":`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "an older browser is the same", edits: []edit{
		{"internal/trust/trust.go", `q.Browser.Major < r.Browser.Major`, `q.Browser.Major < 0`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "the version may fall again after an update", edits: []edit{
		{"internal/device/device.go", `old.Browser = by.Request.Browser`, `_ = by.Request.Browser`},
	}},
	{test: "TestStolenTrustCookieFailsElsewhere", what: "a cookie in another browser in another network is no copy", edits: []edit{
		{"internal/device/device.go", `b.Copied = trust.Elsewhere(b.records, from.Request(), d.Policy)`, `b.Copied = false`},
	}},
	{test: "TestReusedTrustCookieEndsTrust", what: "every secret of a browser is good for ever", edits: []edit{
		{"internal/device/device.go", `return seal.SameHash(b.shown, b.Secret) ||`, `return len(b.shown) > 0 ||`},
	}},
	{test: "TestReusedTrustCookieEndsTrust", what: "the secret does not change with its use", edits: []edit{
		{"internal/device/device.go", `token = d.Keys.NextDeviceToken(b.token)`, `token = b.token`},
	}},
	{test: "TestReusedTrustCookieEndsTrust", what: "the sessions of a browser that was copied live on", edits: []edit{
		{"internal/store/devices.go", `device_id = $1 AND device_id <> ''`, `device_id = $1 AND device_id = ''`},
	}},
	{test: "TestReusedTrustCookieEndsTrust", what: "nobody is told of a copy", edits: []edit{
		{"internal/device/device.go", `range owners {`, `range owners[:0] {`},
	}},
	{test: "TestTrustCookieIsHiddenFromScripts", what: "a script may read the cookie", edits: []edit{
		{"internal/page/cookies.go", `c.SameSite = "/", true,`, `c.SameSite = "/", false,`},
	}},
	{test: "TestTrustIsNoSecondFactor", what: "trust is told as a second step", edits: []edit{
		{"internal/signin/trusted.go", `row.TrustedAt = "pwd",`, `row.TrustedAt = "pwd email",`},
	}},
	{test: "TestTrustIsNoSecondFactor", what: "trust is a fresh proof", edits: []edit{
		{"internal/signin/trusted.go", `token, row := e.newSession(a, from)`, `token, row := e.newSession(a, from)
	row.ProvedAt = row.BeganAt`},
	}},
	{test: "TestTrustNeedsTheBoxAndASecondStep", what: "who passes once is trusted, with or without the box", edits: []edit{
		{"internal/signin/trusted.go", `offer.Days == 0 || !offer.Ticked`, `offer.Days == 0`},
	}},
	{test: "TestTrustNeedsTheBoxAndASecondStep", what: "the box cannot be unticked", edits: []edit{
		{"internal/web/verify.go", `s.Engine.Tick(r.Context(), p.token, ticked)`, `s.Engine.Tick(r.Context(), p.token, true)`},
	}},
	{test: "TestOwnerIsToldOfTrust", what: "the owner is not told of a new place", edits: []edit{
		{"internal/device/device.go", `if slices.ContainsFunc(before, again) {`, `if slices.ContainsFunc(before, again) || v.Device != "" {`},
	}},
	{test: "TestSeveralNetworksAreTrusted", what: "the office makes home forgotten", edits: []edit{
		{"internal/trust/trust.go", `kept[max(0, len(kept)-MostPlaces):]`, `kept[len(kept)-1:]`},
	}},
	{test: "TestRestoredBackupRevivesNoTrust", what: "a restored backup is as good as new", edits: []edit{
		{"internal/account/trust.go", `err := tx.Void(ctx, string(trust.EndedRestored), now)`, `err := error(nil)`},
	}},
	{test: "TestRestoredBackupRevivesNoTrust", what: "the sessions in a restored backup live on", edits: []edit{
		{"internal/store/accounts.go", "`UPDATE accounts SET epoch = epoch + 1`", "`UPDATE accounts SET epoch = epoch`"},
	}},
	{test: "TestTrustStoresNoReadableAddress", what: "a place can be read in the database", edits: []edit{
		{"internal/device/device.go", `p.Body = d.Keys.Seal(placeOf(p), body)`, `p.Body = body`},
		{"internal/device/device.go", `body, err := d.Keys.Open(placeOf(p), p.Body)`, `body, err := p.Body, error(nil)`},
	}},
	{test: "TestTrustStoresNoReadableAddress", what: "a decision can be read in the database", edits: []edit{
		{"internal/device/decision.go", `d.Keys.Seal("decision "+by.Trace, by.body())`, `by.body()`},
	}},
}

// proxies are what a request says of where it comes from.
var proxies = []mutation{
	{test: "TestClientAddressHeadersAreIgnored", what: "the forwarding headers of anybody are believed", edits: []edit{
		{"internal/trust/proxies.go", `case !p.Has(peer):`, `case !p.Has(peer) && !h.Told():`},
	}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress", what: "the forwarding headers of anybody are believed", edits: []edit{
		{"internal/trust/proxies.go", `case !p.Has(peer):`, `case !p.Has(peer) && !h.Told():`},
	}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress", what: "what the client wrote to the left of it is believed", edits: []edit{
		{"internal/trust/proxies.go", `range slices.Backward(chain)`, `range slices.All(chain)`},
	}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress", what: "of two headers that contradict each other the first is believed", edits: []edit{
		{"internal/trust/proxies.go", `if found[0] != found[len(found)-1] {`, `if !found[0].IsValid() {`},
	}},
	{test: "TestOnlyNamedProxiesSupplyTheAddress", what: "everybody may be named as a proxy", edits: []edit{
		{"internal/trust/proxies.go", `network.Bits() < 7 ||`, `network.Bits() < 0 ||`},
	}},
	{test: "TestPrivateAddressesAreNotTrusted", what: "a private address is somebody's place, in public", edits: []edit{
		{"internal/page/from.go", `if p.Private || !trust.Private(address) {`, `if p.Private || trust.At(address).String() != "" {`},
	}},
}
