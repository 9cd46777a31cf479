package oidc

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"twostep.example/twostep/internal/grant"
)

// idToken says who is in, how they have proven it and when (OpenID Connect Core 2).
func (p *Provider) idToken(r *http.Request, a grant.App, g given) (string, error) {
	claims, err := p.claims(r, a, g.Grant)
	if err != nil {
		return "", err
	}
	now := p.Grants.Now()
	claims["iss"], claims["aud"] = p.Grants.Issuer, a.ID
	claims["iat"], claims["exp"] = now.Unix(), now.Add(grant.AccessLife).Unix()
	claims["auth_time"], claims["acr"], claims["amr"], claims["sid"] = g.AuthTime.Unix(), g.ACR(), g.AMR, p.Grants.SID(g.Session, a.ID)
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	sum := sha256.Sum256([]byte(g.Access))
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	return p.Grants.Sign(r.Context(), a.Signs(), grant.IDToken, claims)
}

// claims are what the scopes of a grant allow to know of its person.
func (p *Provider) claims(r *http.Request, a grant.App, g grant.Grant) (map[string]any, error) {
	subject, err := p.Grants.Subject(r.Context(), a, g.Account)
	if err != nil {
		return nil, err
	}
	who, err := p.Grants.Person(r.Context(), g)
	if err != nil {
		return nil, err
	}
	claims := map[string]any{"sub": subject}
	if g.Has("email") {
		claims["email"], claims["email_verified"] = who.Email, true
	}
	if g.Has("profile") && who.Name != "" {
		claims["name"] = who.Name
	}
	if g.Has("groups") {
		claims["groups"] = append([]string{}, who.Groups...)
	}
	return claims, nil
}
