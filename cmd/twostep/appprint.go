package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"twostep.example/twostep"
)

const shownOnce = "The secret is shown this once: only its hash is kept."

// row is a word and what there is to say of it, a line each.
type row struct {
	word  string
	lines []string
}

// table prints the rows that say something.
func table(rows []row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		word := r.word
		for _, line := range r.lines {
			if line != "" {
				fmt.Fprintf(w, "%s\t%s\n", word, line)
				word = ""
			}
		}
	}
	_ = w.Flush() // into memory
	return b.String()
}

// kind is what the app proves itself by, in one word.
func kind(a twostep.App) string {
	switch {
	case len(a.Keys) > 0:
		return "keys"
	case len(a.Secrets) > 0:
		return "secret"
	case len(a.Redirects) > 0:
		return "public"
	}
	return "hosts"
}

// credentials are what the operator writes into the settings of the app, or of its proxy.
func credentials(a twostep.App, secret, issuer string) string {
	rows := []row{{"client id", []string{a.ID}}, {"client secret", []string{secret}}}
	var remarks []string
	if secret != "" {
		remarks = append(remarks, shownOnce)
	}
	if !a.Public() || len(a.Redirects) > 0 {
		rows = append(rows, row{"issuer", []string{issuer}}, row{"discovery", []string{issuer + "/.well-known/openid-configuration"}})
	}
	rows = append(rows, row{"redirects", a.Redirects}, row{"hosts", a.Hosts})
	if len(a.Hosts) > 0 {
		rows = append(rows, row{"auth check", []string{"/auth/check"}})
		remarks = append(remarks, "The proxy asks at the address where Twostep listens, and from one that trusted_proxies names: docs/forward-auth.md.")
	}
	switch {
	case len(a.Redirects) > 0:
		remarks = append(remarks, "The app must send a redirect address letter for letter: with a slash at the end it is another one.")
	case len(a.Hosts) == 0:
		remarks = append(remarks, "It has no redirect address, so nobody can sign in to it: twostep app set "+a.ID+" --redirect URL gives it one.")
	}
	if len(remarks) == 0 {
		return table(rows)
	}
	return table(rows) + "\n" + strings.Join(remarks, "\n") + "\n"
}

// details are all that is known of an app, but for its hashes.
func details(a twostep.App, fixed bool) []row {
	only := func(is bool, text string) []string {
		if is {
			return []string{text}
		}
		return nil
	}
	proof := map[string]string{
		"keys": "keys (private_key_jwt)", "secret": "a secret", "public": "nothing: it is public", "hosts": "nothing: hosts behind a proxy",
	}[kind(a)]
	if len(a.Secrets) > 1 {
		proof = fmt.Sprintf("%d secrets, of which each works", len(a.Secrets))
	}
	return []row{
		{"client id", []string{a.ID}},
		{"name", []string{a.Name}},
		{"proves itself by", []string{proof}},
		{"redirects", a.Redirects},
		{"signed out", a.SignedOut},
		{"back channel", []string{a.BackChannel}},
		{"hosts", a.Hosts},
		{"introspects", only(a.Introspects, "it may ask what the tokens of other apps are worth")},
		{"foreign", only(a.Foreign, "people are asked before it learns anything")},
		{"PKCE", only(a.NoPKCE, "not needed")},
		{"ID tokens", only(kind(a) != "hosts", a.Signs())},
		{"subjects", only(a.Pairwise, "other ones than all other apps have")},
		{"acr", []string{a.ACR}},
		{"max age", only(a.MaxAge > 0, shortTime(a))},
		{"groups", a.Groups},
		{"kept", only(fixed, "from the settings: in the configuration file")},
	}
}

// shortTime is the oldest proof the app takes, as people write it: 8h, and not 8h0m0s.
func shortTime(a twostep.App) string {
	text := a.Oldest().String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}
