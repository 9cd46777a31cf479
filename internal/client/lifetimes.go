package client

import (
	"cmp"
	"time"

	"twostep.example/twostep/internal/i18n"
)

// Default lifetimes of tokens.
const (
	DefaultTokenTTL        = 10 * time.Minute    // of ID tokens and access tokens
	DefaultRefreshTokenTTL = 30 * 24 * time.Hour // from the sign-in; not extended by use
)

// Limits of the lifetimes that an operator can choose. An ID token cannot be revoked, so it lives for a day at most.
const (
	minTokenTTL        = time.Minute
	maxTokenTTL        = 24 * time.Hour
	minRefreshTokenTTL = time.Hour
	maxRefreshTokenTTL = 365 * 24 * time.Hour
)

// IDTokenLifetime returns how long an ID token of the client is valid.
func (c Client) IDTokenLifetime() time.Duration { return seconds(c.IDTokenTTL, DefaultTokenTTL) }

// AccessTokenLifetime returns how long an access token of the client is valid.
func (c Client) AccessTokenLifetime() time.Duration {
	return seconds(c.AccessTokenTTL, DefaultTokenTTL)
}

// RefreshTokenLifetime returns how long after the sign-in the client can refresh its tokens.
func (c Client) RefreshTokenLifetime() time.Duration {
	return seconds(c.RefreshTokenTTL, DefaultRefreshTokenTTL)
}

// RefreshTokenIdleTime returns how long a refresh token of the client may stay unused.
func (c Client) RefreshTokenIdleTime() time.Duration {
	return seconds(c.RefreshTokenIdle, c.RefreshTokenLifetime())
}

// seconds returns n seconds, or fallback if n is 0.
func seconds(n int64, fallback time.Duration) time.Duration {
	return cmp.Or(time.Duration(n)*time.Second, fallback)
}

func (c Client) validateLifetimes() error {
	for _, l := range []struct {
		key      string
		seconds  int64
		min, max time.Duration
		limits   i18n.Sentence
	}{
		{"id_token_ttl", c.IDTokenTTL, minTokenTTL, maxTokenTTL, wrong("ttl.day")},
		{"access_token_ttl", c.AccessTokenTTL, minTokenTTL, maxTokenTTL, wrong("ttl.day")},
		{"refresh_token_ttl", c.RefreshTokenTTL, minRefreshTokenTTL, maxRefreshTokenTTL, wrong("ttl.year")},
		{"refresh_token_idle", c.RefreshTokenIdle, minRefreshTokenTTL, maxRefreshTokenTTL, wrong("ttl.year")},
	} {
		// Compared in seconds: a huge number would overflow a duration.
		if l.seconds != 0 && (l.seconds < int64(l.min/time.Second) || l.seconds > int64(l.max/time.Second)) {
			return c.validationError(l.key, "ttl", "Key", l.key, "Seconds", l.seconds, "Limits", l.limits)
		}
	}
	switch {
	case c.RefreshTokenIdleTime() > c.RefreshTokenLifetime():
		return c.validationError("refresh_token_idle", "idle.long", "Time", c.RefreshTokenLifetime())
	case c.RefreshTokenIdleTime() < c.AccessTokenLifetime():
		return c.validationError("refresh_token_idle", "idle.short", "Time", c.AccessTokenLifetime())
	}
	return nil
}
