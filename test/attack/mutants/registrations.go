package main

// registrations are the apps that register themselves.
var registrations = []mutation{
	{test: "TestRegistrationNeedsAToken",
		what: "a token that has ended or was used up is checked by nobody", edits: []edit{
			{
				"internal/store/registration_tokens.go",
				"WHERE hash = $1 AND uses_left > 0 AND expires_at >= $2`, hash, now).",
				"WHERE hash = $1 AND $2 > 0`, hash, now).",
			},
			{
				"internal/store/registration_tokens.go",
				"WHERE hash = $1 AND uses_left > 0 AND expires_at >= $2`, hash, now)\n",
				"WHERE hash = $1 AND $2 > 0`, hash, now)\n",
			},
		}},
	{test: "TestRegistrationNeedsAToken", what: "a registration needs no token", edits: []edit{
		{"internal/oidc/register.go", "err := client.ErrRegistrationToken\n", "err := error(nil)\n"},
		{
			"internal/client/registration.go",
			"if err := tx.UseRegistrationToken(ctx, seal.HashToken(token), now); err != nil {",
			"if err := tx.UseRegistrationToken(ctx, seal.HashToken(token), now); err != nil && token != \"\" {",
		},
	}},
	{test: "TestRegistrationNeedsAToken", what: "a registration is a form of another site", edits: []edit{
		{"internal/oidc/register.go", "media != \"application/json\" {", "media == \"none\" {"},
	}},
	{test: "TestRegistrationIsChecked", what: "a token is used as often as it arrives at once", edits: []edit{
		{
			"internal/store/registration_tokens.go",
			"uses_left = uses_left - 1\n\t\tWHERE hash = $1 AND uses_left > 0",
			"uses_left = uses_left - 1\n\t\tWHERE hash = $1",
		},
		{
			"internal/store/registration_tokens.go",
			"WHERE hash = $1 AND uses_left > 0 AND expires_at >= $2`, hash, now).",
			"WHERE hash = $1 AND expires_at >= $2`, hash, now).",
		},
	}},
	{test: "TestRegistrationIsChecked", what: "a registration is not validated", edits: []edit{
		{
			"internal/client/registration.go",
			"if err := c.validate(ctx, cl); err != nil {",
			"if err := c.validate(ctx, cl); err != nil && cl.ID == \"\" {",
		},
	}},
	{test: "TestRegistrationIsChecked", what: "people are not asked about an app that registered itself", edits: []edit{
		{"internal/oidc/register.go", "ThirdParty: true,", "ThirdParty: false,"},
	}},
	{test: "TestSignInLeadsToNoForeignApp", what: "a sign-in leads to apps of others without a question", edits: []edit{
		{
			"internal/grant/auth_request.go",
			"\t\tif cl.ThirdParty {\n\t\t\tcontinue",
			"\t\tif cl.ThirdParty && cl.ID == \"\" {\n\t\t\tcontinue",
		},
	}},
	{test: "TestRejectionWithLongTextIsRecorded", what: "texts are cut off in the middle of a character", both: true, edits: []edit{
		{
			"internal/oidc/authorize.go",
			"return strings.ToValidUTF8(s[:min(len(s), 200)], \"\")",
			"return s[:min(len(s), 200)]",
		},
	}},
}
