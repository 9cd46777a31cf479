package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"twostep.example/twostep"
)

// appTable is one [[app]] table of the configuration file. It has no flags, since there may be
// several.
type appTable struct {
	ID          string   `toml:"id"`
	Name        string   `toml:"name"`
	Redirects   []string `toml:"redirects"`
	SignedOut   []string `toml:"signed_out"`
	BackChannel string   `toml:"back_channel"`
	Secrets     []string `toml:"secrets"` // hashes
	Keys        string   `toml:"keys"`    // a file name, or the JSON itself
	Public      bool     `toml:"public"`
	Foreign     bool     `toml:"foreign"`
	Introspects bool     `toml:"introspects"`
	NoPKCE      bool     `toml:"no_pkce"`
	Algorithm   string   `toml:"algorithm"`
	Pairwise    bool     `toml:"pairwise"`
	Hosts       []string `toml:"hosts"`
	ACR         string   `toml:"acr"`
	MaxAge      string   `toml:"max_age"`
	Groups      []string `toml:"groups"`
}

// parse validates the table. Its error is a *twostep.AppError.
func (t *appTable) parse() (twostep.App, error) {
	a := twostep.App{
		ID: t.ID, Name: t.Name, RedirectURIs: t.Redirects, PostLogoutRedirectURIs: t.SignedOut,
		BackChannelLogoutURI: t.BackChannel,
		SecretHashes:         t.Secrets, ThirdParty: t.Foreign, CanIntrospect: t.Introspects, PKCEOptional: t.NoPKCE,
		IDTokenAlg: t.Algorithm, Pairwise: t.Pairwise,
		Hosts: t.Hosts, RequiredACR: t.ACR, RequiredGroups: t.Groups,
	}
	wrong := func(key, what string) error { return &twostep.AppError{ClientID: t.ID, Field: key, Message: what} }
	var err error
	if a.JWKSet, err = readJWKSet(t.Keys); err != nil {
		return a, wrong("keys", err.Error())
	}
	if a.MaxAge, err = parseSeconds("max_age", t.MaxAge); err != nil {
		return a, wrong("max_age", err.Error())
	}
	switch {
	case t.Public && !a.IsPublic():
		return a, wrong("public", "public = true says that it keeps no secret, and yet it has secrets or keys: "+
			"leave out the one or the other")
	// A forgotten key must not make a client public.
	case !t.Public && a.IsPublic() && len(a.RedirectURIs) > 0:
		return a, wrong("redirects", "it has neither secrets nor keys: twostep app secret makes a secret and its "+
			"hash; or say public = true, if it is an app on a phone or in a browser, which can keep none")
	}
	return a, a.Validate()
}

// readJWKSet reads a JWK set (RFC 7517 5): the JSON itself, or the name of a file with it.
func readJWKSet(text string) (json.RawMessage, error) {
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	if strings.HasPrefix(text, "{") {
		return json.RawMessage(text), nil
	}
	content, err := os.ReadFile(text)
	if unnamed := new(fs.PathError); errors.As(err, &unnamed) {
		err = unnamed.Err // the file name may be a pasted private key
	}
	if err != nil {
		return nil, fmt.Errorf("keys is neither a file with a JWK set nor one itself: %w", err)
	}
	return json.RawMessage(content), nil
}

// parseSeconds parses a duration like 8h and returns seconds; "" and "0" are 0.
func parseSeconds(key, text string) (int64, error) {
	if text == "" || text == "0" {
		return 0, nil
	}
	if _, err := strconv.Atoi(text); err == nil {
		return 0, fmt.Errorf("%s is %s without a unit: write %ss for seconds", key, text, text)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		return 0, fmt.Errorf("%s is %q, want a time in whole seconds, like 8h or 30m", key, text)
	}
	return int64(d / time.Second), nil
}

// readApps parses all app tables of a file. Each error has its line.
func readApps(name string, text []byte, tables []appTable) (apps []twostep.App, err error) {
	lines := appKeyLines(text)
	var wrong []error
	for i, t := range tables {
		a, err := t.parse()
		for _, other := range apps {
			err = cmp.Or(err, a.CheckConflict(other))
		}
		if err != nil {
			wrong = append(wrong, withLine(name, lines, i, err))
		}
		apps = append(apps, a)
	}
	return apps, errors.Join(wrong...)
}

// withLine prefixes the error of app number i with a line: that of the key, or else that of its
// table. Apps in an inline array have no lines.
func withLine(name string, lines []map[string]int, i int, err error) error {
	var flaw *twostep.AppError
	if !errors.As(err, &flaw) || i >= len(lines) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s:%d: %w", name, cmp.Or(lines[i][flaw.Field], lines[i][""]), err)
}

// appKeyLines returns the line of each key of each [[app]]; "" is the table itself.
func appKeyLines(text []byte) (lines []map[string]int) {
	var p unstable.Parser
	p.Reset(text)
	inside := false
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.Comment {
			continue
		}
		key := e.Key()
		if !key.Next() {
			continue
		}
		first, line := strings.ToLower(string(key.Node().Data)), p.Shape(key.Node().Raw).Start.Line
		switch {
		case e.Kind != unstable.KeyValue:
			if inside = first == "app"; inside { // [app] too, which is decoded as one
				lines = append(lines, map[string]int{"": line})
			}
		case inside:
			lines[len(lines)-1][first] = line
		}
	}
	return lines
}
