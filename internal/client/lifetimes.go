package client

import (
	"cmp"
	"time"
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
		limits   string
	}{
		{"id_token_ttl", c.IDTokenTTL, minTokenTTL, maxTokenTTL, "1m to 24h"},
		{"access_token_ttl", c.AccessTokenTTL, minTokenTTL, maxTokenTTL, "1m to 24h"},
		{"refresh_token_ttl", c.RefreshTokenTTL, minRefreshTokenTTL, maxRefreshTokenTTL, "1h to 8760h (a year)"},
		{"refresh_token_idle", c.RefreshTokenIdle, minRefreshTokenTTL, maxRefreshTokenTTL, "1h to 8760h (a year)"},
	} {
		// Compared in seconds: a huge number would overflow a duration.
		if l.seconds != 0 && (l.seconds < int64(l.min/time.Second) || l.seconds > int64(l.max/time.Second)) {
			return c.validationError(l.key, "%s is %d seconds, want %s", l.key, l.seconds, l.limits)
		}
	}
	switch {
	case c.RefreshTokenIdleTime() > c.RefreshTokenLifetime():
		return c.validationError("refresh_token_idle", "refresh_token_idle is longer than refresh_token_ttl (%s)",
			c.RefreshTokenLifetime())
	case c.RefreshTokenIdleTime() < c.AccessTokenLifetime():
		return c.validationError("refresh_token_idle", "the refresh token ends before the access token (%s), so it could "+
			"never be used: want a longer refresh_token_ttl and refresh_token_idle", c.AccessTokenLifetime())
	}
	return nil
}
