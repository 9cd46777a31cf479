// Package webhook delivers security events to URLs of the owner (Standard Webhooks).
//
// An event is written in the transaction of the operation that it reports; nothing else is written then. Each webhook
// has a position in the security events, and reads on from there. Ids of events have the time at which they were
// recorded, and may become visible later, in another order. So the position stays Lateness behind the clock, and the
// events behind it that were delivered have a row each until the position has passed them.
//
// Delivery is at least once: a crash between the response of the receiver and the record of it sends the event again,
// with the same id. Events are sent one after the other, oldest first. An event that fails is tried again before the
// others. If it failed probeAfter times and the next one succeeds, it is deferred, so that one event that a receiver
// cannot take does not hold up all others.
//
// One server at a time delivers to a webhook: it holds the lease of its row, and changes it while it works. The others
// take it over once it has not changed for takeoverTime of their own clock.
package webhook

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"

	"twostep.example/twostep/internal/audit"
)

// Config is a webhook.
type Config struct {
	// Name is 1 to 32 lower-case letters, digits and dashes.
	Name string
	// URL receives the events: https, or http in a private network.
	URL string
	// Secrets sign each request: one, or two while one is replaced. Each is whsec_ and the key in base64. A program that
	// sends nothing needs none.
	Secrets []string
	// Events are the kinds of events to send: names like session.created, or patterns like session.* and *.
	Events []string
	// AllowPrivate allows addresses of this machine and of private networks.
	AllowPrivate bool
}

// ConfigError says what is wrong with a webhook. It never quotes a secret.
type ConfigError struct {
	Name    string // of the webhook
	Field   string // name, url, secret, events or allow_private
	Message string // for the owner; names the field
}

func (e *ConfigError) Error() string { return fmt.Sprintf("webhook %s: %s", e.Name, e.Message) }

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	eventPattern = regexp.MustCompile(`^[a-z_.*]{1,64}$`)
)

// maxURLBytes is the length of the longest URL.
const maxURLBytes = 2000

// Check returns a *ConfigError if the webhook is not valid. Missing secrets are no error, see Validate.
func (c Config) Check() error {
	wrong := func(field, format string, args ...any) error {
		return &ConfigError{c.Name, field, fmt.Sprintf(format, args...)}
	}
	if !namePattern.MatchString(c.Name) {
		return wrong("name", "the name %q has other characters than lower-case letters, digits and dashes, or more than 32",
			c.Name)
	}
	// The URL is not quoted: its path and query may be a secret of the receiver.
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		return wrong("url", "url is missing, want one like https://crm.example.com/hooks/twostep")
	case err != nil || u.Host == "" || u.Hostname() == "" || len(c.URL) > maxURLBytes || u.Opaque != "":
		return wrong("url", "url is not a URL like https://crm.example.com/hooks/twostep")
	case u.User != nil:
		return wrong("url", "url has a user name: remove it, the signature proves who sends")
	case u.Fragment != "":
		return wrong("url", "url has a fragment (#): remove it")
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong("url", "url is %s, want https", u.Scheme)
	case u.Scheme == "http" && !c.AllowPrivate:
		return wrong("url", "url is http, want https. In a private network http works with allow_private = true")
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		if problem := refusal(address, u.Scheme, c.AllowPrivate); problem != "" {
			return wrong("url", "url %s", problem)
		}
	}
	if len(c.Events) == 0 {
		return wrong("events", `events is missing, want kinds or patterns, like events = ["session.*", "account.*"]`)
	}
	for _, pattern := range c.Events {
		if len(kinds([]string{pattern})) == 0 {
			return wrong("events", "events has %q, which is no kind of event and matches none; docs/audit.md lists them",
				pattern)
		}
	}
	return c.checkSecrets()
}

func (c Config) checkSecrets() error {
	if len(c.Secrets) > 2 {
		return &ConfigError{c.Name, "secret", "secret has more than two secrets: keep the new one, and the old one while " +
			"the receiver may still use it"}
	}
	for i, text := range c.Secrets {
		if _, err := parseSecret(text); err != nil {
			return &ConfigError{c.Name, "secret", fmt.Sprintf("secret %d %v", i+1, err)}
		}
	}
	return nil
}

// Host returns the scheme and the host of the URL. The rest may be a secret of the receiver.
func (c Config) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// kinds returns the kinds of events that one of the patterns matches, in the order of audit.Describe.
func kinds(patterns []string) (list []string) {
	for _, d := range audit.Describe() {
		for _, pattern := range patterns {
			if !eventPattern.MatchString(pattern) {
				continue
			}
			if ok, err := path.Match(pattern, string(d.Kind)); err == nil && ok {
				list = append(list, string(d.Kind))
				break
			}
		}
	}
	return list
}

// joinKinds returns the kinds as store.WebhookEvents has them.
func joinKinds(patterns []string) string { return strings.Join(kinds(patterns), ",") }
