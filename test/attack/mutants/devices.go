package main

// devices are the device authorization grant: who answers a device, how often, and for whom.
var devices = []mutation{
	{test: "TestLinkToADeviceCodeAllowsNothing",
		what: "a device of an app that the person uses is not asked about", edits: []edit{
			{
				"internal/grant/auth_request.go",
				"case r.IsForDevice() || p.Client.ThirdParty && !p.Consented:",
				"case p.Client.ThirdParty && !p.Consented:",
			},
			{
				"internal/oidc/continue.go",
				"\tif step == grant.StepIssueCode {\n",
				"\tif step == grant.StepIssueCode && authReq.IsForDevice() {\n\t\treturn p.Grants.AllowDevice(r.Context(), authReq, *who, p.Pages.Origin(r))\n\t}\n\tif step == grant.StepIssueCode {\n",
			},
		}},
	{test: "TestLinkToADeviceCodeAllowsNothing", what: "the answer of another session counts", edits: []edit{
		{
			"internal/oidc/device_page.go",
			"step != grant.StepConsent || form[\"session\"] != p.Grants.SID(who.ID, authReq.ClientID)",
			"step != grant.StepConsent",
		},
	}},
	{test: "TestUserCodesAreLimited", what: "codes of devices are compared without a limit", edits: []edit{
		{
			"internal/grant/device_authorization.go",
			"[]ratelimit.Quota{ratelimit.PerHour(\"user_codes_account\", who.Account.ID, userCodesPerAccountHour)},",
			"nil,",
		},
	}},
	{test: "TestUserCodesAreLimited", what: "the codes of a network are not limited", edits: []edit{
		{
			"internal/grant/device_authorization.go",
			"ratelimit.PerNetwork(\"user_codes_network\", from.Networks(), time.Hour, userCodesPerNetworkHour),",
			"nil,",
		},
	}},
	{test: "TestUserCodesAreLimited", what: "the codes of everybody are not limited", edits: []edit{
		{
			"internal/grant/device_authorization.go",
			"Kind: \"user_codes\", Window: time.Hour, Limit: 10_000}",
			"Kind: \"user_codes\", Window: time.Hour, Limit: 0}",
		},
	}},
	{test: "TestDeviceAuthorizationsAreBounded", what: "apps without a secret use up the budget of all", edits: []edit{
		{"internal/grant/device_authorization.go", "who = ratelimit.Stranger\n\t\tquotas", "quotas"},
	}},
	{test: "TestDeviceAuthorizationsAreBounded", what: "a network starts as many requests as it likes", edits: []edit{
		{
			"internal/grant/device_authorization.go",
			"append(quotas, deviceAuthorizationBudget",
			"append(quotas[:0], deviceAuthorizationBudget",
		},
	}},
	{test: "TestDevicePollsTooFast", what: "the interval stays as it was", edits: []edit{
		{
			"internal/store/device_authorizations.go",
			"THEN CAST($5 AS BIGINT) ELSE 0 END",
			"THEN CAST($5 AS BIGINT) * 0 ELSE 0 END",
		},
	}},
	{test: "TestDevicePollsTooFast", what: "an early poll is answered", edits: []edit{
		{"internal/grant/device_authorization.go", "case row.PollsEarly:", "case row.PollsEarly && false:"},
	}},
	{test: "TestDeviceCodeOfAnotherApp", what: "an app uses the device code of another", edits: []edit{
		{
			"internal/store/device_authorizations.go",
			"WHERE id = $1 AND client_id = $2 RETURNING",
			"WHERE id = $1 AND $2 <> '' RETURNING",
		},
		{
			"internal/store/grants.go",
			"WHERE code_hash = $2 AND client_id = $3 AND code_used_at = 0",
			"WHERE code_hash = $2 AND $3 <> '' AND code_used_at = 0",
		},
	}},
	{test: "TestAnsweredDeviceCodeStaysAnswered", what: "a code is answered twice, or after its time", edits: []edit{
		{
			"internal/store/device_authorizations.go",
			"UPDATE device_authorizations SET state = $2\n\t\tWHERE id = $1 AND state = 'pending' AND expires_at >= $3",
			"UPDATE device_authorizations SET state = $2\n\t\tWHERE id = $1 AND $3 > 0",
		},
	}},
	{test: "TestAnsweredDeviceCodeStaysAnswered", what: "tokens are given after the code has expired", edits: []edit{
		{
			"internal/grant/device_authorization.go",
			"case row.ExpiresAt.Before(now):",
			"case row.ExpiresAt.Before(now) && row.State == store.DevicePending:",
		},
	}},
	{test: "TestDeviceCodeGivesOneSetOfTokens",
		what: "the grant of a device gives tokens as often as it is asked", edits: []edit{
			{
				"internal/store/grants.go",
				"client_id = $3 AND code_used_at = 0 AND code_expires_at",
				"client_id = $3 AND code_expires_at",
			},
			{
				"internal/store/device_authorizations.go",
				"return db.must(ctx, `DELETE FROM device_authorizations WHERE id = $1`, id)",
				"return nil",
			},
		}},
	{test: "TestDeviceGrantIsOffUnlessAllowed", what: "every app may use the device grant", edits: []edit{
		{"internal/oidc/device_authorization.go", "if !cl.DeviceGrant {", "if cl.ID == \"\" {"},
	}},
	{test: "TestDeviceNeedsWhatTheAppRequires",
		what: "what the app requires is not checked with the answer", edits: []edit{
			{"internal/oidc/device_page.go", "step != grant.StepConsent || form", "form"},
			{"internal/oidc/device_page.go", "step, _ := authReq.NextStep(progress)", "_, _ = authReq.NextStep(progress)"},
		}},
	{test: "TestDeviceGrantEndsWithItsSession", what: "the grant of a device is always offline", edits: []edit{
		{
			"internal/grant/device_authorization.go",
			"row.CodeExpiresAt = row.CreatedAt.Add(DeviceCodeTTL)",
			"row.Offline = true\n\trow.CodeExpiresAt = row.CreatedAt.Add(DeviceCodeTTL)",
		},
	}},
	{test: "TestDeviceGrantIsForPollsOnly", what: "a device exchanges what was allowed without a poll", edits: []edit{
		{
			"internal/oidc/token.go",
			"if redirect == grant.DeviceGrantType {",
			"if redirect == \"\" && grant.DeviceGrantType == \"\" {",
		},
	}},
}
