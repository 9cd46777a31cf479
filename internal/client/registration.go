package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// ErrRegistrationToken is returned if a registration token is unknown, used up or has expired.
var ErrRegistrationToken = errors.New("client: the registration token is not valid")

// CreateRegistrationToken returns a token with which apps can register themselves: as often as uses says, until ttl has
// passed (the initial access token of RFC 7591).
func (c *Clients) CreateRegistrationToken(
	ctx context.Context, uses int64, ttl time.Duration,
) (token string, err error) {
	token = seal.NewToken()
	err = c.Store.Tx(ctx, func(tx *store.DB) error {
		row := store.RegistrationToken{Hash: seal.HashToken(token), UsesLeft: uses, ExpiresAt: c.Now().Add(ttl)}
		if err := tx.CreateRegistrationToken(ctx, row); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.RegistrationTokenCreated, Actor: c.Accounts.OperatorActor()}
		return c.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
	if err != nil {
		return "", fmt.Errorf("client: create registration token: %w", err)
	}
	return token, nil
}

// EndRegistrationTokens makes all registration tokens unusable and returns how many there were.
func (c *Clients) EndRegistrationTokens(ctx context.Context) (n int64, err error) {
	err = c.Store.Tx(ctx, func(tx *store.DB) (err error) {
		if n, err = tx.EndRegistrationTokens(ctx, c.Now()); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.RegistrationTokensEnded, Actor: c.Accounts.OperatorActor()}
		return c.Accounts.Event(ctx, tx, e, origin.Origin{})
	})
	if err != nil {
		return 0, fmt.Errorf("client: end registration tokens: %w", err)
	}
	return n, nil
}

// CheckRegistrationToken returns ErrRegistrationToken unless a token can be used. It does not use it.
func (c *Clients) CheckRegistrationToken(ctx context.Context, token string) error {
	_, err := c.Store.GetRegistrationToken(ctx, seal.HashToken(token), c.Now())
	if errors.Is(err, store.ErrNotFound) {
		return ErrRegistrationToken
	}
	if err != nil {
		return fmt.Errorf("client: check registration token: %w", err)
	}
	return nil
}

// Register adds a client and uses a registration token once. It returns ErrRegistrationToken if the token is not valid,
// and a *ValidationError if the registration is not; then the token is not used.
func (c *Clients) Register(ctx context.Context, token string, cl Client, from origin.Origin) error {
	cl.SelfRegistered = true
	if err := c.validate(ctx, cl); err != nil {
		return err
	}
	body, err := json.Marshal(cl)
	if err != nil {
		return err
	}
	err = c.Store.Tx(ctx, func(tx *store.DB) error {
		now := c.Now()
		if err := tx.UseRegistrationToken(ctx, seal.HashToken(token), now); err != nil {
			return err
		}
		if err := tx.CreateClient(ctx, store.Client{ID: cl.ID, Registration: string(body), CreatedAt: now}); err != nil {
			return err
		}
		e := audit.Event{Kind: audit.ClientCreated, Actor: audit.Client(cl.ID), Target: audit.Target("client", cl.ID),
			Client: cl.ID, Reason: "registration token"}
		return c.Accounts.Event(ctx, tx, e, from)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrRegistrationToken
	}
	if err != nil {
		return fmt.Errorf("client: register: %w", err)
	}
	return nil
}
