package oidc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/internal/grant"
)

// backChannelTimeout limits one request, and one use of the database.
const backChannelTimeout = 5 * time.Second

// DeliverLogoutTokens sends all logout tokens that are due, concurrently, and waits for the responses (OpenID Connect
// Back-Channel Logout 2.5). Call it often; servers that share a database share the work. It returns how many it has
// sent, and the error of the database, after it has sent those that it could claim.
func (p *Provider) DeliverLogoutTokens(ctx context.Context) (sent int64, err error) {
	limited, stop := context.WithTimeout(ctx, backChannelTimeout)
	list, err := p.Grants.ClaimLogoutTokens(limited)
	stop()
	var group sync.WaitGroup
	for _, t := range list {
		group.Go(func() { p.deliverLogoutToken(ctx, t) })
	}
	group.Wait()
	return int64(len(list)), err
}

func (p *Provider) deliverLogoutToken(ctx context.Context, t grant.LogoutToken) {
	err := sendLogoutToken(ctx, t)
	if err == nil {
		limited, stop := context.WithTimeout(ctx, backChannelTimeout)
		defer stop()
		err = p.Grants.MarkLogoutDelivered(limited, t)
	}
	if err != nil && ctx.Err() == nil {
		p.Grants.Log.Warn("logout token not delivered, will retry", "client", t.Client.ID, "error", err)
	}
}

// sendLogoutToken sends a logout token to the registered URI. It does not follow redirects.
func sendLogoutToken(ctx context.Context, t grant.LogoutToken) error {
	ctx, stop := context.WithTimeout(ctx, backChannelTimeout)
	defer stop()
	body := url.Values{"logout_token": {t.JWT}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Client.BackChannelLogoutURI, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	httpClient := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := httpClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("oidc: the app responded with status %d", res.StatusCode)
	}
	return nil
}
