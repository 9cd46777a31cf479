package grant

import (
	"context"
	"fmt"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
)

// Uses of a signing key.
const (
	KeyNext     = "next"     // published, and signs from SignsAt
	KeySigns    = "signs"    // signs now
	KeyVerifies = "verifies" // published, so that clients can verify what it has signed
	KeyRetired  = "retired"  // not published; old ID tokens are still recognized (id_token_hint)
)

// KeyRotationPause is how old the newest key of an algorithm is before RotateSigningKeys creates another.
const KeyRotationPause = 24 * time.Hour

// KeyInfo describes a signing key, without its private part.
type KeyInfo struct {
	ID, Algorithm string
	Use           string // KeyNext and so on
	CreatedAt     time.Time
	SignsAt       time.Time // when it signs or has signed first
}

// SigningKeys lists the signing keys, by algorithm, the newest first.
func (g *Grants) SigningKeys(ctx context.Context) ([]KeyInfo, error) {
	now := g.Now()
	var list []KeyInfo
	for _, algorithm := range g.SigningAlgorithms(ctx) {
		keys, err := g.listSigningKeys(ctx, algorithm, true)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 { // it is created with the first token
			continue
		}
		current := currentSigningKey(keys, now)
		published := map[string]bool{}
		for _, k := range publishedKeys(keys, now) {
			published[k.ID] = true
		}
		for i, k := range keys {
			info := KeyInfo{ID: k.ID, Algorithm: algorithm, CreatedAt: k.CreatedAt, SignsAt: k.createdAt().Add(signingKeyLeadTime)}
			if i == len(keys)-1 { // the first key signs at once
				info.SignsAt = k.createdAt()
			}
			switch {
			case k.ID == current.ID:
				info.Use = KeySigns
			case k.createdAt().After(current.createdAt()):
				info.Use = KeyNext
			case published[k.ID]:
				info.Use = KeyVerifies
			default:
				info.Use = KeyRetired
			}
			list = append(list, info)
		}
	}
	return list, nil
}

// RotateSigningKeys creates a new key for each algorithm, except where one waits to sign already. It is published at once
// and signs after 24 hours, so that clients have time to read it. It returns how many keys were created.
func (g *Grants) RotateSigningKeys(ctx context.Context, actor audit.Actor, from origin.Origin) (created int, err error) {
	g.signingKeys.mu.Lock()
	defer g.signingKeys.mu.Unlock()
	for _, algorithm := range g.SigningAlgorithms(ctx) {
		keys, err := g.listSigningKeys(ctx, algorithm, true)
		if err != nil {
			return created, err
		}
		if len(keys) > 0 && g.Now().Sub(keys[0].createdAt()) < signingKeyLeadTime {
			continue
		}
		if _, err := g.createSigningKeyAs(ctx, algorithm, actor, from); err != nil {
			return created, fmt.Errorf("grant: rotate keys: %w", err)
		}
		created++
	}
	_, err = g.readSigningKeys(ctx, g.Now())
	return created, err
}
