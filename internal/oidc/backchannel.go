package oidc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"twostep/internal/grant"
)

// How often and how patiently apps are told that a session is over.
const (
	tellEvery   = 2 * time.Second
	tellTimeout = 5 * time.Second
	tellTries   = 3
)

// Tell tells apps about sessions that were ended, until ctx ends (OpenID Connect Back-Channel
// Logout). All servers of one database share the work.
func (p *Provider) Tell(ctx context.Context) {
	for tick := time.NewTicker(tellEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			p.TellNow(ctx)
		}
	}
}

// TellNow tells what is due.
func (p *Provider) TellNow(ctx context.Context) {
	list, err := p.Farewells(ctx)
	if err != nil && ctx.Err() == nil {
		p.Log.Error("sign-outs for apps", "error", err)
	}
	for _, f := range list {
		go p.tell(ctx, f)
	}
}

func (p *Provider) tell(ctx context.Context, f grant.Farewell) {
	var err error
	for try := range tellTries {
		if err = deliver(ctx, f); err == nil || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(try+1) * tellEvery):
		}
	}
	p.Log.Warn("an app could not be told that a session is over", "app", f.App.ID, "error", err)
}

// deliver sends one logout token. Redirects are not followed: it is for the registered address.
func deliver(ctx context.Context, f grant.Farewell) error {
	ctx, stop := context.WithTimeout(ctx, tellTimeout)
	defer stop()
	body := url.Values{"logout_token": {f.Token}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.App.BackChannel, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("oidc: the app answers %d", res.StatusCode)
	}
	return nil
}
