package main

// webhooks are where events are sent, how they are signed, and what they say.
var webhooks = []mutation{
	{test: "TestWebhookReachesNoPrivateAddress", what: "a webhook reaches this machine by a name", edits: []edit{
		{"internal/egress/egress.go", "if !allowed || private && !allowPrivate ||", "if !allowed ||"},
	}},
	{test: "TestWebhookReachesNoPrivateAddress", what: "a webhook may have a private address", edits: []edit{
		{
			"internal/webhook/webhook.go",
			"if problem := refusal(address, u.Scheme, c.AllowPrivate); problem != \"\" {",
			"if problem := refusal(address, u.Scheme, true); problem != \"\" {",
		},
	}},
	{test: "TestWebhookFollowsNoRedirect", what: "a webhook follows redirects", edits: []edit{
		{
			"internal/webhook/send.go",
			"return http.ErrUseLastResponse",
			"return nil",
		},
	}},
	{test: "TestWebhookIsSigned", what: "the signature does not cover the time", edits: []edit{
		{"internal/webhook/message.go", "m.id + \".\" + seconds + \".\"", "m.id + \"..\""},
	}},
	{test: "TestWebhookIsSigned", what: "the signature does not cover the body", edits: []edit{
		{"internal/webhook/message.go", "mac.Write(m.body)\n", ""},
	}},
	{test: "TestWebhookTellsNoSecrets", what: "a webhook tells the address of a person", edits: []edit{
		{"internal/webhook/message.go", "Target: e.Target, Client: e.Client,", "Target: e.Address, Client: e.Client,"},
	}},
	{test: "TestWebhookTellsNoSecrets", what: "the log has the URL of a webhook", edits: []edit{
		{"internal/webhook/send.go", "return \"the connection broke\"", "return err.Error()"},
		{"internal/webhook/send.go", "return &failure{text: fmt.Sprintf(\"answered %d\", status),", "return &failure{text: h.URL,"},
	}},
}
