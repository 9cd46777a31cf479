package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"twostep.example/twostep"
)

const secretShownOnce = "The secret is shown only once: the server keeps its hash."

// outputRow is a label with its values, one per line.
type outputRow struct {
	label string
	lines []string
}

// formatTable formats the rows that have a value.
func formatTable(rows []outputRow) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		word := r.label
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

// formatCredentials formats what the operator enters in the app or in its proxy.
func formatCredentials(a twostep.App, secret, issuer string) string {
	rows := []outputRow{{"client id", []string{a.ID}}, {"client secret", []string{secret}}}
	var remarks []string
	if secret != "" {
		remarks = append(remarks, secretShownOnce)
	}
	if a.AuthMethod() != "hosts" {
		rows = append(rows, outputRow{"issuer", []string{issuer}},
			outputRow{"discovery", []string{issuer + "/.well-known/openid-configuration"}},
			outputRow{"ID tokens", []string{"signed with " + a.SigningAlg()}})
	}
	rows = append(rows, outputRow{"redirects", a.RedirectURIs}, outputRow{"hosts", a.Hosts})
	if len(a.Hosts) > 0 {
		rows = append(rows, outputRow{"auth check", []string{"/auth/check"}})
		remarks = append(remarks, "The proxy must send its check to the address that Twostep listens on, and be "+
			"in trusted_proxies: see docs/forward-auth.md.")
	}
	if len(a.PublicPaths) > 0 {
		remarks = append(remarks, "Everyone can reach the public paths: the app must protect them itself if necessary.")
	}
	if len(a.AllowedSchemes) > 0 {
		remarks = append(remarks, "Another app on the device of a person can take over the scheme "+
			strings.Join(a.AllowedSchemes, ", ")+". PKCE keeps it from using the code.")
	}
	if a.InsecureHTTP {
		remarks = append(remarks, "Everyone in the network of the app can read codes that are sent with http.")
	}
	if a.DeviceGrant {
		remarks = append(remarks, "An attacker can send people a code of their own device. The page warns about it. Allow "+
			"the device grant only for apps on devices without a browser.")
	}
	if len(a.GroupNames) > 0 {
		remarks = append(remarks, groupNamesRemark(a))
	}
	switch {
	case len(a.RedirectURIs) > 0:
		remarks = append(remarks, "The app must send its redirect URL exactly as registered, including a slash at the end.")
	case len(a.Hosts) == 0 && !a.DeviceGrant:
		remarks = append(remarks, "Nobody can sign in to the app until it has a redirect URL: twostep app set "+
			a.ID+" --redirect URL")
	}
	if len(remarks) == 0 {
		return formatTable(rows)
	}
	return formatTable(rows) + "\n" + strings.Join(remarks, "\n") + "\n"
}

// groupNamesRemark says which groups are not sent because others have their names.
func groupNamesRemark(a twostep.App) string {
	names := slices.Compact(slices.Sorted(maps.Values(a.GroupNames)))
	return "The app gets " + strings.Join(names, ", ") + " only for the groups that are mapped to it. " +
		"A group of Twostep that has this name itself is not sent."
}

// appDetails returns all settings of an app except its hashes.
func appDetails(a twostep.App, fixed bool) []outputRow {
	only := func(is bool, text string) []string {
		if is {
			return []string{text}
		}
		return nil
	}
	proof := map[string]string{
		"keys": "keys (private_key_jwt)", "secret": "a secret", "public": "nothing (public app)",
		"hosts": "nothing (hosts behind a reverse proxy)",
	}[a.AuthMethod()]
	if len(a.SecretHashes) > 1 {
		proof = fmt.Sprintf("%d secrets, each of them valid", len(a.SecretHashes))
	}
	return []outputRow{
		{"client id", []string{a.ID}},
		{"name", []string{a.Name}},
		{"authentication", []string{proof}},
		{"redirects", a.RedirectURIs},
		{"schemes", a.AllowedSchemes},
		{"http", only(a.InsecureHTTP, "allowed in a private network")},
		{"signed out", a.PostLogoutRedirectURIs},
		{"back channel", []string{a.BackChannelLogoutURI}},
		{"hosts", a.Hosts},
		{"public paths", a.PublicPaths},
		{"preflights", only(a.PublicPreflight, "reach the hosts without a sign-in")},
		{"headers", []string{a.HeaderEncoding}},
		{"introspects", only(a.CanIntrospect, "may introspect the tokens of other apps")},
		{"foreign", only(a.ThirdParty, "people are asked for consent")},
		{"response types", only(len(a.ResponseTypes) > 0, strings.Join(append([]string{"code"}, a.ResponseTypes...), ", "))},
		{"devices", only(a.DeviceGrant, "people can sign in devices with a code")},
		{"PKCE", only(len(a.RedirectURIs) > 0, a.PKCEMode())},
		{"ID tokens", only(a.AuthMethod() != "hosts", a.SigningAlg())},
		{"subjects", only(a.Pairwise, "pairwise")},
		{"ID token has", a.IDTokenClaims},
		{"claim names", a.Typed("map_claims")},
		{"group names", a.Typed("map_groups")},
		{"claims", a.Typed("claims")},
		{"acr", []string{a.RequiredACR}},
		{"max age", a.Typed("max_age")},
		{"ID token", around("valid for ", a.Typed("id_token_ttl"), "")},
		{"access token", around("valid for ", a.Typed("access_token_ttl"), "")},
		{"refresh token", slices.Concat(
			around("", a.Typed("refresh_token_ttl"), " after the sign-in"),
			around("", a.Typed("refresh_token_idle"), " without use"))},
		{"groups", a.RequiredGroups},
		{"source", slices.Concat(only(fixed, "the configuration file"), only(a.SelfRegistered, "the app registered itself"))},
	}
}

// around returns the texts with something before and after each.
func around(before string, texts []string, after string) (list []string) {
	for _, text := range texts {
		list = append(list, before+text+after)
	}
	return list
}
