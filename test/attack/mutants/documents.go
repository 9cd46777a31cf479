package main

// documents are the apps that are not registered: what is fetched for them, how often, and what they may be.
var documents = []mutation{
	{test: "TestClientDocumentReachesNoPrivateAddress", what: "documents are fetched from this machine", edits: []edit{
		{
			"internal/metadata/metadata.go",
			"if err != nil || to.Port() != 443 || !isPublic(to.Addr()) {",
			"if err != nil || to.Port() == 0 {",
		},
	}},
	{test: "TestClientDocumentReachesNoPrivateAddress", what: "any URL names a document", edits: []edit{
		{
			"internal/grant/client_document.go",
			"if err := client.ValidateDocumentID(id); err != nil {",
			"if err := client.ValidateDocumentID(id); err != nil && id == \"\" {",
		},
		{
			"internal/client/document.go",
			"if err := ValidateDocumentID(id); err != nil {",
			"if err := ValidateDocumentID(id); err != nil && id == \"\" {",
		},
	}},
	{test: "TestClientDocumentIsChecked", what: "redirects of documents are followed", edits: []edit{
		{
			"internal/metadata/metadata.go",
			"case res.StatusCode != http.StatusOK:",
			"case res.StatusCode == http.StatusOK && false:",
		},
	}},
	{test: "TestClientDocumentIsChecked", what: "a document of any size is read", edits: []edit{
		{"internal/metadata/metadata.go", "if len(body) > MaxBytes {", "if len(body) < 0 {"},
		{"internal/metadata/metadata.go", "io.LimitReader(res.Body, MaxBytes+1)", "res.Body"},
	}},
	{test: "TestClientDocumentIsChecked", what: "a document may be of another app", edits: []edit{
		{"internal/client/document.go", "case document.ClientID != id:", "case document.ClientID == \"\":"},
	}},
	{test: "TestClientDocumentIsChecked", what: "a document names the addresses of others", edits: []edit{
		{
			"internal/client/document.go",
			"if CSPOrigin(address) == \"https://\"+c.documentHost() || u.Scheme == \"http\" && isLoopback(u.Hostname()) {",
			"if u.Host != \"\" {",
		},
	}},
	{test: "TestClientDocumentIsAskedAboutEachTime", what: "the consent of before is enough", edits: []edit{
		{
			"internal/grant/auth_request.go",
			"(slices.Contains(r.Prompt, \"consent\") || client.IsDocumentID(r.ClientID)) &&",
			"slices.Contains(r.Prompt, \"consent\") &&",
		},
	}},
	{test: "TestClientDocumentIsAskedAboutEachTime", what: "an app is called as its document says", edits: []edit{
		{
			"internal/client/client.go",
			"if c.IsDocument() {\n\t\treturn c.documentHost()",
			"if c.IsDocument() && c.Name == \"\" {\n\t\treturn c.documentHost()",
		},
	}},
	{test: "TestClientDocumentFetchesAreLimited", what: "fetches are not counted", edits: []edit{
		{
			"internal/grant/client_document.go",
			"if err := g.chargeDocument(ctx, id, from); err != nil {",
			"if err := g.chargeDocument(ctx, id, from); err != nil && id == \"\" {",
		},
	}},
	{test: "TestClientDocumentFetchesAreLimited",
		what: "a document that cannot be used is fetched each time", edits: []edit{
			{"internal/grant/client_document.go", "ok && now.Before(r.until)", "ok && r.until.IsZero()"},
		}},
	{test: "TestLeavingRefusesNoDocument",
		what: "the fetch of a document ends with the request that began it", edits: []edit{
			{
				"internal/grant/client_document.go",
				"context.WithTimeout(context.WithoutCancel(ctx), documentTimeout)",
				"context.WithTimeout(ctx, documentTimeout)",
			},
		}},
	{test: "TestClientDocumentLeadsNobodyAway", what: "errors are sent to apps that are not registered", edits: []edit{
		{
			"internal/oidc/continue.go",
			"if client.IsDocumentID(authReq.ClientID) {",
			"if client.IsDocumentID(authReq.ClientID) && authReq.RedirectURI == \"\" {",
		},
	}},
	{test: "TestConsentIsForOneRequest", what: "the consent to another request is enough", edits: []edit{
		{
			"internal/grant/auth_request.go",
			"r.AllowedBy != who.Account.ID",
			"c.GrantedAt.Before(r.RequestedAt.Truncate(time.Millisecond))",
		},
	}},
	{test: "TestClientDocumentsAreOffUnlessAllowed",
		what: "what was read before is used without the setting", edits: []edit{
			{"internal/client/clients.go", "if !c.Documents {", "if c.Store == nil {"},
		}},
}
