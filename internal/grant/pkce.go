package grant

import (
	"context"
	"errors"
	"fmt"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/store"
)

// pkceState and the id of a client are the name of the server state which says that the client uses PKCE.
const pkceState = "pkce "

// recordPKCE records that a client with credentials has redeemed a code with a code_verifier. From then on its requests
// need a code_challenge, so that an attacker cannot remove it (RFC 9700 2.1.1). Only the client itself can cause this.
func (g *Grants) recordPKCE(ctx context.Context, tx *store.DB, cl client.Client) error {
	if _, known := g.pkceUsers.Load(cl.ID); known || cl.PKCEMode() != client.PKCEAuto {
		return nil
	}
	if err := tx.SetState(ctx, pkceState+cl.ID, "used"); err != nil {
		return fmt.Errorf("grant: record PKCE: %w", err)
	}
	return nil
}

// UsesPKCE reports whether the client has redeemed a code with a code_verifier.
func (g *Grants) UsesPKCE(ctx context.Context, clientID string) (bool, error) {
	if _, known := g.pkceUsers.Load(clientID); known {
		return true, nil
	}
	_, err := g.Store.GetState(ctx, pkceState+clientID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("grant: uses PKCE: %w", err)
	}
	g.pkceUsers.Store(clientID, true)
	return true, nil
}
