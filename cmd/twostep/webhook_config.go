package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"twostep.example/twostep"
)

// webhookTable is one [webhook.NAME] table of the configuration file. It has no flags, since there may be several.
type webhookTable struct {
	URL          string   `toml:"url" allowed:"https, or http in a private network" example:"https://crm.example.com/hooks/twostep" help:"Send events to this URL; required"`
	Secret       string   `toml:"secret" allowed:"whsec_ and the output of openssl rand -base64 32; two, separated by a space, while you replace one" help:"Sign the requests with this secret; required"`
	Events       []string `toml:"events" allowed:"kinds of events and patterns with *" example:"session.*" help:"Send only these kinds of events; required"`
	AllowPrivate bool     `toml:"allow_private" help:"Allow addresses of this machine and of private networks"`
}

// webhookSecretFlag names the secret of a webhook, as the flags of settings do.
func webhookSecretFlag(name string) string { return "webhook-" + name + "-secret" }

// readWebhooks returns the webhooks of the file with their secrets, sorted by name, and the errors of those that are
// not valid. secretErrs are those of the secrets: only what sends needs them.
func (s *settingSources) readWebhooks() (list []twostep.Webhook, wrong, secretErrs error) {
	for _, name := range slices.Sorted(maps.Keys(s.webhooks)) {
		t := s.webhooks[name]
		w := twostep.Webhook{Name: name, URL: t.URL, Events: t.Events, AllowPrivate: t.AllowPrivate}
		if err := s.locateWebhook(w.Check()); err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		secret, variable, err := s.secretFromEnvironment(webhookSecretFlag(name))
		if err == nil {
			w.Secrets = strings.Fields(cmp.Or(secret, t.Secret))
			if err = w.Check(); err == nil && len(w.Secrets) == 0 {
				variable := environmentName(webhookSecretFlag(name))
				err = &twostep.WebhookError{Name: name, Field: "secret", Message: "secret is missing: set it to whsec_ and the " +
					"output of openssl rand -base64 32, in the file or in " + variable + ", or set " + variable +
					"_FILE to the path of a file with it"}
			}
			if err != nil && secret != "" {
				err = fmt.Errorf("%s: %w", variable, err)
			} else {
				err = s.locateWebhook(err)
			}
		}
		if err != nil {
			w.Secrets, secretErrs = nil, errors.Join(secretErrs, err)
		}
		list = append(list, w)
	}
	return list, wrong, secretErrs
}

// locateWebhook adds the line of the file to the error of a webhook.
func (s *settingSources) locateWebhook(err error) error {
	flaw := new(twostep.WebhookError)
	if !errors.As(err, &flaw) {
		return err
	}
	table := "webhook-" + flaw.Name
	line := cmp.Or(s.fileLines[table+"-"+strings.ReplaceAll(flaw.Field, "_", "-")], s.fileLines[table])
	if line == 0 {
		return fmt.Errorf("%s: %w", s.fileName, err)
	}
	return fmt.Errorf("%s:%d: %w", s.fileName, line, err)
}
